/* performer: owns the walk over a piece that is given: the stream goes frame by frame, and each onset is
 * played in the order of the roll. Refuses nothing. */
#include "trainer/model/performer.h"

#include <math.h>
#include <string.h>

#include "trainer/model/pitch_set.h"
#include "trainer/model/vae_sequence.h"

struct performer {
    const sequence_net_t *net;
    stream_t *stream;
    performance_past_t *past;
    size_t inputs;   /* of an onset */
    uint32_t *first; /* [K in drawing order]: where the head writes the units of each track's onsets */
    real_t *x;       /* [K, pitches, inputs] */
    size_t place[MODEL_MAX_TRACKS]; /* in drawing order, of a track */
};

gboolean performer_fits(const model_t *model) {
    const model_config_t *config = model_config(model);
    return config->kind == MODEL_SEQUENCE && config->sequence.performance > 0;
}

performer_t *performer_new(model_t *model, GError **error) {
    g_autoptr(performer_t) performer = g_new0(performer_t, 1);
    const sequence_net_t *net = performer->net = model_sequence_net(model);
    const size_t K = net->config.tracks, P = net->config.pitches;
    g_assert(net->performance);
    performer->stream = stream_new(model, 1, error);
    if (!performer->stream) return NULL;
    performer->past = performance_past_new(K, P);
    performer->inputs = performance_inputs(net->performance);
    performer->first = g_new(uint32_t, K);
    performer->x = g_new0(real_t, K * P * performer->inputs);
    for (size_t k = 0; k < K; k++) {
        performer->first[k] = (uint32_t)(k * P);
        performer->place[net->config.sequence.order[k]] = k;
    }
    return g_steal_pointer(&performer);
}

void performer_free(performer_t *performer) {
    if (!performer) return;
    stream_free(performer->stream);
    performance_past_free(performer->past);
    g_free(performer->first);
    g_free(performer->x);
    g_free(performer);
}

static double loss_of(const performance_odds_t *odds, played_t played, played_t reference) {
    return -log(odds->velocity[performance_velocity_class(played, reference)]) -
           log(odds->offset[performance_offset_class(played, reference)]);
}

/* Plays onset `i` of the piece, the n-th of its track and frame. */
static void play_onset(performer_t *performer, const performance_place_t *place, const rng_t *rng, size_t i,
                       performance_piece_t *piece) {
    const sequence_net_t *net = performer->net;
    real_t *input =
        performer->x + (performer->first[performer->place[place->track]] + place->below) * performer->inputs;
    performance_odds_t odds;
    performance_past_read(performer->past, place, input + net->config.sequence.tied);
    performance_odds(net->performance, place->track, input, &odds);
    const played_t reference = performance_past_reference(performer->past, place->track);
    if (piece->medians) piece->medians[i] = performance_at(&odds, reference, 0.5, 0.5);
    if (piece->given) piece->nll += loss_of(&odds, piece->given[i], reference);
    performance_calm(&odds);
    played_t drawn = performance_at(&odds, reference, rng_uniform(rng, 2 * i), rng_uniform(rng, 2 * i + 1));
    if (piece->on_grid && i == 0) drawn.offset = 0; /* else it would say how far beside the grid */
    if (piece->drawn) piece->drawn[i] = drawn;
    performance_past_take(performer->past, place, piece->given ? piece->given[i] : drawn);
}

/* The onsets of a track. */
static pitch_set_t struck_keys(const performer_t *performer, const uint8_t *frame, size_t track) {
    const model_config_t *config = &performer->net->config;
    const size_t row = track * config->planes + PLANE_ONSET;
    return pitch_set_read(frame + row * roll_stride(config->pitches), config->pitches);
}

/* Plays frame t, whose units the head has written; returns how many onsets were before the next frame. */
static size_t play_frame(performer_t *performer, const uint8_t *frame, size_t t, const rng_t *rng, size_t i,
                         performance_piece_t *piece) {
    for (size_t track = 0; track < performer->net->config.tracks; track++) {
        pitch_set_t keys = struck_keys(performer, frame, track);
        performance_place_t place = {.track = track, .t = t, .above = pitch_set_count(keys)};
        for (; keys; place.below++, i++) {
            place.above--;
            place.pitch = pitch_set_take(&keys);
            play_onset(performer, &place, rng, i, piece);
        }
    }
    return i;
}

/* Takes a frame; the units of its onsets are written, if it has some. */
static void hear_frame(performer_t *performer, const uint8_t *frame, const head_record_t *record) {
    pitch_set_t struck = 0;
    for (size_t track = 0; track < performer->net->config.tracks; track++)
        struck |= struck_keys(performer, frame, track);
    if (struck)
        stream_force_units(performer->stream, frame, record);
    else
        stream_force(performer->stream, frame, TRUE, NULL);
}

void performer_play(performer_t *performer, const uint8_t *bits, size_t T, uint64_t seed, uint64_t index,
                    performance_piece_t *piece) {
    const sequence_net_t *net = performer->net;
    const size_t Z = net->Z, S = net->S, bytes = model_frame_bytes(&net->config), W = (T + S - 1) / S;
    const rng_t rng = rng_make(seed, RNG_PERFORMANCE, 0, index);
    const head_record_t record = {
        .units = performer->x, .step = performer->inputs, .first = performer->first};
    g_autofree real_t *moments = g_new(real_t, MAX(2 * W * Z, 1));
    size_t onset = 0;
    piece->nll = 0;
    if (Z) stream_encode(performer->stream, bits, T, moments, moments + W * Z);
    stream_start(performer->stream, 1);
    stream_set_meters(performer->stream, 0, piece->meters);
    performance_past_begin(performer->past, bits, T, piece->on_grid);
    for (size_t t = 0; t < T; t++) {
        if (Z && t % S == 0) stream_set_latent(performer->stream, moments + t / S * Z);
        hear_frame(performer, bits + t * bytes, &record);
        onset = play_frame(performer, bits + t * bytes, t, &rng, onset, piece);
    }
}
