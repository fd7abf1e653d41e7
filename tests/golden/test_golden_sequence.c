/* The sequence model against PyTorch in float64: the parts of the loss, every gradient, and the weights after
 * three steps of Adam and AdamW with clipping (tests/golden/golden.h). */
#include "tests/golden/golden.h"
#include "tests/helpers/sequences.h"
#include "trainer/model/layers.h"

typedef struct {
    sequences_t *sequences;
    uint64_t seed;
    double density;
} own_t;

static batch_t draw_batch(void *own, JsonObject *c, uint64_t step) {
    own_t *o = own;
    const sequences_chances_t chances = {o->density, golden_number(c, "keep_input"),
                                         golden_number(c, "keep_past"), golden_number(c, "keep_state"),
                                         golden_number(c, "keep_memory")};
    sequences_draw(o->sequences, &chances, o->seed, step);
    return o->sequences->batch;
}

/* Returns how many. */
static size_t read_frames(JsonObject *shape, const char *member, size_t *frames) {
    JsonArray *array = json_object_get_array_member(shape, member);
    for (guint i = 0; i < json_array_get_length(array); i++)
        frames[i] = (size_t)json_array_get_int_element(array, i);
    return json_array_get_length(array);
}

static void read_sizes(model_config_t *config, JsonObject *shape) {
    sequence_sizes_t *sizes = &config->sequence;
    const struct {
        const char *member;
        size_t *size;
    } table[] = {{"tracks", &config->tracks},
                 {"planes", &config->planes},
                 {"pitches", &config->pitches},
                 {"latent", &config->latent},
                 {"segment", &sizes->segment},
                 {"state", &sizes->state},
                 {"encoder", &sizes->encoder},
                 {"sketch", &sizes->sketch},
                 {"nade", &sizes->nade},
                 {"tied", &sizes->tied},
                 {"drums", &sizes->drums},
                 {"memory", &sizes->memory},
                 {"note", &sizes->note},
                 {"performance", &sizes->performance},
                 {"tied_first", &sizes->tied_first},
                 {"tied_pitches", &sizes->tied_pitches},
                 {"posterior_hidden", &sizes->posterior_hidden},
                 {"prior_hidden", &sizes->prior_hidden},
                 {"sketch_hidden", &sizes->sketch_hidden},
                 {"bar", &sizes->bar}};
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) *table[i].size = golden_count(shape, table[i].member);
    sizes->n_bar_lags = read_frames(shape, "bar_lags", sizes->bar_lags);
    sizes->n_lags = read_frames(shape, "lags", sizes->lags);
    sizes->n_profiles = read_frames(shape, "profiles", sizes->profiles);
    JsonArray *order = json_object_get_array_member(shape, "order");
    for (guint i = 0; i < json_array_get_length(order); i++)
        sizes->order[i] = (uint8_t)json_array_get_int_element(order, i);
}

static void set_up(golden_t *golden, JsonObject *shape) {
    own_t *o = golden->own;
    JsonArray *lengths = json_object_get_array_member(shape, "valid");
    golden->config = (model_config_t){.kind = MODEL_SEQUENCE, .loss = LOSS_BCE};
    read_sizes(&golden->config, shape);
    golden->max_B = json_array_get_length(lengths);
    g_autofree uint32_t *valid = g_new(uint32_t, golden->max_B);
    for (guint b = 0; b < golden->max_B; b++) valid[b] = (uint32_t)json_array_get_int_element(lengths, b);
    o->sequences = sequences_new(&golden->config, valid, golden->max_B, golden_count(shape, "frames"));
    o->seed = golden->seed;
    o->density = golden_number(shape, "density");
    golden->max_frames = sequences_frames(o->sequences);
    golden->scale = 1.0 / (double)golden->max_frames;
    golden->log_odds = g_new(double, model_cells(&golden->config));
    for (size_t d = 0; d < model_cells(&golden->config); d++)
        golden->log_odds[d] = -2 + 0.25 * (double)(3 * d % 8);
    golden->draw = draw_batch;
}

static void check_file(const char *file, guint cases_wanted) {
    own_t own = {0};
    golden_check_file(file, cases_wanted, set_up, &own);
    sequences_free(own.sequences);
}

static void test_small(void) { check_file("sequence.json", 1); }
static void test_tracks(void) { check_file("sequence_tracks.json", 2); }
static void test_no_latent(void) { check_file("sequence_no_latent.json", 1); }
static void test_bar(void) { check_file("sequence_bar.json", 1); }
static void test_memory(void) { check_file("sequence_memory.json", 1); }
static void test_memory_tracks(void) { check_file("sequence_memory_tracks.json", 1); }
static void test_performance(void) { check_file("sequence_performance.json", 1); }
static void test_real(void) { check_file("sequence_real.json", 1); }

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    layers_set_threads(1);
    g_test_add_func("/golden-sequence/small", test_small);
    g_test_add_func("/golden-sequence/tracks", test_tracks);
    g_test_add_func("/golden-sequence/no-latent", test_no_latent);
    g_test_add_func("/golden-sequence/bar", test_bar);
    g_test_add_func("/golden-sequence/memory", test_memory);
    g_test_add_func("/golden-sequence/memory-tracks", test_memory_tracks);
    g_test_add_func("/golden-sequence/performance", test_performance);
    g_test_add_func("/golden-sequence/real", test_real);
    return g_test_run();
}
