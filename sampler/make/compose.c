/* compose: owns the loop over a piece's frames: which latents, which frames are given, which are drawn, by
 * which random numbers. Refuses nothing: the caller has checked the model's kind and the grid.
 *
 * One piece at a time: BLAS may round a row otherwise by itself than among others, and a piece must not
 * depend on what is made beside it. */
#include "sampler/make/compose.h"

#include <math.h>
#include <string.h>

#include "trainer/model/rebuild.h"

enum { CANDIDATES = 64 }; /* latents of a segment that is given in part */
G_STATIC_ASSERT(CANDIDATES >= REBUILD_MOST);

struct compose {
    const model_config_t *config;
    stream_t *stream;
    size_t S, Z, D, frame_bytes;
    rebuild_t *rebuild;      /* NULL without a latent */
    real_t *mu, *logvar, *z; /* [CANDIDATES, Z] */
    double *nll;             /* [CANDIDATES] */
    uint32_t *parents;       /* [CANDIDATES] */
    double *uniforms;        /* [D] */
    uint8_t *frame;          /* [frame_bytes] */
};

compose_t *compose_new(model_t *model, GError **error) {
    g_autoptr(compose_t) compose = g_new0(compose_t, 1);
    const model_config_t *config = compose->config = model_config(model);
    compose->S = config->sequence.segment;
    compose->Z = config->latent;
    compose->D = model_cells(config);
    compose->frame_bytes = model_frame_bytes(config);
    compose->mu = g_new(real_t, CANDIDATES * compose->Z);
    compose->logvar = g_new(real_t, CANDIDATES * compose->Z);
    compose->z = g_new(real_t, CANDIDATES * compose->Z);
    compose->nll = g_new(double, CANDIDATES);
    compose->parents = g_new0(uint32_t, CANDIDATES);
    compose->uniforms = g_new(double, compose->D);
    compose->frame = g_malloc(compose->frame_bytes);
    compose->stream = stream_new(model, CANDIDATES, error);
    if (!compose->stream) return NULL;
    if (compose->Z > 0) compose->rebuild = rebuild_new(model, compose->stream, CANDIDATES);
    return g_steal_pointer(&compose);
}

void compose_free(compose_t *compose) {
    if (!compose) return;
    g_clear_pointer(&compose->rebuild, rebuild_free);
    g_clear_pointer(&compose->stream, stream_free);
    g_free(compose->mu);
    g_free(compose->logvar);
    g_free(compose->z);
    g_free(compose->nll);
    g_free(compose->parents);
    g_free(compose->uniforms);
    g_free(compose->frame);
    g_free(compose);
}

size_t compose_segments(const compose_t *compose, size_t frames) {
    return (frames + compose->S - 1) / compose->S;
}

real_t *compose_encode(compose_t *compose, const roll_t *roll, size_t first, size_t frames) {
    const size_t n = compose_segments(compose, frames) * compose->Z;
    real_t *mu = g_new(real_t, n);
    g_autofree real_t *logvar = g_new(real_t, n);
    g_autofree uint8_t *bits = g_malloc(frames * compose->frame_bytes);
    for (size_t t = 0; t < frames; t++)
        roll_read_frame(roll, first + t, compose->config->planes, bits + t * compose->frame_bytes);
    stream_encode(compose->stream, bits, frames, mu, logvar);
    return mu;
}

/* Sets the latent of the segment that begins now, the same for all of so many rows. */
static void choose_latent(compose_t *compose, const compose_piece_t *piece, size_t rows) {
    const compose_latents_t *latents = &piece->latents;
    const size_t Z = compose->Z, w = stream_frames(compose->stream) / compose->S;
    const rng_t rng = rng_make(piece->seed, RNG_PRIOR, 1 + piece->index, w);
    stream_prior(compose->stream, compose->mu, compose->logvar);
    rng_normal(&rng, compose->z, Z);
    for (size_t i = 0; i < Z; i++) {
        const gboolean centred = latents->centres && w < latents->segments;
        const double mu = compose->mu[i], sd = exp(compose->logvar[i] / 2),
                     centre = centred ? latents->centres[w * Z + i] : mu;
        const double middle = latents->keep * centre + (1 - latents->keep) * mu;
        const double shift =
            (latents->shift ? latents->shift[i] : 0) + (i == latents->feature ? latents->by : 0);
        compose->z[i] = (real_t)(middle + sd * (latents->noise * compose->z[i] + shift));
    }
    for (size_t row = 1; row < rows; row++) memcpy(compose->z + row * Z, compose->z, Z * sizeof *compose->z);
    stream_set_latent(compose->stream, compose->z);
}

/* ---- the frames that are given ---- */

static void force_frame(compose_t *compose, const compose_piece_t *piece, double *nll) {
    roll_read_frame(piece->given, stream_frames(compose->stream), compose->config->planes, compose->frame);
    stream_force(compose->stream, compose->frame, TRUE, nll);
    if (piece->tick) piece->tick(piece->tick_data);
}

/* Draws one of the candidates by its weight exp(-nll), or takes the best. */
static uint32_t choose_candidate(const double *nll, double uniform, gboolean best) {
    size_t least = 0, chosen = 0;
    double total = 0;
    for (size_t i = 1; i < CANDIDATES; i++) least = nll[i] < nll[least] ? i : least;
    if (best) return (uint32_t)least;
    for (size_t i = 0; i < CANDIDATES; i++) total += exp(nll[least] - nll[i]);
    for (double sum = exp(nll[least] - nll[0]); sum <= uniform * total && chosen + 1 < CANDIDATES;)
        sum += exp(nll[least] - nll[++chosen]);
    return (uint32_t)chosen;
}

