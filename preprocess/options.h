/* options: preprocess's command line. */
#ifndef MPIANIST_PREPROCESS_OPTIONS_H
#define MPIANIST_PREPROCESS_OPTIONS_H

#include "preprocess/corpus/corpus.h"

typedef struct {
    corpus_options_t corpus;
    char *info;       /* --info DIR: print what is in there; else NULL */
    gboolean version; /* --version */
} preprocess_options_t;

#define PREPROCESS_OPTIONS_ERROR preprocess_options_error_quark()
GQuark preprocess_options_error_quark(void);

/* NULL with error set: bad usage. --help prints and exits 0. Owner: caller. */
preprocess_options_t *preprocess_options_parse(int argc, char *const *argv, GError **error);
void preprocess_options_free(preprocess_options_t *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(preprocess_options_t, preprocess_options_free)

#endif
