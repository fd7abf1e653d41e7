/* The run folder: links, what stays and what goes, the newest checkpoint that can be read. */
#include <errno.h>
#include <unistd.h>

#include "tests/helpers/checkpoint_states.h"

/* A checkpoint of a few weights and their average. */
static void write_checkpoint(const char *path) {
    const model_config_t config = {
        .window = 3, .tracks = 1, .planes = 1, .pitches = 12, .hidden = {9}, .n_hidden = 1, .latent = 3};
    g_autoptr(GError) error = NULL;
    checkpoint_t checkpoint = {.model = config,
                               .grid = grid_default(),
                               .options = (char *)"",
                               .tempo_bpm = 120,
                               .meter = {0, 4, 4},
                               .best = INFINITY};
    checkpoint.grid.pitches = 12;
    g_autoptr(model_t) model = model_new(&config, 1, 0, &error);
    g_assert_no_error(error);
    model_init(model, 1);
    g_autoptr(optimizer_t) optimizer =
        optimizer_new(&(optimizer_config_t){.epsilon = 1e-8, .average = 0.9}, model_size(model));
    optimizer_step(optimizer, model, 0.001);
    checkpoint_write(path, &checkpoint, model, optimizer, NULL, &error);
    g_assert_no_error(error);
}

static void touch(const char *folder, const char *name) {
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_assert_true(g_file_set_contents(path, "x", -1, NULL));
}

static int compare_names(gconstpointer a, gconstpointer b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted names of a folder's files, joined by spaces; owner: caller. */
static char *list(const char *folder) {
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    for (const char *name; (name = g_dir_read_name(dir));) g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, compare_names);
    g_ptr_array_add(names, NULL);
    return g_strjoinv(" ", (char **)names->pdata);
}

static void test_links_and_prune(void) {
    char *folder = make_folder();
    g_autoptr(GError) error = NULL;
    g_autofree char *latest = g_build_filename(folder, "latest.h5", NULL);
    for (int i = 1; i <= 6; i++) {
        g_autofree char *path = checkpoint_path(folder, i * 100);
        g_assert_true(g_file_set_contents(path, "x", -1, NULL));
    }
    g_assert_true(checkpoint_link(folder, "latest.h5", "checkpoint-00000500.h5", &error));
    g_assert_true(checkpoint_link(folder, "latest.h5", "checkpoint-00000600.h5", &error)); /* replaces */
    g_assert_true(checkpoint_link(folder, "best.h5", "checkpoint-00000200.h5", &error));
    g_autofree char *target = g_file_read_link(latest, NULL);
    g_assert_cmpstr(target, ==, "checkpoint-00000600.h5");
    /* Leftovers of a killed writer, and files that are none of ours. */
    touch(folder, "checkpoint-00000700.h5.h1-123.tmp");
    touch(folder, "latest.h5.h1-123.tmp");
    touch(folder, "run.ini.h1-123.tmp");
    touch(folder, "checkpoint-mine.h5");
    touch(folder, "checkpoint-00000700.h5.old");
    touch(folder, "run.ini");
    checkpoint_sweep(folder);
    g_assert_true(checkpoint_prune(folder, 2, &error));
    g_autofree char *left = list(folder);
    g_assert_cmpstr(left, ==,
                    "best.h5 checkpoint-00000200.h5 checkpoint-00000500.h5 checkpoint-00000600.h5 "
                    "checkpoint-00000700.h5.old checkpoint-mine.h5 latest.h5 run.ini");
    g_assert_false(checkpoint_prune("/nonexistent", 2, &error));
    g_assert_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ);
    g_clear_error(&error);
    g_assert_false(checkpoint_link("/nonexistent", "latest.h5", "x", &error));
    g_assert_nonnull(strstr(error->message, g_strerror(ENOENT)));
    remove_folder(folder);
}

/* A folder has a name that a checkpoint or a link should get: told, and nothing left over. */
static void test_in_the_way(void) {
    char *folder = make_folder();
    g_autoptr(GError) error = NULL;
    g_autofree char *numbered = checkpoint_path(folder, 100),
                    *latest = g_build_filename(folder, "latest.h5", NULL);
    g_assert_true(g_mkdir(numbered, 0777) == 0 && g_mkdir(latest, 0777) == 0);
    g_assert_false(checkpoint_prune(folder, 0, &error));
    g_assert_nonnull(strstr(error->message, "checkpoint-00000100.h5: cannot remove it: "));
    g_clear_error(&error);
    g_assert_false(checkpoint_link(folder, "latest.h5", "checkpoint-00000100.h5", &error));
    g_assert_nonnull(strstr(error->message, "latest.h5: cannot point it at a checkpoint: "));
    g_clear_error(&error);
    g_assert_false(checkpoint_complete(folder, "checkpoint-00000100.h5", FALSE, 1, &error));
    g_assert_nonnull(strstr(error->message, "latest.h5: cannot point it at a checkpoint: "));
    g_autofree char *left = list(folder);
    g_assert_cmpstr(left, ==, "checkpoint-00000100.h5 latest.h5");
    g_rmdir(numbered);
    g_rmdir(latest);
    remove_folder(folder);
}

