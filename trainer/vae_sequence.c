/* vae_sequence: owns the layers of the sequence model and the order in which they run. */
#include "trainer/vae_sequence.h"

static gboolean check(const model_config_t *config, size_t max_B, size_t max_frames, GError **error) {
    (void)config, (void)max_B, (void)max_frames;
    g_set_error(error, MODEL_ERROR, MODEL_ERROR_SIZE, "model: this version cannot train the sequence model yet");
    return FALSE;
}

const model_kind_ops_t vae_sequence_kind = {.name = "sequence", .check = check};
