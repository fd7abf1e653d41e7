/* roll: notes onto the metrical grid and back, bit by bit. Owns the layout and the canonical form of a
 * roll, rounding, folding, and which track of the roll takes which role; which note has which role is decided
 * in roles.c. Refuses songs without a note that fits and songs of more than 2^24 frames.
 *
 * A pitched role that the grid has no track for goes to the nearest one that it has, in the order melody,
 * chords, bass, of two equally near ones to the upper (melody to chords, else bass; chords to melody, else
 * bass; bass to chords, else melody), and to the counter track last; the merged track takes all pitched
 * roles. There is a countermelody only where the grid has a track for it. Drums are played on the drums track
 * or left out, and are never folded by octaves: a drum's pitch is its instrument. */
#include "preprocess/roll/roll.h"

#include <string.h>

#include "preprocess/roll/roles.h"

G_DEFINE_QUARK(roll_error, roll_error)

enum { MAX_STRIDE = 16, TICKS_A_FRAME = 24, TICKS_A_BEAT = 480 };

static const struct {
    const char *name, *track_name;
    uint8_t program, channel;
} ROLES[ROLE_COUNT] = {
    [ROLE_MERGED] = {"merged", "piano", 0, 0},
    [ROLE_COUNTER] = {"counter", "counter", 48, 3}, /* strings */
    [ROLE_MELODY] = {"melody", "melody", 73, 0},    /* flute */
    [ROLE_CHORDS] = {"chords", "chords", 0, 1},     /* grand piano */
    [ROLE_BASS] = {"bass", "bass", 32, 2},          /* acoustic bass */
    [ROLE_DRUMS] = {"drums", "drums", 0, MIDI_DRUM_CHANNEL},
};

const char *role_name(role_t role) { return ROLES[role].name; }
uint8_t role_program(role_t role) { return ROLES[role].program; }
uint8_t role_channel(role_t role) { return ROLES[role].channel; }

/* ---- grid ---- */

grid_t grid_default(void) {
    return (grid_t){
        .steps_per_beat = 4, .pitch_low = 21, .pitches = 88, .n_tracks = 1, .roles = {ROLE_MERGED}};
}

gboolean grid_equal(const grid_t *a, const grid_t *b) {
    return a->steps_per_beat == b->steps_per_beat && a->pitch_low == b->pitch_low &&
           a->pitches == b->pitches && a->n_tracks == b->n_tracks &&
           memcmp(a->roles, b->roles, (size_t)a->n_tracks * sizeof *a->roles) == 0;
}

size_t grid_frame_bytes(const grid_t *grid) {
    return (size_t)grid->n_tracks * ROLL_PLANES * roll_stride((size_t)grid->pitches);
}

static gboolean refuse_tracks(GError **error, const char *tracks, const char *cause, const char *name) {
    g_set_error(error, ROLL_ERROR, ROLL_ERROR_TRACKS,
                "tracks \"%s\": %s%s; give \"merged\" or some of melody,counter,chords,bass,drums", tracks,
                cause, name);
    return FALSE;
}

gboolean grid_set_tracks(grid_t *grid, const char *tracks, GError **error) {
    g_auto(GStrv) names = g_strsplit(tracks, ",", -1);
    gboolean taken[ROLE_COUNT] = {FALSE};
    role_t roles[ROLL_MAX_TRACKS];
    int n = 0;
    for (char **name = names; *name; name++) {
        role_t role = 0;
        while (role < ROLE_COUNT && strcmp(g_strstrip(*name), ROLES[role].name) != 0) role++;
        if (role == ROLE_COUNT) return refuse_tracks(error, tracks, "no such role: ", *name);
        if (taken[role]) return refuse_tracks(error, tracks, "named twice: ", *name);
        taken[role] = TRUE;
        roles[n++] = role;
    }
    if (n == 0) return refuse_tracks(error, tracks, "no role", "");
    if (taken[ROLE_MERGED] && n > 1)
        return refuse_tracks(error, tracks, "other roles beside ", ROLES[ROLE_MERGED].name);
    memcpy(grid->roles, roles, sizeof roles[0] * (size_t)n);
    grid->n_tracks = n;
    return TRUE;
}

