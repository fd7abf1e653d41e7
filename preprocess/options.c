/* options: owns the table of preprocess's options, and what they mean together. Refuses what is out of range,
 * by the option's name. */
#include "preprocess/options.h"

#include "preprocess/common/option.h"
#include "preprocess/common/program.h"
#include "preprocess/corpus/part.h"

/* Reads three percentages that sum to 100 into value, a double[SPLIT_COUNT]. */
static gboolean read_split(G_GNUC_UNUSED const option_t *option, const char *text, void *value) {
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    double *split = value, sum = 0;
    if (g_strv_length(parts) != SPLIT_COUNT) return FALSE;
    for (int i = 0; i < SPLIT_COUNT; i++) {
        if (!option_parse_real(parts[i], 0, 100, &split[i])) return FALSE;
        sum += split[i];
    }
    return sum > 99.999 && sum < 100.001;
}

/* Reads "3/8", part 3 of 8, into value, a corpus_options_t. */
static gboolean read_part(G_GNUC_UNUSED const option_t *option, const char *text, void *value) {
    corpus_options_t *corpus = value;
    gint64 part = 0, parts = 0;
    g_auto(GStrv) numbers = g_strsplit(text, "/", 2);
    if (g_strv_length(numbers) != 2 || !option_parse_integer(numbers[1], 1, PART_MOST, &parts) ||
        !option_parse_integer(numbers[0], 1, parts, &part))
        return FALSE;
    corpus->part = (int)part;
    corpus->parts = (int)parts;
    return TRUE;
}

static gboolean read_meter(G_GNUC_UNUSED const option_t *option, const char *text, void *value) {
    return meter_from_text(text, value);
}

/* Name, letter, member, argument, help; and the range of a number, or how a text is read and refused. */
#define ROW(row_name, row_letter, row_type, member, row_argument, row_help, ...)                             \
    {                                                                                                        \
        .name = row_name, .letter = row_letter, .type = row_type,                                            \
        .offset = offsetof(preprocess_options_t, member), .argument = row_argument, .help = row_help,        \
        ##__VA_ARGS__                                                                                        \
    }
