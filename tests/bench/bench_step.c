/* bench_step STEPS [options of trainer] --data BATCH --output CHECKPOINT: times training steps of the model
 * that the options ask for, on one thread. Not a test: tests/bench/against_pytorch.py builds the batch and
 * runs it.
 *
 * STEPS 0 writes the first weights to CHECKPOINT and reads no BATCH. Else a JSON line is printed: `checks`,
 * losses, norm of gradient and of the average of the weights of the first steps, with the noise of BATCH;
 * then, each step with noise of its own, `step_ms`, and the median of what the gradient takes of it;
 * milliseconds of processor time.
 *
 * BATCH, little-endian, arrays as in batch_t: uint32 T, uint32 valid, float32 eps, uint8 bits and, of the
 * sequence model, uint8 keep_input, keep_state and keep_memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/processor.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/data/noise.h"
#include "trainer/model/layers.h"
#include "trainer/run/options.h"

enum { CHECKS = 3, WARM_UP = 5 };

typedef struct {
    const options_t *options;
    model_config_t config;
    gboolean sequence;
    char *file;
    batch_t batch; /* points into file, later to the noise below */
    model_objective_t objective;
    model_t *model;
    optimizer_t *optimizer;
    noise_t *noise; /* sequence */
    real_t *eps;    /* dense */
    uint64_t *samples;
} bench_t;

static int compare(const void *a, const void *b) {
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static double median(double *x, size_t n) {
    qsort(x, n, sizeof *x, compare);
    return x[n / 2];
}

/* The next bytes of the file, to point at before its length is checked. */
static const void *take(const char **at, size_t bytes) {
    const char *taken = *at;
    *at += bytes;
    return taken;
}

/* Returns the frames that count. */
static size_t read_batch(bench_t *bench, GError **error) {
    const size_t B = (size_t)bench->options->batch, Z = bench->config.latent,
                 S = bench->config.sequence.segment;
    gsize length;
    if (!g_file_get_contents(bench->options->data, &bench->file, &length, error)) return 0;
    const char *at = bench->file;
    const size_t T = *(const uint32_t *)take(&at, sizeof(uint32_t));
    batch_t *batch = &bench->batch;
    *batch = (batch_t){.B = B, .T = T, .valid = take(&at, B * sizeof(uint32_t)), .keep_rate = 1};
    batch->eps = take(&at, B * (bench->sequence ? (T + S - 1) / S : 1) * Z * sizeof(float));
    batch->bits = take(&at, B * ((bench->sequence ? model_context(&bench->config) : 0) + T) *
                                model_frame_bytes(&bench->config));
    if (bench->sequence) {
        batch->keep_input = take(&at, B * T);
        batch->keep_state = take(&at, B * T * bench->config.sequence.state);
        batch->keep_memory = take(&at, B * T * model_memory_units(&bench->config));
        batch->keep_rate = 1 - bench->options->dropout;
        batch->memory_rate = 1 - bench->options->memory_dropout;
    }
    if (at != bench->file + length) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s: %zu bytes, %zu expected",
                    bench->options->data, length, (size_t)(at - bench->file));
        return 0;
    }
    size_t frames = 0;
    for (size_t b = 0; b < B; b++) frames += batch->valid[b];
    return frames;
}

static gboolean set_up(bench_t *bench, size_t frames, GError **error) {
    const options_t *options = bench->options;
    const size_t B = (size_t)options->batch;
    bench->model = model_new(&bench->config, B, frames, error);
    if (!bench->model) return FALSE;
    model_init(bench->model, (uint64_t)options->seed);
    const optimizer_config_t adam = options_optimizer_config(options);
    bench->optimizer = optimizer_new(&adam, model_size(bench->model));
    const noise_rates_t rates = {.input_dropout = options->input_dropout,
                                 .dropout = options->dropout,
                                 .memory_dropout = options->memory_dropout};
    bench->samples = g_new(uint64_t, B);
    for (size_t b = 0; b < B; b++) bench->samples[b] = b;
    if (bench->sequence)
        bench->noise = noise_new(&bench->config, &rates, B, B * MAX(bench->batch.T, 1));
    else
        bench->eps = g_new(real_t, B * bench->config.latent);
    const double scale = 1.0 / (double)(bench->sequence ? frames : B);
    bench->objective = (model_objective_t){.beta = options->beta,
                                           .free_bits = options->free_bits,
                                           .auxiliary = options->auxiliary,
                                           .scale = scale};
    return TRUE;
}

