/* performance: owns the networks that play, their loss and gradient, and where a batch's onsets lie. Refuses
 * nothing. */
#include "trainer/model/performance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/model/fast_math.h"
#include "trainer/model/pitch_set.h"

#define OFFSET_TEMPERATURE 0.9

enum { MIDDLE = PERFORMANCE_CLASSES / 2 };

/* Classes on one side of the middle, from number `first` on: the least distance of the first, and how many
 * distances each holds. */
static const struct { int first, least, width; } steps[] = {{16, 82, 16}, {11, 42, 8}, {1, 2, 4}};

typedef struct {
    linear_t hidden, velocity, offset;
} player_t;

struct performance {
    size_t K, P, L, stride, inputs, units, tied;
    uint8_t order[MODEL_MAX_TRACKS];    /* track of the k-th drawn */
    uint8_t place[MODEL_MAX_TRACKS];    /* k of a track */
    player_t players[MODEL_MAX_TRACKS]; /* in drawing order */
    real_t *hidden, *logits;            /* of one onset */
};

static size_t class_of(int distance) {
    const int far = ABS(distance);
    size_t i = 0;
    while (i < G_N_ELEMENTS(steps) && far < steps[i].least) i++;
    const int number = i < G_N_ELEMENTS(steps) ? steps[i].first + (far - steps[i].least) / steps[i].width : 0;
    return (size_t)(distance < 0 ? MIDDLE - number : MIDDLE + number);
}

/* The distance at a share [0, 1) of the way through a class, upwards. */
static int distance_in(int class, double share) {
    const int number = ABS(class - MIDDLE);
    size_t i = 0;
    if (number == 0) return 0;
    while (number < steps[i].first) i++;
    const int least = steps[i].least + (number - steps[i].first) * steps[i].width,
              more = (int)(share * steps[i].width);
    return class < MIDDLE ? more + 1 - least - steps[i].width : least + more;
}

size_t performance_velocity_class(played_t played, played_t reference) {
    return class_of(played.velocity - reference.velocity);
}

size_t performance_offset_class(played_t played, played_t reference) {
    return class_of(performance_past_turn(played.offset, reference.offset));
}

/* ---- layers ---- */

static void layer_name(char name[32], size_t k, const char *part) {
    g_snprintf(name, 32, "performance.%zu.%s", k, part);
}

void performance_lay_out(const model_config_t *config, GArray *table) {
    const size_t R = config->sequence.performance, inputs = config->sequence.tied + PERFORMANCE_FEATURES;
    char name[32];
    for (size_t k = 0; R > 0 && k < config->tracks; k++) {
        layer_name(name, k, "hidden");
        model_add_linear(table, name, inputs, R);
        layer_name(name, k, "velocity");
        model_add_linear(table, name, R, PERFORMANCE_CLASSES);
        layer_name(name, k, "offset");
        model_add_linear(table, name, R, PERFORMANCE_CLASSES);
    }
}

void performance_find(performance_t *performance, const model_blocks_t *blocks) {
    char name[32];
    for (size_t k = 0; k < performance->K; k++) {
        player_t *player = &performance->players[k];
        layer_name(name, k, "hidden");
        player->hidden = model_find_linear(blocks, name);
        layer_name(name, k, "velocity");
        player->velocity = model_find_linear(blocks, name);
        layer_name(name, k, "offset");
        player->offset = model_find_linear(blocks, name);
    }
}

performance_t *performance_new(const model_config_t *config, const model_blocks_t *blocks) {
    performance_t *performance = g_new0(performance_t, 1);
    performance->K = config->tracks;
    performance->P = config->pitches;
    performance->L = config->planes;
    performance->stride = roll_stride(config->pitches);
    performance->units = config->sequence.performance;
    performance->tied = config->sequence.tied;
    performance->inputs = config->sequence.tied + PERFORMANCE_FEATURES;
    memcpy(performance->order, config->sequence.order, sizeof performance->order);
    for (size_t k = 0; k < config->tracks; k++) performance->place[performance->order[k]] = (uint8_t)k;
    performance->hidden = g_new0(real_t, performance->units);
    performance->logits = g_new0(real_t, PERFORMANCE_CLASSES);
    performance_find(performance, blocks);
    return performance;
}

void performance_free(performance_t *performance) {
    if (!performance) return;
    g_free(performance->hidden);
    g_free(performance->logits);
    g_free(performance);
}

/* ---- a batch ---- */

