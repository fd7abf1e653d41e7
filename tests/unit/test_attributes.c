/* attributes: of segments written by hand, and vectors of latents made so that the right ones are known. */
#include <math.h>
#include <string.h>

#include "trainer/model/attributes.h"

/* Eight pitches from 60, 2 steps a beat: a row of a frame is one byte. */
static grid_t small_grid(const char *tracks) {
    g_autoptr(GError) error = NULL;
    grid_t grid = {.steps_per_beat = 2, .pitch_low = 60, .pitches = 8};
    g_assert_true(grid_set_tracks(&grid, tracks, &error));
    return grid;
}

static void assert_near(double a, double b) { g_assert_cmpfloat_with_epsilon(a, b, 1e-6); }

static void assert_values(const attribute_span_t *span, double density, double pitch, double polyphony,
                          double drums) {
    double values[ATTRIBUTE_COUNT];
    g_assert_true(attribute_measure(span, values));
    assert_near(values[ATTRIBUTE_DENSITY], density);
    assert_near(values[ATTRIBUTE_REGISTER], pitch);
    assert_near(values[ATTRIBUTE_POLYPHONY], polyphony);
    assert_near(values[ATTRIBUTE_DRUMS], drums);
}

/* One plane: key 1 (61) was there before; 1 and 4 in frame 0, 1 in frame 1, silence, 4 and 7 in frame 3. */
static void test_one_plane(void) {
    const grid_t grid = small_grid("merged");
    const uint8_t bits[] = {0x02, 0x12, 0x02, 0x00, 0x90};
    attribute_span_t span = {.grid = &grid, .planes = 1, .bits = bits + 1, .before = bits, .frames = 4};
    const double pitch = 60 + (1 + 4 + 1 + 4 + 7) / 5.0;
    assert_values(&span, 3 / 2.0, pitch, 5 / 3.0, 0); /* notes: 4; then 4 and 7 */
    span.before = NULL;
    assert_values(&span, 4 / 2.0, pitch, 5 / 3.0, 0); /* and 1 */
}

/* Two planes: a key struck again begins a note, one that is held does not. */
static void test_two_planes(void) {
    const grid_t grid = small_grid("merged");
    const uint8_t bits[] = {0x03, 0x01, 0x03, 0x01, 0x03, 0x02}, before[] = {0, 0};
    const attribute_span_t span = {.grid = &grid, .planes = 2, .bits = bits, .before = before, .frames = 3};
    assert_values(&span, 3 / 1.5, 60.5, 2, 0);
}

/* Drums count apart; a key that two tracks play is one key, but two notes. */
static void test_tracks(void) {
    const grid_t grid = small_grid("melody,bass,drums"), drums = small_grid("drums");
    const uint8_t bits[] = {0x04, 0x05, 0x81, 0x04, 0x00, 0x01, 0x00, 0x00, 0x80};
    attribute_span_t span = {.grid = &grid, .planes = 1, .bits = bits, .frames = 2};
    double values[ATTRIBUTE_COUNT];
    assert_values(&span, 3, 60 + (2 + 0 + 2 + 2) / 4.0, 3 / 2.0, 2);
    span.bits = bits + 6; /* drums alone */
    span.frames = 1;
    g_assert_false(attribute_measure(&span, values));
    span = (attribute_span_t){.grid = &drums, .planes = 1, .bits = bits + 2, .frames = 2};
    assert_values(&span, 0, 0, 0, 3);
    g_assert_true(attribute_exists(ATTRIBUTE_DRUMS, &drums) && attribute_exists(ATTRIBUTE_DRUMS, &grid));
    g_assert_true(attribute_exists(ATTRIBUTE_DENSITY, &grid) && !attribute_exists(ATTRIBUTE_DENSITY, &drums));
    span.bits = bits + 7;
    span.frames = 1;
    g_assert_false(attribute_measure(&span, values));
}

enum { Z = 3 };

