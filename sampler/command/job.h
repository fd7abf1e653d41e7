/* job: what one command makes, and what its verbs share: the model and its kind, parts of songs, pieces,
 * names and texts of results. A verb says what is made; a kind of model says how: kind_dense.c,
 * kind_sequence.c. */
#pragma once

#include "preprocess/common/progress.h"
#include "sampler/command/cli.h"
#include "sampler/make/compose.h"
#include "sampler/make/result.h"
#include "sampler/make/sample.h"
#include "trainer/model/performer.h"

/* Part of a song on the model's grid: from --bar on. */
typedef struct {
    roll_t *roll;         /* the whole song */
    double tempo_bpm;     /* the song's main one, or --tempo */
    meter_t meter;        /* its main one */
    size_t first, frames; /* of the roll */
    timeline_t *timeline; /* from `first` on, by which the part's bars are counted */
    gboolean whole;       /* of a dense model: all windows of the song, not the first one */
    gboolean whole_bars;  /* of a sequence model: to be filled up to its last bar's end */
    size_t n;             /* latent vectors: of windows (dense) or of segments (sequence) */
    real_t *mu;           /* [n, Z]: their posterior means */
} part_t;
void part_clear(part_t *part);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(part_t, part_clear)

/* How a kind of model does what the verbs ask for. */
typedef struct {
    gboolean (*open)(job_t *job, GError **error);
    /* How many frames a part that begins at part->first has. path: of the song, for messages. */
    size_t (*measure)(const job_t *job, const char *path, const part_t *part);
    /* Sets n and mu of a part, and its frames where --bars are asked for. May free part->roll. */
    void (*encode)(const job_t *job, const char *path, part_t *part);
    /* The piece, canonical; the latent vectors decided on before it was made are added to z (real_t). NULL
     * with error set. Owner: caller. */
    roll_t *(*make)(job_t *job, const compose_piece_t *piece, GArray *z, GError **error);
} kind_t;
extern const kind_t kind_dense, kind_sequence;

struct job {
    const cli_t *cli;
    const sample_model_t *model;
    const kind_t *kind;
    result_writer_t writer;
    const real_t *latents;  /* [n, Z]: --latent; NULL: not given */
    const real_t *shift;    /* [Z]: what --more and --less add to latent vectors; NULL: nothing */
    gboolean path;          /* of a dense model: windows that follow a path and overlap */
    compose_t *compose;     /* of a sequence model */
    performer_t *performer; /* plays what is made; NULL: it is typed */
    progress_t progress;
    size_t done, total; /* frames */
    struct {
        size_t rows[SAMPLE_BATCH], n; /* in which pieces may be; n = 0: not yet known */
        size_t first, end;            /* numbers of the pieces that are in them */
    } batch;                          /* of a dense model: pieces that were decoded together */
};

gboolean job_is_dense(const job_t *job);
/* The timeline of pieces that come from no song: tempo and meter of the training songs, or --tempo and
 * --meter. Owner: caller. */
timeline_t *job_own_timeline(const job_t *job);

/* Opens the part of a song that the command line asks for, not yet encoded; free it by part_clear(). FALSE
 * with error set; OPTION_ERROR_USAGE where the song has no such --bar. */
gboolean job_open_part(const job_t *job, const char *path, part_t *part, GError **error);
/* The same, encoded. */
gboolean job_read_part(const job_t *job, const char *path, part_t *part, GError **error);

/* Plans a piece as the command line has it, with the meters of timeline, which must outlive it: job_plan()
 * without latents of its own, job_plan_part() with the latents and the timeline of a part. */
compose_piece_t job_plan(job_t *job, size_t index, size_t frames, const timeline_t *timeline);
compose_piece_t job_plan_part(job_t *job, size_t index, const part_t *part);
/* Makes a piece, as kind_t's make(). */
roll_t *job_make(job_t *job, const compose_piece_t *piece, GArray *z, GError **error);
/* Makes a piece and writes it as NAME; adds its latents to texts. FALSE with error set. */
gboolean job_write_piece(job_t *job, const compose_piece_t *piece, const char *name, const char *title,
                         const timeline_t *timeline, GPtrArray *texts, GError **error);
/* Writes a roll as NAME, transposed where --key is given, which is added to texts. FALSE with error set. */
gboolean job_write(job_t *job, const char *name, const char *title, roll_t *roll, const timeline_t *timeline,
                   GPtrArray *texts, GError **error);

/* How the model plays a roll; NULL where it does not. A result_player_t of a job. */
played_t *job_perform(void *job, const roll_t *roll, meters_t meters);
/* Says so in texts, if it does. */
void job_add_performance(const job_t *job, GPtrArray *texts);

/* The text events that tell how a result was made, as "key: value": tool, verb, checkpoint, result (`index`,
 * where > 0), the options (cli_add_texts()), threshold or draws. More may be added. job_texts_given(): all
 * but the last. Owner: caller. */
GPtrArray *job_texts(const job_t *job, size_t index);
GPtrArray *job_texts_given(const job_t *job, size_t index);
/* Adds "key: value". */
void job_add_text(GPtrArray *texts, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Adds "latent: ..." or, of n > 1 vectors, "latent 1: ..." and so on. z [first + n Z]: they begin at
 * first. */
void job_add_latents(const job_t *job, GPtrArray *texts, const GArray *z, guint first);

/* File name without folder and ending. Owner: caller. */
char *job_stem(const char *path);
