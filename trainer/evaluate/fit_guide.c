/* fit_guide: owns the steps by which a guide is learned, on all ranks, and the report. A rank takes its songs
 * in groups, in another order each epoch; each step is by a few frames of every rank's group. Refuses models
 * that have no use for a guide, and data on another grid. */
#include "trainer/evaluate/fit_guide.h"

#include <math.h>
#include <string.h>

#include "preprocess/common/json.h"
#include "preprocess/common/program.h"
#include "trainer/data/batch_order.h"
#include "trainer/evaluate/evaluate.h"
#include "trainer/evaluate/guide_lesson.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/stop.h"
#include "trainer/parallel/watch.h"
#include "trainer/run/run.h"

enum { STEP_FRAMES = 16 };   /* of each song side by side */
#define LEARNED_FRAMES 1.5e6 /* without --epochs; songs are gone through at least twice */
#define LEARNING_RATE  0.003
#define LAST_RATE      0.02 /* of it */
enum { REPORTS = 15, EPOCH_OF_REPORT = 1 << 20 };

/* The songs of a split that are this rank's. */
typedef struct {
    split_t split;
    size_t n, own;
    double frames;             /* of all */
    uint32_t *songs, *lengths; /* [own] */
} share_t;

typedef struct {
    const evaluation_job_t *job;
    guide_t *guide;
    guide_lesson_t *lesson;
    optimizer_t *optimizer;
    size_t size;      /* of the weights */
    real_t *gradient; /* [size] */
    double *sum;      /* [size] over ranks */
    int64_t epochs, steps;
    int transpose_low, transpose_high; /* as the model was trained */
    /* The best so far, by the songs of the report. */
    real_t *best; /* [size] */
    int64_t best_epochs;
    lesson_sums_t sums[MASK_KINDS];
    progress_t progress;
    double done, all; /* frames, as far as this rank tells */
} fit_t;

