/* Checkpoints of both kinds of model, with and without an average of the weights or a momentum. */
#include "tests/helpers/checkpoint_states.h"

/* Two checkpoints of a state, with an average and a momentum and without. Returns their folder. */
static char *write_both(state_t *state, char **with, char **without) {
    char *folder = make_folder();
    *with = checkpoint_path(folder, 1);
    *without = checkpoint_path(folder, 2);
    state_init(state, &small, 1);
    write_state(*with, state);
    state->optimizer->averaged = 0; /* no step yet */
    state->optimizer->outer_steps = 0;
    write_state(*without, state);
    return folder;
}

/* What is evaluated and sampled: the average where there is one, else the weights; what goes on: both, in
 * whatever the new run keeps. */
static void test_average(void) {
    g_autofree char *with = NULL, *without = NULL;
    g_auto(state_t) state;
    g_autoptr(GError) error = NULL;
    char *folder = write_both(&state, &with, &without);
    const size_t n = model_size(state.model);
    g_autoptr(model_t) model = model_new(&small, 1, 0, &error);
    g_assert_true(checkpoint_read_weights(with, model, &error));
    g_assert_true(same_reals(model_params(model), state.optimizer->average, n));
    g_assert_false(same_reals(model_params(model), model_params(state.model), n));
    g_assert_true(checkpoint_read_weights(without, model, &error));
    g_assert_true(same_reals(model_params(model), model_params(state.model), n));
    g_autoptr(optimizer_t) plain = optimizer_new(&(optimizer_config_t){0}, n);
    g_autoptr(optimizer_t) averaging = optimizer_new(&(optimizer_config_t){.average = 0.5}, n);
    g_assert_true(checkpoint_read_state(with, model, plain, &error));
    g_assert_true(same_reals(model_params(model), model_params(state.model), n) && plain->averaged == 0);
    g_assert_true(checkpoint_read_state(with, model, averaging, &error));
    g_assert_cmpint(averaging->averaged, ==, 3);
    g_assert_true(checkpoint_read_state(without, model, averaging, &error));
    g_assert_cmpint(averaging->averaged, ==, 0);
    remove_folder(folder);
}

/* A run with a momentum goes on without one, and the other way round. */
static void test_momentum(void) {
    g_autofree char *with = NULL, *without = NULL;
    g_auto(state_t) state;
    g_autoptr(GError) error = NULL;
    char *folder = write_both(&state, &with, &without);
    const size_t n = model_size(state.model);
    g_autoptr(model_t) model = model_new(&small, 1, 0, &error);
    g_autoptr(optimizer_t) plain = optimizer_new(&(optimizer_config_t){0}, n),
                           outer = optimizer_new(&(optimizer_config_t){.outer = TRUE}, n);
    g_assert_true(checkpoint_read_state(with, model, plain, &error) && plain->outer_steps == 0);
    g_assert_true(checkpoint_read_state(with, model, outer, &error) && outer->outer_steps == 2);
    g_assert_true(same_reals(outer->momentum, state.optimizer->momentum, n));
    g_assert_true(checkpoint_read_state(without, model, outer, &error) && outer->outer_steps == 0);
    remove_folder(folder);
}

static const model_config_t sequence = {
    .kind = MODEL_SEQUENCE,
    .tracks = 2,
    .planes = 2,
    .pitches = 13,
    .latent = 6,
    .loss = LOSS_BCE,
    .sequence = {.segment = 8,
                 .state = 10,
                 .encoder = 11,
                 .sketch = 12,
                 .nade = 13,
                 .tied = 14,
                 .posterior_hidden = 15,
                 .prior_hidden = 16,
                 .sketch_hidden = 17,
                 .lags = {1, 3, 18, 19},
                 .n_lags = 4,
                 .profiles = {5, 40},
                 .n_profiles = 2,
                 .memory = 18,
                 .note = 19,
                 .tied_first = 1,
                 .tied_pitches = 11,
                 .bar = 24,
                 .bar_lags = {1, 4},
                 .n_bar_lags = 2},
};

