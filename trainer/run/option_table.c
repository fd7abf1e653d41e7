/* option_table: owns the table of run options and the grammars of those that are texts. */
#include "trainer/run/option_table.h"

#include <math.h>
#include <string.h>

#include "trainer/model/rebuild.h"
#include "trainer/model/sizes.h"

#define SEMITONES_MAX 24

const char *const OPTION_GROUPS[] = {"run", "evaluation", "model", "training", "keeping"};

static gboolean read_splits(G_GNUC_UNUSED const option_t *option, const char *text, void *member) {
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    option_splits_t *list = member;
    list->n = g_strv_length(parts);
    if (list->n < 1 || list->n > SPLIT_COUNT) return FALSE;
    for (size_t i = 0; i < list->n; i++) {
        if (!split_from_name(g_strstrip(parts[i]), &list->splits[i])) return FALSE;
        for (size_t j = 0; j < i; j++)
            if (list->splits[j] == list->splits[i]) return FALSE;
    }
    return TRUE;
}

static gboolean read_transpose(G_GNUC_UNUSED const option_t *option, const char *text, void *member) {
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    option_semitones_t *range = member;
    gint64 low, high;
    if (g_strv_length(parts) != 2 ||
        !option_parse_integer(g_strstrip(parts[0]), -SEMITONES_MAX, SEMITONES_MAX, &low) ||
        !option_parse_integer(g_strstrip(parts[1]), low, SEMITONES_MAX, &high))
        return FALSE;
    range->low = (int)low;
    range->high = (int)high;
    return TRUE;
}

/* "500", "500 steps", "10 minutes". */
static gboolean read_checkpoint_every(G_GNUC_UNUSED const option_t *option, const char *text, void *member) {
    g_auto(GStrv) words = g_strsplit(text, " ", 2);
    const char *unit = words[0] && words[1] ? g_strstrip(words[1]) : "steps";
    option_span_t *span = member;
    span->minutes = 0;
    span->steps = 0;
    if (!words[0]) return FALSE;
    if (g_str_equal(unit, "minutes") || g_str_equal(unit, "minute"))
        return option_parse_real(words[0], 0, 1e6, &span->minutes);
    return (g_str_equal(unit, "steps") || g_str_equal(unit, "step")) &&
           option_parse_integer(words[0], 0, G_MAXINT64, &span->steps);
}

/* "500", "60 %". */
static gboolean read_span(G_GNUC_UNUSED const option_t *option, const char *text, void *member) {
    option_span_t *span = member;
    span->share = 0;
    span->steps = 0;
    if (!g_str_has_suffix(text, "%")) return option_parse_integer(text, 0, G_MAXINT64, &span->steps);
    g_autofree char *number = g_strchomp(g_strndup(text, strlen(text) - 1));
    if (!option_parse_real(number, 0, 100, &span->share)) return FALSE;
    span->share /= 100;
    return TRUE;
}

/* "12", "45 %". */
static gboolean read_rate(G_GNUC_UNUSED const option_t *option, const char *text, void *member) {
    option_rate_t *rate = member;
    rate->share = 0;
    rate->nats = 0;
    if (!g_str_has_suffix(text, "%")) return option_parse_real(text, 0, 1e5, &rate->nats);
    g_autofree char *number = g_strchomp(g_strndup(text, strlen(text) - 1));
    if (!option_parse_real(number, 1, 95, &rate->share)) return FALSE;
    rate->share /= 100;
    return TRUE;
}

/* "8", "auto". */
static gboolean read_auto(const option_t *option, const char *text, void *member) {
    gint64 number = OPTIONS_AUTO;
    if (!g_str_equal(text, "auto") &&
        !option_parse_integer(text, (gint64)option->low, (gint64)option->high, &number))
        return FALSE;
    *(int *)member = (int)number;
    return TRUE;
}

static char *write_auto(G_GNUC_UNUSED const option_t *option, const void *member) {
    const int number = *(const int *)member;
    return number == OPTIONS_AUTO ? g_strdup("auto") : g_strdup_printf("%d", number);
}

/* Finds the size of an option in a model_config_t that has those of both kinds, and sets config->kind to one
 * that has it. */
