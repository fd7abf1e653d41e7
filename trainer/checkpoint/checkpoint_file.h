/* checkpoint_file: a checkpoint's file while it is open. Private to this folder; everyone else uses
 * checkpoint.h. */
#pragma once

#include "preprocess/shard/h5.h"
#include "trainer/checkpoint/checkpoint.h"

/* Opens a checkpoint file, refusing other formats and versions. NULL with error set. The caller closes it. */
h5_file_t *checkpoint_file_open(const char *path, GError **error);
/* Opens a checkpoint file that has a group beside the state. NULL with error set: CHECKPOINT_ERROR_NONE where
 * there is no such group, "PATH: LACK: trainer OPTION PATH --data SHARDS"; else as checkpoint_file_open(). */
h5_file_t *checkpoint_file_open_group(const char *path, const char *group, const char *lack,
                                      const char *option, GError **error);
/* Whether the file is large enough for so many weights of `what`, a "model" or a "guide": sizes that lie
 * could otherwise ask for any amount of memory before a matrix is missed. FALSE with error set. */
gboolean checkpoint_file_holds(h5_file_t *file, const char *what, size_t elements, GError **error);
/* Creates a file with attributes, weights and optimizer state; the caller commits it. NULL with error set. */
h5_file_t *checkpoint_file_create(const char *path, const checkpoint_t *checkpoint, model_t *model,
                                  const optimizer_t *optimizer, GError **error);

/* Write the vectors of attributes, or a guide for a model of these sizes, into a file that has none. FALSE
 * with error set. */
gboolean checkpoint_put_attributes(h5_file_t *file, const attributes_t *attributes, GError **error);
gboolean checkpoint_put_guide(h5_file_t *file, const model_config_t *config, const checkpoint_guide_t *guide,
                              GError **error);
