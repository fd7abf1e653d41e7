/* evaluate: owns the figures by which models are compared: bound, active units, notes found. Sums are double
 * and merge over ranks: variances by Chan, Golub & LeVeque 1979, the importance-weighted bound by a running
 * log-sum-exp. Refuses empty splits and data on another grid than the model's. */
#include "trainer/evaluate/evaluate.h"

#include <math.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "trainer/evaluate/active_units.h"
#include "trainer/evaluate/evaluate_sequence.h"
#include "trainer/evaluate/evaluation_print.h"
#include "trainer/model/vae_dense.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/stop.h"
#include "trainer/run/run.h"

#define EVALUATE_BATCH 32

struct evaluator {
    model_config_t config;
    size_t max_B;
    int draws;
    uint8_t *bits;                 /* [max_B, window bytes] */
    uint32_t *valid;               /* [max_B] */
    real_t *eps, *mu, *logvar, *z; /* [max_B, Z] */
    double *nll, *kl;              /* [max_B] */
    double *log_max, *log_sum;     /* [max_B] running log-sum-exp of the importance weights */
    double *mean, *m2; /* [Z] of mu over this rank's windows: mean, sum of squared distances from it */
    double *merged;    /* [2 Z] scratch of merging */
};

/* Sums that ranks add up. All fit a double exactly or are sums of doubles anyway. */
typedef struct {
    double windows, frames, nll, kl, objective, iwae;
    double hits, false_alarms, misses; /* cells */
    double failed;                     /* ranks that could not read a song */
} sums_t;

evaluator_t *evaluator_new(const model_config_t *config, size_t max_B, int draws) {
    evaluator_t *evaluator = g_new0(evaluator_t, 1);
    size_t Z = config->latent;
    evaluator->config = *config;
    evaluator->max_B = max_B;
    evaluator->draws = draws;
    evaluator->bits = g_malloc(max_B * model_window_bytes(config));
    evaluator->valid = g_new(uint32_t, max_B);
    evaluator->eps = g_new(real_t, max_B * Z);
    evaluator->mu = g_new(real_t, max_B * Z);
    evaluator->logvar = g_new(real_t, max_B * Z);
    evaluator->z = g_new(real_t, max_B * Z);
    evaluator->nll = g_new(double, max_B);
    evaluator->kl = g_new(double, max_B);
    evaluator->log_max = g_new(double, max_B);
    evaluator->log_sum = g_new(double, max_B);
    evaluator->mean = g_new(double, Z);
    evaluator->m2 = g_new(double, Z);
    evaluator->merged = g_new(double, 2 * Z);
    return evaluator;
}

void evaluator_free(evaluator_t *evaluator) {
    if (!evaluator) return;
    void *buffers[] = {evaluator->bits,   evaluator->valid,   evaluator->eps,     evaluator->mu,
                       evaluator->logvar, evaluator->z,       evaluator->nll,     evaluator->kl,
                       evaluator->mean,   evaluator->log_max, evaluator->log_sum, evaluator->m2,
                       evaluator->merged};
    for (size_t i = 0; i < G_N_ELEMENTS(buffers); i++) g_free(buffers[i]);
    g_free(evaluator);
}

/* Noise of draw k for windows [first, first + B). */
static void draw_noise(evaluator_t *evaluator, uint64_t seed, int k, int64_t first, size_t B) {
    size_t Z = evaluator->config.latent;
    for (size_t b = 0; b < B; b++) {
        rng_t rng = rng_make(seed, RNG_EVALUATE, (uint64_t)k, (uint64_t)first + b);
        rng_normal(&rng, evaluator->eps + b * Z, Z);
    }
}

/* Welford 1962: one value after the other. n: windows before this pass. */
static void add_means(evaluator_t *evaluator, double n, size_t B) {
    size_t Z = evaluator->config.latent;
    for (size_t b = 0; b < B; b++) {
        for (size_t j = 0; j < Z; j++) {
            double mu = (double)evaluator->mu[b * Z + j], distance = mu - evaluator->mean[j];
            evaluator->mean[j] += distance / (n + (double)b + 1);
            evaluator->m2[j] += distance * (mu - evaluator->mean[j]);
        }
    }
}

