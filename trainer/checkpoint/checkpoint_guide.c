/* checkpoint_guide: owns the group /guide of a checkpoint, for writing and reading. Weights and numbers are
 * under one SHA-256, and the weights under HDF5's checksums, too. Refuses values that cannot be. */
#include <math.h>

#include "preprocess/common/program.h"
#include "trainer/checkpoint/checkpoint_file.h"
#include "trainer/model/guide.h"

#define GROUP    "/guide"
#define WEIGHTS  GROUP "/weights"
#define CHECKSUM "sha256"

void checkpoint_guide_clear(checkpoint_guide_t *guide) { g_clear_pointer(&guide->weights, g_free); }

static size_t elements(const model_config_t *config) { return guide_groups(config) * guide_columns(config); }

/* SHA-256 over the bytes of the weights and a line "epochs alone guided" with tabs between; owner: caller. */
static char *checksum_of(const checkpoint_guide_t *guide, size_t n) {
    char alone[G_ASCII_DTOSTR_BUF_SIZE], guided[G_ASCII_DTOSTR_BUF_SIZE];
    g_autofree char *line = g_strdup_printf("%" G_GINT64_FORMAT "\t%s\t%s\n", guide->epochs,
                                            g_ascii_dtostr(alone, sizeof alone, guide->alone),
                                            g_ascii_dtostr(guided, sizeof guided, guide->guided));
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_checksum_update(sum, (const guchar *)guide->weights, (gssize)(n * sizeof *guide->weights));
    g_checksum_update(sum, (const guchar *)line, -1);
    return g_strdup(g_checksum_get_string(sum));
}

static gboolean is_sound(const checkpoint_guide_t *guide, size_t n) {
    gboolean sound = guide->epochs >= 0 && isfinite(guide->alone) && guide->alone >= 0 &&
                     isfinite(guide->guided) && guide->guided >= 0;
    for (size_t i = 0; i < n; i++) sound &= isfinite(guide->weights[i]) != 0;
    return sound;
}

/* Writing the weights creates the group. */
gboolean checkpoint_put_guide(h5_file_t *file, const model_config_t *config, const checkpoint_guide_t *guide,
                              GError **error) {
    if (!is_sound(guide, elements(config))) {
        g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_FORMAT,
                    "%s: cannot write the guide: a value makes no sense, so learning it failed; the file is "
                    "as it was",
                    h5_file_path(file));
        return FALSE;
    }
    g_autofree char *checksum = checksum_of(guide, elements(config));
    return h5_write_floats(file, WEIGHTS, guide->weights, guide_groups(config), guide_columns(config),
                           error) &&
           h5_write_int(file, GROUP, "epochs", guide->epochs, error) &&
           h5_write_double(file, GROUP, "alone", guide->alone, error) &&
           h5_write_double(file, GROUP, "guided", guide->guided, error) &&
           h5_write_string(file, GROUP, CHECKSUM, checksum, error);
}

static gboolean fail_damaged(GError **error, h5_file_t *file, const char *what) {
    g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ, "%s: cannot read the guide: %s",
                h5_file_path(file), what);
    return FALSE;
}

static gboolean read_group(h5_file_t *file, const model_config_t *config, checkpoint_guide_t *guide,
                           GError **error) {
    const size_t n = elements(config);
    if (!checkpoint_file_holds(file, "guide", n, error)) return FALSE;
    guide->weights = g_new0(real_t, n);
    if (!h5_read_floats(file, WEIGHTS, guide->weights, guide_groups(config), guide_columns(config), error) ||
        !h5_read_int(file, GROUP, "epochs", &guide->epochs, error) ||
        !h5_read_double(file, GROUP, "alone", &guide->alone, error) ||
        !h5_read_double(file, GROUP, "guided", &guide->guided, error))
        return FALSE;
    if (!is_sound(guide, n)) return fail_damaged(error, file, "a value makes no sense");
    g_autofree char *stored = h5_read_string(file, GROUP, CHECKSUM, error), *computed = checksum_of(guide, n);
    if (!stored) return FALSE;
    return g_str_equal(stored, computed) || fail_damaged(error, file, "it does not match its checksum");
}

gboolean checkpoint_read_guide(const char *path, checkpoint_guide_t *guide, GError **error) {
    g_auto(checkpoint_t) checkpoint = {0};
    g_autoptr(GError) cause = NULL;
    *guide = (checkpoint_guide_t){0};
    if (!checkpoint_read(path, &checkpoint, error)) return FALSE;
    if (checkpoint.model.kind != MODEL_SEQUENCE) {
        g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_NONE,
                    "%s: has no guide: only sequence models have one; give a checkpoint of such a model",
                    path);
        return FALSE;
    }
    g_autoptr(h5_file_t) file =
        checkpoint_file_open_group(path, GROUP, "has no guide; learn one", "--masks", error);
    if (!file) return FALSE;
    if (read_group(file, &checkpoint.model, guide, &cause)) return TRUE;
    g_set_error(error, cause->domain, cause->code, "%s; learn the guide anew: %s --masks %s --data SHARDS",
                cause->message, program_called("trainer"), path);
    return FALSE;
}
