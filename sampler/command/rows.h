/* rows: the options that several verbs have. A verb's table names them, in the order of its --help, among
 * rows of its own. */
#pragma once

#include <math.h>

#include "sampler/command/cli.h"
#include "trainer/model/rebuild.h"

/* Name, letter, member, for which kinds of model (and whether files tell it), the value's name in --help, the
 * default as text, help, and the range of a number. */
#define ROW(row_name, row_letter, row_type, member, row_whom, row_argument, row_fallback, row_help, ...)     \
    {                                                                                                        \
        .name = row_name, .letter = row_letter, .type = row_type, .offset = offsetof(cli_t, member),         \
        .whom = row_whom, .argument = row_argument, .fallback = row_fallback, .help = row_help,              \
        ##__VA_ARGS__                                                                                        \
    }
#define FLAG(name, letter, member, whom, help, ...)                                                          \
    ROW(name, letter, OPTION_FLAG, member, whom, NULL, NULL, help, ##__VA_ARGS__)
#define LIMITED(name, letter, type, member, whom, argument, fallback, help, row_low, row_high, ...)          \
    ROW(name, letter, type, member, whom, argument, fallback, help, .low = row_low, .high = row_high,        \
        .refusal = "{label} {value} is out of range; give {give}", ##__VA_ARGS__)
/* The first has a default, the second none. */
#define NUMBER(name, letter, type, member, whom, argument, fallback, help, ...)                              \
    LIMITED(name, letter, type, member, whom, argument, fallback, help " ({give}, default {default})",       \
            __VA_ARGS__)
#define UNSET(name, letter, type, member, whom, argument, help, ...)                                         \
    LIMITED(name, letter, type, member, whom, argument, NULL, help " ({give})", __VA_ARGS__)
#define NOT_EMPTY .refusal = "{label} is empty; give {argument}"
#define TEXT(name, letter, member, whom, argument, fallback, help, ...)                                      \
    ROW(name, letter, OPTION_TEXT, member, whom, argument, fallback, help, NOT_EMPTY, ##__VA_ARGS__)
#define LIST(name, member, whom, argument, help, ...)                                                        \
    ROW(name, 0, OPTION_LIST, member, whom, argument, NULL, help, NOT_EMPTY, ##__VA_ARGS__)

#define CHECKPOINT_ROW                                                                                       \
    TEXT("checkpoint", 'c', checkpoint, ANY, "FILE", NULL, "the trained model: RUN/best.h5 (required)")
#define COUNT_ROW(...)                                                                                       \
    NUMBER("count", 'n', OPTION_INT, count, ANY, "N", "1", "how many results", 1, 9999, ##__VA_ARGS__)
#define FIRST_ROW                                                                                            \
    NUMBER("first", 0, OPTION_INT, first, ANY, "N", "1",                                                     \
           "number of the first: '--first 3 -n 1' makes the third again", 1, 1000000)
#define SEED_MOST 9007199254740992.0 /* beyond 2^53 a double would not tell it from its neighbours */
#define SEED_ROW(whom, help, ...)                                                                            \
    LIMITED("seed", 0, OPTION_INT64, seed, whom, "N", "1", help " (default {default})", 0, SEED_MOST,        \
            ##__VA_ARGS__)
#define SEED_OF_DRAWS_ROW SEED_ROW(ANY | TOLD, "the same seed gives the same bytes")
#define TEMPERATURE_ROW(...)                                                                                 \
    NUMBER("temperature", 't', OPTION_REAL, temperature, ANY | TOLD, "X", "1",                               \
           "spread of the draws: of latent vectors and, by a sequence model, of notes; 0: the likeliest", 0, \
           10, ##__VA_ARGS__)
#define BARS_ROW(whom, fallback, help, ...)                                                                  \
    NUMBER("bars", 'b', OPTION_INT, bars, whom, "N", fallback, help, 1, 4096, ##__VA_ARGS__)
#define METER_ROW(whom, help) TEXT("meter", 0, meter, whom, "N/D", NULL, help)
#define KEY_ROW                                                                                              \
    TEXT("key", 0, key, ANY, "KEY", NULL, "transpose to this key, or its relative: C, Am, F#m, Bb")

/* For the verbs that start from a song's latents: reconstruct, vary, interpolate, traverse. */
#define TEMPERATURE_OF_NOTES_ROW                                                                             \
    NUMBER("temperature", 't', OPTION_REAL, temperature, SEQUENCE | TOLD, "X",                               \
           G_STRINGIFY(REBUILD_TEMPERATURE), "spread of the notes' draws", 0, 10, .excludes = "greedy")
#define PART_ROWS                                                                                            \
    UNSET("bars", 'b', OPTION_INT, bars, SEQUENCE | TOLD, "N", "how many bars of the song (default: all)",   \
          1, 4096, .instead = "a part is one window"),                                                       \
        NUMBER("bar", 0, OPTION_INT, bar, ANY | TOLD, "N", "1", "bar of the song at which the part starts",  \
               1, 1000000)
#define STEPS_ROW(fallback, ...)                                                                             \
    NUMBER("steps", 's', OPTION_INT, steps, ANY | TOLD, "N", fallback,                                       \
           "how many results, both ends included", 2, 999, ##__VA_ARGS__)

/* For the verbs that write around what is known: fill, accompany, harmonise, continue (which has
 * TEMPERATURE_ROW). */
#define TEMPERATURE_OF_REST_ROW                                                                              \
    NUMBER("temperature", 't', OPTION_REAL, temperature, SEQUENCE | TOLD, "X", "0.8",                        \
           "spread of the draws; below 1 tamer, above 1 stranger", 0.05, 10)
#define PARTICLES_ROW(...)                                                                                   \
    NUMBER("particles", 0, OPTION_INT, particles, SEQUENCE | TOLD, "K", "200",                               \
           "guesses side by side at what is not known: more fit better and take longer", 1, 100000,          \
           ##__VA_ARGS__)
#define LOOK_AHEAD_ROW                                                                                       \
    NUMBER("look-ahead", 0, OPTION_REAL, look_ahead, SEQUENCE | TOLD, "BARS", "2",                           \
           "bars after a gap by which the guesses are weighed", 0, 64)
/* What is wished of them. */
#define WISHES                                  "chords,key,density,polyphony,register"
#define BARS_OF_NUMBERS_ROW(name, member, help) TEXT(name, 0, member, SEQUENCE | TOLD, "N,N,...", NULL, help)
#define REST_ROWS                                                                                            \
    PARTICLES_ROW(),                                                                                         \
        TEXT("chords", 0, chords, SEQUENCE | TOLD, "CHORDS", NULL,                                           \
             "wished for: 'Am F C G', a bar each, 'Am | F G' or 'Am:2 F:2'; or a text or MusicXML file"),    \
        TEXT("key", 0, key, SEQUENCE | TOLD, "KEY", NULL, "wished for: C, Am, F#m, Bb"),                     \
        BARS_OF_NUMBERS_ROW("density", wished_density,                                                       \
                            "wished for: notes begun a beat, one number for all bars "                       \
                            "or one a bar, again from the first at the end"),                                \
        BARS_OF_NUMBERS_ROW("polyphony", wished_polyphony, "wished for: keys that sound at once, likewise"), \
        BARS_OF_NUMBERS_ROW("register", wished_register,                                                     \
                            "wished for: mean pitch, as C4 (middle C) or 60, "                               \
                            "likewise"),                                                                     \
        NUMBER("wish-strength", 0, OPTION_REAL, wish_strength, SEQUENCE | TOLD, "X", "1",                    \
               "how much wishes weigh against what the model holds to be likely", 0, 100, .needs = WISHES)

#define ATTRIBUTE_ROWS                                                                                       \
    LIST("more", more, DENSE | VAE | TOLD, "ATTRIBUTE",                                                      \
         "of an attribute, such as density (may be given several times)"),                                   \
        LIST("less", less, DENSE | VAE | TOLD, "ATTRIBUTE", "of an attribute, such as register"),            \
        NUMBER("strength", 0, OPTION_REAL, strength, DENSE | VAE | TOLD, "X", "1",                           \
               "how far, in standard deviations", 0, 100, .needs = "more,less")

/* How probabilities become keys. */
#define WINDOW_ROWS                                                                                          \
    NUMBER("threshold", 0, OPTION_REAL, threshold, DENSE, "P", "0.5",                                        \
           "a key sounds from this probability on", 0.001, 0.999, .excludes = "density,sample",              \
           .instead = "see --sample, --greedy and --temperature"),                                           \
        FLAG("density", 0, density, DENSE, "as many keys as the model expects instead, the likeliest first", \
             .excludes = "sample", .instead = "see --sample, --greedy and --temperature")
#define SAMPLE_ROWS(sample_help, greedy_help)                                                                \
    FLAG("sample", 0, draw, ANY, sample_help),                                                               \
        FLAG("greedy", 0, greedy, SEQUENCE, greedy_help, .excludes = "sample", .instead = "see --threshold")
#define NEW_SAMPLE_ROWS                                                                                      \
    SAMPLE_ROWS("draw each key by its probability (a sequence model does anyway)",                           \
                "the likelier instead, key by key")
#define SONG_SAMPLE_ROWS                                                                                     \
    NUMBER("best-of", 0, OPTION_INT, best_of, VAE | TOLD, "K", G_STRINGIFY(REBUILD_DRAWS),                   \
           "of so many draws of each segment keep the one that tells its latent best", 1, REBUILD_MOST,      \
           .excludes = "sample,greedy"),                                                                     \
        SAMPLE_ROWS("draw each key by its probability, once", "the likelier, key by key")

#define OUTPUT_ROW                                                                                           \
    TEXT("output", 'o', output, ANY, "DIR", ".", "folder for the results, created where missing")
#define PICTURE_ROW(fallback, help, ...)                                                                     \
    ROW("picture", 'p', OPTION_FORMAT, picture, ANY, "png|svg", fallback, help,                              \
        .refusal = "{label}={text}: there is png and svg; give one, as in {label}=svg", ##__VA_ARGS__)
#define MUSIC_ROWS                                                                                           \
    UNSET("tempo", 0, OPTION_REAL, tempo_bpm, ANY | TOLD, "BPM",                                             \
          "quarter notes a minute (default: the song's, or the training songs')", 5, 1000),                  \
        NUMBER("perform", 0, OPTION_REAL, perform, SEQUENCE, "AMOUNT", "1",                                  \
               "how far velocities and timing are the model's, where it has learned them; 0: all alike, on " \
               "the grid",                                                                                   \
               0, 2),                                                                                        \
        NUMBER("threads", 0, OPTION_INT, threads, SEQUENCE, "N", "0",                                        \
               "how many cores compute, 0: all; no bit of the music depends on it", 0, 1024,                 \
               .instead = "it makes its windows at once"),                                                   \
        OUTPUT_ROW, PICTURE_ROW(NULL, "also piano rolls, as PNG (default) or SVG"),                          \
        ROW("audio", 0, OPTION_FORMAT, audio, ANY, "wav|flac|ogg", NULL,                                     \
            "also sound, as WAV (default), FLAC or Ogg Vorbis",                                              \
            .refusal = "{label}={text}: there is wav, flac and ogg; give one, as in {label}=ogg"),           \
        TEXT("soundfont", 0, soundfont, ANY, "FILE", NULL,                                                   \
             "instruments (default: $SOUNDFONT or the system's)", .needs = "audio"),                         \
        END_ROWS
/* The last of each table. */
#define END_ROWS                                                                                             \
    FLAG("version", 'V', version, ANY, "print the version"),                                                 \
        FLAG("quiet", 'q', quiet, ANY, "say nothing but warnings and errors"), {                             \
        .name = NULL                                                                                         \
    }
