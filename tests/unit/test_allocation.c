/* A step of training allocates nothing: planning an epoch, a batch's random numbers, loss and gradient, the
 * optimizer; of both kinds of model. Calls of the C library's allocator are counted by functions of its names
 * here, which stand before its own. Under a sanitizer, whose allocator has these names, the test is skipped.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/helpers/sequence_pieces.h"
#include "tests/helpers/sequences.h"
#include "trainer/data/batch_order.h"
#include "trainer/data/noise.h"
#include "trainer/model/layers.h"
#include "trainer/model/optimizer.h"

#ifdef __SANITIZE_ADDRESS__

int main(int argc, char **argv) {
    (void)argc;
    (void)argv;
    puts("1..0 # SKIP a sanitizer's allocator cannot be counted");
    return 0;
}

#else

/* glibc's own, behind the names that are taken here. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static size_t allocations;

void *malloc(size_t size) {
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
    allocations++;
    return __libc_calloc(n, size);
}

void *realloc(void *block, size_t size) {
    allocations++;
    return __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    allocations++;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    allocations++;
    *block = __libc_memalign(alignment, size);
    return *block ? 0 : ENOMEM;
}

enum { B = 4, T = 21, STEPS = 3 };

static const model_objective_t objective = {.beta = 0.6, .free_bits = 1, .auxiliary = 0.5, .scale = 0.1};

static optimizer_t *make_optimizer(const model_t *model) {
    const optimizer_config_t config = {.learning_rate = 1e-3,
                                       .beta1 = 0.9,
                                       .beta2 = 0.999,
                                       .epsilon = 1e-8,
                                       .weight_decay = 0.1,
                                       .clip_norm = 1,
                                       .average = 0.9};
    return optimizer_new(&config, model_size(model));
}

static void take_step(model_t *model, optimizer_t *optimizer, const batch_t *batch) {
    model_losses_t losses;
    memset(model_gradient(model), 0, model_size(model) * sizeof(real_t));
    model_train(model, batch, &objective, &losses);
    optimizer_step(optimizer, model, 1e-3);
    g_assert_true(isfinite(losses.nll));
}

/* The counting itself. */
static void test_counted(void) {
    const size_t before = allocations;
    void *volatile small = g_malloc(10);
    real_t *volatile block = layers_new_block(10);
    g_free(small);
    free(block);
    g_assert_cmpuint(allocations, ==, before + 2);
}

/* BLIS allocates in each product; OpenBLAS and the reference BLAS do not after the first. */
static gboolean blas_allocates(void) {
    if (!g_str_has_prefix(layers_describe_blas(), "BLIS ")) return FALSE;
    g_test_skip("BLIS allocates in its products");
    return TRUE;
}

static void check_sequence(const model_config_t *config) {
    static const uint32_t valid[B] = {21, 17, 9, 1}, frames[3 * B] = {21, 9, 17, 1, 4, 4, 8, 12, 20, 3, 2, 1};
    static const uint64_t samples[B] = {5, 1, 0, 9};
    const sequences_chances_t chances = {.density = 0.3, .keep_input = 1, .keep_past = 1, .keep_state = 1};
    const noise_rates_t rates = {
        .input_dropout = 0.1, .lag_dropout = 0.3, .dropout = 0.4, .memory_dropout = 0.2};
    g_autoptr(sequences_t) sequences = sequences_new(config, valid, B, T);
    g_autoptr(model_t) model = new_sequence_model(config, B, 1);
    g_autoptr(optimizer_t) optimizer = make_optimizer(model);
    g_autoptr(noise_t) noise = noise_new(config, &rates, B, B * T);
    const order_block_t blocks[] = {{.first_slot = 0, .slots = 7, .bytes = 70},
                                    {.first_slot = 7, .slots = 5, .bytes = 50}};
    g_autoptr(order_t) order = order_new(blocks, G_N_ELEMENTS(blocks), 60, 1);
    g_autoptr(batch_order_t) plan = batch_order_new(G_N_ELEMENTS(frames), B);
    size_t before = 0, n;
    sequences_draw(sequences, &chances, 3, 0);
    for (size_t step = 0; step <= STEPS; step++) { /* the first may set up what BLAS keeps */
        order_plan(order, (int64_t)step);
        batch_order_plan(plan, order, frames);
        batch_order_step(plan, 0, &n);
        noise_draw(noise, 1, step, samples, &sequences->batch);
        take_step(model, optimizer, &sequences->batch);
        if (step == 0) before = allocations;
    }
    g_assert_cmpuint(allocations, ==, before);
}

static void test_sequence(void) {
    const model_config_t memory = memory_config();
    if (blas_allocates()) return;
    check_sequence(&tracks_config);
    check_sequence(&memory);
}

static void test_dense(void) {
    if (blas_allocates()) return;
    const model_config_t config = {.kind = MODEL_DENSE,
                                   .window = 6,
                                   .tracks = 2,
                                   .planes = 2,
                                   .pitches = 12,
                                   .hidden = {24, 16},
                                   .n_hidden = 2,
                                   .latent = 5};
    const uint32_t valid[B] = {6, 6, 5, 1};
    g_autoptr(GError) error = NULL;
    g_autoptr(model_t) model = model_new(&config, B, 0, &error);
    g_assert_no_error(error);
    model_init(model, 3);
    g_autoptr(optimizer_t) optimizer = make_optimizer(model);
    g_autofree uint8_t *bits = g_malloc0(B * model_window_bytes(&config));
    g_autoptr(noise_t) noise = noise_new(&config, &(noise_rates_t){.dropout = 0.2}, B, B);
    batch_t batch = {.B = B, .bits = bits, .valid = valid};
    size_t before = 0;
    for (size_t step = 0; step <= STEPS; step++) {
        noise_draw(noise, 1, step, (uint64_t[]){5, 1, 0, 9}, &batch);
        take_step(model, optimizer, &batch);
        if (step == 0) before = allocations;
    }
    g_assert_cmpuint(allocations, ==, before);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    layers_set_threads(1);
    g_test_add_func("/allocation/counted", test_counted);
    g_test_add_func("/allocation/sequence", test_sequence);
    g_test_add_func("/allocation/dense", test_dense);
    return g_test_run();
}

#endif
