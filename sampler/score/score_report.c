/* score_report: owns what is compared with what. Refuses a corpus without songs in the split that is asked
 * for, and two corpora of different grids. */
#include "sampler/score/score_report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/common/program.h"

/* ---- figures ---- */

static score_table_t table_new(const grid_t *grid, size_t n) {
    const size_t numbers = score_numbers(grid);
    return (score_table_t){
        .n = n, .figures = score_count(grid), .numbers = numbers, .values = g_new(double, n *numbers)};
}

static score_table_t measure_set(const score_set_t *set) {
    score_table_t table = table_new(&set->grid, set->n);
    for (size_t i = 0; i < set->n; i++)
        score_measure(set->pieces[i].roll, &set->grid, set->pieces[i].timeline,
                      table.values + i * table.numbers);
    return table;
}

static numbers_t table_numbers(const score_table_t *table, size_t first, size_t size) {
    return (numbers_t){table->values + first, table->n, table->numbers, size};
}

/* The figures and histograms of the pieces beside those of the real songs. */
static void compare_figures(score_result_t *result) {
    const score_table_t *real = &result->of_real, *pieces = &result->of_pieces;
    const size_t figures = pieces->figures;
    result->values = g_new(distribution_t, figures);
    result->distances = g_new(distribution_t, figures);
    result->histograms = g_new(distribution_t, NOTES_HISTOGRAMS);
    for (size_t f = 0; f < figures; f++) {
        const numbers_t of_real = table_numbers(real, f, 1), of_pieces = table_numbers(pieces, f, 1);
        distribution_of_values(of_real, of_pieces, &result->values[f]);
        distribution_of_distances(of_real, of_pieces, &result->distances[f]);
    }
    for (notes_histogram_t h = 0; h < NOTES_HISTOGRAMS; h++) {
        const size_t first = figures + notes_histogram_first(h), size = notes_histogram_size(h);
        distribution_of_distances(table_numbers(real, first, size), table_numbers(pieces, first, size),
                                  &result->histograms[h]);
    }
}

static roll_t **rolls_of(const score_set_t *set) {
    roll_t **rolls = g_new(roll_t *, set->n);
    for (size_t i = 0; i < set->n; i++) rolls[i] = set->pieces[i].roll;
    return rolls;
}

static score_table_t measure_shuffled(const score_set_t *set, uint64_t seed) {
    if (set->n < 2 || set->grid.n_tracks < 2) return table_new(&set->grid, 0);
    score_table_t table = table_new(&set->grid, set->n);
    g_autofree roll_t **rolls = rolls_of(set);
    for (size_t i = 0; i < set->n; i++) {
        g_autoptr(roll_t) roll = score_shuffle(rolls, set->n, i, seed);
        score_measure(roll, &set->grid, set->pieces[score_shuffle_source(set->n, i, 0, seed)].timeline,
                      table.values + i * table.numbers);
    }
    return table;
}

/* ---- seams ---- */

/* The values [n][SEAM_FEATURES][frames] of all pieces. Owner: caller. */
static double *measure_seams(const score_set_t *set, size_t frames) {
    double *values = g_new(double, set->n *SEAM_FEATURES *frames);
    for (size_t i = 0; i < set->n; i++)
        seam_measure(set->pieces[i].roll, &set->grid, frames, values + i * SEAM_FEATURES * frames);
    return values;
}

static seam_t *score_seams(const seam_yardstick_t *yardstick, const double *values, size_t n) {
    seam_t *seams = g_new(seam_t, n);
    for (size_t i = 0; i < n; i++)
        seams[i] = seam_score(yardstick, values + i * SEAM_FEATURES * yardstick->frames);
    return seams;
}

static void find_seams(score_result_t *result) {
    const size_t frames = result->seam_frames, songs = result->real->n;
    if (songs < SEAM_LEAST_SONGS)
        program_say("warning: %s: --seam: %zu %s in split %s %s too few to tell how much songs differ: "
                    "seams mean little; take %d or more\n",
                    result->corpus, songs, g_dngettext(NULL, "song", "songs", songs), result->split,
                    g_dngettext(NULL, "is", "are", songs), SEAM_LEAST_SONGS);
    g_autofree double *of_pieces = measure_seams(result->pieces, frames),
                      *of_real = measure_seams(result->real, frames);
    g_autoptr(seam_yardstick_t) yardstick = seam_yardstick_new(of_real, result->real->n, frames);
    result->seams = score_seams(yardstick, of_pieces, result->pieces->n);
    result->real_seams = score_seams(yardstick, of_real, result->real->n);
}

/* ---- originality ---- */

static passage_t *find_passages(const originality_t *originality, const score_set_t *set) {
    passage_t *passages = g_new(passage_t, set->n);
    for (size_t i = 0; i < set->n; i++) passages[i] = originality_find(originality, set->pieces[i].roll);
    return passages;
}