void performance_pass_init(performance_pass_t *pass, const performance_t *performance, size_t max_rows,
                           size_t max_B) {
    const size_t K = performance->K;
    pass->max_B = max_B;
    pass->inputs = performance->inputs;
    pass->units = performance->units;
    pass->past = g_new0(performance_past_t *, max_B);
    for (size_t b = 0; b < max_B; b++) pass->past[b] = performance_past_new(K, performance->P);
    pass->songs = g_new0(played_song_t, max_B);
    pass->first = g_new0(uint32_t, max_rows * K);
    pass->begin = g_new0(uint32_t, K * (GRAINS_MAX + 1));
    pass->n = g_new0(size_t, K);
    pass->blocks = g_ptr_array_new_with_free_func(free);
}

/* Makes room for n onsets. */
static void reserve(performance_pass_t *pass, size_t n) {
    g_autoptr(GError) error = NULL;
    if (n <= pass->room) return;
    pass->room = n + n / 4;
    g_ptr_array_set_size(pass->blocks, 0);
    pass->x = model_add_block(pass->blocks, pass->room, pass->inputs);
    pass->hidden = model_add_block(pass->blocks, pass->room, pass->units);
    pass->dhidden = model_add_block(pass->blocks, pass->room, pass->units);
    pass->logits = model_add_block(pass->blocks, pass->room, PERFORMANCE_CLASSES);
    if (pass->grains) pass->scratch = model_add_block(pass->blocks, 1, grains_scratch(pass->room));
    if (!model_check_blocks(pass->blocks, "the onsets of a batch", &error)) g_error("%s", error->message);
    pass->velocity = g_realloc(pass->velocity, pass->room);
    pass->offset = g_realloc(pass->offset, pass->room);
    pass->nll = g_renew(double, pass->nll, pass->room);
}

void performance_pass_clear(performance_pass_t *pass) {
    for (size_t b = 0; b < pass->max_B; b++) performance_past_free(pass->past[b]);
    void *const arrays[] = {pass->past, pass->songs,    pass->first,  pass->begin,
                            pass->n,    pass->velocity, pass->offset, pass->nll};
    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++) g_free(arrays[i]);
    if (pass->blocks) g_ptr_array_unref(pass->blocks);
    *pass = (performance_pass_t){0};
}

/* The keys struck in a track of a frame. */
static pitch_set_t struck(const performance_t *performance, const uint8_t *frame, size_t track) {
    return pitch_set_read(frame + (track * performance->L + PLANE_ONSET) * performance->stride,
                          performance->P);
}

/* Gives the onsets their places: those of a track lie together. */
static void place_onsets(performance_pass_t *pass, const performance_t *performance, size_t grains,
                         const uint8_t *const *frames, const uint32_t *row_begin) {
    uint32_t at = 0;
    for (size_t k = 0; k < performance->K; k++) {
        uint32_t *begin = pass->begin + k * (GRAINS_MAX + 1);
        const uint32_t start = at;
        for (size_t i = 0; i < grains; i++) {
            for (size_t row = row_begin[i]; row < row_begin[i + 1]; row++) {
                const size_t n = pitch_set_count(struck(performance, frames[row], performance->order[k]));
                pass->first[row * performance->K + k] = at;
                at += (uint32_t)n;
            }
            begin[i + 1] = at - start;
        }
        pass->n[k] = at - start;
    }
    reserve(pass, at);
}

/* The frame of a song. */
static const uint8_t *frame_of_song(const performance_t *performance, const played_song_t *song, size_t t) {
    return song->frames + t * performance->K * performance->L * performance->stride;
}

/* Hears how frame t of a sequence's song was played, which comes before its part. */
static void hear_frame(performance_pass_t *pass, const performance_t *performance, size_t sequence,
                       size_t t) {
    played_song_t *song = &pass->songs[sequence];
    for (size_t track = 0; track < performance->K; track++) {
        pitch_set_t keys = struck(performance, frame_of_song(performance, song, t), track);
        performance_place_t place = {.track = track, .t = t};
        while (keys) {
            place.pitch = pitch_set_take(&keys);
            performance_past_take(pass->past[sequence], &place, *song->played++);
        }
    }
}

void performance_pass_begin(performance_pass_t *pass, const performance_t *performance, const batch_t *batch,
                            const uint8_t *const *frames, const uint32_t *row_begin) {
    g_assert(batch->B <= pass->max_B);
    place_onsets(pass, performance, MAX(batch->grains.n, 1), frames, row_begin);
    for (size_t b = 0; b < batch->B; b++) {
        const played_song_t *song = &batch->songs[b];
        performance_past_begin(pass->past[b], song->frames, song->T, FALSE);
        pass->songs[b] = *song;
        for (size_t t = 0; t < song->start; t++) hear_frame(pass, performance, b, t);
    }
}

