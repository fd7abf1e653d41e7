/* Owns the way to a verb: the model and its kind, one function behind each verb; and what verbs share: songs,
 * bars, keys, names. Refuses features and bars that the model or the song does not have. */
#include "sampler/command/verbs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "preprocess/corpus/song_file.h"
#include "sampler/command/verb.h"
#include "sampler/make/latent.h"
#include "sampler/score/score_report.h"
#include "sampler/show/audio.h"
#include "sampler/show/curves.h"
#include "trainer/model/layers.h"

timeline_t *verb_own_timeline(const result_writer_t *writer) {
    const checkpoint_t *checkpoint = &writer->model->checkpoint;
    const double tempo_bpm = writer->cli->tempo_bpm > 0 ? writer->cli->tempo_bpm : checkpoint->tempo_bpm;
    return timeline_new(checkpoint->grid.steps_per_beat, tempo_bpm, checkpoint->meter);
}

gboolean verb_read_song(const result_writer_t *writer, const char *path, verb_song_t *song, GError **error) {
    song_file_t entry;
    *song = (verb_song_t){0};
    song->roll = song_file_read_roll(path, &writer->model->checkpoint.grid, &entry, &song->timeline, error);
    if (song->roll == NULL) return FALSE;
    song->tempo_bpm = entry.tempo_bpm;
    song->meter = entry.meter;
    if (writer->cli->tempo_bpm > 0)
        timeline_set_tempo(song->timeline, song->tempo_bpm = writer->cli->tempo_bpm);
    return TRUE;
}

void verb_song_clear(verb_song_t *song) {
    g_clear_pointer(&song->roll, roll_free);
    g_clear_pointer(&song->timeline, timeline_free);
}

timeline_t *verb_common_timeline(const verb_song_t *a, size_t a_first, const verb_song_t *b, size_t b_first,
                                 size_t frames) {
    g_autoptr(timeline_t) of_a = timeline_slice(a->timeline, (int64_t)a_first, (int64_t)frames),
                          of_b = timeline_slice(b->timeline, (int64_t)b_first, (int64_t)frames);
    if (timeline_equal(of_a, of_b)) return g_steal_pointer(&of_a);
    return timeline_new(a->timeline->steps_per_beat, a->tempo_bpm, a->meter);
}

size_t verb_bars_frames(const timeline_t *timeline, size_t bars) {
    return (size_t)ceil(timeline_bar_frame(timeline, bars) - 1e-9);
}

size_t verb_bars_of(const timeline_t *timeline, size_t frames) {
    return (size_t)ceil(timeline_bar_at(timeline, (double)frames) - 1e-9);
}

gboolean verb_first_frame(const result_writer_t *writer, const char *path, const verb_song_t *song,
                          size_t *first, GError **error) {
    const int number = writer->cli->bar;
    *first = (size_t)floor(timeline_bar_frame(song->timeline, (size_t)number - 1) + 1e-9);
    if (*first < song->roll->frames) return TRUE;
    const size_t bars = verb_bars_of(song->timeline, song->roll->frames);
    return option_fail(error, "%s: cannot begin at bar %d: the song has %zu bar%s; give a smaller --bar",
                       path, number, bars, bars == 1 ? "" : "s");
}

/* Adds by times the vector of each of the attributes named. */
static gboolean add_attributes(const char *path, const attributes_t *attributes, char *const *wanted,
                               double by, real_t *shift, GError **error) {
    const size_t Z = attributes->Z;
    for (; wanted != NULL && *wanted != NULL; wanted++) {
        const size_t i = attributes_find(attributes, *wanted);
        if (i == attributes->n) {
            g_autoptr(GString) names = g_string_new(attributes->info[0].name);
            for (size_t k = 1; k < attributes->n; k++)
                g_string_append_printf(names, ", %s", attributes->info[k].name);
            return option_fail(error, "%s: has no attribute '%s'; it has %s", path, *wanted, names->str);
        }
        if (attributes->info[i].r2 < ATTRIBUTES_FAINT_R2)
            program_say("warning: %s: the latents hardly tell %s (R^2 %.2f): expect little of it\n", path,
                        *wanted, attributes->info[i].r2);
        for (size_t j = 0; j < Z; j++) shift[j] += (real_t)(by * attributes->vectors[i * Z + j]);
    }
    return TRUE;
}

/* --more and --less: *shift [Z], --strength times the vectors of those attributes, added up; NULL where none
 * is asked for. */
