/* Owns what is compared with what, and how it is told. Refuses a corpus without songs in the split that is asked for. */
#include "sampler/score_report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sampler/line.h"
#include "sampler/score.h"
#include "sampler/score_set.h"

G_DEFINE_QUARK(score_report_error, score_report_error)

/* Figures of the pieces of a set: figure f of piece i is values[f * n + i]. */
typedef struct {
    size_t n, figures;
    double *values;
} measured_t;

typedef struct {
    const cli_t *cli;
    const char *split;   /* name */
    score_set_t *pieces; /* what is scored */
    score_set_t *real;   /* NULL: no corpus */
    measured_t of_pieces, of_real, of_shuffled;
} report_t;

static void report_clear(report_t *report) {
    score_set_free(report->pieces);
    score_set_free(report->real);
    g_free(report->of_pieces.values);
    g_free(report->of_real.values);
    g_free(report->of_shuffled.values);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(report_t, report_clear)

/* ---- measuring ---- */

static measured_t measured_new(const grid_t *grid, size_t n) {
    const size_t figures = score_count(grid);
    return (measured_t){.n = n, .figures = figures, .values = g_new(double, n *figures)};
}

static void measure_one(measured_t *measured, size_t i, const roll_t *roll, const grid_t *grid, double bar_frames, double *scratch) {
    score_measure(roll, grid, bar_frames, scratch);
    for (size_t f = 0; f < measured->figures; f++) measured->values[f * measured->n + i] = scratch[f];
}

static measured_t measure_set(const score_set_t *set) {
    measured_t measured = measured_new(&set->grid, set->n);
    g_autofree double *scratch = g_new(double, measured.figures);
    for (size_t i = 0; i < set->n; i++) measure_one(&measured, i, set->pieces[i].roll, &set->grid, set->pieces[i].bar_frames, scratch);
    return measured;
}

static measured_t measure_shuffled(const score_set_t *set, uint64_t seed) {
    if (set->n < 2 || set->grid.n_tracks < 2) return measured_new(&set->grid, 0);
    measured_t measured = measured_new(&set->grid, set->n);
    g_autofree double *scratch = g_new(double, measured.figures);
    g_autofree roll_t **rolls = g_new(roll_t *, set->n);
    for (size_t i = 0; i < set->n; i++) rolls[i] = set->pieces[i].roll;
    for (size_t i = 0; i < set->n; i++) {
        g_autoptr(roll_t) roll = score_shuffle(rolls, set->n, i, seed);
        measure_one(&measured, i, roll, &set->grid, set->pieces[score_shuffle_source(set->n, i, 0, seed)].bar_frames, scratch);
    }
    return measured;
}

static score_summary_t summary_of(const measured_t *measured, size_t figure) {
    return score_summarise(measured->values + figure * measured->n, measured->n);
}

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

static const char *nearer_to(double place) { return isnan(place) ? NULL : place < 0.5 ? "real" : "shuffled"; }

static void add_figures(GString *line, const report_t *report) {
    line_open(line, "figures", '{');
    for (size_t f = 0; f < report->of_pieces.figures; f++) {
        g_autofree char *name = score_name(&report->pieces->grid, f);
        const score_summary_t pieces = summary_of(&report->of_pieces, f);
        line_open(line, name, '{');
        add_summary(line, pieces);
        if (report->real != NULL) {
            const score_summary_t real = summary_of(&report->of_real, f), shuffled = summary_of(&report->of_shuffled, f);
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

static void add_grid(GString *line, const grid_t *grid) {
    g_autofree char *tracks = grid_tracks_string(grid);
    line_open(line, "grid", '{');
    line_count(line, "steps_per_beat", (size_t)grid->steps_per_beat);
    line_count(line, "pitch_low", (size_t)grid->pitch_low);
    line_count(line, "pitches", (size_t)grid->pitches);
    line_text(line, "tracks", tracks);
    line_close(line, '{');
}

static void add_file(GString *line, const report_t *report, size_t i) {
    const score_piece_t *piece = &report->pieces->pieces[i];
    g_autofree char *meter = g_strdup_printf("%d/%d", piece->meter.numerator, piece->meter.denominator);
    line_open(line, NULL, '{');
    line_text(line, "file", piece->name);
    line_count(line, "frames", piece->roll->frames);
    line_number(line, "bars", (double)piece->roll->frames / piece->bar_frames);
    line_text(line, "meter", meter);
    line_number(line, "tempo_bpm", piece->tempo_bpm);
    line_open(line, "figures", '{');
    for (size_t f = 0; f < report->of_pieces.figures; f++) {
        g_autofree char *name = score_name(&report->pieces->grid, f);
        line_number(line, name, report->of_pieces.values[f * report->of_pieces.n + i]);
    }
    line_close(line, '{');
    line_close(line, '{');
}

static gboolean print_line(const report_t *report, GError **error) {
    g_autoptr(GString) line = g_string_new(NULL);
    line_open(line, NULL, '{');
    line_count(line, "pieces", report->pieces->n);
    line_count(line, "skipped", report->pieces->skipped);
    add_grid(line, &report->pieces->grid);
    if (report->real != NULL) {
        g_autofree char *folder = g_filename_display_name(report->cli->corpus);
        line_text(line, "corpus", folder);
        line_text(line, "split", report->split);
        line_count(line, "songs", report->real->n);
    }
    add_figures(line, report);
    line_open(line, "files", '[');
    for (size_t i = 0; i < report->pieces->n; i++) add_file(line, report, i);
    line_close(line, '[');
    line_close(line, '{');
    if (puts(line->str) >= 0 && fflush(stdout) == 0) return TRUE;
    g_set_error(error, SCORE_REPORT_ERROR, SCORE_REPORT_ERROR_WRITE, "standard output: cannot print the figures: %s", g_strerror(errno));
    return FALSE;
}

/* ---- the table ---- */

static void show_cell(score_summary_t summary, gboolean last) {
    char text[32] = "-";
    if (summary.n > 1)
        g_snprintf(text, sizeof text, "%.3f (%.3f)", summary.mean, summary.sd);
    else if (summary.n == 1)
        g_snprintf(text, sizeof text, "%.3f", summary.mean);
    fprintf(stderr, last ? "  %s" : "  %-18s", text);
}

static void show_figures(const report_t *report) {
    fprintf(stderr, "%-30s  ", "mean (standard deviation)");
    if (report->real != NULL)
        fprintf(stderr, "%-18s  %-18s  %-18s  nearer to\n", "pieces", "real songs", "shuffled tracks");
    else
        fputs("pieces\n", stderr);
    for (size_t f = 0; f < report->of_pieces.figures; f++) {
        g_autofree char *name = score_name(&report->pieces->grid, f);
        g_strdelimit(name, "_", ' ');
        const score_summary_t pieces = summary_of(&report->of_pieces, f);
        if (pieces.n == 0) continue;
        fprintf(stderr, "%-30s", name);
        show_cell(pieces, report->real == NULL);
        if (report->real != NULL) {
            const score_summary_t real = summary_of(&report->of_real, f), shuffled = summary_of(&report->of_shuffled, f);
            const char *nearer = nearer_to(score_place(pieces, real, shuffled));
            show_cell(real, FALSE);
            show_cell(shuffled, FALSE);
            fprintf(stderr, "  %s", nearer != NULL ? nearer : "-");
        }
        fputc('\n', stderr);
    }
}

static void show(const report_t *report) {
    fprintf(stderr, "sampler: %zu piece%s", report->pieces->n, report->pieces->n == 1 ? "" : "s");
    if (report->real != NULL) fprintf(stderr, ", beside %zu songs of %s (%s)", report->real->n, report->cli->corpus, report->split);
    fputc('\n', stderr);
    show_figures(report);
}

/* ---- the verb ---- */

static grid_t grid_of_files(const cli_t *cli) {
    grid_t grid = grid_default();
    if (cli->steps_per_beat > 0) grid.steps_per_beat = cli->steps_per_beat;
    grid_set_tracks(&grid, cli->tracks != NULL ? cli->tracks : "melody,chords,bass,drums", NULL); /* checked: cli_parse() */
    return grid;
}

static score_set_t *open_real(const char *folder, const char *split, GError **error) {
    split_t which = SPLIT_TEST;
    split_from_name(split, &which);
    g_autoptr(score_set_t) set = score_set_open(folder, which, error);
    if (set == NULL || set->n > 0) return g_steal_pointer(&set);
    g_set_error(error, SCORE_REPORT_ERROR, SCORE_REPORT_ERROR_SPLIT, "%s: has no songs in split %s; give another --split", folder, split);
    return NULL;
}

gboolean score_report(const cli_t *cli, GError **error) {
    g_auto(report_t) report = {.cli = cli, .split = cli->split != NULL ? cli->split : split_name(SPLIT_TEST)};
    if (cli->corpus != NULL && (report.real = open_real(cli->corpus, report.split, error)) == NULL) return FALSE;
    const grid_t grid = report.real != NULL ? report.real->grid : grid_of_files(cli);
    if ((report.pieces = score_set_read(cli->files, &grid, error)) == NULL) return FALSE;
    report.of_pieces = measure_set(report.pieces);
    if (report.real != NULL) {
        report.of_real = measure_set(report.real);
        report.of_shuffled = measure_shuffled(report.real, (uint64_t)cli->seed);
    }
    if (!print_line(&report, error)) return FALSE;
    if (!cli->quiet) show(&report);
    return TRUE;
}