/* A segment whose latents are x and whose density and register are 5 + 2 x and 60 + 7 y. */
static void add(attribute_moments_t *moments, double a, double b, double density, double pitch,
                double variance) {
    const real_t mu[Z] = {(real_t)a, (real_t)b, 0},
                 logvar[Z] = {(real_t)log(variance), (real_t)log(variance), (real_t)log(variance)};
    const double values[ATTRIBUTE_COUNT] = {[ATTRIBUTE_DENSITY] = 5 + 2 * density,
                                            [ATTRIBUTE_REGISTER] = 60 + 7 * pitch,
                                            [ATTRIBUTE_POLYPHONY] = 1};
    attribute_moments_add(moments, mu, logvar, values, values);
}

static void fit(const attribute_moments_t *moments, attributes_t *attributes) {
    const grid_t grid = small_grid("melody,drums");
    g_autoptr(GError) error = NULL;
    g_assert_true(attributes_fit(moments, &grid, attributes, &error));
}

static void start(attribute_moments_t *moments) {
    g_autoptr(GError) error = NULL;
    g_assert_true(attribute_moments_init(moments, Z, &error));
}

static void assert_vector(const attributes_t *attributes, size_t i, double a, double b) {
    g_assert_cmpfloat_with_epsilon(attributes->vectors[i * Z], a, 1e-3);
    g_assert_cmpfloat_with_epsilon(attributes->vectors[i * Z + 1], b, 1e-3);
    g_assert_cmpfloat_with_epsilon(attributes->vectors[i * Z + 2], 0, 1e-6);
}

/* z = (2 x, 3 y), variance 0.25: the reading of x is 2 / 4.25 of the first unit, r2 = 4 / 4.25, and grows by
 * one where that unit does by 4.25 / 2. What does not vary (polyphony, drums) is left out. */
static void test_units(void) {
    g_auto(attribute_moments_t) moments = {0};
    g_auto(attributes_t) attributes = {0};
    start(&moments);
    for (int i = 0; i < 4; i++)
        add(&moments, i & 1 ? 2 : -2, i & 2 ? 3 : -3, i & 1 ? 1 : -1, i & 2 ? 1 : -1, 0.25);
    fit(&moments, &attributes);
    g_assert_cmpfloat(attribute_moments_count(&moments), ==, 4);
    g_assert_cmpuint(attributes.n, ==, 2);
    g_assert_cmpuint(attributes_find(&attributes, "register"), ==, 1);
    g_assert_cmpuint(attributes_find(&attributes, "polyphony"), ==, 2);
    g_assert_cmpstr(attributes.info[0].name, ==, "density");
    g_assert_cmpstr(attributes.info[0].unit, ==, "notes a beat");
    assert_near(attributes.info[0].mean, 5);
    assert_near(attributes.info[0].sd, 2);
    assert_near(attributes.info[0].r2, 4 / 4.25);
    assert_near(attributes.info[0].reach, 1);
    assert_near(attributes.info[1].mean, 60);
    assert_near(attributes.info[1].sd, 7);
    assert_vector(&attributes, 0, 4.25 / 2, 0);
    assert_vector(&attributes, 1, 0, 9.25 / 3);
}

/* Of segments the changes count: a level that drifts while the latents stay tells nothing, and mean is the
 * attribute's. */
static void test_changes(void) {
    g_auto(attribute_moments_t) moments = {0};
    g_auto(attributes_t) attributes = {0};
    start(&moments);
    for (int i = 0; i < 4; i++) {
        const real_t mu[Z] = {i & 1 ? 2 : -2, i & 2 ? 3 : -3, 0},
                     logvar[Z] = {(real_t)log(0.25), (real_t)log(0.25), (real_t)log(0.25)};
        const double values[ATTRIBUTE_COUNT] = {[ATTRIBUTE_DENSITY] = 5 + 10 * i, [ATTRIBUTE_REGISTER] = 60};
        const double changes[ATTRIBUTE_COUNT] = {[ATTRIBUTE_DENSITY] = 1 + (i & 1 ? 2 : -2)};
        attribute_moments_add(&moments, mu, logvar, values, changes);
    }
    fit(&moments, &attributes);
    g_assert_cmpuint(attributes.n, ==, 1);
    assert_near(attributes.info[0].mean, 20);
    assert_near(attributes.info[0].sd, 2);
    assert_near(attributes.info[0].r2, 4 / 4.25);
    assert_vector(&attributes, 0, 4.25 / 2, 0);
}

