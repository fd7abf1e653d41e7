/* evaluate_dense: owns the figures of a dense model and their names. The importance-weighted bound is a
 * running log-sum-exp over draws. */
#include "trainer/evaluate/evaluate_dense.h"

#include <math.h>
#include <string.h>

#include "trainer/model/vae_dense.h"
#include "trainer/parallel/watch.h"

typedef struct {
    evaluator_t base;
    model_config_t config;
    uint8_t *bits;                 /* [max_B, window bytes] */
    uint8_t *plane;                /* [stride] of cells found */
    uint32_t *valid;               /* [max_B] */
    real_t *eps, *mu, *logvar, *z; /* [max_B, Z] */
    double *nll, *kl;              /* [max_B] */
    double *log_max, *log_sum;     /* [max_B] running log-sum-exp of the importance weights */
} dense_t;

static dense_sums_t *dense_sums(const dense_t *dense) { return (dense_sums_t *)dense->base.sums; }

/* Noise of draw k for windows [first, first + B). */
static void draw_noise(dense_t *dense, int k, int64_t first, size_t B) {
    const size_t Z = dense->config.latent;
    for (size_t b = 0; b < B; b++) {
        const rng_t rng = rng_make(dense->base.job.seed, RNG_EVALUATE, (uint64_t)k, (uint64_t)first + b);
        rng_normal(&rng, dense->eps + b * Z, Z);
    }
}

/* Compares the cells of the last logits (positive: probability > 0.5) with the sounding plane, in valid
 * frames only. */
static void count_cells(dense_t *dense, const real_t *logits, size_t B) {
    const model_config_t *c = &dense->config;
    const size_t stride = roll_stride(c->pitches);
    for (size_t b = 0; b < B; b++) {
        for (size_t i = 0; i < dense->valid[b] * c->tracks; i++) {
            const size_t plane = (b * c->window * c->tracks + i) * c->planes + PLANE_SOUNDING;
            const real_t *logit = logits + plane * c->pitches;
            memset(dense->plane, 0, stride);
            for (size_t p = 0; p < c->pitches; p++)
                dense->plane[p / 8] = (uint8_t)(dense->plane[p / 8] | (logit[p] > 0) << (p % 8));
            cells_add(&dense_sums(dense)->cells, dense->bits + plane * stride, dense->plane, c->pitches);
        }
    }
}

/* log w = log p(x | z) + log p(z) - log q(z | x) for each draw z = mu + exp(logvar / 2) eps; constants of
 * both normal densities cancel. */
static void add_bound(dense_t *dense, const batch_t *batch, int64_t first) {
    model_t *model = dense->base.job.model;
    const size_t B = batch->B, Z = dense->config.latent;
    const int draws = dense->base.job.draws;
    for (size_t b = 0; b < B; b++) {
        dense->log_max[b] = -INFINITY;
        dense->log_sum[b] = 0;
    }
    for (int k = 0; k < draws; k++) {
        watch_tick();
        draw_noise(dense, k, first, B);
        for (size_t i = 0; i < B * Z; i++)
            dense->z[i] =
                (real_t)((double)dense->mu[i] + exp((double)dense->logvar[i] / 2) * (double)dense->eps[i]);
        model_decode(model, dense->z, B);
        model_reconstruction(model, batch, dense->nll);
        for (size_t b = 0; b < B; b++) {
            double log_w = -dense->nll[b];
            for (size_t j = b * Z; j < (b + 1) * Z; j++) {
                const double z = (double)dense->z[j], eps = (double)dense->eps[j];
                log_w += (eps * eps + (double)dense->logvar[j] - z * z) / 2;
            }
            if (log_w > dense->log_max[b]) {
                dense->log_sum[b] = dense->log_sum[b] * exp(dense->log_max[b] - log_w) + 1;
                dense->log_max[b] = log_w;
            } else {
                dense->log_sum[b] += exp(log_w - dense->log_max[b]);
            }
        }
    }
    for (size_t b = 0; b < B; b++)
        dense_sums(dense)->bound -= dense->log_max[b] + log(dense->log_sum[b] / draws);
}

/* The windows of this rank's i-th share: [*first, *first + returned). */
static size_t share_windows(const evaluation_job_t *job, size_t i, int64_t *first) {
    return data_part(data_windows(job->data, job->split), (int)(job->first_share + i), (int)job->shares,
                     first);
}

static gboolean add(evaluator_t *evaluator, size_t batch_number) {
    dense_t *dense = (dense_t *)evaluator;
    const evaluation_job_t *job = &evaluator->job;
    dense_sums_t *sums = dense_sums(dense);
    const size_t share = evaluator_share(evaluator, batch_number), Z = dense->config.latent,
                 done = (batch_number - evaluator->share_begin[share]) * job->max_B;
    int64_t first = 0;
    const size_t n = share_windows(job, share, &first), B = MIN(job->max_B, n - done);
    first += (int64_t)done;
    const batch_t batch = {.B = B, .bits = dense->bits, .valid = dense->valid, .eps = dense->eps};
    data_grid_batch(job->data, job->split, first, B, dense->bits, dense->valid);
    draw_noise(dense, 0, first, B);
    model_forward(job->model, &batch, dense->nll, dense->kl);
    memcpy(dense->mu, model_mu(job->model), B * Z * sizeof *dense->mu);
    memcpy(dense->logvar, model_logvar(job->model), B * Z * sizeof *dense->logvar);
    for (size_t b = 0; b < B; b++) {
        sums->nll += dense->nll[b];
        sums->kl += dense->kl[b];
        sums->objective += dense->nll[b] + job->beta * MAX(dense->kl[b], job->free_bits);
        sums->frames += dense->valid[b];
    }
    sums->windows += (double)B;
    active_units_add(dense->base.moments, dense->mu, B, Z);
    model_decode(job->model, dense->mu, B);
    count_cells(dense, model_logits(job->model), B);
    if (job->draws > 0) add_bound(dense, &batch, first);
    return TRUE;
}