char *grid_tracks_string(const grid_t *grid) {
    GString *text = g_string_new(ROLES[grid->roles[0]].name);
    for (int i = 1; i < grid->n_tracks; i++) g_string_append_printf(text, ",%s", ROLES[grid->roles[i]].name);
    return g_string_free(text, FALSE);
}

static int track_of(const grid_t *grid, role_t role) {
    for (int i = 0; i < grid->n_tracks; i++)
        if (grid->roles[i] == role) return i;
    return -1;
}

/* The track that takes each role, or -1: see the top of this file. */
static void assign_tracks(const grid_t *grid, int track[ROLE_COUNT]) {
    enum { CHOICES = 5 };
    static const role_t nearest[ROLE_COUNT][CHOICES] = {
        [ROLE_MELODY] = {ROLE_MELODY, ROLE_CHORDS, ROLE_BASS, ROLE_COUNTER, ROLE_MERGED},
        [ROLE_CHORDS] = {ROLE_CHORDS, ROLE_MELODY, ROLE_BASS, ROLE_COUNTER, ROLE_MERGED},
        [ROLE_BASS] = {ROLE_BASS, ROLE_CHORDS, ROLE_MELODY, ROLE_COUNTER, ROLE_MERGED},
    };
    track[ROLE_MERGED] = track_of(grid, ROLE_MERGED);
    track[ROLE_DRUMS] = track_of(grid, ROLE_DRUMS);
    track[ROLE_COUNTER] = track_of(grid, ROLE_COUNTER);
    for (role_t role = ROLE_MELODY; role <= ROLE_BASS; role++) {
        track[role] = -1;
        for (int i = 0; i < CHOICES && track[role] < 0; i++) track[role] = track_of(grid, nearest[role][i]);
    }
}

/* ---- roll ---- */

roll_t *roll_new(size_t frames, size_t tracks, size_t pitches) {
    roll_t *roll = g_new(roll_t, 1);
    *roll = (roll_t){.frames = frames, .tracks = tracks, .pitches = pitches, .stride = roll_stride(pitches)};
    roll->bits = g_malloc0(frames * roll_frame_bytes(roll));
    return roll;
}

void roll_free(roll_t *roll) {
    if (!roll) return;
    g_free(roll->bits);
    g_free(roll);
}

void roll_copy(const roll_t *from, size_t first, size_t frames, roll_t *to, size_t at) {
    memcpy(roll_plane(to, at, 0, 0), roll_plane(from, first, 0, 0),
           frames * from->tracks * ROLL_PLANES * from->stride);
}

void roll_read_frame(const roll_t *roll, size_t frame, size_t planes, uint8_t *bits) {
    const size_t bytes = planes * roll->stride;
    for (size_t k = 0; k < roll->tracks; k++) memcpy(bits + k * bytes, roll_plane(roll, frame, k, 0), bytes);
}

void roll_write_frame(roll_t *roll, size_t frame, size_t planes, const uint8_t *bits) {
    const size_t bytes = planes * roll->stride;
    for (size_t k = 0; k < roll->tracks; k++) memcpy(roll_plane(roll, frame, k, 0), bits + k * bytes, bytes);
}

size_t roll_sounding_end(const roll_t *roll) {
    const size_t frame_bytes = roll->tracks * ROLL_PLANES * roll->stride;
    size_t bytes = roll->frames * frame_bytes;
    while (bytes > 0 && roll->bits[bytes - 1] == 0) bytes--;
    return (bytes + frame_bytes - 1) / frame_bytes;
}

