/* The dense VAE against PyTorch in float64: losses, every gradient, and the weights after three steps of
 * Adam, AdamW and clipping (tests/golden/golden.h). */
#include "tests/golden/golden.h"
#include "trainer/model/layers.h"

typedef struct {
    const golden_t *golden;
    double density;
    uint8_t *bits;
    uint32_t *valid;
    real_t *eps;
} windows_t;

/* The batch of a step, as batch() in make_golden.py draws it. */
static batch_t draw_batch(void *own, G_GNUC_UNUSED JsonObject *c, uint64_t step) {
    windows_t *w = own;
    const model_config_t *config = &w->golden->config;
    const size_t B = w->golden->max_B, bytes = model_window_bytes(config), P = config->pitches,
                 stride = (P + 7) / 8, Z = config->latent;
    memset(w->bits, 0, B * bytes);
    for (size_t b = 0; b < B; b++) {
        const rng_t bits = rng_make(w->golden->seed, RNG_DECODE, step, b),
                    noise = rng_make(w->golden->seed, RNG_NOISE, step, b);
        w->valid[b] = (uint32_t)(1 + (37 * b + config->window - 1) % config->window);
        for (size_t d = 0; d < w->valid[b] * config->tracks * config->planes * P; d++)
            if (rng_uniform(&bits, d) < w->density)
                w->bits[b * bytes + d / P * stride + d % P / 8] |= (uint8_t)(1 << d % P % 8);
        rng_normal(&noise, w->eps + b * Z, Z);
    }
    return (batch_t){.B = B, .bits = w->bits, .valid = w->valid, .eps = w->eps};
}

static void set_up(golden_t *golden, JsonObject *shape) {
    windows_t *w = golden->own;
    JsonArray *hidden = json_object_get_array_member(shape, "hidden");
    golden->config = (model_config_t){.kind = MODEL_DENSE,
                                      .window = golden_count(shape, "window"),
                                      .tracks = golden_count(shape, "tracks"),
                                      .planes = golden_count(shape, "planes"),
                                      .pitches = golden_count(shape, "pitches"),
                                      .n_hidden = json_array_get_length(hidden),
                                      .latent = golden_count(shape, "latent")};
    for (guint i = 0; i < golden->config.n_hidden; i++)
        golden->config.hidden[i] = (size_t)json_array_get_int_element(hidden, i);
    golden->max_B = golden_count(shape, "batch");
    golden->scale = 1.0 / (double)golden->max_B;
    golden->draw = draw_batch;
    *w = (windows_t){.golden = golden, .density = golden_number(shape, "density")};
    w->bits = g_malloc(golden->max_B * model_window_bytes(&golden->config));
    w->valid = g_new(uint32_t, golden->max_B);
    w->eps = g_new(real_t, golden->max_B * golden->config.latent);
}

static void check_file(const char *file, guint cases_wanted) {
    windows_t w = {0};
    golden_check_file(file, cases_wanted, set_up, &w);
    g_free(w.bits);
    g_free(w.valid);
    g_free(w.eps);
}

static void test_small(void) { check_file("small.json", 5); }
static void test_seed(void) { check_file("seed.json", 3); }

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    layers_set_threads(1);
    g_test_add_func("/golden/small", test_small);
    g_test_add_func("/golden/seed", test_seed);
    return g_test_run();
}
