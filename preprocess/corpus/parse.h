/* parse: files through the workers into a cache. */
#pragma once

#include "preprocess/common/owner.h"
#include "preprocess/corpus/corpus.h"
#include "preprocess/corpus/rows.h"

/* Parses every file of a part (from 0) whose row has no record yet, and adds it to the cache and to its row.
 * FALSE with error set, also once owner is the owner no more. */
gboolean parse_files(const corpus_options_t *options, rows_t *rows, int part, parsed_cache_t *cache,
                     owner_t *owner, GError **error);
