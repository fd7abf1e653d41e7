/* evaluator: owns the communication of ranks during an evaluation, and how pieces are divided among them.
 * Refuses nothing: callers make sure that there are songs. */
#include "trainer/evaluate/evaluator.h"

#include <string.h>

#include "trainer/data/batch_order.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/stop.h"
#include "trainer/parallel/watch.h"

void *evaluator_new(size_t bytes, const evaluation_job_t *job) {
    evaluator_t *evaluator = g_malloc0(bytes);
    evaluator->job = *job;
    evaluator->n_slots = MAX(job->shares, 1);
    if (job->shares == 0) {
        evaluator->job.shares = (size_t)comm_size();
        evaluator->job.first_share = (size_t)comm_rank();
        evaluator->job.own_shares = 1;
    }
    evaluator->buffers = g_ptr_array_new_with_free_func(g_free);
    evaluator->share_begin = evaluator_alloc(evaluator, evaluator->job.own_shares + 1, sizeof(size_t));
    evaluator->found.members = g_string_new(NULL);
    evaluator->found.text = g_string_new(NULL);
    return evaluator;
}

void *evaluator_alloc(evaluator_t *evaluator, size_t n, size_t element_bytes) {
    void *buffer = g_malloc0_n(n, element_bytes);
    g_ptr_array_add(evaluator->buffers, buffer);
    return buffer;
}

/* From now on adds to the sums of a share. */
static void take_slot(evaluator_t *evaluator, size_t slot) {
    evaluator->sums = evaluator->slots + slot * evaluator->n_sums;
    evaluator->moments = evaluator->sums + evaluator->n_sums - 2 * model_config(evaluator->job.model)->latent;
}

/* The sums of all ranks: those of each share come from one rank, as they are, and are added up in order. */
static void add_up(evaluator_t *evaluator) {
    const size_t n = evaluator->n_sums;
    comm_sum_doubles(evaluator->slots, evaluator->n_slots * n);
    for (size_t i = n; i < evaluator->n_slots * n; i++) evaluator->slots[i % n] += evaluator->slots[i];
    if (evaluator->n_slots > 1) take_slot(evaluator, 0);
}

void evaluator_sums(evaluator_t *evaluator, size_t n) {
    evaluator->n_sums = n + 2 * model_config(evaluator->job.model)->latent;
    evaluator->slots = evaluator_alloc(evaluator, evaluator->n_slots * evaluator->n_sums, sizeof(double));
    take_slot(evaluator, 0);
}

void evaluator_end_share(evaluator_t *evaluator, size_t i) {
    evaluator->share_begin[i + 1] = evaluator->batches;
}

size_t evaluator_share(const evaluator_t *evaluator, size_t batch) {
    size_t i = 0;
    while (i + 1 < evaluator->job.own_shares && batch >= evaluator->share_begin[i + 1]) i++;
    return i;
}

void evaluator_free(evaluator_t *evaluator) {
    if (!evaluator) return;
    if (evaluator->clear) evaluator->clear(evaluator);
    g_ptr_array_unref(evaluator->buffers);
    g_string_free(evaluator->found.members, TRUE);
    g_string_free(evaluator->found.text, TRUE);
    g_free(evaluator);
}

gboolean evaluator_sum(evaluator_t *evaluator, GError **error) {
    rolls_t *rolls = data_rolls(evaluator->job.data);
    const size_t rounds = (size_t)comm_max((int64_t)evaluator->batches);
    gboolean whole = TRUE, goes_on = TRUE;
    evaluator->done = 0;
    evaluator->progress = progress_start("frames", evaluator->job.quiet || comm_rank() > 0);
    memset(evaluator->slots, 0, evaluator->n_slots * evaluator->n_sums * sizeof *evaluator->slots);
    for (size_t round = 0; goes_on && round <= rounds; round++) { /* the same count on every rank */
        const gboolean due = round < rounds && stop_due(0);
        goes_on = !comm_any(due || !whole || rolls_failed(rolls));
        if (!goes_on || round >= evaluator->batches) continue;
        if (evaluator->n_slots > 1)
            take_slot(evaluator, evaluator->job.first_share + evaluator_share(evaluator, round));
        whole = evaluator->add(evaluator, round);
    }
    progress_end(&evaluator->progress);
    if (goes_on)
        add_up(evaluator);
    else
        rolls_agree(rolls, error);
    return goes_on;
}

const evaluation_t *evaluator_run(evaluator_t *evaluator, GError **error) {
    evaluation_t *found = &evaluator->found;
    if (!evaluator_sum(evaluator, error)) return NULL;
    g_string_truncate(found->text, 0);
    g_string_truncate(found->members, 0);
    json_t members = {found->members, evaluator->job.training ? JSON_SPACED : JSON_EXACT};
    evaluator->tell(evaluator, &members, found);
    return found;
}

size_t evaluator_deal(evaluator_t *evaluator, const uint32_t *frames, size_t n, size_t i, uint32_t *mine) {
    const size_t shares = evaluator->job.shares, own = evaluator->job.first_share + i;
    g_autofree uint32_t *share = g_new(uint32_t, n);
    g_autofree uint64_t *load = g_new(uint64_t, shares);
    size_t count = 0;
    batch_order_split(frames, n, shares, share, load);
    evaluator->all_frames = 0;
    for (size_t k = 0; k < n; k++) {
        evaluator->all_frames += frames[k];
        if (share[k] == own) mine[count++] = (uint32_t)k;
    }
    evaluator->own_frames += (double)load[own];
    return count;
}

void evaluator_advance(evaluator_t *evaluator, double frames) {
    watch_tick();
    evaluator->done += frames;
    progress_show(&evaluator->progress,
                  (size_t)(evaluator->done / evaluator->own_frames * evaluator->all_frames),
                  (size_t)evaluator->all_frames);
}

void evaluator_sort_pieces(const data_t *data, split_t split, uint32_t *pieces, uint32_t *frames) {
    const size_t n = (size_t)data_pieces(data, split);
    g_autofree uint32_t *numbers = g_new(uint32_t, n), *all = g_new(uint32_t, n);
    g_autofree uint64_t *keys = g_new(uint64_t, n);
    for (size_t i = 0; i < n; i++) {
        numbers[i] = (uint32_t)i;
        all[i] = data_piece_frames(data, split, (int64_t)i);
    }
    batch_order_sort(numbers, n, all, keys, pieces);
    for (size_t i = 0; i < n; i++) frames[i] = all[pieces[i]];
}

void evaluator_tell_count(GString *text, double n, const char *one, const char *many, const char *after) {
    g_string_append_printf(text, "%.0f %s%s", n, g_dngettext(NULL, one, many, (gulong)n), after);
}

void evaluator_tell_row(GString *text, const char *label, double left, double right) {
    g_string_append_printf(text, "%-28s %12.4f %12.4f\n", label, left, right);
}