/* Compares the logits last computed (positive: probability > 0.5) with the sounding plane, valid frames only.
 */
static void count_cells(const evaluator_t *evaluator, const real_t *logits, size_t B, sums_t *sums) {
    const model_config_t *c = &evaluator->config;
    size_t stride = roll_stride(c->pitches), hits = 0, found = 0, sounding = 0;
    for (size_t b = 0; b < B; b++) {
        for (size_t t = 0; t < evaluator->valid[b]; t++) {
            for (size_t k = 0; k < c->tracks; k++) {
                size_t plane = ((b * c->window + t) * c->tracks + k) * c->planes + PLANE_SOUNDING;
                const uint8_t *bits = evaluator->bits + plane * stride;
                const real_t *logit = logits + plane * c->pitches;
                for (size_t p = 0; p < c->pitches; p++) {
                    unsigned on = ((unsigned)bits[p / 8] >> (p % 8)) & 1U, guess = logit[p] > 0;
                    hits += on & guess;
                    found += guess;
                    sounding += on;
                }
            }
        }
    }
    sums->hits += (double)hits;
    sums->false_alarms += (double)(found - hits);
    sums->misses += (double)(sounding - hits);
}

/* log w = log p(x | z) + log p(z) - log q(z | x) for each draw z = mu + exp(logvar / 2) eps; constants of
 * both normal densities cancel. */
static void add_bound(evaluator_t *evaluator, model_t *model, const batch_t *batch, uint64_t seed,
                      int64_t first, sums_t *sums) {
    size_t B = batch->B, Z = evaluator->config.latent;
    for (size_t b = 0; b < B; b++) {
        evaluator->log_max[b] = -INFINITY;
        evaluator->log_sum[b] = 0;
    }
    for (int k = 0; k < evaluator->draws; k++) {
        draw_noise(evaluator, seed, k, first, B);
        for (size_t i = 0; i < B * Z; i++)
            evaluator->z[i] = (real_t)((double)evaluator->mu[i] +
                                       exp((double)evaluator->logvar[i] / 2) * (double)evaluator->eps[i]);
        model_decode(model, evaluator->z, B);
        model_reconstruction(model, batch, evaluator->nll);
        for (size_t b = 0; b < B; b++) {
            double log_w = -evaluator->nll[b];
            for (size_t j = b * Z; j < (b + 1) * Z; j++) {
                double z = (double)evaluator->z[j], eps = (double)evaluator->eps[j];
                log_w += (eps * eps + (double)evaluator->logvar[j] - z * z) / 2;
            }
            if (log_w > evaluator->log_max[b]) {
                evaluator->log_sum[b] = evaluator->log_sum[b] * exp(evaluator->log_max[b] - log_w) + 1;
                evaluator->log_max[b] = log_w;
            } else {
                evaluator->log_sum[b] += exp(log_w - evaluator->log_max[b]);
            }
        }
    }
    for (size_t b = 0; b < B; b++)
        sums->iwae -= evaluator->log_max[b] + log(evaluator->log_sum[b] / evaluator->draws);
}

static void add_pass(evaluator_t *evaluator, model_t *model, const data_t *data, split_t split, uint64_t seed,
                     double beta, double free_bits, int64_t first, size_t B, sums_t *sums) {
    size_t Z = evaluator->config.latent;
    data_grid_batch(data, split, first, B, evaluator->bits, evaluator->valid);
    draw_noise(evaluator, seed, 0, first, B);
    batch_t batch = {.B = B, .bits = evaluator->bits, .valid = evaluator->valid, .eps = evaluator->eps};
    model_forward(model, &batch, evaluator->nll, evaluator->kl);
    memcpy(evaluator->mu, model_mu(model), B * Z * sizeof *evaluator->mu);
    memcpy(evaluator->logvar, model_logvar(model), B * Z * sizeof *evaluator->logvar);
    for (size_t b = 0; b < B; b++) {
        sums->nll += evaluator->nll[b];
        sums->kl += evaluator->kl[b];
        sums->objective += evaluator->nll[b] + beta * MAX(evaluator->kl[b], free_bits);
        sums->frames += evaluator->valid[b];
    }
    add_means(evaluator, sums->windows, B);
    sums->windows += (double)B;
    model_decode(model, evaluator->mu, B);
    count_cells(evaluator, model_logits(model), B, sums);
    if (evaluator->draws > 0) add_bound(evaluator, model, &batch, seed, first, sums);
}

