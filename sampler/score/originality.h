/* originality: the longest passage that a piece shares with songs, in any transposition.
 *
 * A piece is read as events: the frames in which keys begin to sound, with the keys that do. The tracks in
 * question are read as one, drums left out: a key that another track holds already, or that is struck again
 * while it sounds, begins nothing. A passage is a run of two events or more: two passages are the same where
 * their events lie the same number of frames apart and begin the same keys, all moved by the same number of
 * semitones. When keys end does not count; silence between events counts only as the time that it takes, so
 * that neither silence nor a held chord makes a passage.
 *
 * Each step from event to event is one symbol (frames, semitones from lowest key to lowest key, shapes of
 * both events), equal for all transpositions; a suffix automaton of all songs' symbols (Blumer et al. 1985,
 * "The smallest automaton recognizing the subwords of a text") gives the longest passage in one walk over the
 * piece's. Time and memory are linear: about 200 bytes an event of the songs, no matter how repetitive they
 * are. */
#pragma once

#include "preprocess/roll/roll.h"

typedef struct originality originality_t;

/* The songs that pieces are compared with; tracks: bit k for track k of the grid. NULL with error set where
 * memory does not suffice. The rolls may go afterwards. Owner: caller. */
originality_t *originality_new(const roll_t *const *rolls, size_t n, const grid_t *grid, guint tracks,
                               GError **error);
void originality_free(originality_t *originality);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(originality_t, originality_free)

typedef struct {
    size_t events;       /* 2 or more; 0: nothing is shared, and all below but piece_events is 0 */
    size_t notes;        /* keys begun in them */
    size_t frames;       /* from its first event to its last, both included */
    size_t first;        /* frame of the piece at which it begins */
    size_t song;         /* index in rolls of a song that has it */
    size_t song_first;   /* frame there */
    int semitones;       /* by how much the piece is higher than the song */
    size_t piece_events; /* of the whole piece */
} passage_t;

/* The passage of most events, of several the piece's first. roll: on the grid of the songs. */
passage_t originality_find(const originality_t *originality, const roll_t *roll);
