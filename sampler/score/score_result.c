/* score_result: owns how what was found out is told: the line of JSON and the table. Refuses nothing. */
#include "sampler/score/score_result.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preprocess/common/json.h"
#include "preprocess/common/program.h"

void score_result_clear(score_result_t *result) {
    score_table_t *const tables[] = {&result->of_pieces, &result->of_real, &result->of_shuffled};
    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) g_free(tables[i]->values);
    for (size_t v = 0; v < result->n_voices; v++) {
        g_free(result->voices[v].of_pieces);
        g_free(result->voices[v].of_held);
    }
    g_free(result->values);
    g_free(result->distances);
    g_free(result->histograms);
    g_free(result->seams);
    g_free(result->real_seams);
    score_set_free(result->pieces);
    score_set_free(result->real);
    score_set_free(result->train);
    score_set_free(result->own_held);
}

/* ---- seams and passages as numbers ---- */

/* Summarises one number of n seams; `of` points to the first seam's. */
static score_summary_t seam_summary(const double *of, size_t n) {
    return score_summarise(of, n, SEAM_NUMBERS);
}

typedef enum { PASSAGE_EVENTS, PASSAGE_BEATS, PASSAGE_SHARE, PASSAGE_PARTS } passage_part_t;
static const char *const passage_parts[PASSAGE_PARTS] = {"events", "beats", "share"};