/* Latent units whose mu varies over all ranks' windows: n var = sum over ranks of [m2_r + n_r (mean_r -
 * mean)^2]. */
static int count_active(evaluator_t *evaluator, double windows, double all_windows) {
    size_t Z = evaluator->config.latent;
    double *mean = evaluator->merged, *m2 = evaluator->merged + Z;
    for (size_t j = 0; j < Z; j++) mean[j] = windows * evaluator->mean[j] / all_windows;
    comm_sum_doubles(mean, Z);
    for (size_t j = 0; j < Z; j++)
        m2[j] = evaluator->m2[j] + windows * (evaluator->mean[j] - mean[j]) * (evaluator->mean[j] - mean[j]);
    comm_sum_doubles(m2, Z);
    int active = 0;
    for (size_t j = 0; j < Z; j++) active += m2[j] / all_windows > ACTIVE_UNITS_VARIANCE;
    return active;
}

gboolean evaluator_run(evaluator_t *evaluator, model_t *model, const data_t *data, split_t split,
                       uint64_t seed, double beta, double free_bits, evaluation_t *result) {
    size_t Z = evaluator->config.latent;
    int64_t windows = data_windows(data, split), first = 0;
    int64_t mine = (int64_t)data_part(windows, comm_rank(), comm_size(), &first);
    int64_t most = (windows + comm_size() - 1) / comm_size();
    sums_t sums = {0};
    for (size_t j = 0; j < Z; j++) evaluator->mean[j] = evaluator->m2[j] = 0;
    for (int64_t done = 0; done < most; done += (int64_t)evaluator->max_B) { /* as often on every rank */
        double stop = stop_signal() != 0 || rolls_failed(data_rolls(data));
        comm_sum_doubles(&stop, 1);
        if (stop > 0) return FALSE;
        if (done >= mine) continue;
        size_t B = MIN(evaluator->max_B, (size_t)(mine - done));
        add_pass(evaluator, model, data, split, seed, beta, free_bits, first + done, B, &sums);
    }
    double own_windows = sums.windows;
    sums.failed = rolls_failed(data_rolls(data));
    comm_sum_doubles((double *)&sums, sizeof sums / sizeof(double));
    if (sums.failed > 0) return FALSE;
    int active = count_active(evaluator, own_windows, sums.windows);
    *result = (evaluation_t){
        .windows = windows,
        .frames = (int64_t)sums.frames,
        .segments = windows,
        .nll = sums.nll / sums.windows,
        .kl = sums.kl / sums.windows,
        .objective = sums.objective / sums.windows,
        .draws = evaluator->draws,
        .iwae = sums.iwae / sums.windows,
        .active_units = active,
        .precision = sums.hits / MAX(1, sums.hits + sums.false_alarms),
        .recall = sums.hits / MAX(1, sums.hits + sums.misses),
        .f1 = 2 * sums.hits / MAX(1, 2 * sums.hits + sums.false_alarms + sums.misses),
    };
    return TRUE;
}

/* The bounds that a kind of model has. */
static gboolean check_bounds(const options_t *options, const model_config_t *config, GError **error) {
    const char *problem = NULL;
    if (config->kind == MODEL_SEQUENCE && options->iwae > 0)
        problem = "--iwae: %s is a sequence model, whose draws must be weighed segment by segment; take "
                  "--particles K";
    else if (config->kind == MODEL_DENSE && options->particles > 0)
        problem = "--particles: %s is a dense model, whose windows have one latent each; take --iwae K";
    else if (options->iwae > 0 && config->loss != LOSS_BCE)
        problem = "--iwae: %s was trained with --loss mse, which gives no likelihood; leave --iwae out";
    if (!problem) return TRUE;
    g_set_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE, problem, options->evaluate);
    return FALSE;
}

