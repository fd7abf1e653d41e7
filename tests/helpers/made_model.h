/* made_model: a model of tests/helpers/make_checkpoint.c, in the working folder. */
#pragma once

#include "sampler/make/sample.h"

/* arguments: of make_checkpoint, after the file. Owner: caller. */
static inline sample_model_t *made_model(const char *arguments) {
    g_autofree char *line =
        g_strdup_printf("%s/tests/helpers/make_checkpoint model.h5 %s", g_getenv("BUILD"), arguments);
    g_autoptr(GError) error = NULL;
    int status = -1;
    g_assert_true(g_spawn_command_line_sync(line, NULL, NULL, &status, &error));
    g_assert_cmpint(status, ==, 0);
    sample_model_t *model = sample_model_open("model.h5", &error);
    g_assert_no_error(error);
    return model;
}
