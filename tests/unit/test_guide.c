/* A guide reads what is known from its frame on, and nothing else; what it learns is what it says. */
#include "trainer/model/guide.h"

#include <math.h>
#include <string.h>

#include "tests/helpers/sequence_pieces.h"

enum { FRAMES = 30, AT = 7 };

typedef struct {
    model_config_t config;
    size_t bytes, D;
    guide_t *guide;
    pieces_t *pieces;
    uint8_t *known, *given;
    real_t *logits, *other;
    guide_sight_t sight;
} lesson_t;

static void lesson_init(lesson_t *lesson) {
    const uint32_t frames = FRAMES;
    *lesson = (lesson_t){.config = tracks_config};
    lesson->bytes = model_frame_bytes(&lesson->config);
    lesson->D = model_cells(&lesson->config);
    lesson->guide = guide_new(&lesson->config);
    const size_t n = guide_groups(&lesson->config) * guide_columns(&lesson->config);
    const rng_t rng = rng_make(3, RNG_NOISE, 0, 0);
    rng_normal(&rng, guide_weights(lesson->guide), n);
    for (size_t i = 0; i < n; i++) guide_weights(lesson->guide)[i] *= (real_t)0.2;
    lesson->pieces = new_pieces(&lesson->config, 1, &frames, 4);
    lesson->given = g_memdup2(piece_bits(lesson->pieces, 0), FRAMES * lesson->bytes);
    lesson->known = g_malloc0(FRAMES * lesson->bytes);
    lesson->logits = g_new0(real_t, lesson->D);
    lesson->other = g_new0(real_t, lesson->D);
    lesson->sight = (guide_sight_t){lesson->known, lesson->given, FRAMES};
}

