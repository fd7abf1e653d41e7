/* 5,000 damaged files of options: each is refused by its name and with a word, or means what its text says:
 * every value within its range, and written it reads back the same. */
#include <glib/gstdio.h>
#include <string.h>

#include "tests/helpers/mutate.h"
#include "tests/helpers/run_options.h"

enum { MUTATIONS = 5000, MEMORY = 512 /* MiB */ };

/* The run.ini of each preset. */
static GPtrArray *make_seeds(void) {
    static const char *const presets[] = {"--preset seed", "--preset chorales", "--preset folk",
                                          "--preset band"};
    GPtrArray *seeds = g_ptr_array_new_with_free_func(g_free);
    for (size_t i = 0; i < G_N_ELEMENTS(presets); i++) {
        g_autoptr(options_t) options = parsed(presets[i]);
        g_ptr_array_add(seeds, options_to_text(options));
    }
    return seeds;
}

static void test_mutated(void) {
    const guint mutations = mutate_count(MUTATIONS);
    g_autoptr(GPtrArray) seeds = make_seeds();
    g_autofree char *path = write_file("mutated.ini", ""), *more = g_strdup_printf("--config %s", path);
    guint read = 0;
    for (guint i = 0; i < mutations; i++) {
        const char *seed = seeds->pdata[i % seeds->len];
        mutate_begin("damage %u to options %u", i, i % seeds->len);
        g_autoptr(GByteArray) file = mutate((const guint8 *)seed, strlen(seed), i);
        g_autoptr(GError) error = NULL;
        mutate_write(path, file);
        g_autoptr(options_t) options = parse(more, &error);
        g_assert_true((options == NULL) == (error != NULL));
        if (options)
            assert_sound_options(options);
        else if (error->domain != OPTION_ERROR || !error->message[0])
            g_error("'%s'", error->message);
        read += options != NULL;
    }
    alarm(0);
    g_unlink(path);
    g_test_message("%u of %u damaged files of options were read, the others were refused", read, mutations);
    g_assert_cmpuint(read, >, mutations / 20);
    g_assert_cmpuint(read, <, mutations / 2);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    mutate_watch();
    mutate_limit_memory(MEMORY);
    g_test_add_func("/mutated-options/read", test_mutated);
    return g_test_run();
}
