/* roles: which notes are melody, countermelody, chords, bass, drums. Notes are judged in groups, one for each
 * track, channel and program, so that a track that changes its instrument may change its role; channel 10 is
 * one group whatever its programs. The first rule that speaks wins:
 *
 * 1. Channel 10 is drums, whatever the track is called: every player sounds it so.
 * 2. The track's name, where all its pitched notes are on one channel, by the beginnings of its words, in
 *    this order: drums (drum, perc, kit ...), bass (bass, but not bassoon), chords (chord, accomp, backing,
 *    rhythm, harmony, pad, string ...), where the grid has a counter track counter (counter, bridge,
 *    obbligat), melody (melod, lead, vocal, voice, solo ...). Only a name tells a countermelody: register and
 *    texture are a melody's. Where the track changes its instrument, rule 3 comes before this one.
 * 3. The General MIDI program: 33-40 basses: bass; 81-88 synth leads: melody; 49-52 string ensembles and
 *    89-96 pads: chords; 114, 116-128 (agogo, unpitched percussion, sound effects): drums.
 * 4. Register and texture. A line is a group with at most 1.2 notes sounding at once on average, active for
 *    at least a fifth as long as the most active pitched group. If nothing is bass yet, the lowest line left
 *    is bass, if its mean pitch is below E3 (52) and another pitched group lies higher. If nothing is melody
 *    yet, the highest line left is melody; without a line, the highest group left of at most 2 notes at once
 *    (a tune in thirds or octaves), if another one left lies lower. What becomes melody or bass takes along
 *    the groups left of its track and channel whose mean pitch is less than an octave off: the same part on
 *    another instrument.
 * 5. What is left is chords. */
#include "preprocess/roll/roles.h"

#include <math.h>
#include <string.h>

enum { UNDECIDED = ROLE_COUNT, OCTAVE = 12, BASS_BELOW_PITCH = 52, ACTIVE_PART = 5 };
static const double LINE_POLYPHONY = 1.2, THIRDS_POLYPHONY = 2;

typedef struct {
    guint track;
    uint8_t channel, program;
    role_t role;
    guint notes;
    int64_t pitch_sum;
    /* Ticks: of all notes, with at least one note sounding, at the end of the last note so far. */
    int64_t length_sum, active, end;
} group_t;

/* ---- rule 2: names ---- */

typedef struct {
    role_t role;
    const char *beginnings[20];
} words_t;

static const words_t WORDS[] = {
    {ROLE_DRUMS, {"drum", "perc", "kit", "schlagz", "slagverk", "trummor", "batter", "bater"}},
    {ROLE_BASS, {"bass", "contrabass", "kontrabass", "bajo"}},
    {ROLE_CHORDS,
     {"chord", "accomp", "akkord", "begleit", "backing", "background", "rhythm", "comp", "harmony", "pad",
      "pads", "string"}},
    {ROLE_COUNTER, {"counter", "bridge", "obbligat"}},
    {ROLE_MELODY,
     {"melod", "lead", "vocal", "voice", "vox", "solo", "sopran", "descant", "gesang", "singer", "theme",
      "tune", "tema"}},
};

/* Whether a word begins with `beginning`, or is that word where others begin alike: kitchen, composed, padre.
 * And a bassoon is no bass. */
static gboolean word_matches(const char *word, const char *beginning) {
    static const char *const exact[] = {"kit", "comp", "pad", "pads", NULL};
    if (g_strv_contains(exact, beginning)) return strcmp(word, beginning) == 0;
    return g_str_has_prefix(word, beginning) && !g_str_has_prefix(word, "bassoon");
}

static gboolean name_has(char **words, const words_t *list) {
    for (char **word = words; *word; word++)
        for (size_t i = 0; i < G_N_ELEMENTS(list->beginnings) && list->beginnings[i]; i++)
            if (word_matches(*word, list->beginnings[i])) return TRUE;
    return FALSE;
}