size_t roll_count_bits(const uint8_t *bytes, size_t n) {
    size_t sum = 0;
    uint64_t word;
    for (; n >= sizeof word; n -= sizeof word, bytes += sizeof word) {
        memcpy(&word, bytes, sizeof word);
        if (word) sum += (size_t)__builtin_popcountll(word);
    }
    for (; n > 0; n--, bytes++)
        if (*bytes) sum += (size_t)__builtin_popcount(*bytes);
    return sum;
}

size_t roll_count_onsets(const uint8_t *bits, size_t frames, const grid_t *grid) {
    const size_t stride = roll_stride((size_t)grid->pitches), planes = frames * (size_t)grid->n_tracks;
    size_t sum = 0;
    for (size_t i = 0; i < planes; i++)
        sum += roll_count_bits(bits + (ROLL_PLANES * i + PLANE_ONSET) * stride, stride);
    return sum;
}

gboolean roll_get(const roll_t *roll, size_t frame, size_t track, int plane, size_t p) {
    return roll_plane(roll, frame, track, plane)[p / 8] >> (p % 8) & 1;
}

void roll_set(roll_t *roll, size_t frame, size_t track, int plane, size_t p) {
    roll_plane(roll, frame, track, plane)[p / 8] |= (uint8_t)(1u << (p % 8));
}

/* The bits of a plane's last byte that are pitches. */
static uint8_t last_byte_mask(size_t pitches) {
    return (uint8_t)(0xFF >> (8 * roll_stride(pitches) - pitches));
}

void roll_make_canonical(roll_t *roll) {
    for (size_t track = 0; track < roll->tracks; track++) {
        uint8_t before[MAX_STRIDE] = {0};
        for (size_t frame = 0; frame < roll->frames; frame++) {
            uint8_t *sounding = roll_plane(roll, frame, track, PLANE_SOUNDING),
                    *onset = roll_plane(roll, frame, track, PLANE_ONSET);
            sounding[roll->stride - 1] &= last_byte_mask(roll->pitches);
            onset[roll->stride - 1] &= last_byte_mask(roll->pitches);
            for (size_t i = 0; i < roll->stride; i++) {
                sounding[i] |= onset[i];
                onset[i] |= (uint8_t)(sounding[i] & ~before[i]);
                before[i] = sounding[i];
            }
        }
    }
}

/* ---- notes to roll ---- */

/* Where a note of the song goes. */
typedef struct {
    guint note;
    int track, p;
    int64_t first, end; /* frames, once notes and silence are cut */
} cell_t;

/* Sets the cell of a note; FALSE where it has none, which is counted. */
static gboolean place_note(const note_t *note, role_t role, const grid_t *grid, const int *track_of_role,
                           roll_counts_t *counts, cell_t *cell) {
    cell->track = track_of_role[role];
    if (cell->track < 0) {
        *(role == ROLE_DRUMS ? &counts->drums_left_out : &counts->role_left_out) += 1;
        return FALSE;
    }
    cell->p = note->pitch - grid->pitch_low;
    gboolean outside = cell->p < 0 || cell->p >= grid->pitches;
    if (outside && grid->fold_octaves && role != ROLE_DRUMS)
        cell->p =
            cell->p < 0 ? 11 - (-cell->p - 1) % 12 : grid->pitches - 12 + (cell->p - grid->pitches) % 12;
    if (cell->p < 0 || cell->p >= grid->pitches) {
        counts->out_of_range++;
        return FALSE;
    }
    if (outside) counts->folded++;
    counts->kept++;
    return TRUE;
}

/* Shortens and lengthens the notes, and returns their roles. Notes are cut before roles are decided, so that
 * no note that hangs decides one, and again after the pedal has lengthened them. */
static role_t *shape_notes(song_t *song, const grid_t *grid, const cut_t *cut, roll_counts_t *counts) {
    const guint n = song->notes->len;
    g_autofree gboolean *was_cut = g_new0(gboolean, n);
    if (cut && cut->max_note > 0) cut_notes(song, cut->max_note, was_cut);
    role_t *roles = roles_of_notes(song, track_of(grid, ROLE_COUNTER) >= 0);
    if (grid->sustain_pedal) {
        song_apply_pedal(song);
        if (cut && cut->max_note > 0) cut_notes(song, cut->max_note, was_cut);
    }
    for (guint i = 0; i < n; i++) counts->notes_cut += was_cut[i] ? 1 : 0;
    return roles;
}

