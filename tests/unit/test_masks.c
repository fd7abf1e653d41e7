/* What is known while a guide is learned: each kind comes, and looks as it should. */
#include "trainer/data/masks.h"

#include <string.h>

#include "preprocess/roll/roll.h"
#include "tests/helpers/sequence_pieces.h"
#include "trainer/model/pitch_set.h"

enum { FRAMES = 60, DRAWS = 200 };

typedef struct {
    const model_config_t *config;
    const uint8_t *bits, *known;
} drawn_t;

static pitch_set_t read_row(const drawn_t *drawn, const uint8_t *rows, size_t t, size_t k, size_t plane) {
    const size_t stride = roll_stride(drawn->config->pitches);
    return pitch_set_read(rows + ((t * drawn->config->tracks + k) * drawn->config->planes + plane) * stride,
                          drawn->config->pitches);
}

static gboolean is_whole(const drawn_t *drawn, size_t t, size_t k, gboolean known) {
    const pitch_set_t all = pitch_set_below(drawn->config->pitches);
    const pitch_set_t row = read_row(drawn, drawn->known, t, k, drawn->config->planes - 1);
    return known ? row == all : row == 0;
}

/* Of the onset plane, or the only one: the sounding plane has more where notes go on. */
static void assert_kind(const drawn_t *drawn, mask_kind_t kind) {
    const size_t last = drawn->config->planes - 1, P = drawn->config->pitches;
    const pitch_set_t first_row = read_row(drawn, drawn->known, 0, 0, last);
    for (size_t t = 0; t < FRAMES; t++) {
        pitch_set_t sounding = 0;
        for (size_t k = 0; k < drawn->config->tracks; k++) sounding |= read_row(drawn, drawn->bits, t, k, 0);
        for (size_t k = 0; k < drawn->config->tracks; k++) {
            const pitch_set_t row = read_row(drawn, drawn->known, t, k, last);
            if (kind == MASK_GAPS) g_assert_true(is_whole(drawn, t, k, TRUE) || is_whole(drawn, t, k, FALSE));
            if (kind == MASK_TRACKS) g_assert_true(is_whole(drawn, t, k, is_whole(drawn, 0, k, TRUE)));
            if (kind == MASK_KEYS) g_assert_true(row == first_row);
            if (kind != MASK_LINE || !sounding) continue;
            const size_t top = pitch_set_highest(sounding), bottom = pitch_set_lowest(sounding);
            g_assert_true(row == (pitch_set_below(P) & ~pitch_set_below(top)) ||
                          row == pitch_set_below(bottom + 1));
        }
    }
}

/* A note that is known to go on is known to sound before. */
static void assert_closed(const drawn_t *drawn) {
    for (size_t t = 1; drawn->config->planes > 1 && t < FRAMES; t++)
        for (size_t k = 0; k < drawn->config->tracks; k++) {
            const pitch_set_t goes_on = read_row(drawn, drawn->bits, t, k, PLANE_SOUNDING) &
                                        ~read_row(drawn, drawn->bits, t, k, PLANE_ONSET) &
                                        read_row(drawn, drawn->known, t, k, PLANE_ONSET);
            g_assert_true((goes_on & ~read_row(drawn, drawn->known, t - 1, k, PLANE_SOUNDING)) == 0);
        }
}

static void check_draws(const model_config_t *config) {
    const uint32_t frames = FRAMES;
    const size_t bytes = FRAMES * model_frame_bytes(config);
    pieces_t *pieces = new_pieces(config, 1, &frames, 4);
    g_autofree uint8_t *known = g_malloc(bytes), *again = g_malloc(bytes);
    const drawn_t drawn = {config, piece_bits(pieces, 0), known};
    size_t count[MASK_KINDS] = {0};
    for (size_t i = 0; i < DRAWS; i++) {
        const rng_t rng = rng_make(1, RNG_MASK, 0, i);
        const mask_kind_t kind = mask_draw(config, &rng, drawn.bits, FRAMES, known);
        g_assert_cmpint(mask_draw(config, &rng, drawn.bits, FRAMES, again), ==, kind);
        g_assert_cmpint(memcmp(known, again, bytes), ==, 0);
        count[kind]++;
        assert_kind(&drawn, kind);
        assert_closed(&drawn);
    }
    for (mask_kind_t kind = 0; kind < MASK_KINDS; kind++)
        g_assert_true((count[kind] > 0) == (kind != MASK_TRACKS || config->tracks > 1));
    free_pieces(pieces);
}

static void test_draws(void) {
    const model_config_t one = one_track_config(21, 4, 0);
    check_draws(&tracks_config);
    check_draws(&one);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/masks/draws", test_draws);
    return g_test_run();
}
