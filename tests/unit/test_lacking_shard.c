/* Shards that lack something, or have something else in its place. */
#include "tests/helpers/lacking.h"
#include "tests/helpers/shard_corpus.h"
#include "tests/helpers/shard_digest.h"

static char *read_folder_of(const char *path, GError **error) {
    g_autofree char *folder = g_path_get_dirname(path);
    return shard_digest(folder, error);
}

static char *make_one(void) {
    shard_set_t head = make_head("melody,bass", 'a');
    g_autofree char *folder = g_dir_make_tmp("test_shard.XXXXXX", NULL);
    head.n_shards = 1;
    write_shard(folder, &head, 0);
    return g_build_filename(folder, "shard-00000-of-00001.h5", NULL);
}

static void test_attributes(void) {
    g_autofree char *path = make_one(), *id = NULL;
    g_assert_cmpuint(lacking_attributes(path, "/", "tool", read_folder_of), ==, 13);
    g_assert_nonnull(id = shard_corpus_id(path));
    g_assert_null(shard_corpus_id("none.h5"));
    remove_folder(g_path_get_dirname(path));
}

static void test_datasets(void) {
    static const char *const names[] = {"/roll", "/songs", "/tempi", "/meters", "/velocity", "/offset"};
    g_autofree char *path = make_one();
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) lacking_dataset(path, names[i], read_folder_of);
    remove_folder(g_path_get_dirname(path));
}

/* Another file has come in the place of the one that was opened. */
static void test_changed_meanwhile(void) {
    static const struct {
        const char *tracks;
        size_t like; /* its songs are those of this shard of make_corpus() */
        const char *says;
    } others[] = {{"melody,bass", 0, "*/roll is shorter than its songs; *"},
                  {"melody,bass,drums", 2, "*/roll has another shape than its grid; *"},
                  {"melody,bass", 2, "*its rows do not match their checksum; *"},
                  {NULL, 0, "*cannot open: No such file or directory; *"}};
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        char *folder = make_corpus("melody,bass");
        g_autoptr(GError) error = NULL;
        g_autoptr(shard_set_t) set = shard_set_open(folder, &error);
        g_autofree uint8_t *bits = g_malloc((size_t)set->frames * grid_frame_bytes(&set->grid));
        g_autofree char *path = shard_name(folder, 1), *new = shard_name(folder, others[i].like);
        g_assert_cmpint(g_remove(path), ==, 0);
        if (others[i].tracks) {
            shard_set_t head = make_head(others[i].tracks, 'a');
            write_shard(folder, &head, others[i].like);
            g_assert_cmpint(g_rename(new, path), ==, 0);
        }
        g_assert_false(shard_set_read_songs(set, SONGS_EACH, SONGS_EACH, bits, &error));
        if (!g_pattern_match_simple(others[i].says, error->message))
            g_error("'%s' is not '%s'", error->message, others[i].says);
        remove_folder(folder);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* this file calls HDF5 before h5.h does */
    g_test_add_func("/lacking-shard/attributes", test_attributes);
    g_test_add_func("/lacking-shard/datasets", test_datasets);
    g_test_add_func("/lacking-shard/changed-meanwhile", test_changed_meanwhile);
    return g_test_run();
}