/* A cell for each note that has a place. Silence is where none of these sounds. */
static GArray *place_notes(song_t *song, const grid_t *grid, const cut_t *cut, roll_counts_t *counts) {
    int track_of_role[ROLE_COUNT];
    cell_t cell = {0};
    GArray *cells = g_array_new(FALSE, FALSE, sizeof(cell_t));
    g_autofree role_t *roles = shape_notes(song, grid, cut, counts);
    g_autofree gboolean *placed = g_new(gboolean, song->notes->len);
    assign_tracks(grid, track_of_role);
    for (cell.note = 0; cell.note < song->notes->len; cell.note++) {
        const note_t *note = &g_array_index(song->notes, note_t, cell.note);
        placed[cell.note] = place_note(note, roles[cell.note], grid, track_of_role, counts, &cell);
        if (placed[cell.note]) g_array_append_val(cells, cell);
    }
    if (cells->len > 0 && cut && cut->max_silence > 0)
        counts->silence_cut = cut_silences(song, cut->max_silence, placed);
    return cells;
}

/* Gives the cells their frames, one at least; returns how many frames the song has. */
static int64_t set_frames(const song_t *song, const grid_t *grid, GArray *cells) {
    int64_t frames = song_frame(song, song->ticks, grid->steps_per_beat);
    for (guint i = 0; i < cells->len; i++) {
        cell_t *cell = &g_array_index(cells, cell_t, i);
        const note_t *note = &g_array_index(song->notes, note_t, cell->note);
        cell->first = song_frame(song, note->onset, grid->steps_per_beat);
        cell->end = MAX(song_frame(song, note->onset + note->length, grid->steps_per_beat), cell->first + 1);
        frames = MAX(frames, cell->end);
    }
    return frames;
}

static void draw_note(roll_t *roll, const cell_t *cell, roll_counts_t *counts) {
    const size_t first = (size_t)cell->first, track = (size_t)cell->track;
    counts->merged += roll_get(roll, first, track, PLANE_ONSET, (size_t)cell->p) ? 1 : 0;
    roll_set(roll, first, track, PLANE_ONSET, (size_t)cell->p);
    const uint8_t bit = (uint8_t)(1u << (cell->p % 8));
    uint8_t *byte = roll_plane(roll, first, track, PLANE_SOUNDING) + cell->p / 8;
    for (int64_t frame = cell->first; frame < cell->end; frame++, byte += roll_frame_bytes(roll))
        *byte |= bit;
}

/* The order of onsets in a roll; of notes that share one the loudest is first, or the earliest of those. */
static int compare_cells(gconstpointer a, gconstpointer b, gpointer data) {
    const cell_t *x = a, *y = b;
    const song_t *song = data;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    if (x->track != y->track) return x->track - y->track;
    if (x->p != y->p) return x->p - y->p;
    const int louder = g_array_index(song->notes, note_t, y->note).velocity -
                       g_array_index(song->notes, note_t, x->note).velocity;
    return louder ? louder : (x->note > y->note) - (x->note < y->note);
}

static void append_played(const song_t *song, const grid_t *grid, GArray *cells, GArray *played) {
    g_array_sort_with_data(cells, compare_cells, (gpointer)song);
    for (guint i = 0; i < cells->len; i++) {
        const cell_t *cell = &g_array_index(cells, cell_t, i);
        if (i > 0 && cell[-1].first == cell->first && cell[-1].track == cell->track && cell[-1].p == cell->p)
            continue;
        const note_t *note = &g_array_index(song->notes, note_t, cell->note);
        const played_t how = played_of_note(song, note, grid->steps_per_beat);
        g_array_append_val(played, how);
    }
}