static gboolean check_songs(const options_t *options, const data_t *data, const split_t *splits, size_t n,
                            GError **error) {
    for (size_t i = 0; i < n; i++) {
        if (data_frames(data, splits[i]) > 0) continue;
        g_set_error(error, SHARD_ERROR, SHARD_ERROR_NONE,
                    "%s: holds no %s songs; see `%s --info %s`, or take another --split", options->data,
                    split_name(splits[i]), program_called("preprocess"), options->data);
        return FALSE;
    }
    return TRUE;
}

static gboolean run_dense(const options_t *options, const checkpoint_t *checkpoint, model_t *model,
                          const data_t *data, split_t split, GError **error) {
    g_autoptr(evaluator_t) evaluator = evaluator_new(&checkpoint->model, EVALUATE_BATCH, options->iwae);
    evaluation_t result;
    if (!evaluator_run(evaluator, model, data, split, (uint64_t)options->seed, options->beta,
                       options->free_bits, &result))
        return FALSE;
    GError *local = NULL;
    if (comm_rank() == 0) evaluation_print(options, checkpoint, split, &result, &local);
    return comm_agree(local, error);
}

static gboolean run_sequence(const options_t *options, const checkpoint_t *checkpoint, model_t *model,
                             const data_t *data, split_t split, GError **error) {
    sequence_evaluation_t result;
    if (!evaluate_sequence(model, data, split, (uint64_t)options->seed, options->particles, options->quiet,
                           &result, error))
        return FALSE;
    GError *local = NULL;
    if (comm_rank() == 0) evaluation_print_sequence(options, checkpoint, split, &result, &local);
    return comm_agree(local, error);
}

static gboolean run_splits(const options_t *options, const checkpoint_t *checkpoint, model_t *model,
                           const data_t *data, const split_t *splits, size_t n, GError **error) {
    for (size_t i = 0; i < n; i++) {
        GError *cause = NULL;
        if (checkpoint->model.kind == MODEL_SEQUENCE
                ? run_sequence(options, checkpoint, model, data, splits[i], &cause)
                : run_dense(options, checkpoint, model, data, splits[i], &cause))
            continue;
        if (!cause) rolls_agree(data_rolls(data), &cause);
        if (!cause)
            g_set_error(&cause, OPTIONS_ERROR, OPTIONS_ERROR_FILE,
                        "stopped by a signal before the evaluation was done");
        g_propagate_error(error, cause);
        return FALSE;
    }
    return TRUE;
}

int evaluate_run(const options_t *options, GError **error) {
    g_auto(checkpoint_t) checkpoint = {0};
    split_t splits[SPLIT_COUNT];
    size_t n = 0;
    if (!options_splits(options, splits, &n, error)) return EXIT_USAGE;
    if (!run_read_checkpoint(options->evaluate, &checkpoint, error)) return EXIT_ERROR;
    if (!check_bounds(options, &checkpoint.model, error)) return EXIT_USAGE;
    const data_config_t data_config = {.window = checkpoint.model.window,
                                       .context = model_context(&checkpoint.model),
                                       .planes = checkpoint.model.planes,
                                       .seed = (uint64_t)options->seed,
                                       .memory = (size_t)options->data_memory << 20};
    data_t *data = data_load(options->data, &data_config, error);
    if (!data) return EXIT_ERROR;
    GError *local = NULL;
    g_autoptr(model_t) model = NULL;
    gboolean done = run_check_grid(options->evaluate, &checkpoint, &data_shards(data)->grid, error) &&
                    check_songs(options, data, splits, n, error);
    if (done) {
        const gboolean dense =
            checkpoint.model.kind == MODEL_DENSE; /* the sequence model's pieces go through streams */
        model = model_new(&checkpoint.model, dense ? EVALUATE_BATCH : 1, 1, &local);
        done = comm_agree(local, error);
    }
    done = done && run_read_weights(options->evaluate, model, error) &&
           run_splits(options, &checkpoint, model, data, splits, n, error);
    data_free(data);
    return done ? EXIT_DONE : EXIT_ERROR;
}