static const size_row_t *size_of(const option_t *option, model_config_t *config) {
    const size_row_t *size = MODEL_SIZES;
    while (!g_str_equal(size->name, option->name)) size++;
    config->kind = MODEL_SEQUENCE; /* this kind allows 0 for some sizes */
    if (!size_applies(size, config)) config->kind = MODEL_DENSE;
    return size;
}

static gboolean read_size(const option_t *option, const char *text, void *member) {
    model_config_t config = *(model_config_t *)member;
    if (!size_parse(size_of(option, &config), text, &config)) return FALSE;
    *(model_config_t *)member = config;
    return TRUE;
}

static char *write_size(const option_t *option, const void *member) {
    model_config_t config = *(const model_config_t *)member;
    return size_text(size_of(option, &config), &config);
}

#define SPAN_WANTED   "a number of steps such as 500, a share of the run such as '60 %', or 0"
#define IN_HIDDEN     "its layers are --hidden"
#define RISING_FRAMES " rising numbers of frames {from} with commas between"
#define ALL_AT_ONCE   "it draws a window's cells at once"

/* Macros for rows: name, group, member, default, argument, help, and the range of a number or the grammar of
 * a text; last, if not all models have the option, DENSE_ONLY() or SEQUENCE_ONLY(). */
#define ROW(row_name, row_group, row_type, member, row_fallback, row_argument, row_help, ...)                \
    {                                                                                                        \
        .name = row_name, .group = row_group, .type = row_type, .offset = offsetof(options_t, member),       \
        .fallback = row_fallback, .argument = row_argument, .help = row_help, ##__VA_ARGS__                  \
    }
