/* option: owns the table of run options and the one place where their values are read and checked,
 * run_option_set(), whether they come from a default, a preset, a file or a flag. Refuses values out of range and
 * says what would do. */
#include "trainer/run/option.h"

#include <math.h>
#include <string.h>

#include "preprocess/common/typo.h"
#include "trainer/model/sizes.h"

static gboolean valid_splits(const char *text);
static gboolean valid_hidden(const char *text);
static gboolean valid_lags(const char *text);
static gboolean valid_profiles(const char *text);
static gboolean valid_transpose(const char *text);
static gboolean valid_checkpoint_every(const char *text);
static gboolean valid_span(const char *text);

#define SEMITONES_MAX 24
#define SPAN_WANTED   "a number of steps such as 500, a share of the run such as '60 %', or 0"

#define IN_HIDDEN   "its layers are --hidden"
#define ALL_AT_ONCE "it draws a window's cells at once"

/* A row of each type: name, group, member, default, argument, help, and the range of a number or the grammar
 * of a text; last, where it is not for all models, DENSE() or SEQUENCE(). */
#define ROW(row_name, row_group, row_type, member, ...)                                                      \
    {                                                                                                        \
        .name = row_name, .group = row_group, .type = row_type, .offset = offsetof(options_t, member),       \
        __VA_ARGS__                                                                                          \
    }
#define WORDS(row_fallback, row_argument, row_help, ...)                                                     \
    .fallback = row_fallback, .argument = row_argument, .help = row_help, ##__VA_ARGS__
