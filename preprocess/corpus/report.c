/* report: owns the columns of report.tsv and the words of the summary. */
#include "preprocess/corpus/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "preprocess/common/file.h"
#include "preprocess/common/program.h"

enum { MOST_REASONS = 5 }; /* in the summary; the report has all */

/* What the report counts in each file, a column each: changes, and what was left out, moved or cut. The
 * summary says how many there were and in how many kept files; one, several: their name there (NULL: nothing
 * is said); way: what to do about them, or NULL. */
enum {
    TEMPO_CHANGES,
    METER_CHANGES,
    OUT_OF_RANGE,
    FOLDED,
    DRUMS_LEFT_OUT,
    MERGED,
    NOTES_CUT,
    SILENCE_CUT,
    EVENTS_LEFT_OUT,
    TEMPI_LEFT_OUT,
    WARNINGS,
    COUNTS
};
static const struct {
    const char *column, *one, *several, *way;
} COUNT[COUNTS] = {
    [TEMPO_CHANGES] = {"tempo_changes", NULL, NULL, NULL},
    [METER_CHANGES] = {"meter_changes", NULL, NULL, NULL},
    [OUT_OF_RANGE] = {"out_of_range", "note out of range left out", "notes out of range left out",
                      "--fold-octaves moves them in"},
    [FOLDED] = {"folded", NULL, NULL, NULL},
    [DRUMS_LEFT_OUT] = {"drums_left_out", "drum note left out", "drum notes left out",
                        "a track of their own takes them: --tracks ...,drums"},
    [MERGED] = {"merged", "note in one frame with another of its key",
                "notes in one frame with others of their keys", "--steps-per-beat tells repeats apart"},
    [NOTES_CUT] = {"notes_cut", "note cut short", "notes cut short", "--max-note"},
    [SILENCE_CUT] = {"silence_cut", "bar of silence cut out", "bars of silence cut out", "--max-silence"},
    [EVENTS_LEFT_OUT] = {"events_left_out", "damaged event left out", "damaged events left out", NULL},
    [TEMPI_LEFT_OUT] = {"tempi_left_out", "tempo not believed", "tempi not believed",
                        "below 5 or above 1000 bpm"},
    [WARNINGS] = {"warnings", "track missing or without its end", "tracks missing or without their ends",
                  "read as far as they go"},
};

struct report {
    const grid_t *grid;
    char *folder, *path, *temporary; /* temporary: NULL once it has taken its name */
    FILE *file;
    GHashTable *reasons; /* reason -> how many files */
    size_t files, kept, songs[SPLIT_COUNT];
    gint64 sum[COUNTS], with[COUNTS]; /* over kept files; kept files that have any */
};

static void counts_of(const song_file_t *parsed, gint64 *counts) {
    counts[TEMPO_CHANGES] = MAX((gint64)parsed->tempi - 1, 0);
    counts[METER_CHANGES] = MAX((gint64)parsed->meters - 1, 0);
    counts[OUT_OF_RANGE] = (gint64)parsed->counts.out_of_range;
    counts[FOLDED] = (gint64)parsed->counts.folded;
    counts[DRUMS_LEFT_OUT] = (gint64)parsed->counts.drums_left_out;
    counts[MERGED] = (gint64)parsed->counts.merged;
    counts[NOTES_CUT] = (gint64)parsed->counts.notes_cut;
    counts[SILENCE_CUT] = parsed->counts.silence_cut;
    counts[EVENTS_LEFT_OUT] = parsed->reading.events_left_out;
    counts[TEMPI_LEFT_OUT] = parsed->reading.tempi_left_out;
    counts[WARNINGS] = parsed->reading.tracks_cut;
}

/* Makes text valid UTF-8 and escapes tabs, line ends and backslashes. Owner: caller. */
static char *cell(const char *text) {
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *out = g_string_new(NULL);
    for (const char *c = valid; *c; c++) {
        if (*c == '\t')
            g_string_append(out, "\\t");
        else if (*c == '\n')
            g_string_append(out, "\\n");
        else if (*c == '\\')
            g_string_append(out, "\\\\");
        else
            g_string_append_c(out, *c);
    }
    return g_string_free(out, FALSE);
}

