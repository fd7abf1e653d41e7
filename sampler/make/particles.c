/* particles: owns the walk over a piece's frames: which are known, when one state becomes K particles and K
 * become one again, and the ancestors of each. Refuses nothing: the caller has checked the model's kind and
 * the rolls. */
#include "sampler/make/particles.h"

#include <math.h>
#include <string.h>

#include "trainer/model/resample.h"
#include "trainer/model/stream.h"

struct particles {
    const model_config_t *config;
    stream_t *stream;
    size_t most, S, Z, D, bytes;
    real_t *mu, *logvar, *z; /* [most, Z] */
    rng_t *rngs;             /* [most] */
    real_t *which;           /* [most, D] */
    real_t *guided;          /* [D]: what the guide adds to the logits of a frame */
    head_wish_t *wishes;     /* [most] */
    head_rule_t *rules;      /* [most] */
    uint8_t *frames;         /* [most, frame bytes] */
    /* [most]: of a frame; of a particle since the last resampling; of it and its ancestors, and room to
     * select. */
    double *score, *log_w, *fit, *other_fit;
    double *guided_by; /* [most]: by how much the guide has made a frame's draws likelier, log */
    uint32_t *parents; /* [most] */
};

/* A piece under way. */
typedef struct {
    particles_t *particles;
    const particles_piece_t *piece;
    particles_evidence_t *evidence;
    size_t T;
    roll_t *roll;           /* the result as far as it is decided */
    uint8_t *known, *given; /* [T, frame bytes]: masks; frames of which only known cells count */
    gboolean *open;         /* [T]: some cell is not known */
    size_t known_end;       /* frames up to the last with a known cell */
    gboolean many;          /* there are particles now; else one state goes through known frames */
    size_t K;               /* how many: 1 or piece->particles */
    gboolean seen_open;     /* an open frame has come since there are particles */
    size_t since_open;      /* known frames since the last one */
    /* Of the particles since there are K: frames drawn [., K, frame bytes], and the ancestors that each has
     * among those of the frame before [., K]. */
    size_t first;
    GByteArray *drawn;
    GArray *ancestors;
} walk_t;

/* ---- the room ---- */

particles_t *particles_new(model_t *model, size_t most, size_t threads, GError **error) {
    g_autoptr(particles_t) particles = g_new0(particles_t, 1);
    const model_config_t *config = particles->config = model_config(model);
    particles->most = most;
    particles->S = config->sequence.segment;
    particles->Z = config->latent;
    particles->D = model_cells(config);
    particles->bytes = model_frame_bytes(config);
    particles->mu = g_new(real_t, most * particles->Z);
    particles->logvar = g_new(real_t, most * particles->Z);
    particles->z = g_new(real_t, most * particles->Z);
    particles->rngs = g_new(rng_t, most);
    particles->which = g_new(real_t, most * particles->D);
    particles->guided = g_new(real_t, particles->D);
    particles->wishes = g_new0(head_wish_t, most);
    particles->rules = g_new0(head_rule_t, most);
    particles->frames = g_malloc0(most * particles->bytes);
    particles->score = g_new0(double, most);
    particles->log_w = g_new0(double, most);
    particles->fit = g_new0(double, most);
    particles->other_fit = g_new0(double, most);
    particles->guided_by = g_new0(double, most);
    particles->parents = g_new0(uint32_t, most);
    particles->stream = stream_new(model, most, error);
    return particles->stream && stream_use_threads(particles->stream, threads, error)
               ? g_steal_pointer(&particles)
               : NULL;
}

void particles_free(particles_t *particles) {
    if (!particles) return;
    void *const buffers[] = {particles->mu,      particles->logvar, particles->z,        particles->rngs,
                             particles->which,   particles->wishes, particles->rules,    particles->frames,
                             particles->score,   particles->log_w,  particles->fit,      particles->other_fit,
                             particles->parents, particles->guided, particles->guided_by};
    for (size_t i = 0; i < G_N_ELEMENTS(buffers); i++) g_free(buffers[i]);
    stream_free(particles->stream);
    g_free(particles);
}

/* ---- many and one ---- */

/* Particles become copies of parents[0 .. n - 1]. */
static void select_particles(walk_t *walk, size_t n) {
    particles_t *particles = walk->particles;
    const particles_wish_t *wish = walk->piece->wish;
    stream_select(particles->stream, particles->parents, n);
    if (wish) wish->select(wish->data, particles->parents, n);
    for (size_t k = 0; k < n; k++) {
        particles->log_w[k] = 0;
        particles->other_fit[k] = particles->fit[particles->parents[k]];
    }
    memcpy(particles->fit, particles->other_fit, n * sizeof *particles->fit);
    walk->K = n;
}

