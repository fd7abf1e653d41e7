/* fuzz_midi: any bytes as a MIDI file: refused with a word, or a song by all rules, which reads back the same
 * once written and fits the grid. */
#include "tests/fuzz/fuzz.h"
#include "tests/helpers/song_rules.h"

int LLVMFuzzerInitialize(G_GNUC_UNUSED int *argc, G_GNUC_UNUSED char ***argv) { return 0; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    g_autoptr(GError) error = NULL;
    g_autoptr(song_t) song = midi_parse(data, size, &error);
    g_assert_true((song == NULL) == (error != NULL));
    if (!song) return 0;
    assert_sound(song, size);
    assert_round_trip(song);
    assert_roll(song);
    return 0;
}