static double passage_value(const passage_t *passage, passage_part_t part, const grid_t *grid) {
    switch (part) {
    case PASSAGE_EVENTS: return (double)passage->events;
    case PASSAGE_BEATS: return (double)passage->frames / grid->steps_per_beat;
    default: return passage->piece_events > 0 ? (double)passage->events / (double)passage->piece_events : 0;
    }
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One number of several passages, summarised; NaN where there are none. */
typedef struct {
    double mean, median, most;
} spread_t;

static spread_t passage_spread(const passage_t *passages, size_t n, passage_part_t part, const grid_t *grid) {
    if (n == 0) return (spread_t){NAN, NAN, NAN};
    g_autofree double *values = g_new(double, n);
    for (size_t i = 0; i < n; i++) values[i] = passage_value(&passages[i], part, grid);
    const double mean = score_summarise(values, n, 1).mean;
    qsort(values, n, sizeof values[0], by_size);
    return (spread_t){mean, (values[(n - 1) / 2] + values[n / 2]) / 2, values[n - 1]};
}

/* A figure of the pieces, and where they lie between real songs and shuffled tracks. */
typedef struct {
    score_summary_t pieces, real, shuffled;
    double place;
    const char *nearer; /* NULL: cannot be told */
} figure_t;

static score_summary_t table_summary(const score_table_t *table, size_t f) {
    return score_summarise(table->values + f, table->n, table->numbers);
}

static figure_t figure_of(const score_result_t *result, size_t f) {
    figure_t figure = {.pieces = table_summary(&result->of_pieces, f)};
    if (!result->real) return figure;
    figure.real = table_summary(&result->of_real, f);
    figure.shuffled = table_summary(&result->of_shuffled, f);
    figure.place = score_place(figure.pieces, figure.real, figure.shuffled);
    figure.nearer = isnan(figure.place) ? NULL : figure.place < 0.5 ? "real" : "shuffled";
    return figure;
}

/* ---- JSON ---- */

static void add_summary(json_t *json, score_summary_t summary) {
    json_number(json, "mean", summary.mean);
    json_number(json, "sd", summary.sd);
    json_count(json, "n", summary.n);
}

static void add_named_summary(json_t *json, const char *name, score_summary_t summary) {
    json_open(json, name, '{');
    add_summary(json, summary);
    json_close(json, '{');
}

static void add_distribution(json_t *json, const char *name, const distribution_t *distribution) {
    json_open(json, name, '{');
    json_number(json, "overlap", distribution->overlap);
    json_number(json, "kl", distribution->kl);
    json_close(json, '{');
}

static void add_figures(json_t *json, const score_result_t *result) {
    json_open(json, "figures", '{');
    for (size_t f = 0; f < result->of_pieces.figures; f++) {
        const figure_t figure = figure_of(result, f);
        g_autofree char *name = score_name(&result->pieces->grid, f);
        json_open(json, name, '{');
        add_summary(json, figure.pieces);
        if (result->real) {
            add_named_summary(json, "real", figure.real);
            add_named_summary(json, "shuffled", figure.shuffled);
            json_number(json, "place", figure.place);
            json_text(json, "nearer", figure.nearer);
            add_distribution(json, "values", &result->values[f]);
            add_distribution(json, "distances", &result->distances[f]);
        }
        json_close(json, '{');
    }
    json_close(json, '{');
}

static void add_histograms(json_t *json, const score_result_t *result) {
    json_open(json, "histograms", '{');
    for (notes_histogram_t h = 0; h < NOTES_HISTOGRAMS; h++) {
        json_open(json, notes_histogram_name(h), '{');
        add_distribution(json, "distances", &result->histograms[h]);
        json_close(json, '{');
    }
    json_close(json, '{');
}

static void add_seams(json_t *json, const score_result_t *result) {
    const seam_t *all = result->seams;
    const size_t n = result->pieces->n;
    json_open(json, "seam", '{');
    json_count(json, "frames", result->seam_frames);
    add_summary(json, seam_summary(&all->seam, n));
    add_named_summary(json, "real", seam_summary(&result->real_seams->seam, result->real->n));
    json_number(json, "border", seam_summary(&all->border, n).mean);
    json_number(json, "inside", seam_summary(&all->inside, n).mean);
    json_open(json, "features", '{');
    for (size_t f = 0; f < SEAM_FEATURES; f++) {
        json_open(json, seam_feature_name((seam_feature_t)f), '{');
        json_number(json, "border", seam_summary(&all->at_border[f], n).mean);
        json_number(json, "inside", seam_summary(&all->at_inside[f], n).mean);
        json_close(json, '{');
    }
    json_close(json, '{');
    json_close(json, '{');
}

static void add_spreads(json_t *json, const passage_t *passages, size_t n, const grid_t *grid) {
    for (passage_part_t part = 0; part < PASSAGE_PARTS; part++) {
        const spread_t spread = passage_spread(passages, n, part, grid);
        json_open(json, passage_parts[part], '{');
        json_number(json, "mean", spread.mean);
        json_number(json, "median", spread.median);
        json_number(json, "most", spread.most);
        json_close(json, '{');
    }
}

static void add_originality(json_t *json, const score_result_t *result) {
    g_autofree char *folder = g_filename_display_name(result->originality);
    json_open(json, "originality", '{');
    json_text(json, "corpus", folder);
    json_count(json, "songs", result->train->n);
    json_text(json, "split", result->split);
    json_count(json, "held_out", result->held ? result->held->n : 0);
    json_open(json, "passages", '{');
    for (size_t v = 0; v < result->n_voices; v++) {
        const score_voice_t *voice = &result->voices[v];
        json_open(json, voice->name, '{');
        add_spreads(json, voice->of_pieces, result->pieces->n, &result->pieces->grid);
        if (result->held) {
            json_open(json, "real", '{');
            add_spreads(json, voice->of_held, result->held->n, &result->pieces->grid);
            json_close(json, '{');
        }
        json_close(json, '{');
    }
    json_close(json, '{');
    json_close(json, '{');
}

static void add_passage(json_t *json, const score_result_t *result, const score_voice_t *voice, size_t i) {
    const passage_t *passage = &voice->of_pieces[i];
    json_open(json, voice->name, '{');
    json_count(json, "events", passage->events);
    json_count(json, "notes", passage->notes);
    json_count(json, "frames", passage->frames);
    json_number(json, "beats", passage_value(passage, PASSAGE_BEATS, &result->pieces->grid));
    json_number(json, "share", passage_value(passage, PASSAGE_SHARE, &result->pieces->grid));
    if (passage->events > 0) {
        json_count(json, "first", passage->first);
        json_text(json, "song", result->train->pieces[passage->song].name);
        json_count(json, "song_first", passage->song_first);
        json_number(json, "semitones", passage->semitones);
    }
    json_close(json, '{');
}

static void add_file(json_t *json, const score_result_t *result, size_t i) {
    const score_piece_t *piece = &result->pieces->pieces[i];
    g_autofree char *meter = g_strdup_printf("%d/%d", piece->meter.numerator, piece->meter.denominator);
    json_open(json, NULL, '{');
    json_text(json, "file", piece->name);
    json_count(json, "frames", piece->roll->frames);
    json_number(json, "bars", timeline_bar_at(piece->timeline, (double)piece->roll->frames));
    json_text(json, "meter", meter);
    json_number(json, "tempo_bpm", piece->tempo_bpm);
    json_open(json, "figures", '{');
    for (size_t f = 0; f < result->of_pieces.figures; f++) {
        g_autofree char *name = score_name(&result->pieces->grid, f);
        json_number(json, name, result->of_pieces.values[i * result->of_pieces.numbers + f]);
    }
    json_close(json, '{');
    if (result->seam_frames > 0) json_number(json, "seam", result->seams[i].seam);
    if (result->n_voices > 0) {
        json_open(json, "passages", '{');
        for (size_t v = 0; v < result->n_voices; v++) add_passage(json, result, &result->voices[v], i);
        json_close(json, '{');
    }
    json_close(json, '{');
}

static void add_grid(json_t *json, const grid_t *grid) {
    g_autofree char *tracks = grid_tracks_string(grid);
    json_open(json, "grid", '{');
    json_count(json, "steps_per_beat", (size_t)grid->steps_per_beat);
    json_count(json, "pitch_low", (size_t)grid->pitch_low);
    json_count(json, "pitches", (size_t)grid->pitches);
    json_text(json, "tracks", tracks);
    json_close(json, '{');
}

char *score_result_json(const score_result_t *result) {
    json_t line = {.text = g_string_new(NULL), .style = JSON_ROUNDED}, *json = &line;
    json_open(json, NULL, '{');
    json_count(json, "pieces", result->pieces->n);
    json_count(json, "skipped", result->pieces->skipped);
    add_grid(json, &result->pieces->grid);
    if (result->real) {
        g_autofree char *folder = g_filename_display_name(result->corpus);
        json_text(json, "corpus", folder);
        json_text(json, "split", result->split);
        json_count(json, "songs", result->real->n);
    }
    add_figures(json, result);
    if (result->real) add_histograms(json, result);
    if (result->seam_frames > 0) add_seams(json, result);
    if (result->n_voices > 0) add_originality(json, result);
    json_open(json, "files", '[');
    for (size_t i = 0; i < result->pieces->n; i++) add_file(json, result, i);
    json_close(json, '[');
    json_close(json, '{');
    return g_string_free(line.text, FALSE);
}

/* ---- the table ---- */

static void show_cell(const char *format, double a, double b, gboolean last) G_GNUC_PRINTF(1, 0);
static void show_cell(const char *format, double a, double b, gboolean last) {
    char text[48] = "-";
    if (!isnan(a)) g_snprintf(text, sizeof text, format, a, b);
    char *missing = strstr(text, " (nan)");
    if (missing) *missing = '\0';
    fprintf(stderr, last ? "  %s" : "  %-18s", text);
}

static void show_summary(score_summary_t summary, gboolean last) {
    show_cell("%.3f (%.3f)", summary.mean, summary.sd, last);
}

static void show_heading(const char *what, gboolean real, const char *shuffled) {
    fprintf(stderr, real ? "\n%-32s  %-18s  " : "\n%-32s  %s", what, "pieces");
    if (real)
        fprintf(stderr, "%s%s", shuffled ? "real songs          " : "real songs", shuffled ? shuffled : "");
    fputc('\n', stderr);
}

/* Begins a row of the table, and before it its group, where that is another than *group. */
static void show_name(char *name, const char *of, const char **group) {
    if (*group != of) fprintf(stderr, "%s\n", of);
    *group = of;
    fprintf(stderr, "  %-30s", g_strdelimit(name, "_", ' '));
}

static void show_figures(const score_result_t *result) {
    const gboolean real = result->real != NULL;
    const char *group = NULL;
    show_heading("mean (standard deviation)", real, "shuffled tracks     nearer to");
    for (size_t f = 0; f < result->of_pieces.figures; f++) {
        const figure_t figure = figure_of(result, f);
        g_autofree char *name = score_name(&result->pieces->grid, f);
        if (figure.pieces.n == 0) continue;
        show_name(name, score_group(f), &group);
        show_summary(figure.pieces, !real);
        if (real) {
            show_summary(figure.real, FALSE);
            show_summary(figure.shuffled, FALSE);
            fprintf(stderr, "  %s", figure.nearer ? figure.nearer : "-");
        }
        fputc('\n', stderr);
    }
}

static void show_distribution(const distribution_t *distribution, gboolean last) {
    show_cell("%.3f (%.3f)", distribution->overlap, distribution->kl, last);
}

/* Figures that have a density on neither side are left out. */
static void show_distributions(const score_result_t *result) {
    const char *group = NULL;
    fprintf(stderr, "\n%-32s  %-18s  %s\n", "overlap (KL) with real songs", "of values", "of distances");
    for (size_t f = 0; f < result->of_pieces.figures; f++) {
        const distribution_t *values = &result->values[f], *distances = &result->distances[f];
        g_autofree char *name = score_name(&result->pieces->grid, f);
        if (isnan(values->overlap) && isnan(distances->overlap)) continue;
        show_name(name, score_group(f), &group);
        show_distribution(values, FALSE);
        show_distribution(distances, TRUE);
        fputc('\n', stderr);
    }
    for (notes_histogram_t h = 0; h < NOTES_HISTOGRAMS; h++) {
        g_autofree char *name = g_strdup(notes_histogram_name(h));
        if (isnan(result->histograms[h].overlap)) continue;
        show_name(name, "histograms", &group);
        show_cell("%.3f (%.3f)", NAN, NAN, FALSE);
        show_distribution(&result->histograms[h], TRUE);
        fputc('\n', stderr);
    }
}

static void show_seams(const score_result_t *result) {
    const seam_t *all = result->seams;
    const size_t n = result->pieces->n;
    g_autofree char *heading = g_strdup_printf("seams, every %zu frames", result->seam_frames);
    show_heading(heading, TRUE, NULL);
    fprintf(stderr, "%-32s", "seam");
    show_summary(seam_summary(&all->seam, n), FALSE);
    show_summary(seam_summary(&result->real_seams->seam, result->real->n), TRUE);
    fprintf(stderr, "\n%-32s  %-18s  %s\n", "in sd of real songs", "at borders", "inside");
    for (size_t f = 0; f < SEAM_FEATURES; f++) {
        fprintf(stderr, "  %-30s", seam_feature_name((seam_feature_t)f));
        const score_summary_t border = seam_summary(&all->at_border[f], n),
                              inside = seam_summary(&all->at_inside[f], n);
        show_cell("%+.3f (%.3f)", border.mean, border.sd, FALSE);
        show_cell("%+.3f (%.3f)", inside.mean, inside.sd, TRUE);
        fputc('\n', stderr);
    }
}

static void show_passages(const score_result_t *result) {
    const grid_t *grid = &result->pieces->grid;
    g_autofree char *heading = g_strdup_printf("shared with %zu training %s", result->train->n,
                                               g_dngettext(NULL, "song", "songs", result->train->n));
    show_heading(heading, result->held != NULL, NULL);
    for (size_t v = 0; v < result->n_voices; v++) {
        const score_voice_t *voice = &result->voices[v];
        for (passage_part_t part = 0; part < PASSAGE_SHARE; part++) {
            const spread_t pieces = passage_spread(voice->of_pieces, result->pieces->n, part, grid);
            if (pieces.most <= 0) continue;
            g_autofree char *name =
                g_strdup_printf("%s: %s, median (most)", voice->name, passage_parts[part]);
            fprintf(stderr, "%-32s", name);
            show_cell("%.4g (%.4g)", pieces.median, pieces.most, !result->held);
            if (result->held) {
                const spread_t real = passage_spread(voice->of_held, result->held->n, part, grid);
                show_cell("%.4g (%.4g)", real.median, real.most, TRUE);
            }
            fputc('\n', stderr);
        }
    }
    if (!result->held) fprintf(stderr, "no yardstick: no held-out songs in split %s\n", result->split);
}

void score_result_show(const score_result_t *result) {
    program_say("%zu %s", result->pieces->n, g_dngettext(NULL, "piece", "pieces", result->pieces->n));
    if (result->pieces->skipped > 0) fprintf(stderr, " (%zu left out)", result->pieces->skipped);
    if (result->real)
        fprintf(stderr, ", beside %zu %s of %s (%s)", result->real->n,
                g_dngettext(NULL, "song", "songs", result->real->n), result->corpus, result->split);
    fputc('\n', stderr);
    show_figures(result);
    if (result->real) show_distributions(result);
    if (result->seam_frames > 0) show_seams(result);
    if (result->n_voices > 0) show_passages(result);
}
