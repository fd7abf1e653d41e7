/* make_poisoned FILE DATA RANK RANKS: puts NaN into a checkpoint's first layer, for a cell that sounds only
 * in those windows of its next step that RANK of RANKS gets: the loss of that rank alone is not finite. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/data/data.h"
#include "trainer/parallel/comm.h"
#include "trainer/run/options.h"

/* Byte and bit of a packed window that sound in one of windows [first, first + n) of `all` and in no other.
 * FALSE where there is none. */
static gboolean find_own_bit(const uint8_t *bits, size_t bytes, size_t all, size_t first, size_t n,
                             size_t *byte, unsigned *bit) {
    for (*byte = 0; *byte < bytes; (*byte)++) {
        unsigned own = 0, others = 0;
        for (size_t b = 0; b < all; b++)
            *(b >= first && b < first + n ? &own : &others) |= bits[b * bytes + *byte];
        for (*bit = 0; *bit < 8; (*bit)++)
            if ((own & ~others) >> *bit & 1U) return TRUE;
    }
    return FALSE;
}

static gboolean poison(const char *path, const char *folder, int rank, int ranks, GError **error) {
    g_auto(checkpoint_t) checkpoint = {0};
    if (!checkpoint_read(path, &checkpoint, error)) return FALSE;
    g_autoptr(options_t) options = options_from_text(checkpoint.options, path, error);
    g_autoptr(model_t) model = options ? model_new(&checkpoint.model, 1, 1, error) : NULL;
    g_autoptr(optimizer_t) optimizer =
        model ? optimizer_new(&(optimizer_config_t){0}, model_size(model)) : NULL;
    if (!model || !checkpoint_read_state(path, model, optimizer, error)) return FALSE;
    data_config_t config = {.window = checkpoint.model.window,
                            .planes = checkpoint.model.planes,
                            .seed = checkpoint.seed,
                            .random_offsets = g_str_equal(options->offsets, "random")};
    data_t *data = data_load(rolls_open(folder, error), &config, error);
    if (!data) return FALSE;

    int64_t batch = checkpoint.batch, begin = checkpoint.epoch_step * batch, part = 0;
    size_t n = (size_t)MIN(batch, data_windows(data, SPLIT_TRAIN) - begin),
           bytes = model_window_bytes(&checkpoint.model), byte = 0;
    size_t own = data_part((int64_t)n, rank, ranks, &part), stride = (checkpoint.model.pitches + 7) / 8,
           outputs = checkpoint.model.hidden[0];
    unsigned bit = 0;
    g_autofree uint8_t *bits = g_malloc(n * bytes);
    g_autofree uint32_t *valid = g_new(uint32_t, n);
    data_train_batch(data, checkpoint.epoch, begin, n, bits, valid);
    data_free(data);
    if (!find_own_bit(bits, bytes, n, (size_t)part, own, &byte, &bit)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "%s: no cell of the next step is rank %d's alone", path, rank);
        return FALSE;
    }
    size_t cell = byte / stride * checkpoint.model.pitches + byte % stride * 8 + bit, tables;
    real_t *row = model_params(model) + model_table(model, &tables)[0].offset + cell * outputs;
    for (size_t j = 0; j < outputs; j++) row[j] = NAN;
    return checkpoint_write(path, &checkpoint, model, optimizer, NULL, error);
}

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    gboolean done = comm_init(&argc, &argv, &error) && argc == 5 &&
                    poison(argv[1], argv[2], atoi(argv[3]), atoi(argv[4]), &error);
    if (!done) fprintf(stderr, "make_poisoned: %s\n", error ? error->message : "wants FILE DATA RANK RANKS");
    comm_finalize();
    return done ? 0 : 1;
}
