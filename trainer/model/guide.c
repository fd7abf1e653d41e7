/* guide: owns the network and its gradient. Weights of a group, in rows of Q = GUIDE_UNITS: b; v; for each
 * group h and each look ahead the window, the three of cells known in part, known wholly, any set; then the
 * pitch classes of each span. Refuses nothing. */
#include "trainer/model/guide.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "preprocess/roll/roll.h"
#include "trainer/model/head_kernels.h"
#include "trainer/model/pitch_set.h"

#define GUIDE_SURE 60.0 /* the logit of a known cell */
#define GUIDE_MOST 10.0 /* what is added to others: a guide that errs must not be hopeless */
enum { Q = GUIDE_UNITS, BESIDE = 3, ROW_B = 0, ROW_V = 1, ROW_FEATURES = 2 };

const size_t GUIDE_AHEAD[GUIDE_AHEADS] = {0, 1, 2, 4, 8, 16};
const size_t GUIDE_SPAN[GUIDE_SPANS] = {16, 64};

/* What is known of a group in a frame. */
typedef struct {
    pitch_set_t known, set;
} seen_t;

struct guide {
    size_t groups, P, planes, stride, columns;
    pitch_set_t all;                    /* pitches */
    gboolean is_drums[ROLL_MAX_TRACKS]; /* tracks */
    real_t *weights;
    /* Of the current frame: */
    seen_t seen[ROLL_MAX_TRACKS * 2][GUIDE_AHEADS];
    real_t profile[GUIDE_SPANS * PITCH_CLASSES];
    patch_t *patches;
    size_t n_patches;
    real_t *u, *logits, *spare; /* [P, Q], [P], [P, Q] */
};

/* ---- rows of weights ---- */

static size_t reach(size_t ahead) { return ahead == 0 ? GUIDE_REACH_NOW : GUIDE_REACH; }
static size_t window(size_t ahead) { return 2 * reach(ahead) + 1; }
static size_t rows_of(size_t ahead) { return window(ahead) + BESIDE + 2; }

static size_t rows_of_group(void) {
    size_t rows = 0;
    for (size_t i = 0; i < GUIDE_AHEADS; i++) rows += rows_of(i);
    return rows;
}

/* The first row of what group h tells with this look ahead. */
static size_t row_of(size_t h, size_t ahead) {
    size_t row = ROW_FEATURES + h * rows_of_group();
    for (size_t i = 0; i < ahead; i++) row += rows_of(i);
    return row;
}

static size_t beside_row(size_t h, size_t ahead) { return row_of(h, ahead) + window(ahead); }
static size_t whole_row(size_t h, size_t ahead) { return beside_row(h, ahead) + BESIDE; }
static size_t any_row(size_t h, size_t ahead) { return whole_row(h, ahead) + 1; }
static size_t profile_row(size_t groups) { return ROW_FEATURES + groups * rows_of_group(); }

size_t guide_groups(const model_config_t *config) { return config->tracks * config->planes; }

size_t guide_columns(const model_config_t *config) {
    return (profile_row(guide_groups(config)) + GUIDE_SPANS * PITCH_CLASSES) * Q;
}

/* ---- making one ---- */

guide_t *guide_new(const model_config_t *config) {
    guide_t *guide = g_new0(guide_t, 1);
    guide->groups = guide_groups(config);
    guide->columns = guide_columns(config);
    guide->P = config->pitches;
    guide->planes = config->planes;
    for (size_t i = 0; i < config->sequence.drums; i++) guide->is_drums[config->sequence.order[i]] = TRUE;
    guide->stride = roll_stride(guide->P);
    guide->all = pitch_set_below(guide->P);
    guide->weights = g_new0(real_t, guide->groups * guide->columns);
    guide->patches = g_new0(patch_t, guide->groups * GUIDE_AHEADS * 2 * guide->P);
    guide->u = g_new0(real_t, guide->P * Q);
    guide->spare = g_new0(real_t, guide->P * Q);
    guide->logits = g_new0(real_t, guide->P);
    return guide;
}

void guide_free(guide_t *guide) {
    if (!guide) return;
    void *const buffers[] = {guide->weights, guide->patches, guide->u, guide->spare, guide->logits};
    for (size_t i = 0; i < G_N_ELEMENTS(buffers); i++) g_free(buffers[i]);
    g_free(guide);
}

real_t *guide_weights(guide_t *guide) { return guide->weights; }

