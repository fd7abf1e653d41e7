/* mpi_run DIR: under mpirun on 2 ranks or more: a keeper refuses weights that differ between ranks or are not
 * finite, writes good ones, and holds the best in memory until it is written. */
#include <glib/gstdio.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "trainer/parallel/comm.h"
#include "trainer/run/keeper.h"

/* Whether the checkpoint of a step stands in the folder. */
static gboolean stands(const char *run, int64_t step) {
    g_autofree char *path = checkpoint_path(run, step);
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* A step was done; saves. wanted: of the error, NULL for none. */
static gboolean try_save(const char *run, keeper_t *keeper, run_state_t *state, int64_t step,
                         const char *wanted) {
    g_autoptr(GError) error = NULL;
    state->checkpoint.step = step;
    keeper_step(keeper, FALSE);
    const gboolean saved = keeper_finish(keeper, &error), exists = stands(run, step);
    if (wanted ? !saved && error && strstr(error->message, wanted) && !exists : saved && exists) return TRUE;
    fprintf(stderr, "rank %d: wanted %s, got %s\n", comm_rank(), wanted ? wanted : "a checkpoint",
            error ? error->message : "no error");
    return FALSE;
}

/* The best of two epochs waits in memory, and is written with the weights that it had. */
static gboolean try_best(const char *run, keeper_t *keeper, run_state_t *state, model_t *read) {
    real_t *first = model_params(state->model), good = *first;
    GError *error = NULL;
    state->checkpoint.step = 4;
    keeper_step(keeper, FALSE);
    const gboolean waits = keeper_epoch(keeper, TRUE, &error) && !stands(run, 4);
    gboolean passed = !comm_any(!waits); /* and all have looked */
    *first = NAN;
    state->checkpoint.step = 5;
    keeper_step(keeper, FALSE);
    passed &= keeper_finish_best(keeper, &error) && !stands(run, 5);
    g_autofree char *newest = keeper_newest(keeper), *wanted = checkpoint_path(run, 4);
    passed &= g_strcmp0(newest, wanted) == 0 && checkpoint_read_weights(wanted, read, &error) &&
              model_params(read)[0] == good;
    if (!passed)
        fprintf(stderr, "rank %d: the best state: %s\n", comm_rank(), error ? error->message : "no error");
    g_clear_error(&error);
    return passed;
}

int main(int argc, char **argv) {
    GError *error = NULL;
    gboolean passed = comm_init(&argc, &argv, &error) && argc == 2;
    if (passed) {
        if (comm_rank() == 0) g_mkdir(argv[1], 0777);
        model_config_t config = {.kind = MODEL_DENSE,
                                 .window = 4,
                                 .tracks = 1,
                                 .planes = 1,
                                 .pitches = 8,
                                 .hidden = {4},
                                 .n_hidden = 1,
                                 .latent = 2};
        g_autoptr(model_t) model = model_new(&config, 1, 0, &error), read = model_new(&config, 1, 0, &error);
        g_autoptr(optimizer_t) optimizer =
            optimizer_new(&(optimizer_config_t){.learning_rate = 1}, model_size(model));
        g_autoptr(options_t) options = options_from_text("", "defaults", &error);
        options->output = g_strdup(argv[1]);
        run_state_t state = {{.model = config,
                              .grid = grid_default(),
                              .options = (char *)"",
                              .meter = {0, 4, 4},
                              .tempo_bpm = 120,
                              .batch = 1},
                             model,
                             optimizer,
                             TRUE};
        state.checkpoint.grid.pitches = 8;
        keeper_t keeper;
        passed &= keeper_init(&keeper, options, NULL, &state, NULL, NULL, &error);
        real_t *first = model_params(model), good;
        gboolean last = comm_rank() == comm_size() - 1;
        model_init(model, 1);
        good = *first;
        g_autofree char *differs =
            comm_size() == 2
                ? g_strdup_printf("ranks 0, 1 (on %s) are unlike each other, and which is right", comm_host())
                : g_strdup_printf("rank %d (on %s) is not like the others", comm_size() - 1, comm_host());
        if (last) *first = nextafterf(good, 1);
        passed &= try_save(argv[1], &keeper, &state, 1, differs);
        if (last) *first = NAN;
        passed &= try_save(argv[1], &keeper, &state, 2, "step 2: the weights are not finite");
        *first = good;
        passed &= try_save(argv[1], &keeper, &state, 3, NULL);
        passed &= try_best(argv[1], &keeper, &state, read);
        passed = !comm_any(!passed);
        keeper_clear(&keeper);
    }
    comm_finalize();
    return passed ? 0 : 1;
}
