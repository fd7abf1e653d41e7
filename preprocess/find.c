/* find: walks folders for MIDI files. Owns which endings count, the order, and what a path says of its split; refuses names that are not there. A folder is entered once however
 * many links lead to it, so that a loop of links ends. */
#include "preprocess/find.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#include "preprocess/program.h"

G_DEFINE_QUARK(mpianist_find_error, find_error)

typedef struct {
    GPtrArray *found;
    GHashTable *seen; /* "device:inode" of files and folders taken */
} search_t;

static void found_free(gpointer data) {
    found_t *found = data;
    g_free(found->path);
    g_free(found->name);
    g_free(found);
}

static gboolean is_midi_name(const char *name) {
    static const char *const endings[] = {".mid", ".midi", ".kar"};
    g_autofree char *lower = g_ascii_strdown(name, -1);
    for (size_t i = 0; i < G_N_ELEMENTS(endings); i++) {
        if (g_str_has_suffix(lower, endings[i])) return TRUE;
    }
    return FALSE;
}

/* FALSE where this file or folder was taken before. */
static gboolean take(search_t *search, const GStatBuf *status) {
    char *key = g_strdup_printf("%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT, (guint64)status->st_dev, (guint64)status->st_ino);
    return g_hash_table_add(search->seen, key);
}

/* The innermost folder of the path that is named as a split. */
static gboolean split_of_path(const char *path, split_t *split) {
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    for (int i = (int)g_strv_length(parts) - 2; i >= 0; i--) {
        if (split_from_name(strcmp(parts[i], "validation") == 0 ? "valid" : parts[i], split)) return TRUE;
    }
    return FALSE;
}

static void add_file(search_t *search, const char *path, const char *name) {
    found_t *found = g_new0(found_t, 1);
    found->path = g_strdup(path);
    found->name = g_strdup(name);
    found->has_split = split_of_path(path, &found->split);
    g_ptr_array_add(search->found, found);
}

static int by_bytes(gconstpointer a, gconstpointer b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Below `path`, whose files are named `prefix`/... Dangling links and other things that cannot be looked at are files that fail in their turn, with a row of the
 * report; a folder that cannot be opened is an error. */
static gboolean walk(search_t *search, const char *path, const char *prefix, GError **error) {
    g_autoptr(GError) cause = NULL;
    g_autoptr(GDir) folder = g_dir_open(path, 0, &cause);
    if (!folder) {
        g_autofree char *shown = g_filename_display_name(path);
        g_set_error(error, FIND_ERROR, FIND_ERROR_READ, "%s: cannot read this folder: %s; make it readable, or leave it out", shown,
                    program_cause(cause));
        return FALSE;
    }
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    for (const char *name; (name = g_dir_read_name(folder));) g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, by_bytes);
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *child = g_build_filename(path, names->pdata[i], NULL);
        g_autofree char *name = *prefix ? g_build_filename(prefix, names->pdata[i], NULL) : g_strdup(names->pdata[i]);
        GStatBuf status;
        gboolean there = g_stat(child, &status) == 0;
        if (there && S_ISDIR(status.st_mode)) {
            if (take(search, &status) && !walk(search, child, name, error)) return FALSE;
        } else if (is_midi_name(name) && (!there || take(search, &status))) {
            add_file(search, child, name);
        }
    }
    return TRUE;
}

/* Files of a folder that was named alone go by their names below it; else the folder's name as it was given tells them apart. */
static gboolean add_input(search_t *search, const char *input, gboolean alone, GError **error) {
    GStatBuf status;
    if (g_stat(input, &status) != 0) {
        int cause = errno;
        g_autofree char *shown = g_filename_display_name(input);
        g_set_error(error, FIND_ERROR, FIND_ERROR_MISSING, "%s: cannot read: %s; name MIDI files or folders of them", shown, g_strerror(cause));
        return FALSE;
    }
    if (!take(search, &status)) return TRUE;
    if (S_ISDIR(status.st_mode)) return walk(search, input, alone ? "" : input, error);
    add_file(search, input, input);
    return TRUE;
}

/* Appends the lines of a list of files to inputs. */
static gboolean read_list(const char *list, GPtrArray *inputs, GError **error) {
    const char *path = strcmp(list, "-") == 0 ? "/dev/stdin" : list;
    g_autofree char *text = NULL;
    gsize length = 0;
    GError *local = NULL;
    if (!g_file_get_contents(path, &text, &length, &local)) {
        g_set_error(error, FIND_ERROR, FIND_ERROR_READ, "%s: cannot read the list of files: %s; give a text file, one name a line, or -", list,
                    program_cause(local));
        g_error_free(local);
        return FALSE;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        if (g_str_has_suffix(*line, "\r")) (*line)[strlen(*line) - 1] = '\0';
        if (**line) g_ptr_array_add(inputs, g_strdup(*line));
    }
    return TRUE;
}

static int by_name(gconstpointer a, gconstpointer b) {
    const found_t *first = *(found_t *const *)a, *second = *(found_t *const *)b;
    int order = strcmp(first->name, second->name);
    return order ? order : strcmp(first->path, second->path);
}

GPtrArray *find_files(char *const *inputs, const char *list, GError **error) {
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(found_free);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    search_t search = {found, seen};
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_free);
    for (; inputs && *inputs; inputs++) g_ptr_array_add(all, g_strdup(*inputs));
    if (list && !read_list(list, all, error)) return NULL;
    for (guint i = 0; i < all->len; i++) {
        if (!add_input(&search, all->pdata[i], all->len == 1, error)) return NULL;
    }
    if (found->len == 0) {
        g_autofree char *shown = all->len == 1 ? g_filename_display_name(all->pdata[0]) : g_strdup("the folders named");
        g_set_error(error, FIND_ERROR, FIND_ERROR_NONE, "no MIDI file (.mid, .midi, .kar) in %s; name another folder, or files", shown);
        return NULL;
    }
    g_ptr_array_sort(found, by_name);
    return g_steal_pointer(&found);
}