/* "melody 120, bass 40": the tracks with notes, and how many. */
static char *tracks_of(const song_file_t *parsed, const grid_t *grid) {
    GString *out = g_string_new(NULL);
    for (int track = 0; track < grid->n_tracks; track++) {
        if (parsed->notes[track] > 0)
            g_string_append_printf(out, "%s%s %zu", out->len ? ", " : "", role_name(grid->roles[track]),
                                   parsed->notes[track]);
    }
    return g_string_free(out, FALSE);
}

static size_t notes_of(const song_file_t *parsed) {
    size_t sum = 0;
    for (size_t track = 0; track < ROLL_MAX_TRACKS; track++) sum += parsed->notes[track];
    return sum;
}

static char *reason_of(const report_row_t *row) {
    const char *what = row->transposed ? "transposed duplicate" : "duplicate";
    if (!row->parsed->kept) return cell(row->parsed->reason);
    return g_strdup(row->twin ? what : "");
}

/* Mean and deviation of velocities, deviation of offsets, with tabs between. */
static char *played_of(const song_file_t *parsed) {
    const played_sums_t *sums = &parsed->played;
    if (sums->n <= 0) return g_strdup("\t\t");
    return g_strdup_printf("%.1f\t%.1f\t%.3f", sums->velocity / sums->n, played_velocity_sd(sums),
                           played_offset_sd(sums));
}

static void write_row(FILE *out, const report_row_t *row, const grid_t *grid) {
    const song_file_t *parsed = row->parsed;
    g_autofree char *path = cell(row->name);
    g_autofree char *reason = reason_of(row);
    g_autofree char *tracks = tracks_of(parsed, grid);
    g_autofree char *twin = row->twin ? cell(row->twin) : g_strdup("");
    g_autofree char *tempo =
        parsed->tempo_bpm > 0 ? g_strdup_printf("%.2f", parsed->tempo_bpm) : g_strdup("");
    g_autofree char *meter =
        parsed->meter.numerator ? g_strdup_printf("%u/%u", parsed->meter.numerator, parsed->meter.denominator)
                                : g_strdup("");
    g_autofree char *played = played_of(parsed);
    gint64 counts[COUNTS];
    fprintf(out, "%s\t%s\t%s\t%zu\t%" G_GINT64_FORMAT "\t%s\t%s\t%s\t%s\t%s\t%s", path,
            parsed->kept ? "kept" : "dropped", reason, notes_of(parsed), parsed->frames, tempo, meter, tracks,
            twin, parsed->kept ? split_name(row->split) : "", played);
    counts_of(parsed, counts);
    for (int i = 0; i < COUNTS; i++) fprintf(out, "\t%" G_GINT64_FORMAT, counts[i]);
    fprintf(out, "\t%s\n", parsed->sha256);
}

static gboolean fail(const report_t *report, GError **error) {
    return file_fail(error, report->path, "write the report", "make room or choose another --output");
}

report_t *report_new(const char *folder, const grid_t *grid, GError **error) {
    g_autoptr(report_t) report = g_new0(report_t, 1);
    report->grid = grid;
    report->folder = g_strdup(folder);
    report->path = g_build_filename(folder, "report.tsv", NULL);
    report->temporary = file_temporary(report->path);
    report->reasons = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    report->file = fopen(report->temporary, "we");
    if (!report->file) return fail(report, error), NULL;
    fputs("path\tstatus\treason\tnotes\tframes\ttempo_bpm\tmeter\ttracks\tduplicate_of\tsplit\t"
          "velocity\tvelocity_sd\toffset_sd",
          report->file);
    for (int i = 0; i < COUNTS; i++) fprintf(report->file, "\t%s", COUNT[i].column);
    fputs("\tsha256\n", report->file);
    return g_steal_pointer(&report);
}