/* Whether weights can change from frame t on. */
static gboolean is_weighed(const walk_t *walk, size_t t) { return t < walk->known_end; }

static void spread(walk_t *walk, size_t t) {
    const size_t K = is_weighed(walk, t) ? walk->piece->particles : 1;
    memset(walk->particles->parents, 0, K * sizeof *walk->particles->parents);
    select_particles(walk, K);
    walk->first = stream_frames(walk->particles->stream);
    walk->many = TRUE;
    walk->seen_open = FALSE;
    walk->since_open = 0;
    g_byte_array_set_size(walk->drawn, 0);
    g_array_set_size(walk->ancestors, 0);
}

/* Adds to the weight of particle k. */
static void weigh(particles_t *particles, size_t k, double log_weight) {
    particles->log_w[k] += log_weight;
    particles->fit[k] += log_weight;
}

static double draw_of_choice(const walk_t *walk, size_t element) {
    const particles_piece_t *piece = walk->piece;
    const rng_t rng =
        rng_make(piece->seed, RNG_RESAMPLE, 1 + piece->index, stream_frames(walk->particles->stream));
    return rng_uniform(&rng, element);
}

/* Writes the frames that led to particle k. */
static void write_path(walk_t *walk, uint32_t k) {
    const size_t K = walk->K, bytes = walk->particles->bytes;
    for (size_t i = walk->ancestors->len / K; i-- > 0;) {
        k = g_array_index(walk->ancestors, uint32_t, i * K + k);
        roll_write_frame(walk->roll, walk->first + i, walk->particles->config->planes,
                         walk->drawn->data + (i * K + k) * bytes);
    }
}

/* One particle goes on, drawn by its weight. */
static void choose_one(walk_t *walk) {
    particles_t *particles = walk->particles;
    const double mean = resample_log_mean(particles->log_w, walk->K, NULL);
    uint32_t chosen = 0;
    for (size_t k = 1; k < walk->K; k++)
        if (particles->log_w[k] > particles->log_w[chosen]) chosen = (uint32_t)k;
    if (walk->piece->temperature > 0 && mean > -INFINITY)
        chosen = resample_one(particles->log_w, walk->K, mean, draw_of_choice(walk, 1));
    walk->evidence->log_evidence += mean;
    walk->evidence->log_fit = particles->fit[chosen];
    write_path(walk, chosen);
    particles->parents[0] = chosen;
    select_particles(walk, 1);
    walk->many = FALSE;
}

/* The first particle follows the truth, and so goes on; the others are drawn one by one. */
static void resample_conditionally(walk_t *walk, double mean) {
    uint32_t *parents = walk->particles->parents;
    parents[0] = 0;
    for (size_t k = 1; k < walk->K; k++)
        parents[k] = resample_one(walk->particles->log_w, walk->K, mean, draw_of_choice(walk, 1 + k));
}

/* Notes the ancestors of the particles that go on, after a frame, and resamples where few have weight. */
static void resample(walk_t *walk, size_t t) {
    particles_t *particles = walk->particles;
    const size_t K = walk->K;
    double effective;
    const double mean = resample_log_mean(particles->log_w, K, &effective);
    if (K > 1 && effective < walk->evidence->fewest) {
        walk->evidence->fewest = effective;
        walk->evidence->fewest_frame = t;
    }
    for (size_t k = 0; k < K; k++) particles->parents[k] = (uint32_t)k;
    const gboolean few = effective < (double)K / 2 && mean > -INFINITY;
    if (few && walk->piece->truth)
        resample_conditionally(walk, mean);
    else if (few)
        resample_systematic(particles->log_w, K, mean, draw_of_choice(walk, 0), 0, particles->parents);
    g_array_append_vals(walk->ancestors, particles->parents, (guint)K);
    if (!few) return;
    walk->evidence->log_evidence += mean;
    select_particles(walk, K);
}

/* ---- latents ---- */

static size_t segment_end(const walk_t *walk, size_t t) { return MIN(t + walk->particles->S, walk->T); }

static gboolean has_known(const walk_t *walk, size_t first, size_t end) {
    const size_t bytes = walk->particles->bytes;
    return roll_count_bits(walk->known + first * bytes, (end - first) * bytes) > 0;
}

static gboolean has_open(const walk_t *walk, size_t first, size_t end) {
    for (size_t t = first; t < end; t++)
        if (walk->open[t]) return TRUE;
    return FALSE;
}

/* log N(z; mu, exp(logvar)), without the constant. */
static double log_normal(const real_t *z, const real_t *mu, const real_t *logvar, size_t Z) {
    double sum = 0;
    for (size_t i = 0; i < Z; i++) {
        const double distance = (double)z[i] - (double)mu[i];
        sum += (double)logvar[i] + distance * distance * exp(-(double)logvar[i]);
    }
    return -sum / 2;
}