#define FLAG(name, letter, member, help) ROW(name, letter, OPTION_FLAG, member, NULL, help)
#define TEXT(name, letter, member, ...)  ROW(name, letter, OPTION_TEXT, member, __VA_ARGS__)
#define READ(name, member, argument, help, row_read, row_refusal, ...)                                       \
    ROW(name, 0, OPTION_READ, member, argument, help, .read = row_read, .refusal = row_refusal, ##__VA_ARGS__)
#define NUMBER(name, letter, type, member, argument, help, row_low, row_high, ...)                           \
    ROW(name, letter, type, member, argument, help, .low = row_low, .high = row_high,                        \
        .refusal = "{label}: {value} is not {from}", ##__VA_ARGS__)
#define INT(name, letter, member, ...) NUMBER(name, letter, OPTION_INT, member, __VA_ARGS__)

#define GRID corpus.layout.grid

static const option_t ROWS[] = {
    TEXT("output", 'o', corpus.output, "DIR", "Folder for the shards and report.tsv; made where missing"),
    TEXT("files-from", 0, corpus.files_from, "FILE",
         "Read names of files and folders from FILE, one a line ('-': standard input)"),
    READ("split", corpus.split, "A,B,C", "Percent of train,valid,test, by content (default: {default})",
         read_split, "{label}: '{text}' is not three percentages (train,valid,test) that sum to 100",
         .fallback = "80,10,10"),
    FLAG("split-by-folder", 0, corpus.split_by_folder,
         "Folders named train, valid, test decide; duplicates stay"),
    FLAG("drop-transposed", 0, corpus.drop_transposed, "Drop songs that are another one transposed, too"),
    NUMBER("shard-frames", 0, OPTION_INT64, corpus.shard_frames, "N",
           "Close a shard at so many frames (default: {default}, {range})", 1, 1 << 22,
           .fallback = "1048576"),
    FLAG("replace", 0, corpus.replace, "Remove shards of another corpus from the output folder"),
    READ("part", corpus, "I/N", "Parse part I of N only, as one of several runs, on any hosts; then --join",
         read_part,
         "{label} {text}: not a part; give I/N with I from 1 to N and N at most " G_STRINGIFY(
             PART_MOST) ", like 3/8"),
    FLAG("join", 0, corpus.join, "Make the shards of all parts: the same command once they are done"),
    FLAG("dry-run", 'n', corpus.dry_run, "Write only the report"),
    INT("jobs", 'j', corpus.jobs, "N",
        "Worker processes, threads (default: {default}, this machine's cores; {range})", 1, CORPUS_MAX_JOBS),
    NUMBER("file-timeout", 0, OPTION_REAL, corpus.limits.timeout_s, "SECONDS",
           "Give up on a file after so long (default: {default}, {range})", 0.01, 86400, .fallback = "10"),
    INT("file-memory", 0, memory_mib, "MIB", "Memory that one file may take (default: {default}, {range})",
        16, 1 << 20, .fallback = "1024"),
    TEXT("info", 0, info, "DIR", "Print what the shards in DIR hold, and do nothing else"),
    FLAG("quiet", 'q', corpus.quiet, "Say nothing but errors"),
    FLAG("version", 'V', version, "Print the version"),
    INT("steps-per-beat", 0, GRID.steps_per_beat, "N",
        "Frames a quarter note (default: {default}, {range}; 12 and 24 hold triplets)", 1, 96),
    INT("pitch-low", 0, GRID.pitch_low, "PITCH", "Lowest MIDI pitch (default: {default}, A0; {range})", 0,
        127),
    INT("pitches", 0, GRID.pitches, "N", "Pitches from there (default: {default}, a piano's keys; {range})",
        1, 128),
    FLAG("fold-octaves", 0, GRID.fold_octaves,
         "Move notes out of range in by octaves (default: drop and count them)"),
    FLAG("sustain-pedal", 0, GRID.sustain_pedal, "Let notes sound as long as the pedal holds them"),
    TEXT("tracks", 0, tracks, "LIST", "merged (default), or roles: any of melody,counter,chords,bass,drums",
         .fallback = "merged"),
    INT("max-silence", 0, corpus.layout.cut.max_silence, "BARS",
        "Cut longer silences to so many bars, by whole bars (default: {default}; 0: none)", 0, CUT_MAX_BARS),
    INT("max-note", 0, corpus.layout.cut.max_note, "BARS",
        "Cut longer notes to so many bars (default: {default}; 0: none)", 0, CUT_MAX_BARS),
    READ("meter", corpus.layout.meter, "N/D",
         "The songs' meter, whatever the files say: many write 1/4 or none", read_meter,
         "{label} {text}: not a meter; give one like 4/4 or 6/8"),
    {.name = NULL},
};

static preprocess_options_t *defaults(void) {
    preprocess_options_t *options = g_new0(preprocess_options_t, 1);
    options->corpus = (corpus_options_t){.layout = {.grid = grid_default(), .cut = cut_default()},
                                         .jobs = (int)MIN(g_get_num_processors(), CORPUS_MAX_JOBS)};
    option_set_defaults(ROWS, options);
    return options;
}

static gboolean is_empty(const char *name) { return name && !*name; }

/* Checks the files and folders named, and that they go together. */
static gboolean check_names(const preprocess_options_t *options, GError **error) {
    const corpus_options_t *corpus = &options->corpus;
    const char *const *inputs = (const char *const *)corpus->inputs;
    if (is_empty(options->info) || is_empty(corpus->output) || is_empty(corpus->files_from) ||
        (inputs && g_strv_contains(inputs, "")))
        return option_fail(error, "a name of a file or folder is empty: is a variable of the shell not set?");
    if (options->info)
        return (!inputs && !corpus->output && !corpus->files_from) ||
               option_fail(error,
                           "--info prints what a folder of shards holds and does nothing else: leave out "
                           "--output and input files");
    if (!corpus->output) return option_fail(error, "--output is missing: name the folder for the shards");
    return inputs || corpus->files_from || option_fail(error, "no input: name MIDI files or folders of them");
}

/* Checks what no option's range can. */
static gboolean check(preprocess_options_t *options, const option_line_t *line, GError **error) {
    corpus_options_t *corpus = &options->corpus;
    grid_t *grid = &corpus->layout.grid;
    if (grid->pitches > 128 - grid->pitch_low)
        return option_fail(error, "--pitches: %d is not from 1 to %d", grid->pitches, 128 - grid->pitch_low);
    if (!grid_set_tracks(grid, options->tracks, error)) {
        g_prefix_error(error, "--tracks: ");
        return FALSE;
    }
    corpus->limits.memory_bytes = (size_t)options->memory_mib << 20;
    if (corpus->parts > 0 && corpus->join)
        return option_fail(error, "--part and --join: give one of them; all parts first, then the join");
    if (option_given(line, "split") && corpus->split_by_folder)
        return option_fail(error, "--split and --split-by-folder: give one of them");
    return check_names(options, error);
}

preprocess_options_t *preprocess_options_parse(int argc, char *const *argv, GError **error) {
    g_autoptr(preprocess_options_t) options = defaults();
    g_auto(option_line_t) line = {0};
    g_autofree char *description = g_strdup_printf(
        "Example:\n  %s --tracks melody,chords,bass,drums --output shards ~/midi\n\n"
        "Exit status: 0 done, 1 error, 2 bad usage. Every input file is a row of DIR/report.tsv.\n",
        program_name());
    const option_command_t command = {.rows = ROWS,
                                      .parameters = "FILE-OR-FOLDER... - MIDI files to piano-roll shards",
                                      .description = description};
    if (!option_read_line(&command, options, argc, argv, &line, error)) return NULL;
    options->version = option_given(&line, "version") != NULL;
    options->corpus.inputs = g_steal_pointer(&line.files);
    if (options->version || (option_set_given(ROWS, &line, options, error) && check(options, &line, error)))
        return g_steal_pointer(&options);
    return NULL;
}

void preprocess_options_free(preprocess_options_t *options) {
    if (!options) return;
    g_strfreev(options->corpus.inputs);
    option_clear(ROWS, options);
    g_free(options);
}
