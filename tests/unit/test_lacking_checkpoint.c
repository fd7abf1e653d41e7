/* Checkpoints that lack something, or have something else in its place. */
#include "tests/helpers/lacking.h"

#include "tests/helpers/checkpoint_digest.h"
#include "tests/helpers/checkpoint_extras.h"

static char *make_one(void) {
    g_autofree char *folder = make_folder();
    char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    state_init(&state, &small, 1);
    write_state(path, &state);
    add_vectors(path);
    return path;
}

static char *make_guided(void) {
    g_autofree char *folder = make_folder();
    char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    g_auto(checkpoint_guide_t) guide = make_guide(&small_sequence, 1);
    state_init(&state, &small_sequence, 1);
    write_state(path, &state);
    add_guide(path, &guide);
    return path;
}

static void test_guide(void) {
    g_autofree char *path = make_guided();
    g_assert_cmpuint(lacking_attributes(path, "/guide", "", checkpoint_digest), ==, 4);
    g_assert_cmpuint(lacking_attributes(path, "/guide/weights", "crc32", checkpoint_digest), ==, 1);
    lacking_dataset(path, "/guide/weights", checkpoint_digest);
    remove_folder(g_path_get_dirname(path));
}

static void test_attributes(void) {
    static const char *const of_vectors[] = {"/vectors", "/vectors/density"};
    g_autofree char *path = make_one();
    g_assert_cmpuint(lacking_attributes(path, "/", "tool", checkpoint_digest), >, 30);
    for (size_t i = 0; i < G_N_ELEMENTS(of_vectors); i++)
        g_assert_cmpuint(lacking_attributes(path, of_vectors[i], "crc32", checkpoint_digest), >=, 2);
    g_assert_cmpuint(lacking_attributes(path, "/weights/mu.weight", "crc32", checkpoint_digest), ==, 1);
    remove_folder(g_path_get_dirname(path));
}

static void test_matrices(void) {
    static const char *const groups[] = {"/weights", "/adam/m", "/adam/v", "/average", "/momentum"};
    g_autofree char *path = make_one();
    for (size_t i = 0; i < G_N_ELEMENTS(groups); i++) {
        g_autofree char *name = g_strconcat(groups[i], "/decoder.1.bias", NULL);
        lacking_dataset(path, name, checkpoint_digest);
    }
    lacking_dataset(path, "/vectors/density", checkpoint_digest);
    remove_folder(g_path_get_dirname(path));
}

/* Writes the state's head as it is, and expects to be told which attribute makes no sense. */
static void assert_senseless(const char *path, state_t *state, const checkpoint_t *head,
                             const char *attribute) {
    g_autoptr(GError) error = NULL;
    g_autofree char *says =
        g_strdup_printf("%s: *the value of attribute '%s' makes no sense; *", path, attribute);
    g_auto(checkpoint_t) back = {0};
    g_assert_true(checkpoint_write(path, head, state->model, state->optimizer, NULL, &error));
    g_assert_false(checkpoint_read(path, &back, &error));
    if (!g_pattern_match_simple(says, error->message)) g_error("'%s' is not '%s'", error->message, says);
}

/* Heads that lie, under a checksum that is right. */
static void test_lies(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    state_init(&state, &small, 1);
#define LIE(member, value, name)                                                                             \
    do {                                                                                                     \
        checkpoint_t head = state.checkpoint;                                                                \
        head.member = value;                                                                                 \
        assert_senseless(path, &state, &head, name);                                                         \
    } while (0)
    LIE(tempo_bpm, 0, "tempo_bpm");
    LIE(tempo_bpm, -1, "tempo_bpm");
    LIE(tempo_bpm, NAN, "tempo_bpm");
    LIE(tempo_bpm, INFINITY, "tempo_bpm");
    LIE(meter.numerator, 0, "meter");
    LIE(meter.denominator, 0, "meter");
    LIE(grid.steps_per_beat, 0, "steps_per_beat");
    LIE(grid.steps_per_beat, 97, "steps_per_beat");
    LIE(grid.pitch_low, -1, "pitch_low");
    LIE(grid.pitch_low, 116, "pitch_low");
    LIE(grid.fold_octaves, 2, "fold_octaves");
    LIE(epoch, -1, "epoch");
    LIE(step, G_MININT64, "step");
    LIE(epoch_step, -1, "epoch_step");
    LIE(model.tracks, 3, "tracks");
    LIE(model.planes, 3, "planes");
    LIE(model.pitches, 129, "pitches");
    LIE(model.latent, SIZE_MAX, "latent");
    LIE(model.window, 0, "window");
    LIE(model.hidden[1], 0, "hidden");
#undef LIE
    checkpoint_t head = state.checkpoint;
    head.model = small_sequence;
    head.model.sequence.lags[0] = 5; /* above the next one */
    assert_senseless(path, &state, &head, "lags");
    remove_folder(folder);
}

/* Sizes that are in range, each, but together ask for more than the file holds: refused before anything is
 * allocated, whatever the memory. */
static void test_enormous(void) {
    static const struct {
        size_t window, hidden;
        const char *says;
    } lies[] = {
        {65536, 65536, "*: a model of its sizes has * weights, more than the file of * bytes holds; *"},
        {4, 4096, "*: a model of its sizes has * weights, more than the file of * bytes holds; *"},
        {4, 8, "*: cannot read /weights/encoder.0.weight: it is 104 x 7, wanted 104 x 8; *"}};
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    state_init(&state, &small, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(lies); i++) {
        g_autoptr(GError) error = NULL;
        checkpoint_t head = state.checkpoint;
        head.model.window = lies[i].window;
        head.model.hidden[0] = lies[i].hidden;
        g_assert_true(checkpoint_write(path, &head, state.model, state.optimizer, NULL, &error));
        g_assert_null(checkpoint_digest(path, &error));
        if (!g_pattern_match_simple(lies[i].says, error->message))
            g_error("'%s' is not '%s'", error->message, lies[i].says);
    }
    remove_folder(folder);
}

/* Weights whose own checksum says that they are others. */
static void test_checksum(void) {
    g_autofree char *path = make_one();
    const int64_t other = 12345;
    g_autoptr(GError) error = NULL;
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), space = H5Screate(H5S_SCALAR),
          matrix = H5Dopen2(file, "/adam/v/mu.weight", H5P_DEFAULT);
    g_assert_cmpint(H5Adelete(matrix, "crc32"), >=, 0);
    hid_t attribute = H5Acreate2(matrix, "crc32", H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    g_assert_cmpint(H5Awrite(attribute, H5T_NATIVE_INT64, &other), >=, 0);
    H5Aclose(attribute);
    H5Dclose(matrix);
    H5Sclose(space);
    g_assert_cmpint(H5Fclose(file), >=, 0);
    g_assert_null(checkpoint_digest(path, &error));
    g_assert_true(g_str_has_prefix(error->message, path) && strstr(error->message, "/adam/v/mu.weight"));
    remove_folder(g_path_get_dirname(path));
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* this file calls HDF5 before h5.h does */
    g_test_add_func("/lacking-checkpoint/attributes", test_attributes);
    g_test_add_func("/lacking-checkpoint/guide", test_guide);
    g_test_add_func("/lacking-checkpoint/matrices", test_matrices);
    g_test_add_func("/lacking-checkpoint/lies", test_lies);
    g_test_add_func("/lacking-checkpoint/enormous", test_enormous);
    g_test_add_func("/lacking-checkpoint/checksum", test_checksum);
    return g_test_run();
}