/* Sets the latents of the segment that begins at t. */
static void set_latents(walk_t *walk, size_t t) {
    particles_t *particles = walk->particles;
    const particles_piece_t *piece = walk->piece;
    const size_t Z = particles->Z, end = segment_end(walk, t);
    const gboolean guess = has_open(walk, t, end), fresh = !has_known(walk, t, end);
    const compose_latents_t *near = guess ? piece->near : NULL;
    const size_t w = t / particles->S;
    const double noise = !walk->many ? 0 : near ? near->noise : fresh ? piece->temperature : 1;
    g_autofree real_t *mu = g_new(real_t, Z), *logvar = g_new(real_t, Z);
    const rng_t rng = rng_make(piece->seed, RNG_PRIOR, 1 + piece->index, t / particles->S);
    stream_prior(particles->stream, particles->mu, particles->logvar);
    if (!guess) stream_encode(particles->stream, walk->given + t * particles->bytes, end - t, mu, logvar);
    rng_normal(&rng, particles->z, walk->K * Z);
    const size_t shared = (size_t)ceil(sqrt((double)walk->K));
    for (size_t k = shared; k < walk->K && !guess; k++)
        memcpy(particles->z + k * Z, particles->z + k % shared * Z, Z * sizeof *particles->z);
    for (size_t k = 0; k < walk->K; k++) {
        const real_t *prior_mu = particles->mu + k * Z, *prior_logvar = particles->logvar + k * Z;
        const real_t *from_mu = guess ? prior_mu : mu, *from_logvar = guess ? prior_logvar : logvar;
        real_t *z = particles->z + k * Z;
        for (size_t i = 0; i < Z; i++) {
            const double shift = fresh && piece->shift ? (double)piece->shift[i] : 0,
                         centre = near && w < near->segments ? (double)near->centres[w * Z + i] : from_mu[i],
                         keep = near ? near->keep : 0;
            z[i] = (real_t)(from_mu[i] + keep * (centre - from_mu[i]) +
                            exp((double)from_logvar[i] / 2) * (noise * (double)z[i] + shift));
        }
        if (!guess && walk->many)
            weigh(particles, k, log_normal(z, prior_mu, prior_logvar, Z) - log_normal(z, mu, logvar, Z));
    }
    stream_set_latent(particles->stream, particles->z);
}

/* ---- frames ---- */

/* How particle k decides its cells of frame t. guided: [D] or NULL. */
static void make_rule(walk_t *walk, size_t t, size_t k, const real_t *guided) {
    particles_t *particles = walk->particles;
    const particles_piece_t *piece = walk->piece;
    const size_t D = particles->D;
    head_wish_t *wish = &particles->wishes[k];
    particles->rngs[k] = rng_make(piece->seed, RNG_DECODE, k, piece->index);
    if (piece->wish) {
        real_t *which = particles->which + k * D;
        *wish = (head_wish_t){.which = which};
        piece->wish->cells(piece->wish->data, t, k, which, &wish->begins, &wish->stays);
    }
    particles->rules[k] =
        (head_rule_t){.rng = piece->temperature > 0 ? &particles->rngs[k] : NULL,
                      .element = t * D,
                      .temperature = piece->temperature,
                      .known = has_known(walk, t, t + 1) ? walk->known + t * particles->bytes : NULL,
                      .wish = piece->wish ? wish : NULL,
                      .guide = guided,
                      .guided = &particles->guided_by[k]};
    memcpy(particles->frames + k * particles->bytes, walk->given + t * particles->bytes, particles->bytes);
}

static void draw_frame(walk_t *walk, size_t t) {
    particles_t *particles = walk->particles;
    g_autofree uint8_t *told = g_malloc(particles->bytes);
    const guide_sight_t sight = {.known = walk->known, .given = walk->given, .frames = walk->T};
    const gboolean guides = walk->piece->guide && walk->K > 1 && walk->piece->temperature > 0 &&
                            is_weighed(walk, t) &&
                            guide_read(walk->piece->guide, &sight, t, particles->guided);
    for (size_t k = 0; k < walk->K; k++) make_rule(walk, t, k, guides ? particles->guided : NULL);
    if (walk->piece->truth) {
        roll_read_frame(walk->piece->truth, t, particles->config->planes, told);
        particles->rules[0].told = told;
    }
    stream_draw(particles->stream, particles->rules, particles->frames, particles->score);
    for (size_t k = 0; k < walk->K; k++) {
        weigh(particles, k, particles->score[k]);
        particles->fit[k] += particles->guided_by[k];
    }
}

