/* fuzz: what the programs of tests/fuzz share. Each reads the bytes that libFuzzer makes up and stops the
 * process where what must hold does not. libFuzzer has no header for C: its two hooks are declared here. */
#pragma once

#include <glib/gstdio.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Puts bytes into a file, at once. */
static inline void fuzz_write(const char *path, const void *bytes, size_t size) {
    unlink(path);
    FILE *out = fopen(path, "wb");
    g_assert_true(out && fwrite(bytes, 1, size, out) == size && fclose(out) == 0);
}

/* Adds a file to what the fuzzer begins with: the folder SEEDS in the environment. */
static inline void fuzz_seed(const char *name, const void *bytes, size_t size) {
    g_autofree char *path = g_build_filename(g_getenv("SEEDS"), name, NULL);
    fuzz_write(path, bytes, size);
}

/* The same of a whole file, behind a zero. */
static inline void fuzz_seed_file(const char *name, const char *path) {
    g_autofree char *bytes = NULL;
    size_t size = 0;
    g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    g_autofree char *all = g_malloc0(size + 1);
    memcpy(all + 1, bytes, size);
    fuzz_seed(name, all, size + 1);
}

/* The path of a file of tests/golden. Owner: caller. */
static inline char *fuzz_golden(const char *name) {
    return g_build_filename(g_getenv("SOURCE"), "tests/golden", name, NULL);
}

/* Takes what comes next of the input; zeros where it has ended. */
typedef struct {
    const uint8_t *bytes;
    size_t size;
} fuzz_input_t;

static inline void fuzz_take(fuzz_input_t *input, void *out, size_t size) {
    const size_t n = MIN(size, input->size);
    memset(out, 0, size);
    if (n > 0) memcpy(out, input->bytes, n);
    input->bytes += n;
    input->size -= n;
}

static inline uint8_t fuzz_take_byte(fuzz_input_t *input) {
    uint8_t byte;
    fuzz_take(input, &byte, 1);
    return byte;
}

/* A number: small, of any size, or one at which sums overflow. */
static inline int64_t fuzz_take_number(fuzz_input_t *input) {
    static const int64_t odd[] = {-1,      G_MAXINT32, G_MININT32,     G_MAXUINT32, (gint64)1 << 32,
                                  1 << 24, G_MAXINT64, G_MAXINT64 - 1, G_MININT64,  (gint64)1 << 62};
    int64_t number;
    const uint8_t kind = fuzz_take_byte(input) % 3;
    if (kind == 0) return (int8_t)fuzz_take_byte(input);
    if (kind == 1) return odd[fuzz_take_byte(input) % G_N_ELEMENTS(odd)];
    fuzz_take(input, &number, sizeof number);
    return number;
}

static inline double fuzz_take_real(fuzz_input_t *input) {
    double number;
    fuzz_take(input, &number, sizeof number);
    return number;
}
