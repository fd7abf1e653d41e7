/* rebuild: owns the particles of a segment: their random numbers, their frames, and which of them is kept.
 * Refuses nothing: calls out of order are the caller's mistake. */
#include "trainer/model/rebuild.h"

#include <math.h>
#include <string.h>

struct rebuild {
    stream_t *stream;
    size_t max_rows, S, Z, D, frame_bytes;
    size_t drawn;        /* frames of the segment under way */
    uint8_t *frames;     /* [max_rows, frame bytes]: those just drawn */
    uint8_t *segments;   /* [max_rows, S, frame bytes] */
    rng_t *rngs;         /* [max_rows] */
    head_rule_t *rules;  /* [max_rows] */
    real_t *mu, *logvar; /* [max_rows, Z]: what the encoder makes of the draws */
    uint32_t *parents;   /* [max_rows] */
    uint32_t *kept;      /* [max_rows]: row of piece n's best draw */
};

rebuild_t *rebuild_new(const model_t *model, stream_t *stream, size_t max_rows) {
    const model_config_t *config = model_config(model);
    rebuild_t *rebuild = g_new0(rebuild_t, 1);
    *rebuild = (rebuild_t){.stream = stream,
                           .max_rows = max_rows,
                           .S = config->sequence.segment,
                           .Z = config->latent,
                           .D = model_cells(config),
                           .frame_bytes = model_frame_bytes(config)};
    rebuild->frames = g_malloc0(max_rows * rebuild->frame_bytes);
    rebuild->segments = g_malloc0(max_rows * rebuild->S * rebuild->frame_bytes);
    rebuild->rngs = g_new(rng_t, max_rows);
    rebuild->rules = g_new(head_rule_t, max_rows);
    rebuild->mu = g_new(real_t, max_rows * rebuild->Z);
    rebuild->logvar = g_new(real_t, max_rows * rebuild->Z);
    rebuild->parents = g_new(uint32_t, max_rows);
    rebuild->kept = g_new(uint32_t, max_rows);
    return rebuild;
}

void rebuild_free(rebuild_t *rebuild) {
    if (!rebuild) return;
    void *const buffers[] = {rebuild->frames, rebuild->segments, rebuild->rngs,    rebuild->rules,
                             rebuild->mu,     rebuild->logvar,   rebuild->parents, rebuild->kept};
    for (size_t i = 0; i < G_N_ELEMENTS(buffers); i++) g_free(buffers[i]);
    g_free(rebuild);
}

static uint8_t *segment_of(const rebuild_t *rebuild, size_t row) {
    return rebuild->segments + row * rebuild->S * rebuild->frame_bytes;
}

/* How row k of a piece's K decides its cells. */
static head_rule_t make_rule(rebuild_t *rebuild, size_t row, size_t k, const rebuild_numbers_t *numbers,
                             double temperature) {
    if (k == 0) return (head_rule_t){.rng = NULL};
    rebuild->rngs[row] =
        rng_make(numbers->seed, RNG_DECODE, numbers->epoch + k * numbers->stride, numbers->sample);
    return (head_rule_t){.rng = &rebuild->rngs[row], .element = numbers->element, .temperature = temperature};
}

void rebuild_draw(rebuild_t *rebuild, size_t N, size_t K, const rebuild_numbers_t *numbers,
                  double temperature) {
    const size_t bytes = rebuild->frame_bytes;
    g_assert(N * K <= rebuild->max_rows && rebuild->drawn < rebuild->S);
    for (size_t row = 0; row < N * K; row++)
        rebuild->rules[row] = make_rule(rebuild, row, row % K, &numbers[row / K], temperature);
    stream_draw(rebuild->stream, rebuild->rules, rebuild->frames, NULL);
    for (size_t row = 0; row < N * K; row++)
        memcpy(segment_of(rebuild, row) + rebuild->drawn * bytes, rebuild->frames + row * bytes, bytes);
    rebuild->drawn++;
}

/* log q(z | segment) of a row, without the constant of the normal density. */
static double log_posterior(const rebuild_t *rebuild, size_t row, const real_t *z) {
    const real_t *mu = rebuild->mu + row * rebuild->Z, *logvar = rebuild->logvar + row * rebuild->Z;
    double sum = 0;
    for (size_t j = 0; j < rebuild->Z; j++) {
        const double distance = (double)z[j] - (double)mu[j];
        sum += (double)logvar[j] + distance * distance * exp(-(double)logvar[j]);
    }
    return -sum / 2;
}

void rebuild_keep(rebuild_t *rebuild, size_t N, size_t K, const real_t *z, const uint32_t *valid) {
    const size_t S = rebuild->S, bytes = rebuild->frame_bytes;
    for (size_t row = 0; row < N * K; row++) {
        const size_t frames = MIN(valid[row / K], rebuild->drawn);
        memset(segment_of(rebuild, row) + frames * bytes, 0, (S - frames) * bytes);
    }
    if (K > 1) stream_encode(rebuild->stream, rebuild->segments, N * K * S, rebuild->mu, rebuild->logvar);
    for (size_t n = 0; n < N; n++) {
        uint32_t best = (uint32_t)(n * K);
        double most = -INFINITY;
        for (size_t row = n * K; K > 1 && row < (n + 1) * K; row++) {
            const double log_q = log_posterior(rebuild, row, z + n * rebuild->Z);
            if (log_q > most) best = (uint32_t)row;
            most = MAX(most, log_q);
        }
        rebuild->kept[n] = best;
        for (size_t k = 0; k < K; k++) rebuild->parents[n * K + k] = best;
    }
    if (K > 1) stream_select(rebuild->stream, rebuild->parents, N * K);
    rebuild->drawn = 0;
}

const uint8_t *rebuild_frames(const rebuild_t *rebuild, size_t n) {
    return segment_of(rebuild, rebuild->kept[n]);
}
