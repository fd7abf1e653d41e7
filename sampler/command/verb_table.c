/* verb_table: owns what each verb is called, takes and is for, and the table of its options. */
#include "sampler/command/rows.h"

static const option_t PRIOR[] = {
    CHECKPOINT_ROW,
    COUNT_ROW(.excludes = "latent", .because = "one result a vector"),
    FIRST_ROW,
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_ROW(.excludes = "latent", .because = "a given vector is not drawn"),
    LIST("latent", latents, DENSE, "V1,V2,...", "decode this latent vector (may be given several times)",
         .instead = "--seed and --first make a piece again"),
    BARS_ROW(SEQUENCE | TOLD, "8", "length of each piece",
             .instead = "a piece is one window; see the verb song"),
    KEY_ROW,
    ATTRIBUTE_ROWS,
    WINDOW_ROWS,
    NEW_SAMPLE_ROWS,
    MUSIC_ROWS,
};

static const option_t SONG[] = {
    CHECKPOINT_ROW,
    COUNT_ROW(),
    FIRST_ROW,
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_ROW(),
    BARS_ROW(ANY | TOLD, "64", "length of the piece"),
    KEY_ROW,
    NUMBER("correlation", 0, OPTION_REAL, correlation, DENSE | TOLD, "X", "0.8",
           "of neighbouring windows: 0 jumps, 1 stays where it began", 0, 1,
           .instead = "it goes on from what it has written; see --temperature"),
    ATTRIBUTE_ROWS,
    WINDOW_ROWS,
    NEW_SAMPLE_ROWS,
    MUSIC_ROWS,
};

static const option_t CONTINUE[] = {
    CHECKPOINT_ROW,
    COUNT_ROW(),
    FIRST_ROW,
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_ROW(),
    BARS_ROW(SEQUENCE | TOLD, "16", "how many bars to add"),
    UNSET("keep", 0, OPTION_INT, keep, SEQUENCE | TOLD, "N",
          "go on after so many bars of the song (default: all)", 1, 1000000),
    FLAG("only-new", 0, only_new, SEQUENCE | TOLD, "write the continuation without the song"),
    ATTRIBUTE_ROWS,
    NEW_SAMPLE_ROWS,
    MUSIC_ROWS,
};

static const option_t RECONSTRUCT[] = {
    CHECKPOINT_ROW,
    NUMBER("first", 0, OPTION_INT, first, ANY, "N", "1", "number of the first song: its draws depend on it",
           1, 1000000, .needs = "sample"),
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_OF_NOTES_ROW,
    ATTRIBUTE_ROWS,
    WINDOW_ROWS,
    SONG_SAMPLE_ROWS,
    MUSIC_ROWS,
};

static const option_t VARY[] = {
    CHECKPOINT_ROW,
    COUNT_ROW(),
    FIRST_ROW,
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_OF_NOTES_ROW,
    PART_ROWS,
    NUMBER("amount", 'a', OPTION_REAL, amount, ANY | TOLD, "X", "0.3",
           "0: the song as the model keeps it, 1: a draw from the prior", 0, 1),
    ATTRIBUTE_ROWS,
    WINDOW_ROWS,
    SONG_SAMPLE_ROWS,
    MUSIC_ROWS,
};

static const option_t INTERPOLATE[] = {
    CHECKPOINT_ROW,
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_OF_NOTES_ROW,
    PART_ROWS,
    STEPS_ROW("8", .excludes = "morph", .because = "a morph is one piece"),
    FLAG("morph", 0, morph, SEQUENCE | TOLD, "instead one piece that becomes B on its way"),
    WINDOW_ROWS,
    SONG_SAMPLE_ROWS,
    MUSIC_ROWS,
};

static const option_t TRAVERSE[] = {
    CHECKPOINT_ROW,
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_OF_NOTES_ROW,
    PART_ROWS,
    STEPS_ROW("7"),
    LIMITED("dim", 'd', OPTION_INT, dim, ANY | TOLD, "N", NULL,
            "the feature, from 0 to the model's latent size - 1 (required)", 0, INFINITY),
    WINDOW_ROWS,
    SONG_SAMPLE_ROWS,
    MUSIC_ROWS,
};

static const option_t CURVES[] = {
    OUTPUT_ROW,
    PICTURE_ROW("png", "PNG (default) or SVG"),
    END_ROWS,
};

#define SHARDS "corpus,originality"

static const option_t SCORE[] = {
    SEED_ROW(ANY, "of the shuffled tracks", .needs = "corpus"),
    TEXT("corpus", 0, corpus, ANY, "SHARDS", NULL,
         "folder of shards: the grid, and the real songs to compare with"),
    TEXT("split", 0, split, ANY, "NAME", NULL, "which real songs: train, valid or test (default test)",
         .needs = SHARDS),
    TEXT("meter", 0, meter, ANY, "N/D", NULL, "bars of this meter, whatever the files say"),
    UNSET("seam", 0, OPTION_INT, seam, ANY, "FRAMES", "do segments of so many frames show where they meet?",
          2, 4096, .needs = "corpus"),
    TEXT("originality", 0, originality, ANY, "SHARDS", NULL,
         "the longest passages shared with the training songs there"),
    TEXT("tracks", 0, tracks, ANY, "LIST", NULL,
         "without shards: merged, or roles (default melody,chords,bass,drums)", .excludes = SHARDS,
         .because = "the shards have a grid"),
    UNSET("steps-per-beat", 0, OPTION_INT, steps_per_beat, ANY, "N",
          "without shards: frames a quarter note (default 4)", 1, 96, .excludes = SHARDS,
          .because = "the shards have a grid"),
    END_ROWS,
};

const verb_info_t VERBS[VERB_COUNT] = {
    {"prior", "", "New pieces drawn from the model's prior; of a dense model one window each.",
     "prior --checkpoint best.h5 -n 8 --seed 1 --picture", 0, 0, ANY, PRIOR},
    {"song", "", "A long piece; of a dense model along a smooth path in latent space, windows cross-faded.",
     "song --checkpoint best.h5 --bars 64 --key Am --audio", 0, 0, ANY, SONG},
    {"continue", "SONG.mid", "A song, and how a sequence model goes on with it.",
     "continue --checkpoint best.h5 song.mid --bars 16 -n 4", 1, 1, SEQUENCE, CONTINUE},
    {"reconstruct", "SONG.mid...", "What the model keeps of a song: encoded and decoded.",
     "reconstruct --checkpoint best.h5 song.mid", 1, G_MAXUINT, DENSE | VAE, RECONSTRUCT},
    {"vary", "SONG.mid", "Variations on a song: decoded from near its latent vectors.",
     "vary --checkpoint best.h5 song.mid --amount 0.3 -n 4", 1, 1, DENSE | VAE, VARY},
    {"interpolate", "A.mid B.mid", "From one song to another in equal steps (spherical).",
     "interpolate --checkpoint best.h5 a.mid b.mid --steps 8 --picture", 2, 2, DENSE | VAE, INTERPOLATE},
    {"traverse", "SONG.mid", "One latent feature from -3 to 3, the others as in the song.",
     "traverse --checkpoint best.h5 song.mid --dim 3 --picture", 1, 1, DENSE | VAE, TRAVERSE},
    {"curves", "RUN...", "Pictures of a training run's losses (RUN/metrics.jsonl).",
     "curves RUN --picture=svg", 1, G_MAXUINT, ANY, CURVES},
    {"score", "FILE...", "Figures of MIDI files or folders of them, beside those of a corpus' real songs.",
     "score new/ --corpus shards --seam 16 --originality shards", 1, G_MAXUINT, ANY, SCORE},
};