/* Dense segments mostly lie high, and the latents say both apart: the vector of density leaves the register
 * alone. */
static void test_apart(void) {
    const struct { int x, y, times; } songs[] = {{1, 1, 3}, {-1, -1, 3}, {1, -1, 1}, {-1, 1, 1}};
    g_auto(attribute_moments_t) moments = {0};
    g_auto(attributes_t) attributes = {0};
    start(&moments);
    for (size_t i = 0; i < G_N_ELEMENTS(songs); i++)
        for (int k = 0; k < songs[i].times; k++)
            add(&moments, songs[i].x, songs[i].y, songs[i].x, songs[i].y, 1e-6);
    fit(&moments, &attributes);
    g_assert_cmpuint(attributes.n, ==, 2);
    assert_vector(&attributes, 0, 1, 0);
    assert_vector(&attributes, 1, 0, 1);
}

/* A register that the latents tell but faintly, and a density that they do not tell: its vector ends where
 * latents do, the other's is left out. */
static void test_faint(void) {
    const double faint = 0.2; /* r2 = 0.04 */
    g_auto(attribute_moments_t) moments = {0};
    g_auto(attributes_t) attributes = {0};
    start(&moments);
    for (int i = 0; i < 4; i++)
        add(&moments, i & 1 ? 1 : -1, i & 2 ? faint : -faint, i & 1 ? (i & 2 ? 1 : -1) : (i & 2 ? -1 : 1),
            i & 2 ? 1 : -1, 0.96);
    fit(&moments, &attributes);
    g_assert_cmpuint(attributes.n, ==, 1);
    g_assert_cmpstr(attributes.info[0].name, ==, "register");
    assert_near(attributes.info[0].r2, 0.04);
    assert_near(attributes.info[0].reach, ATTRIBUTES_FARTHEST * faint);
    assert_vector(&attributes, 0, 0, ATTRIBUTES_FARTHEST);
}

/* Ranks' sums add up. */
static void test_sums(void) {
    g_auto(attribute_moments_t) all = {0}, a = {0}, b = {0};
    g_auto(attributes_t) one = {0}, two = {0};
    start(&all);
    start(&a);
    start(&b);
    for (int i = 0; i < 40; i++) {
        const double x = sin(i), y = cos(3 * i), noise = sin(11 * i);
        add(&all, x, y + noise, x + noise, y, 0.3);
        add(i % 3 ? &a : &b, x, y + noise, x + noise, y, 0.3);
    }
    for (size_t i = 0; i < a.n; i++) a.sums[i] += b.sums[i];
    fit(&all, &one);
    fit(&a, &two);
    g_assert_true(one.n == 2 && two.n == 2);
    for (size_t i = 0; i < one.n * Z; i++) assert_near(one.vectors[i], two.vectors[i]);
    assert_near(one.info[1].r2, two.info[1].r2);
    g_assert_cmpfloat(one.info[1].r2, <, 0.99);
}

/* Latents that are not finite give no vector, whatever the rest. */
static void test_broken(void) {
    g_auto(attribute_moments_t) moments = {0};
    g_auto(attributes_t) attributes = {0};
    start(&moments);
    for (int i = 0; i < 4; i++) add(&moments, i == 3 ? (double)NAN : i, i, i, i % 2, 1);
    fit(&moments, &attributes);
    g_assert_cmpuint(attributes.n, ==, 0);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/attributes/one-plane", test_one_plane);
    g_test_add_func("/attributes/two-planes", test_two_planes);
    g_test_add_func("/attributes/tracks", test_tracks);
    g_test_add_func("/attributes/units", test_units);
    g_test_add_func("/attributes/changes", test_changes);
    g_test_add_func("/attributes/apart", test_apart);
    g_test_add_func("/attributes/faint", test_faint);
    g_test_add_func("/attributes/sums", test_sums);
    g_test_add_func("/attributes/broken", test_broken);
    return g_test_run();
}