static void share_clear(share_t *share) {
    g_free(share->songs);
    g_free(share->lengths);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(share_t, share_clear)

static void fit_clear(fit_t *fit) {
    guide_lesson_free(fit->lesson);
    guide_free(fit->guide);
    optimizer_free(fit->optimizer);
    g_free(fit->gradient);
    g_free(fit->sum);
    g_free(fit->best);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(fit_t, fit_clear)

/* Divides a split's songs among the ranks: each goes to the rank with the fewest frames so far. */
static void deal(const evaluation_job_t *job, split_t split, share_t *share) {
    const size_t n = share->n = (size_t)data_pieces(job->data, split), ranks = (size_t)comm_size();
    g_autofree uint32_t *frames = g_new(uint32_t, n + 1), *of = g_new(uint32_t, n + 1);
    g_autofree uint64_t *load = g_new(uint64_t, ranks);
    share->split = split;
    share->songs = g_new(uint32_t, n + 1);
    share->lengths = g_new(uint32_t, n + 1);
    for (size_t i = 0; i < n; i++) frames[i] = data_piece_frames(job->data, split, (int64_t)i);
    batch_order_split(frames, n, ranks, of, load);
    for (size_t i = 0; i < n; i++) {
        share->frames += frames[i];
        if (of[i] != (uint32_t)comm_rank()) continue;
        share->songs[share->own] = (uint32_t)i;
        share->lengths[share->own++] = frames[i];
    }
}

/* The songs of a step are divided among the ranks, so that the number of steps hardly depends on these. */
static size_t songs_at_once(void) { return MAX(1, LESSON_SONGS / (size_t)comm_size()); }

/* The epoch's i-th group of this rank's songs, the longest first; returns how many. */
static size_t group_of(const fit_t *fit, const share_t *share, int64_t epoch, size_t i, uint32_t *songs) {
    const rng_t rng = rng_make(fit->job->seed, RNG_SHUFFLE, (uint64_t)epoch, 0);
    const size_t first = i * songs_at_once(), n = MIN(songs_at_once(), share->own - first);
    uint32_t numbers[LESSON_SONGS], lengths[LESSON_SONGS], order[LESSON_SONGS];
    uint64_t keys[LESSON_SONGS];
    for (size_t k = 0; k < n; k++) {
        const size_t at = (size_t)rng_permute(&rng, first + k, share->own);
        numbers[k] = (uint32_t)k;
        songs[k] = share->songs[at];
        lengths[k] = share->lengths[at];
    }
    batch_order_sort(numbers, n, lengths, keys, order);
    for (size_t k = 0; k < n; k++) keys[k] = songs[order[k]];
    for (size_t k = 0; k < n; k++) songs[k] = (uint32_t)keys[k];
    return n;
}

static size_t groups_of(const share_t *share) { return (share->own + songs_at_once() - 1) / songs_at_once(); }

/* A step by the gradients of all ranks. */
static void step(fit_t *fit) {
    double norm = 0;
    for (size_t i = 0; i < fit->size; i++) fit->sum[i] = (double)fit->gradient[i];
    comm_sum_doubles(fit->sum, fit->size);
    for (size_t i = 0; i < fit->size; i++) {
        norm += fit->sum[i] * fit->sum[i];
        fit->gradient[i] = (real_t)fit->sum[i];
    }
    const double rate = optimizer_schedule(LEARNING_RATE, DECAY_COSINE, fit->optimizer->step, fit->steps / 50,
                                           MAX(1, fit->steps), LAST_RATE);
    if (optimizer_begin(fit->optimizer, sqrt(norm), rate))
        optimizer_update_block(fit->optimizer, guide_weights(fit->guide), fit->gradient);
}

/* Steps that a group takes, by its longest song. */
static size_t steps_of_group(const fit_t *fit, const share_t *share, uint32_t longest) {
    return (data_piece_frames(fit->job->data, share->split, longest) + STEP_FRAMES - 1) / STEP_FRAMES;
}

/* Steps of an epoch on this rank: each group takes as many as its longest song asks for. */
static int64_t steps_of(const fit_t *fit, const share_t *share, int64_t epoch) {
    int64_t steps = 0;
    uint32_t songs[LESSON_SONGS];
    for (size_t i = 0; i < groups_of(share); i++) {
        group_of(fit, share, epoch, i, songs);
        steps += (int64_t)steps_of_group(fit, share, songs[0]);
    }
    return steps;
}

/* Begins the epoch's next group; returns the steps that it takes. */
static size_t begin_group(fit_t *fit, const share_t *share, int64_t epoch, gboolean learn, size_t group) {
    uint32_t songs[LESSON_SONGS];
    const size_t n = group_of(fit, share, epoch, group, songs);
    const lesson_plan_t plan = {.split = share->split,
                                .epoch = (uint64_t)epoch,
                                .transpose_low = learn ? fit->transpose_low : 0,
                                .transpose_high = learn ? fit->transpose_high : 0};
    guide_lesson_begin(fit->lesson, &plan, songs, n);
    return steps_of_group(fit, share, songs[0]);
}

/* Goes through the share once, learning or not, and adds to sums [MASK_KINDS], this rank's. Ranks agree each
 * step on whether to go on. FALSE with error set if one was stopped or could not read a song. */
static gboolean go_through(fit_t *fit, const share_t *share, int64_t epoch, gboolean learn,
                           lesson_sums_t *sums, GError **error) {
    rolls_t *rolls = data_rolls(fit->job->data);
    const int64_t steps = comm_max(steps_of(fit, share, epoch));
    size_t group = 0, under_way = 0;
    for (int64_t i = 0; i <= steps; i++) { /* once more, for the last step's songs */
        if (comm_any(stop_due(0) || rolls_failed(rolls)))
            return rolls_agree(rolls, error) &&
                   program_fail(error, "stopped by a signal before the guide was learned");
        if (i == steps) break;
        if (learn) memset(fit->gradient, 0, fit->size * sizeof *fit->gradient);
        if (under_way == 0 && group < groups_of(share))
            under_way = begin_group(fit, share, epoch, learn, group++);
        if (under_way > 0) {
            under_way--;
            fit->done +=
                (double)guide_lesson_go_on(fit->lesson, STEP_FRAMES, learn ? fit->gradient : NULL, sums);
        }
        if (learn) step(fit);
        watch_tick();
        progress_show(&fit->progress, (size_t)(fit->done * comm_size()), (size_t)fit->all);
    }
    return TRUE;
}

static lesson_sums_t all_of(const lesson_sums_t *sums) {
    lesson_sums_t all = {0};
    for (size_t i = 0; i < MASK_KINDS; i++) {
        all.frames += sums[i].frames;
        all.alone += sums[i].alone;
        all.guided += sums[i].guided;
    }
    return all;
}

/* Keeps the guide if it is the best so far. FALSE as go_through(). */
static gboolean judge(fit_t *fit, const share_t *report, int64_t epochs, GError **error) {
    lesson_sums_t sums[MASK_KINDS] = {0};
    if (!go_through(fit, report, EPOCH_OF_REPORT, FALSE, sums, error)) return FALSE;
    comm_sum_doubles(&sums[0].frames, MASK_KINDS * (sizeof *sums / sizeof(double)));
    if (fit->best_epochs > 0 && !(all_of(sums).guided < all_of(fit->sums).guided)) return TRUE;
    fit->best_epochs = epochs;
    memcpy(fit->sums, sums, sizeof sums);
    memcpy(fit->best, guide_weights(fit->guide), fit->size * sizeof *fit->best);
    return TRUE;
}

/* FALSE with the same error set on all ranks. */
static gboolean learn(fit_t *fit, const share_t *train, const share_t *report, GError **error) {
    lesson_sums_t unused[MASK_KINDS] = {0};
    GError *local = NULL;
    const int64_t every = (fit->epochs + REPORTS - 1) / REPORTS;
    fit->all =
        (double)fit->epochs * train->frames + (double)((fit->epochs + every - 1) / every) * report->frames;
    for (int64_t epoch = 0; epoch < fit->epochs; epoch++) fit->steps += comm_max(steps_of(fit, train, epoch));
    fit->progress = progress_start("frames", fit->job->quiet || comm_rank() > 0);
    gboolean whole = TRUE;
    for (int64_t epoch = 0; whole && epoch < fit->epochs; epoch++) {
        const int64_t done = epoch + 1;
        whole = go_through(fit, train, epoch, TRUE, unused, &local) &&
                ((done % every > 0 && done < fit->epochs) || judge(fit, report, done, &local));
    }
    progress_end(&fit->progress);
    return comm_agree(local, error);
}

/* ---- the report ---- */

static gboolean print_json(const options_t *options, const fit_t *fit, const share_t *report,
                           GError **error) {
    g_autoptr(GString) line = g_string_new(NULL);
    json_t json = {line, JSON_EXACT};
    const lesson_sums_t all = all_of(fit->sums);
    json_open(&json, NULL, '{');
    json_text(&json, "checkpoint", options->masks);
    json_text(&json, "split", split_name(report->split));
    json_count(&json, "epochs", (size_t)fit->best_epochs);
    json_count(&json, "frames", (size_t)all.frames);
    json_number(&json, "alone_per_frame", all.alone / all.frames);
    json_number(&json, "guided_per_frame", all.guided / all.frames);
    json_close(&json, '{');
    return evaluate_print_line(line->str, error);
}

static void print_table(const options_t *options, const fit_t *fit, const share_t *report) {
    g_printerr("%s: a guide, best after %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
               " epochs; nats a frame of what is not known, %zu %s %s\n%-10s %10s %10s %10s\n",
               options->masks, fit->best_epochs, fit->epochs, report->n, split_name(report->split),
               g_dngettext(NULL, "song", "songs", (gulong)report->n), "known", "frames", "alone", "guided");
    for (mask_kind_t kind = 0; kind < MASK_KINDS; kind++)
        if (fit->sums[kind].frames > 0)
            g_printerr("%-10s %10.0f %10.4f %10.4f\n", mask_kind_name(kind), fit->sums[kind].frames,
                       fit->sums[kind].alone / fit->sums[kind].frames,
                       fit->sums[kind].guided / fit->sums[kind].frames);
}

/* Rank 0's part, once the guide is learned. */
static gboolean finish(const options_t *options, const fit_t *fit, const share_t *report, owner_t *owner,
                       GError **error) {
    const lesson_sums_t all = all_of(fit->sums);
    const checkpoint_guide_t guide = {.epochs = fit->best_epochs,
                                      .alone = all.alone / MAX(all.frames, 1),
                                      .guided = all.guided / MAX(all.frames, 1),
                                      .weights = fit->best};
    if (!(all.frames > 0))
        return program_fail(
            error, "%s: the %s songs are too short to leave anything open; see `%s --info %s`", options->data,
            split_name(report->split), program_called("preprocess"), options->data);
    if (!checkpoint_write_guide(options->masks, &guide, owner, error) ||
        !print_json(options, fit, report, error))
        return FALSE;
    if (!options->quiet) print_table(options, fit, report);
    return TRUE;
}

/* Rank 0, which alone has the checkpoint's options, tells how the model's songs were transposed. FALSE with
 * the same error set on all ranks. */
static gboolean find_transpose(fit_t *fit, const checkpoint_t *checkpoint, GError **error) {
    GError *local = NULL;
    option_semitones_t transpose = {0};
    if (comm_rank() == 0) {
        g_autoptr(options_t) trained =
            options_from_text(checkpoint->options, "the checkpoint's options", &local);
        if (trained) transpose = trained->transpose;
    }
    comm_broadcast(&transpose, sizeof transpose);
    fit->transpose_low = transpose.low;
    fit->transpose_high = transpose.high;
    return comm_agree(local, error);
}

static gboolean fit_init(fit_t *fit, const evaluation_job_t *job, GError **error) {
    const model_config_t *config = model_config(job->model);
    const optimizer_config_t adam = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    const size_t most =
        MAX(data_longest_piece(job->data, SPLIT_TRAIN), data_longest_piece(job->data, SPLIT_VALID));
    fit->job = job;
    fit->best = g_new0(real_t, guide_groups(config) * guide_columns(config));
    fit->size = guide_groups(config) * guide_columns(config);
    fit->gradient = g_new0(real_t, fit->size);
    fit->sum = g_new0(double, fit->size);
    fit->optimizer = optimizer_new(&adam, fit->size);
    fit->guide = guide_new(config);
    guide_start(fit->guide, job->seed);
    fit->lesson = guide_lesson_new(job, fit->guide, most, error);
    return fit->lesson != NULL;
}

static gboolean run_fit(const options_t *options, const evaluation_job_t *job, const checkpoint_t *checkpoint,
                        owner_t *owner, GError **error) {
    g_auto(fit_t) fit = {0};
    g_auto(share_t) train = {0}, report = {0};
    GError *local = NULL;
    fit_init(&fit, job, &local);
    if (!comm_agree(local, error) || !find_transpose(&fit, checkpoint, error)) return FALSE;
    deal(job, SPLIT_TRAIN, &train);
    fit.epochs = options->epochs == OPTIONS_AUTO ? MAX(2, (int64_t)ceil(LEARNED_FRAMES / train.frames))
                                                 : options->epochs;
    deal(job, data_pieces(job->data, SPLIT_VALID) > 0 ? SPLIT_VALID : SPLIT_TRAIN, &report);
    if (!learn(&fit, &train, &report, error)) return FALSE;
    local = NULL;
    if (comm_rank() == 0) finish(options, &fit, &report, owner, &local);
    return comm_agree(local, error);
}

int guide_run(const options_t *options, GError **error) {
    g_auto(checkpoint_t) checkpoint = {0};
    if (!run_read_checkpoint(options->masks, &checkpoint, error)) return EXIT_ERROR;
    if (checkpoint.model.kind == MODEL_DENSE) {
        g_set_error(error, OPTION_ERROR, OPTION_ERROR_USAGE,
                    "--masks: %s is a dense model, which cannot write around what is known; train one with "
                    "--model sequence",
                    options->masks);
        return EXIT_USAGE;
    }
    const option_splits_t train = {.splits = {SPLIT_TRAIN}, .n = 1};
    evaluation_job_t job = {.split = SPLIT_TRAIN};
    g_autoptr(owner_t) owner = NULL;
    const gboolean done = evaluate_own_folder(options->masks, &owner, error) &&
                          evaluate_open(&job, options, options->masks, &checkpoint, &train, error) &&
                          run_fit(options, &job, &checkpoint, owner, error);
    evaluate_close(&job);
    return done ? EXIT_DONE : EXIT_ERROR;
}