void performance_pass_read(performance_pass_t *pass, const performance_t *performance, size_t row,
                           size_t sequence, size_t t) {
    performance_past_t *past = pass->past[sequence];
    played_song_t *song = &pass->songs[sequence];
    t += song->start;
    for (size_t track = 0; track < performance->K; track++) {
        const size_t at = pass->first[row * performance->K + performance->place[track]];
        pitch_set_t keys = struck(performance, frame_of_song(performance, song, t), track);
        performance_place_t place = {.track = track, .t = t, .above = pitch_set_count(keys)};
        for (; keys; place.below++) {
            const played_t played = *song->played++;
            const size_t to = at + place.below;
            place.above--;
            place.pitch = pitch_set_take(&keys);
            performance_past_read(past, &place, pass->x + to * performance->inputs + performance->tied);
            const played_t reference = performance_past_reference(past, track);
            pass->velocity[to] = (uint8_t)performance_velocity_class(played, reference);
            pass->offset[to] = (uint8_t)performance_offset_class(played, reference);
            performance_past_take(past, &place, played);
        }
    }
}

head_record_t performance_pass_record(const performance_pass_t *pass, const performance_t *performance) {
    return (head_record_t){.units = pass->x, .step = performance->inputs, .first = pass->first};
}

/* ---- loss and gradient ---- */

/* -log softmax(logits)[target]; turns logits into scale times its gradient. */
static double softmax_loss(real_t *logits, size_t n, size_t target, double scale) {
    real_t highest = logits[0];
    for (size_t i = 1; i < n; i++) highest = MAX(highest, logits[i]);
    const double at = (double)logits[target] - (double)highest;
    double sum = (double)(logits[0] = exp_negative(logits[0] - highest));
    for (size_t i = 1; i < n; i++) sum += (double)(logits[i] = exp_negative(logits[i] - highest));
    for (size_t i = 0; i < n; i++) logits[i] = (real_t)(scale / sum * (double)logits[i]);
    logits[target] -= (real_t)scale;
    return log(sum) - at;
}

/* The loss of one kind of classes of a track's onsets, from `first` on; their logits become its gradient. */
static void score_classes(performance_pass_t *pass, const linear_t *layer, const uint8_t *classes,
                          size_t first, const rows_t *rows, size_t units, double scale) {
    const size_t n = layer->outputs;
    linear_forward(layer, pass->hidden + first * units, pass->logits, rows);
    for (size_t i = 0; i < rows->n; i++)
        pass->nll[first + i] += softmax_loss(pass->logits + i * n, n, classes[first + i], scale);
}

static void train_classes(performance_pass_t *pass, const linear_t *layer, const uint8_t *classes,
                          size_t first, const rows_t *rows, size_t units, double scale, int add,
                          const model_report_t *report) {
    score_classes(pass, layer, classes, first, rows, units, scale);
    linear_backward(layer, pass->hidden + first * units, pass->logits, pass->dhidden + first * units, add,
                    rows, report);
}

/* What was not computed: 0, which is there already unless gradients are written. */
static void skip_layer(const linear_t *layer, gboolean written, const model_report_t *report) {
    if (written) {
        memset(layer->dW, 0, layer->inputs * layer->outputs * sizeof *layer->dW);
        memset(layer->dbias, 0, layer->outputs * sizeof *layer->dbias);
    }
    linear_report(report, layer);
}

static void skip_player(const player_t *player, gboolean written, const model_report_t *report) {
    skip_layer(&player->velocity, written, report);
    skip_layer(&player->offset, written, report);
    skip_layer(&player->hidden, written, report);
}

/* The hidden units of a track's onsets, from `first` on, whose losses begin at 0. */
static void hide(const player_t *player, performance_pass_t *pass, size_t first, const rows_t *rows,
                 size_t inputs, size_t units) {
    real_t *hidden = pass->hidden + first * units;
    linear_forward(&player->hidden, pass->x + first * inputs, hidden, rows);
    for (size_t i = 0; i < rows->n * units; i++) hidden[i] = hyperbolic_tangent(hidden[i]);
    memset(pass->nll + first, 0, rows->n * sizeof *pass->nll);
}

static void train_player(const player_t *player, performance_pass_t *pass, size_t first, const rows_t *rows,
                         size_t inputs, size_t units, double scale, const model_report_t *report) {
    const real_t *x = pass->x + first * inputs, *hidden = pass->hidden + first * units;
    real_t *dhidden = pass->dhidden + first * units;
    hide(player, pass, first, rows, inputs, units);
    train_classes(pass, &player->velocity, pass->velocity, first, rows, units, scale, 0, report);
    train_classes(pass, &player->offset, pass->offset, first, rows, units, scale, 1, report);
    for (size_t i = 0; i < rows->n * units; i++) dhidden[i] *= 1 - hidden[i] * hidden[i];
    rows_gradient(rows, x, dhidden, player->hidden.dW, player->hidden.dbias, inputs, units);
    linear_report(report, &player->hidden);
}

