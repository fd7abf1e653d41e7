/* Owns sound: finding a soundfont, the synthesizer, the WAV file. Plays a piece twice: once to learn its loudest sample, once to write it, so that memory does not
 * grow with length. Refuses what is no soundfont, and more than a WAV file can hold. */
#include "sampler/audio.h"

G_DEFINE_QUARK(audio_error, audio_error)

#ifndef HAVE_FLUIDSYNTH

static gboolean fail_missing(GError **error) {
    g_set_error(error, AUDIO_ERROR, AUDIO_ERROR_MISSING,
                "--audio: this sampler was built without libfluidsynth; install it (Debian: apt install libfluidsynth-dev) and build again, or leave "
                "out --audio");
    return FALSE;
}

char *audio_soundfont(const char *wanted, GError **error) {
    (void)wanted;
    fail_missing(error);
    return NULL;
}

gboolean audio_render(const char *midi, const char *soundfont, double seconds, const char *wav, GError **error) {
    (void)midi, (void)soundfont, (void)seconds, (void)wav;
    return fail_missing(error);
}

#else

#include <errno.h>
#include <fluidsynth.h>
#include <glib/gstdio.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { RATE = 44100, BLOCK = 1024, CHANNELS = 2, WAV_HEAD = 44 };
static const double LOUDEST = 0.891; /* -1 dB */

static const char *const places[] = {"/usr/share/sounds/sf2/default-GM.sf2", "/usr/share/sounds/sf2/TimGM6mb.sf2",
                                     "/usr/share/sounds/sf2/FluidR3_GM.sf2", "/usr/share/soundfonts/default.sf2",
                                     "/usr/share/soundfonts/FluidR3_GM.sf2"};

/* The library prints warnings of its own; its last error becomes the cause in ours. */
static char last_error[256];

static void keep_error(int level, const char *message, void *data) {
    (void)data;
    if (level <= FLUID_ERR) g_strlcpy(last_error, message, sizeof last_error);
}

static void take_log(void) {
    for (int level = FLUID_PANIC; level < LAST_LOG_LEVEL; level++) fluid_set_log_function(level, keep_error, NULL);
    g_strlcpy(last_error, "libfluidsynth names no cause", sizeof last_error);
}

char *audio_soundfont(const char *wanted, GError **error) {
    take_log();
    if (wanted == NULL) wanted = g_getenv("SOUNDFONT");
    for (size_t i = 0; i < G_N_ELEMENTS(places) && wanted == NULL; i++)
        if (g_file_test(places[i], G_FILE_TEST_EXISTS)) wanted = places[i];
    if (wanted == NULL) {
        g_set_error(
            error, AUDIO_ERROR, AUDIO_ERROR_SOUNDFONT,
            "--audio: no soundfont found in /usr/share/sounds/sf2; install one (Debian: apt install timgm6mb-soundfont) or give --soundfont FILE");
        return NULL;
    }
    if (fluid_is_soundfont(wanted)) return g_strdup(wanted);
    g_set_error(error, AUDIO_ERROR, AUDIO_ERROR_SOUNDFONT, "%s: cannot use as soundfont: %s; give another --soundfont FILE.sf2", wanted,
                g_file_test(wanted, G_FILE_TEST_EXISTS) ? "not a SoundFont 2 file" : "no such file");
    return NULL;
}

typedef struct {
    fluid_settings_t *settings;
    fluid_synth_t *synth;
    fluid_player_t *player;
} stage_t;

static void stage_clear(stage_t *stage) {
    if (stage->player != NULL) delete_fluid_player(stage->player);
    if (stage->synth != NULL) delete_fluid_synth(stage->synth);
    if (stage->settings != NULL) delete_fluid_settings(stage->settings);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(stage_t, stage_clear)

static gboolean stage_set(stage_t *stage, const char *midi, const char *soundfont, GError **error) {
    stage->settings = new_fluid_settings();
    if (stage->settings != NULL) {
        fluid_settings_setnum(stage->settings, "synth.sample-rate", RATE);
        fluid_settings_setint(stage->settings, "synth.lock-memory", 0);
        fluid_settings_setint(stage->settings, "synth.dynamic-sample-loading", 1); /* only the instruments in use: seconds less */
        fluid_settings_setstr(stage->settings, "player.timing-source", "sample");  /* the piece's clock is the samples made, not the wall's */
        stage->synth = new_fluid_synth(stage->settings);
    }
    if (stage->synth != NULL && fluid_synth_sfload(stage->synth, soundfont, 1) == FLUID_FAILED) {
        g_set_error(error, AUDIO_ERROR, AUDIO_ERROR_SOUNDFONT, "%s: cannot load the soundfont: %s; give another --soundfont FILE.sf2", soundfont,
                    last_error);
        return FALSE;
    }
    if (stage->synth != NULL) stage->player = new_fluid_player(stage->synth);
    if (stage->player != NULL && fluid_player_add(stage->player, midi) == FLUID_OK && fluid_player_play(stage->player) == FLUID_OK) return TRUE;
    g_set_error(error, AUDIO_ERROR, AUDIO_ERROR_RENDER, "%s: cannot play: %s", midi, last_error);
    return FALSE;
}

static void put_u32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> 8 * i);
}