static gboolean add_voice(score_result_t *result, const char *name, guint tracks, GError **error) {
    g_autofree roll_t **rolls = rolls_of(result->train);
    g_autoptr(originality_t) originality =
        originality_new((const roll_t *const *)rolls, result->train->n, &result->train->grid, tracks, error);
    if (!originality) return FALSE;
    result->voices[result->n_voices++] = (score_voice_t){
        .name = name,
        .of_pieces = find_passages(originality, result->pieces),
        .of_held = result->held ? find_passages(originality, result->held) : NULL,
    };
    return TRUE;
}

/* All pitched tracks as one, and each alone where there are several. */
static gboolean find_voices(score_result_t *result, GError **error) {
    const grid_t *grid = &result->train->grid;
    int pitched = 0;
    if (!add_voice(result, "all", G_MAXUINT, error)) return FALSE;
    for (int k = 0; k < grid->n_tracks; k++) pitched += grid->roles[k] != ROLE_DRUMS;
    for (int k = 0; pitched > 1 && k < grid->n_tracks; k++)
        if (grid->roles[k] != ROLE_DRUMS && !add_voice(result, role_name(grid->roles[k]), 1u << k, error))
            return FALSE;
    return TRUE;
}

/* ---- what is read ---- */

static grid_t grid_of_files(const score_request_t *request) {
    grid_t grid = grid_default();
    if (request->steps_per_beat > 0) grid.steps_per_beat = request->steps_per_beat;
    grid_set_tracks(&grid, request->tracks ? request->tracks : "melody,chords,bass,drums",
                    NULL); /* the caller has checked them */
    return grid;
}

/* Opens a split, which must have songs. */
static score_set_t *open_split(const char *folder, const char *split, GError **error) {
    split_t which = SPLIT_TEST;
    split_from_name(split, &which);
    g_autoptr(score_set_t) set = score_set_open(folder, which, error);
    if (!set || set->n > 0) return g_steal_pointer(&set);
    program_fail(error, "%s: has no songs in split %s; give another --split", folder, split);
    return NULL;
}

/* Opens the training songs, and held-out ones as their yardstick. */
static gboolean open_training(score_result_t *result, GError **error) {
    split_t split = SPLIT_TEST;
    split_from_name(result->split, &split);
    if ((result->train = open_split(result->originality, split_name(SPLIT_TRAIN), error)) == NULL)
        return FALSE;
    if (result->real && !grid_equal(&result->real->grid, &result->train->grid))
        return program_fail(error,
                            "%s: lies on another grid than %s; give --corpus and --originality shards of one "
                            "preprocess command",
                            result->originality, result->corpus);
    if (split == SPLIT_TRAIN) return TRUE;
    if (result->real && strcmp(result->corpus, result->originality) == 0)
        result->held = result->real;
    else if ((result->held = result->own_held = score_set_open(result->originality, split, error)) == NULL)
        return FALSE;
    if (result->held->n == 0) result->held = NULL;
    return TRUE;
}

static gboolean read_all(score_result_t *result, const score_request_t *request, GError **error) {
    if (result->corpus && (result->real = open_split(result->corpus, result->split, error)) == NULL)
        return FALSE;
    if (result->originality && !open_training(result, error)) return FALSE;
    const grid_t grid = result->real    ? result->real->grid
                        : result->train ? result->train->grid
                                        : grid_of_files(request);
    result->pieces = score_set_read(request->files, &grid, error);
    if (!result->pieces) return FALSE;
    if (request->meter.numerator == 0) return TRUE;
    score_set_t *const sets[] = {result->pieces, result->real};
    for (size_t i = 0; i < G_N_ELEMENTS(sets); i++)
        if (sets[i]) score_set_use_meter(sets[i], request->meter);
    return TRUE;
}

/* ---- the verb ---- */

gboolean score_report(const score_request_t *request, score_result_t *result, GError **error) {
    *result = (score_result_t){
        .corpus = request->corpus,
        .originality = request->originality,
        .split = request->split ? request->split : split_name(SPLIT_TEST),
        .seam_frames = request->seam_frames,
    };
    if (!read_all(result, request, error)) return FALSE;
    result->of_pieces = measure_set(result->pieces);
    if (result->real) {
        result->of_real = measure_set(result->real);
        result->of_shuffled = measure_shuffled(result->real, request->seed);
        compare_figures(result);
    }
    if (result->seam_frames > 0) find_seams(result);
    if (result->train && !find_voices(result, error)) return FALSE;
    g_autofree char *json = score_result_json(result);
    if (puts(json) < 0 || fflush(stdout) != 0)
        return program_fail(error, "standard output: cannot print the figures: %s", g_strerror(errno));
    if (!request->quiet) score_result_show(result);
    return TRUE;
}