static void count(report_t *report, const report_row_t *row) {
    const song_file_t *parsed = row->parsed;
    report->files++;
    if (parsed->kept) {
        gint64 counts[COUNTS];
        counts_of(parsed, counts);
        for (int i = 0; i < COUNTS; i++) {
            report->sum[i] += counts[i];
            report->with[i] += counts[i] > 0;
        }
        report->kept++;
        report->songs[row->split]++;
    }
    if (parsed->kept && !row->twin) return;
    g_autofree char *plain = reason_of(row);
    char *reason = g_strconcat(parsed->kept ? "kept, though a " : "", plain, NULL);
    const guint before = GPOINTER_TO_UINT(g_hash_table_lookup(report->reasons, reason));
    g_hash_table_replace(report->reasons, reason, GUINT_TO_POINTER(before + 1));
}

void report_add(report_t *report, const report_row_t *row) {
    write_row(report->file, row, report->grid);
    count(report, row);
}

gboolean report_commit(report_t *report, owner_t *owner, GError **error) {
    gboolean written = !ferror(report->file) && fflush(report->file) == 0 && fsync(fileno(report->file)) == 0;
    if (fclose(g_steal_pointer(&report->file)) != 0 || !written) return fail(report, error);
    if (!owner_check(owner, error)) return FALSE;
    if (rename(report->temporary, report->path) != 0) return fail(report, error);
    g_clear_pointer(&report->temporary, g_free);
    return file_sync_folder_of(report->path) || fail(report, error);
}

void report_free(report_t *report) {
    if (!report) return;
    if (report->file) fclose(report->file);
    if (report->temporary) unlink(report->temporary);
    g_hash_table_unref(report->reasons);
    g_free(report->temporary);
    g_free(report->path);
    g_free(report->folder);
    g_free(report);
}

static int by_count(gconstpointer a, gconstpointer b, gpointer counts) {
    guint first = GPOINTER_TO_UINT(g_hash_table_lookup(counts, *(char *const *)a)),
          second = GPOINTER_TO_UINT(g_hash_table_lookup(counts, *(char *const *)b));
    return first != second ? (first < second ? 1 : -1) : strcmp(*(char *const *)a, *(char *const *)b);
}

void report_summarize(const report_t *report) {
    GHashTable *reasons = report->reasons;
    fprintf(stderr, "%zu %s: %zu kept (%zu train, %zu valid, %zu test), %zu dropped\n", report->files,
            g_dngettext(NULL, "file", "files", report->files), report->kept, report->songs[SPLIT_TRAIN],
            report->songs[SPLIT_VALID], report->songs[SPLIT_TEST], report->files - report->kept);
    guint n_reasons = 0;
    g_autofree gpointer *names = g_hash_table_get_keys_as_array(reasons, &n_reasons);
    g_qsort_with_data(names, (gint)n_reasons, sizeof *names, by_count, reasons);
    guint others = 0;
    for (guint i = 0; i < n_reasons; i++) {
        const guint times = GPOINTER_TO_UINT(g_hash_table_lookup(reasons, names[i]));
        if (i < MOST_REASONS)
            fprintf(stderr, "  %u: %s\n", times, (char *)names[i]);
        else
            others += times;
    }
    if (others > 0) fprintf(stderr, "  %u: other reasons\n", others);
    for (int i = 0; i < COUNTS; i++) {
        const gint64 sum = report->sum[i], with = report->with[i];
        if (sum == 0 || !COUNT[i].one) continue;
        fprintf(stderr, "  %" G_GINT64_FORMAT " %s, in %" G_GINT64_FORMAT " %s", sum,
                g_dngettext(NULL, COUNT[i].one, COUNT[i].several, (gulong)sum), with,
                g_dngettext(NULL, "file", "files", (gulong)with));
        fprintf(stderr, COUNT[i].way ? " (%s)\n" : "\n", COUNT[i].way);
    }
    fprintf(stderr, "every file: %s/report.tsv\n", report->folder);
}
