/* options: the options of a run, from the command line (--help shows defaults and ranges), run.ini and
 * presets, and the copy kept in checkpoints; option_table.c has one row each. Precedence: defaults < --preset
 * < --config file < flags. No MPI. */
#pragma once

#include "preprocess/common/option.h"
#include "preprocess/shard/shard.h"
#include "trainer/model/model.h"
#include "trainer/model/optimizer.h"

/* Options that are texts with a grammar: as given, and parsed. */
typedef struct {
    char *text; /* "test", "train,valid" */
    split_t splits[SPLIT_COUNT];
    size_t n;
} option_splits_t;
typedef struct {
    char *text; /* "0,0", "-5,6" */
    int low, high;
} option_semitones_t;
typedef struct {
    char *text; /* "500", "60 %", "10 minutes" */
    int64_t steps;
    double share, minutes; /* share of a run's steps; if either is above 0, steps is 0 */
} option_span_t;

typedef struct {
    char *text;         /* "12", "45 %" */
    double nats, share; /* of a segment; of what it costs; 0: not held by this */
} option_rate_t;

/* Of batch, chunk, epochs and validate_every: not chosen yet, budget_choose() will. */
#define OPTIONS_AUTO (-1)

/* What each option means, its values and its range are in its row of option_table.c, which --help prints. */
typedef struct {
    /* what to do (not in run.ini) */
    char *data, *output, *config, *preset, *resume, *evaluate, *attributes, *masks;
    option_splits_t split;
    int iwae, particles, rebuild;
    int64_t data_memory; /* MiB */
    int stall_seconds;
    gboolean check, quiet, version, help;

    /* model */
    char *model, *loss;
    model_config_t sizes; /* those of both kinds; options_model_config() has one model's */

    /* training */
    int64_t seed, max_steps, warmup_steps;
    int batch, chunk, accumulate, reproducible, epochs, early_stopping, shuffle_kib, bucket_kib, sync_every,
        threads;
    double max_minutes, learning_rate, final_rate, adam_beta1, adam_beta2, adam_epsilon, weight_decay, clip;
    double beta, beta_start, free_bits, free_bits_start, auxiliary;
    double dropout, input_dropout, lag_dropout, memory_dropout, context_dropout, average;
    option_span_t beta_steps, free_bits_steps;
    option_rate_t latent_rate;
    option_semitones_t transpose;
    char *decay, *offsets, *wire;

    /* keeping */
    option_span_t checkpoint_every;
    int keep, validate_every;
} options_t;

/* Parses the command line. NULL with error set: OPTION_ERROR_USAGE (exit 2) for an unknown or missing option
 * or a value out of range, from a flag or a file; OPTION_ERROR_FILE for a file that cannot be read. --help or
 * --version is printed to standard output (only if print is TRUE: rank 0), sets *help, and the options are
 * returned unchecked. With --resume, the run.ini of that run (in RUN, or beside the named checkpoint) counts
 * after the defaults and before --preset, so that a run resumes with its own options; where these, or flags,
 * then say `auto`, the numbers of the run stay. Owner: caller. Local
 * and the same on all ranks, but for reading files: agree afterwards. */
options_t *options_parse(int argc, char *const *argv, gboolean print, gboolean *help, GError **error);
void options_free(options_t *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(options_t, options_free)

/* All model, training and keeping options as key-file text, the content of run.ini. The text is the same in
 * every locale; numbers read back to the same bits. Owner: caller. */
char *options_to_text(const options_t *options);
/* The inverse, for the options stored in a checkpoint: defaults, then text; other options stay unset. source
 * names the text in errors. NULL with error set. Owner: caller. */
options_t *options_from_text(const char *text, const char *source, GError **error);
/* The kind of model that the options ask for, and its configuration on a grid. */
model_kind_t options_model_kind(const options_t *options);
model_config_t options_model_config(const options_t *options, const grid_t *grid);
/* The context of the model that the options ask for, in frames: model_context(). */
size_t options_context(const options_t *options);
/* The configuration of the optimizer that the options ask for. */
optimizer_config_t options_optimizer_config(const options_t *options);
/* Whether --latent-rate asks for anything. */
gboolean options_hold_rate(const options_t *options);
/* The number of steps that a span is, in a run of total_steps. */
int64_t options_span_steps(const option_span_t *span, int64_t total_steps);
