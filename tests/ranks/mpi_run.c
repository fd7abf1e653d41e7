/* mpi_run DIR: under mpirun on 2 ranks or more: run_check_weights() refuses weights that differ between ranks
 * or are not finite; good ones are written. */
#include <glib/gstdio.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "trainer/parallel/comm.h"
#include "trainer/run/run.h"

static gboolean try_write(const char *run, checkpoint_t *checkpoint, model_t *model, optimizer_t *optimizer,
                          const char *wanted) {
    g_autoptr(GError) error = NULL;
    gboolean written = run_check_weights(run, checkpoint, model, &error) &&
                       run_write_checkpoint(run, checkpoint, model, optimizer, 2, FALSE, &error);
    g_autofree char *path = checkpoint_path(run, checkpoint->step);
    gboolean exists = g_file_test(path, G_FILE_TEST_EXISTS);
    if (wanted ? !written && error && strstr(error->message, wanted) && !exists : written && exists)
        return TRUE;
    fprintf(stderr, "rank %d: wanted %s, got %s\n", comm_rank(), wanted ? wanted : "a checkpoint",
            error ? error->message : "no error");
    return FALSE;
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
        g_autoptr(model_t) model = model_new(&config, 1, 0, &error);
        g_autoptr(optimizer_t) optimizer =
            optimizer_new(&(optimizer_config_t){.learning_rate = 1}, model_size(model));
        checkpoint_t checkpoint = {.model = config,
                                   .grid = grid_default(),
                                   .options = (char *)"",
                                   .meter = {0, 4, 4},
                                   .tempo_bpm = 120,
                                   .batch = 1};
        checkpoint.grid.pitches = 8;
        real_t *first = model_params(model), good;
        gboolean last = comm_rank() == comm_size() - 1;
        model_init(model, 1);
        good = *first;
        checkpoint.step = 1;
        if (last) *first = nextafterf(good, 1);
        passed &= try_write(argv[1], &checkpoint, model, optimizer, "step 1: the ranks' weights differ");
        checkpoint.step = 2;
        if (last) *first = NAN;
        passed &= try_write(argv[1], &checkpoint, model, optimizer, "step 2: the weights are not finite");
        checkpoint.step = 3;
        *first = good;
        passed &= try_write(argv[1], &checkpoint, model, optimizer, NULL);
        passed = !comm_any(!passed);
    }
    comm_finalize();
    return passed ? 0 : 1;
}
