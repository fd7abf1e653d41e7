/* Owns what is written: names, text events, the order MIDI, picture, sound. Files appear whole or not at all; an existing file of the same name is replaced. */
#include "sampler/result.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/program.h"
#include "sampler/audio.h"
#include "sampler/latent.h"

G_DEFINE_QUARK(result_error, result_error)

gboolean result_make_folder(const cli_t *cli, GError **error) {
    if (g_mkdir_with_parents(cli->output, 0777) == 0 && g_access(cli->output, W_OK) == 0) return TRUE;
    g_set_error(error, RESULT_ERROR, RESULT_ERROR_WRITE, "%s: cannot write to this folder: %s; give another --output", cli->output,
                g_strerror(errno));
    return FALSE;
}

void result_add_text(GPtrArray *texts, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    g_ptr_array_add(texts, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

GPtrArray *result_texts(const result_writer_t *writer, size_t index) {
    const cli_t *cli = writer->cli;
    GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);
    result_add_text(texts, "tool: mpianist-sampler %s", MPIANIST_VERSION);
    result_add_text(texts, "verb: %s", verb_name(cli->verb));
    result_add_text(texts, "checkpoint: %s", writer->model->hash);
    result_add_text(texts, "seed: %" G_GINT64_FORMAT, cli->seed);
    if (index > 0) result_add_text(texts, "result: %zu", index);
    for (size_t i = 0; cli->more != NULL && cli->more[i] != NULL; i++) result_add_text(texts, "more: %s", cli->more[i]);
    for (size_t i = 0; cli->less != NULL && cli->less[i] != NULL; i++) result_add_text(texts, "less: %s", cli->less[i]);
    if (cli->more != NULL || cli->less != NULL) result_add_text(texts, "strength: %.10g", cli->strength);
    const gboolean dense = writer->model->head.model.kind == MODEL_DENSE;
    if (!dense)
        result_add_text(texts, "draws: %s", cli->draw ? "bernoulli" : "greedy");
    else if (cli->draw)
        result_add_text(texts, "draws: bernoulli");
    else if (cli->density)
        result_add_text(texts, "threshold: density");
    else
        result_add_text(texts, "threshold: %.10g", cli->threshold);
    return texts;
}

void result_add_latents(GPtrArray *texts, const real_t *z, size_t n, size_t Z) {
    for (size_t i = 0; i < n; i++) {
        g_autofree char *text = latent_to_text(z + i * Z, Z);
        if (n == 1)
            result_add_text(texts, "latent: %s", text);
        else
            result_add_text(texts, "latent %zu: %s", i + 1, text);
    }
}

static char *path_of(const cli_t *cli, const char *name, const char *ending) {
    g_autofree char *file = g_strconcat(name, ending, NULL);
    return g_build_filename(cli->output, file, NULL);
}

/* Written whole: print its path at once, so that what stands there is known even where a later file fails. */
static gboolean print_path(const char *path, GError **error) {
    if (puts(path) >= 0 && fflush(stdout) == 0) return TRUE;
    g_set_error(error, RESULT_ERROR, RESULT_ERROR_WRITE, "standard output: cannot print the path %s: %s", path, g_strerror(errno));
    return FALSE;
}

gboolean result_write_picture(const cli_t *cli, const char *name, GBytes *picture, GError **error) {
    if (picture == NULL) return FALSE;
    g_autofree char *path = path_of(cli, name, cli->picture == PICTURE_SVG ? ".svg" : ".png");
    g_autoptr(GError) cause = NULL;
    gsize length;
    const char *bytes = g_bytes_get_data(picture, &length);
    const gboolean ok = g_file_set_contents_full(path, bytes, (gssize)length, G_FILE_SET_CONTENTS_CONSISTENT, 0666, &cause);
    g_bytes_unref(picture);
    if (ok) return print_path(path, error);
    g_set_error(error, RESULT_ERROR, RESULT_ERROR_WRITE, "%s: cannot write: %s; make room or give another --output", path, program_cause(cause));
    return FALSE;
}

static const char *const sound_endings[] = {[AUDIO_NONE] = "", [AUDIO_WAV] = ".wav", [AUDIO_FLAC] = ".flac", [AUDIO_OGG] = ".ogg"};

/* MIDI and sound. */
static gboolean write_music(const result_writer_t *writer, const char *name, const roll_t *roll, const result_time_t *time, const GPtrArray *texts,
                            GError **error) {
    const cli_t *cli = writer->cli;
    const grid_t *grid = &writer->model->head.grid;
    g_autofree char *midi = path_of(cli, name, ".mid"), *sound = path_of(cli, name, sound_endings[cli->audio]);
    g_autoptr(song_t) song = roll_to_song(roll, grid, time->tempo_bpm, time->meter);
    for (guint i = 0; i < texts->len; i++) g_ptr_array_add(song->texts, g_strdup(texts->pdata[i]));
    if (!midi_write(song, midi, error) || !print_path(midi, error)) return FALSE;
    if (song->notes->len == 0 && writer->model->head.model.kind == MODEL_SEQUENCE)
        program_say("warning: %s has no notes: the model has written silence; try %s\n", midi,
                    cli->draw ? "another --seed or --temperature" : "--sample");
    else if (song->notes->len == 0)
        program_say("warning: %s has no notes: no key reaches the threshold; try --density, --sample or --threshold %.2g\n", midi,
                    cli->threshold / 2);
    else if (!cli->quiet)
        program_say("%s: %u notes, %.4g bars of %d/%d, %.4g bpm\n", midi, song->notes->len,
                    (double)roll->frames / sample_bar_frames(grid, time->meter), time->meter.numerator, time->meter.denominator, time->tempo_bpm);
    if (writer->soundfont == NULL) return TRUE;
    const double seconds = (double)roll->frames / grid->steps_per_beat * 60 / time->tempo_bpm;
    return audio_render(midi, writer->soundfont, seconds, cli->audio, sound, error) && print_path(sound, error);
}

gboolean result_write(const result_writer_t *writer, const char *name, const char *title, const roll_t *roll, const result_time_t *time,
                      const GPtrArray *texts, GError **error) {
    const cli_t *cli = writer->cli;
    if (!write_music(writer, name, roll, time, texts, error)) return FALSE;
    if (!cli->picture) return TRUE;
    return result_write_picture(cli, name, picture_roll(roll, &writer->model->head.grid, time->meter, title, cli->picture, error), error);
}

/* Rolls end to end, each beginning with a bar. */
static roll_t *join_rolls(roll_t *const *rolls, size_t n, double bar) {
    const size_t frames = (size_t)ceil(ceil((double)rolls[0]->frames / bar - 1e-9) * bar);
    roll_t *whole = roll_new(n * frames, rolls[0]->tracks, rolls[0]->pitches);
    const size_t frame_bytes = whole->tracks * ROLL_PLANES * whole->stride;
    for (size_t i = 0; i < n; i++) memcpy(whole->bits + i * frames * frame_bytes, rolls[i]->bits, rolls[i]->frames * frame_bytes);
    roll_make_canonical(whole);
    return whole;
}

gboolean result_write_sheet(const result_writer_t *writer, const char *name, const char *title, roll_t *const *rolls, char *const *labels, size_t n,
                            const result_time_t *time, const GPtrArray *texts, GError **error) {
    const cli_t *cli = writer->cli;
    const grid_t *grid = &writer->model->head.grid;
    g_autoptr(roll_t) whole = join_rolls(rolls, n, sample_bar_frames(grid, time->meter));
    if (!write_music(writer, name, whole, time, texts, error)) return FALSE;
    if (!cli->picture) return TRUE;
    return result_write_picture(cli, name, picture_sheet(rolls, labels, n, grid, time->meter, title, cli->picture, error), error);
}
