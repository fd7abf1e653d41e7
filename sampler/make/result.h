/* result: a roll becomes files: NAME.mid, and where asked for NAME.png or NAME.svg, and NAME.wav, NAME.flac
 * or NAME.ogg. Prints each path on standard output, a line about the piece on standard error unless quiet.
 * Files have their names once they are whole; that they stay, whatever happens to the machine, is
 * result_sync()'s matter, once for all. */
#pragma once

#include "preprocess/roll/roll.h"
#include "sampler/show/audio.h"
#include "sampler/show/picture.h"

/* Where results go and how; nothing owned. */
typedef struct {
    const char *folder;
    char *const *songs; /* files that are not replaced, NULL-terminated */
    const grid_t *grid; /* of the rolls */
    picture_format_t picture;
    audio_format_t audio;
    const char *soundfont;   /* NULL: no sound */
    const char *silence;     /* what is said of a piece that has no notes */
    const uint8_t *programs; /* General MIDI, of each track but drums; NULL: the roles' */
    const roll_t *given;     /* of the roll written, for its picture: picture_roll(); NULL: none */
    double perform;          /* how far pieces are played as they are said to be: played_to_song() */
    gboolean quiet;
    GPtrArray *written; /* char *: paths of the files written so far, for result_sync() */
} result_writer_t;

/* Creates the folder. FALSE with error set. */
gboolean result_make_folder(const result_writer_t *writer, GError **error);

/* Makes sure that all that was written is on disk. FALSE with error set: file or folder, cause, way out. */
gboolean result_sync(const result_writer_t *writer, GError **error);

/* "4/4", or the meters in order, each once: "4/4, 3/4, 6/8". Owner: caller. */
char *result_meters_text(const timeline_t *timeline);

/* Writes one piece, in the tempi and meters of timeline, as far as it goes, its onsets played so, or typed
 * where played is NULL; texts, which are copied, become
 * the MIDI file's text events. FALSE with error set: file, cause, way out; OPTION_ERROR_USAGE where one of
 * the songs would be replaced. */
gboolean result_write(const result_writer_t *writer, const char *name, const char *title, const roll_t *roll,
                      const played_t *played, const timeline_t *timeline, const GPtrArray *texts,
                      GError **error);

/* How the onsets of a roll with these meters are played; NULL: typed. Owner: caller. */
typedef played_t *(*result_player_t)(void *data, const roll_t *roll, meters_t meters);

/* Writes n pieces of one shape as one: end to end, each filled up to whole bars, played by player unless it
 * is NULL, and, where pictures are asked for, as a sheet with a label each. */
gboolean result_write_sheet(const result_writer_t *writer, const char *name, const char *title,
                            roll_t *const *rolls, char *const *labels, size_t n, const timeline_t *timeline,
                            const GPtrArray *texts, result_player_t player, void *data, GError **error);

/* Writes a picture to FOLDER/NAME.png or .svg and returns its path. Takes picture, which may be NULL with
 * error set: returns NULL then. Owner: caller. */
char *result_save_picture(const result_writer_t *writer, const char *name, GBytes *picture, GError **error);
/* The same, and prints the path. */
gboolean result_write_picture(const result_writer_t *writer, const char *name, GBytes *picture,
                              GError **error);