static gboolean read_shift(const cli_t *cli, const sample_model_t *model, real_t **shift, GError **error) {
    g_auto(attributes_t) attributes = {0};
    *shift = NULL;
    if (cli->more == NULL && cli->less == NULL) return TRUE;
    if (!checkpoint_read_attributes(model->path, &attributes, error)) return FALSE;
    *shift = g_new0(real_t, attributes.Z);
    return add_attributes(model->path, &attributes, cli->more, cli->strength, *shift, error) &&
           add_attributes(model->path, &attributes, cli->less, -cli->strength, *shift, error);
}

/* --latent: *latents [n, Z]; NULL where none is given. */
static gboolean read_latents(const cli_t *cli, const sample_model_t *model, real_t **latents,
                             GError **error) {
    const size_t Z = model->checkpoint.model.latent,
                 n = cli->latents != NULL ? g_strv_length(cli->latents) : 0;
    g_autoptr(GError) cause = NULL;
    *latents = n > 0 ? g_new(real_t, n * Z) : NULL;
    for (size_t i = 0; i < n; i++)
        if (!latent_from_text(cli->latents[i], *latents + i * Z, Z, &cause))
            return option_fail(error, "%s", cause->message);
    return TRUE;
}

void verb_set_key(const result_writer_t *writer, const char *name, roll_t *roll, GPtrArray *texts) {
    const cli_t *cli = writer->cli;
    const grid_t *grid = &writer->model->checkpoint.grid;
    musical_key_t found;
    size_t folded = 0;
    if (cli->key == NULL) return;
    result_add_text(texts, "key: %s", key_to_text(cli->wanted_key));
    if (!key_estimate(roll, grid, &found)) {
        program_say("warning: %s has no pitches that would make a key: --key changes nothing\n", name);
        return;
    }
    const int semitones = key_transpose(roll, grid, key_interval(found, cli->wanted_key), &folded);
    result_add_text(texts, "transposed: %d", semitones);
    if (!cli->quiet) program_say("%s: was in %s, transposed by %+d\n", name, key_to_text(found), semitones);
    if (folded > 0)
        program_say("warning: %s: %zu note%s would leave the model's pitches: moved in by octaves\n", name,
                    folded, folded == 1 ? "" : "s");
}

char *verb_stem(const char *path) {
    char *name = g_path_get_basename(path), *dot = strrchr(name, '.');
    if (dot != NULL && dot != name) *dot = '\0';
    return name;
}

char *verb_song_name(const result_writer_t *writer, guint i, GHashTable *names) {
    g_autofree char *stem = verb_stem(writer->cli->files[i]);
    char *name = g_strdup_printf("%s-%s", verb_name(writer->cli->verb), stem);
    if (g_hash_table_contains(names, name)) {
        g_free(name);
        name = g_strdup_printf("%s-%s-%u", verb_name(writer->cli->verb), stem, i + 1);
    }
    g_hash_table_add(names, g_strdup(name));
    return name;
}

static gboolean write_curves(const cli_t *cli, GError **error) {
    for (guint i = 0; i < cli->n_files; i++) {
        g_autofree char *name =
            cli->n_files == 1 ? g_strdup("curves") : g_strdup_printf("curves-%03u", i + 1);
        g_autoptr(GBytes) picture = curves_picture(cli->files[i], cli->picture, error);
        if (picture == NULL || !result_make_folder(cli, error)) return FALSE;
        if (!result_write_picture(cli, name, g_steal_pointer(&picture), error)) return FALSE;
    }
    return TRUE;
}

gboolean verbs_run(cli_t *cli, GError **error) {
    if (cli->verb == VERB_SCORE) return score_report(cli, error);
    if (cli->verb == VERB_CURVES) return write_curves(cli, error);
    g_autofree char *soundfont = cli->audio ? audio_soundfont(cli->soundfont, error) : NULL;
    if (cli->audio && soundfont == NULL) return FALSE;
    g_autoptr(sample_model_t) model = sample_model_open(cli->checkpoint, error);
    g_autofree real_t *latents = NULL, *shift = NULL;
    if (model == NULL || !cli_fit(cli, &model->checkpoint.model, error) ||
        !read_latents(cli, model, &latents, error) || !read_shift(cli, model, &shift, error) ||
        !result_make_folder(cli, error))
        return FALSE;
    const result_writer_t writer = {
        .cli = cli, .model = model, .soundfont = soundfont, .latents = latents, .shift = shift};
    const gboolean pieces = model->checkpoint.model.kind == MODEL_SEQUENCE;
    if (pieces) layers_set_threads(1); /* products of one row: threads would only wait for each other */
    return (pieces ? verbs_piece : verbs_window)[cli->verb](&writer, error);
}
