/* Lines of metrics.jsonl and what people read, of both kinds of model. */
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "trainer/evaluate/evaluate_dense.h"
#include "trainer/evaluate/validate_sequence.h"
#include "trainer/metrics.h"

static const training_sums_t sums = {
    .windows = 4, .frames = 200, .segments = 50, .nll = 1200, .kl = 100, .auxiliary = 1600};
static const training_sums_t plain = {.windows = 4, .frames = 200, .nll = 1200};

static const time_shares_t shares = {.ranks = 4,
                                     .compute = 0.71,
                                     .exchange = 0.09,
                                     .hidden = 0.14,
                                     .waiting = 0.12,
                                     .data = 0.08,
                                     .efficiency = 0.79,
                                     .late = 3,
                                     .late_host = "h2"};

/* What is told of sums over a split. Owner of the texts: caller, by forget(). */
static evaluation_t told_dense(const dense_sums_t *valid, int active) {
    evaluation_t found = {.members = g_string_new(NULL), .text = g_string_new(NULL)};
    json_t members = {found.members, JSON_SPACED};
    evaluate_dense_tell_training(valid, active, &members, &found);
    return found;
}

static evaluation_t told_sequence(const sequence_sums_t *valid, int active) {
    evaluation_t found = {.members = g_string_new(NULL), .text = g_string_new(NULL)};
    json_t members = {found.members, JSON_SPACED};
    validate_sequence_tell(valid, active, &members, &found);
    return found;
}

static void forget(evaluation_t *found) {
    g_string_free(found->members, TRUE);
    g_string_free(found->text, TRUE);
}

static double latent_rate; /* of such a run */

/* A step and an epoch of a run in a new folder; returns the lines of metrics.jsonl as objects. Owner: caller.
 */
static JsonArray *lines_of(model_kind_t kind, gboolean quiet, const training_sums_t *done,
                           const evaluation_t *valid) {
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = g_dir_make_tmp("mpianist-metrics-XXXXXX", &error),
                    *path = g_build_filename(folder, "metrics.jsonl", NULL), *text = NULL;
    const options_t options = {
        .output = folder, .epochs = 3, .quiet = quiet, .latent_rate.nats = latent_rate};
    checkpoint_t checkpoint = {.model.kind = kind, .multiplier = 0.25};
    g_autoptr(metrics_t) metrics = metrics_open(&options, NULL, &checkpoint, 9, &error);
    g_assert_no_error(error);
    checkpoint.step = 1;
    metrics_step(
        metrics,
        &(metrics_step_t){.done = *done, .objective = {.beta = 0.5, .free_bits = 2}, .learning_rate = 0.1});
    checkpoint.so_far = *done;
    checkpoint.seconds = 2;
    metrics_epoch(metrics, TRUE, valid, TRUE, &shares);
    g_assert_true(metrics_flush(metrics, &error));
    g_assert_true(g_file_get_contents(path, &text, NULL, &error));
    g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);
    g_autofree char *body = g_strjoinv(",", lines), *array = g_strdup_printf("[%s]", body);
    g_autoptr(JsonNode) root = json_from_string(array, &error);
    g_assert_no_error(error);
    g_unlink(path);
    g_rmdir(folder);
    return json_array_ref(json_node_get_array(root));
}

static void assert_number(JsonArray *lines, guint line, const char *name, double value) {
    JsonObject *object = json_array_get_object_element(lines, line);
    g_assert_true(json_object_has_member(object, name));
    g_assert_cmpfloat_with_epsilon(json_object_get_double_member(object, name), value, 1e-12);
}

static void assert_none(JsonArray *lines, guint line, const char *name) {
    g_assert_false(json_object_has_member(json_array_get_object_element(lines, line), name));
}

static void test_dense(void) {
    const dense_sums_t over_split = {.windows = 2,
                                     .frames = 80,
                                     .nll = 80,
                                     .kl = 16,
                                     .objective = 100,
                                     .cells = {.hits = 1, .false_alarms = 2, .misses = 4}};
    evaluation_t valid = told_dense(&over_split, 3);
    g_assert_cmpfloat(valid.objective, ==, 50);
    g_autoptr(JsonArray) lines = lines_of(MODEL_DENSE, TRUE, &sums, &valid);
    assert_number(lines, 0, "windows", 4);
    assert_number(lines, 0, "loss", 312.5);
    assert_number(lines, 0, "nll", 300);
    assert_number(lines, 0, "kl", 25);
    assert_number(lines, 0, "nll_per_frame", 6);
    assert_number(lines, 0, "kl_per_frame", 0.5);
    assert_number(lines, 0, "beta", 0.5);
    assert_number(lines, 0, "free_bits", 2);
    assert_number(lines, 1, "nll", 300);
    assert_number(lines, 1, "valid_loss", 50);
    assert_number(lines, 1, "valid_nll", 40);
    assert_number(lines, 1, "valid_nll_per_frame", 1);
    assert_number(lines, 1, "valid_kl_per_frame", 0.2);
    assert_number(lines, 1, "valid_kl", 8);
    assert_number(lines, 1, "valid_windows", 2);
    assert_number(lines, 1, "active_units", 3);
    assert_number(lines, 1, "waiting_share", 0.12);
    assert_number(lines, 1, "exchange_hidden", 0.14);
    assert_number(lines, 1, "efficiency", 0.79);
    assert_number(lines, 1, "waited_for", 3);
    assert_number(lines, 1, "precision", 1.0 / 3);
    assert_number(lines, 1, "recall", 0.2);
    assert_number(lines, 1, "f1", 0.25);
    assert_none(lines, 0, "kl_per_segment");
    assert_none(lines, 1, "valid_kl_per_segment");
    forget(&valid);
}

