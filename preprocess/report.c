/* report: owns the columns of report.tsv and the words of the summary. */
#include "preprocess/report.h"

#include <stdio.h>
#include <string.h>

#include "preprocess/program.h"

enum { MOST_REASONS = 5 }; /* the report has all */

/* UTF-8 without tabs and line ends. */
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
static char *tracks_of(const entry_t *entry, const grid_t *grid) {
    GString *out = g_string_new(NULL);
    for (int track = 0; track < grid->n_tracks; track++) {
        if (entry->notes[track] > 0)
            g_string_append_printf(out, "%s%s %zu", out->len ? ", " : "", role_name(grid->roles[track]), entry->notes[track]);
    }
    return g_string_free(out, FALSE);
}

static size_t notes_of(const entry_t *entry) {
    size_t sum = 0;
    for (size_t track = 0; track < ROLL_MAX_TRACKS; track++) sum += entry->notes[track];
    return sum;
}

static char *reason_of(const report_row_t *row) {
    const char *what = row->transposed ? "transposed duplicate" : "duplicate";
    if (!row->entry.kept) return cell(row->entry.reason);
    return g_strdup(row->twin ? what : "");
}

static void append_row(GString *out, const report_row_t *row, const grid_t *grid) {
    const entry_t *entry = &row->entry;
    g_autofree char *path = cell(row->found->name);
    g_autofree char *reason = reason_of(row);
    g_autofree char *tracks = tracks_of(entry, grid);
    g_autofree char *twin = row->twin ? cell(row->twin->found->name) : g_strdup("");
    g_autofree char *tempo = entry->tempo_bpm > 0 ? g_strdup_printf("%.2f", entry->tempo_bpm) : g_strdup("");
    g_autofree char *meter = entry->meter.numerator ? g_strdup_printf("%u/%u", entry->meter.numerator, entry->meter.denominator) : g_strdup("");
    g_string_append_printf(out, "%s\t%s\t%s\t%zu\t%" G_GINT64_FORMAT "\t%s\t%s\t%s\t%s\t%s\t%zu\t%zu\t%zu\t%u\t%s\n", path,
                           entry->kept ? "kept" : "dropped", reason, notes_of(entry), entry->frames, tempo, meter, tracks, twin,
                           entry->kept ? split_name(row->split) : "", entry->counts.out_of_range, entry->counts.folded, entry->counts.drums_left_out,
                           entry->warnings, entry->sha256);
}

gboolean report_write(const char *folder, const report_row_t *rows, size_t n, const grid_t *grid, GError **error) {
    g_autofree char *path = g_build_filename(folder, "report.tsv", NULL);
    g_autoptr(GString) out = g_string_new("path\tstatus\treason\tnotes\tframes\ttempo_bpm\tmeter\ttracks\tduplicate_of\tsplit\tout_of_range\tfolded\t"
                                          "drums_left_out\twarnings\tsha256\n");
    for (size_t i = 0; i < n; i++) append_row(out, &rows[i], grid);
    g_autoptr(GError) cause = NULL;
    if (g_file_set_contents_full(path, out->str, (gssize)out->len, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0666, &cause))
        return TRUE;
    g_set_error(error, cause->domain, cause->code, "%s: cannot write the report: %s; make room or choose another --output", path,
                program_cause(cause));
    return FALSE;
}

static int by_count(gconstpointer a, gconstpointer b, gpointer counts) {
    guint first = GPOINTER_TO_UINT(g_hash_table_lookup(counts, *(char *const *)a)),
          second = GPOINTER_TO_UINT(g_hash_table_lookup(counts, *(char *const *)b));
    return first != second ? (first < second ? 1 : -1) : strcmp(*(char *const *)a, *(char *const *)b);
}

void report_summarize(const report_row_t *rows, size_t n, const char *folder) {
    g_autoptr(GHashTable) reasons = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    size_t kept = 0, songs[SPLIT_COUNT] = {0}, drums = 0, out_of_range = 0, warned = 0;
    for (size_t i = 0; i < n; i++) {
        const entry_t *entry = &rows[i].entry;
        drums += entry->kept ? entry->counts.drums_left_out : 0;
        out_of_range += entry->kept ? entry->counts.out_of_range : 0;
        warned += entry->warnings > 0;
        kept += (size_t)entry->kept;
        if (entry->kept) songs[rows[i].split]++;
        if (entry->kept && !rows[i].twin) continue;
        g_autofree char *plain = reason_of(&rows[i]);
        char *reason = g_strconcat(entry->kept ? "kept, though a " : "", plain, NULL);
        guint count = GPOINTER_TO_UINT(g_hash_table_lookup(reasons, reason));
        g_hash_table_replace(reasons, reason, GUINT_TO_POINTER(count + 1));
    }
    fprintf(stderr, "%zu %s: %zu kept (%zu train, %zu valid, %zu test), %zu dropped\n", n, g_dngettext(NULL, "file", "files", n), kept,
            songs[SPLIT_TRAIN], songs[SPLIT_VALID], songs[SPLIT_TEST], n - kept);
    guint n_reasons = 0;
    g_autofree gpointer *names = g_hash_table_get_keys_as_array(reasons, &n_reasons);
    g_qsort_with_data(names, (gint)n_reasons, sizeof *names, by_count, reasons);
    guint others = 0;
    for (guint i = 0; i < n_reasons; i++) {
        const guint count = GPOINTER_TO_UINT(g_hash_table_lookup(reasons, names[i]));
        if (i < MOST_REASONS)
            fprintf(stderr, "  %u: %s\n", count, (char *)names[i]);
        else
            others += count;
    }
    if (others > 0) fprintf(stderr, "  %u: other reasons\n", others);
    if (drums > 0)
        fprintf(stderr, "  %zu drum %s left out (a track of their own takes them: --tracks ...,drums)\n", drums,
                g_dngettext(NULL, "note", "notes", drums));
    if (out_of_range > 0)
        fprintf(stderr, "  %zu %s out of range left out (--fold-octaves moves them in)\n", out_of_range,
                g_dngettext(NULL, "note", "notes", out_of_range));
    if (warned > 0) fprintf(stderr, "  %zu with damaged or missing tracks, read as far as they go\n", warned);
    fprintf(stderr, "every file: %s/report.tsv\n", folder);
}
