/* checkpoint_attributes: owns the group /vectors of a checkpoint, for writing and reading. Names, units and
 * numbers are under one SHA-256, the vectors under HDF5's checksums. Refuses values that cannot be. */
#include <math.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "trainer/checkpoint/checkpoint_file.h"

#define GROUP    "/vectors"
#define NAMES    "names"
#define CHECKSUM "sha256"

/* The numbers of an attribute by their names in the file. */
static const struct {
    const char *name;
    size_t offset;
} numbers[] = {{"mean", offsetof(attribute_info_t, mean)},
               {"sd", offsetof(attribute_info_t, sd)},
               {"r2", offsetof(attribute_info_t, r2)},
               {"reach", offsetof(attribute_info_t, reach)}};

static double *number_at(attribute_info_t *info, size_t i) {
    return (double *)(void *)((char *)info + numbers[i].offset);
}

static char *object_of(const attribute_info_t *info) { return g_strconcat(GROUP "/", info->name, NULL); }

/* "density,register"; owner: caller. */
static char *names_text(const attributes_t *attributes) {
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < attributes->n; i++)
        g_string_append_printf(text, "%s%s", i ? "," : "", attributes->info[i].name);
    return g_string_free(text, FALSE);
}

/* SHA-256 over a line "name unit mean sd r2 reach" of each, with tabs between; owner: caller. */
static char *checksum_of(const attributes_t *attributes) {
    g_autoptr(GString) text = g_string_new(NULL);
    char number[G_ASCII_DTOSTR_BUF_SIZE];
    for (size_t i = 0; i < attributes->n; i++) {
        attribute_info_t info = attributes->info[i];
        g_string_append_printf(text, "%s\t%s", info.name, info.unit);
        for (size_t j = 0; j < G_N_ELEMENTS(numbers); j++)
            g_string_append_printf(text, "\t%s", g_ascii_dtostr(number, sizeof number, *number_at(&info, j)));
        g_string_append_c(text, '\n');
    }
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str, (gssize)text->len);
}

static gboolean write_one(h5_file_t *file, const attributes_t *attributes, size_t i, GError **error) {
    attribute_info_t info = attributes->info[i];
    g_autofree char *object = object_of(&info);
    if (!h5_write_floats(file, object, attributes->vectors + i * attributes->Z, 1, attributes->Z, error) ||
        !h5_write_string(file, object, "unit", info.unit, error))
        return FALSE;
    for (size_t j = 0; j < G_N_ELEMENTS(numbers); j++)
        if (!h5_write_double(file, object, numbers[j].name, *number_at(&info, j), error)) return FALSE;
    return TRUE;
}

/* Writing the first vector creates the group. */
gboolean checkpoint_put_attributes(h5_file_t *file, const attributes_t *attributes, GError **error) {
    g_autofree char *names = names_text(attributes), *checksum = checksum_of(attributes);
    for (size_t i = 0; i < attributes->n; i++)
        if (!write_one(file, attributes, i, error)) return FALSE;
    return h5_write_string(file, GROUP, NAMES, names, error) &&
           h5_write_string(file, GROUP, CHECKSUM, checksum, error);
}

static gboolean fail_damaged(GError **error, const char *path, const char *what) {
    g_set_error(
        error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ,
        "%s: cannot read the attribute vectors: %s; compute them anew: %s --attributes %s --data SHARDS",
        path, what, program_called("trainer"), path);
    return FALSE;
}

/* Lower-case letters, so that a name is one word of the command line and one object of the file. */
static gboolean is_name(const char *name) {
    const size_t length = strlen(name);
    return length > 0 && length < ATTRIBUTES_TEXT && strspn(name, "abcdefghijklmnopqrstuvwxyz_") == length;
}

/* Splits the list of names and checks each. */
static gboolean set_names(const char *path, const char *names, attributes_t *attributes, GError **error) {
    g_auto(GStrv) parts = g_strsplit(names, ",", -1);
    attributes->n = g_strv_length(parts);
    if (attributes->n < 1 || attributes->n > ATTRIBUTES_MAX)
        return fail_damaged(error, path, "the list of names makes no sense");
    for (size_t i = 0; i < attributes->n; i++) {
        if (!is_name(parts[i])) return fail_damaged(error, path, "the list of names makes no sense");
        g_strlcpy(attributes->info[i].name, parts[i], ATTRIBUTES_TEXT);
    }
    return TRUE;
}

static gboolean read_one(h5_file_t *file, attributes_t *attributes, size_t i, GError **error) {
    attribute_info_t *info = &attributes->info[i];
    real_t *vector = attributes->vectors + i * attributes->Z;
    g_autofree char *object = object_of(info), *unit = NULL;
    if (!h5_read_floats(file, object, vector, 1, attributes->Z, error) ||
        !(unit = h5_read_string(file, object, "unit", error)))
        return FALSE;
    g_strlcpy(info->unit, unit, ATTRIBUTES_TEXT);
    gboolean sound = strlen(unit) < ATTRIBUTES_TEXT;
    for (size_t j = 0; j < G_N_ELEMENTS(numbers); j++) {
        if (!h5_read_double(file, object, numbers[j].name, number_at(info, j), error)) return FALSE;
        sound &= isfinite(*number_at(info, j)) != 0;
    }
    for (size_t j = 0; j < attributes->Z; j++) sound &= isfinite(vector[j]) != 0;
    return (sound && info->sd > 0) || fail_damaged(error, h5_file_path(file), "a value makes no sense");
}

gboolean checkpoint_read_attributes(const char *path, attributes_t *attributes, GError **error) {
    g_auto(checkpoint_t) checkpoint = {0};
    *attributes = (attributes_t){0};
    if (!checkpoint_read(path, &checkpoint, error)) return FALSE;
    g_autoptr(h5_file_t) file = checkpoint_file_open_group(
        path, GROUP, "has no attribute vectors; compute them", "--attributes", error);
    if (!file) return FALSE;
    g_autofree char *names = h5_read_string(file, GROUP, NAMES, error);
    if (!names || !set_names(path, names, attributes, error)) return FALSE;
    attributes->Z = checkpoint.model.latent;
    attributes->vectors = g_new0(real_t, attributes->n * attributes->Z);
    for (size_t i = 0; i < attributes->n; i++)
        if (!read_one(file, attributes, i, error)) return FALSE;
    g_autofree char *stored = h5_read_string(file, GROUP, CHECKSUM, error),
                    *computed = checksum_of(attributes);
    if (!stored) return FALSE;
    return g_str_equal(stored, computed) || fail_damaged(error, path, "they do not match their checksum");
}
