/* verb: what the verbs of both kinds of model have in common. Private to verbs.c, verbs_window.c (the dense model: windows) and verbs_piece.c (the sequence model:
 * pieces). */
#ifndef MPIANIST_SAMPLER_VERB_H
#define MPIANIST_SAMPLER_VERB_H

#include "sampler/result.h"

#define VERB_TRAVERSE_END 3 /* standard deviations of the prior */

/* Makes and writes what the command line asks for. FALSE with error set. */
typedef gboolean (*verb_write_t)(const result_writer_t *writer, GError **error);
/* NULL: cli_fit() lets none through. */
extern const verb_write_t verbs_window[VERB_COUNT], verbs_piece[VERB_COUNT];

/* Of what has no song: tempo (or --tempo) and meter of the training songs. */
result_time_t verb_own_time(const result_writer_t *writer);
/* A song on the model's grid, with its tempo (or --tempo) and meter. NULL with error set. Owner: caller. */
roll_t *verb_read_song(const result_writer_t *writer, const char *path, result_time_t *time, GError **error);
/* Frames of so many bars, rounded up. */
size_t verb_bars_frames(const result_writer_t *writer, result_time_t time, double bars);
/* The frame at which --bar of a song begins. FALSE with CLI_ERROR_USAGE set where the song is over by then. */
gboolean verb_first_frame(const result_writer_t *writer, const char *path, const roll_t *roll, result_time_t time, size_t *first, GError **error);
/* --key: transposes roll and adds to texts what was done. Does nothing where it is not given. name: of the result. */
void verb_set_key(const result_writer_t *writer, const char *name, roll_t *roll, GPtrArray *texts);

/* File name without folder and ending. Owner: caller. */
char *verb_stem(const char *path);
/* "VERB-STEM", of the i-th file: with "-i" where names has it already: two songs of one name from two folders. Added to names. Owner: caller. */
char *verb_song_name(const result_writer_t *writer, guint i, GHashTable *names);

#endif