/* Goes through the segment that is given in part: its frames, with a latent that makes them probable. */
static void force_part(compose_t *compose, const compose_piece_t *piece) {
    const size_t Z = compose->Z, w = stream_frames(compose->stream) / compose->S;
    const rng_t candidates = rng_make(0, RNG_PRIOR, 0, w),
                choice = rng_make(piece->seed, RNG_RESAMPLE, 1 + piece->index, w);
    double nll[CANDIDATES] = {0};
    memset(compose->parents, 0, CANDIDATES * sizeof *compose->parents);
    stream_select(compose->stream, compose->parents, CANDIDATES);
    stream_prior(compose->stream, compose->mu, compose->logvar);
    rng_normal(&candidates, compose->z, CANDIDATES * Z);
    for (size_t i = 0; i < CANDIDATES * Z; i++)
        compose->z[i] = (real_t)(compose->mu[i] + exp(compose->logvar[i] / 2) * compose->z[i]);
    stream_set_latent(compose->stream, compose->z);
    while (stream_frames(compose->stream) < piece->given_frames) {
        force_frame(compose, piece, compose->nll);
        for (size_t i = 0; i < CANDIDATES; i++) nll[i] += compose->nll[i];
    }
    const gboolean best = !piece->draw || piece->temperature <= 0;
    compose->parents[0] = choose_candidate(nll, rng_uniform(&choice, 0), best);
    stream_select(compose->stream, compose->parents, 1);
}

static void force_given(compose_t *compose, const compose_piece_t *piece) {
    const size_t S = compose->S, frames = piece->given_frames;
    g_autofree real_t *mu = compose->Z > 0 ? compose_encode(compose, piece->given, 0, frames) : NULL;
    for (size_t t = 0; t < frames; t = stream_frames(compose->stream)) {
        if (compose->Z > 0 && t % S == 0 && t + S > frames) {
            force_part(compose, piece);
            continue;
        }
        if (compose->Z > 0 && t % S == 0) stream_set_latent(compose->stream, mu + t / S * compose->Z);
        force_frame(compose, piece, NULL);
    }
}

/* ---- the frames that are new ---- */

static void draw_frame(compose_t *compose, const compose_piece_t *piece) {
    const gboolean draw = piece->draw && piece->temperature > 0;
    const head_rule_t rule = {.uniforms = draw ? compose->uniforms : NULL,
                              .temperature = draw ? piece->temperature : 1};
    const rng_t rng = rng_make(piece->seed, RNG_DECODE, 0, piece->index);
    const size_t first = stream_frames(compose->stream) * compose->D;
    for (size_t i = 0; i < compose->D && draw; i++) compose->uniforms[i] = rng_uniform(&rng, first + i);
    stream_draw(compose->stream, &rule, compose->frame, NULL);
    if (piece->tick) piece->tick(piece->tick_data);
}

/* Draws the piece to roll, of each segment the best of several draws. */
static void rebuild_roll(compose_t *compose, const compose_piece_t *piece, roll_t *roll) {
    const size_t K = piece->best_of, bytes = compose->frame_bytes;
    g_assert(compose->Z > 0 && K <= CANDIDATES && piece->given_frames == 0);
    stream_start(compose->stream, K);
    for (size_t n = 0; piece->timeline && n < K; n++)
        stream_set_meters(compose->stream, n, timeline_meters(piece->timeline, piece->frames));
    for (size_t first = 0; first < piece->frames; first += compose->S) {
        const uint32_t valid = (uint32_t)MIN(compose->S, piece->frames - first);
        choose_latent(compose, piece, K);
        for (size_t t = first; t < first + valid; t++) {
            const rebuild_numbers_t numbers = {
                .seed = piece->seed, .stride = 1, .sample = piece->index, .element = t * compose->D};
            rebuild_draw(compose->rebuild, 1, K, &numbers, piece->temperature);
            if (piece->tick) piece->tick(piece->tick_data);
        }
        rebuild_keep(compose->rebuild, 1, K, compose->z, &valid);
        for (size_t t = 0; t < valid; t++)
            roll_write_frame(roll, first + t, compose->config->planes,
                             rebuild_frames(compose->rebuild, 0) + t * bytes);
    }
}

roll_t *compose_piece(compose_t *compose, const compose_piece_t *piece) {
    roll_t *roll = roll_new(piece->frames, compose->config->tracks, compose->config->pitches);
    if (piece->best_of > 0 && piece->draw && piece->temperature > 0) {
        rebuild_roll(compose, piece, roll);
        roll_make_canonical(roll);
        return roll;
    }
    stream_start(compose->stream, 1);
    if (piece->timeline)
        stream_set_meters(compose->stream, 0, timeline_meters(piece->timeline, piece->frames));
    if (piece->given_frames > 0) {
        force_given(compose, piece);
        roll_copy(piece->given, 0, piece->given_frames, roll, 0);
    }
    for (size_t t = piece->given_frames; t < piece->frames; t++) {
        if (compose->Z > 0 && t % compose->S == 0) choose_latent(compose, piece, 1);
        draw_frame(compose, piece);
        roll_write_frame(roll, t, compose->config->planes, compose->frame);
    }
    roll_make_canonical(roll);
    return roll;
}
