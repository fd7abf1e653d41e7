/* part: owns how files are dealt to parts, the names of part files and the words of their seals. Refuses to
 * join what is not one whole corpus. */
#include "preprocess/corpus/part.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "preprocess/common/file.h"
#include "preprocess/common/program.h"

static int by_size(gconstpointer a, gconstpointer b, gpointer data) {
    const found_t *files = data;
    const guint32 first = *(const guint32 *)a, second = *(const guint32 *)b;
    if (files[first].bytes != files[second].bytes) return files[first].bytes < files[second].bytes ? 1 : -1;
    return first < second ? -1 : 1;
}

/* The largest file goes to part 1, the next to part 2, and so on in turns. */
void part_deal(rows_t *rows, int parts) {
    const found_list_t *files = rows->files;
    g_autofree guint32 *order = g_new(guint32, files->n);
    for (size_t i = 0; i < files->n; i++) order[i] = (guint32)i;
    g_qsort_with_data(order, (gint)files->n, sizeof *order, by_size, files->files);
    for (size_t i = 0; i < files->n; i++) rows->row[order[i]].part = (guint16)(i % (size_t)parts);
}

char *part_path(const char *folder, int part, int parts, const char *ending) {
    return g_strdup_printf("%s/preprocess-part-%05d-of-%05d.%s", folder, part + 1, parts, ending);
}

char *part_identity(const found_list_t *files, const char *options) {
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    for (size_t i = 0; i < files->n; i++) {
        const found_t *file = &files->files[i];
        const gint64 state[2] = {file->bytes, file->changed_ns};
        g_checksum_update(checksum, (const guchar *)file->name, (gssize)strlen(file->name) + 1);
        g_checksum_update(checksum, (const guchar *)state, sizeof state);
    }
    return g_strdup_printf("options %s\nfiles %zu %s\n", options, files->n, g_checksum_get_string(checksum));
}

char *part_seal(const char *identity, int part, int parts) {
    return g_strdup_printf("part %d of %d\n%s", part + 1, parts, identity);
}

gboolean part_count(const char *folder, int *parts, GError **error) {
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    *parts = 0;
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        int part = 0, of = 0, end = 0;
        if (sscanf(name, "preprocess-part-%5d-of-%5d%n", &part, &of, &end) != 2 || of < 1 || of > PART_MOST)
            continue;
        if (strcmp(name + end, ".part") != 0 && strcmp(name + end, ".spool") != 0) continue;
        if (*parts != 0 && *parts != of) {
            const int first = MIN(*parts, of), second = MAX(*parts, of);
            return program_fail(error,
                                "%s: holds parts of %d and parts of %d; remove those that are too many: rm "
                                "%s/preprocess-part-*-of-%05d.*",
                                folder, first, second, folder, first);
        }
        *parts = of;
    }
    return TRUE;
}

typedef enum {
    FAULT_MISSING,
    FAULT_UNFINISHED,
    FAULT_DAMAGED,
    FAULT_VERSION,
    FAULT_RENAMED,
    FAULT_OPTIONS,
    FAULT_FILES,
    FAULTS
} fault_t;
static const char *const fault_words[FAULTS] = {"missing",
                                                "not finished",
                                                "damaged",
                                                "made by another version of this program",
                                                "called by another one's name",
                                                "made with other options",
                                                "made from another list of files (names, sizes, times)"};

/* Opens one part and fills in its rows. Returns what is wrong with it; FAULTS where nothing is. */
static fault_t open_part(const char *folder, int part, int parts, const char *identity, rows_t *rows,
                         parsed_cache_t **cache) {
    g_autofree char *path = part_path(folder, part, parts, "part");
    g_autofree char *unfinished = part_path(folder, part, parts, "spool");
    g_autofree char *wanted = part_seal(identity, part, parts);
    if (!g_file_test(path, G_FILE_TEST_EXISTS))
        return g_file_test(unfinished, G_FILE_TEST_EXISTS) ? FAULT_UNFINISHED : FAULT_MISSING;
    *cache = parsed_cache_open(path, TRUE, NULL);
    g_autofree char *seal = *cache ? rows_load(rows, part, FALSE, *cache) : NULL;
    if (!seal) return *cache && parsed_cache_is_foreign(*cache) ? FAULT_VERSION : FAULT_DAMAGED;
    if (strcmp(seal, wanted) == 0) return rows_missing(rows, part) == 0 ? FAULTS : FAULT_DAMAGED;
    g_auto(GStrv) said = g_strsplit(seal, "\n", -1), want = g_strsplit(wanted, "\n", -1);
    if (g_strv_length(said) != g_strv_length(want)) return FAULT_DAMAGED;
    return strcmp(said[0], want[0]) != 0   ? FAULT_RENAMED
           : strcmp(said[1], want[1]) != 0 ? FAULT_OPTIONS
                                           : FAULT_FILES;
}