static void test_sequence(void) {
    const sequence_sums_t over_split = {
        .pieces = 2, .frames = 80, .segments = 20, .nll = 520, .kl = 60, .objective = 600};
    evaluation_t valid = told_sequence(&over_split, 5);
    g_assert_cmpfloat(valid.objective, ==, 300);
    g_autoptr(JsonArray) lines = lines_of(MODEL_SEQUENCE, TRUE, &sums, &valid);
    assert_number(lines, 0, "sequences", 4);
    assert_number(lines, 0, "frames", 200);
    assert_number(lines, 0, "loss", 6.25);
    assert_number(lines, 0, "nll", 6);
    assert_number(lines, 0, "nll_per_frame", 6);
    assert_number(lines, 0, "kl_per_frame", 0.5);
    assert_number(lines, 0, "kl_per_segment", 2);
    assert_number(lines, 0, "auxiliary_per_frame", 8);
    assert_number(lines, 1, "sequences", 4);
    assert_number(lines, 1, "kl_per_segment", 2);
    assert_number(lines, 1, "valid_pieces", 2);
    assert_number(lines, 1, "valid_nll_per_frame", 6.5);
    assert_number(lines, 1, "valid_kl_per_frame", 0.75);
    assert_number(lines, 1, "valid_kl_per_segment", 3);
    assert_number(lines, 1, "valid_loss", 7.5);
    assert_number(lines, 1, "active_units", 5);
    assert_none(lines, 0, "windows");
    assert_none(lines, 1, "f1");
    assert_none(lines, 0, "multiplier");
    latent_rate = 8;
    g_autoptr(JsonArray) held = lines_of(MODEL_SEQUENCE, TRUE, &sums, &valid);
    latent_rate = 0;
    assert_number(held, 0, "multiplier", 0.25);
    assert_number(held, 0, "beta", 0.5);
    assert_number(held, 1, "multiplier", 0.25);
    forget(&valid);
    /* No latent: no segments to divide by. */
    g_autoptr(JsonArray) none = lines_of(MODEL_SEQUENCE, TRUE, &plain, NULL);
    g_assert_true(json_object_get_null_member(json_array_get_object_element(none, 0), "kl_per_segment"));
    assert_number(none, 0, "loss", 6);
}

static void test_shown(void) {
    if (g_test_subprocess()) {
        const cells_t cells = {.hits = 1, .false_alarms = 2, .misses = 4};
        evaluation_t window =
            told_dense(&(dense_sums_t){.windows = 2, .frames = 80, .nll = 80, .kl = 16, .cells = cells}, 3);
        evaluation_t piece = told_sequence(
            &(sequence_sums_t){.pieces = 2, .frames = 80, .segments = 20, .nll = 520, .kl = 60}, 5);
        evaluation_t exact = told_sequence(&(sequence_sums_t){.pieces = 2, .frames = 80, .nll = 520}, 0);
        json_array_unref(lines_of(MODEL_DENSE, FALSE, &sums, &window));
        json_array_unref(lines_of(MODEL_SEQUENCE, FALSE, &sums, &piece));
        json_array_unref(lines_of(MODEL_SEQUENCE, FALSE, &plain, &exact));
        latent_rate = 8;
        json_array_unref(lines_of(MODEL_SEQUENCE, FALSE, &sums, NULL));
        forget(&window);
        forget(&piece);
        forget(&exact);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr(
        "*epoch 1/3: train 300.00 + 25.00 nats a window; valid 40.00 + 8.00 (1.000 + "
        "0.200 a frame), 3 active units, F1 0.250, "
        "best; * windows/s, 2.0 s\n"
        "  time: compute 71 %, exchange 9 % (14 % more behind compute), waiting 12 % (for rank 3 on h2), "
        "data 8 %; efficiency against one rank 79 %\n*");
    g_test_trap_assert_stderr("*epoch 1/3: train 6.000 + 0.500 nats a frame (KL 2.00 a segment); valid 6.500 "
                              "+ 0.750 (KL 3.00 a segment), "
                              "5 active units, best; * frames/s, 2.0 s\n*");
    g_test_trap_assert_stderr(
        "*epoch 1/3: train 6.000 nats a frame; valid 6.500, best; * frames/s, 2.0 s\n*");
    g_test_trap_assert_stderr(
        "*epoch 1/3: train 6.000 + 0.500 nats a frame (KL 2.00 a segment at weight 0.25), best; *");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/metrics/dense", test_dense);
    g_test_add_func("/metrics/sequence", test_sequence);
    g_test_add_func("/metrics/shown", test_shown);
    return g_test_run();
}
