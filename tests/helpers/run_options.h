/* run_options: command lines of the trainer, as tests give them. */
#pragma once

#include <unistd.h>

#include "trainer/model/sizes.h"
#include "trainer/run/options.h"

/* Parses a command line, such as "trainer --data d --output o", split at spaces. */
static options_t *parse_whole(const char *line, gboolean print, gboolean *help, GError **error) {
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    return options_parse((int)g_strv_length(words), words, print, help, error);
}

static options_t *parse(const char *more, GError **error) {
    gboolean help;
    g_autofree char *line = g_strdup_printf("trainer --data d --output o%s%s", *more ? " " : "", more);
    return parse_whole(line, FALSE, &help, error);
}

static inline options_t *parsed(const char *more) {
    g_autoptr(GError) error = NULL;
    options_t *options = parse(more, &error);
    g_assert_no_error(error);
    g_assert_nonnull(options);
    return options;
}

static inline void assert_refused(const char *more, const char *message) {
    g_autoptr(GError) error = NULL;
    g_autoptr(options_t) options = parse(more, &error);
    g_assert_null(options);
    g_assert_error(error, OPTION_ERROR, OPTION_ERROR_USAGE);
    g_assert_cmpstr(error->message, ==, message);
}

/* Writes a temporary file with this text and returns its path. Owner: caller. */
static inline char *write_file(const char *name, const char *text) {
    char *path = g_build_filename(g_get_tmp_dir(), name, NULL);
    g_autofree char *own = g_strdup_printf("%s.%d", path, (int)getpid());
    g_free(path);
    g_assert_true(g_file_set_contents(own, text, -1, NULL));
    return g_steal_pointer(&own);
}

/* Every value is within its range, and reads back the same once written. */
static inline void assert_sound_options(const options_t *options) {
    g_autoptr(GError) error = NULL;
    g_autofree char *text = options_to_text(options);
    g_autoptr(options_t) back = options_from_text(text, "text", &error);
    g_assert_no_error(error);
    g_autofree char *again = options_to_text(back);
    g_assert_cmpstr(text, ==, again);
    const grid_t grid = grid_default();
    const model_config_t config = options_model_config(options, &grid);
    g_assert_true(sizes_check(&config, &error));
}
