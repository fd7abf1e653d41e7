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
    static const char *const names[] = {"/roll", "/songs", "/tempi", "/meters"};
    g_autofree char *path = make_one();
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) lacking_dataset(path, names[i], read_folder_of);
    remove_folder(g_path_get_dirname(path));
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* this file calls HDF5 before h5.h does */
    g_test_add_func("/lacking-shard/attributes", test_attributes);
    g_test_add_func("/lacking-shard/datasets", test_datasets);
    return g_test_run();
}
