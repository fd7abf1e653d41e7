/* sizes: owns the table of a model's sizes, their conversion to text and back, and numbers that follow from
 * them. Refuses what is out of range. */
#include "trainer/model/sizes.h"

#include <string.h>

G_DEFINE_QUARK(mpianist_model_error, model_error)

const char *const MODEL_KIND_NAMES[] = {[MODEL_DENSE] = "dense", [MODEL_SEQUENCE] = "sequence", NULL};
const char *const LOSS_NAMES[] = {[LOSS_BCE] = "bce", [LOSS_MSE] = "mse", NULL};

enum { DENSE = 1 << MODEL_DENSE, SEQUENCE = 1 << MODEL_SEQUENCE, ANY = DENSE | SEQUENCE, UNITS = 65536 };

#define AT(member) offsetof(model_config_t, member)

const size_row_t MODEL_SIZES[] = {
    {"window", DENSE, AT(window), 1, UNITS, .since = 1},
    {"tracks", ANY, AT(tracks), 1, MODEL_MAX_TRACKS, .of_data = TRUE, .since = 1},
    {"planes", ANY, AT(planes), 1, ROLL_PLANES, .words = {"sounding", "both"}, .since = 1},
    {"pitches", ANY, AT(pitches), 1, 128, .of_data = TRUE, .since = 1},
    {"hidden", DENSE, AT(hidden), 1, UNITS, .count = AT(n_hidden), .most = MODEL_MAX_HIDDEN, .since = 1},
    {"latent", ANY, AT(latent), 1, UNITS, .none = SEQUENCE, .since = 1},
    {"segment", SEQUENCE, AT(sequence.segment), 1, 4096, .since = 2},
    {"state", SEQUENCE, AT(sequence.state), 1, UNITS, .since = 2},
    {"encoder", SEQUENCE, AT(sequence.encoder), 1, UNITS, .since = 2},
    {"sketch", SEQUENCE, AT(sequence.sketch), 1, UNITS, .since = 2},
    {"nade", SEQUENCE, AT(sequence.nade), 1, UNITS, .since = 2},
    {"tied", SEQUENCE, AT(sequence.tied), 1, UNITS, .since = 2},
    {"posterior-hidden", SEQUENCE, AT(sequence.posterior_hidden), 1, UNITS, .since = 2},
    {"prior-hidden", SEQUENCE, AT(sequence.prior_hidden), 1, UNITS, .since = 2},
    {"sketch-hidden", SEQUENCE, AT(sequence.sketch_hidden), 1, UNITS, .since = 2},
    {"lags", SEQUENCE, AT(sequence.lags), 1, MODEL_MAX_LAG, .count = AT(sequence.n_lags),
     .most = MODEL_MAX_LAGS, .rising = TRUE, .since = 3, .before = "1,2,4"},
    {"profiles", SEQUENCE, AT(sequence.profiles), 1, MODEL_MAX_LAG, .none = SEQUENCE,
     .count = AT(sequence.n_profiles), .most = MODEL_MAX_PROFILES, .rising = TRUE, .since = 4, .before = "0"},
    {"memory", SEQUENCE, AT(sequence.memory), 1, 1024, .none = SEQUENCE, .since = 6, .before = "0"},
    {"note", SEQUENCE, AT(sequence.note), 1, 1024, .none = SEQUENCE, .since = 6, .before = "0"},
    {"performance", SEQUENCE, AT(sequence.performance), 1, 1024, .none = SEQUENCE, .since = 6, .before = "0"},
    {"bar", SEQUENCE, AT(sequence.bar), 1, 128, .none = SEQUENCE, .since = 6, .before = "0"},
    {"bar-lags", SEQUENCE, AT(sequence.bar_lags), 1, 8, .none = SEQUENCE, .count = AT(sequence.n_bar_lags),
     .most = MODEL_MAX_BAR_LAGS, .rising = TRUE, .since = 6, .before = "0"},
    {"tied-first", SEQUENCE, AT(sequence.tied_first), 1, 127, .none = SEQUENCE, .of_data = TRUE, .since = 6,
     .before = "0"},
    {"tied-pitches", SEQUENCE, AT(sequence.tied_pitches), 1, 128, .none = SEQUENCE, .of_data = TRUE,
     .since = 6, .before = "0"},
    {.name = NULL},
};

