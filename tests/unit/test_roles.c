/* roles: which track plays what, case by case. */
#include "preprocess/roll/roles.h"

#include <string.h>

typedef struct {
    const char *name;
    int channel, program; /* both counted from 0 */
    int pitch, voices;    /* of each of its chords */
    int chords;           /* quarter notes */
    const char *role;
} part_t;

enum { TICKS = 96 };

/* A song of these parts, a track each; parts with the same name share one. */
static song_t *song_of(const part_t *parts, size_t n) {
    song_t *song = song_new(TICKS);
    for (size_t i = 0; i < n; i++) {
        const part_t *part = &parts[i];
        if (i == 0 || strcmp(part->name, parts[i - 1].name) != 0)
            g_ptr_array_add(song->track_names, g_strdup(part->name));
        for (int k = 0; k < part->chords * part->voices; k++) {
            note_t note = {.onset = k / part->voices * TICKS,
                           .length = TICKS,
                           .pitch = (uint8_t)(part->pitch + 4 * (k % part->voices)),
                           .velocity = 64,
                           .channel = (uint8_t)part->channel,
                           .program = (uint8_t)part->program,
                           .track = (uint16_t)(song->track_names->len - 1)};
            g_array_append_val(song->notes, note);
        }
    }
    song_sort_notes(song);
    return song;
}

static void assert_roles(const part_t *parts, size_t n, gboolean counter) {
    g_autoptr(song_t) song = song_of(parts, n);
    g_autofree role_t *roles = roles_of_notes(song, counter);
    for (guint i = 0; i < song->notes->len; i++) {
        const note_t *note = &g_array_index(song->notes, note_t, i);
        for (size_t k = 0; k < n; k++)
            if (strcmp(parts[k].name, song->track_names->pdata[note->track]) == 0 &&
                parts[k].channel == note->channel && parts[k].program == note->program)
                g_assert_cmpstr(role_name(roles[i]), ==, parts[k].role);
    }
}

#define ROLES_WITH(counter, ...)                                                                             \
    do {                                                                                                     \
        const part_t parts[] = {__VA_ARGS__};                                                                \
        assert_roles(parts, G_N_ELEMENTS(parts), counter);                                                   \
    } while (0)
#define ROLES(...) ROLES_WITH(FALSE, __VA_ARGS__)

