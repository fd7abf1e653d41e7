/* roll: notes <-> bit-packed piano roll on the metrical grid; track roles; transposition.
 *
 * A frame is 1 / steps_per_beat of a quarter note, whatever the tempo. Layout [frames, tracks, ROLL_PLANES,
 * stride] uint8, where stride = ceil(pitches / 8) and pitch pitch_low + p is bit (p % 8) of byte p / 8
 * (numpy: unpackbits(..., bitorder="little")). Canonical form: an onset bit implies its sounding bit, and a
 * sounding bit after a silent frame implies an onset bit. */
#pragma once

#include "preprocess/roll/cut.h"
#include "preprocess/roll/played.h"
#include "preprocess/roll/timeline.h"

enum { PLANE_SOUNDING = 0, PLANE_ONSET = 1, ROLL_PLANES = 2 };
#define ROLL_MAX_TRACKS 8
#define ROLL_MAX_FRAMES (1 << 24)

/* What a track of the roll holds. ROLE_MERGED: all pitched channels in one roll, drums left out and counted.
 * ROLE_COUNTER: a second melody. */
typedef enum {
    ROLE_MERGED,
    ROLE_COUNTER,
    ROLE_MELODY,
    ROLE_CHORDS,
    ROLE_BASS,
    ROLE_DRUMS,
    ROLE_COUNT
} role_t;

typedef struct {
    int steps_per_beat;     /* 1..96 */
    int pitch_low;          /* MIDI pitch of bit 0 */
    int pitches;            /* 1..128, pitch_low + pitches <= 128 */
    gboolean fold_octaves;  /* TRUE: notes outside are moved in by octaves; FALSE: dropped and counted */
    gboolean sustain_pedal; /* TRUE: song_apply_pedal() first */
    int n_tracks;           /* 1..ROLL_MAX_TRACKS */
    role_t roles[ROLL_MAX_TRACKS];
} grid_t;

typedef struct {
    size_t frames, tracks, pitches, stride;
    uint8_t *bits; /* owned, frames * roll_frame_bytes() */
} roll_t;

typedef struct {
    /* Notes. Those folded are also kept; role_left_out: pitched notes where the grid has drums alone. */
    size_t kept, out_of_range, folded, drums_left_out, role_left_out;
    size_t merged, notes_cut;          /* kept, but sharing an earlier one's onset; cut to cut_t's max_note */
    int64_t silence_cut;               /* bars taken out */
    uint8_t programs[ROLL_MAX_TRACKS]; /* of most notes of each track; the role's where it has none */
} roll_counts_t;

#define ROLL_ERROR roll_error_quark()
GQuark roll_error_quark(void);
typedef enum { ROLL_ERROR_TRACKS, ROLL_ERROR_EMPTY, ROLL_ERROR_TOO_LONG } roll_error_t;

/* 4 steps a beat, 88 pitches from 21, merged. */
grid_t grid_default(void);
/* Whether rolls of both have the same frames, pitches and tracks. */
gboolean grid_equal(const grid_t *a, const grid_t *b);
/* Bytes of one plane of one frame: the stride of its bits. */
static inline size_t roll_stride(size_t pitches) { return (pitches + 7) / 8; }
/* Bytes of one frame: tracks * planes * stride. */
size_t grid_frame_bytes(const grid_t *grid);
/* "merged" or a comma list of roles ("melody,chords,bass,drums") -> grid->roles. FALSE with ROLL_ERROR_TRACKS
 * set. */
gboolean grid_set_tracks(grid_t *grid, const char *tracks, GError **error);
/* The inverse; owner: caller. */
char *grid_tracks_string(const grid_t *grid);
const char *role_name(role_t role);
/* General MIDI program and channel that a role is written with. */
uint8_t role_program(role_t role);
uint8_t role_channel(role_t role);

/* A silent roll; pitches <= 128. Owner: caller, roll_free(). */
roll_t *roll_new(size_t frames, size_t tracks, size_t pitches);
void roll_free(roll_t *roll);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(roll_t, roll_free)
/* Bytes of one frame: tracks * planes * stride. */
static inline size_t roll_frame_bytes(const roll_t *roll) {
    return roll->tracks * ROLL_PLANES * roll->stride;
}
/* A frame's plane [stride] of one track. */
static inline uint8_t *roll_plane(const roll_t *roll, size_t frame, size_t track, int plane) {
    return roll->bits + ((frame * roll->tracks + track) * ROLL_PLANES + (size_t)plane) * roll->stride;
}
/* Copies frames from `first` on into a roll of the same tracks and pitches, from `at` on. */
void roll_copy(const roll_t *from, size_t first, size_t frames, roll_t *to, size_t at);
/* Read and write the first `planes` planes of a frame, as bits [tracks, planes, stride]. */
void roll_read_frame(const roll_t *roll, size_t frame, size_t planes, uint8_t *bits);
void roll_write_frame(roll_t *roll, size_t frame, size_t planes, const uint8_t *bits);
/* Frames up to the end of the last sound. */
size_t roll_sounding_end(const roll_t *roll);
/* Bits set in n bytes. */
size_t roll_count_bits(const uint8_t *bytes, size_t n);
/* Onsets in so many frames of a grid. */
size_t roll_count_onsets(const uint8_t *bits, size_t frames, const grid_t *grid);
/* Read and set one bit; p: pitches above the grid's lowest. */
gboolean roll_get(const roll_t *roll, size_t frame, size_t track, int plane, size_t p);
void roll_set(roll_t *roll, size_t frame, size_t track, int plane, size_t p);

/* Notes to roll. Frames = end of song, rounded to the grid, at least the last note's end. A note takes at
 * least one frame; ticks round to the nearest frame, halves up; notes of one pitch and track that overlap
 * give the union of their frames, with all their onsets. Which note has which role: roles.c; which track
 * takes it: roll.c. The song is changed: the pedal is applied, notes and silences are as long as cut allows
 * (NULL: as they are; silence is where no note of the roll sounds). Returns NULL with ROLL_ERROR_EMPTY (no
 * note kept) or ROLL_ERROR_TOO_LONG (more than 2^24 frames) set; counts is filled either way. played, unless
 * NULL: a played_t of each onset is appended, of notes that share one the loudest's. */
roll_t *roll_from_song(song_t *song, const grid_t *grid, const cut_t *cut, roll_counts_t *counts,
                       GArray *played, GError **error);

/* Brings a roll into canonical form in place (see above): what sampled bits need before they become notes. An
 * onset makes its frame sound, a sounding bit after silence makes an onset, bits past the last pitch are
 * cleared. */
void roll_make_canonical(roll_t *roll);

/* Canonical roll to notes: a note from each onset to the frame before the next onset or silence. A frame has
 * 24 ticks or more, each role a track with its name, program and channel; the tempi and meters are
 * timeline's; no zero-length, overlapping or hanging notes; ends after the last frame. roll_from_song() of
 * the result gives the same bits, also after writing and reading (but refuses the song of a silent roll).
 * Owner: caller. */
song_t *roll_to_song(const roll_t *roll, const grid_t *grid, const timeline_t *timeline);

/* One frame's plane shifted by semitones (may be negative): bits shifted past the edge are lost; see
 * roll_pitch_range() to avoid that. from and to: stride bytes, may not overlap. */
void roll_shift_plane(const uint8_t *from, uint8_t *to, size_t pitches, int semitones);

/* Lowest and highest bit set in so many frames over all tracks but drums; FALSE where there is none. */
gboolean roll_pitch_range(const uint8_t *bits, size_t frames, const grid_t *grid, int *lowest, int *highest);