#define DEFAULT     " (default {default})"
#define NOT(wanted) .refusal = "{label}: '{text}' is not " wanted
#define FLAG(name, group, member, help, ...)                                                                 \
    ROW(name, group, OPTION_FLAG, member, NULL, NULL, help, ##__VA_ARGS__)
#define TEXT(name, group, member, fallback, argument, help, ...)                                             \
    ROW(name, group, OPTION_TEXT, member, fallback, argument, help, NOT("a name"), ##__VA_ARGS__)
#define GRAMMAR(name, group, member, fallback, argument, help, row_read, wanted, ...)                        \
    ROW(name, group, OPTION_TEXT, member, fallback, argument, help DEFAULT, NOT(wanted), .read = row_read,   \
        ##__VA_ARGS__)
#define CHOICE(name, group, member, fallback, argument, help, ...)                                           \
    ROW(name, group, OPTION_CHOICE, member, fallback, argument, help DEFAULT, NOT("one of {choices}"),       \
        ##__VA_ARGS__)
#define NUMBER(name, group, type, member, what, fallback, argument, help, row_low, row_high, ...)            \
    ROW(name, group, type, member, fallback, argument, help " (default {default}, {range})",                 \
        NOT("a " what " {from}"), .low = row_low, .high = row_high, ##__VA_ARGS__)
#define INT(name, group, member, ...)   NUMBER(name, group, OPTION_INT, member, "whole number", __VA_ARGS__)
#define INT64(name, group, member, ...) NUMBER(name, group, OPTION_INT64, member, "whole number", __VA_ARGS__)
/* An int, or `auto`. */
#define AUTO(name, group, member, fallback, argument, help, row_low, row_high, ...)                          \
    ROW(name, group, OPTION_READ, member, fallback, argument "|auto",                                        \
        help " (default {default}, {range} or auto)", NOT("a whole number {from}, or auto"), .low = row_low, \
        .high = row_high, .read = read_auto, .write = write_auto, ##__VA_ARGS__)
#define REAL(name, group, member, ...) NUMBER(name, group, OPTION_REAL, member, "number", __VA_ARGS__)
/* A row for a size of a model: default, argument, help. Range and models come from MODEL_SIZES. */
#define SIZE_OF(name, refused, fallback, argument, help, ...)                                                \
    ROW(name, GROUP_MODEL, OPTION_READ, sizes, fallback, argument, help, NOT(refused), .read = read_size,    \
        .write = write_size, ##__VA_ARGS__)
#define SIZE(name, fallback, argument, help, row_instead)                                                    \
    SIZE_OF(name, "a whole number {from}", fallback, argument, help " (default {default}, {range})",         \
            .instead = row_instead)
#define SIZE_LIST(name, wanted, fallback, help, row_instead)                                                 \
    SIZE_OF(name, wanted, fallback, "N,N,...", help DEFAULT, .instead = row_instead)
#define DENSE_ONLY(row_instead)    .whom = 1U << MODEL_DENSE, .instead = row_instead
#define SEQUENCE_ONLY(row_instead) .whom = 1U << MODEL_SEQUENCE, .instead = row_instead

static option_t rows[] = {
    TEXT("data", GROUP_RUN, data, NULL, "DIR", "folder of shards (required)"),
    INT64("data-memory", GROUP_RUN, data_memory, "0", "MIB",
          "data that a host holds in memory, the rest is read ahead of its use, 0: all", 0, 1 << 30),
    TEXT("output", GROUP_RUN, output, NULL, "RUN",
         "run folder: run.ini, metrics.jsonl, checkpoints (required to train)", .letter = 'o'),
    TEXT("config", GROUP_RUN, config, NULL, "FILE",
         "take options from a key file, such as another run's run.ini"),
    ROW("preset", GROUP_RUN, OPTION_CHOICE, preset, NULL, "seed|chorales|folk|piano|band",
        "start from a known set of options", NOT("one of {choices}")),
    TEXT("resume", GROUP_RUN, resume, "no", "no|auto|FILE",
         "go on from RUN's newest checkpoint, if any, or from FILE" DEFAULT),
    INT("stall-seconds", GROUP_RUN, stall_seconds, "300", "SECONDS",
        "say which rank is waited for when no rank has got on for so long; after as long again, leave with "
        "status 75; 0: wait for ever",
        0, 1000000),
    FLAG("check", GROUP_RUN, check,
         "say what a run would find (hosts, cores, network, disk, memory, time) and leave"),
    FLAG("quiet", GROUP_RUN, quiet, "no progress on standard error", .letter = 'q'),
    FLAG("version", GROUP_RUN, version, "print the version and leave", .letter = 'V'),
    FLAG("help", GROUP_RUN, help, "print this and leave", .letter = 'h'),

    TEXT("evaluate", GROUP_EVALUATION, evaluate, NULL, "FILE", "score this checkpoint instead of training"),
    GRAMMAR("split", GROUP_EVALUATION, split, "test", "SPLIT,...",
            "songs that --evaluate scores: some of train, valid, test", read_splits,
            "one or more of train, valid, test, with commas between"),
    INT("iwae", GROUP_EVALUATION, iwae, "0", "K", "dense: draws of the importance-weighted bound, 0: none", 0,
        100000),
    INT("particles", GROUP_EVALUATION, particles, "0", "K", "sequence: particles of the bound, 0: none", 0,
        10000),
    INT("rebuild", GROUP_EVALUATION, rebuild, G_STRINGIFY(REBUILD_DRAWS), "K",
        "sequence: draws of each segment of pieces from their latents alone, of which the one is kept that "
        "tells its latent best, 1: the likelier of each cell",
        1, REBUILD_MOST),
    TEXT("attributes", GROUP_EVALUATION, attributes, NULL, "FILE",
         "add to this checkpoint what sampling with --more and --less needs, instead of training"),
    TEXT("masks", GROUP_EVALUATION, masks, NULL, "FILE",
         "sequence: add to this checkpoint a guide, by which sampling finds what fits known music with fewer "
         "particles, learned with parts of the songs masked, instead of training"),

    CHOICE("model", GROUP_MODEL, model, "dense", "dense|sequence",
           "windows at once, or pieces frame by frame"),
    SIZE("window", "100", "FRAMES", "frames a window", "its batches are whole pieces, or --chunk FRAMES"),
    SIZE_LIST("hidden", "1 to " G_STRINGIFY(MODEL_MAX_HIDDEN) " layer sizes {from} with commas between",
              "256,128,64", "encoder layers, mirrored in the decoder",
              "its layers are --encoder, --state, --sketch, --nade and more"),
    SIZE("latent", "16", "N", "latent units of a window or segment; sequence: 0 for none", NULL),
    CHOICE("loss", GROUP_MODEL, loss, "bce", "bce|mse",
           "reconstruction: binary cross-entropy or squared error, summed over cells",
           DENSE_ONLY("its loss is the cross-entropy")),
    SIZE_OF("planes", "one of {choices}", "sounding", "sounding|both",
            "what is learned: sounding notes, or onsets as well" DEFAULT),
    SIZE("segment", "4", "FRAMES", "frames that share a latent", "a window has one latent"),
    SIZE("state", "256", "N", "units of the decoder's GRU", IN_HIDDEN),
    SIZE("encoder", "128", "N", "units of the encoder's GRU, a direction", IN_HIDDEN),
    SIZE("sketch", "64", "N", "features of a frame that come from its latent", IN_HIDDEN),
    SIZE("nade", "64", "N", "units that see a frame's lower pitches", ALL_AT_ONCE),
    SIZE("tied", "32", "N", "units that all pitches share", ALL_AT_ONCE),
    SIZE_LIST("lags", "1 to " G_STRINGIFY(MODEL_MAX_LAGS) RISING_FRAMES, "1,2,4",
              "how many frames ago were those that a note is drawn by", ALL_AT_ONCE),
    SIZE_LIST("profiles", "0, or 1 to " G_STRINGIFY(MODEL_MAX_PROFILES) RISING_FRAMES, "0",
              "frames before over which pitch classes are counted that a note is drawn by, 0: none",
              ALL_AT_ONCE),
    SIZE("memory", "0", "N", "units of a GRU over time that every pitch has, 0: none", ALL_AT_ONCE),
    SIZE("note", "0", "N", "units of a GRU along a frame's pitches, from the lowest, 0: none", ALL_AT_ONCE),
    SIZE("performance", "0", "N", "units that learn velocities and timing, of shards that have them, 0: none",
         "it draws a window's cells at once"),
    SIZE("bar", "0", "FRAMES",
         "frames of a bar told apart, bars being those of the song's meters; with it the place in the song; "
         "0: none",
         ALL_AT_ONCE),
    SIZE_LIST("bar-lags",
              "0, or 1 to " G_STRINGIFY(MODEL_MAX_BAR_LAGS) " rising numbers of bars {from} with "
                                                            "commas between",
              "0", "how many bars ago were those frames that a note is drawn by, 0: none", ALL_AT_ONCE),
    SIZE("posterior-hidden", "256", "N", "units between encoder and latent", IN_HIDDEN),
    SIZE("prior-hidden", "128", "N", "units between state and prior", "its prior is normal, not learned"),
    SIZE("sketch-hidden", "256", "N", "units between latent and sketch", IN_HIDDEN),

    INT64("seed", GROUP_TRAINING, seed, "1", "N", "of every random number", 0, INFINITY),
    AUTO("batch", GROUP_TRAINING, batch, "64", "N", "windows, or pieces, a step over all ranks", 1, 1048576),
    AUTO("chunk", GROUP_TRAINING, chunk, "0", "FRAMES", "frames of a piece that are learned together, 0: all",
         0, 65536, SEQUENCE_ONLY("its batches are windows of --window FRAMES")),
    INT("accumulate", GROUP_TRAINING, accumulate, "1", "N",
        "passes that a step's batch is split into, to save memory", 1, 1048576),
    AUTO("epochs", GROUP_TRAINING, epochs, "50", "N", "passes over the training songs", 1, 100000),
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
            "steps, or share of all, in which --beta is reached in a line, 0: at once", read_span,
            SPAN_WANTED),
    REAL("beta-start", GROUP_TRAINING, beta_start, "0", "WEIGHT", "where that line starts", 0, 100000),
    REAL("free-bits", GROUP_TRAINING, free_bits, "0", "NATS",
         "KL divergence of a window, or mean of a piece's segments, below which it is not pushed", 0, 100000),
    GRAMMAR("free-bits-steps", GROUP_TRAINING, free_bits_steps, "0", "N|'N %'",
            "steps, or share of all, in which --free-bits is reached, 0: at once", read_span, SPAN_WANTED),
    REAL("free-bits-start", GROUP_TRAINING, free_bits_start, "0", "NATS", "where that line starts", 0,
         100000),
    GRAMMAR(
        "latent-rate", GROUP_TRAINING, latent_rate, "0", "NATS|'N %'",
        "KL divergence of a segment, or its share of what a segment costs, that is held by a weight that is "
        "learned, in place of --beta and --free-bits, 0: none",
        read_rate, "a number of nats such as 12, a share from 1 to 95 such as '45 %', or 0",
        SEQUENCE_ONLY("the weight of its KL divergence is --beta")),
    REAL("auxiliary", GROUP_TRAINING, auxiliary, "0.5", "WEIGHT", "of the loss that keeps the latent useful",
         0, 100000, SEQUENCE_ONLY(NULL)),
    REAL("dropout", GROUP_TRAINING, dropout, "0", "RATE",
         "share of hidden units (sequence: of the state that the head sees) silenced in training", 0, 0.99),
    REAL("input-dropout", GROUP_TRAINING, input_dropout, "0", "RATE",
         "share of frames that the decoder does not see", 0, 0.99,
         SEQUENCE_ONLY("its decoder sees no frames")),
    REAL("lag-dropout", GROUP_TRAINING, lag_dropout, "0", "RATE",
         "share of segments in which the head does not see the frames at --lags", 0, 0.99,
         SEQUENCE_ONLY(NULL)),
    REAL("memory-dropout", GROUP_TRAINING, memory_dropout, "0", "RATE",
         "share of the units of --memory and --note silenced in training", 0, 0.99, SEQUENCE_ONLY(NULL)),
    REAL("context-dropout", GROUP_TRAINING, context_dropout, "0", "RATE",
         "share of chunks that begin after silence, as songs do", 0, 0.99, SEQUENCE_ONLY(NULL)),
    REAL("average", GROUP_TRAINING, average, "0", "DECAY",
         "of an average of the weights that is evaluated and sampled, 0: none", 0, 0.9999999),
    GRAMMAR("transpose", GROUP_TRAINING, transpose, "0,0", "LOW,HIGH",
            "semitones, drawn for each window or piece", read_transpose,
            "two whole numbers LOW,HIGH from -24 to 24, LOW not above HIGH"),
    CHOICE("offsets", GROUP_TRAINING, offsets, "random", "random|grid", "where windows start in their song",
           DENSE_ONLY("its chunks start anywhere")),
    INT("early-stopping", GROUP_TRAINING, early_stopping, "0", "EPOCHS",
        "stop after so many without a better validation loss, 0: never", 0, 100000),
    INT("shuffle-kib", GROUP_TRAINING, shuffle_kib, "65536", "KIB",
        "data that are shuffled together: larger data are dealt to such groups anew each epoch", 1, 1 << 30),
    INT("reproducible", GROUP_TRAINING, reproducible, "0", "N",
        "parts of a batch that are added up in a fixed order: the same bits on any number of ranks up to N, "
        "0: no",
        0, 1024),
    INT("bucket-kib", GROUP_TRAINING, bucket_kib, "4096", "KIB",
        "size of the pieces in which gradients are averaged", 1, 1048576),
    CHOICE("wire", GROUP_TRAINING, wire, "float", "float|bf16",
           "what hosts send each other: bf16 is half as much; what is rounded off is sent with later steps"),
    INT("sync-every", GROUP_TRAINING, sync_every, "0", "STEPS",
        "steps that each host takes by itself before hosts average their weights, for slow networks, 0: "
        "hosts "
        "sum each step's gradient",
        0, 1000000),
    INT("threads", GROUP_TRAINING, threads, "0", "N", "BLAS threads a rank, 0: its share of the cores", 0,
        1024),

    GRAMMAR("checkpoint-every", GROUP_KEEPING, checkpoint_every, "10 minutes", "N|'N steps'|'N minutes'",
            "besides those at a better validation and at the end; a bare N counts steps, 0: none besides",
            read_checkpoint_every,
            "a time between checkpoints such as '500 steps' (or just 500), '10 minutes' or 0"),
    INT("keep", GROUP_KEEPING, keep, "3", "N", "numbered checkpoints that stay", 1, 100000),
    AUTO("validate-every", GROUP_KEEPING, validate_every, "1", "EPOCHS", "epochs between validations", 1,
         100000),
    {.name = NULL},
};

const option_t *option_rows(void) {
    for (option_t *row = rows; row->name; row++) {
        model_config_t config = {0};
        if (row->read != read_size || row->whom) continue;
        const size_row_t *size = size_of(row, &config);
        row->low = size->none && !size->count ? 0 : (double)size->lowest;
        row->high = (double)size->highest;
        row->whom = size->kinds;
    }
    return rows;
}
