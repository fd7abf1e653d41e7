/* profile STEPS FRAMES [options of trainer] --data - --output -: measures when in a training step which
 * elements of the gradient are final, on one thread, by random bits at 5 % density, of the sequence model
 * pieces of FRAMES frames. Not a test: tests/simulate/simulate.py runs it, and play.c reads what it prints:
 *
 *     elements N
 *     gradient MS FIRST COUNT     a call of the model's hook, and the milliseconds that went before it
 *     update MS                   of the optimizer, without the gradient's norm, which the exchange takes
 *
 * Each line is the median of STEPS steps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/processor.h"
#include "trainer/data/noise.h"
#include "trainer/model/layers.h"
#include "trainer/run/options.h"

enum { WARM_UP = 3, LINES_MAX = 4096 };

typedef struct {
    size_t first, count;
    double *us; /* [steps] */
} line_t;

typedef struct {
    line_t *lines; /* [LINES_MAX] */
    size_t steps, step, n;
    double before;
} profile_t;

static double since(profile_t *profile) {
    const double now = processor_us(), us = now - profile->before;
    profile->before = now;
    return us;
}

static void note(void *data, size_t first, size_t count) {
    profile_t *profile = data;
    line_t *line = &profile->lines[profile->n++];
    if (profile->n == LINES_MAX) g_error("more calls of the hook than there is room for");
    if (!line->us) line->us = g_new(double, profile->steps);
    line->first = first;
    line->count = count;
    line->us[profile->step] = since(profile);
}

static int compare(const void *a, const void *b) {
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static double median_ms(double *us, size_t n) {
    qsort(us, n, sizeof *us, compare);
    return us[n / 2] / 1e3;
}

/* Windows or pieces of random cells. */
static void fill(const model_config_t *config, size_t frames, batch_t *batch) {
    const gboolean sequence = config->kind == MODEL_SEQUENCE;
    batch->T = sequence ? frames : config->window;
    const size_t bytes =
        batch->B * ((sequence ? model_context(config) : 0) + batch->T) * model_frame_bytes(config);
    const size_t row = model_frame_bytes(config) / (config->tracks * config->planes);
    uint8_t *bits = g_malloc0(bytes);
    uint32_t *valid = g_new(uint32_t, batch->B);
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    for (size_t i = 0; i < bytes / row; i++)
        for (size_t p = 0; p < config->pitches; p++)
            if (g_rand_double(rand) < 0.05) bits[i * row + p / 8] |= (uint8_t)(1 << p % 8);
    for (size_t b = 0; b < batch->B; b++) valid[b] = (uint32_t)batch->T;
    batch->bits = bits;
    batch->valid = valid;
}

static gboolean run(const options_t *options, size_t steps, size_t frames, GError **error) {
    const grid_t grid = grid_default();
    const model_config_t config = options_model_config(options, &grid);
    batch_t batch = {.B = (size_t)options->batch, .keep_rate = 1};
    fill(&config, frames, &batch);
    g_autoptr(model_t) model = model_new(&config, batch.B, batch.B * batch.T, error);
    if (!model) return FALSE;
    model_init(model, 1);
    const optimizer_config_t adam = options_optimizer_config(options);
    g_autoptr(optimizer_t) optimizer = optimizer_new(&adam, model_size(model));
    const noise_rates_t rates = {.input_dropout = options->input_dropout, .dropout = options->dropout};
    g_autoptr(noise_t) noise = noise_new(&config, &rates, batch.B, batch.B * batch.T);
    g_autofree uint64_t *samples = g_new0(uint64_t, batch.B);
    const model_objective_t objective = {.beta = options->beta,
                                         .free_bits = options->free_bits,
                                         .auxiliary = options->auxiliary,
                                         .scale = 1.0 / (double)(batch.B * batch.T)};
    profile_t profile = {.lines = g_new0(line_t, LINES_MAX), .steps = steps};
    double *update = g_new(double, steps);
    model_set_hook(model, note, &profile);
    for (size_t i = 0; i < WARM_UP + steps; i++) {
        profile.step = i < WARM_UP ? 0 : i - WARM_UP;
        profile.n = 0;
        profile.before = processor_us();
        noise_draw(noise, 1, i, samples, &batch);
        memset(model_gradient(model), 0, model_size(model) * sizeof(real_t));
        model_losses_t losses;
        model_train(model, &batch, &objective, &losses);
        optimizer_begin(optimizer, 1, options->learning_rate);
        optimizer_update(optimizer, model, 0, model_size(model), model_gradient(model));
        update[profile.step] = since(&profile);
    }
    printf("elements %zu\n", model_size(model));
    for (size_t i = 0; i < profile.n; i++) {
        const line_t *line = &profile.lines[i];
        printf("gradient %.4f %zu %zu\n", median_ms(line->us, steps), line->first, line->count);
    }
    printf("update %.4f\n", median_ms(update, steps));
    return TRUE;
}

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    gboolean help = FALSE;
    if (argc < 3) return 2;
    layers_set_threads(1);
    g_autoptr(options_t) options = options_parse(argc - 2, argv + 2, TRUE, &help, &error);
    if (options && run(options, strtoul(argv[1], NULL, 10), strtoul(argv[2], NULL, 10), &error)) return 0;
    fprintf(stderr, "profile: %s\n", error->message);
    return 1;
}