/* Sizes of the sequence model there and back; its order of tracks from the roles. */
static void test_sequence_head(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    state_init(&state, &sequence, 1);
    for (size_t latent = 0; latent < 7; latent += 6) {
        g_auto(checkpoint_t) checkpoint = {0};
        g_autoptr(GError) error = NULL;
        state.checkpoint.model.latent = latent;
        write_state(path, &state);
        g_assert_true(checkpoint_read(path, &checkpoint, &error));
        const sequence_sizes_t *s = &checkpoint.model.sequence;
        g_assert_true(checkpoint.model.kind == MODEL_SEQUENCE && checkpoint.model.latent == latent &&
                      checkpoint.model.planes == 2 && checkpoint.model.n_hidden == 0);
        g_assert_true(s->segment == 8 && s->state == 10 && s->encoder == 11 && s->sketch == 12 &&
                      s->nade == 13 && s->tied == 14);
        g_assert_true(s->posterior_hidden == 15 && s->prior_hidden == 16 && s->sketch_hidden == 17);
        g_assert_true(s->n_lags == 4 && s->lags[0] == 1 && s->lags[1] == 3 && s->lags[2] == 18 &&
                      s->lags[3] == 19);
        g_assert_true(s->n_profiles == 2 && s->profiles[0] == 5 && s->profiles[1] == 40);
        g_assert_true(s->memory == 18 && s->note == 19 && s->tied_first == 1 && s->tied_pitches == 11);
        g_assert_true(s->bar == 24 && s->n_bar_lags == 2 && s->bar_lags[0] == 1 && s->bar_lags[1] == 4);
        g_assert_true(s->order[0] == 1 && s->order[1] == 0); /* melody, bass: the bass first */
    }
    state.checkpoint.model.sequence.tied = 0;
    write_state(path, &state);
    g_auto(checkpoint_t) wrong = {0};
    g_autoptr(GError) refusal = NULL;
    g_assert_false(checkpoint_read(path, &wrong, &refusal));
    g_assert_error(refusal, CHECKPOINT_ERROR, CHECKPOINT_ERROR_FORMAT);
    g_assert_nonnull(strstr(refusal->message, "'tied'"));
    remove_folder(folder);
}

/* Weights, moments and average of the sequence model there and back to the bit; what differs in shape is
 * named with its option. */
