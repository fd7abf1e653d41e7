/* checkpoint_file: a checkpoint's file while it is open. Private to checkpoint.c and checkpoint_attributes.c;
 * everyone else uses checkpoint.h. */
#pragma once

#include "preprocess/shard/h5.h"
#include "trainer/checkpoint/checkpoint.h"

/* Opens a checkpoint file, refusing other formats and versions. NULL with error set. The caller closes it. */
h5_file_t *checkpoint_file_open(const char *path, GError **error);
/* Whether the file is large enough for the weights of a model of these sizes: sizes that lie could otherwise
 * ask for any amount of memory before a matrix is missed. FALSE with error set. */
gboolean checkpoint_file_holds(h5_file_t *file, const model_config_t *model, GError **error);
/* Creates a file with attributes, weights and optimizer state; the caller commits it. NULL with error set. */
h5_file_t *checkpoint_file_create(const char *path, const checkpoint_t *checkpoint, model_t *model,
                                  const optimizer_t *optimizer, GError **error);
