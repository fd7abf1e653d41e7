/* Pieces of the sequence model of which each segment is the best of several draws. */
#include "tests/helpers/composed.h"
#include "trainer/model/rebuild.h"

/* Of each segment the best of several draws, whose random numbers are those that compose.h names; nothing of
 * it where nothing is drawn. */
static void test_best_of(void) {
    enum { FRAMES = 3 * S + 2, K = 5 };
    g_autoptr(sample_model_t) model = make_model("--tracks melody,bass --planes 2");
    g_autoptr(compose_t) compose = make_compose(model);
    g_autoptr(stream_t) stream = stream_new(model->model, K, NULL);
    g_autoptr(rebuild_t) rebuild = rebuild_new(model->model, stream, K);
    const model_config_t *config = &model->checkpoint.model;
    const size_t Z = config->latent;
    const compose_piece_t song = draw_of(5, 1, FRAMES);
    g_autoptr(roll_t) true_roll = compose_piece(compose, &song);
    g_autofree real_t *mu = compose_encode(compose, true_roll, 0, FRAMES), *z = g_new(real_t, K * Z);
    compose_piece_t piece = draw_of(8, 3, FRAMES);
    piece.temperature = 0.9;
    piece.best_of = K;
    piece.latents = (compose_latents_t){.centres = mu, .segments = 4, .keep = 1};
    g_autoptr(roll_t) roll = compose_piece(compose, &piece), by_hand = roll_new(FRAMES, 2, roll->pitches);
    stream_start(stream, K);
    for (size_t first = 0; first < FRAMES; first += S) {
        const uint32_t valid = (uint32_t)MIN(S, FRAMES - first);
        for (size_t k = 0; k < K; k++) memcpy(z + k * Z, mu + first / S * Z, Z * sizeof *z);
        stream_set_latent(stream, z);
        for (size_t t = first; t < first + valid; t++) {
            const rebuild_numbers_t numbers = {
                .seed = 8, .stride = 1, .sample = 3, .element = t * model_cells(config)};
            rebuild_draw(rebuild, 1, K, &numbers, 0.9);
        }
        rebuild_keep(rebuild, 1, K, mu + first / S * Z, &valid);
        for (size_t t = 0; t < valid; t++)
            roll_write_frame(by_hand, first + t, 2,
                             rebuild_frames(rebuild, 0) + t * model_frame_bytes(config));
    }
    roll_make_canonical(by_hand);
    g_assert_true(same_frames(roll, by_hand, FRAMES));
    piece.best_of = 0;
    g_autoptr(roll_t) once = compose_piece(compose, &piece);
    g_assert_false(same_frames(roll, once, FRAMES));
    piece.draw = FALSE;
    g_autoptr(roll_t) greedy = compose_piece(compose, &piece);
    piece.best_of = K;
    g_autoptr(roll_t) still = compose_piece(compose, &piece);
    g_assert_true(same_frames(greedy, still, FRAMES));
    piece.draw = TRUE;
    piece.best_of = 1;
    g_autoptr(roll_t) first = compose_piece(compose, &piece);
    g_assert_true(same_frames(greedy, first, FRAMES));
    g_assert_false(same_frames(greedy, roll, FRAMES));
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/compose/best-of", test_best_of);
    return g_test_run();
}
