/* golden: a model against a file of golden values from PyTorch in float64 (tests/golden/make_golden.py says
 * what is stored): losses and gradient norms of each step, every gradient of the first, the weights after the
 * last. Tolerance: 1e-5 of a tensor's norm, || a - b || / || b ||, taken twice: over the values stored, and
 * over the whole tensor by random projections; 1e-5 of a loss or norm. The weights' change since the start, a
 * hundred times smaller than they, is held to 1e-4 of its own norm over the values stored. */
#pragma once

#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "trainer/model/optimizer.h"

#define GOLDEN_TOLERANCE 1e-5
#define GOLDEN_CHANGE    1e-4
#define GOLDEN_DIGITS    1e-9 /* values are stored to 9 digits: what does not change differs by so much */

/* What a test fills in from the file's "shape". */
typedef struct {
    uint64_t seed; /* filled in before */
    model_config_t config;
    size_t max_B, max_frames;
    double scale;     /* model_objective_t's */
    double *log_odds; /* for model_init_log_odds(), or NULL; owned */
    void *own;        /* the test's */
    /* The batch of a step of a case, valid until the next call. */
    batch_t (*draw)(void *own, JsonObject *c, uint64_t step);
} golden_t;

static inline double golden_number(JsonObject *object, const char *name) {
    return json_object_get_double_member_with_default(object, name, 0);
}
static inline size_t golden_count(JsonObject *object, const char *name) {
    return (size_t)json_object_get_int_member(object, name);
}

static inline void golden_check_near(double value, double truth, const char *what, const char *name) {
    if (!(fabs(value - truth) <= GOLDEN_TOLERANCE * fabs(truth)))
        g_test_fail_printf("%s of %s: %.9g, PyTorch has %.9g", what, name, value, truth);
}

/* Our tensor x of n entries, the index-th of the table, against its summary. start: the weights before the
 * first step, or NULL. */
static inline void golden_check_tensor(const golden_t *golden, const char *name, JsonObject *summary,
                                       const real_t *x, const real_t *start, size_t n, size_t index) {
    JsonArray *projections = json_object_get_array_member(summary, "projections"),
              *values = json_object_get_array_member(summary, "values");
    const rng_t signs = rng_make(golden->seed, RNG_SHUFFLE, 0, index);
    const double norm = golden_number(summary, "norm");
    double sums[8] = {0}, squares = 0, whole = 0, wrong = 0, stored = 0, change = 0;
    for (size_t i = 0; i < n; i++) {
        const unsigned sign = (unsigned)(rng_uniform(&signs, i) * 256);
        squares += (double)x[i] * (double)x[i];
        for (unsigned k = 0; k < 8; k++) sums[k] += sign >> k & 1 ? (double)x[i] : -(double)x[i];
    }
    for (guint k = 0; k < 8; k++)
        whole += pow(sums[k] - json_array_get_double_element(projections, k), 2) / 8;
    const guint m = json_array_get_length(values);
    for (guint k = 0; k < m; k++) {
        const size_t i = m == n ? k : k * UINT64_C(2654435761) % n;
        const double truth = json_array_get_double_element(values, k);
        wrong += pow((double)x[i] - truth, 2);
        stored += truth * truth;
        if (start) change += pow(truth - (double)start[i], 2);
    }
    g_test_message("%-29s %s: whole tensor %.1e, %u values %.1e%s", name, start ? "weights " : "gradient",
                   sqrt(whole) / norm, m, sqrt(wrong / stored), start ? "" : " of its norm");
    if (start) g_test_message("%-29s change  : %.1e of its norm", name, sqrt(wrong / change));
    golden_check_near(sqrt(squares), norm, "norm", name);
    if (!(sqrt(whole) <= GOLDEN_TOLERANCE * norm))
        g_test_fail_printf("%s differs by %g of its norm", name, sqrt(whole) / norm);
    if (!(sqrt(wrong) <= GOLDEN_TOLERANCE * sqrt(stored)))
        g_test_fail_printf("%s: stored values differ by %g of their norm", name, sqrt(wrong / stored));
    if (start && !(sqrt(wrong) <= GOLDEN_CHANGE * sqrt(change) + GOLDEN_DIGITS * sqrt(stored)))
        g_test_fail_printf("%s: its change differs by %g of its norm", name, sqrt(wrong / change));
}