static gboolean allows_none(const size_row_t *size, const model_config_t *config) {
    return size->none >> config->kind & 1U;
}

gboolean size_applies(const size_row_t *size, const model_config_t *config) {
    return size->kinds >> config->kind & 1U;
}

/* The numbers of a size, and how many there are. */
static const size_t *numbers_of(const size_row_t *size, const model_config_t *config, size_t *n) {
    const char *start = (const char *)config;
    *n = size->count ? *(const size_t *)(const void *)(start + size->count) : 1;
    return (const size_t *)(const void *)(start + size->offset);
}

char *size_text(const size_row_t *size, const model_config_t *config) {
    size_t n;
    const size_t *numbers = numbers_of(size, config, &n);
    if (size->words[0] && numbers[0] >= 1 && numbers[0] <= 2) return g_strdup(size->words[numbers[0] - 1]);
    if (n == 0) return g_strdup(allows_none(size, config) ? "0" : "");
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < n; i++) g_string_append_printf(text, "%s%zu", i ? "," : "", numbers[i]);
    return g_string_free(text, FALSE);
}

static gboolean in_range(const size_row_t *size, const model_config_t *config) {
    size_t n;
    const size_t *numbers = numbers_of(size, config, &n);
    if (n == 0 || (!size->count && numbers[0] == 0)) return allows_none(size, config);
    if (size->count && n > size->most) return FALSE;
    for (size_t i = 0; i < n; i++)
        if (numbers[i] < size->lowest || numbers[i] > size->highest ||
            (size->rising && i > 0 && numbers[i] <= numbers[i - 1]))
            return FALSE;
    return TRUE;
}

/* Parses one of the words that the size has, else a number. */
static gboolean parse_number(const size_row_t *size, char *text, size_t *number) {
    guint64 value = 0;
    for (size_t i = 0; size->words[i]; i++)
        if (g_str_equal(text, size->words[i])) value = i + 1;
    if (size->words[0] ? !value : !g_ascii_string_to_unsigned(text, 10, 0, size->highest, &value, NULL))
        return FALSE;
    *number = (size_t)value;
    return TRUE;
}

gboolean size_parse(const size_row_t *size, const char *text, model_config_t *config) {
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    size_t n = g_strv_length(parts), *numbers = (size_t *)(void *)((char *)config + size->offset);
    if (n < 1 || n > (size->count ? size->most : 1)) return FALSE;
    for (size_t i = 0; i < n; i++)
        if (!parse_number(size, g_strstrip(parts[i]), &numbers[i])) return FALSE;
    if (n == 1 && numbers[0] == 0 && allows_none(size, config)) n = 0;
    if (size->count) *(size_t *)(void *)((char *)config + size->count) = n;
    return in_range(size, config);
}

void sizes_clear_others(model_config_t *config) {
    for (const size_row_t *size = MODEL_SIZES; size->name; size++) {
        if (size_applies(size, config)) continue;
        memset((char *)config + size->offset, 0, (size->count ? size->most : 1) * sizeof(size_t));
        if (size->count) *(size_t *)(void *)((char *)config + size->count) = 0;
    }
}

const size_row_t *sizes_find_wrong(const model_config_t *config) {
    for (const size_row_t *size = MODEL_SIZES; size->name; size++)
        if (size_applies(size, config) && !in_range(size, config)) return size;
    return NULL;
}

gboolean sizes_check_range(const char *what, size_t value, size_t lowest, size_t highest, GError **error) {
    if (value >= lowest && value <= highest) return TRUE;
    g_set_error(error, MODEL_ERROR, MODEL_ERROR_SIZE, "model: %s is %zu; it must be from %zu to %zu", what,
                value, lowest, highest);
    return FALSE;
}