static void force_frame(walk_t *walk, size_t t) {
    particles_t *particles = walk->particles;
    const uint8_t *frame = walk->given + t * particles->bytes;
    stream_force(particles->stream, frame, TRUE, walk->many ? particles->score : NULL);
    for (size_t k = 0; walk->many && k < walk->K; k++) {
        memcpy(particles->frames + k * particles->bytes, frame, particles->bytes);
        weigh(particles, k, -particles->score[k]);
    }
}

/* Whether the particles have seen enough of what is known after frame t. */
static gboolean is_decided(const walk_t *walk, size_t t) {
    if (t + 1 == walk->T || !is_weighed(walk, t + 1)) return TRUE;
    return walk->seen_open && !walk->open[t + 1] && walk->since_open >= walk->piece->look_ahead;
}

/* A frame of K particles. */
static void walk_particles(walk_t *walk, size_t t) {
    particles_t *particles = walk->particles;
    const particles_wish_t *wish = walk->piece->wish;
    if (walk->open[t])
        draw_frame(walk, t);
    else
        force_frame(walk, t);
    walk->seen_open |= walk->open[t];
    walk->since_open = walk->open[t] ? 0 : walk->since_open + 1;
    walk->evidence->frames += has_known(walk, t, t + 1) ? 1 : 0;
    for (size_t k = 0; wish && k < walk->K; k++)
        wish->take(wish->data, t, k, particles->frames + k * particles->bytes);
    g_byte_array_append(walk->drawn, particles->frames, (guint)(walk->K * particles->bytes));
    resample(walk, t);
    if (is_decided(walk, t)) choose_one(walk);
}

static void walk_known(walk_t *walk, size_t t) {
    const particles_wish_t *wish = walk->piece->wish;
    const uint8_t *frame = walk->given + t * walk->particles->bytes;
    force_frame(walk, t);
    if (wish) wish->take(wish->data, t, 0, frame);
}

static void walk_on(walk_t *walk) {
    const size_t S = walk->particles->S, Z = walk->particles->Z;
    for (size_t t = 0; t < walk->T; t++) {
        const gboolean begins = Z > 0 && t % S == 0;
        if (!walk->many && !has_open(walk, t, walk->T)) return; /* nothing is left to be written */
        if (!walk->many && has_open(walk, t, begins ? segment_end(walk, t) : t + 1)) spread(walk, t);
        if (begins) set_latents(walk, t);
        if (walk->many)
            walk_particles(walk, t);
        else
            walk_known(walk, t);
        if (walk->piece->tick) walk->piece->tick(walk->piece->tick_data);
    }
}

/* ---- pieces ---- */

/* Reads masks and given frames as the model has them; which frames are open. */
static void read_known(walk_t *walk) {
    const particles_t *particles = walk->particles;
    const size_t bytes = particles->bytes, planes = particles->config->planes, P = particles->config->pitches;
    const uint8_t last = (uint8_t)(0xFF >> (8 * roll_stride(P) - P)); /* padding bits do not count */
    for (size_t t = 0; t < walk->T; t++) {
        uint8_t *known = walk->known + t * bytes, *given = walk->given + t * bytes;
        roll_read_frame(walk->piece->known, t, planes, known);
        roll_read_frame(walk->piece->song, t, planes, given);
        for (size_t i = 0; i < bytes; i++) {
            const uint8_t cells = (i + 1) % roll_stride(P) ? 0xFF : last;
            known[i] &= cells;
            given[i] &= known[i];
            walk->open[t] |= known[i] != cells;
            if (known[i]) walk->known_end = t + 1;
        }
    }
}

roll_t *particles_write(particles_t *particles, const particles_piece_t *piece,
                        particles_evidence_t *evidence) {
    const size_t T = piece->song->frames, bytes = particles->bytes;
    g_assert(piece->particles >= 1 && piece->particles <= particles->most);
    g_assert(!piece->truth || particles->Z == 0);
    walk_t walk = {.particles = particles, .piece = piece, .evidence = evidence, .T = T, .K = 1};
    *evidence = (particles_evidence_t){.fewest = (double)piece->particles};
    walk.known = g_malloc0(T * bytes);
    walk.given = g_malloc0(T * bytes);
    walk.open = g_new0(gboolean, T);
    walk.drawn = g_byte_array_new();
    walk.ancestors = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    walk.roll = roll_new(T, piece->song->tracks, piece->song->pitches);
    roll_copy(piece->song, 0, T, walk.roll, 0);
    read_known(&walk);
    particles->fit[0] = 0;
    stream_start(particles->stream, 1);
    stream_set_meters(particles->stream, 0, timeline_meters(piece->timeline, T));
    walk_on(&walk);
    roll_make_canonical(walk.roll);
    g_free(walk.known);
    g_free(walk.given);
    g_free(walk.open);
    g_byte_array_unref(walk.drawn);
    g_array_unref(walk.ancestors);
    return walk.roll;
}
