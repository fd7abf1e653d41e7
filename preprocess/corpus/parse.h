/* parse: files through the workers into a spool. */
#ifndef MPIANIST_PREPROCESS_CORPUS_PARSE_H
#define MPIANIST_PREPROCESS_CORPUS_PARSE_H

#include "preprocess/common/owner.h"
#include "preprocess/corpus/corpus.h"
#include "preprocess/corpus/rows.h"

/* Parses every file of a part whose row has no record yet, and adds it to the spool under
 * parsed_cache_key(file, layout), as long as owner is the owner. FALSE with error set. */
gboolean parse_files(const corpus_options_t *options, const found_list_t *files, row_t *rows, guint16 part,
                     const char *layout, parsed_cache_t *spool, owner_t *owner, GError **error);

#endif
