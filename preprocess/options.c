/* options: owns preprocess's flags, their defaults, ranges and help. Refuses what is out of range, by the
 * flag's name. */
#include "preprocess/options.h"

#include <string.h>

#include "preprocess/common/program.h"
#include "preprocess/common/typo.h"
#include "preprocess/corpus/part.h"

G_DEFINE_QUARK(mpianist_preprocess_options_error, preprocess_options_error)

typedef struct {
    int memory_mib;
    char *tracks, *meter, *split, *part;
} raw_t;

static gboolean usage(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean usage(GError **error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    g_propagate_error(error, g_error_new_valist(PREPROCESS_OPTIONS_ERROR, 0, format, arguments));
    va_end(arguments);
    return FALSE;
}

static gboolean in_range(const char *flag, double value, double low, double high, GError **error) {
    return (value >= low && value <= high) ||
           usage(error, "%s: %.10g is not from %.10g to %.10g", flag, value, low, high);
}

static preprocess_options_t *defaults(void) {
    preprocess_options_t *options = g_new0(preprocess_options_t, 1);
    options->corpus = (corpus_options_t){.layout = {.grid = grid_default(), .cut = cut_default()},
                                         .jobs = (int)MIN(g_get_num_processors(), 64),
                                         .limits = {.timeout_s = 10, .memory_bytes = (size_t)1024 << 20},
                                         .shard_frames = 1 << 20};
    return options;
}

/* Three percentages that sum to 100. */
static gboolean parse_split(const char *text, double *split, GError **error) {
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    double sum = 0;
    gboolean good = g_strv_length(parts) == SPLIT_COUNT;
    for (int i = 0; good && i < SPLIT_COUNT; i++) {
        char *end = NULL;
        split[i] = g_ascii_strtod(parts[i], &end);
        good = *parts[i] && !*end && split[i] >= 0 && split[i] <= 100;
        sum += split[i];
    }
    return (good && sum > 99.999 && sum < 100.001) ||
           usage(error, "--split: '%s' is not three percentages (train,valid,test) that sum to 100", text);
}

/* "3/8": part 3 of 8. */
static gboolean parse_part(const char *text, corpus_options_t *corpus, GError **error) {
    guint64 part = 0, parts = 0;
    g_auto(GStrv) numbers = g_strsplit(text, "/", 2);
    if (g_strv_length(numbers) == 2 &&
        g_ascii_string_to_unsigned(numbers[1], 10, 1, PART_MOST, &parts, NULL) &&
        g_ascii_string_to_unsigned(numbers[0], 10, 1, parts, &part, NULL)) {
        corpus->part = (int)part;
        corpus->parts = (int)parts;
        return TRUE;
    }
    return usage(error, "--part %s: not a part; give I/N with I from 1 to N and N at most %d, like 3/8", text,
                 PART_MOST);
}

static gboolean is_empty(const char *name) { return name && !*name; }

/* What is named, and whether it goes together. */
static gboolean check_names(const preprocess_options_t *options, GError **error) {
    const corpus_options_t *corpus = &options->corpus;
    const char *const *inputs = (const char *const *)corpus->inputs;
    if (is_empty(options->info) || is_empty(corpus->output) || is_empty(corpus->files_from) ||
        (inputs && g_strv_contains(inputs, "")))
        return usage(error, "a name of a file or folder is empty: is a variable of the shell not set?");
    if (options->info)
        return (!inputs && !corpus->output && !corpus->files_from) ||
               usage(error, "--info prints what a folder of shards holds and does nothing else: leave out "
                            "--output and input files");
    if (!corpus->output) return usage(error, "--output is missing: name the folder for the shards");
    return inputs || corpus->files_from || usage(error, "no input: name MIDI files or folders of them");
}

static gboolean check(preprocess_options_t *options, const raw_t *raw, GError **error) {
    corpus_options_t *corpus = &options->corpus;
    layout_t *layout = &corpus->layout;
    grid_t *grid = &layout->grid;
    if (options->version) return TRUE;
    if (options->info) return check_names(options, error);
    if (!in_range("--steps-per-beat", grid->steps_per_beat, 1, 96, error) ||
        !in_range("--pitch-low", grid->pitch_low, 0, 127, error) ||
        !in_range("--pitches", grid->pitches, 1, 128 - grid->pitch_low, error) ||
        !in_range("--max-silence", layout->cut.max_silence, 0, CUT_MAX_BARS, error) ||
        !in_range("--max-note", layout->cut.max_note, 0, CUT_MAX_BARS, error) ||
        !in_range("--jobs", corpus->jobs, 1, 64, error) ||
        !in_range("--file-timeout", corpus->limits.timeout_s, 0.01, 86400, error) ||
        !in_range("--file-memory", raw->memory_mib, 16, 1 << 20, error) ||
        !in_range("--shard-frames", (double)corpus->shard_frames, 1, 1 << 22, error))
        return FALSE;
    corpus->limits.memory_bytes = (size_t)raw->memory_mib << 20;
    if (!grid_set_tracks(grid, raw->tracks ? raw->tracks : "merged", error)) {
        g_prefix_error(error, "--tracks: ");
        return FALSE;
    }
    if (raw->meter && !meter_from_text(raw->meter, &layout->meter))
        return usage(error, "--meter %s: not a meter; give one like 4/4 or 6/8", raw->meter);
    if (raw->part && !parse_part(raw->part, corpus, error)) return FALSE;
    if (raw->part && corpus->join)
        return usage(error, "--part and --join: give one of them; all parts first, then the join");
    if (raw->split && corpus->split_by_folder)
        return usage(error, "--split and --split-by-folder: give one of them");
    if (!parse_split(raw->split ? raw->split : "80,10,10", corpus->split, error)) return FALSE;
    return check_names(options, error);
}

preprocess_options_t *preprocess_options_parse(int argc, char *const *argv, GError **error) {
    g_auto(GStrv) words = typo_split_numbers(argc, argv);
    g_autoptr(preprocess_options_t) options = defaults();
    corpus_options_t *corpus = &options->corpus;
    layout_t *layout = &corpus->layout;
    grid_t *grid = &layout->grid;
    raw_t raw = {.memory_mib = 1024};
    g_autofree char *jobs_help =
        g_strdup_printf("Worker processes, threads (default: %d, this machine's cores; 1..64)", corpus->jobs);
    const GOptionEntry music[] = {
        {"steps-per-beat", 0, 0, G_OPTION_ARG_INT, &grid->steps_per_beat,
         "Frames a quarter note (default: 4, 1..96; 12 and 24 hold triplets)", "N"},
        {"pitch-low", 0, 0, G_OPTION_ARG_INT, &grid->pitch_low, "Lowest MIDI pitch (default: 21, A0; 0..127)",
         "PITCH"},
        {"pitches", 0, 0, G_OPTION_ARG_INT, &grid->pitches,
         "Pitches from there (default: 88, a piano's keys; 1..128)", "N"},
        {"fold-octaves", 0, 0, G_OPTION_ARG_NONE, &grid->fold_octaves,
         "Move notes out of range in by octaves (default: drop and count them)", NULL},
        {"sustain-pedal", 0, 0, G_OPTION_ARG_NONE, &grid->sustain_pedal,
         "Let notes sound as long as the pedal holds them", NULL},
        {"tracks", 0, 0, G_OPTION_ARG_STRING, &raw.tracks,
         "merged (default), or roles: any of melody,counter,chords,bass,drums", "LIST"},
        {"max-silence", 0, 0, G_OPTION_ARG_INT, &layout->cut.max_silence,
         "Cut longer silences to so many bars, by whole bars (default: 16; 0: none)", "BARS"},
        {"max-note", 0, 0, G_OPTION_ARG_INT, &layout->cut.max_note,
         "Cut longer notes to so many bars (default: 64; 0: none)", "BARS"},
        {"meter", 0, 0, G_OPTION_ARG_STRING, &raw.meter,
         "The songs' meter, whatever the files say: many write 1/4 or none", "N/D"},
        {NULL}};
    const GOptionEntry files[] = {
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &corpus->output,
         "Folder for the shards and report.tsv; made where missing", "DIR"},
        {"files-from", 0, 0, G_OPTION_ARG_FILENAME, &corpus->files_from,
         "Read names of files and folders from FILE, one a line ('-': standard input)", "FILE"},
        {"split", 0, 0, G_OPTION_ARG_STRING, &raw.split,
         "Percent of train,valid,test, by content (default: 80,10,10)", "A,B,C"},
        {"split-by-folder", 0, 0, G_OPTION_ARG_NONE, &corpus->split_by_folder,
         "Folders named train, valid, test decide; duplicates stay", NULL},
        {"drop-transposed", 0, 0, G_OPTION_ARG_NONE, &corpus->drop_transposed,
         "Drop songs that are another one transposed, too", NULL},
        {"shard-frames", 0, 0, G_OPTION_ARG_INT64, &corpus->shard_frames,
         "Close a shard at so many frames (default: 1048576, 1..4194304)", "N"},
        {"replace", 0, 0, G_OPTION_ARG_NONE, &corpus->replace,
         "Remove shards of another corpus from the output folder", NULL},
        {"part", 0, 0, G_OPTION_ARG_STRING, &raw.part,
         "Parse part I of N only, as one of several runs, on any hosts; then --join", "I/N"},
        {"join", 0, 0, G_OPTION_ARG_NONE, &corpus->join,
         "Make the shards of all parts: the same command once they are done", NULL},
        {"dry-run", 'n', 0, G_OPTION_ARG_NONE, &corpus->dry_run, "Write only the report", NULL},
        {"jobs", 'j', 0, G_OPTION_ARG_INT, &corpus->jobs, jobs_help, "N"},
        {"file-timeout", 0, 0, G_OPTION_ARG_DOUBLE, &corpus->limits.timeout_s,
         "Give up on a file after so long (default: 10, 0.01..86400)", "SECONDS"},
        {"file-memory", 0, 0, G_OPTION_ARG_INT, &raw.memory_mib,
         "Memory that one file may take (default: 1024, 16..1048576)", "MIB"},
        {"info", 0, 0, G_OPTION_ARG_FILENAME, &options->info,
         "Print what the shards in DIR hold, and do nothing else", "DIR"},
        {"quiet", 'q', 0, G_OPTION_ARG_NONE, &corpus->quiet, "Say nothing but errors", NULL},
        {"version", 'V', 0, G_OPTION_ARG_NONE, &options->version, "Print the version", NULL},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &corpus->inputs, NULL, NULL},
        {NULL}};
    g_autoptr(GOptionContext) context =
        g_option_context_new("FILE-OR-FOLDER... - MIDI files to piano-roll shards");
    g_option_context_add_main_entries(context, files, NULL);
    g_option_context_add_main_entries(context, music, NULL);
    g_autofree char *description = g_strdup_printf(
        "Example:\n  %s --tracks melody,chords,bass,drums --output shards ~/midi\n\n"
        "Exit status: 0 done, 1 error, 2 bad usage. Every input file is a row of DIR/report.tsv.\n",
        program_name());
    g_option_context_set_description(context, description);
    gboolean good = g_option_context_parse_strv(context, &words, error) && check(options, &raw, error);
    g_free(raw.tracks);
    g_free(raw.meter);
    g_free(raw.split);
    g_free(raw.part);
    return good ? g_steal_pointer(&options) : NULL;
}

void preprocess_options_free(preprocess_options_t *options) {
    if (!options) return;
    g_strfreev(options->corpus.inputs);
    g_free(options->corpus.files_from);
    g_free(options->corpus.output);
    g_free(options->info);
    g_free(options);
}
