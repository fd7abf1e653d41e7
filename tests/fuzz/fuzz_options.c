/* fuzz_options: any bytes as a file of options: refused with a word, or values within their ranges that read
 * back the same once written. */
#include "tests/fuzz/fuzz.h"
#include "tests/helpers/run_options.h"

static char *path, *more;

int LLVMFuzzerInitialize(G_GNUC_UNUSED int *argc, G_GNUC_UNUSED char ***argv) {
    static const char *const presets[] = {"--preset seed", "--preset band", "--preset chorales"};
    for (size_t i = 0; i < G_N_ELEMENTS(presets); i++) {
        g_autoptr(options_t) options = parsed(presets[i]);
        g_autofree char *text = options_to_text(options);
        fuzz_seed(presets[i], text, strlen(text));
    }
    path = write_file("fuzz.ini", "");
    more = g_strdup_printf("--config %s", path);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    g_autoptr(GError) error = NULL;
    fuzz_write(path, data, size);
    g_autoptr(options_t) options = parse(more, &error);
    g_assert_true((options == NULL) == (error != NULL));
    if (options)
        assert_sound_options(options);
    else
        g_assert_true(error->domain == OPTION_ERROR && error->message[0]);
    return 0;
}