/* RIFF head of 16-bit stereo samples. */
static void put_head(uint8_t head[WAV_HEAD], uint32_t bytes) {
    memcpy(head, "RIFF....WAVEfmt ....\1\0\2\0........\4\0\20\0data....", WAV_HEAD);
    put_u32(head + 4, WAV_HEAD - 8 + bytes);
    put_u32(head + 16, 16);
    put_u32(head + 24, RATE);
    put_u32(head + 28, RATE * CHANNELS * 2);
    put_u32(head + 40, bytes);
}

static void put_samples(uint8_t *out, const float *left, const float *right, size_t n, double scale) {
    for (size_t i = 0; i < n; i++, out += 2 * CHANNELS) {
        const long l = lround(CLAMP(scale * left[i], -1, 1) * 32767), r = lround(CLAMP(scale * right[i], -1, 1) * 32767);
        out[0] = (uint8_t)l;
        out[1] = (uint8_t)(l >> 8);
        out[2] = (uint8_t)r;
        out[3] = (uint8_t)(r >> 8);
    }
}

/* Plays `samples` of each channel. Where file is NULL *scale receives what brings the loudest to LOUDEST; else they are written, scaled. FALSE with errno set
 * or with error set. */
static gboolean play(const char *midi, const char *soundfont, uint64_t samples, FILE *file, double *scale, GError **error) {
    g_auto(stage_t) stage = {0};
    if (!stage_set(&stage, midi, soundfont, error)) return FALSE;
    double peak = 0;
    for (uint64_t done = 0; done < samples; done += BLOCK) {
        float left[BLOCK], right[BLOCK];
        uint8_t out[BLOCK * CHANNELS * 2];
        const size_t n = (size_t)MIN(BLOCK, samples - done);
        if (fluid_synth_write_float(stage.synth, BLOCK, left, 0, 1, right, 0, 1) != FLUID_OK) {
            g_set_error(error, AUDIO_ERROR, AUDIO_ERROR_RENDER, "%s: cannot play: %s", midi, last_error);
            return FALSE;
        }
        if (file == NULL) {
            for (size_t i = 0; i < n; i++) peak = fmax(peak, fmax(fabs((double)left[i]), fabs((double)right[i])));
        } else {
            put_samples(out, left, right, n, *scale);
            if (fwrite(out, CHANNELS * 2, n, file) != n) return FALSE;
        }
    }
    if (file == NULL) *scale = peak > 1e-4 ? LOUDEST / peak : 1; /* silence stays silence */
    return TRUE;
}

gboolean audio_render(const char *midi, const char *soundfont, double seconds, const char *wav, GError **error) {
    const uint64_t samples = (uint64_t)ceil((seconds + AUDIO_TAIL_S) * RATE);
    if (samples * CHANNELS * 2 > UINT32_MAX - WAV_HEAD) {
        g_set_error(error, AUDIO_ERROR, AUDIO_ERROR_WRITE, "%s: cannot write %.0f seconds: a WAV file ends at 4 GiB; leave out --audio", wav,
                    seconds);
        return FALSE;
    }
    take_log();
    double scale = 1;
    if (!play(midi, soundfont, samples, NULL, &scale, error)) return FALSE;
    g_autofree char *temporary = g_strdup_printf("%s.tmp", wav);
    uint8_t head[WAV_HEAD];
    put_head(head, (uint32_t)(samples * CHANNELS * 2));
    g_autoptr(GError) cause = NULL;
    FILE *file = fopen(temporary, "wb");
    gboolean ok = file != NULL && fwrite(head, sizeof head, 1, file) == 1 && play(midi, soundfont, samples, file, &scale, &cause);
    int failed = ok ? 0 : errno;
    if (file != NULL && fclose(file) != 0 && ok) {
        failed = errno;
        ok = FALSE;
    }
    if (ok && g_rename(temporary, wav) == 0) return TRUE;
    if (ok) failed = errno;
    g_unlink(temporary);
    if (cause != NULL)
        g_propagate_error(error, g_steal_pointer(&cause));
    else
        g_set_error(error, AUDIO_ERROR, AUDIO_ERROR_WRITE, "%s: cannot write: %s; make room or give another --output", wav, g_strerror(failed));
    return FALSE;
}

#endif