static role_t role_from_name(const char *name, gboolean counter) {
    g_autofree char *lower = g_utf8_strdown(name, -1);
    for (char *c = lower; *c; c++)
        if ((*c & 0x80) == 0 && !g_ascii_isalpha(*c)) *c = ' ';
    g_auto(GStrv) words = g_strsplit(lower, " ", -1);
    for (size_t i = 0; i < G_N_ELEMENTS(WORDS); i++)
        if ((WORDS[i].role != ROLE_COUNTER || counter) && name_has(words, &WORDS[i])) return WORDS[i].role;
    return (role_t)UNDECIDED;
}

/* ---- rule 3: programs, counted from 0 here ---- */

static role_t role_from_program(int program) {
    if (program >= 32 && program <= 39) return ROLE_BASS;
    if (program >= 80 && program <= 87) return ROLE_MELODY;
    if ((program >= 48 && program <= 51) || (program >= 88 && program <= 95)) return ROLE_CHORDS;
    if (program == 113 || program >= 115) return ROLE_DRUMS;
    return (role_t)UNDECIDED;
}

/* ---- groups ---- */

static void add_note(group_t *group, const note_t *note) {
    int64_t end = note->onset + note->length;
    group->notes++;
    group->pitch_sum += note->pitch;
    group->length_sum += note->length;
    group->active += MAX(end - MAX(note->onset, group->end), 0);
    group->end = MAX(group->end, end);
}

static gboolean is_group_of(const group_t *group, const note_t *note, uint8_t program) {
    return group->track == note->track && group->channel == note->channel && group->program == program;
}

/* The groups in order of their first note, and each note's group in group_of [notes]. */
static GArray *gather_groups(const song_t *song, guint *group_of) {
    enum { RECENT = 64 };
    /* The group of the last note of this track and channel, mostly: this note's is likely to be the same. */
    guint recent[RECENT] = {0};
    GArray *groups = g_array_new(FALSE, TRUE, sizeof(group_t));
    g_autoptr(GHashTable) indices = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < song->notes->len; i++) {
        const note_t *note = &g_array_index(song->notes, note_t, i);
        const uint8_t program = note->channel == MIDI_DRUM_CHANNEL ? 0 : note->program;
        guint *likely = &recent[(note->track * 16u + note->channel) % RECENT];
        if (*likely < groups->len && is_group_of(&g_array_index(groups, group_t, *likely), note, program)) {
            group_of[i] = *likely;
            add_note(&g_array_index(groups, group_t, *likely), note);
            continue;
        }
        gpointer key = GUINT_TO_POINTER((note->track * 16u + note->channel) * 128u + program), index;
        if (!g_hash_table_lookup_extended(indices, key, NULL, &index)) {
            group_t group = {.track = note->track,
                             .channel = note->channel,
                             .program = program,
                             .role = (role_t)UNDECIDED};
            index = GUINT_TO_POINTER(groups->len);
            g_hash_table_insert(indices, key, index);
            g_array_append_val(groups, group);
        }
        group_of[i] = *likely = GPOINTER_TO_UINT(index);
        add_note(&g_array_index(groups, group_t, group_of[i]), note);
    }
    return groups;
}

static double mean_pitch(const group_t *group) { return (double)group->pitch_sum / group->notes; }

static gboolean is_line(const group_t *group, double polyphony, int64_t most_active) {
    return (double)group->length_sum <= polyphony * (double)group->active &&
           group->active >= most_active / ACTIVE_PART;
}

/* ---- the rules in order ---- */

/* Whether the group's channel is the only pitched one of its track. */
static gboolean has_track_alone(const group_t *groups, guint n, const group_t *group) {
    for (guint i = 0; i < n; i++)
        if (groups[i].track == group->track && groups[i].channel != group->channel &&
            groups[i].channel != MIDI_DRUM_CHANNEL)
            return FALSE;
    return TRUE;
}

/* Whether there are other groups of its track and channel: then the track changes its instrument. */
static gboolean changes_instrument(const group_t *groups, guint n, const group_t *group) {
    for (guint i = 0; i < n; i++)
        if (&groups[i] != group && groups[i].track == group->track && groups[i].channel == group->channel)
            return TRUE;
    return FALSE;
}