void evaluate_dense_tell_training(const dense_sums_t *sums, int active, json_t *members,
                                  evaluation_t *found) {
    const double nll = sums->nll / sums->windows, kl = sums->kl / sums->windows,
                 frames = sums->frames / sums->windows; /* per window */
    found->objective = sums->objective / sums->windows;
    json_number(members, "valid_windows", sums->windows);
    json_number(members, "valid_loss", found->objective);
    json_number(members, "valid_nll", nll);
    json_number(members, "valid_kl", kl);
    json_number(members, "valid_nll_per_frame", nll / frames);
    json_number(members, "valid_kl_per_frame", kl / frames);
    json_number(members, "active_units", active);
    cells_tell(&sums->cells, "", TRUE, members);
    g_string_append_printf(found->text, "%.2f + %.2f (%.3f + %.3f a frame), %d active %s, F1 %.3f", nll, kl,
                           nll / frames, kl / frames, active,
                           g_dngettext(NULL, "unit", "units", (gulong)active), cells_f1(&sums->cells));
}

static void tell_evaluation(const dense_t *dense, int active, json_t *members, GString *text) {
    const dense_sums_t *sums = dense_sums(dense);
    const double per_frame = sums->windows / sums->frames, nll = sums->nll / sums->windows,
                 kl = sums->kl / sums->windows, bound = sums->bound / sums->windows;
    const int draws = dense->base.job.draws;
    json_count(members, "windows", (size_t)sums->windows);
    json_count(members, "frames", (size_t)sums->frames);
    json_count(members, "active_units", (size_t)active);
    json_count(members, "draws", (size_t)draws);
    json_number(members, "nll", nll);
    json_number(members, "kl", kl);
    json_number(members, "loss", nll + kl);
    json_number(members, "nll_per_frame", nll * per_frame);
    json_number(members, "kl_per_frame", kl * per_frame);
    json_number(members, "loss_per_frame", (nll + kl) * per_frame);
    if (draws > 0) {
        json_number(members, "iwae", bound);
        json_number(members, "iwae_per_frame", bound * per_frame);
    }
    cells_tell(&sums->cells, "", TRUE, members);
    evaluator_tell_count(text, sums->windows, "window", "windows", ", ");
    evaluator_tell_count(text, sums->frames, "frame", "frames", "\n");
    g_string_append_printf(text, "%-28s %12s %12s\n", "", "a window", "a frame");
    evaluator_tell_row(text, dense->config.loss == LOSS_MSE ? "squared error" : "reconstruction, nats", nll,
                       nll * per_frame);
    evaluator_tell_row(text, "KL divergence, nats", kl, kl * per_frame);
    evaluator_tell_row(text, "sum (-ELBO)", nll + kl, (nll + kl) * per_frame);
    if (draws > 0) {
        g_autofree char *name = g_strdup_printf("bound of %d %s (IWAE)", draws,
                                                g_dngettext(NULL, "draw", "draws", (gulong)draws));
        evaluator_tell_row(text, name, bound, bound * per_frame);
    }
    g_string_append_printf(text, "%-28s %12d of %zu\n", "active latent units", active, dense->config.latent);
    g_string_append_printf(text, "notes at 0.5: precision %.4f, recall %.4f, F1 %.4f\n",
                           cells_precision(&sums->cells), cells_recall(&sums->cells), cells_f1(&sums->cells));
}

static void tell(const evaluator_t *evaluator, json_t *members, evaluation_t *found) {
    const dense_t *dense = (const dense_t *)evaluator;
    const int active = active_units(dense->base.moments, dense_sums(dense)->windows, dense->config.latent);
    if (evaluator->job.training)
        evaluate_dense_tell_training(dense_sums(dense), active, members, found);
    else
        tell_evaluation(dense, active, members, found->text);
}

evaluator_t *evaluate_dense_new(const evaluation_job_t *job) {
    dense_t *dense = evaluator_new(sizeof *dense, job);
    evaluator_t *base = &dense->base;
    dense->config = *model_config(job->model);
    const size_t Z = dense->config.latent, B = job->max_B;
    for (size_t i = 0; i < base->job.own_shares; i++) {
        int64_t first;
        base->batches += (share_windows(&base->job, i, &first) + B - 1) / B;
        evaluator_end_share(base, i);
    }
    evaluator_sums(base, sizeof(dense_sums_t) / sizeof(double));
    base->add = add;
    base->tell = tell;
    dense->bits = evaluator_alloc(base, B, model_window_bytes(&dense->config));
    dense->plane = evaluator_alloc(base, 1, roll_stride(dense->config.pitches));
    dense->valid = evaluator_alloc(base, B, sizeof(uint32_t));
    real_t **const latents[] = {&dense->eps, &dense->mu, &dense->logvar, &dense->z};
    for (size_t i = 0; i < G_N_ELEMENTS(latents); i++)
        *latents[i] = evaluator_alloc(base, B * Z, sizeof(real_t));
    double **const losses[] = {&dense->nll, &dense->kl, &dense->log_max, &dense->log_sum};
    for (size_t i = 0; i < G_N_ELEMENTS(losses); i++) *losses[i] = evaluator_alloc(base, B, sizeof(double));
    return base;
}
