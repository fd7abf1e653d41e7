/* song_file: what becomes of one input file: parsed in a worker, laid on the grid, hashed; or dropped with a
 * reason. */
#pragma once

#include "preprocess/corpus/worker.h"
#include "preprocess/roll/roll.h"

#define SONG_FILE_REASON_BYTES 192

/* What was parsed of a file. Plain bytes: it travels through pipes and the cache as it is. */
typedef struct {
    gboolean kept;
    char reason[SONG_FILE_REASON_BYTES]; /* why not kept, UTF-8; "" where kept */
    char sha256[65];                     /* of the file; "" where it could not be read */
    char content[65];                    /* SHA-256 of the canonical roll */
    /* The same for the roll transposed as low as it goes, where drums stay: equal for transposed copies. */
    char shape[65];
    int64_t frames;
    roll_counts_t counts;
    size_t notes[ROLL_MAX_TRACKS]; /* onsets in the roll, by track */
    played_sums_t played;          /* over them */
    double tempo_bpm;
    meter_t meter;
    guint tempi, meters; /* rows of its timeline; 0 where not kept */
    midi_reading_t reading;
} song_file_t;

/* How files are laid on the grid. */
typedef struct {
    grid_t grid;
    cut_t cut;
    meter_t meter; /* takes the place of the files' meters; numerator 0: does not */
} layout_t;

/* A worker that reads files: give it paths by worker_give(), and take what became of each by
 * song_file_take(). layout must outlive it. */
worker_t *song_file_worker_new(const layout_t *layout, const worker_limits_t *limits);

/* What was parsed of the file that the worker was given. *music: where kept, the bytes of its timeline, of
 * its roll and of how that was played (played_t of each onset), one after the other (owner: caller,
 * g_byte_array_unref()), else NULL. A file that cannot be read,
 * is no MIDI file, crashes, hangs or takes too much memory is not kept. FALSE with error set only where no
 * process could be started (WORKER_ERROR_FORK). */
gboolean song_file_take(worker_t *worker, song_file_t *parsed, GByteArray **music, GError **error);

/* How many bytes of the music are the timeline, and that timeline. Owner: caller. */
size_t song_file_timeline_bytes(const song_file_t *parsed);
timeline_t *song_file_timeline(const song_file_t *parsed, int steps_per_beat, const uint8_t *music);

/* How many bytes of it come before the played_t. */
size_t song_file_played_at(const song_file_t *parsed, const grid_t *grid);

/* All of that for a single file: returns its roll, cut as by default, and sets what was parsed, its timeline
 * and, unless NULL, how each of its onsets was played. NULL with error set (path and cause), also where the
 * file is not kept. Owner of roll, timeline and played (g_free()): caller. */
roll_t *song_file_read_roll(const char *path, const grid_t *grid, song_file_t *parsed, timeline_t **timeline,
                            played_t **played, GError **error);