static void decide_by_label(const song_t *song, gboolean counter, group_t *groups, guint n) {
    for (guint i = 0; i < n; i++) {
        group_t *group = &groups[i];
        if (group->channel == MIDI_DRUM_CHANNEL)
            group->role = ROLE_DRUMS;
        else if (changes_instrument(groups, n, group))
            group->role = role_from_program(group->program);
        if (group->role != (role_t)UNDECIDED) continue;
        if (group->track < song->track_names->len && has_track_alone(groups, n, group))
            group->role = role_from_name(song->track_names->pdata[group->track], counter);
        if (group->role == (role_t)UNDECIDED) group->role = role_from_program(group->program);
    }
}

static gboolean role_is_taken(const group_t *groups, guint n, role_t role) {
    for (guint i = 0; i < n; i++)
        if (groups[i].role == role) return TRUE;
    return FALSE;
}

/* The highest (sign 1) or lowest (sign -1) undecided group of at most that polyphony; NULL where there is
 * none. */
static group_t *extreme_line(group_t *groups, guint n, double polyphony, int64_t most_active, int sign) {
    group_t *extreme = NULL;
    for (guint i = 0; i < n; i++)
        if (groups[i].role == (role_t)UNDECIDED && is_line(&groups[i], polyphony, most_active))
            if (!extreme || sign * (mean_pitch(&groups[i]) - mean_pitch(extreme)) > 0) extreme = &groups[i];
    return extreme;
}

static gboolean lies_above_another(const group_t *group, const group_t *groups, guint n) {
    for (guint i = 0; i < n; i++)
        if (groups[i].role == (role_t)UNDECIDED && mean_pitch(&groups[i]) < mean_pitch(group)) return TRUE;
    return FALSE;
}

/* Gives a role to a group, and to those of the same part on other instruments. */
static void give_role(group_t *groups, guint n, group_t *group, role_t role) {
    group->role = role;
    for (guint i = 0; i < n; i++) {
        group_t *other = &groups[i];
        gboolean same_part = other->track == group->track && other->channel == group->channel &&
                             fabs(mean_pitch(other) - mean_pitch(group)) < OCTAVE;
        if (other->role == (role_t)UNDECIDED && same_part) other->role = role;
    }
}

static void decide_melody(group_t *groups, guint n, int64_t most_active) {
    group_t *melody = extreme_line(groups, n, LINE_POLYPHONY, most_active, 1);
    if (!melody) {
        melody = extreme_line(groups, n, THIRDS_POLYPHONY, most_active, 1);
        if (melody && !lies_above_another(melody, groups, n)) return;
    }
    if (melody) give_role(groups, n, melody, ROLE_MELODY);
}

static void decide_by_register(group_t *groups, guint n) {
    int64_t most_active = 0;
    double highest = 0;
    for (guint i = 0; i < n; i++) {
        if (groups[i].role == ROLE_DRUMS) continue;
        most_active = MAX(most_active, groups[i].active);
        highest = MAX(highest, mean_pitch(&groups[i]));
    }
    group_t *low =
        role_is_taken(groups, n, ROLE_BASS) ? NULL : extreme_line(groups, n, LINE_POLYPHONY, most_active, -1);
    if (low && mean_pitch(low) < MIN(BASS_BELOW_PITCH, highest)) give_role(groups, n, low, ROLE_BASS);
    if (!role_is_taken(groups, n, ROLE_MELODY)) decide_melody(groups, n, most_active);
    for (guint i = 0; i < n; i++)
        if (groups[i].role == (role_t)UNDECIDED) groups[i].role = ROLE_CHORDS;
}

role_t *roles_of_notes(const song_t *song, gboolean counter) {
    guint n = song->notes->len;
    g_autofree guint *group_of = g_new(guint, n);
    g_autoptr(GArray) groups = gather_groups(song, group_of);
    group_t *group = (group_t *)(void *)groups->data;
    decide_by_label(song, counter, group, groups->len);
    decide_by_register(group, groups->len);
    role_t *roles = g_new(role_t, n);
    for (guint i = 0; i < n; i++) roles[i] = group[group_of[i]].role;
    return roles;
}