void performance_train(performance_t *performance, performance_pass_t *pass, size_t grains, double scale,
                       const model_report_t *report) {
    for (size_t k = 0; !pass && k < performance->K; k++)
        skip_player(&performance->players[k], grains > 0, report);
    for (size_t k = 0, first = 0; pass && k < performance->K; first += pass->n[k++]) {
        const rows_t rows = {.n = pass->n[k],
                             .grains = {.begin = pass->begin + k * (GRAINS_MAX + 1), .n = grains},
                             .scratch = pass->scratch};
        if (rows.n > 0)
            train_player(&performance->players[k], pass, first, &rows, performance->inputs,
                         performance->units, scale, report);
        else
            skip_player(&performance->players[k], grains > 0, report);
    }
}

void performance_score(performance_t *performance, performance_pass_t *pass) {
    const size_t units = performance->units;
    for (size_t k = 0, first = 0; k < performance->K; first += pass->n[k++]) {
        const player_t *player = &performance->players[k];
        const rows_t rows = {.n = pass->n[k]};
        if (rows.n == 0) continue;
        hide(player, pass, first, &rows, performance->inputs, units);
        score_classes(pass, &player->velocity, pass->velocity, first, &rows, units, 1);
        score_classes(pass, &player->offset, pass->offset, first, &rows, units, 1);
    }
}

double performance_pass_loss(const performance_pass_t *pass, size_t K, size_t grain) {
    double sum = 0;
    for (size_t k = 0, first = 0; k < K; first += pass->n[k++]) {
        const uint32_t *begin = pass->begin + k * (GRAINS_MAX + 1) + grain;
        for (size_t at = begin[0]; at < begin[1]; at++) sum += pass->nll[first + at];
    }
    return sum;
}

/* ---- outside training ---- */

size_t performance_inputs(const performance_t *performance) { return performance->inputs; }

static void find_odds(const linear_t *layer, const real_t *hidden, real_t *logits, double *odds) {
    const size_t n = layer->outputs;
    double sum = 0, highest = -INFINITY;
    linear_forward(layer, hidden, logits, &(rows_t){.n = 1});
    for (size_t i = 0; i < n; i++) highest = MAX(highest, (double)logits[i]);
    for (size_t i = 0; i < n; i++) sum += odds[i] = exp((double)logits[i] - highest);
    for (size_t i = 0; i < n; i++) odds[i] /= sum;
}

void performance_odds(performance_t *performance, size_t track, const real_t *input,
                      performance_odds_t *odds) {
    const player_t *player = &performance->players[performance->place[track]];
    linear_forward(&player->hidden, input, performance->hidden, &(rows_t){.n = 1});
    for (size_t i = 0; i < performance->units; i++)
        performance->hidden[i] = hyperbolic_tangent(performance->hidden[i]);
    find_odds(&player->velocity, performance->hidden, performance->logits, odds->velocity);
    find_odds(&player->offset, performance->hidden, performance->logits, odds->offset);
}

void performance_calm(performance_odds_t *odds) {
    double sum = 0;
    for (size_t i = 0; i < PERFORMANCE_CLASSES; i++)
        sum += odds->offset[i] = pow(odds->offset[i], 1 / OFFSET_TEMPERATURE);
    for (size_t i = 0; i < PERFORMANCE_CLASSES; i++) odds->offset[i] /= sum;
}

/* Where a uniform number falls: the class, and how far in it. */
static double find_class(const double *odds, size_t n, double uniform) {
    size_t i = 0;
    while (i + 1 < n && uniform >= odds[i]) uniform -= odds[i++];
    return (double)i + (odds[i] > 0 ? CLAMP(uniform / odds[i], 0, 0.999999) : 0);
}

played_t performance_at(const performance_odds_t *odds, played_t reference, double velocity, double offset) {
    const double loud = find_class(odds->velocity, PERFORMANCE_CLASSES, velocity),
                 late = find_class(odds->offset, PERFORMANCE_CLASSES, offset);
    const int louder = distance_in((int)loud, loud - floor(loud)),
              later = distance_in((int)late, late - floor(late));
    return (played_t){(uint8_t)CLAMP(reference.velocity + louder, 1, 127),
                      (int8_t)performance_past_turn(reference.offset + later, 0)};
}
