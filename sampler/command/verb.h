/* verb: what the verbs of both kinds of model have in common. Private to verbs.c, verbs_window.c (the dense
 * model: windows) and verbs_piece.c (the sequence model: pieces). */
#ifndef MPIANIST_SAMPLER_COMMAND_VERB_H
#define MPIANIST_SAMPLER_COMMAND_VERB_H

#include "sampler/make/result.h"

#define VERB_TRAVERSE_END 3 /* standard deviations of the prior */

/* Makes and writes what the command line asks for. FALSE with error set. */
typedef gboolean (*verb_write_t)(const result_writer_t *writer, GError **error);
/* NULL: cli_fit() lets none through. */
extern const verb_write_t verbs_window[VERB_COUNT], verbs_piece[VERB_COUNT];

/* Of what has no song: tempo (or --tempo) and meter of the training songs. Owner: caller. */
timeline_t *verb_own_timeline(const result_writer_t *writer);

/* A song on the model's grid. */
typedef struct {
    roll_t *roll;
    timeline_t *timeline; /* its own; --tempo takes the place of its tempi */
    double tempo_bpm;     /* its main ones; or --tempo */
    meter_t meter;
} verb_song_t;
/* FALSE with error set. Owner: caller. */
gboolean verb_read_song(const result_writer_t *writer, const char *path, verb_song_t *song, GError **error);
void verb_song_clear(verb_song_t *song);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(verb_song_t, verb_song_clear)
/* The timeline from a's frame a_first on that both songs share for so many frames; where they differ, a's
 * main tempo and meter. Owner: caller. */
timeline_t *verb_common_timeline(const verb_song_t *a, size_t a_first, const verb_song_t *b, size_t b_first,
                                 size_t frames);

/* Frames of so many bars, rounded up. */
size_t verb_bars_frames(const timeline_t *timeline, size_t bars);
/* Bars that so many frames take, a last one that is cut short too. */
size_t verb_bars_of(const timeline_t *timeline, size_t frames);
/* The frame at which --bar of a song begins. FALSE with OPTION_ERROR_USAGE set where the song is over by then.
 */
gboolean verb_first_frame(const result_writer_t *writer, const char *path, const verb_song_t *song,
                          size_t *first, GError **error);
/* --key: transposes roll and adds to texts what was done. Does nothing where it is not given. name: of the
 * result. */
void verb_set_key(const result_writer_t *writer, const char *name, roll_t *roll, GPtrArray *texts);

/* File name without folder and ending. Owner: caller. */
char *verb_stem(const char *path);
/* "VERB-STEM", of the i-th file: with "-i" where names has it already: two songs of one name from two
 * folders. Added to names. Owner: caller. */
char *verb_song_name(const result_writer_t *writer, guint i, GHashTable *names);

#endif
