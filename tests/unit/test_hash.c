/* Tests of preprocess/hash: FIPS 180-4's examples, and GLib's digests for every length around the blocks. */
#include "preprocess/common/hash.h"

#include <glib.h>

static void assert_hash(const char *head, size_t head_bytes, const char *body, size_t body_bytes,
                        const char *wanted) {
    char hex[HASH_HEX_BYTES];
    hash_sha256(head, head_bytes, body, body_bytes, hex);
    g_assert_cmpstr(hex, ==, wanted);
}

static void test_examples(void) {
    assert_hash(NULL, 0, NULL, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_hash("a", 1, "bc", 2, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_hash("abc", 3, NULL, 0, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_hash(NULL, 0, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void test_as_glib(void) {
    enum { MOST = 300, HEAD = 24 };
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    char bytes[MOST];
    for (int i = 0; i < MOST; i++) bytes[i] = (char)g_rand_int(random);
    for (size_t n = HEAD; n <= MOST; n++) {
        g_autofree char *wanted = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)bytes, n);
        assert_hash(bytes, n, NULL, 0, wanted);
        assert_hash(bytes, HEAD, bytes + HEAD, n - HEAD, wanted);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hash/examples", test_examples);
    g_test_add_func("/hash/as-glib", test_as_glib);
    return g_test_run();
}
