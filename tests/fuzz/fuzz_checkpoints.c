/* fuzz_checkpoints: an input whose first byte is even is a checkpoint: refused, or one of those that it was
 * made from, to the bit. Else it is the head of a checkpoint that is written as it is, so that all checksums
 * are right: refused, or the same head. */
#include "tests/fuzz/fuzz.h"
#include "tests/helpers/checkpoint_digest.h"
#include "tests/helpers/checkpoint_states.h"

static char *path, *known[2];
static state_t state;

int LLVMFuzzerInitialize(G_GNUC_UNUSED int *argc, G_GNUC_UNUSED char ***argv) {
    g_autoptr(GError) error = NULL;
    g_autofree char *old = fuzz_golden("checkpoint-v1.h5");
    g_autofree char *folder = make_folder();
    path = checkpoint_path(folder, 1);
    state_init(&state, &small, 1);
    write_state(path, &state);
    known[0] = checkpoint_digest(path, &error);
    known[1] = checkpoint_digest(old, &error);
    g_assert_no_error(error);
    fuzz_seed_file("new", path);
    fuzz_seed_file("old", old);
    for (uint8_t what = 0; what < 8; what++)
        for (uint8_t which = 0; which < 18; which++) {
            g_autofree char *name = g_strdup_printf("lie-%d-%d", what, which);
            fuzz_seed(name, (uint8_t[]){1, what, which, 0, 3}, 5);
        }
    return 0;
}

/* Changes members of the head, and of the optimizer's counts. */
static void lie(fuzz_input_t *input, checkpoint_t *head) {
    sequence_sizes_t *sequence = &head->model.sequence;
    size_t *const sizes[] = {&head->model.window,   &head->model.tracks,         &head->model.planes,
                             &head->model.pitches,  &head->model.latent,         &head->model.hidden[0],
                             &head->model.n_hidden, &sequence->segment,          &sequence->state,
                             &sequence->encoder,    &sequence->sketch,           &sequence->nade,
                             &sequence->tied,       &sequence->posterior_hidden, &sequence->prior_hidden,
                             &sequence->lags[0],    &sequence->lags[1],          &sequence->profiles[0]};
    int *const small_ones[] = {&head->grid.steps_per_beat, &head->grid.pitch_low, &head->grid.fold_octaves,
                               &head->grid.sustain_pedal};
    int64_t *const counts[] = {&head->epoch, &head->step,       &head->epoch_step,
                               &head->batch, &head->best_epoch, (int64_t *)&head->seed};
    double *const reals[] = {&head->tempo_bpm,  &head->best,          &head->seconds,
                             &head->so_far.nll, &head->so_far.frames, &head->so_far.segments,
                             &head->so_far.kl};
    for (int changes = 0; input->size > 0 && changes < 16; changes++) {
        const uint8_t what = fuzz_take_byte(input), which = fuzz_take_byte(input);
        const int64_t number = fuzz_take_number(input);
        switch (what % 8) {
        case 0: *sizes[which % G_N_ELEMENTS(sizes)] = (size_t)number; break;
        case 1: *small_ones[which % G_N_ELEMENTS(small_ones)] = (int)number; break;
        case 2: *counts[which % G_N_ELEMENTS(counts)] = number; break;
        case 3: *reals[which % G_N_ELEMENTS(reals)] = fuzz_take_real(input); break;
        case 4: head->model.kind = which % 2 ? MODEL_SEQUENCE : MODEL_DENSE; break;
        case 5: head->meter = (meter_t){0, which, (uint8_t)number}; break;
        case 6: head->grid.roles[which % 2] = (role_t)((uint64_t)number % ROLE_COUNT); break;
        default: sequence->n_lags = which % 3; sequence->n_profiles = which % 2;
        }
    }
    head->model.n_hidden %= MODEL_MAX_HIDDEN + 1; /* the writer goes by it */
}

static void assert_head(const checkpoint_t *written) {
    g_auto(checkpoint_t) head = {0};
    g_autoptr(GError) error = NULL;
    g_assert_true(checkpoint_read(path, &head, &error) == (error == NULL));
    if (error) return;
    g_assert_true(sizes_check(&head.model, &error) && head.grid.pitch_low + head.grid.pitches <= 128);
    g_assert_true(head.tempo_bpm > 0 && isfinite(head.tempo_bpm) && head.meter.numerator > 0 &&
                  head.meter.denominator > 0);
    g_assert_true(head.step >= 0 && head.epoch >= 0 && head.epoch_step >= 0);
    g_assert_true(head.step == written->step && head.seed == written->seed && head.batch == written->batch);
    g_assert_true(head.grid.steps_per_beat >= 1 && head.grid.steps_per_beat <= 96);
    g_autoptr(model_t) model = model_new(&head.model, 1, 1, NULL);
    if (model) checkpoint_read_weights(path, model, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    if (data[0] % 2) {
        fuzz_input_t input = {data + 1, size - 1};
        checkpoint_t head = state.checkpoint;
        lie(&input, &head);
        unlink(path);
        if (checkpoint_write(path, &head, state.model, state.optimizer, NULL, NULL)) assert_head(&head);
        return 0;
    }
    g_autoptr(GError) error = NULL;
    fuzz_write(path, data + 1, size - 1);
    g_autofree char *digest = checkpoint_digest(path, &error);
    g_assert_true((digest == NULL) == (error != NULL));
    if (digest) g_assert_true(strcmp(digest, known[0]) == 0 || strcmp(digest, known[1]) == 0);
    return 0;
}
