/* The dense VAE against PyTorch in float64 (tests/golden/make_golden.py says what is stored): losses, every gradient, and the weights after three steps of
 * Adam, AdamW and clipping. Tolerance: 1e-5 of a tensor's norm, || a - b || / || b ||, taken twice: over the values stored, and over the whole tensor
 * by random projections. The weights' change since the start, a hundred times smaller than they, is held to 1e-4 of its own norm where it is known entry by entry. */
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "trainer/ops.h"
#include "trainer/optimizer.h"

#define TOLERANCE 1e-5

typedef struct {
    model_config_t config;
    uint64_t seed;
    size_t B;
    double density;
    uint8_t *bits;
    uint32_t *valid;
    real_t *eps;
} golden_t;

static double number(JsonObject *object, const char *name) { return json_object_get_double_member(object, name); }
static size_t count(JsonObject *object, const char *name) { return (size_t)json_object_get_int_member(object, name); }

static void read_shape(JsonObject *root, golden_t *golden) {
    JsonObject *shape = json_object_get_object_member(root, "shape");
    JsonArray *hidden = json_object_get_array_member(shape, "hidden");
    golden->seed = (uint64_t)json_object_get_int_member(root, "seed");
    golden->B = count(shape, "batch");
    golden->density = number(shape, "density");
    golden->config = (model_config_t){.kind = MODEL_DENSE,
                                      .window = count(shape, "window"),
                                      .tracks = count(shape, "tracks"),
                                      .planes = count(shape, "planes"),
                                      .pitches = count(shape, "pitches"),
                                      .n_hidden = json_array_get_length(hidden),
                                      .latent = count(shape, "latent")};
    for (guint i = 0; i < golden->config.n_hidden; i++) golden->config.hidden[i] = (size_t)json_array_get_int_element(hidden, i);
    golden->bits = g_malloc(golden->B * model_window_bytes(&golden->config));
    golden->valid = g_new(uint32_t, golden->B);
    golden->eps = g_new(real_t, golden->B * golden->config.latent);
}