static void test_names(void) {
    static const char *const names[][2] = {
        {"melody", "melody"},          {"MELODY", "melody"},    {"Lead vocals", "melody"},
        {"Solo Violin", "melody"},     {"Soprano", "melody"},   {"bass", "bass"},
        {"Synth Bass (MIDI)", "bass"}, {"Bassline", "bass"},    {"Kontrabass", "bass"},
        {"Bass & Drums", "drums"},     {"chords", "chords"},    {"Rhythm guitar", "chords"},
        {"backing vocals", "chords"},  {"Strings 1", "chords"}, {"Pad 3 (polysynth)", "chords"},
        {"Accompaniment", "chords"},   {"drums", "drums"},      {"Drum Kit", "drums"},
        {"Drumkit", "drums"},          {"Percussion", "drums"}, {"Slagverk", "drums"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) ROLES({names[i][0], 0, 0, 60, 1, 16, names[i][1]});
    /* words that only look alike: these two lines and the chords are told by register */
    ROLES({"Bassoon", 0, 70, 55, 1, 16, "melody"}, {"Kitchen", 1, 0, 50, 3, 16, "chords"});
    ROLES({"Composed by Padre", 0, 0, 72, 1, 16, "melody"}, {"Misleading", 1, 0, 50, 3, 16, "chords"});
}

static void test_channel_10(void) {
    ROLES({"Bass", 9, 0, 36, 1, 16, "drums"}, {"", 0, 33, 40, 1, 16, "bass"},
          {"Lead", 9, 0, 36, 1, 16, "drums"});
}

/* A name speaks for a track's one pitched channel; with several (format 0) it is the song's title. */
static void test_several_channels_on_a_track(void) {
    ROLES({"Piano Bass Duo", 0, 0, 72, 1, 16, "melody"}, {"Piano Bass Duo", 1, 33, 40, 1, 16, "bass"},
          {"Piano Bass Duo", 9, 0, 36, 1, 16, "drums"});
    ROLES({"Bass and beat", 0, 0, 72, 1, 16, "bass"}, {"Bass and beat", 9, 0, 36, 1, 16, "drums"});
}

static void test_programs(void) {
    static const struct {
        int first, last;
        const char *role;
    } families[] = {{32, 39, "bass"},   {48, 51, "chords"},  {80, 87, "melody"},
                    {88, 95, "chords"}, {113, 113, "drums"}, {115, 127, "drums"}};
    for (size_t i = 0; i < G_N_ELEMENTS(families); i++)
        for (int program = families[i].first; program <= families[i].last; program++)
            ROLES({"", 0, program, 60, 1, 16, families[i].role});
    for (int program = 0; program < 32; program++) ROLES({"", 0, program, 60, 1, 16, "melody"});
    ROLES({"", 0, 112, 60, 1, 16, "melody"});
    ROLES({"", 0, 114, 60, 1, 16, "melody"});
}

/* A track that changes its instrument: each is judged by itself. */
static void test_changes_of_instrument(void) {
    ROLES({"", 0, 73, 72, 1, 8, "melody"}, {"", 0, 33, 40, 1, 8, "bass"});
    ROLES({"", 0, 0, 72, 1, 8, "melody"}, {"", 0, 49, 60, 3, 8, "chords"});
    ROLES({"", 0, 73, 72, 1, 8, "melody"}, {"", 0, 42, 45, 1, 8, "bass"}); /* told by register */
    ROLES({"a", 0, 0, 72, 1, 16, "melody"}, {"b", 1, 0, 60, 3, 3, "chords"}, {"b", 1, 33, 60, 1, 5, "bass"});
    /* the same part on another instrument */
    ROLES({"a", 0, 73, 72, 1, 8, "melody"}, {"a", 0, 71, 70, 1, 8, "melody"},
          {"b", 1, 0, 50, 3, 16, "chords"});
    /* a name speaks for those whose program does not */
    ROLES({"Lead", 0, 0, 72, 1, 8, "melody"}, {"Lead", 0, 33, 40, 1, 8, "bass"},
          {"b", 1, 0, 80, 1, 16, "chords"});
    ROLES({"Bass", 0, 33, 40, 1, 8, "bass"}, {"Bass", 0, 0, 40, 1, 8, "bass"},
          {"b", 1, 0, 80, 1, 16, "melody"});
    /* channel 10 has kits, not instruments */
    ROLES({"", 9, 0, 40, 1, 8, "drums"}, {"", 9, 33, 42, 1, 8, "drums"});
}

/* A name tells a countermelody, where one is asked for; else the same line is judged by register. */
static void test_counter(void) {
    static const char *const names[] = {"counter",        "COUNTER", "Countermelody",   "Counter melody",
                                        "Lead (counter)", "Bridge",  "Violin obbligato"};
    static const char *const others[][2] = {{"Strings counter", "chords"},
                                            {"Bass counterpoint", "bass"},
                                            {"Lead", "melody"},
                                            {"Encounter", "melody"}};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        ROLES_WITH(TRUE, {names[i], 0, 48, 72, 1, 16, "counter"}, {"b", 1, 0, 50, 3, 16, "chords"});
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        ROLES_WITH(TRUE, {others[i][0], 0, 0, 72, 1, 16, others[i][1]});
    ROLES({"Bridge", 0, 0, 72, 1, 16, "melody"}, {"b", 1, 0, 50, 3, 16, "chords"});
    ROLES({"Bridge", 0, 33, 40, 1, 16, "bass"}, {"Lead (counter)", 1, 0, 60, 1, 16, "melody"});
    /* POP909 */
    ROLES_WITH(TRUE, {"MELODY", 0, 0, 70, 1, 32, "melody"}, {"BRIDGE", 1, 0, 76, 1, 20, "counter"},
               {"PIANO", 2, 0, 50, 4, 32, "chords"});
}

static void test_register(void) {
    /* POP909 */
    ROLES({"MELODY", 0, 0, 70, 1, 32, "melody"}, {"BRIDGE", 1, 0, 76, 1, 20, "chords"},
          {"PIANO", 2, 0, 50, 4, 32, "chords"});
    /* the Nottingham tunes: no names at all */
    ROLES({"a", 0, 0, 74, 1, 32, "melody"}, {"b", 0, 0, 48, 3, 32, "chords"});
    /* a choir */
    ROLES({"Soprano", 0, 52, 72, 1, 32, "melody"}, {"Alto", 1, 52, 67, 1, 32, "chords"},
          {"Tenor", 2, 52, 60, 1, 32, "chords"}, {"Bass", 3, 52, 48, 1, 32, "bass"});
    /* three lines: highest, middle, lowest */
    ROLES({"a", 0, 0, 60, 1, 32, "chords"}, {"b", 1, 0, 72, 1, 32, "melody"}, {"c", 2, 0, 40, 1, 32, "bass"});
    /* a low line is no bass once there is one; nor is one that is not low */
    ROLES({"a", 0, 0, 72, 1, 32, "melody"}, {"b", 1, 0, 40, 1, 32, "chords"},
          {"Bass", 2, 0, 50, 1, 32, "bass"});
    ROLES({"a", 0, 0, 72, 1, 32, "melody"}, {"b", 1, 0, 52, 1, 32, "chords"});
    ROLES({"a", 0, 0, 72, 1, 32, "melody"}, {"b", 1, 0, 51, 1, 32, "bass"});
    /* alone: a line is the melody, however low; chords are chords */
    ROLES({"", 0, 0, 40, 1, 32, "melody"});
    ROLES({"", 0, 0, 60, 3, 32, "chords"});
    /* a tune in thirds, over chords; but not alone, nor below them, nor in three voices */
    ROLES({"a", 0, 0, 72, 2, 32, "melody"}, {"b", 1, 0, 50, 3, 32, "chords"});
    ROLES({"", 0, 0, 72, 2, 32, "chords"});
    ROLES({"a", 0, 0, 72, 2, 32, "chords"}, {"Bass", 1, 0, 40, 1, 32, "bass"});
    ROLES({"a", 0, 0, 60, 2, 32, "chords"}, {"b", 1, 0, 72, 3, 32, "chords"});
    ROLES({"a", 0, 0, 72, 3, 32, "chords"}, {"b", 1, 0, 50, 3, 32, "chords"});
    /* a few notes do not make a melody */
    ROLES({"a", 0, 0, 96, 1, 6, "chords"}, {"b", 1, 0, 72, 1, 32, "melody"},
          {"c", 2, 0, 55, 3, 32, "chords"});
    ROLES({"a", 0, 0, 96, 1, 7, "melody"}, {"b", 1, 0, 72, 1, 32, "chords"},
          {"c", 2, 0, 55, 3, 32, "chords"});
}

static void test_no_notes(void) {
    g_autoptr(song_t) song = song_new(TICKS);
    g_assert_null(roles_of_notes(song, FALSE));
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/roles/names", test_names);
    g_test_add_func("/roles/channel-10", test_channel_10);
    g_test_add_func("/roles/several-channels-on-a-track", test_several_channels_on_a_track);
    g_test_add_func("/roles/programs", test_programs);
    g_test_add_func("/roles/changes-of-instrument", test_changes_of_instrument);
    g_test_add_func("/roles/counter", test_counter);
    g_test_add_func("/roles/register", test_register);
    g_test_add_func("/roles/no-notes", test_no_notes);
    return g_test_run();
}