gboolean sizes_check(const model_config_t *config, GError **error) {
    if ((unsigned)config->kind >= MODEL_KINDS || config->loss > LOSS_MSE) {
        g_set_error(error, MODEL_ERROR, MODEL_ERROR_SIZE,
                    "model: kind %d or loss %d is unknown to this version", (int)config->kind,
                    (int)config->loss);
        return FALSE;
    }
    const size_row_t *wrong = sizes_find_wrong(config);
    if (!wrong) return TRUE;
    size_t n;
    const size_t *numbers = numbers_of(wrong, config, &n);
    if (!wrong->count)
        return sizes_check_range(wrong->name, numbers[0], allows_none(wrong, config) ? 0 : wrong->lowest,
                                 wrong->highest, error);
    g_autofree char *text = n > wrong->most ? g_strdup("too long") : size_text(wrong, config);
    g_set_error(error, MODEL_ERROR, MODEL_ERROR_SIZE,
                "model: %s (%zu numbers: %s) must be 1 to %zu%s numbers from %zu to %zu", wrong->name, n,
                text, wrong->most, wrong->rising ? " rising" : "", wrong->lowest, wrong->highest);
    return FALSE;
}

void model_order_tracks(model_config_t *config, const grid_t *grid) {
    static const role_t order[] = {ROLE_DRUMS,   ROLE_BASS,   ROLE_CHORDS,
                                   ROLE_COUNTER, ROLE_MELODY, ROLE_MERGED};
    size_t n = 0;
    memset(config->sequence.order, 0, sizeof config->sequence.order);
    config->sequence.drums = 0;
    for (int k = 0; k < grid->n_tracks; k++) config->sequence.drums += grid->roles[k] == ROLE_DRUMS;
    for (size_t i = 0; i < G_N_ELEMENTS(order); i++)
        for (int k = 0; k < grid->n_tracks; k++)
            if (grid->roles[k] == order[i]) config->sequence.order[n++] = (uint8_t)k;
}

size_t model_cells(const model_config_t *config) {
    const size_t frame = config->tracks * config->planes * config->pitches;
    return config->kind == MODEL_DENSE ? config->window * frame : frame;
}

size_t model_frame_bytes(const model_config_t *config) {
    return config->tracks * config->planes * roll_stride(config->pitches);
}

size_t model_window_bytes(const model_config_t *config) { return config->window * model_frame_bytes(config); }

size_t model_dropout_units(const model_config_t *config) {
    size_t units = 0;
    if (config->kind == MODEL_SEQUENCE) return config->sequence.state;
    for (size_t i = 0; i < config->n_hidden; i++) units += 2 * config->hidden[i];
    return units;
}

size_t model_context(const model_config_t *config) {
    const sequence_sizes_t *sizes = &config->sequence;
    const size_t lag = sizes->n_lags ? sizes->lags[sizes->n_lags - 1] : 0,
                 profile = sizes->n_profiles ? sizes->profiles[sizes->n_profiles - 1] : 0,
                 bars = sizes->n_bar_lags ? sizes->bar_lags[sizes->n_bar_lags - 1] * sizes->bar : 0;
    return config->kind == MODEL_DENSE ? 0 : MAX(MAX(lag, profile), bars);
}

size_t model_memory_units(const model_config_t *config) {
    const sequence_sizes_t *sizes = &config->sequence;
    return config->kind == MODEL_DENSE ? 0 : config->tracks * (sizes->memory + sizes->note);
}

size_t model_alignment(const model_config_t *config) {
    const size_t segment = config->sequence.segment;
    size_t align = segment;
    while (config->sequence.memory && align % MODEL_MEMORY_PHASES) align += segment;
    return align;
}

void model_tie_range(model_config_t *config, size_t lowest, size_t highest) {
    sequence_sizes_t *sizes = &config->sequence;
    const gboolean ties = sizes->memory > 0 || sizes->note > 0;
    const size_t first = lowest < MODEL_TIED_MARGIN ? 0 : lowest - MODEL_TIED_MARGIN,
                 end = MIN(highest + MODEL_TIED_MARGIN + 1, config->pitches);
    sizes->tied_first = ties ? first : 0;
    sizes->tied_pitches = ties ? end - first : 0;
}

void model_tie_all(model_config_t *config) { model_tie_range(config, 0, config->pitches); }
