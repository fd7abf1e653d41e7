/* Times training steps of the seed's model on one thread: random bits, 5 % sounding. Prints one JSON line: milliseconds of each step, and medians of its
 * parts. Not a test: tests/bench/against_pytorch.py builds and runs it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/model.h"
#include "trainer/ops.h"
#include "trainer/optimizer.h"

enum { BATCH = 64, WARM_UP = 5 };

static int compare(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

static double median(double *x, size_t n) {
    qsort(x, n, sizeof *x, compare);
    return x[n / 2];
}

int main(int argc, char **argv) {
    const size_t steps = argc > 1 ? strtoul(argv[1], NULL, 10) : 50;
    const model_config_t config = {
        .kind = MODEL_DENSE, .window = 100, .tracks = 1, .planes = 1, .pitches = 88, .hidden = {256, 128, 64}, .n_hidden = 3, .latent = 16};
    g_autoptr(model_t) model = model_new(&config, BATCH, 0, NULL);
    g_autoptr(optimizer_t) optimizer =
        optimizer_new(&(optimizer_config_t){.learning_rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8}, model_size(model));
    const size_t bytes = BATCH * model_window_bytes(&config);
    g_autofree uint8_t *bits = g_malloc0(bytes);
    g_autofree real_t *eps = g_new0(real_t, BATCH * config.latent);
    g_autofree double *whole = g_new0(double, steps), *gradient = g_new0(double, steps), *adam = g_new0(double, steps);
    uint32_t valid[BATCH];
    const rng_t rng = rng_make(1, RNG_DECODE, 0, 0), noise = rng_make(1, RNG_NOISE, 0, 0);
    for (size_t i = 0; i < 8 * bytes; i++) bits[i / 8] = (uint8_t)(bits[i / 8] | (rng_uniform(&rng, i) < 0.05) << i % 8);
    for (size_t b = 0; b < BATCH; b++) valid[b] = 100;
    rng_normal(&noise, eps, BATCH * config.latent);
    ops_set_threads(1);
    model_init(model, 1);
    const batch_t batch = {BATCH, bits, valid, eps};
    for (size_t i = 0; i < WARM_UP + steps; i++) {
        model_losses_t losses;
        const gint64 start = g_get_monotonic_time();
        memset(model_gradient(model), 0, model_size(model) * sizeof(real_t));
        model_train(model, &batch, &(model_objective_t){.beta = 1, .free_bits = 0, .scale = 1.0 / BATCH}, &losses);
        const gint64 between = g_get_monotonic_time();
        optimizer_step(optimizer, model, 1e-3);
        const gint64 end = g_get_monotonic_time();
        if (i < WARM_UP) continue;
        whole[i - WARM_UP] = (double)(end - start) / 1e3;
        gradient[i - WARM_UP] = (double)(between - start) / 1e3;
        adam[i - WARM_UP] = (double)(end - between) / 1e3;
    }
    printf("{\"blas\": \"%s\", \"gradient_ms\": %.3f, \"adam_ms\": %.3f, \"step_ms\": [", ops_describe_blas(), median(gradient, steps),
           median(adam, steps));
    for (size_t i = 0; i < steps; i++) printf("%s%.3f", i ? ", " : "", whole[i]);
    printf("], \"median_ms\": %.3f}\n", median(whole, steps));
    return 0;
}
