/* checkpoint_state FILE: where a checkpoint stands, and SHA-256 of its weights and optimizer state: what
 * tests compare instead of files, which also hold times. */
#include <stdio.h>

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/model/guide.h"

static void print_hash(const char *name, const real_t *values, size_t n) {
    g_autofree char *hash =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)values, n * sizeof *values);
    printf("%s %s\n", name, hash);
}

int main(int argc, char **argv) {
    GError *error = NULL;
    g_auto(checkpoint_t) checkpoint = {0};
    if (argc != 2 || !checkpoint_read(argv[1], &checkpoint, &error)) {
        fprintf(stderr, "checkpoint_state: %s\n", error ? error->message : "wants a FILE");
        return 1;
    }
    g_autoptr(model_t) model = model_new(&checkpoint.model, 1, 1, &error);
    g_autoptr(optimizer_t) optimizer =
        model ? optimizer_new(&(optimizer_config_t){.average = 0.5, .outer = TRUE}, model_size(model)) : NULL;
    if (!model || !checkpoint_read_state(argv[1], model, optimizer, &error)) {
        fprintf(stderr, "checkpoint_state: %s\n", error->message);
        return 1;
    }
    printf("epoch %" G_GINT64_FORMAT " step %" G_GINT64_FORMAT " in epoch %" G_GINT64_FORMAT
           " windows %.0f\n",
           checkpoint.epoch, checkpoint.step, checkpoint.epoch_step, checkpoint.so_far.windows);
    printf("sums %a %a %a %a %a\n", checkpoint.so_far.nll, checkpoint.so_far.kl, checkpoint.so_far.frames,
           checkpoint.so_far.segments, checkpoint.so_far.auxiliary);
    printf("multiplier %a\n", checkpoint.multiplier);
    print_hash("weights", model_params(model), model_size(model));
    print_hash("m", optimizer->m, optimizer->n);
    print_hash("v", optimizer->v, optimizer->n);
    printf("averaged %" G_GINT64_FORMAT "\n", optimizer->averaged);
    print_hash("average", optimizer->average, optimizer->n);
    printf("outer steps %" G_GINT64_FORMAT "\n", optimizer->outer_steps);
    print_hash("momentum", optimizer->momentum, optimizer->n);
    g_auto(attributes_t) attributes = {0};
    if (checkpoint_read_attributes(argv[1], &attributes, NULL))
        print_hash("attributes", attributes.vectors, attributes.n * attributes.Z);
    g_auto(checkpoint_guide_t) guide = {0};
    if (checkpoint_read_guide(argv[1], &guide, NULL))
        print_hash("guide", guide.weights,
                   guide_groups(&checkpoint.model) * guide_columns(&checkpoint.model));
    return 0;
}