static inline void golden_check_tensors(const golden_t *golden, JsonArray *tensors, model_t *model,
                                        const real_t *start) {
    size_t n;
    const param_t *table = model_table(model, &n);
    const real_t *block = start ? model_params(model) : model_gradient(model);
    g_assert_cmpuint(json_array_get_length(tensors), ==, n);
    for (guint i = 0; i < n; i++) {
        JsonObject *tensor = json_array_get_object_element(tensors, i);
        g_assert_cmpstr(json_object_get_string_member(tensor, "name"), ==, table[i].name);
        golden_check_tensor(golden, table[i].name,
                            json_object_get_object_member(tensor, start ? "weights" : "gradient"),
                            block + table[i].offset, start ? start + table[i].offset : NULL,
                            table[i].rows * table[i].cols, i);
    }
}

static inline void golden_check_losses(const model_losses_t *losses, double norm, JsonObject *truth,
                                       const char *name) {
    const struct {
        const char *member;
        double value;
    } parts[] = {{"nll", losses->nll},
                 {"kl", losses->kl},
                 {"segments", losses->segments},
                 {"auxiliary", losses->auxiliary},
                 {"performance", losses->performance},
                 {"norm", norm}};
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
        if (json_object_has_member(
                truth, parts[i].member)) /* the dense model has no segments and no auxiliary loss */
            golden_check_near(parts[i].value, golden_number(truth, parts[i].member), parts[i].member, name);
    g_assert_true(json_object_has_member(truth, "nll") && json_object_has_member(truth, "norm"));
}

static inline void golden_check_case(golden_t *golden, JsonObject *c) {
    const char *name = json_object_get_string_member(c, "case");
    g_autoptr(GError) error = NULL;
    golden->config.loss = strcmp(json_object_get_string_member(c, "loss"), "mse") ? LOSS_BCE : LOSS_MSE;
    g_autoptr(model_t) model = model_new(&golden->config, golden->max_B, golden->max_frames, &error);
    g_assert_no_error(error);
    const size_t bytes = model_size(model) * sizeof(real_t);
    model_init(model, golden->seed);
    if (golden->log_odds) model_init_log_odds(model, golden->log_odds);
    g_autofree real_t *start = g_memdup2(model_params(model), bytes);
    const optimizer_config_t config = {.learning_rate = golden_number(c, "learning_rate"),
                                       .beta1 = 0.9,
                                       .beta2 = 0.999,
                                       .epsilon = 1e-8,
                                       .weight_decay = golden_number(c, "weight_decay"),
                                       .clip_norm = golden_number(c, "clip")};
    g_autoptr(optimizer_t) optimizer = optimizer_new(&config, model_size(model));
    const model_objective_t objective = {.beta = golden_number(c, "beta"),
                                         .free_bits = golden_number(c, "free_bits"),
                                         .auxiliary = golden_number(c, "auxiliary"),
                                         .scale = golden->scale};
    JsonArray *steps = json_object_get_array_member(c, "steps"),
              *tensors = json_object_get_array_member(c, "tensors");
    for (guint step = 0; step < json_array_get_length(steps); step++) {
        const batch_t batch = golden->draw(golden->own, c, step);
        model_losses_t losses;
        memset(model_gradient(model), 0, bytes);
        model_train(model, &batch, &objective, &losses);
        if (step == 0) golden_check_tensors(golden, tensors, model, NULL);
        const double norm = optimizer_step(optimizer, model, config.learning_rate);
        golden_check_losses(&losses, norm, json_array_get_object_element(steps, step), name);
    }
    golden_check_tensors(golden, tensors, model, start);
}

/* set_up() fills in all but the seed; what it put into own is the caller's to free. */
static inline void golden_check_file(const char *file, guint cases_wanted,
                                     void (*set_up)(golden_t *golden, JsonObject *shape), void *own) {
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonParser) parser = json_parser_new();
    json_parser_load_from_file(parser, g_test_get_filename(G_TEST_DIST, "golden", file, NULL), &error);
    g_assert_no_error(error);
    JsonObject *root = json_node_get_object(json_parser_get_root(parser));
    JsonArray *cases = json_object_get_array_member(root, "cases");
    golden_t golden = {.seed = (uint64_t)json_object_get_int_member(root, "seed"), .own = own};
    set_up(&golden, json_object_get_object_member(root, "shape"));
    g_assert_cmpuint(json_array_get_length(cases), ==, cases_wanted);
    for (guint i = 0; i < cases_wanted; i++) {
        g_test_message("case %s",
                       json_object_get_string_member(json_array_get_object_element(cases, i), "case"));
        golden_check_case(&golden, json_array_get_object_element(cases, i));
    }
    g_free(golden.log_odds);
}
