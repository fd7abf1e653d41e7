/* Checkpoints: the same bits back, every damage noticed. */
#include <errno.h>
#include <glib/gstdio.h>
#include <hdf5.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trainer/checkpoint/checkpoint.h"

#include "preprocess/common/file.h"

static const model_config_t small = {.kind = MODEL_DENSE,
                                     .window = 4,
                                     .tracks = 2,
                                     .planes = 1,
                                     .pitches = 13,
                                     .hidden = {7, 5},
                                     .n_hidden = 2,
                                     .latent = 3,
                                     .loss = LOSS_BCE};

typedef struct {
    checkpoint_t checkpoint;
    model_t *model;
    optimizer_t *optimizer;
} state_t;

/* A state with no two values alike. */
static void state_init(state_t *state, const model_config_t *config, uint64_t seed) {
    g_autoptr(GError) error = NULL;
    state->checkpoint = (checkpoint_t){
        .model = *config,
        .grid = {.steps_per_beat = 12,
                 .pitch_low = 36,
                 .pitches = 13,
                 .fold_octaves = TRUE,
                 .n_tracks = 2,
                 .roles = {ROLE_MELODY, ROLE_BASS}},
        .options = g_strdup("[model]\nlatent=3\n"),
        .tempo_bpm = 101.3,
        .meter = {.numerator = 6, .denominator = 8},
        .seed = seed,
        .epoch = 3,
        .step = 77,
        .epoch_step = 5,
        .batch = 64,
        .so_far =
            {.windows = 320, .frames = 5120, .segments = 1280, .nll = 1.0 / 3, .kl = 0.1, .auxiliary = 0.7},
        .best = INFINITY,
        .best_epoch = 2,
        .seconds = 12.5,
    };
    memset(state->checkpoint.corpus_id, 'c', 64);
    state->model = model_new(config, 2, 0, &error);
    g_assert_no_error(error);
    model_init(state->model, seed);
    state->optimizer = optimizer_new(
        &(optimizer_config_t){
            .learning_rate = 0.001, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .average = 0.9},
        model_size(state->model));
    for (int step = 0; step < 3; step++) {
        size_t n;
        const param_t *table = model_table(state->model, &n);
        for (size_t i = 0; i < n;
             i++) { /* no two matrices begin alike: test_flipped_weights() finds them by their bytes */
            const rng_t rng = rng_make(seed, RNG_INIT, 1 + i, (uint64_t)step);
            rng_normal(&rng, model_gradient(state->model) + table[i].offset, table[i].rows * table[i].cols);
        }
        optimizer_step(state->optimizer, state->model, 0.001);
    }
}

static void state_clear(state_t *state) {
    checkpoint_clear(&state->checkpoint);
    model_free(state->model);
    optimizer_free(state->optimizer);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(state_t, state_clear)

static char *make_folder(void) {
    g_autoptr(GError) error = NULL;
    char *folder = g_dir_make_tmp("mpianist-checkpoint-XXXXXX", &error);
    g_assert_no_error(error);
    return folder;
}

static void remove_folder(char *path) {
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    for (const char *name; (name = g_dir_read_name(folder));) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        g_unlink(file);
    }
    g_rmdir(path);
    g_free(path);
}

static void write_state(const char *path, state_t *state) {
    g_autoptr(GError) error = NULL;
    checkpoint_write(path, &state->checkpoint, state->model, state->optimizer, &error);
    g_assert_no_error(error);
}

static gboolean same_reals(const real_t *a, const real_t *b, size_t n) {
    return memcmp(a, b, n * sizeof *a) == 0;
}

