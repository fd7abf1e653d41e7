/* Owns what was found out, and how it is told: the line of JSON and the table. Refuses nothing. */
#include "sampler/score/score_result.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "sampler/score/line.h"

void score_result_clear(score_result_t *result) {
    score_table_t *const tables[] = {&result->of_pieces, &result->of_real, &result->of_shuffled};
    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) g_free(tables[i]->values);
    for (size_t v = 0; v < result->n_voices; v++) {
        g_free(result->voices[v].of_pieces);
        g_free(result->voices[v].of_held);
    }
    g_free(result->seams);
    g_free(result->real_seams);
    score_set_free(result->pieces);
    score_set_free(result->real);
    score_set_free(result->train);
    score_set_free(result->own_held);
}

score_summary_t score_table_summary(const score_table_t *table, size_t figure) {
    return score_summarise(table->values + figure * table->n, table->n);
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

score_spread_t score_spread(const double *values, size_t n) {
    if (n == 0) return (score_spread_t){NAN, NAN, NAN};
    g_autofree double *sorted = g_memdup2(values, n * sizeof values[0]);
    qsort(sorted, n, sizeof sorted[0], by_size);
    return (score_spread_t){score_summarise(values, n).mean, (sorted[(n - 1) / 2] + sorted[n / 2]) / 2,
                            sorted[n - 1]};
}

/* ---- seams and passages as numbers ---- */

typedef enum { SEAM_OVERALL, SEAM_BORDER, SEAM_INSIDE, SEAM_PARTS } seam_part_t;

/* A part of n seams, or of one feature of theirs where feature < SEAM_FEATURES. */
static score_summary_t seam_summary(const seam_t *seams, size_t n, seam_part_t part, size_t feature) {
    g_autofree double *values = g_new(double, n);
    for (size_t i = 0; i < n; i++) {
        if (feature < SEAM_FEATURES)
            values[i] = part == SEAM_BORDER ? seams[i].at_border[feature] : seams[i].at_inside[feature];
        else
            values[i] = part == SEAM_OVERALL  ? seams[i].seam
                        : part == SEAM_BORDER ? seams[i].border
                                              : seams[i].inside;
    }
    return score_summarise(values, n);
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

static score_spread_t passage_spread(const passage_t *passages, size_t n, passage_part_t part,
                                     const grid_t *grid) {
    g_autofree double *values = g_new(double, n);
    for (size_t i = 0; i < n; i++) values[i] = passage_value(&passages[i], part, grid);
    return score_spread(values, n);
}

static const char *nearer_to(double place) { return isnan(place) ? NULL : place < 0.5 ? "real" : "shuffled"; }

/* ---- JSON ---- */

static void add_summary(GString *line, score_summary_t summary) {
    line_number(line, "mean", summary.mean);
    line_number(line, "sd", summary.sd);
    line_count(line, "n", summary.n);
}

static void add_named_summary(GString *line, const char *name, score_summary_t summary) {
    line_open(line, name, '{');
    add_summary(line, summary);
    line_close(line, '{');
}

static void add_figures(GString *line, const score_result_t *result) {
    line_open(line, "figures", '{');
    for (size_t f = 0; f < result->of_pieces.figures; f++) {
        g_autofree char *name = score_name(&result->pieces->grid, f);
        const score_summary_t pieces = score_table_summary(&result->of_pieces, f);
        line_open(line, name, '{');
        add_summary(line, pieces);
        if (result->real != NULL) {
            const score_summary_t real = score_table_summary(&result->of_real, f),
                                  shuffled = score_table_summary(&result->of_shuffled, f);
            const double place = score_place(pieces, real, shuffled);
            add_named_summary(line, "real", real);
            add_named_summary(line, "shuffled", shuffled);
            line_number(line, "place", place);
            line_text(line, "nearer", nearer_to(place));
        }
        line_close(line, '{');
    }
    line_close(line, '{');
}

static void add_seams(GString *line, const score_result_t *result) {
    const size_t n = result->pieces->n, real = result->real->n;
    line_open(line, "seam", '{');
    line_count(line, "frames", result->seam_frames);
    add_summary(line, seam_summary(result->seams, n, SEAM_OVERALL, SEAM_FEATURES));
    add_named_summary(line, "real", seam_summary(result->real_seams, real, SEAM_OVERALL, SEAM_FEATURES));
    line_number(line, "border", seam_summary(result->seams, n, SEAM_BORDER, SEAM_FEATURES).mean);
    line_number(line, "inside", seam_summary(result->seams, n, SEAM_INSIDE, SEAM_FEATURES).mean);
    line_open(line, "features", '{');
    for (size_t f = 0; f < SEAM_FEATURES; f++) {
        line_open(line, seam_feature_name((seam_feature_t)f), '{');
        line_number(line, "border", seam_summary(result->seams, n, SEAM_BORDER, f).mean);
        line_number(line, "inside", seam_summary(result->seams, n, SEAM_INSIDE, f).mean);
        line_close(line, '{');
    }
    line_close(line, '{');
    line_close(line, '{');
}

static void add_spreads(GString *line, const passage_t *passages, size_t n, const grid_t *grid) {
    for (passage_part_t part = 0; part < PASSAGE_PARTS; part++) {
        const score_spread_t spread = passage_spread(passages, n, part, grid);
        line_open(line, passage_parts[part], '{');
        line_number(line, "mean", spread.mean);
        line_number(line, "median", spread.median);
        line_number(line, "most", spread.most);
        line_close(line, '{');
    }
}

static void add_originality(GString *line, const score_result_t *result) {
    g_autofree char *folder = g_filename_display_name(result->originality);
    line_open(line, "originality", '{');
    line_text(line, "corpus", folder);
    line_count(line, "songs", result->train->n);
    line_text(line, "split", result->split);
    line_count(line, "held_out", result->held != NULL ? result->held->n : 0);
    line_open(line, "passages", '{');
    for (size_t v = 0; v < result->n_voices; v++) {
        const score_voice_t *voice = &result->voices[v];
        line_open(line, voice->name, '{');
        add_spreads(line, voice->of_pieces, result->pieces->n, &result->pieces->grid);
        if (result->held != NULL) {
            line_open(line, "real", '{');
            add_spreads(line, voice->of_held, result->held->n, &result->pieces->grid);
            line_close(line, '{');
        }
        line_close(line, '{');
    }
    line_close(line, '{');
    line_close(line, '{');
}

static void add_passage(GString *line, const score_result_t *result, const score_voice_t *voice, size_t i) {
    const passage_t *passage = &voice->of_pieces[i];
    line_open(line, voice->name, '{');
    line_count(line, "events", passage->events);
    line_count(line, "notes", passage->notes);
    line_count(line, "frames", passage->frames);
    line_number(line, "beats", passage_value(passage, PASSAGE_BEATS, &result->pieces->grid));
    line_number(line, "share", passage_value(passage, PASSAGE_SHARE, &result->pieces->grid));
    if (passage->events > 0) {
        line_count(line, "first", passage->first);
        line_text(line, "song", result->train->pieces[passage->song].name);
        line_count(line, "song_first", passage->song_first);
        line_number(line, "semitones", passage->semitones);
    }
    line_close(line, '{');
}

static void add_file(GString *line, const score_result_t *result, size_t i) {
    const score_piece_t *piece = &result->pieces->pieces[i];
    g_autofree char *meter = g_strdup_printf("%d/%d", piece->meter.numerator, piece->meter.denominator);
    line_open(line, NULL, '{');
    line_text(line, "file", piece->name);
    line_count(line, "frames", piece->roll->frames);
    line_number(line, "bars", timeline_bar_at(piece->timeline, (double)piece->roll->frames));
    line_text(line, "meter", meter);
    line_number(line, "tempo_bpm", piece->tempo_bpm);
    line_open(line, "figures", '{');
    for (size_t f = 0; f < result->of_pieces.figures; f++) {
        g_autofree char *name = score_name(&result->pieces->grid, f);
        line_number(line, name, result->of_pieces.values[f * result->of_pieces.n + i]);
    }
    line_close(line, '{');
    if (result->seam_frames > 0) line_number(line, "seam", result->seams[i].seam);
    if (result->n_voices > 0) {
        line_open(line, "passages", '{');
        for (size_t v = 0; v < result->n_voices; v++) add_passage(line, result, &result->voices[v], i);
        line_close(line, '{');
    }
    line_close(line, '{');
}

static void add_grid(GString *line, const grid_t *grid) {
    g_autofree char *tracks = grid_tracks_string(grid);
    line_open(line, "grid", '{');
    line_count(line, "steps_per_beat", (size_t)grid->steps_per_beat);
    line_count(line, "pitch_low", (size_t)grid->pitch_low);
    line_count(line, "pitches", (size_t)grid->pitches);
    line_text(line, "tracks", tracks);
    line_close(line, '{');
}

char *score_result_json(const score_result_t *result) {
    GString *line = g_string_new(NULL);
    line_open(line, NULL, '{');
    line_count(line, "pieces", result->pieces->n);
    line_count(line, "skipped", result->pieces->skipped);
    add_grid(line, &result->pieces->grid);
    if (result->real != NULL) {
        g_autofree char *folder = g_filename_display_name(result->corpus);
        line_text(line, "corpus", folder);
        line_text(line, "split", result->split);
        line_count(line, "songs", result->real->n);
    }
    add_figures(line, result);
    if (result->seam_frames > 0) add_seams(line, result);
    if (result->n_voices > 0) add_originality(line, result);
    line_open(line, "files", '[');
    for (size_t i = 0; i < result->pieces->n; i++) add_file(line, result, i);
    line_close(line, '[');
    line_close(line, '{');
    return g_string_free(line, FALSE);
}

/* ---- the table ---- */

static void show_cell(const char *format, double a, double b, gboolean last) G_GNUC_PRINTF(1, 0);
static void show_cell(const char *format, double a, double b, gboolean last) {
    char text[48] = "-";
    if (!isnan(a)) g_snprintf(text, sizeof text, format, a, b);
    char *missing = strstr(text, " (nan)");
    if (missing != NULL) *missing = '\0';
    fprintf(stderr, last ? "  %s" : "  %-18s", text);
}

static void show_summary(score_summary_t summary, gboolean last) {
    show_cell("%.3f (%.3f)", summary.mean, summary.sd, last);
}

static void show_heading(const char *what, gboolean real, const char *shuffled) {
    fprintf(stderr, real ? "\n%-32s  %-18s  " : "\n%-32s  %s", what, "pieces");
    if (real)
        fprintf(stderr, "%s%s", shuffled != NULL ? "real songs          " : "real songs",
                shuffled != NULL ? shuffled : "");
    fputc('\n', stderr);
}

static void show_figures(const score_result_t *result) {
    const gboolean real = result->real != NULL;
    show_heading("mean (standard deviation)", real, "shuffled tracks     nearer to");
    for (size_t f = 0; f < result->of_pieces.figures; f++) {
        g_autofree char *name = score_name(&result->pieces->grid, f);
        g_strdelimit(name, "_", ' ');
        const score_summary_t pieces = score_table_summary(&result->of_pieces, f);
        if (pieces.n == 0) continue;
        fprintf(stderr, "%-32s", name);
        show_summary(pieces, !real);
        if (real) {
            const score_summary_t songs = score_table_summary(&result->of_real, f),
                                  shuffled = score_table_summary(&result->of_shuffled, f);
            const char *nearer = nearer_to(score_place(pieces, songs, shuffled));
            show_summary(songs, FALSE);
            show_summary(shuffled, FALSE);
            fprintf(stderr, "  %s", nearer != NULL ? nearer : "-");
        }
        fputc('\n', stderr);
    }
}

static void show_seams(const score_result_t *result) {
    g_autofree char *heading = g_strdup_printf("seams, every %zu frames", result->seam_frames);
    show_heading(heading, TRUE, NULL);
    fprintf(stderr, "%-32s", "seam");
    show_summary(seam_summary(result->seams, result->pieces->n, SEAM_OVERALL, SEAM_FEATURES), FALSE);
    show_summary(seam_summary(result->real_seams, result->real->n, SEAM_OVERALL, SEAM_FEATURES), TRUE);
    fprintf(stderr, "\n%-32s  %-18s  %s\n", "in sd of real songs", "at borders", "inside");
    for (size_t f = 0; f < SEAM_FEATURES; f++) {
        fprintf(stderr, "  %-30s", seam_feature_name((seam_feature_t)f));
        show_cell("%+.3f (%.3f)", seam_summary(result->seams, result->pieces->n, SEAM_BORDER, f).mean,
                  seam_summary(result->seams, result->pieces->n, SEAM_BORDER, f).sd, FALSE);
        show_cell("%+.3f (%.3f)", seam_summary(result->seams, result->pieces->n, SEAM_INSIDE, f).mean,
                  seam_summary(result->seams, result->pieces->n, SEAM_INSIDE, f).sd, TRUE);
        fputc('\n', stderr);
    }
}

static void show_passages(const score_result_t *result) {
    const grid_t *grid = &result->pieces->grid;
    g_autofree char *heading = g_strdup_printf("shared with %zu training song%s", result->train->n,
                                               result->train->n == 1 ? "" : "s");
    show_heading(heading, result->held != NULL, NULL);
    for (size_t v = 0; v < result->n_voices; v++) {
        const score_voice_t *voice = &result->voices[v];
        for (passage_part_t part = 0; part < PASSAGE_SHARE; part++) {
            const score_spread_t pieces = passage_spread(voice->of_pieces, result->pieces->n, part, grid);
            if (pieces.most <= 0) continue;
            g_autofree char *name =
                g_strdup_printf("%s: %s, median (most)", voice->name, passage_parts[part]);
            fprintf(stderr, "%-32s", name);
            show_cell("%.4g (%.4g)", pieces.median, pieces.most, result->held == NULL);
            if (result->held != NULL) {
                const score_spread_t real = passage_spread(voice->of_held, result->held->n, part, grid);
                show_cell("%.4g (%.4g)", real.median, real.most, TRUE);
            }
            fputc('\n', stderr);
        }
    }
    if (result->held == NULL) fprintf(stderr, "no yardstick: no held-out songs in split %s\n", result->split);
}

void score_result_show(const score_result_t *result) {
    program_say("%zu piece%s", result->pieces->n, result->pieces->n == 1 ? "" : "s");
    if (result->pieces->skipped > 0) fprintf(stderr, " (%zu left out)", result->pieces->skipped);
    if (result->real != NULL)
        fprintf(stderr, ", beside %zu song%s of %s (%s)", result->real->n, result->real->n == 1 ? "" : "s",
                result->corpus, result->split);
    fputc('\n', stderr);
    show_figures(result);
    if (result->seam_frames > 0) show_seams(result);
    if (result->n_voices > 0) show_passages(result);
}