void guide_start(guide_t *guide, uint64_t seed) {
    const rng_t rng = rng_make(seed, RNG_INIT, 1, 0); /* the model's own have epoch 0 */
    rng_normal(&rng, guide->weights, guide->groups * guide->columns);
    for (size_t i = 0; i < guide->groups * guide->columns; i++) guide->weights[i] *= (real_t)0.1;
    for (size_t g = 0; g < guide->groups; g++)
        memset(guide->weights + g * guide->columns + ROW_V * Q, 0, Q * sizeof(real_t));
}

/* ---- what is seen ---- */

static pitch_set_t read_set(const guide_t *guide, const uint8_t *frames, size_t t, size_t h) {
    return pitch_set_read(frames + (t * guide->groups + h) * guide->stride, guide->P);
}

/* The shares of pitch classes in the known sound of the frames of a span. Returns whether anything sounds. */
static gboolean count_classes(guide_t *guide, const guide_sight_t *sight, size_t t, size_t span) {
    size_t counts[PITCH_CLASSES] = {0}, total = 0;
    real_t *profile = guide->profile + span * PITCH_CLASSES;
    const size_t end = MIN(sight->frames, t + GUIDE_SPAN[span]);
    for (size_t i = t; i < end; i++)
        for (size_t h = 0; h < guide->groups; h += guide->planes) {
            pitch_set_t left = read_set(guide, sight->given, i, h) & read_set(guide, sight->known, i, h);
            for (; left && !guide->is_drums[h / guide->planes]; total++)
                counts[pitch_set_take(&left) % PITCH_CLASSES]++;
        }
    for (size_t c = 0; c < PITCH_CLASSES; c++)
        profile[c] = total ? (real_t)(3 * ((double)counts[c] / (double)total - 1.0 / PITCH_CLASSES)) : 0;
    return total > 0;
}

/* Whether anything is known within reach. */
static gboolean look(guide_t *guide, const guide_sight_t *sight, size_t t) {
    gboolean any = FALSE;
    for (size_t h = 0; h < guide->groups; h++)
        for (size_t i = 0; i < GUIDE_AHEADS; i++) {
            seen_t *seen = &guide->seen[h][i];
            *seen = (seen_t){0, 0};
            if (t + GUIDE_AHEAD[i] >= sight->frames) continue;
            seen->known = read_set(guide, sight->known, t + GUIDE_AHEAD[i], h);
            seen->set = read_set(guide, sight->given, t + GUIDE_AHEAD[i], h) & seen->known;
            any |= seen->known != 0;
        }
    for (size_t i = 0; i < GUIDE_SPANS; i++) any |= count_classes(guide, sight, t, i);
    return any;
}

/* The rows of one feature of each cell around pitch p, from `low` steps below it on. */
static void add_patch(guide_t *guide, size_t row, size_t p, size_t below, size_t above) {
    const size_t first = p < below ? 0 : p - below, end = MIN(guide->P, p + above + 1);
    guide->patches[guide->n_patches++] =
        (patch_t){(row + first + below - p) * Q, first * Q, (end - first) * Q};
}

static void list_patches(guide_t *guide) {
    guide->n_patches = 0;
    for (size_t h = 0; h < guide->groups; h++)
        for (size_t i = 0; i < GUIDE_AHEADS; i++) {
            const seen_t *seen = &guide->seen[h][i];
            for (pitch_set_t left = seen->set; left;)
                add_patch(guide, row_of(h, i), pitch_set_take(&left), reach(i), reach(i));
            for (pitch_set_t left = seen->known != guide->all ? seen->known : 0; left;)
                add_patch(guide, beside_row(h, i), pitch_set_take(&left), 1, 1);
        }
}

/* Calls what is the same for all cells: adds to sum, or from it to the gradient. */
static void visit_common(const guide_t *guide, const real_t *from_rows, real_t *to_rows, real_t *sum) {
    for (size_t h = 0; h < guide->groups; h++)
        for (size_t i = 0; i < GUIDE_AHEADS; i++) {
            const seen_t *seen = &guide->seen[h][i];
            const size_t rows[] = {whole_row(h, i), any_row(h, i)};
            const gboolean is[] = {seen->known == guide->all, seen->set != 0};
            for (size_t k = 0; k < G_N_ELEMENTS(rows); k++) {
                if (!is[k]) continue;
                if (to_rows)
                    head_add(sum, to_rows + rows[k] * Q, Q);
                else
                    head_add(from_rows + rows[k] * Q, sum, Q);
            }
        }
}

/* ---- the network of a group ---- */

static real_t at_start(const real_t *weights) {
    real_t sum = 0;
    for (size_t i = 0; i < Q; i++) sum += weights[ROW_V * Q + i] * MAX(weights[ROW_B * Q + i], 0);
    return sum;
}

