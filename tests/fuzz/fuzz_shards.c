/* fuzz_shards: an input whose first byte is even is a shard: refused, or one of those that it was made from,
 * to the bit. Else it is a list of lies that are put into a sound shard by way of the HDF5 library, so that
 * all checksums of HDF5 are right: refused, or a corpus by all rules. */
#include <math.h>

#include "preprocess/shard/h5.h"
#include "tests/fuzz/fuzz.h"
#include "tests/helpers/shard_corpus.h"
#include "tests/helpers/shard_digest.h"

static char *folder, *path, *sound, *known[2];
static size_t n_sound;

int LLVMFuzzerInitialize(G_GNUC_UNUSED int *argc, G_GNUC_UNUSED char ***argv) {
    g_autoptr(GError) error = NULL;
    g_autofree char *old = fuzz_golden("shard-v1/shard-00000-of-00001.h5"), *bytes = NULL;
    size_t n = 0;
    shard_set_t head = make_head("melody,bass", 'a');
    head.n_shards = 1;
    head.grid.pitches = 12;
    folder = g_dir_make_tmp("fuzz.XXXXXX", NULL);
    path = g_build_filename(folder, "shard-00000-of-00001.h5", NULL);
    g_assert_true(g_file_get_contents(old, &bytes, &n, NULL));
    fuzz_write(path, bytes, n);
    known[1] = shard_digest(folder, &error);
    write_shard(folder, &head, 0);
    known[0] = shard_digest(folder, &error);
    g_assert_no_error(error);
    g_assert_true(g_file_get_contents(path, &sound, &n_sound, NULL));
    fuzz_seed_file("new", path);
    fuzz_seed_file("old", old);
    for (uint8_t member = 0; member < 19; member++)
        for (uint8_t value = 0; value < 12; value++) {
            g_autofree char *name = g_strdup_printf("lie-%d-%d", member, value);
            fuzz_seed(name, (uint8_t[]){1, 1, member, value, value % 2, value}, 6);
            g_autofree char *other = g_strdup_printf("attribute-%d-%d", member, value);
            fuzz_seed(other, (uint8_t[]){1, 0, member, value % 2, value}, 5);
        }
    return 0;
}

/* Sets a member of one row of a table. */
static void lie_in_table(hid_t file, fuzz_input_t *input) {
    static const struct {
        const char *table, *member;
        gboolean real;
    } members[] = {{"/songs", "first_frame", 0},
                   {"/songs", "frames", 0},
                   {"/songs", "tempo_bpm", 1},
                   {"/songs", "meter_numerator", 0},
                   {"/songs", "meter_denominator", 0},
                   {"/songs", "split", 0},
                   {"/songs", "crc32", 0},
                   {"/songs", "first_tempo", 0},
                   {"/songs", "tempi", 0},
                   {"/songs", "first_meter", 0},
                   {"/songs", "meters", 0},
                   {"/songs", "first_onset", 0},
                   {"/songs", "onsets", 0},
                   {"/songs", "played_crc32", 0},
                   {"/tempi", "frame", 0},
                   {"/tempi", "bpm", 1},
                   {"/meters", "frame", 0},
                   {"/meters", "numerator", 0},
                   {"/meters", "denominator", 0}};
    const size_t i = fuzz_take_byte(input) % G_N_ELEMENTS(members);
    const uint8_t place = fuzz_take_byte(input);
    const int64_t whole = members[i].real ? 0 : fuzz_take_number(input);
    const double real = members[i].real ? fuzz_take_real(input) : 0;
    const hid_t number = members[i].real ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64;
    g_auto(h5_id_t) table = H5Dopen2(file, members[i].table, H5P_DEFAULT);
    g_auto(h5_id_t) space = H5Dget_space(table);
    g_auto(h5_id_t) row = H5Tcreate(H5T_COMPOUND, sizeof(int64_t));
    hsize_t rows = 0;
    H5Tinsert(row, members[i].member, 0, number);
    H5Sget_simple_extent_dims(space, &rows, NULL);
    const hsize_t at = place % rows, one = 1;
    g_auto(h5_id_t) memory = H5Screate_simple(1, &one, NULL);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, &at, NULL, &one, NULL);
    H5Dwrite(table, row, memory, space, H5P_DEFAULT,
             members[i].real ? (const void *)&real : (const void *)&whole);
}

