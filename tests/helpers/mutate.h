/* mutate: damage to bytes, chosen by a number: the same number always does the same damage. What happens to
 * files on disks and wires (bits, cuts, holes, spans that are lost, doubled or exchanged), and what those who
 * mean harm write (lengths that lie, the numbers at which sums overflow). */
#pragma once

#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A stream of random numbers (splitmix64, Steele et al. 2014). */
static inline guint64 mutate_next(guint64 *state) {
    guint64 z = *state += G_GUINT64_CONSTANT(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * G_GUINT64_CONSTANT(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * G_GUINT64_CONSTANT(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* From 0 to n - 1; 0 where n is 0. */
static inline gsize mutate_below(guint64 *state, gsize n) { return n ? (gsize)(mutate_next(state) % n) : 0; }

/* A place for `size` bytes of n, which are at least so many; one in four is among the first 64. */
static inline gsize mutate_place(guint64 *state, gsize n, gsize size) {
    const gsize places = n - size + 1;
    return mutate_below(state, mutate_below(state, 4) ? places : MIN(places, 64));
}

/* 1 to `most` bytes, small counts more often than large ones. */
static inline gsize mutate_span(guint64 *state, gsize most) {
    const gsize scale = (gsize)1 << mutate_below(state, 12);
    return 1 + mutate_below(state, MIN(most, scale));
}

/* Puts a number of 1, 2, 4 or 8 bytes, either end first, at a place. */
static inline void mutate_put(guint64 *state, guint8 *at, gsize size, guint64 value) {
    const gboolean big = mutate_below(state, 2) > 0;
    for (gsize i = 0; i < size; i++) at[big ? size - 1 - i : i] = (guint8)(value >> 8 * i);
}

static inline guint64 mutate_number(guint64 *state) {
    static const guint64 numbers[] = {0,
                                      1,
                                      2,
                                      0x7F,
                                      0x80,
                                      0xFF,
                                      0x7FFF,
                                      0x8000,
                                      0xFFFF,
                                      0x10000,
                                      0xFFFFFFF,
                                      0x7FFFFFFF,
                                      1U << 31,
                                      G_MAXUINT32,
                                      G_GUINT64_CONSTANT(1) << 32,
                                      G_MAXINT64,
                                      G_MAXUINT64 - 1,
                                      G_MAXUINT64};
    return numbers[mutate_below(state, G_N_ELEMENTS(numbers))];
}

/* Changes a number of four bytes that may be a length in this file: it is above 0 and no more than all. */
static inline void mutate_length(guint64 *state, GByteArray *file) {
    for (int trial = 0; trial < 64; trial++) {
        guint8 *at = file->data + mutate_place(state, file->len, 4);
        const guint32 big = (guint32)at[0] << 24 | (guint32)at[1] << 16 | (guint32)at[2] << 8 | at[3];
        if (big == 0 || big > file->len) continue;
        const guint32 change = (guint32)mutate_span(state, 300),
                      other = mutate_below(state, 3) == 0   ? (guint32)mutate_number(state)
                              : mutate_below(state, 2) == 0 ? big + change
                                                            : big - change;
        for (int i = 0; i < 4; i++) at[i] = (guint8)(other >> (24 - 8 * i));
        return;
    }
}

static inline void mutate_insert(GByteArray *file, gsize at, const guint8 *bytes, gsize n) {
    g_byte_array_set_size(file, file->len + (guint)n);
    memmove(file->data + at + n, file->data + at, file->len - n - at);
    memcpy(file->data + at, bytes, n);
}

static inline void mutate_exchange(guint64 *state, GByteArray *file) {
    const gsize n = mutate_span(state, file->len / 2), a = mutate_place(state, file->len, n),
                b = mutate_place(state, file->len, n);
    g_autofree guint8 *first = g_memdup2(file->data + a, n);
    memmove(file->data + a, file->data + b, n);
    memcpy(file->data + b, first, n);
}

/* One damage to a file of at least 16 bytes. */
static inline void mutate_once(guint64 *state, GByteArray *file) {
    const gsize n = mutate_span(state, file->len / 2), at = mutate_place(state, file->len, n);
    const gsize size = (gsize)1 << mutate_below(state, 4), place = mutate_place(state, file->len, size);
    guint8 span[4096];
    switch (mutate_below(state, 11)) {
    case 0:
    case 1: file->data[at] ^= (guint8)(1 << mutate_below(state, 8)); break;
    case 2: file->data[at] = (guint8)mutate_next(state); break;
    case 3: mutate_put(state, file->data + place, size, mutate_number(state)); break;
    case 4: mutate_length(state, file); break;
    case 5: g_byte_array_set_size(file, (guint)MAX(16, mutate_place(state, file->len, 1))); break;
    case 6: g_byte_array_remove_range(file, (guint)at, (guint)n); break;
    case 7: memset(file->data + at, mutate_below(state, 2) ? 0xFF : 0, n); break;
    case 8: mutate_exchange(state, file); break;
    case 9:
        memcpy(span, file->data + at, MIN(n, sizeof span));
        mutate_insert(file, mutate_place(state, file->len, 1), span, MIN(n, sizeof span));
        break;
    case 10:
        for (gsize i = 0; i < 16; i++) span[i] = (guint8)mutate_next(state);
        mutate_insert(file, at, span, 1 + mutate_below(state, 16));
    }
    if (file->len < 16) g_byte_array_append(file, (const guint8[16]){0}, 16);
}

/* A damaged copy of n bytes, at least 16: one damage, or up to eight. Owner: caller. */
static inline GByteArray *mutate(const guint8 *bytes, gsize n, guint64 number) {
    guint64 state = number;
    GByteArray *file = g_byte_array_sized_new((guint)n + 8192);
    g_byte_array_append(file, bytes, (guint)n);
    const gsize damages = mutate_below(&state, 2) ? 1 : 1 + mutate_below(&state, 8);
    for (gsize i = 0; i < damages; i++) mutate_once(&state, file);
    return file;
}

/* Puts a file in the place of the one before, at once: GLib's ways to do so wait for the disk or do not cut,
 * and a disk waits where a file is emptied. */
static inline void mutate_write(const char *path, const GByteArray *file) {
    unlink(path);
    FILE *out = fopen(path, "wb");
    g_assert_true(out && fwrite(file->data, 1, file->len, out) == file->len && fclose(out) == 0);
}

/* How many damages a test does: `usual`, a fifth of them under the slow sanitizers, or as MUTATIONS in the
 * environment says. */
static inline guint mutate_count(guint usual) {
    const char *asked = g_getenv("MUTATIONS");
#ifdef __SANITIZE_ADDRESS__
    usual /= 5;
#endif
    return asked ? (guint)g_ascii_strtoull(asked, NULL, 10) : usual;
}

/* Address space that the process may have from now on, in MiB: what asks for more fails. Sanitizers map
 * terabytes, so under them there is no limit. */
static inline void mutate_limit_memory(guint mib) {
#ifndef __SANITIZE_ADDRESS__
    const struct rlimit limit = {(rlim_t)mib << 20, (rlim_t)mib << 20};
    g_assert_cmpint(setrlimit(RLIMIT_AS, &limit), ==, 0);
#else
    (void)mib;
#endif
}

/* ---- what is told where one of them ends the process ---- */

static char mutate_told[256];

static inline void mutate_tell(int signal_number) {
    const ssize_t n = write(STDERR_FILENO, mutate_told, strlen(mutate_told));
    signal(signal_number, SIG_DFL);
    if (n >= 0) raise(signal_number);
}

/* Says which damage comes next: a crash, a failed check or a minute without the next one prints it. */
#define mutate_begin(...)                                                                                    \
    do {                                                                                                     \
        g_snprintf(mutate_told, sizeof mutate_told - 1, __VA_ARGS__);                                        \
        g_strlcat(mutate_told, "\n", sizeof mutate_told);                                                    \
        alarm(60);                                                                                           \
    } while (0)

/* Makes a copy of a file, to be damaged. */
static inline void mutate_copy(const char *from, const char *to) {
    g_autofree char *bytes = NULL;
    gsize n = 0;
    g_assert_true(g_file_get_contents(from, &bytes, &n, NULL) &&
                  g_file_set_contents(to, bytes, (gssize)n, NULL));
}

typedef char *(*mutate_digest_t)(const char *path, GError **error);

/* Damages a file that is sound, again and again. digest(opened), which reads it and what may be beside it,
 * gives of each damaged one what it gives of the sound one, or refuses it with its path. At the end the
 * damaged one stands in its place. */
static inline void mutate_file(const char *path, const char *opened, mutate_digest_t digest, guint usual) {
    const guint mutations = mutate_count(usual);
    g_autoptr(GError) error = NULL;
    g_autofree char *bytes = NULL, *sound = digest(opened, &error);
    gsize n = 0;
    guint read = 0;
    g_assert_no_error(error);
    g_assert_true(g_file_get_contents(path, &bytes, &n, &error));
    for (guint i = 0; i < mutations; i++) {
        mutate_begin("damage %u to %s", i, path);
        g_autoptr(GByteArray) file = mutate((guint8 *)bytes, n, i);
        g_autoptr(GError) refusal = NULL;
        mutate_write(path, file);
        g_autofree char *found = digest(opened, &refusal);
        g_assert_true((found == NULL) == (refusal != NULL));
        if (found)
            g_assert_cmpstr(found, ==, sound);
        else if (!strstr(refusal->message, path))
            g_error("'%s' does not name the file", refusal->message);
        read += found != NULL;
    }
    alarm(0);
    g_test_message("%s: %u of %u damaged files read as before, the others were refused", path, read,
                   mutations);
    g_assert_cmpuint(read, <, mutations / 4);
}

static inline void mutate_watch(void) {
    static const int signals[] = {SIGABRT, SIGALRM, SIGTRAP, SIGXCPU};
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE};
    for (gsize i = 0; i < G_N_ELEMENTS(signals); i++) signal(signals[i], mutate_tell);
#ifndef __SANITIZE_ADDRESS__ /* which tells of these itself */
    for (gsize i = 0; i < G_N_ELEMENTS(crashes); i++) signal(crashes[i], mutate_tell);
#else
    (void)crashes;
#endif
}
