/* audio: owns sound: finding a soundfont, the synthesizer, the sound file. Plays a piece twice: once to
 * learn its loudest sample, once to write it, so that memory does not grow with length. Refuses what is no
 * soundfont, and more than a WAV file can hold. */
#include "sampler/show/audio.h"

#include "preprocess/common/program.h"

#ifndef HAVE_AUDIO

static gboolean fail_missing(GError **error) {
    return program_fail(
        error, "--audio: this sampler was built without libfluidsynth and libsndfile; install both (Debian: "
               "apt install libfluidsynth-dev libsndfile1-dev) and build again, or leave out --audio");
}

char *audio_soundfont(const char *wanted, GError **error) {
    (void)wanted;
    fail_missing(error);
    return NULL;
}

gboolean audio_render(const char *midi, const char *soundfont, double seconds, const char *title,
                      audio_format_t format, const char *path, GError **error) {
    (void)midi, (void)soundfont, (void)seconds, (void)title, (void)format, (void)path;
    return fail_missing(error);
}

#else

#include <errno.h>
#include <fluidsynth.h>
#include <glib/gstdio.h>
#include <math.h>
#include <sndfile.h>
#include <stdint.h>
#include <stdio.h>

#include "preprocess/common/file.h"

enum { RATE = 44100, BLOCK = 1024, CHANNELS = 2, WAV_HEAD = 44, WAV_TAGS = 4096 };
static const float LOUDEST = 0.891F; /* -1 dB */

static const char *const places[] = {
    "/usr/share/sounds/sf2/default-GM.sf2", "/usr/share/sounds/sf2/TimGM6mb.sf2",
    "/usr/share/sounds/sf2/FluidR3_GM.sf2", "/usr/share/soundfonts/default.sf2",
    "/usr/share/soundfonts/FluidR3_GM.sf2"};

/* The library would print by itself: its last error is kept, to be the cause in our message. */
static char last_error[256];

static void keep_error(int level, const char *message, void *data) {
    (void)data;
    if (level <= FLUID_ERR) g_strlcpy(last_error, message, sizeof last_error);
}

static void take_log(void) {
    for (int level = FLUID_PANIC; level < LAST_LOG_LEVEL; level++)
        fluid_set_log_function(level, keep_error, NULL);
    g_strlcpy(last_error, "libfluidsynth names no cause", sizeof last_error);
}

char *audio_soundfont(const char *wanted, GError **error) {
    take_log();
    if (!wanted) wanted = g_getenv("SOUNDFONT");
    for (size_t i = 0; i < G_N_ELEMENTS(places) && !wanted; i++)
        if (g_file_test(places[i], G_FILE_TEST_EXISTS)) wanted = places[i];
    if (!wanted) {
        program_fail(error,
                     "--audio: no soundfont found in /usr/share/sounds/sf2; install one (Debian: apt install "
                     "timgm6mb-soundfont) or give --soundfont FILE");
        return NULL;
    }
    if (fluid_is_soundfont(wanted)) return g_strdup(wanted);
    const int cause = g_access(wanted, R_OK) == 0 ? 0 : errno;
    program_fail(error, "%s: cannot use as soundfont: %s; give another --soundfont FILE.sf2", wanted,
                 cause == 0 ? "not a SoundFont 2 file" : g_strerror(cause));
    return NULL;
}

typedef struct {
    fluid_settings_t *settings;
    fluid_synth_t *synth;
    fluid_player_t *player;
} stage_t;