/* Everything read from path equals state, to the bit. */
static gboolean equals(const char *path, const state_t *state, GError **error) {
    g_auto(checkpoint_t) checkpoint = {0};
    if (!checkpoint_read(path, &checkpoint, error)) return FALSE;
    g_autoptr(model_t) model = model_new(&checkpoint.model, 1, 0, error);
    if (!model) return FALSE;
    g_autoptr(optimizer_t) optimizer =
        optimizer_new(&(optimizer_config_t){.average = 0.9}, model_size(model));
    if (!checkpoint_read_state(path, model, optimizer, error)) return FALSE;
    const checkpoint_t *there = &state->checkpoint;
    const size_t n = model_size(state->model);
    g_assert_cmpuint(model_size(model), ==, n);
    g_assert_true(same_reals(model_params(model), model_params(state->model), n));
    g_assert_true(same_reals(optimizer->m, state->optimizer->m, n));
    g_assert_true(same_reals(optimizer->v, state->optimizer->v, n));
    g_assert_true(same_reals(optimizer->average, state->optimizer->average, n));
    g_assert_true(optimizer->step == state->optimizer->step &&
                  optimizer->averaged == state->optimizer->averaged);
    g_assert_cmpstr(checkpoint.options, ==, there->options);
    g_assert_cmpstr(checkpoint.corpus_id, ==, there->corpus_id);
    g_assert_true(checkpoint.model.kind == there->model.kind && checkpoint.model.loss == there->model.loss &&
                  checkpoint.model.latent == there->model.latent);
    g_assert_true(checkpoint.model.window == there->model.window &&
                  checkpoint.model.tracks == there->model.tracks);
    g_assert_true(checkpoint.model.planes == there->model.planes &&
                  checkpoint.model.pitches == there->model.pitches);
    g_assert_true(checkpoint.model.n_hidden == there->model.n_hidden &&
                  checkpoint.model.hidden[0] == there->model.hidden[0]);
    g_assert_true(checkpoint.grid.steps_per_beat == there->grid.steps_per_beat &&
                  checkpoint.grid.pitch_low == there->grid.pitch_low);
    g_assert_true(checkpoint.grid.pitches == there->grid.pitches &&
                  checkpoint.grid.fold_octaves == there->grid.fold_octaves);
    g_assert_true(checkpoint.grid.sustain_pedal == there->grid.sustain_pedal &&
                  checkpoint.grid.n_tracks == there->grid.n_tracks);
    g_assert_true(checkpoint.grid.roles[0] == there->grid.roles[0] &&
                  checkpoint.grid.roles[1] == there->grid.roles[1]);
    g_assert_true(checkpoint.meter.numerator == there->meter.numerator &&
                  checkpoint.meter.denominator == there->meter.denominator);
    g_assert_true(checkpoint.tempo_bpm == there->tempo_bpm && checkpoint.best == there->best &&
                  checkpoint.seconds == there->seconds);
    g_assert_cmpint(memcmp(&checkpoint.so_far, &there->so_far, sizeof checkpoint.so_far), ==, 0);
    g_assert_true(checkpoint.seed == there->seed);
    g_assert_cmpint(checkpoint.epoch, ==, there->epoch);
    g_assert_cmpint(checkpoint.step, ==, there->step);
    g_assert_cmpint(checkpoint.epoch_step, ==, there->epoch_step);
    g_assert_cmpint(checkpoint.batch, ==, there->batch);
    g_assert_cmpint(checkpoint.best_epoch, ==, there->best_epoch);
    return TRUE;
}

static void test_round_trip(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 77), *again = checkpoint_path(folder, 78);
    g_auto(state_t) state;
    g_autoptr(GError) error = NULL;
    g_autofree char *bytes = NULL, *same = NULL;
    size_t n, n_same;
    state_init(&state, &small, UINT64_MAX - 5);
    write_state(path, &state);
    g_assert_true(g_str_has_suffix(path, "/checkpoint-00000077.h5"));
    g_assert_true(equals(path, &state, &error));
    g_assert_no_error(error);
    /* No clock, no chance: the same state gives the same bytes. */
    g_usleep(1100000);
    write_state(again, &state);
    g_assert_true(g_file_get_contents(path, &bytes, &n, NULL) &&
                  g_file_get_contents(again, &same, &n_same, NULL));
    g_assert_true(n == n_same && memcmp(bytes, same, n) == 0);
    g_autofree char *hash = checkpoint_hash(path, &error);
    g_autofree char *whole = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (guchar *)bytes, n);
    g_assert_cmpint((int)strlen(hash), ==, 16);
    g_assert_true(g_str_has_prefix(whole, hash));
    g_assert_null(checkpoint_hash("/nonexistent/x.h5", &error));
    g_assert_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ);
    remove_folder(folder);
}

