/* find: walks folders for MIDI files. Owns which endings count, the order, and what a path says of its split;
 * refuses names that are not there. A folder is entered once however many links lead to it, so that a loop of
 * links ends. */
#include "preprocess/corpus/find.h"

#include <glib/gstdio.h>
#include <string.h>

#include "preprocess/common/file.h"
#include "preprocess/common/program.h"

/* What tells a file or folder from others, whatever its name. */
typedef struct {
    guint64 device, inode;
} place_t;

typedef struct {
    GArray *found;    /* of found_t */
    GHashTable *seen; /* place_t of the files and folders that were reached */
    GStringChunk *text;
} search_t;

static gboolean is_midi_name(const char *name) {
    static const char *const endings[] = {".mid", ".midi", ".kar", ".rmi"};
    g_autofree char *lower = g_ascii_strdown(name, -1);
    for (size_t i = 0; i < G_N_ELEMENTS(endings); i++) {
        if (g_str_has_suffix(lower, endings[i])) return TRUE;
    }
    return FALSE;
}

static guint place_hash(gconstpointer key) { return (guint)((const place_t *)key)->inode; }

static gboolean place_equal(gconstpointer a, gconstpointer b) { return memcmp(a, b, sizeof(place_t)) == 0; }

/* Notes a file or folder; FALSE where it was reached before. */
static gboolean is_new(search_t *search, const GStatBuf *status) {
    const place_t place = {(guint64)status->st_dev, (guint64)status->st_ino};
    return g_hash_table_add(search->seen, g_memdup2(&place, sizeof place));
}

/* Sets split by the innermost folder of the path that is named as one; FALSE where there is none. */
static gboolean split_of_path(const char *path, split_t *split) {
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    for (int i = (int)g_strv_length(parts) - 2; i >= 0; i--) {
        if (split_from_name(strcmp(parts[i], "validation") == 0 ? "valid" : parts[i], split)) return TRUE;
    }
    return FALSE;
}

/* Adds a file, unless it was reached before. status: NULL where stat(2) failed. */
static void add_file(search_t *search, const char *path, size_t name_at, const GStatBuf *status) {
    if (status && !is_new(search, status)) return;
    found_t found = {.path = g_string_chunk_insert(search->text, path), .bytes = -1, .changed_ns = -1};
    found.name = found.path + name_at;
    found.has_split = split_of_path(path, &found.split);
    if (status) {
        found.bytes = status->st_size;
        found.changed_ns =
            (gint64)status->st_mtim.tv_sec * G_GINT64_CONSTANT(1000000000) + status->st_mtim.tv_nsec;
    }
    g_array_append_val(search->found, found);
}

static int by_bytes(gconstpointer a, gconstpointer b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Adds the MIDI files below the folder `path`, named by their paths from byte name_at on. What stat(2) fails
 * on, such as a dangling link, is added too and fails in its turn, with a row of the report; a folder that
 * cannot be opened is an error. */
static gboolean walk(search_t *search, const char *path, size_t name_at, GError **error) {
    g_autoptr(GError) cause = NULL;
    g_autoptr(GDir) folder = g_dir_open(path, 0, &cause);
    if (!folder) {
        g_autofree char *shown = g_filename_display_name(path);
        return program_fail(error, "%s: cannot read this folder: %s; make it readable, or leave it out",
                            shown, program_cause(cause));
    }
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    for (const char *name; (name = g_dir_read_name(folder));) g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, by_bytes);
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *child = g_build_filename(path, names->pdata[i], NULL);
        GStatBuf status;
        gboolean there = g_stat(child, &status) == 0;
        if (there && S_ISDIR(status.st_mode)) {
            if (is_new(search, &status) && !walk(search, child, name_at, error)) return FALSE;
        } else if (is_midi_name(names->pdata[i])) {
            add_file(search, child, name_at, there ? &status : NULL);
        }
    }
    return TRUE;
}

/* Adds a file, or a folder's files: named by their paths below it where it is the only input, else by paths
 * that begin with the folder as given, which tells them apart. */
static gboolean add_input(search_t *search, const char *input, gboolean alone, GError **error) {
    GStatBuf status;
    if (g_stat(input, &status) != 0)
        return file_fail(error, input, "read", "name MIDI files or folders of them");
    if (!S_ISDIR(status.st_mode)) return add_file(search, input, 0, &status), TRUE;
    /* As walk() joins names: without a second slash. */
    g_autofree char *below = g_build_filename(input, "x", NULL);
    return !is_new(search, &status) || walk(search, input, alone ? strlen(below) - 1 : 0, error);
}

static gboolean read_list(const char *list, GPtrArray *inputs, GError **error) {
    const char *path = strcmp(list, "-") == 0 ? "/dev/stdin" : list;
    g_autofree char *text = NULL;
    gsize length = 0;
    g_autoptr(GError) cause = NULL;
    if (!g_file_get_contents(path, &text, &length, &cause))
        return program_fail(error,
                            "%s: cannot read the list of files: %s; give a text file, one name a line, or -",
                            list, program_cause(cause));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        if (g_str_has_suffix(*line, "\r")) (*line)[strlen(*line) - 1] = '\0';
        if (**line) g_ptr_array_add(inputs, g_strdup(*line));
    }
    return TRUE;
}

static int by_name(gconstpointer a, gconstpointer b) {
    const found_t *first = a, *second = b;
    int order = strcmp(first->name, second->name);
    return order ? order : strcmp(first->path, second->path);
}

static gboolean search_all(search_t *search, char *const *inputs, const char *list, GError **error) {
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_free);
    for (; inputs && *inputs; inputs++) g_ptr_array_add(all, g_strdup(*inputs));
    if (list && !read_list(list, all, error)) return FALSE;
    for (guint i = 0; i < all->len; i++) {
        if (!add_input(search, all->pdata[i], all->len == 1, error)) return FALSE;
    }
    if (search->found->len > 0) return TRUE;
    g_autofree char *shown =
        all->len == 1 ? g_filename_display_name(all->pdata[0]) : g_strdup("the folders named");
    return program_fail(error, "no MIDI file (.mid, .midi, .kar, .rmi) in %s; name another folder, or files",
                        shown);
}

found_list_t *find_files(char *const *inputs, const char *list, GError **error) {
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(found_t));
    g_autoptr(GHashTable) seen = g_hash_table_new_full(place_hash, place_equal, g_free, NULL);
    g_autoptr(found_list_t) result = g_new0(found_list_t, 1);
    result->text = g_string_chunk_new(1 << 16);
    search_t search = {found, seen, result->text};
    if (!search_all(&search, inputs, list, error)) return NULL;
    g_array_sort(found, by_name);
    result->n = found->len;
    result->files = (found_t *)(void *)g_array_free(g_steal_pointer(&found), FALSE);
    return g_steal_pointer(&result);
}

void found_list_free(found_list_t *list) {
    if (!list) return;
    g_free(list->files);
    g_string_chunk_free(list->text);
    g_free(list);
}