/* Sets an attribute, to a number or a text. */
static void lie_in_attribute(hid_t file, fuzz_input_t *input) {
    static const char *const names[] = {"version",   "shard",   "shards",       "steps_per_beat",
                                        "pitch_low", "pitches", "fold_octaves", "sustain_pedal",
                                        "tracks",    "options", "format",       "corpus_id"};
    const size_t i = fuzz_take_byte(input) % G_N_ELEMENTS(names);
    const gboolean is_text = i >= 8;
    char text[32] = "";
    const int64_t number = is_text ? 0 : fuzz_take_number(input);
    if (is_text) fuzz_take(input, text, fuzz_take_byte(input) % (sizeof text - 1));
    g_auto(h5_id_t) attribute = H5Aopen(file, names[i], H5P_DEFAULT);
    g_auto(h5_id_t) type = is_text ? h5_string_type(sizeof text) : H5Tcopy(H5T_NATIVE_INT64);
    H5Awrite(attribute, type, is_text ? (const void *)text : (const void *)&number);
}

static void lie(fuzz_input_t *input) {
    g_auto(h5_id_t) file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    g_assert_cmpint(file, >=, 0);
    while (input->size > 0) {
        if (fuzz_take_byte(input) % 4)
            lie_in_table(file, input);
        else
            lie_in_attribute(file, input);
    }
}

/* What holds for every corpus that is read. */
static void assert_corpus(void) {
    g_autoptr(GError) error = NULL;
    g_autoptr(shard_set_t) set = shard_set_open(folder, &error);
    g_assert_true((set == NULL) == (error != NULL));
    if (!set) return;
    int64_t frames = 0;
    for (size_t i = 0; i < set->n_songs; i++) {
        const shard_song_t *song = &set->songs[i];
        g_assert_true(song->first_frame == frames && song->frames > 0 && song->split < SPLIT_COUNT);
        g_assert_true(isfinite(song->tempo_bpm) && song->tempo_bpm > 0);
        g_assert_true(song->meter_numerator > 0 && song->meter_denominator > 0 &&
                      (song->meter_denominator & (song->meter_denominator - 1)) == 0);
        g_autoptr(timeline_t) timeline = shard_set_timeline(set, i);
        g_assert_true(timeline_rows_valid((const void *)timeline->tempi->data, timeline->tempi->len,
                                          (const void *)timeline->meters->data, timeline->meters->len,
                                          song->frames));
        frames += song->frames;
    }
    g_assert_true(frames == set->frames && frames < 1 << 20);
    g_autofree uint8_t *bits = g_malloc((size_t)frames * grid_frame_bytes(&set->grid));
    g_assert_true(shard_set_read(set, bits, &error) == (error == NULL));
    if (error || !set->played) return;
    g_assert_true(set->onsets >= 0 && set->onsets < 1 << 28);
    g_autofree played_t *played = g_new(played_t, set->onsets);
    g_assert_true(shard_set_read_played(set, 0, set->n_songs, played, &error) == (error == NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    if (data[0] % 2) {
        fuzz_input_t input = {data + 1, size - 1};
        fuzz_write(path, sound, n_sound);
        lie(&input);
        assert_corpus();
        return 0;
    }
    g_autoptr(GError) error = NULL;
    fuzz_write(path, data + 1, size - 1);
    g_autofree char *digest = shard_digest(folder, &error);
    g_assert_true((digest == NULL) == (error != NULL));
    if (digest) g_assert_true(strcmp(digest, known[0]) == 0 || strcmp(digest, known[1]) == 0);
    return 0;
}
