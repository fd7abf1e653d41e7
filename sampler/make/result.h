/* result: a roll becomes files: NAME.mid, and where asked for NAME.png or NAME.svg, and NAME.wav, NAME.flac
 * or NAME.ogg. Prints each path on standard output, a line about the piece on standard error unless quiet. */
#ifndef MPIANIST_SAMPLER_MAKE_RESULT_H
#define MPIANIST_SAMPLER_MAKE_RESULT_H

#include "sampler/command/cli.h"
#include "sampler/make/sample.h"

#define RESULT_ERROR result_error_quark()
GQuark result_error_quark(void);
typedef enum { RESULT_ERROR_WRITE } result_error_t;

/* Where results go and how; nothing owned. */
typedef struct {
    const cli_t *cli;
    const sample_model_t *model;
    const char *soundfont; /* NULL: no sound */
    const real_t *latents; /* [n, Z]: --latent; NULL: not given */
    const real_t *shift;   /* [Z]: what --more and --less add to latent vectors; NULL: nothing */
} result_writer_t;

/* Creates cli->output. FALSE with error set. */
gboolean result_make_folder(const cli_t *cli, GError **error);

/* The text events that tell how a result was made, as "key: value": tool, verb, checkpoint, result (`index`,
 * where > 0), the options (cli_add_texts()), threshold or draws. More may be added. Owner: caller. */
GPtrArray *result_texts(const result_writer_t *writer, size_t index);
/* Adds "key: value". */
void result_add_text(GPtrArray *texts, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Adds "latent: ..." or, of n > 1 windows, "latent 1: ..." and so on. z [n, Z]. */
void result_add_latents(GPtrArray *texts, const real_t *z, size_t n, size_t Z);

/* Adds "given: ...": z [Z] of --latent where the latent is another, moved by --more or --less. */
void result_add_given(GPtrArray *texts, const real_t *z, size_t Z);

/* "4/4", or the meters in order, each once: "4/4, 3/4, 6/8". Owner: caller. */
char *result_meters_text(const timeline_t *timeline);

/* Writes one piece, in the tempi and meters of timeline, as far as it goes. The texts are copied. FALSE with
 * error set: file, cause, way out. */
gboolean result_write(const result_writer_t *writer, const char *name, const char *title, const roll_t *roll,
                      const timeline_t *timeline, const GPtrArray *texts, GError **error);

/* Writes n pieces of one shape as one: end to end, each filled up to whole bars, and, where pictures are
 * asked for, as a sheet with a label each. */
gboolean result_write_sheet(const result_writer_t *writer, const char *name, const char *title,
                            roll_t *const *rolls, char *const *labels, size_t n, const timeline_t *timeline,
                            const GPtrArray *texts, GError **error);

/* Writes a picture to OUTPUT/NAME.png or .svg and prints its path. Takes picture, which may be NULL with
 * error set: returns FALSE then. */
gboolean result_write_picture(const cli_t *cli, const char *name, GBytes *picture, GError **error);

#endif