static gboolean has_fault(fault_t is, fault_t fault) { return fault == FAULTS ? is != FAULTS : is == fault; }

/* "2,4-7": the numbers, from 1, of the parts that have this fault, or any where fault is FAULTS; *n: how
 * many. Owner: caller. */
static char *list_parts(const fault_t *faults, int parts, fault_t fault, int *n) {
    GString *out = g_string_new(NULL);
    *n = 0;
    for (int i = 0, first = 0; i < parts; first = i) {
        while (i < parts && has_fault(faults[i], fault)) i++;
        *n += i - first;
        if (i > first) g_string_append_printf(out, "%s%d", out->len ? "," : "", first + 1);
        if (i > first + 1) g_string_append_printf(out, "-%d", i);
        while (i < parts && !has_fault(faults[i], fault)) i++;
    }
    return g_string_free(out, FALSE);
}

static void set_faults(const char *folder, const fault_t *faults, int parts, GError **error) {
    g_autoptr(GString) text = g_string_new(NULL);
    int n;
    for (fault_t fault = 0; fault < FAULTS; fault++) {
        g_autofree char *numbers = list_parts(faults, parts, fault, &n);
        if (n > 0)
            g_string_append_printf(text, "%s%s %s of %d %s %s", text->len ? "; " : "",
                                   g_dngettext(NULL, "part", "parts", (gulong)n), numbers, parts,
                                   g_dngettext(NULL, "is", "are", (gulong)n), fault_words[fault]);
    }
    g_autofree char *all = list_parts(faults, parts, FAULTS, &n);
    g_autofree char *each = n == 1 ? g_strdup("") : g_strdup_printf(" for I = %s", all);
    program_fail(error, "%s: %s; run the same command with --part %s/%d in place of --join%s", folder,
                 text->str, n == 1 ? all : "I", parts, each);
}

gboolean part_open_all(const char *folder, int parts, const char *identity, rows_t *rows,
                       parsed_cache_t **caches, GError **error) {
    g_autofree fault_t *faults = g_new0(fault_t, parts);
    gboolean good = TRUE;
    for (int part = 0; part < parts; part++) {
        faults[part] = open_part(folder, part, parts, identity, rows, &caches[part]);
        good = good && faults[part] == FAULTS;
    }
    if (!good) set_faults(folder, faults, parts, error);
    return good;
}

static const char AGAIN[] = "make room and run the same command again";

static char *joined_path(const char *folder) { return g_build_filename(folder, "preprocess.joined", NULL); }

gboolean part_mark_joined(const char *folder, const char *identity, int parts, GError **error) {
    g_autofree char *path = joined_path(folder), *text = part_seal(identity, 0, parts);
    return file_replace(path, text, strlen(text)) || file_fail(error, path, "write", AGAIN);
}

gboolean part_forget_joined(const char *folder, GError **error) {
    g_autofree char *path = joined_path(folder);
    return unlink(path) == 0 || errno == ENOENT || file_fail(error, path, "remove", AGAIN);
}

gboolean part_is_joined(const char *folder, const char *identity, int parts) {
    g_autofree char *path = joined_path(folder), *text = NULL, *seal = part_seal(identity, 0, parts);
    if (!g_file_get_contents(path, &text, NULL, NULL)) return FALSE;
    const char *said = strchr(text, '\n');
    if (!said || strcmp(parts ? seal : identity, parts ? text : said + 1) != 0) return FALSE;
    g_autoptr(shard_set_t) shards = shard_set_open(folder, NULL);
    return shards != NULL;
}