static void lesson_clear(lesson_t *lesson) {
    guide_free(lesson->guide);
    free_pieces(lesson->pieces);
    g_free(lesson->known);
    g_free(lesson->given);
    g_free(lesson->logits);
    g_free(lesson->other);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(lesson_t, lesson_clear)

/* Knows a row of a frame, all its pitches. */
static void know(lesson_t *lesson, size_t t, size_t group) {
    const size_t stride = lesson->bytes / guide_groups(&lesson->config);
    memset(lesson->known + t * lesson->bytes + group * stride, 0xFF, stride);
}

static gboolean same_logits(const lesson_t *lesson) {
    return memcmp(lesson->logits, lesson->other, lesson->D * sizeof *lesson->logits) == 0;
}

/* Nothing is known within reach: behind, or too far ahead. */
static void test_nothing(void) {
    g_auto(lesson_t) lesson = {0};
    lesson_init(&lesson);
    g_assert_false(guide_read(lesson.guide, &lesson.sight, AT, lesson.logits));
    know(&lesson, AT - 1, 0);
    know(&lesson, AT + 3, 1); /* onsets between the looks ahead; of sound the pitch classes are counted */
    g_assert_false(guide_read(lesson.guide, &lesson.sight, AT, lesson.logits));
    know(&lesson, AT + 4, 1);
    g_assert_true(guide_read(lesson.guide, &lesson.sight, AT, lesson.logits));
}

/* A fresh guide adds nothing to cells that are not known. */
static void test_fresh(void) {
    g_auto(lesson_t) lesson = {0};
    lesson_init(&lesson);
    guide_start(lesson.guide, 9);
    know(&lesson, AT, 0);
    know(&lesson, AT + 1, 1);
    g_assert_true(guide_read(lesson.guide, &lesson.sight, AT, lesson.logits));
    for (size_t i = 0; i < lesson.D; i++) {
        const size_t P = lesson.config.pitches, p = i % P;
        const gboolean set = lesson.given[AT * lesson.bytes + p / 8] >> (p % 8) & 1;
        if (i >= P)
            g_assert_cmpfloat((double)lesson.logits[i], ==, 0);
        else
            g_assert_cmpfloat((double)lesson.logits[i] * (set ? 1 : -1), >, 50);
    }
}

/* Values of cells that are not known, and all that is past, make no difference; what is known does. */
static void test_sight(void) {
    g_auto(lesson_t) lesson = {0};
    lesson_init(&lesson);
    for (size_t t = 0; t < FRAMES; t += 2) know(&lesson, t, t / 2 % 4);
    guide_read(lesson.guide, &lesson.sight, AT, lesson.logits);
    for (size_t i = 0; i < FRAMES * lesson.bytes; i++)
        lesson.given[i] ^= (uint8_t)(i < AT * lesson.bytes ? 0xFF : ~lesson.known[i]);
    guide_read(lesson.guide, &lesson.sight, AT, lesson.other);
    g_assert_true(same_logits(&lesson));
    for (size_t i = 0; i < lesson.bytes; i++)
        lesson.given[(AT + 1) * lesson.bytes + i] ^= lesson.known[(AT + 1) * lesson.bytes + i];
    guide_read(lesson.guide, &lesson.sight, AT, lesson.other);
    g_assert_false(same_logits(&lesson));
}

/* The same notes a semitone higher are read a semitone higher. */
static void test_transposed(void) {
    g_auto(lesson_t) lesson = {0};
    lesson_init(&lesson);
    const size_t P = lesson.config.pitches;
    memset(lesson.given, 0, FRAMES * lesson.bytes);
    memset(lesson.known + AT * lesson.bytes, 0xFF, lesson.bytes / 2); /* a track, its two planes */
    memset(lesson.known + (AT + 2) * lesson.bytes, 0xFF, lesson.bytes);
    lesson.given[AT * lesson.bytes] = 1 << 4;
    lesson.given[(AT + 2) * lesson.bytes + lesson.bytes / 2] = 1 << 6;
    guide_read(lesson.guide, &lesson.sight, AT, lesson.logits);
    lesson.given[AT * lesson.bytes] = 1 << 5;
    lesson.given[(AT + 2) * lesson.bytes + lesson.bytes / 2] = 1 << 7;
    guide_read(lesson.guide, &lesson.sight, AT, lesson.other);
    for (size_t g = 2; g < 4; g++)
        for (size_t p = 0; p + 1 < P; p++)
            g_assert_cmpfloat(fabs((double)lesson.logits[g * P + p] - (double)lesson.other[g * P + p + 1]), <,
                              1e-5);
}

/* The loss is that of the head's logits and what is read, over cells that are neither known nor certain. */
static void test_loss(void) {
    g_auto(lesson_t) lesson = {0};
    lesson_init(&lesson);
    const size_t P = lesson.config.pitches, stride = lesson.bytes / 4;
    g_autofree real_t *head = g_new(real_t, lesson.D);
    const rng_t rng = rng_make(3, RNG_NOISE, 0, 1);
    const uint8_t *frame = lesson.given + AT * lesson.bytes;
    double alone = 0, guided = 0;
    rng_normal(&rng, head, lesson.D);
    head[P + 1] = (real_t)INFINITY;
    head[P + 2] = -(real_t)INFINITY;
    know(&lesson, AT, 0);
    for (size_t t = AT + 1; t < FRAMES; t++) know(&lesson, t, t % 4);
    g_assert_true(guide_read(lesson.guide, &lesson.sight, AT, lesson.logits));
    for (size_t i = P; i < lesson.D; i++) {
        const gboolean set = frame[i / P * stride + i % P / 8] >> (i % P % 8) & 1;
        const double sign = set ? -1 : 1, logit = (double)head[i], added = (double)lesson.logits[i];
        if (i == P + 1 || i == P + 2) continue;
        alone += log1p(exp(sign * logit));
        guided += log1p(exp(sign * (logit + added)));
    }
    const guide_loss_t loss = guide_learn(lesson.guide, &lesson.sight, AT, frame, head, NULL);
    g_assert_cmpfloat(fabs(loss.alone - alone), <, 1e-4);
    g_assert_cmpfloat(fabs(loss.guided - guided), <, 1e-4);
    g_assert_cmpfloat(fabs(alone - guided), >, 0.1);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/guide/nothing", test_nothing);
    g_test_add_func("/guide/fresh", test_fresh);
    g_test_add_func("/guide/sight", test_sight);
    g_test_add_func("/guide/transposed", test_transposed);
    g_test_add_func("/guide/loss", test_loss);
    return g_test_run();
}