static void clear_golden(golden_t *golden) {
    g_free(golden->bits);
    g_free(golden->valid);
    g_free(golden->eps);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(golden_t, clear_golden)

/* The batch of a step, as batch() in make_golden.py draws it. */
static batch_t draw_batch(golden_t *golden, uint64_t step) {
    const model_config_t *config = &golden->config;
    const size_t bytes = model_window_bytes(config), P = config->pitches, stride = (P + 7) / 8, Z = config->latent;
    memset(golden->bits, 0, golden->B * bytes);
    for (size_t b = 0; b < golden->B; b++) {
        const rng_t bits = rng_make(golden->seed, RNG_DECODE, step, b), noise = rng_make(golden->seed, RNG_NOISE, step, b);
        golden->valid[b] = (uint32_t)(1 + (37 * b + config->window - 1) % config->window);
        for (size_t d = 0; d < golden->valid[b] * config->tracks * config->planes * P; d++)
            if (rng_uniform(&bits, d) < golden->density) golden->bits[b * bytes + d / P * stride + d % P / 8] |= (uint8_t)(1 << d % P % 8);
        rng_normal(&noise, golden->eps + b * Z, Z);
    }
    return (batch_t){.B = golden->B, .bits = golden->bits, .valid = golden->valid, .eps = golden->eps};
}

static void check_near(double value, double truth, const char *what, const char *name) {
    if (!(fabs(value - truth) <= TOLERANCE * fabs(truth))) g_test_fail_printf("%s of %s: %.9g, PyTorch has %.9g", what, name, value, truth);
}

/* Our tensor x of n entries, the index-th of the table, against its summary. start: the weights before the first step, or NULL. */
static void check_tensor(golden_t *golden, const char *name, JsonObject *summary, const real_t *x, const real_t *start, size_t n, size_t index) {
    JsonArray *projections = json_object_get_array_member(summary, "projections"), *values = json_object_get_array_member(summary, "values");
    const rng_t signs = rng_make(golden->seed, RNG_SHUFFLE, 0, index);
    const double norm = number(summary, "norm");
    double sums[8] = {0}, squares = 0, whole = 0, wrong = 0, stored = 0, change = 0;
    for (size_t i = 0; i < n; i++) {
        const unsigned sign = (unsigned)(rng_uniform(&signs, i) * 256);
        squares += (double)x[i] * (double)x[i];
        for (unsigned k = 0; k < 8; k++) sums[k] += sign >> k & 1 ? (double)x[i] : -(double)x[i];
    }
    for (guint k = 0; k < 8; k++) whole += pow(sums[k] - json_array_get_double_element(projections, k), 2) / 8;
    const guint m = json_array_get_length(values);
    for (guint k = 0; k < m; k++) {
        const size_t i = m == n ? k : k * UINT64_C(2654435761) % n;
        const double truth = json_array_get_double_element(values, k);
        wrong += pow((double)x[i] - truth, 2);
        stored += truth * truth;
        if (start) change += pow(truth - (double)start[i], 2);
    }
    g_test_message("%-18s %s: whole tensor %.1e, %u values %.1e%s", name, start ? "weights " : "gradient", sqrt(whole) / norm, m,
                   sqrt(wrong / stored), start ? "" : " of its norm");
    if (start) g_test_message("%-18s change  : %.1e of its norm", name, sqrt(wrong / change));
    check_near(sqrt(squares), norm, "norm", name);
    if (!(sqrt(whole) <= TOLERANCE * norm)) g_test_fail_printf("%s differs by %g of its norm", name, sqrt(whole) / norm);
    if (!(sqrt(wrong) <= TOLERANCE * sqrt(stored))) g_test_fail_printf("%s: stored values differ by %g of their norm", name, sqrt(wrong / stored));
    if (start && !(sqrt(wrong) <= 1e-4 * sqrt(change))) g_test_fail_printf("%s: its change differs by %g of its norm", name, sqrt(wrong / change));
}

static void check_tensors(golden_t *golden, JsonArray *tensors, model_t *model, const real_t *start) {
    size_t n;
    const param_t *table = model_table(model, &n);
    const real_t *block = start ? model_params(model) : model_gradient(model);
    g_assert_cmpuint(json_array_get_length(tensors), ==, n);
    for (guint i = 0; i < n; i++) {
        JsonObject *tensor = json_array_get_object_element(tensors, i);
        g_assert_cmpstr(json_object_get_string_member(tensor, "name"), ==, table[i].name);
        check_tensor(golden, table[i].name, json_object_get_object_member(tensor, start ? "weights" : "gradient"), block + table[i].offset,
                     start ? start + table[i].offset : NULL, table[i].rows * table[i].cols, i);
    }
}

static void check_case(golden_t *golden, JsonObject *c) {
    const char *name = json_object_get_string_member(c, "case");
    golden->config.loss = strcmp(json_object_get_string_member(c, "loss"), "mse") ? LOSS_BCE : LOSS_MSE;
    g_autoptr(model_t) model = model_new(&golden->config, golden->B, 0, NULL);
    g_assert_nonnull(model);
    const size_t bytes = model_size(model) * sizeof(real_t);
    model_init(model, golden->seed);
    g_autofree real_t *start = g_memdup2(model_params(model), bytes);
    const optimizer_config_t config = {number(c, "learning_rate"), 0.9, 0.999, 1e-8, number(c, "weight_decay"), number(c, "clip")};
    g_autoptr(optimizer_t) optimizer = optimizer_new(&config, model_size(model));
    JsonArray *steps = json_object_get_array_member(c, "steps"), *tensors = json_object_get_array_member(c, "tensors");
    for (guint step = 0; step < json_array_get_length(steps); step++) {
        JsonObject *truth = json_array_get_object_element(steps, step);
        const batch_t batch = draw_batch(golden, step);
        model_losses_t losses;
        memset(model_gradient(model), 0, bytes);
        model_train(model, &batch,
                    &(model_objective_t){.beta = number(c, "beta"), .free_bits = number(c, "free_bits"), .scale = 1.0 / (double)golden->B}, &losses);
        if (step == 0) check_tensors(golden, tensors, model, NULL);
        check_near(losses.nll, number(truth, "nll"), "reconstruction loss", name);
        check_near(losses.kl, number(truth, "kl"), "KL", name);
        check_near(optimizer_step(optimizer, model, config.learning_rate), number(truth, "norm"), "gradient norm", name);
    }
    check_tensors(golden, tensors, model, start);
}

static JsonParser *read_json(const char *file) {
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonParser) parser = json_parser_new();
    json_parser_load_from_file(parser, g_test_get_filename(G_TEST_DIST, "golden", file, NULL), &error);
    g_assert_no_error(error);
    return g_steal_pointer(&parser);
}

static void check_file(const char *file, guint cases_wanted) {
    g_auto(golden_t) golden = {0};
    g_autoptr(JsonParser) parser = read_json(file);
    JsonObject *root = json_node_get_object(json_parser_get_root(parser));
    JsonArray *cases = json_object_get_array_member(root, "cases");
    read_shape(root, &golden);
    g_assert_cmpuint(json_array_get_length(cases), ==, cases_wanted);
    for (guint i = 0; i < cases_wanted; i++) {
        g_test_message("case %s", json_object_get_string_member(json_array_get_object_element(cases, i), "case"));
        check_case(&golden, json_array_get_object_element(cases, i));
    }
}

static void test_small(void) { check_file("small.json", 5); }
static void test_seed(void) { check_file("seed.json", 3); }

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    ops_set_threads(1);
    g_test_add_func("/golden/small", test_small);
    g_test_add_func("/golden/seed", test_seed);
    return g_test_run();
}