/* The names and shapes that docs/formats.md promises to other programs. */
static void test_layout(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    hsize_t size[2];
    state_init(&state, &small, 1);
    write_state(path, &state);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    size_t n;
    const param_t *table = model_table(state.model, &n);
    for (size_t i = 0; i < n; i++) {
        const char *const groups[] = {"/weights", "/adam/m", "/adam/v", "/average"};
        for (size_t j = 0; j < G_N_ELEMENTS(groups); j++) {
            g_autofree char *name = g_strdup_printf("%s/%s", groups[j], table[i].name);
            hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(dataset);
            g_assert_cmpint(H5Sget_simple_extent_dims(space, size, NULL), ==, 2);
            g_assert_true(size[0] == table[i].rows && size[1] == table[i].cols);
            H5Sclose(space);
            H5Dclose(dataset);
        }
    }
    g_assert_cmpint(H5Lexists(file, "/weights/encoder.0.weight", H5P_DEFAULT), >, 0);
    H5Fclose(file);
    remove_folder(folder);
}

/* tests/golden/checkpoint-v1.h5: written by version 1 from state_init(small, 4). sin() and cos() of other
 * libraries may round otherwise. */
static void test_version_1(void) {
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "golden", "checkpoint-v1.h5", NULL);
    g_auto(state_t) state;
    g_auto(checkpoint_t) checkpoint = {0};
    g_autoptr(GError) error = NULL;
    state_init(&state, &small, 4);
    g_assert_true(checkpoint_read(path, &checkpoint, &error));
    g_assert_true(checkpoint.model.kind == MODEL_DENSE && checkpoint.model.window == 4 &&
                  checkpoint.model.hidden[1] == 5 && checkpoint.model.latent == 3);
    g_assert_true(checkpoint.step == 77 && checkpoint.so_far.nll == 1.0 / 3 &&
                  checkpoint.so_far.windows == 320 && checkpoint.so_far.frames == 0);
    const size_t n = model_size(state.model);
    g_autoptr(model_t) model = model_new(&checkpoint.model, 1, 0, &error);
    g_autoptr(optimizer_t) optimizer = optimizer_new(&(optimizer_config_t){.average = 0.9}, n);
    g_assert_true(checkpoint_read_state(path, model, optimizer, &error));
    g_assert_true(optimizer->step == 3 && optimizer->averaged == 0);
    for (size_t i = 0; i < n; i++) {
        g_assert_cmpfloat_with_epsilon(model_params(model)[i], model_params(state.model)[i], 1e-6F);
        g_assert_cmpfloat_with_epsilon(optimizer->m[i], state.optimizer->m[i], 1e-6F);
    }
    g_assert_true(checkpoint_read_weights(path, model, &error));
    g_assert_cmpfloat_with_epsilon(model_params(model)[0], model_params(state.model)[0], 1e-6F);
}

/* The file cut at any length is refused. */
static void test_truncated(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    state_init(&state, &small, 1);
    write_state(path, &state);
    struct stat status;
    g_assert_cmpint(stat(path, &status), ==, 0);
    for (off_t length = status.st_size - 1; length >= 0; length -= 1 + length / 60) {
        g_autoptr(GError) error = NULL;
        g_assert_cmpint(truncate(path, length), ==, 0);
        g_assert_false(equals(path, &state, &error));
        g_assert_nonnull(error);
        g_assert_true(g_str_has_prefix(error->message, path));
    }
    remove_folder(folder);
}