static void test_sequence(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    g_autoptr(GError) error = NULL;
    model_config_t config = sequence;
    config.sequence.order[0] = 1;
    state_init(&state, &config, 3);
    write_state(path, &state);
    g_auto(checkpoint_t) checkpoint = {0};
    g_assert_true(checkpoint_read(path, &checkpoint, &error));
    g_assert_cmpint(memcmp(&checkpoint.model.sequence, &config.sequence, sizeof config.sequence), ==, 0);
    const size_t n = model_size(state.model);
    g_autoptr(model_t) model = model_new(&checkpoint.model, 1, 1, &error);
    g_assert_no_error(error);
    g_autoptr(optimizer_t) optimizer = optimizer_new(&(optimizer_config_t){.average = 0.9}, n);
    g_assert_true(checkpoint_read_state(path, model, optimizer, &error));
    g_assert_true(same_reals(model_params(model), model_params(state.model), n) &&
                  same_reals(optimizer->m, state.optimizer->m, n));
    g_assert_true(same_reals(optimizer->v, state.optimizer->v, n) &&
                  same_reals(optimizer->average, state.optimizer->average, n));
    g_assert_true(checkpoint_read_weights(path, model, &error));
    g_assert_true(same_reals(model_params(model), state.optimizer->average, n));
    const struct {
        size_t offset;
        const char *name;
        int there;
    } sizes[] = {
        {offsetof(sequence_sizes_t, segment), "segment", 8},
        {offsetof(sequence_sizes_t, state), "state", 10},
        {offsetof(sequence_sizes_t, encoder), "encoder", 11},
        {offsetof(sequence_sizes_t, sketch), "sketch", 12},
        {offsetof(sequence_sizes_t, nade), "nade", 13},
        {offsetof(sequence_sizes_t, tied), "tied", 14},
        {offsetof(sequence_sizes_t, posterior_hidden), "posterior-hidden", 15},
        {offsetof(sequence_sizes_t, prior_hidden), "prior-hidden", 16},
        {offsetof(sequence_sizes_t, sketch_hidden), "sketch-hidden", 17},
        {offsetof(sequence_sizes_t, memory), "memory", 18},
        {offsetof(sequence_sizes_t, note), "note", 19},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GError) refusal = NULL;
        model_config_t other = config;
        *(size_t *)(void *)((char *)&other.sequence + sizes[i].offset) = 5;
        g_autoptr(model_t) unlike = model_new(&other, 1, 1, &refusal);
        g_assert_no_error(refusal);
        g_autofree char *wanted =
            g_strdup_printf("%s: checkpoint has %s %d, the run asks for 5; use --%s %d or another --output",
                            path, sizes[i].name, sizes[i].there, sizes[i].name, sizes[i].there);
        g_assert_false(checkpoint_read_weights(path, unlike, &refusal));
        g_assert_error(refusal, CHECKPOINT_ERROR, CHECKPOINT_ERROR_SHAPE);
        g_assert_cmpstr(refusal->message, ==, wanted);
    }
    config.sequence.lags[0] = 2;
    g_autoptr(model_t) later = model_new(&config, 1, 1, &error);
    g_assert_false(checkpoint_read_weights(path, later, &error));
    g_assert_nonnull(strstr(error->message, "checkpoint has lags 1,3,18,19, the run asks for 2,3,18,19; use "
                                            "--lags 1,3,18,19 or another --output"));
    g_clear_error(&error);
    config.sequence.lags[0] = 1;
    config.sequence.n_profiles = 0;
    g_autoptr(model_t) without = model_new(&config, 1, 1, &error);
    g_assert_false(checkpoint_read_weights(path, without, &error));
    g_assert_nonnull(
        strstr(error->message,
               "checkpoint has profiles 5,40, the run asks for 0; use --profiles 5,40 or another --output"));
    g_clear_error(&error);
    g_autoptr(model_t) dense = model_new(&small, 1, 0, &error);
    g_assert_false(checkpoint_read_weights(path, dense, &error));
    g_assert_nonnull(strstr(
        error->message,
        "checkpoint has model sequence, the run asks for dense; use --model sequence or another --output"));
    remove_folder(folder);
}

/* A sequence model of tests/helpers/make_checkpoint.c, written by an older version. */
static void check_older(const char *name) {
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "golden", name, NULL);
    g_auto(checkpoint_t) checkpoint = {0};
    g_autoptr(GError) error = NULL;
    g_assert_true(checkpoint_read(path, &checkpoint, &error));
    const sequence_sizes_t *s = &checkpoint.model.sequence;
    g_assert_true(s->n_lags == 3 && s->lags[0] == 1 && s->lags[1] == 2 && s->lags[2] == 4 &&
                  s->n_profiles == 0 && s->memory == 0 && s->note == 0 && s->tied_pitches == 0 &&
                  s->bar == 0 && s->n_bar_lags == 0);
    g_autoptr(model_t) model = model_new(&checkpoint.model, 1, 1, &error);
    g_assert_true(checkpoint_read_weights(path, model, &error));
    g_assert_no_error(error);
}

/* Version 2 had no lags, version 3 no profiles, version 4 no momentum, version 5 no memory. */
static void test_older_versions(void) {
    check_older("checkpoint-v2.h5");
    check_older("checkpoint-v3.h5");
    check_older("checkpoint-v4.h5");
    check_older("checkpoint-v5.h5");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/checkpoint-kinds/average", test_average);
    g_test_add_func("/checkpoint-kinds/momentum", test_momentum);
    g_test_add_func("/checkpoint-kinds/sequence-head", test_sequence_head);
    g_test_add_func("/checkpoint-kinds/sequence", test_sequence);
    g_test_add_func("/checkpoint-kinds/older-versions", test_older_versions);
    return g_test_run();
}
