/* make_checkpoint PATH [--tracks LIST] [--planes 1|2] [--window T] [--latent Z] [--bias B] [--seed N]: a checkpoint of an untrained model, for tests of what reads
 * checkpoints. Its weights are scaled up and its output bias is B, so that its music is sparse and differs from latent vector to latent vector. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "trainer/checkpoint.h"

static int window = 32, latent = 4, planes = 2;
static double bias = -12;
static gint64 seed = 1;
static char *tracks;

static const GOptionEntry entries[] = {{"tracks", 0, 0, G_OPTION_ARG_STRING, &tracks, "", ""},
                                       {"planes", 0, 0, G_OPTION_ARG_INT, &planes, "", ""},
                                       {"window", 0, 0, G_OPTION_ARG_INT, &window, "", ""},
                                       {"latent", 0, 0, G_OPTION_ARG_INT, &latent, "", ""},
                                       {"bias", 0, 0, G_OPTION_ARG_DOUBLE, &bias, "", ""},
                                       {"seed", 0, 0, G_OPTION_ARG_INT64, &seed, "", ""},
                                       {0}};

/* Larger steps in latent space and sparser music than fresh weights give. */
static void shape_weights(model_t *model) {
    size_t n;
    const param_t *table = model_table(model, &n);
    for (size_t i = 0; i < n; i++) {
        real_t *values = model_params(model) + table[i].offset;
        const double factor = strcmp(table[i].name, "mu.weight") == 0 ? 30 : g_str_has_prefix(table[i].name, "decoder") ? 3 : 12;
        for (size_t j = 0; j < table[i].rows * table[i].cols; j++) {
            if (strcmp(table[i].name, "output.bias") == 0)
                values[j] = (real_t)bias;
            else if (!g_str_has_prefix(table[i].name, "encoder") && g_str_has_suffix(table[i].name, ".weight"))
                values[j] *= (real_t)factor;
        }
    }
}

static gboolean make(const char *path, GError **error) {
    g_auto(checkpoint_t) head = {.grid = grid_default(), .tempo_bpm = 96, .meter = {0, 4, 4}, .seed = (uint64_t)seed, .best = INFINITY, .batch = 8};
    if (!grid_set_tracks(&head.grid, tracks != NULL ? tracks : "melody,chords,bass,drums", error)) return FALSE;
    head.options = g_strdup("[model]\n");
    memset(head.corpus_id, '0', sizeof head.corpus_id - 1);
    head.model = (model_config_t){.kind = MODEL_DENSE,
                                  .window = (size_t)window,
                                  .tracks = (size_t)head.grid.n_tracks,
                                  .planes = (size_t)planes,
                                  .pitches = (size_t)head.grid.pitches,
                                  .hidden = {24, 16},
                                  .n_hidden = 2,
                                  .latent = (size_t)latent,
                                  .loss = LOSS_BCE};
    g_autoptr(model_t) model = model_new(&head.model, 1, 1, error);
    if (model == NULL) return FALSE;
    model_init(model, head.seed);
    shape_weights(model);
    const optimizer_config_t config = {.learning_rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    g_autoptr(optimizer_t) optimizer = optimizer_new(&config, model_size(model));
    return checkpoint_write(path, &head, model, optimizer, error);
}

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GOptionContext) context = g_option_context_new("PATH");
    g_option_context_add_main_entries(context, entries, NULL);
    if (g_option_context_parse(context, &argc, &argv, &error) && argc == 2 && make(argv[1], &error)) return 0;
    fprintf(stderr, "make_checkpoint: %s\n", error != NULL ? error->message : "PATH is missing");
    return 1;
}