/* A byte changed anywhere is refused, or lies where it changes nothing that is read. */
static void test_flipped(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_autofree char *bytes = NULL;
    g_auto(state_t) state;
    size_t n, refused = 0, tried = 0;
    state_init(&state, &small, 1);
    write_state(path, &state);
    g_assert_true(g_file_get_contents(path, &bytes, &n, NULL));
    for (size_t i = 0; i < n; i += 1 + n / 500, tried++) {
        g_autoptr(GError) error = NULL;
        bytes[i] = (char)(bytes[i] ^ 0x11);
        FILE *file = fopen(path, "wb");
        g_assert_cmpuint(fwrite(bytes, 1, n, file), ==, n);
        fclose(file);
        bytes[i] = (char)(bytes[i] ^ 0x11);
        refused += !equals(path, &state, &error);
    }
    g_test_message("%zu of %zu flipped bytes refused, %zu bytes a file", refused, tried, n);
    g_assert_cmpuint(refused, >, tried / 4);
    remove_folder(folder);
}

/* Every weight and moment is under a checksum: its bytes are searched for in the file and changed one at a
 * time. */
static void test_flipped_weights(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_autofree char *bytes = NULL;
    g_auto(state_t) state;
    size_t n, n_table;
    state_init(&state, &small, 1);
    write_state(path, &state);
    g_assert_true(g_file_get_contents(path, &bytes, &n, NULL));
    const param_t *table = model_table(state.model, &n_table);
    const real_t *const blocks[] = {model_params(state.model), state.optimizer->m, state.optimizer->v,
                                    state.optimizer->average};
    for (size_t b = 0; b < G_N_ELEMENTS(blocks); b++)
        for (size_t i = 0; i < n_table; i++) {
            g_autoptr(GError) error = NULL;
            char *found =
                memmem(bytes, n, blocks[b] + table[i].offset, sizeof(real_t) * table[i].rows * table[i].cols);
            g_assert_nonnull(found);
            *found = (char)(*found ^ 1);
            g_assert_true(g_file_set_contents(path, bytes, (gssize)n, NULL));
            *found = (char)(*found ^ 1);
            g_assert_false(equals(path, &state, &error));
            g_assert_nonnull(strstr(error->message, table[i].name));
        }
    remove_folder(folder);
}

/* Replaces a root attribute, as another program would. */
static void set_attribute(const char *path, const char *name, hid_t type, const void *value) {
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), space = H5Screate(H5S_SCALAR);
    g_assert_cmpint(H5Adelete(file, name), >=, 0);
    hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    g_assert_cmpint(H5Awrite(attribute, type, value), >=, 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Fclose(file);
}

static void assert_refused(const char *path, int code, const char *words) {
    g_autoptr(GError) error = NULL;
    g_auto(checkpoint_t) checkpoint = {0};
    g_assert_false(checkpoint_read(path, &checkpoint, &error));
    g_assert_error(error, CHECKPOINT_ERROR, code);
    g_assert_nonnull(strstr(error->message, words));
    g_assert_true(g_str_has_prefix(error->message, path));
}

static void test_foreign(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    const int64_t later = CHECKPOINT_VERSION + 1, none = 0, latent = 4;
    const char *shard = "mpianist-shard";
    state_init(&state, &small, 1);
    write_state(path, &state);
    set_attribute(path, "version", H5T_NATIVE_INT64, &later);
    assert_refused(path, CHECKPOINT_ERROR_FORMAT, "use a later mpianist");
    set_attribute(path, "version", H5T_NATIVE_INT64, &none);
    assert_refused(path, CHECKPOINT_ERROR_FORMAT, "version 0");
    write_state(path, &state);
    set_attribute(path, "latent", H5T_NATIVE_INT64, &latent);
    assert_refused(path, CHECKPOINT_ERROR_READ, "checksum");
    write_state(path, &state);
    hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, strlen(shard));
    set_attribute(path, "format", text, shard);
    H5Tclose(text);
    assert_refused(path, CHECKPOINT_ERROR_FORMAT, "mpianist-shard");
    /* Right checksum, values that cannot be. */
    state.checkpoint.grid.pitch_low = 127;
    write_state(path, &state);
    assert_refused(path, CHECKPOINT_ERROR_FORMAT, "'pitch_low'");
    state.checkpoint.grid.pitch_low = 36;
    state.checkpoint.tempo_bpm = NAN;
    write_state(path, &state);
    assert_refused(path, CHECKPOINT_ERROR_FORMAT, "'tempo_bpm'");
    remove_folder(folder);
}