static void stage_clear(stage_t *stage) {
    if (stage->player) delete_fluid_player(stage->player);
    if (stage->synth) delete_fluid_synth(stage->synth);
    if (stage->settings) delete_fluid_settings(stage->settings);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(stage_t, stage_clear)

static gboolean stage_set(stage_t *stage, const char *midi, const char *soundfont, GError **error) {
    stage->settings = new_fluid_settings();
    if (stage->settings) {
        fluid_settings_setnum(stage->settings, "synth.sample-rate", RATE);
        fluid_settings_setint(stage->settings, "synth.lock-memory", 0);
        /* Loads only the instruments in use, which saves seconds. */
        fluid_settings_setint(stage->settings, "synth.dynamic-sample-loading", 1);
        /* The piece's clock counts the samples made, not the time that passes. */
        fluid_settings_setstr(stage->settings, "player.timing-source", "sample");
        stage->synth = new_fluid_synth(stage->settings);
    }
    if (stage->synth && fluid_synth_sfload(stage->synth, soundfont, 1) == FLUID_FAILED)
        return program_fail(error, "%s: cannot load the soundfont: %s; give another --soundfont FILE.sf2",
                            soundfont, last_error);
    if (stage->synth) stage->player = new_fluid_player(stage->synth);
    if (stage->player && fluid_player_add(stage->player, midi) == FLUID_OK &&
        fluid_player_play(stage->player) == FLUID_OK)
        return TRUE;
    return program_fail(error, "%s: cannot play: %s", midi, last_error);
}

/* Where sound goes. libsndfile does not tell of some failed writes, such as those at the end of a stream:
 * `failed` keeps errno of the first. */
typedef struct {
    const char *path, *temporary;
    FILE *file;
    SNDFILE *sound;
    const char *title;
    int failed;
} sink_t;

static sf_count_t sink_keep(sink_t *sink, sf_count_t result) {
    if (result < 0 && sink->failed == 0) sink->failed = errno;
    return result;
}

static sf_count_t sink_write(const void *bytes, sf_count_t n, void *data) {
    sink_t *sink = data;
    const sf_count_t written = (sf_count_t)fwrite(bytes, 1, (size_t)n, sink->file);
    if (written < n) sink_keep(sink, -1);
    return written;
}

static sf_count_t sink_tell(void *data) {
    sink_t *sink = data;
    return sink_keep(sink, ftello(sink->file));
}

static sf_count_t sink_seek(sf_count_t offset, int whence, void *data) {
    sink_t *sink = data;
    return sink_keep(sink, fseeko(sink->file, offset, whence)) < 0 ? -1 : sink_tell(data);
}

static sf_count_t sink_length(void *data) {
    const sf_count_t here = sink_tell(data), length = sink_seek(0, SEEK_END, data);
    return sink_seek(here, SEEK_SET, data) < 0 ? -1 : length;
}

static gboolean fail_write(const sink_t *sink, GError **error) {
    return program_fail(error, "%s: cannot write: %s; make room or give another --output", sink->path,
                        sink->failed != 0 ? g_strerror(sink->failed) : sf_strerror(sink->sound));
}

static gboolean sink_open(sink_t *sink, audio_format_t format, GError **error) {
    static const int formats[] = {[AUDIO_WAV] = SF_FORMAT_WAV | SF_FORMAT_PCM_16,
                                  [AUDIO_FLAC] = SF_FORMAT_FLAC | SF_FORMAT_PCM_16,
                                  [AUDIO_OGG] = SF_FORMAT_OGG | SF_FORMAT_VORBIS};
    static SF_VIRTUAL_IO calls = {
        .get_filelen = sink_length, .seek = sink_seek, .write = sink_write, .tell = sink_tell};
    SF_INFO info = {.samplerate = RATE, .channels = CHANNELS, .format = formats[format]};
    sink->file = fopen(sink->temporary, "wb");
    if (!sink->file) sink->failed = errno;
    if (sink->file) sink->sound = sf_open_virtual(&calls, SFM_WRITE, &info, sink);
    return sink->sound != NULL || fail_write(sink, error);
}

/* A WAV file has its tags behind the samples, since many programs expect exactly 44 bytes before them; the
 * others have theirs in front. */
static void sink_tag(sink_t *sink) {
    sf_set_string(sink->sound, SF_STR_TITLE, sink->title);
    sf_set_string(sink->sound, SF_STR_SOFTWARE, "mpianist-sampler " MPIANIST_VERSION);
}

/* Closes the file. Where all went well it takes its name; else nothing stays. */
static gboolean sink_close(sink_t *sink, gboolean ok, GError **error) {
    if (sink->sound && sf_close(sink->sound) != 0 && sink->failed == 0) sink->failed = EIO;
    if (sink->file) sink_keep(sink, fclose(sink->file));
    if (ok && sink->failed == 0) sink_keep(sink, g_rename(sink->temporary, sink->path));
    if (ok && sink->failed == 0) return TRUE;
    g_unlink(sink->temporary);
    return ok ? fail_write(sink, error) : FALSE;
}

/* Plays `samples` of each channel. Where sink is NULL *scale receives what brings the loudest to LOUDEST;
 * else they are written, scaled. */
static gboolean play(const char *midi, const char *soundfont, uint64_t samples, sink_t *sink, float *scale,
                     GError **error) {
    g_auto(stage_t) stage = {0};
    if (!stage_set(&stage, midi, soundfont, error)) return FALSE;
    float peak = 0;
    for (uint64_t done = 0; done < samples; done += BLOCK) {
        float block[BLOCK * CHANNELS];
        const sf_count_t n = (sf_count_t)MIN(BLOCK, samples - done);
        if (fluid_synth_write_float(stage.synth, BLOCK, block, 0, CHANNELS, block, 1, CHANNELS) != FLUID_OK)
            return program_fail(error, "%s: cannot play: %s", midi, last_error);
        for (sf_count_t i = 0; i < n * CHANNELS; i++) {
            peak = fmaxf(peak, fabsf(block[i]));
            block[i] = CLAMP(*scale * block[i], -1, 1);
        }
        if (sink && (sf_writef_float(sink->sound, block, n) != n || sink->failed != 0))
            return fail_write(sink, error);
    }
    if (!sink) *scale = peak > 1e-4F ? LOUDEST / peak : 1; /* silence stays silence */
    return TRUE;
}

gboolean audio_render(const char *midi, const char *soundfont, double seconds, const char *title,
                      audio_format_t format, const char *path, GError **error) {
    const uint64_t samples = (uint64_t)ceil((seconds + AUDIO_TAIL_S) * RATE);
    if (format == AUDIO_WAV && samples * CHANNELS * 2 > UINT32_MAX - WAV_HEAD - WAV_TAGS)
        return program_fail(
            error,
            "%s: cannot write %.0f seconds: a WAV file ends at 4 GiB; give --audio=flac or --audio=ogg", path,
            seconds);
    take_log();
    float scale = 1;
    if (!play(midi, soundfont, samples, NULL, &scale, error)) return FALSE;
    g_autofree char *temporary = file_temporary(path);
    sink_t sink = {.path = path, .temporary = temporary, .title = title};
    gboolean ok = sink_open(&sink, format, error);
    if (ok && format != AUDIO_WAV) sink_tag(&sink);
    ok = ok && play(midi, soundfont, samples, &sink, &scale, error);
    if (ok && format == AUDIO_WAV) sink_tag(&sink);
    return sink_close(&sink, ok, error);
}

#endif