#define NUMBER(row_fallback, row_argument, row_help, row_low, row_high, ...)                                 \
    WORDS(row_fallback, row_argument, row_help, .low = row_low, .high = row_high, ##__VA_ARGS__)
#define WORDED(row_fallback, row_argument, row_help, row_valid, row_wanted, ...)                             \
    WORDS(row_fallback, row_argument, row_help, .valid = row_valid, .wanted = row_wanted, ##__VA_ARGS__)
#define FLAG(name, group, member, row_help, ...)                                                             \
    ROW(name, group, OPTION_FLAG, member, .help = row_help, ##__VA_ARGS__)
#define TEXT(name, group, member, ...)    ROW(name, group, OPTION_TEXT, member, WORDS(__VA_ARGS__))
#define GRAMMAR(name, group, member, ...) ROW(name, group, OPTION_TEXT, member, WORDED(__VA_ARGS__))
#define CHOICE(name, group, member, ...)  ROW(name, group, OPTION_CHOICE, member, WORDS(__VA_ARGS__))
#define INT(name, group, member, ...)     ROW(name, group, OPTION_INT, member, NUMBER(__VA_ARGS__))
#define INT64(name, group, member, ...)   ROW(name, group, OPTION_INT64, member, NUMBER(__VA_ARGS__))
#define REAL(name, group, member, ...)    ROW(name, group, OPTION_REAL, member, NUMBER(__VA_ARGS__))
#define DENSE(row_instead)                .models = 1U << MODEL_DENSE, .instead = row_instead
#define SEQUENCE(row_instead)             .models = 1U << MODEL_SEQUENCE, .instead = row_instead

const option_t OPTION_TABLE[] = {
    TEXT("data", GROUP_RUN, data, NULL, "DIR", "folder of shards (required)"),
    INT64("data-memory", GROUP_RUN, data_memory, "0", "MIB",
          "data that a host holds in memory, the rest is read ahead of its use, 0: all", 0, 1 << 30),
    TEXT("output", GROUP_RUN, output, NULL, "RUN",
         "run folder: run.ini, metrics.jsonl, checkpoints (required to train)", .letter = 'o'),
    TEXT("config", GROUP_RUN, config, NULL, "FILE",
         "take options from a key file, such as another run's run.ini"),
    CHOICE("preset", GROUP_RUN, preset, NULL, "seed|chorales|folk|band", "start from a known set of options"),
    TEXT("resume", GROUP_RUN, resume, "no", "no|auto|FILE",
         "go on from RUN's newest checkpoint, if any, or from FILE"),
    FLAG("quiet", GROUP_RUN, quiet, "no progress on standard error", .letter = 'q'),
    FLAG("version", GROUP_RUN, version, "print the version and leave", .letter = 'V'),

    TEXT("evaluate", GROUP_EVALUATION, evaluate, NULL, "FILE", "score this checkpoint instead of training"),
    GRAMMAR("split", GROUP_EVALUATION, split, "test", "SPLIT,...",
            "songs that --evaluate scores: some of train, valid, test", valid_splits,
            "one or more of train, valid, test, with commas between"),
    INT("iwae", GROUP_EVALUATION, iwae, "0", "K", "dense: draws of the importance-weighted bound, 0: none", 0,
        100000),
    INT("particles", GROUP_EVALUATION, particles, "0", "K", "sequence: particles of the bound, 0: none", 0,
        10000),
    TEXT("attributes", GROUP_EVALUATION, attributes, NULL, "FILE",
         "add to this checkpoint what sampling with --more and --less needs, instead of training"),

    CHOICE("model", GROUP_MODEL, model, "dense", "dense|sequence",
           "windows at once, or pieces frame by frame"),
    INT("window", GROUP_MODEL, window, "100", "FRAMES", "frames a window", 1, 65536,
        DENSE("its batches are whole pieces, or --chunk FRAMES")),
    GRAMMAR("hidden", GROUP_MODEL, hidden, "256,128,64", "N,N,...", "encoder layers, mirrored in the decoder",
            valid_hidden, "1 to 8 layer sizes from 1 to 65536 with commas between",
            DENSE("its layers are --encoder, --state, --sketch, --nade and more")),
    INT("latent", GROUP_MODEL, latent, "16", "N", "latent units of a window or segment; sequence: 0 for none",
        0, 65536),
    CHOICE("loss", GROUP_MODEL, loss, "bce", "bce|mse",
           "reconstruction: binary cross-entropy or squared error, summed over cells",
           DENSE("its loss is the cross-entropy")),
    CHOICE("planes", GROUP_MODEL, planes, "sounding", "sounding|both",
           "what is learned: sounding notes, or onsets as well"),
    INT("segment", GROUP_MODEL, segment, "4", "FRAMES", "frames that share a latent", 1, 65536,
        SEQUENCE("a window has one latent")),
    INT("state", GROUP_MODEL, state, "256", "N", "units of the decoder's GRU", 1, 65536, SEQUENCE(IN_HIDDEN)),
    INT("encoder", GROUP_MODEL, encoder, "128", "N", "units of the encoder's GRU, a direction", 1, 65536,
        SEQUENCE(IN_HIDDEN)),
    INT("sketch", GROUP_MODEL, sketch, "64", "N", "features of a frame that come from its latent", 1, 65536,
        SEQUENCE(IN_HIDDEN)),
    INT("nade", GROUP_MODEL, nade, "64", "N", "units that see a frame's lower pitches", 1, 65536,
        SEQUENCE(ALL_AT_ONCE)),
    INT("tied", GROUP_MODEL, tied, "32", "N", "units that all pitches share", 1, 65536,
        SEQUENCE(ALL_AT_ONCE)),
    GRAMMAR("lags", GROUP_MODEL, lags, "1,2,4", "N,N,...",
            "how many frames ago were those that a note is drawn by", valid_lags,
            "1 to 12 rising numbers of frames from 1 to 1024 with commas between", SEQUENCE(ALL_AT_ONCE)),
    GRAMMAR("profiles", GROUP_MODEL, profiles, "0", "N,N,...",
            "frames before over which pitch classes are counted that a note is drawn by, 0: none",
            valid_profiles, "0, or 1 to 4 rising numbers of frames from 1 to 1024 with commas between",
            SEQUENCE(ALL_AT_ONCE)),
    INT("posterior-hidden", GROUP_MODEL, posterior_hidden, "256", "N", "units between encoder and latent", 1,
        65536, SEQUENCE(IN_HIDDEN)),
    INT("prior-hidden", GROUP_MODEL, prior_hidden, "128", "N", "units between state and prior", 1, 65536,
        SEQUENCE("its prior is normal, not learned")),
    INT("sketch-hidden", GROUP_MODEL, sketch_hidden, "256", "N", "units between latent and sketch", 1, 65536,
        SEQUENCE(IN_HIDDEN)),

    INT64("seed", GROUP_TRAINING, seed, "1", "N", "of every random number", 0, INFINITY),
    INT("batch", GROUP_TRAINING, batch, "64", "N", "windows, or pieces, a step over all ranks", 1, 1048576),
    INT("chunk", GROUP_TRAINING, chunk, "0", "FRAMES", "frames of a piece that are learned together, 0: all",
        0, 65536, SEQUENCE("its batches are windows of --window FRAMES")),
    INT("accumulate", GROUP_TRAINING, accumulate, "1", "N",
        "passes that a step's batch is split into, to save memory", 1, 1048576),
    INT("epochs", GROUP_TRAINING, epochs, "50", "N", "passes over the training songs", 1, 100000),
    INT64("max-steps", GROUP_TRAINING, max_steps, "0", "N", "stop after so many steps, 0: no limit", 0,
          INFINITY),
    REAL("max-minutes", GROUP_TRAINING, max_minutes, "0", "MINUTES", "stop after this time, 0: no limit", 0,
         100000),
    REAL("learning-rate", GROUP_TRAINING, learning_rate, "0.001", "RATE", "of Adam, at its peak", 0, 10),
    CHOICE("decay", GROUP_TRAINING, decay, "constant", "constant|cosine", "of the learning rate"),
    INT64("warmup-steps", GROUP_TRAINING, warmup_steps, "0", "N",
          "steps in which the learning rate rises to its peak", 0, INFINITY),
    REAL("final-rate", GROUP_TRAINING, final_rate, "0", "FRACTION",
         "of the peak, at the end of a cosine decay", 0, 1),
    REAL("adam-beta1", GROUP_TRAINING, adam_beta1, "0.9", "X", "decay of Adam's first moment", 0, 0.9999999),
    REAL("adam-beta2", GROUP_TRAINING, adam_beta2, "0.999", "X", "decay of Adam's second moment", 0,
         0.9999999),
    REAL("adam-epsilon", GROUP_TRAINING, adam_epsilon, "1e-08", "X", "added to the root of the second moment",
         1e-30, 1),
    REAL("weight-decay", GROUP_TRAINING, weight_decay, "0", "X", "decoupled (AdamW), of matrices only", 0,
         10),
    REAL("clip", GROUP_TRAINING, clip, "0", "NORM", "largest gradient norm, 0: none", 0, INFINITY),
    REAL("beta", GROUP_TRAINING, beta, "1", "WEIGHT", "of the KL divergence", 0, 100000),
    GRAMMAR("beta-steps", GROUP_TRAINING, beta_steps, "0", "N|'N %'",
            "steps, or share of all, in which --beta is reached in a line, 0: at once", valid_span,
            SPAN_WANTED),
    REAL("beta-start", GROUP_TRAINING, beta_start, "0", "WEIGHT", "where that line starts", 0, 100000),
    REAL("free-bits", GROUP_TRAINING, free_bits, "0", "NATS",
         "KL divergence of a window, or mean of a piece's segments, below which it is not pushed", 0, 100000),
    GRAMMAR("free-bits-steps", GROUP_TRAINING, free_bits_steps, "0", "N|'N %'",
            "steps, or share of all, in which --free-bits is reached, 0: at once", valid_span, SPAN_WANTED),
    REAL("free-bits-start", GROUP_TRAINING, free_bits_start, "0", "NATS", "where that line starts", 0,
         100000),
    REAL("auxiliary", GROUP_TRAINING, auxiliary, "0.5", "WEIGHT", "of the loss that keeps the latent useful",
         0, 100000, SEQUENCE(NULL)),
    REAL("dropout", GROUP_TRAINING, dropout, "0", "RATE",
         "share of hidden units (sequence: of the state that the head sees) silenced in training", 0, 0.99),
    REAL("input-dropout", GROUP_TRAINING, input_dropout, "0", "RATE",
         "share of frames that the decoder does not see", 0, 0.99, SEQUENCE("its decoder sees no frames")),
    REAL("lag-dropout", GROUP_TRAINING, lag_dropout, "0", "RATE",
         "share of segments in which the head does not see the frames at --lags", 0, 0.99, SEQUENCE(NULL)),
    REAL("average", GROUP_TRAINING, average, "0", "DECAY",
         "of an average of the weights that is evaluated and sampled, 0: none", 0, 0.9999999),
    GRAMMAR("transpose", GROUP_TRAINING, transpose, "0,0", "LOW,HIGH",
            "semitones, drawn for each window or piece", valid_transpose,
            "two whole numbers LOW,HIGH from -24 to 24, LOW not above HIGH"),
    CHOICE("offsets", GROUP_TRAINING, offsets, "random", "random|grid", "where windows start in their song",
           DENSE("its chunks start anywhere")),
    INT("early-stopping", GROUP_TRAINING, early_stopping, "0", "EPOCHS",
        "stop after so many without a better validation loss, 0: never", 0, 100000),
    INT("shuffle-kib", GROUP_TRAINING, shuffle_kib, "65536", "KIB",
        "data that are shuffled together: larger data are dealt to such groups anew each epoch", 1, 1 << 30),
    INT("bucket-kib", GROUP_TRAINING, bucket_kib, "4096", "KIB",
        "size of the pieces in which gradients are averaged", 1, 1048576),
    INT("threads", GROUP_TRAINING, threads, "0", "N", "BLAS threads a rank, 0: its share of the cores", 0,
        1024),

    GRAMMAR("checkpoint-every", GROUP_KEEPING, checkpoint_every, "0", "N|'N steps'|'N minutes'",
            "besides those at a better validation and at the end; a bare N counts steps, 0: none besides",
            valid_checkpoint_every,
            "a time between checkpoints such as '500 steps' (or just 500), '10 minutes' or 0"),
    INT("keep", GROUP_KEEPING, keep, "3", "N", "numbered checkpoints that stay", 1, 100000),
    INT("validate-every", GROUP_KEEPING, validate_every, "1", "EPOCHS", "epochs between validations", 1,
        100000),
    {.name = NULL},
};

const char *option_group_name(option_group_t group) {
    static const char *const names[GROUP_COUNT] = {"run", "evaluation", "model", "training", "keeping"};
    return names[group];
}

const option_t *run_option_find(const char *name) {
    for (const option_t *option = OPTION_TABLE; option->name; option++)
        if (g_str_equal(option->name, name)) return option;
    return NULL;
}

const char *run_option_nearest_name(const char *name, gboolean in_file) {
    const char *nearest = NULL;
    const size_t length = strlen(name);
    size_t least = (length + 1) / 3 + 1;
    for (const option_t *option = OPTION_TABLE; option->name; option++) {
        if (in_file && option->group < GROUP_MODEL) continue;
        const size_t distance =
            length >= 3 && g_str_has_prefix(option->name, name) ? 0 : typo_distance(name, option->name);
        if (distance < least) nearest = option->name;
        least = MIN(least, distance);
    }
    return nearest;
}

int run_option_choice_index(const option_t *option, const char *text) {
    g_auto(GStrv) values = g_strsplit(option->argument, "|", -1);
    for (int i = 0; values[i]; i++)
        if (g_str_equal(values[i], text)) return i;
    return -1;
}

static gboolean parse_integer(const char *text, gint64 low, gint64 high, gint64 *value) {
    return g_ascii_string_to_signed(text, 10, low, high, value, NULL);
}

/* Decimal and finite: no surrounding space, no rest. */
static gboolean parse_real(const char *text, double low, double high, double *value) {
    if (!*text || strspn(text, "+-.0123456789eE") != strlen(text)) return FALSE;
    char *end;
    *value = g_ascii_strtod(text, &end);
    return *end == '\0' && isfinite(*value) && *value >= low && *value <= high;
}

/* The shortest text that reads back to the same bits. */
static char *format_real(double value) {
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    for (int digits = 6; digits <= 17; digits++) {
        char format[8];
        g_snprintf(format, sizeof format, "%%.%dg", digits);
        if (g_ascii_strtod(g_ascii_formatd(text, sizeof text, format, value), NULL) == value) break;
    }
    return g_strdup(text);
}

char *option_range(const option_t *option, const char *between) {
    if (option->type != OPTION_INT && option->type != OPTION_INT64 && option->type != OPTION_REAL)
        return NULL;
    g_autofree char *low = format_real(option->low);
    if (isinf(option->high)) return g_strdup_printf("%s or more", low);
    g_autofree char *high = format_real(option->high);
    return g_strdup_printf("%s%s%s", low, between, high);
}

gboolean run_option_refuse(const option_t *option, const char *label, const char *text, GError **error) {
    g_autofree char *wanted = NULL;
    if (option->type == OPTION_CHOICE) {
        g_auto(GStrv) values = g_strsplit(option->argument, "|", -1);
        g_autofree char *list = g_strjoinv(", ", values);
        wanted = values[1] ? g_strdup_printf("one of %s", list) : g_strdup(list);
    } else if (option->type == OPTION_TEXT) {
        wanted = g_strdup(option->wanted ? option->wanted : "a name");
    } else {
        g_autofree char *low = format_real(option->low), *range = option_range(option, " to ");
        const gboolean open = isinf(option->high);
        wanted = g_strdup_printf("a %snumber%s %s", option->type == OPTION_REAL ? "" : "whole ",
                                 open ? " of at least" : " from", open ? low : range);
    }
    g_set_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE, "%s: '%s' is not %s", label, text, wanted);
    return FALSE;
}

gboolean run_option_set(options_t *options, const option_t *option, const char *text, const char *label,
                        GError **error) {
    char *member = (char *)options + option->offset;
    gint64 integer, most = isinf(option->high) ? G_MAXINT64 : (gint64)option->high;
    double real;
    switch (option->type) {
    case OPTION_FLAG: *(gboolean *)(void *)member = TRUE; return TRUE;
    case OPTION_INT:
        if (!parse_integer(text, (gint64)option->low, most, &integer)) break;
        *(int *)(void *)member = (int)integer;
        return TRUE;
    case OPTION_INT64:
        if (!parse_integer(text, (gint64)option->low, most, &integer)) break;
        *(int64_t *)(void *)member = integer;
        return TRUE;
    case OPTION_REAL:
        if (!parse_real(text, option->low, option->high, &real)) break;
        *(double *)(void *)member = real;
        return TRUE;
    case OPTION_CHOICE:
    case OPTION_TEXT:
        if (option->type == OPTION_CHOICE ? run_option_choice_index(option, text) < 0
                                          : !*text || (option->valid && !option->valid(text)))
            break;
        g_free(*(char **)(void *)member);
        *(char **)(void *)member = g_strdup(text);
        return TRUE;
    }
    return run_option_refuse(option, label, text, error);
}

char *run_option_get(const options_t *options, const option_t *option) {
    const char *member = (const char *)options + option->offset;
    switch (option->type) {
    case OPTION_INT: return g_strdup_printf("%d", *(const int *)(const void *)member);
    case OPTION_INT64: return g_strdup_printf("%" G_GINT64_FORMAT, *(const int64_t *)(const void *)member);
    case OPTION_REAL: return format_real(*(const double *)(const void *)member);
    case OPTION_FLAG: return g_strdup(*(const gboolean *)(const void *)member ? "true" : "false");
    case OPTION_CHOICE:
    case OPTION_TEXT: break;
    }
    return g_strdup(*(char *const *)(const void *)member);
}

gboolean option_parse_splits(const char *text, split_t splits[SPLIT_COUNT], size_t *n) {
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    *n = g_strv_length(parts);
    if (*n < 1 || *n > SPLIT_COUNT) return FALSE;
    for (size_t i = 0; i < *n; i++) {
        if (!split_from_name(g_strstrip(parts[i]), &splits[i])) return FALSE;
        for (size_t j = 0; j < i; j++)
            if (splits[j] == splits[i]) return FALSE;
    }
    return TRUE;
}

static gboolean valid_splits(const char *text) {
    split_t splits[SPLIT_COUNT];
    size_t n;
    return option_parse_splits(text, splits, &n);
}

static gboolean valid_hidden(const char *text) {
    size_t sizes[MODEL_MAX_HIDDEN], n;
    return sizes_parse_hidden(text, sizes, &n);
}

static gboolean valid_lags(const char *text) {
    size_t lags[MODEL_MAX_LAGS], n;
    return sizes_parse_lags(text, lags, &n);
}

static gboolean valid_profiles(const char *text) {
    size_t profiles[MODEL_MAX_PROFILES], n;
    return sizes_parse_profiles(text, profiles, &n);
}

gboolean option_parse_transpose(const char *text, int *low, int *high) {
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    gint64 from, to;
    if (g_strv_length(parts) != 2 ||
        !parse_integer(g_strstrip(parts[0]), -SEMITONES_MAX, SEMITONES_MAX, &from) ||
        !parse_integer(g_strstrip(parts[1]), from, SEMITONES_MAX, &to))
        return FALSE;
    *low = (int)from;
    *high = (int)to;
    return TRUE;
}

static gboolean valid_transpose(const char *text) {
    int low, high;
    return option_parse_transpose(text, &low, &high);
}

gboolean option_parse_checkpoint_every(const char *text, int64_t *steps, double *minutes) {
    g_auto(GStrv) words = g_strsplit(text, " ", 2);
    const char *unit = words[0] && words[1] ? g_strstrip(words[1]) : "steps";
    gint64 count = 0;
    *steps = 0;
    *minutes = 0;
    if (!words[0]) return FALSE;
    if (g_str_equal(unit, "minutes") || g_str_equal(unit, "minute"))
        return parse_real(words[0], 0, 1e6, minutes);
    if (!g_str_equal(unit, "steps") && !g_str_equal(unit, "step")) return FALSE;
    if (!parse_integer(words[0], 0, G_MAXINT64, &count)) return FALSE;
    *steps = count;
    return TRUE;
}

static gboolean valid_checkpoint_every(const char *text) {
    int64_t steps;
    double minutes;
    return option_parse_checkpoint_every(text, &steps, &minutes);
}

gboolean option_parse_span(const char *text, int64_t *steps, double *share) {
    gint64 count = 0;
    double percent = 0;
    *steps = 0;
    *share = 0;
    if (g_str_has_suffix(text, "%")) {
        g_autofree char *number = g_strchomp(g_strndup(text, strlen(text) - 1));
        if (!parse_real(number, 0, 100, &percent)) return FALSE;
        *share = percent / 100;
        return TRUE;
    }
    if (!parse_integer(text, 0, G_MAXINT64, &count)) return FALSE;
    *steps = count;
    return TRUE;
}

static gboolean valid_span(const char *text) {
    int64_t steps;
    double share;
    return option_parse_span(text, &steps, &share);
}
