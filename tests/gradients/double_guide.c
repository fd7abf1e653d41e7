/* Central differences in a double build (tests/helpers/differences.h): a guide's gradient, along random
 * directions, as it has many weights. */
#include <string.h>

#include "tests/helpers/differences.h"
#include "trainer/model/guide.h"

enum { FRAMES = 24, DIRECTIONS = 40 };

/* Two tracks, the second of drums, which is drawn first. */
static const model_config_t config = {.kind = MODEL_SEQUENCE,
                                      .tracks = 2,
                                      .planes = 2,
                                      .pitches = 13,
                                      .sequence = {.order = {1, 0}, .drums = 1}};

static void fill_bytes(uint64_t sample, double whole, uint8_t *bytes, size_t n) {
    const rng_t rng = rng_make(3, RNG_MASK, 0, sample);
    for (size_t i = 0; i < n; i++)
        bytes[i] = rng_uniform(&rng, i) < whole ? 0xFF : (uint8_t)(256 * rng_uniform(&rng, n + i));
}

typedef struct {
    guide_t *guide;
    guide_sight_t sight;
    real_t *head; /* [FRAMES, D] */
    size_t D, bytes, n;
    real_t *gradient, *start, *directions; /* [n], [n], [DIRECTIONS, n] */
    real_t x[DIRECTIONS];
} lesson_t;

static double loss_of(gpointer data) {
    lesson_t *lesson = data;
    double sum = 0;
    memcpy(guide_weights(lesson->guide), lesson->start, lesson->n * sizeof *lesson->start);
    for (size_t k = 0; k < DIRECTIONS; k++)
        for (size_t i = 0; lesson->x[k] != 0 && i < lesson->n; i++)
            guide_weights(lesson->guide)[i] += lesson->x[k] * lesson->directions[k * lesson->n + i];
    for (size_t t = 0; t < FRAMES; t++)
        sum += guide_learn(lesson->guide, &lesson->sight, t, lesson->sight.given + t * lesson->bytes,
                           lesson->head + t * lesson->D, lesson->gradient)
                   .guided;
    return sum;
}

/* Some cells of all groups are known, in part and wholly. */
static void test_gradient(void) {
    const size_t n = guide_groups(&config) * guide_columns(&config);
    lesson_t lesson = {
        .guide = guide_new(&config), .D = model_cells(&config), .bytes = model_frame_bytes(&config), .n = n};
    real_t along[DIRECTIONS] = {0};
    g_autofree uint8_t *known = g_malloc0(FRAMES * lesson.bytes), *bits = g_malloc0(FRAMES * lesson.bytes);
    g_autofree real_t *gradient = g_new0(real_t, n), *start = lesson.start = g_new(real_t, n),
                      *directions = lesson.directions = g_new(real_t, DIRECTIONS * n),
                      *head = lesson.head = g_new(real_t, FRAMES * lesson.D);
    fill_bytes(0, 0.5, known, FRAMES * lesson.bytes);
    fill_bytes(1, 0, bits, FRAMES * lesson.bytes);
    lesson.sight = (guide_sight_t){known, bits, FRAMES};
    differences_fill(1, head, FRAMES * lesson.D);
    differences_fill(2, start, n);
    differences_fill(3, directions, DIRECTIONS * n);
    for (size_t i = 0; i < n; i++) start[i] *= 0.2;
    lesson.gradient = gradient;
    loss_of(&lesson);
    lesson.gradient = NULL;
    for (size_t k = 0; k < DIRECTIONS; k++)
        for (size_t i = 0; i < n; i++) along[k] += gradient[i] * directions[k * n + i];
    g_assert_cmpfloat(differences_check(loss_of, &lesson, lesson.x, along, DIRECTIONS, 0, "guide"), >, 0);
    guide_free(lesson.guide);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gradients/guide", test_gradient);
    return g_test_run();
}
