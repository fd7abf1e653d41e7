/* 6,000 damaged shards: each is refused by its name, or reads as the one that was written, to the bit. */
#include "tests/helpers/mutate.h"
#include "tests/helpers/shard_corpus.h"
#include "tests/helpers/shard_digest.h"

enum { MUTATIONS = 2000 /* of each file */, MEMORY = 1024 /* MiB */ };

/* Damages one file of a folder. Takes the folder away. */
static void mutate_shard(char *folder, const char *name) {
    const guint mutations = mutate_count(MUTATIONS);
    g_autoptr(GError) error = NULL;
    g_autofree char *bytes = NULL, *path = g_build_filename(folder, name, NULL),
                    *whole = shard_digest(folder, &error);
    gsize n = 0;
    guint read = 0;
    g_assert_no_error(error);
    g_assert_true(g_file_get_contents(path, &bytes, &n, &error));
    for (guint i = 0; i < mutations; i++) {
        mutate_begin("damage %u to %s", i, name);
        g_autoptr(GByteArray) file = mutate((guint8 *)bytes, n, i);
        g_autoptr(GError) refusal = NULL;
        mutate_write(path, file);
        g_autofree char *digest = shard_digest(folder, &refusal);
        g_assert_true((digest == NULL) == (refusal != NULL));
        if (digest)
            g_assert_cmpstr(digest, ==, whole);
        else if (!strstr(refusal->message, name))
            g_error("'%s' does not name the file", refusal->message);
        read += digest != NULL;
    }
    alarm(0);
    g_test_message("%u of %u damaged shards read as before, the others were refused", read, mutations);
    g_assert_cmpuint(read, <, mutations / 4);
    remove_folder(folder);
}

static void test_first(void) { mutate_shard(make_corpus("melody,bass"), "shard-00000-of-00003.h5"); }
static void test_last(void) { mutate_shard(make_corpus("melody,bass"), "shard-00002-of-00003.h5"); }

/* A shard of the first version, whose songs have no checksums. */
static void test_old(void) {
    static const char name[] = "shard-00000-of-00001.h5";
    char *folder = g_dir_make_tmp("test_shard.XXXXXX", NULL), *bytes = NULL;
    g_autofree char *from = g_test_build_filename(G_TEST_DIST, "golden/shard-v1", name, NULL),
                    *to = g_build_filename(folder, name, NULL);
    gsize n = 0;
    g_assert_true(g_file_get_contents(from, &bytes, &n, NULL) &&
                  g_file_set_contents(to, bytes, (gssize)n, NULL));
    g_free(bytes);
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