static void test_unreadable(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    g_autoptr(GError) error = NULL;
    state_init(&state, &small, 1);
    g_assert_false(equals(path, &state, &error));
    g_assert_nonnull(strstr(error->message, g_strerror(ENOENT)));
    g_clear_error(&error);
    g_assert_true(g_file_set_contents(path, "MThd", -1, NULL));
    g_assert_false(equals(path, &state, &error));
    g_assert_nonnull(strstr(error->message, "HDF5"));
    g_clear_error(&error);
    g_assert_false(equals(folder, &state, &error));
    g_assert_nonnull(error);
    remove_folder(folder);
}

static void test_shape(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    state_init(&state, &small, 1);
    write_state(path, &state);
    model_config_t other[] = {small, small, small, small, small, small, small};
    other[0].latent = 32;
    other[1].window = 5;
    other[2].hidden[1] = 6;
    other[3].planes = 2;
    other[4].tracks = 1;
    other[5].pitches = 12;
    other[6].loss = LOSS_MSE;
    const char *const wanted[] = {
        "checkpoint has latent 3, the run asks for 32; use --latent 3 or another --output",
        "checkpoint has window 4, the run asks for 5; use --window 4 or another --output",
        "checkpoint has hidden 7,5, the run asks for 7,6; use --hidden 7,5 or another --output",
        "checkpoint has planes sounding, the run asks for both; use --planes sounding or another --output",
        "checkpoint has tracks 2, the run asks for 1; preprocess the songs alike or another --output",
        "checkpoint has pitches 13, the run asks for 12; preprocess the songs alike or another --output",
        "checkpoint has loss bce, the run asks for mse; use --loss bce or another --output",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(other); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(model_t) model = model_new(&other[i], 1, 0, &error);
        g_assert_no_error(error);
        g_assert_false(checkpoint_read_weights(path, model, &error));
        g_assert_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_SHAPE);
        g_assert_cmpstr(error->message + strlen(path) + 2, ==, wanted[i]);
    }
    remove_folder(folder);
}

/* A full disk, or what the kernel tells us like one: named, the old file whole, nothing left over. */
static void test_disk_full(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_autofree char *temporary = file_temporary(path);
    g_auto(state_t) state, changed;
    g_autoptr(GError) error = NULL;
    struct rlimit old, low;
    state_init(&state, &small, 1);
    state_init(&changed, &small, 2);
    write_state(path, &state);
    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &old), ==, 0);
    low = (struct rlimit){.rlim_cur = 2000, .rlim_max = old.rlim_max};
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &low), ==, 0);
    gboolean written = checkpoint_write(path, &changed.checkpoint, changed.model, changed.optimizer, &error);
    setrlimit(RLIMIT_FSIZE, &old);
    g_assert_false(written);
    g_assert_true(g_str_has_prefix(error->message, path));
    g_assert_nonnull(strstr(error->message, g_strerror(EFBIG)));
    g_assert_false(g_file_test(temporary, G_FILE_TEST_EXISTS));
    g_clear_error(&error);
    g_assert_true(equals(path, &state, &error));
    g_assert_false(checkpoint_write("/nonexistent/checkpoint-00000001.h5", &state.checkpoint, state.model,
                                    state.optimizer, &error));
    g_assert_nonnull(strstr(error->message, g_strerror(ENOENT)));
    remove_folder(folder);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/checkpoint/round-trip", test_round_trip);
    g_test_add_func("/checkpoint/layout", test_layout);
    g_test_add_func("/checkpoint/version-1", test_version_1);
    g_test_add_func("/checkpoint/truncated", test_truncated);
    g_test_add_func("/checkpoint/flipped", test_flipped);
    g_test_add_func("/checkpoint/flipped-weights", test_flipped_weights);
    g_test_add_func("/checkpoint/foreign", test_foreign);
    g_test_add_func("/checkpoint/unreadable", test_unreadable);
    g_test_add_func("/checkpoint/shape", test_shape);
    g_test_add_func("/checkpoint/disk-full", test_disk_full);
    return g_test_run();
}