/* Fills in guide->u and guide->logits. */
static void forward(guide_t *guide, size_t g) {
    const real_t *weights = guide->weights + g * guide->columns;
    real_t base[Q], by_class[PITCH_CLASSES * Q] = {0};
    const real_t start = at_start(weights);
    memcpy(base, weights + ROW_B * Q, sizeof base);
    visit_common(guide, weights, NULL, base);
    head_profile(guide->profile, weights + profile_row(guide->groups) * Q, by_class, GUIDE_SPANS, Q);
    for (size_t c = 0; c < PITCH_CLASSES; c++) head_add(base, by_class + c * Q, Q);
    for (size_t p = 0; p < guide->P; p++)
        memcpy(guide->u + p * Q, by_class + p % PITCH_CLASSES * Q, Q * sizeof *by_class);
    head_scatter(guide->patches, guide->n_patches, weights, guide->u);
    for (size_t p = 0; p < guide->P; p++) guide->logits[p] = -start;
    head_tied(guide->u, weights + ROW_V * Q, guide->logits, guide->P, Q);
}

/* From guide->logits as the gradient. */
static void backward(guide_t *guide, size_t g, real_t *gradient) {
    const real_t *weights = guide->weights + g * guide->columns, *v = weights + ROW_V * Q;
    real_t *to = gradient + g * guide->columns, common[Q] = {0}, by_class[PITCH_CLASSES * Q] = {0}, sum = 0;
    for (size_t p = 0; p < guide->P; p++) sum += guide->logits[p];
    head_tied_backward(guide->logits, v, guide->u, to + ROW_V * Q, guide->spare, common, guide->P, Q);
    for (size_t i = 0; i < Q; i++) {
        const real_t b = weights[ROW_B * Q + i];
        to[ROW_B * Q + i] += common[i] - (b > 0 ? sum * v[i] : 0);
        to[ROW_V * Q + i] -= sum * MAX(b, 0);
    }
    visit_common(guide, NULL, to, common);
    for (size_t p = 0; p < guide->P; p++) head_add(guide->u + p * Q, by_class + p % PITCH_CLASSES * Q, Q);
    head_profile_backward(guide->profile, by_class, to + profile_row(guide->groups) * Q, GUIDE_SPANS, Q);
    head_gather(guide->patches, guide->n_patches, guide->u, to);
}

gboolean guide_read(guide_t *guide, const guide_sight_t *sight, size_t t, real_t *logits) {
    if (!look(guide, sight, t)) return FALSE;
    list_patches(guide);
    for (size_t g = 0; g < guide->groups; g++) {
        const seen_t now = guide->seen[g][0];
        if (now.known != guide->all) forward(guide, g);
        for (size_t p = 0; p < guide->P; p++) {
            const real_t sure = (real_t)(pitch_set_has(now.set, p) ? GUIDE_SURE : -GUIDE_SURE);
            logits[g * guide->P + p] = pitch_set_has(now.known, p)
                                           ? sure
                                           : CLAMP(guide->logits[p], -(real_t)GUIDE_MOST, (real_t)GUIDE_MOST);
        }
    }
    return TRUE;
}

/* -log of the probability of a bit. */
static double loss_of(double logit, gboolean set) {
    const double wrong = set ? -logit : logit;
    return MAX(wrong, 0) + log1p(exp(-fabs(wrong)));
}

guide_loss_t guide_learn(guide_t *guide, const guide_sight_t *sight, size_t t, const uint8_t *frame,
                         const real_t *head_logits, real_t *gradient) {
    guide_loss_t loss = {0, 0};
    const gboolean seen = look(guide, sight, t);
    if (seen) list_patches(guide);
    for (size_t g = 0; g < guide->groups; g++) {
        const pitch_set_t set = read_set(guide, frame, 0, g), known = guide->seen[g][0].known;
        if (known == guide->all) continue;
        if (seen)
            forward(guide, g);
        else
            memset(guide->logits, 0, guide->P * sizeof *guide->logits);
        for (size_t p = 0; p < guide->P; p++) {
            const double logit = (double)head_logits[g * guide->P + p],
                         both = logit + (double)guide->logits[p];
            const gboolean on = pitch_set_has(set, p);
            guide->logits[p] = 0;
            if (pitch_set_has(known, p) || isinf(logit)) continue;
            loss.alone += loss_of(logit, on);
            loss.guided += loss_of(both, on);
            guide->logits[p] = (real_t)(1 / (1 + exp(-both)) - on);
        }
        if (seen && gradient) backward(guide, g, gradient);
    }
    return loss;
}
