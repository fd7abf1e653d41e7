/* options: preprocess's command line. The table of its options is in options.c. */
#pragma once

#include "preprocess/corpus/corpus.h"

typedef struct {
    corpus_options_t corpus;
    char *info;       /* --info DIR: print what is in there; else NULL */
    gboolean version; /* --version: the rest is not read then */
    char *tracks;     /* as given; corpus.layout.grid has them */
    int memory_mib;   /* as given; corpus.limits has the bytes */
} preprocess_options_t;

/* Parses the command line. NULL with error set on bad usage. --help prints and exits 0. Owner: caller. */
preprocess_options_t *preprocess_options_parse(int argc, char *const *argv, GError **error);
void preprocess_options_free(preprocess_options_t *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(preprocess_options_t, preprocess_options_free)