static void clear(bench_t *bench) {
    model_free(bench->model);
    optimizer_free(bench->optimizer);
    noise_free(bench->noise);
    g_free(bench->eps);
    g_free(bench->samples);
    g_free(bench->file);
}

static gboolean write_start(const bench_t *bench, const grid_t *grid, GError **error) {
    g_auto(checkpoint_t) checkpoint = {
        .model = bench->config, .grid = *grid, .tempo_bpm = 120, .meter = {0, 4, 4}, .best = INFINITY};
    checkpoint.options = options_to_text(bench->options);
    memset(checkpoint.corpus_id, '0', sizeof checkpoint.corpus_id - 1);
    return checkpoint_write(bench->options->output, &checkpoint, bench->model, bench->optimizer, NULL, error);
}

static void draw_noise(bench_t *bench, uint64_t step) {
    const uint64_t seed = (uint64_t)bench->options->seed;
    if (bench->sequence) {
        noise_draw(bench->noise, seed, step, bench->samples, &bench->batch);
        return;
    }
    const rng_t rng = rng_make(seed, RNG_NOISE, step, 0);
    rng_normal(&rng, bench->eps, bench->batch.B * bench->config.latent);
    bench->batch.eps = bench->eps;
}

static model_losses_t compute_gradient(bench_t *bench) {
    model_losses_t losses;
    memset(model_gradient(bench->model), 0, model_size(bench->model) * sizeof(real_t));
    model_train(bench->model, &bench->batch, &bench->objective, &losses);
    return losses;
}

static double update(bench_t *bench) {
    return optimizer_step(bench->optimizer, bench->model, bench->options->learning_rate);
}

static double norm_of(const real_t *x, size_t n) {
    double squares = 0;
    for (size_t i = 0; i < n; i++) squares += (double)x[i] * (double)x[i];
    return sqrt(squares);
}

static void print_checks(bench_t *bench) {
    printf("{\"blas\": \"%s\", \"checks\": [", layers_describe_blas());
    for (int i = 0; i < CHECKS; i++) {
        const model_losses_t losses = compute_gradient(bench);
        const double norm = update(bench);
        printf("%s{\"nll\": %.9g, \"kl\": %.9g, \"auxiliary\": %.9g, \"norm\": %.9g", i ? ", " : "",
               losses.nll, losses.kl, losses.auxiliary, norm);
        if (bench->optimizer->average)
            printf(", \"average\": %.9g", norm_of(bench->optimizer->average, bench->optimizer->n));
        printf("}");
    }
}

static void print_times(bench_t *bench, size_t steps) {
    g_autofree double *gradient = g_new(double, steps);
    printf("], \"step_ms\": [");
    for (size_t i = 0; i < WARM_UP + steps; i++) {
        const double start = processor_us();
        draw_noise(bench, i);
        compute_gradient(bench);
        const double between = processor_us();
        update(bench);
        const double end = processor_us();
        if (i < WARM_UP) continue;
        gradient[i - WARM_UP] = (between - start) / 1e3;
        printf("%s%.3f", i > WARM_UP ? ", " : "", (end - start) / 1e3);
    }
    printf("], \"gradient_ms\": %.3f}\n", median(gradient, steps));
}

static gboolean run(bench_t *bench, size_t steps, GError **error) {
    const grid_t grid = grid_default();
    bench->config = options_model_config(bench->options, &grid);
    bench->sequence = bench->config.kind == MODEL_SEQUENCE;
    size_t frames = 1;
    if (steps > 0 && (frames = read_batch(bench, error)) == 0) return FALSE;
    if (!set_up(bench, frames, error)) return FALSE;
    if (steps == 0) return write_start(bench, &grid, error);
    print_checks(bench);
    print_times(bench, steps);
    return TRUE;
}

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    gboolean help = FALSE;
    const size_t steps = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    char **rest = argv + MIN(argc - 1, 1);
    argc = MAX(argc - 1, 1);
    layers_set_threads(1);
    g_autoptr(options_t) options = options_parse(argc, rest, TRUE, &help, &error);
    if (help) return 0;
    bench_t bench = {.options = options};
    const gboolean done = options && run(&bench, steps, &error);
    clear(&bench);
    if (done) return 0;
    fprintf(stderr, "bench_step: %s\n", error->message);
    return 1;
}
