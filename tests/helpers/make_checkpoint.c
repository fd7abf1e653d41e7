/* make_checkpoint PATH [--tracks LIST] [--planes 1|2] [--window T] [--segment S] [--latent Z] [--bias B]
 * [--memory M] [--note N] [--performance N] [--bar N] [--seed N]: a checkpoint of an untrained model, for
 * tests of what reads checkpoints; of the sequence model where S > 0. Its weights are scaled up and its
 * output bias is B, so that its music is sparse and differs from latent vector to latent vector. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "trainer/checkpoint/checkpoint.h"

static int window = 32, segment = 0, latent = 4, planes = 2, memory = 0, note = 0, performance = 0, bar = 0;
static double bias = -12;
static gint64 seed = 1;
static char *tracks;

static const GOptionEntry entries[] = {{"tracks", 0, 0, G_OPTION_ARG_STRING, &tracks, "", ""},
                                       {"planes", 0, 0, G_OPTION_ARG_INT, &planes, "", ""},
                                       {"window", 0, 0, G_OPTION_ARG_INT, &window, "", ""},
                                       {"segment", 0, 0, G_OPTION_ARG_INT, &segment, "", ""},
                                       {"latent", 0, 0, G_OPTION_ARG_INT, &latent, "", ""},
                                       {"memory", 0, 0, G_OPTION_ARG_INT, &memory, "", ""},
                                       {"note", 0, 0, G_OPTION_ARG_INT, &note, "", ""},
                                       {"performance", 0, 0, G_OPTION_ARG_INT, &performance, "", ""},
                                       {"bar", 0, 0, G_OPTION_ARG_INT, &bar, "", ""},
                                       {"bias", 0, 0, G_OPTION_ARG_DOUBLE, &bias, "", ""},
                                       {"seed", 0, 0, G_OPTION_ARG_INT64, &seed, "", ""},
                                       {0}};

/* Makes steps in latent space larger, and music sparser, than fresh weights do. */
static void shape_weights(model_t *model) {
    size_t n;
    const param_t *table = model_table(model, &n);
    for (size_t i = 0; i < n; i++) {
        real_t *values = model_params(model) + table[i].offset;
        const double factor = strcmp(table[i].name, "mu.weight") == 0      ? 30
                              : g_str_has_prefix(table[i].name, "decoder") ? 3
                                                                           : 12;
        for (size_t j = 0; j < table[i].rows * table[i].cols; j++) {
            if (strcmp(table[i].name, "output.bias") == 0)
                values[j] = (real_t)bias;
            else if (!g_str_has_prefix(table[i].name, "encoder") &&
                     g_str_has_suffix(table[i].name, ".weight"))
                values[j] *= (real_t)factor;
        }
    }
}

/* Makes weights that carry the latent far, and cells that are set where the output bias lets them. */
static void shape_sequence(model_t *model) {
    size_t n;
    const param_t *table = model_table(model, &n);
    const size_t cells = model_cells(model_config(model));
    for (size_t i = 0; i < n; i++) {
        real_t *values = model_params(model) + table[i].offset;
        for (size_t j = 0; table[i].rows > 1 && j < table[i].rows * table[i].cols; j++) values[j] *= 4;
        const rng_t rng = rng_make(1, RNG_NOISE, 0, i);
        if (strstr(table[i].name, ".bar")) rng_normal(&rng, values, table[i].rows * table[i].cols);
        if (g_str_equal(table[i].name, "head.output.bias"))
            for (size_t j = 0; j < cells; j++) values[j] = (real_t)bias;
    }
}

/* A config of many small sizes, all different. */
static model_config_t sequence_config(const grid_t *grid) {
    model_config_t config = {.kind = MODEL_SEQUENCE,
                             .tracks = (size_t)grid->n_tracks,
                             .planes = (size_t)planes,
                             .pitches = (size_t)grid->pitches,
                             .latent = (size_t)latent,
                             .loss = LOSS_BCE,
                             .sequence = {.segment = (size_t)segment,
                                          .state = 24,
                                          .encoder = 10,
                                          .sketch = 6,
                                          .nade = 7,
                                          .tied = 8,
                                          .posterior_hidden = 12,
                                          .prior_hidden = 9,
                                          .sketch_hidden = 11,
                                          .performance = (size_t)performance,
                                          .lags = {1, 2, 4},
                                          .n_lags = 3,
                                          .memory = (size_t)memory,
                                          .note = (size_t)note,
                                          .bar = (size_t)bar,
                                          .bar_lags = {bar > 0 ? 1 : 0, bar > 0 ? 2 : 0},
                                          .n_bar_lags = bar > 0 ? 2 : 0}};
    model_order_tracks(&config, grid);
    model_tie_range(&config, 12, 70);
    return config;
}

static gboolean make(const char *path, GError **error) {
    g_auto(checkpoint_t) checkpoint = {.grid = grid_default(),
                                       .tempo_bpm = 96,
                                       .meter = {0, 4, 4},
                                       .seed = (uint64_t)seed,
                                       .best = INFINITY,
                                       .batch = 8};
    if (!grid_set_tracks(&checkpoint.grid, tracks != NULL ? tracks : "melody,chords,bass,drums", error))
        return FALSE;
    checkpoint.options = g_strdup("[model]\n");
    memset(checkpoint.corpus_id, '0', sizeof checkpoint.corpus_id - 1);
    checkpoint.model = (model_config_t){.kind = MODEL_DENSE,
                                        .window = (size_t)window,
                                        .tracks = (size_t)checkpoint.grid.n_tracks,
                                        .planes = (size_t)planes,
                                        .pitches = (size_t)checkpoint.grid.pitches,
                                        .hidden = {24, 16},
                                        .n_hidden = 2,
                                        .latent = (size_t)latent,
                                        .loss = LOSS_BCE};
    if (segment > 0) checkpoint.model = sequence_config(&checkpoint.grid);
    g_autoptr(model_t) model = model_new(&checkpoint.model, 1, 1, error);
    if (model == NULL) return FALSE;
    model_init(model, checkpoint.seed);
    if (segment > 0)
        shape_sequence(model);
    else
        shape_weights(model);
    const optimizer_config_t config = {.learning_rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    g_autoptr(optimizer_t) optimizer = optimizer_new(&config, model_size(model));
    return checkpoint_write(path, &checkpoint, model, optimizer, NULL, error);
}

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GOptionContext) context = g_option_context_new("PATH");
    g_option_context_add_main_entries(context, entries, NULL);
    if (g_option_context_parse(context, &argc, &argv, &error) && argc == 2 && make(argv[1], &error)) return 0;
    fprintf(stderr, "make_checkpoint: %s\n", error != NULL ? error->message : "PATH is missing");
    return 1;
}
