/* sizes: the sizes of a model that are lists, as text: of options and of checkpoints. */
#ifndef MPIANIST_TRAINER_MODEL_SIZES_H
#define MPIANIST_TRAINER_MODEL_SIZES_H

#include "trainer/model/model.h"

/* "256,128", "1,2,4" (rising), "0" or "16,128" (rising): n numbers, each at least 1. FALSE where text is no
 * such list; the array and *n may be changed then. */
gboolean sizes_parse_hidden(const char *text, size_t hidden[MODEL_MAX_HIDDEN], size_t *n);
gboolean sizes_parse_lags(const char *text, size_t lags[MODEL_MAX_LAGS], size_t *n);
gboolean sizes_parse_profiles(const char *text, size_t profiles[MODEL_MAX_PROFILES], size_t *n);

#endif