/* What a killed run left undone after it wrote checkpoint 2. */
static void test_complete(void) {
    static const struct {
        const char *latest, *best; /* links that there are */
        gboolean is_best;
        const char *left;
    } cases[] = {
        {NULL, NULL, FALSE, "checkpoint-00000002.h5 latest.h5"},
        {NULL, NULL, TRUE, "best.h5 checkpoint-00000002.h5 latest.h5"},
        {NULL, "checkpoint-00000001.h5", TRUE,
         "best.h5 checkpoint-00000001.h5 checkpoint-00000002.h5 latest.h5"},
        {"checkpoint-00000002.h5", NULL, FALSE, "checkpoint-00000002.h5 latest.h5"},
        {"checkpoint-00000001.h5", NULL, TRUE, "checkpoint-00000001.h5 checkpoint-00000002.h5 latest.h5"}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        char *folder = make_folder();
        g_autoptr(GError) error = NULL;
        touch(folder, "checkpoint-00000001.h5");
        touch(folder, "checkpoint-00000002.h5");
        if (cases[i].latest) g_assert_true(checkpoint_link(folder, "latest.h5", cases[i].latest, &error));
        if (cases[i].best) g_assert_true(checkpoint_link(folder, "best.h5", cases[i].best, &error));
        g_assert_true(checkpoint_complete(folder, "checkpoint-00000002.h5", cases[i].is_best, 1, &error));
        g_autofree char *left = list(folder);
        g_assert_cmpstr(left, ==, cases[i].left);
        remove_folder(folder);
    }
}

static void test_find_latest(void) {
    char *folder = make_folder();
    g_autoptr(GError) error = NULL;
    g_autofree char *none = checkpoint_find_latest("/nonexistent", &error),
                    *empty = checkpoint_find_latest(folder, &error);
    g_autofree char *first = checkpoint_path(folder, 9), *second = checkpoint_path(folder, 10),
                    *third = checkpoint_path(folder, 123456789012);
    g_assert_no_error(error);
    g_assert_true(none == NULL && empty == NULL);
    write_checkpoint(first);
    write_checkpoint(second);
    write_checkpoint(third);
    g_autofree char *highest = checkpoint_find_latest(folder, &error);
    g_assert_cmpstr(highest, ==, third);
    g_assert_true(checkpoint_link(folder, "latest.h5", "checkpoint-00000010.h5", &error));
    g_autofree char *linked = checkpoint_find_latest(folder, &error);
    g_assert_cmpstr(linked, ==, second);
    /* Damaged ones are passed over, aloud. */
    g_assert_cmpint(truncate(second, 3000), ==, 0);
    g_assert_cmpint(truncate(third, 3000), ==, 0);
    g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*checkpoint-00000010.h5: *older*");
    g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*checkpoint-123456789012.h5: *older*");
    g_autofree char *older = checkpoint_find_latest(folder, &error);
    g_test_assert_expected_messages();
    g_assert_no_error(error);
    g_assert_cmpstr(older, ==, first);
    /* A link to nothing, and only a leftover beside it. */
    g_unlink(first);
    g_unlink(second);
    g_unlink(third);
    touch(folder, "checkpoint-00000011.h5.h1-123.tmp");
    g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*checkpoint-00000010.h5: *");
    g_autofree char *nothing = checkpoint_find_latest(folder, &error);
    g_test_assert_expected_messages();
    g_assert_no_error(error);
    g_assert_null(nothing);
    /* A link to what no run wrote, and a file in the folder's place. */
    touch(folder, "mine.h5");
    g_assert_true(checkpoint_link(folder, "latest.h5", "mine.h5", &error));
    g_assert_null(checkpoint_find_latest(folder, &error));
    g_assert_no_error(error);
    g_autofree char *file = g_build_filename(folder, "mine.h5", NULL);
    g_assert_null(checkpoint_find_latest(file, &error));
    g_assert_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ);
    remove_folder(folder);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/checkpoint-folder/links-and-prune", test_links_and_prune);
    g_test_add_func("/checkpoint-folder/in-the-way", test_in_the_way);
    g_test_add_func("/checkpoint-folder/complete", test_complete);
    g_test_add_func("/checkpoint-folder/find-latest", test_find_latest);
    return g_test_run();
}