static void find_programs(const song_t *song, const grid_t *grid, const GArray *cells, uint8_t *programs) {
    enum { PROGRAMS = 128 };
    guint counts[ROLL_MAX_TRACKS][PROGRAMS] = {0};
    for (int track = 0; track < grid->n_tracks; track++) programs[track] = role_program(grid->roles[track]);
    for (guint i = 0; i < cells->len; i++) {
        const cell_t *cell = &g_array_index(cells, cell_t, i);
        const uint8_t program = g_array_index(song->notes, note_t, cell->note).program % PROGRAMS;
        guint *of_track = counts[cell->track];
        if (++of_track[program] > of_track[programs[cell->track]]) programs[cell->track] = program;
    }
}

roll_t *roll_from_song(song_t *song, const grid_t *grid, const cut_t *cut, roll_counts_t *counts,
                       GArray *played, GError **error) {
    *counts = (roll_counts_t){0};
    g_autoptr(GArray) cells = place_notes(song, grid, cut, counts);
    find_programs(song, grid, cells, counts->programs);
    if (cells->len == 0) {
        g_set_error(error, ROLL_ERROR, ROLL_ERROR_EMPTY,
                    "no notes left of %u (out of range %zu, drums %zu, other roles %zu)", song->notes->len,
                    counts->out_of_range, counts->drums_left_out, counts->role_left_out);
        return NULL;
    }
    const int64_t frames = set_frames(song, grid, cells);
    if (frames > ROLL_MAX_FRAMES) {
        g_set_error(error, ROLL_ERROR, ROLL_ERROR_TOO_LONG, "%" G_GINT64_FORMAT " frames long, more than %d",
                    frames, ROLL_MAX_FRAMES);
        return NULL;
    }
    roll_t *roll = roll_new((size_t)frames, (size_t)grid->n_tracks, (size_t)grid->pitches);
    for (guint i = 0; i < cells->len; i++) draw_note(roll, &g_array_index(cells, cell_t, i), counts);
    if (played) append_played(song, grid, cells, played);
    return roll;
}

/* ---- roll to notes ---- */

/* Appends the notes of one pitch of one track. */
static void append_notes(song_t *song, const roll_t *roll, size_t track, size_t p, note_t note,
                         int64_t ticks_per_frame) {
    for (size_t frame = 0; frame < roll->frames;) {
        size_t first = frame++;
        if (!roll_get(roll, first, track, PLANE_SOUNDING, p)) continue;
        while (frame < roll->frames && roll_get(roll, frame, track, PLANE_SOUNDING, p) &&
               !roll_get(roll, frame, track, PLANE_ONSET, p))
            frame++;
        note.onset = (int64_t)first * ticks_per_frame;
        note.length = (int64_t)(frame - first) * ticks_per_frame;
        g_array_append_val(song->notes, note);
    }
}

song_t *roll_to_song(const roll_t *roll, const grid_t *grid, const timeline_t *timeline) {
    int unit = TICKS_A_FRAME * grid->steps_per_beat;
    song_t *song = song_new((TICKS_A_BEAT + unit - 1) / unit * unit);
    int64_t ticks_per_frame = song->ticks_per_beat / grid->steps_per_beat;
    timeline_to_song(timeline, song);
    song->ticks = (int64_t)roll->frames * ticks_per_frame;
    for (size_t track = 0; track < roll->tracks; track++) {
        role_t role = grid->roles[track];
        g_ptr_array_add(song->track_names, g_strdup(ROLES[role].track_name));
        for (size_t p = 0; p < roll->pitches; p++) {
            note_t note = {.pitch = (uint8_t)((size_t)grid->pitch_low + p),
                           .velocity = PLAYED_VELOCITY,
                           .channel = role_channel(role),
                           .program = role_program(role),
                           .track = (uint16_t)track};
            append_notes(song, roll, track, p, note, ticks_per_frame);
        }
    }
    song_sort_notes(song);
    return song;
}
