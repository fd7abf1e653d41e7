/* 20,000 damaged MIDI files: each is read or refused with a word, in bounded time and memory; what is read is
 * a song by all rules of midi.h, is laid on the grid, and reads back the same once it is written. */
#include <glib/gstdio.h>
#include <time.h>

#include "tests/helpers/mutate.h"
#include "tests/helpers/song_rules.h"

enum { MUTATIONS = 20000, MADE_SONGS = 8, SECONDS = 5, MEMORY = 512 /* MiB */ };
static const char DEMO[] = "/usr/share/games/openttd/baseset/openmsx"; /* songs that people made */

typedef struct {
    guint read, refused, left_out, unwritable;
} tally_t;

static int by_name(gconstpointer a, gconstpointer b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* removes: takes each file away. */
static void add_folder(GPtrArray *seeds, const char *path, gboolean removes) {
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    for (const char *name; folder && (name = g_dir_read_name(folder));)
        if (g_str_has_suffix(name, ".mid")) g_ptr_array_add(names, g_build_filename(path, name, NULL));
    g_ptr_array_sort(names, by_name);
    for (guint i = 0; i < names->len; i++) {
        char *bytes = NULL;
        gsize n = 0;
        g_assert_true(g_file_get_contents(names->pdata[i], &bytes, &n, NULL));
        g_ptr_array_add(seeds, g_bytes_new_take(bytes, n));
        if (removes) g_remove(names->pdata[i]);
    }
}

/* Songs of our own, and those of the demo where they are installed. */
static GPtrArray *make_seeds(void) {
    GPtrArray *seeds = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    g_autofree char *program = g_build_filename(g_getenv("BUILD"), "tests/helpers/make_songs", NULL);
    g_autofree char *folder = g_dir_make_tmp("songs.XXXXXX", NULL),
                    *count = g_strdup_printf("%d", MADE_SONGS);
    char *argv[] = {program, folder, count, NULL};
    int status = -1;
    g_assert_true(g_spawn_sync(NULL, argv, NULL, 0, NULL, NULL, NULL, NULL, &status, NULL) && status == 0);
    add_folder(seeds, folder, TRUE);
    g_assert_cmpuint(seeds->len, ==, MADE_SONGS);
    add_folder(seeds, DEMO, FALSE);
    g_rmdir(folder);
    return seeds;
}

static void read_one(const GByteArray *file, tally_t *tally) {
    g_autoptr(GError) error = NULL;
    g_autofree guint8 *bytes = g_memdup2(file->data, file->len); /* reading past its end shows under ASan */
    g_autoptr(song_t) song = midi_parse(bytes, file->len, &error);
    g_assert_true((song == NULL) == (error != NULL));
    if (!song) {
        g_assert_true(error->message[0] != '\0');
        tally->refused++;
        return;
    }
    tally->read++;
    tally->left_out += song->reading.events_left_out > 0;
    assert_sound(song, file->len);
    tally->unwritable += !assert_round_trip(song);
    assert_roll(song);
}

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void test_mutated(void) {
    g_autoptr(GPtrArray) seeds = make_seeds();
    const guint mutations = mutate_count(MUTATIONS);
    tally_t tally = {0};
    double slowest = 0;
    mutate_watch();
    for (guint i = 0; i < mutations; i++) {
        GBytes *seed = seeds->pdata[i % seeds->len];
        gsize n = 0;
        const guint8 *bytes = g_bytes_get_data(seed, &n);
        mutate_begin("damage %u to song %u of %u", i, i % seeds->len, seeds->len);
        g_autoptr(GByteArray) file = mutate(bytes, n, i);
        const double begin = cpu_seconds();
        read_one(file, &tally);
        slowest = MAX(slowest, cpu_seconds() - begin);
        g_assert_cmpfloat(slowest, <, SECONDS);
    }
    alarm(0);
    g_test_message(
        "of %u damaged files %u were read, %u with bytes left out, and %u refused; %u songs were too "
        "long to be written; the slowest took %.3f s",
        mutations, tally.read, tally.left_out, tally.refused, tally.unwritable, slowest);
    g_assert_cmpuint(tally.read, >, mutations / 2);
    g_assert_cmpuint(tally.left_out, >, mutations / 10);
    g_assert_cmpuint(tally.refused, >, mutations / 1000);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    mutate_limit_memory(MEMORY);
    g_test_add_func("/mutated-midi/read", test_mutated);
    return g_test_run();
}
