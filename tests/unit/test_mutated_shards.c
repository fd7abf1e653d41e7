/* 6,000 damaged shards: each is refused by its name, or reads as the one that was written, to the bit. */
#include "tests/helpers/mutate.h"
#include "tests/helpers/shard_corpus.h"
#include "tests/helpers/shard_digest.h"

enum { MUTATIONS = 2000 /* of each file */, MEMORY = 1024 /* MiB */ };

/* Damages one file of a folder. Takes the folder away. */
static void mutate_shard(char *folder, const char *name) {
    g_autofree char *path = g_build_filename(folder, name, NULL);
    mutate_file(path, folder, shard_digest, MUTATIONS);
    remove_folder(folder);
}

static void test_first(void) { mutate_shard(make_corpus("melody,bass"), "shard-00000-of-00003.h5"); }
static void test_last(void) { mutate_shard(make_corpus("melody,bass"), "shard-00002-of-00003.h5"); }

/* A shard of the first version, whose songs have no checksums. */
static void test_old(void) {
    static const char name[] = "shard-00000-of-00001.h5";
    char *folder = g_dir_make_tmp("test_shard.XXXXXX", NULL);
    g_autofree char *from = g_test_build_filename(G_TEST_DIST, "golden/shard-v1", name, NULL),
                    *to = g_build_filename(folder, name, NULL);
    mutate_copy(from, to);
    mutate_shard(folder, name);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    mutate_watch();
    mutate_limit_memory(MEMORY);
    g_test_add_func("/mutated-shards/first", test_first);
    g_test_add_func("/mutated-shards/last", test_last);
    g_test_add_func("/mutated-shards/old", test_old);
    return g_test_run();
}
