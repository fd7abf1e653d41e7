/* cli: the sampler's command line: a verb, its options, its files. rows.h has the options that verbs share; a
 * verb's file says which of them it has. */
#pragma once

#include "preprocess/common/option.h"
#include "sampler/make/key.h"
#include "sampler/show/audio.h"
#include "sampler/show/picture.h"
#include "trainer/model/model.h"

/* Kinds of models: what a verb or an option has a meaning for. PLAIN: a sequence model without latent
 * vectors. An option's bits may have TOLD, too: the files made tell it. */
enum { DENSE = 1, VAE = 2, PLAIN = 4, SEQUENCE = VAE | PLAIN, ANY = DENSE | SEQUENCE, TOLD = 8 };

typedef struct cli cli_t;
typedef struct job job_t;

/* A verb: a file of its own has its options beside the function that reads them. */
typedef struct {
    const char *name, *takes, *summary, *example; /* takes: its files, as --help shows them */
    guint min_files, max_files;
    unsigned kinds;       /* of models that it has a meaning for; 0: it needs none */
    gboolean draws;       /* it makes new pieces: their notes are drawn unless --greedy is given */
    const option_t *rows; /* its options */
    /* Checks what no single option's range can; NULL: nothing. Called twice: before the model is known, with
     * model NULL, and once it is. FALSE with error set. */
    gboolean (*check)(cli_t *cli, const model_config_t *model, GError **error);
    /* Makes and writes what the command line asks for. FALSE with error set. */
    gboolean (*run)(job_t *job, GError **error);
} verb_t;

struct cli {
    const verb_t *verb;
    option_line_t line; /* what the command line gives */
    unsigned kind;      /* of the model: DENSE, VAE or PLAIN; cli_fit() sets it */
    char **files;       /* what the verb works on, NULL-terminated */
    guint n_files;
    char *checkpoint;
    char **latents;   /* --latent: decode these instead of draws; NULL: none given */
    int count, first; /* how many results, and the number of the first, from 1 */
    gint64 seed;
    double temperature;
    double threshold; /* probability from which a cell sounds */
    gboolean density; /* as many cells as the model expects instead */
    gboolean draw;    /* --sample: Bernoulli draws instead; cli_fit() sets it where it is the default */
    gboolean greedy;  /* --greedy */
    int best_of;      /* draws of a segment of which one is kept; 0: one draw, as cli_fit() sets it */
    int steps;        /* interpolate, traverse */
    int dim;          /* traverse: feature, from 0 */
    int bar;          /* where in the song its part starts, from 1 */
    int bars;         /* of the piece, to add, or of the song's part; 0: all */
    char *where;      /* fill: ranges of bars, as given; NULL: all */
    char *keys;       /* fill: a range of keys, as given; NULL: all */
    char *given;      /* accompany: the track that the file is; NULL: as it looks */
    char *until;      /* continue: the song that it comes to; NULL: none */
    char *chords;     /* wished: a line of chords or a file of one, as given; NULL: none */
    char *wished_density, *wished_polyphony, *wished_register; /* numbers a bar, as given; NULL: none */
    double wish_strength;
    int particles;       /* guesses side by side at what is not known */
    double look_ahead;   /* bars after a gap by which they are weighed */
    int keep;            /* continue: bars of the song; 0: all */
    gboolean only_new;   /* continue: without the song */
    gboolean morph;      /* interpolate: one piece */
    double amount;       /* vary */
    char **more, **less; /* names of attributes; NULL: none */
    double strength;     /* of each of them */
    char *key;           /* as given; NULL: as it comes */
    musical_key_t wanted_key;
    double correlation; /* song: of neighbouring windows */
    double perform;     /* how far pieces are played as the model plays, where it has learned it */
    double tempo_bpm;   /* 0: the song's, or the checkpoint's */
    char *output;       /* folder */
    picture_format_t picture;
    audio_format_t audio;
    char *soundfont; /* NULL: search */
    int threads;     /* of a sequence model; 0: the cores of the machine */
    gboolean quiet, version;
    char *corpus, *originality; /* score: folders of shards; NULL: not given */
    char *split;                /* score: a split_name(), "test" where NULL */
    char *meter;                /* as given; NULL: not given */
    meter_t bar_meter;          /* of new pieces; score: in place of the files'; numerator 0: not given */
    /* Score, without shards: as grid_set_tracks() reads them; NULL: all roles. Fill, accompany, vary: those
     * to write. */
    char *tracks;
    int steps_per_beat; /* the same; 0: not given */
    int seam;           /* score: frames from border to border; 0: not asked for */
};

/* Reads the command line, which stays as it is; verbs, ended by NULL, are those that there are. NULL with
 * OPTION_ERROR_USAGE set on bad usage: what was wrong and the way out. NULL without an error where --help or
 * --version was asked for and has been printed to standard output. Owner: caller. */
cli_t *cli_parse(const verb_t *const *verbs, int argc, char *const *argv, GError **error);
/* Call it once the model is known: checks that the verb and the options given mean something for its kind,
 * and sets the defaults that depend on it. FALSE with OPTION_ERROR_USAGE set: says why not, and what there is
 * instead. */
gboolean cli_fit(cli_t *cli, const model_config_t *model, GError **error);
/* Reads --meter: a verb_t's check(). */
gboolean cli_check_meter(cli_t *cli, const model_config_t *model, GError **error);
/* Adds "option: value" to texts for each option that decides what is made, defaults too; call it after
 * cli_fit(). With the draws and the songs this is all it takes to make a file again. */
void cli_add_texts(const cli_t *cli, GPtrArray *texts);
void cli_free(cli_t *cli);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(cli_t, cli_free)
