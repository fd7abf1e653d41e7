/* compose: owns the loop over the frames of pieces side by side: which latents, and by which random numbers
 * frames are drawn. Refuses nothing: the caller has checked the model's kind and the grid. */
#include "sampler/make/compose.h"

#include <math.h>
#include <string.h>

#include "trainer/model/rebuild.h"

enum { ROWS = MAX(COMPOSE_TOGETHER, REBUILD_MOST) };

struct compose {
    const model_config_t *config;
    stream_t *stream;
    size_t S, Z, D, frame_bytes;
    rebuild_t *rebuild;      /* NULL without a latent */
    real_t *mu, *logvar, *z; /* [ROWS, Z] */
    rng_t rngs[ROWS];
    head_rule_t rules[ROWS];
    uint8_t *frames; /* [ROWS, frame_bytes] */
};

compose_t *compose_new(model_t *model, size_t threads, GError **error) {
    g_autoptr(compose_t) compose = g_new0(compose_t, 1);
    const model_config_t *config = compose->config = model_config(model);
    compose->S = config->sequence.segment;
    compose->Z = config->latent;
    compose->D = model_cells(config);
    compose->frame_bytes = model_frame_bytes(config);
    compose->mu = g_new(real_t, ROWS * compose->Z);
    compose->logvar = g_new(real_t, ROWS * compose->Z);
    compose->z = g_new(real_t, ROWS * compose->Z);
    compose->frames = g_malloc(ROWS * compose->frame_bytes);
    compose->stream = stream_new(model, ROWS, error);
    if (!compose->stream || !stream_use_threads(compose->stream, threads, error)) return NULL;
    if (compose->Z > 0) compose->rebuild = rebuild_new(model, compose->stream, REBUILD_MOST);
    return g_steal_pointer(&compose);
}

void compose_free(compose_t *compose) {
    if (!compose) return;
    g_clear_pointer(&compose->rebuild, rebuild_free);
    g_clear_pointer(&compose->stream, stream_free);
    g_free(compose->mu);
    g_free(compose->logvar);
    g_free(compose->z);
    g_free(compose->frames);
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

/* The latent of a row of a piece, for the segment that begins now. */
static void choose_latent(compose_t *compose, const compose_piece_t *piece, size_t row) {
    const compose_latents_t *latents = &piece->latents;
    const size_t Z = compose->Z, w = stream_frames(compose->stream) / compose->S;
    const rng_t rng = rng_make(piece->seed, RNG_PRIOR, 1 + piece->index, w);
    const real_t *prior_mu = compose->mu + row * Z, *prior_logvar = compose->logvar + row * Z;
    real_t *z = compose->z + row * Z;
    rng_normal(&rng, z, Z);
    for (size_t i = 0; i < Z; i++) {
        const gboolean centred = latents->centres && w < latents->segments;
        const double mu = prior_mu[i], sd = exp(prior_logvar[i] / 2),
                     centre = centred ? latents->centres[w * Z + i] : mu;
        const double middle = latents->keep * centre + (1 - latents->keep) * mu;
        const double shift =
            (latents->shift ? latents->shift[i] : 0) + (i == latents->feature ? latents->by : 0);
        z[i] = (real_t)(middle + sd * (latents->noise * z[i] + shift));
    }
}

/* Sets the latents of the segment that begins now, where there are any: of n pieces, each with K rows. */
static void set_latents(compose_t *compose, const compose_piece_t *pieces, size_t n, size_t K) {
    if (compose->Z == 0 || stream_frames(compose->stream) % compose->S != 0) return;
    stream_prior(compose->stream, compose->mu, compose->logvar);
    for (size_t row = 0; row < n * K; row++) choose_latent(compose, &pieces[row / K], row);
    stream_set_latent(compose->stream, compose->z);
}

static void start(compose_t *compose, const compose_piece_t *pieces, size_t n, size_t K) {
    stream_start(compose->stream, n * K);
    for (size_t row = 0; row < n * K; row++) {
        const compose_piece_t *piece = &pieces[row / K];
        if (piece->timeline)
            stream_set_meters(compose->stream, row, timeline_meters(piece->timeline, piece->frames));
    }
}

static gboolean draws(const compose_piece_t *piece) { return piece->draw && piece->temperature > 0; }

/* Draws a frame of n pieces. */
static void draw_frame(compose_t *compose, const compose_piece_t *pieces, size_t n, roll_t **rolls) {
    const size_t t = stream_frames(compose->stream);
    for (size_t i = 0; i < n; i++) {
        compose->rngs[i] = rng_make(pieces[i].seed, RNG_DECODE, 0, pieces[i].index);
        compose->rules[i] = (head_rule_t){.rng = draws(&pieces[i]) ? &compose->rngs[i] : NULL,
                                          .element = t * compose->D,
                                          .temperature = pieces[i].temperature};
    }
    stream_draw(compose->stream, compose->rules, compose->frames, NULL);
    for (size_t i = 0; i < n; i++) {
        roll_write_frame(rolls[i], t, compose->config->planes, compose->frames + i * compose->frame_bytes);
        if (pieces[i].tick) pieces[i].tick(pieces[i].tick_data);
    }
}

/* Draws the piece to roll, of each segment the best of several draws. */
static void rebuild_roll(compose_t *compose, const compose_piece_t *piece, roll_t *roll) {
    const size_t K = piece->best_of, bytes = compose->frame_bytes;
    g_assert(compose->Z > 0 && K <= REBUILD_MOST);
    start(compose, piece, 1, K);
    for (size_t first = 0; first < piece->frames; first += compose->S) {
        const uint32_t valid = (uint32_t)MIN(compose->S, piece->frames - first);
        set_latents(compose, piece, 1, K);
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

void compose_pieces(compose_t *compose, const compose_piece_t *pieces, size_t n, roll_t **rolls) {
    g_assert(n >= 1 && n <= COMPOSE_TOGETHER);
    for (size_t i = 0; i < n; i++) {
        g_assert(pieces[i].frames == pieces[0].frames);
        rolls[i] = roll_new(pieces[i].frames, compose->config->tracks, compose->config->pitches);
    }
    if (pieces[0].best_of > 0 && draws(&pieces[0])) {
        for (size_t i = 0; i < n; i++) rebuild_roll(compose, &pieces[i], rolls[i]);
    } else {
        start(compose, pieces, n, 1);
        for (size_t t = 0; t < pieces[0].frames; t++) {
            set_latents(compose, pieces, n, 1);
            draw_frame(compose, pieces, n, rolls);
        }
    }
    for (size_t i = 0; i < n; i++) roll_make_canonical(rolls[i]);
}

roll_t *compose_piece(compose_t *compose, const compose_piece_t *piece) {
    roll_t *roll = NULL;
    compose_pieces(compose, piece, 1, &roll);
    return roll;
}
