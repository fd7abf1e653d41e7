/* Tests of preprocess/parsed_cache: what is added comes back, and no length in a damaged file is believed. */
#include "preprocess/corpus/parsed_cache.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* Of a record, as they lie in the file: its length, and what was parsed. */
enum { BYTES_AT = 8, PARSED_AT = 32, FRAMES_AT = PARSED_AT + offsetof(song_file_t, frames), FRAMES = 640 };
static const char music[] = "twelve bytes";

static song_file_t make_parsed(const char *sha256) {
    song_file_t parsed;
    memset(&parsed, 0, sizeof parsed);
    parsed.kept = TRUE;
    parsed.frames = FRAMES;
    g_strlcpy(parsed.sha256, sha256, sizeof parsed.sha256);
    return parsed;
}

/* A file with two records, the second one without music; at[2]: where they lie. */
static parsed_cache_t *make_cache(const char *path, gint64 *at) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_byte_array_append(bytes, (const guint8 *)music, sizeof music);
    g_unlink(path);
    parsed_cache_t *cache = parsed_cache_open(path, FALSE, &error);
    g_assert_no_error(error);
    for (int i = 0; i < 2; i++) {
        const digest_t key = {{(guint8)i}};
        const song_file_t parsed = make_parsed(i ? "second" : "first");
        parsed_cache_add(cache, &key, &parsed, i ? NULL : bytes, &at[i], &error);
        g_assert_no_error(error);
    }
    return cache;
}

static void count_record(const digest_t *key, const song_file_t *parsed, gint64 at, gpointer data) {
    int *n = data;
    g_assert_cmpint(key->bytes[0], ==, *n);
    g_assert_cmpint(parsed->frames, ==, FRAMES);
    g_assert_cmpint(at, >, 0);
    ++*n;
}

static int count_records(const char *path) {
    int n = 0;
    parsed_cache_t *cache = parsed_cache_open(path, FALSE, NULL);
    g_assert_null(parsed_cache_load(cache, count_record, &n));
    parsed_cache_close(cache, FALSE);
    return n;
}

static void write_number(const char *path, gint64 at, guint64 number) {
    const int fd = open(path, O_WRONLY);
    g_assert_cmpint(pwrite(fd, &number, sizeof number, at), ==, sizeof number);
    close(fd);
}

static void expect_damaged(parsed_cache_t *cache, gint64 at, gboolean with_music) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    song_file_t parsed;
    g_assert_false(parsed_cache_read(cache, at, FRAMES, &parsed, with_music ? bytes : NULL, &error));
    g_assert_nonnull(strstr(error->message, ": changed while it was read"));
}

static void test_round_trip(void) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    song_file_t parsed;
    gint64 at[2];
    parsed_cache_t *cache = make_cache("round", at);
    g_assert_true(parsed_cache_read(cache, at[0], FRAMES, &parsed, bytes, &error));
    g_assert_true(bytes->len == sizeof music && memcmp(bytes->data, music, sizeof music) == 0);
    g_assert_cmpstr(parsed.sha256, ==, "first");
    g_assert_true(parsed_cache_read(cache, at[1], FRAMES, &parsed, NULL, &error));
    g_assert_cmpstr(parsed.sha256, ==, "second");
    g_assert_cmpint(count_records("round"), ==, 2);
    g_assert_true(parsed_cache_seal(cache, "whole", "sealed", &error));
    parsed_cache_close(cache, FALSE);
    int n = 0;
    cache = parsed_cache_open("sealed", TRUE, &error);
    g_assert_no_error(error);
    g_autofree char *seal = parsed_cache_load(cache, count_record, &n);
    g_assert_cmpstr(seal, ==, "whole");
    g_assert_cmpint(n, ==, 2);
    g_assert_false(parsed_cache_is_foreign(cache));
    parsed_cache_close(cache, TRUE);
}

/* Frames by which memory would be asked for are believed only where they are those of the row. */
static void test_damaged_frames(void) {
    static const gint64 claims[] = {-1, 0, FRAMES + 1, (gint64)1 << 32 | FRAMES, G_MAXINT64};
    for (size_t i = 0; i < G_N_ELEMENTS(claims); i++) {
        gint64 at[2];
        parsed_cache_t *cache = make_cache("frames", at);
        write_number("frames", at[0] + FRAMES_AT, (guint64)claims[i]);
        expect_damaged(cache, at[0], FALSE);
        expect_damaged(cache, at[0], TRUE);
        g_assert_cmpint(count_records("frames"), ==, 0);
        parsed_cache_close(cache, TRUE);
    }
}

/* Lengths: of more than the file has, and such that their lower half alone would fit. */
static void test_damaged_length(void) {
    static const guint64 claims[] = {
        0, sizeof music + 1, 1 << 30, G_MAXUINT, (guint64)1 << 32 | sizeof music, G_MAXUINT64};
    for (size_t i = 0; i < G_N_ELEMENTS(claims); i++) {
        gint64 at[2];
        parsed_cache_t *cache = make_cache("length", at);
        write_number("length", at[0] + BYTES_AT, claims[i]);
        expect_damaged(cache, at[0], TRUE);
        g_assert_cmpint(count_records("length"), ==, 0);
        parsed_cache_close(cache, TRUE);
    }
}

/* The same where the file is large enough for what the length says. */
static void test_large_file(void) {
    const guint64 claim = (guint64)1 << 32 | sizeof music;
    gint64 at[2];
    parsed_cache_close(make_cache("large", at), FALSE);
    if (truncate("large", (off_t)5 << 30) != 0) {
        g_test_skip("no files of 5 GiB here");
        return;
    }
    write_number("large", at[1] + BYTES_AT, claim);
    g_assert_cmpint(count_records("large"), ==, 1);
    g_unlink("large");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/parsed_cache/round-trip", test_round_trip);
    g_test_add_func("/parsed_cache/damaged-frames", test_damaged_frames);
    g_test_add_func("/parsed_cache/damaged-length", test_damaged_length);
    g_test_add_func("/parsed_cache/large-file", test_large_file);
    return g_test_run();
}
