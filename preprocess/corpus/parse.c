/* parse: owns which worker reads which file, and when. Records reach the cache in the order in which workers
 * finish; nothing may depend on it. */
#include "preprocess/corpus/parse.h"

#include <string.h>

#include "preprocess/common/progress.h"

typedef struct {
    const corpus_options_t *options;
    rows_t *rows;
    int part;
    parsed_cache_t *cache;
    owner_t *owner;
} parse_t;

/* The workers, and the rows of the files that each has, in order. */
typedef struct {
    worker_t *worker[CORPUS_MAX_JOBS];
    size_t rows[CORPUS_MAX_JOBS][WORKER_TASKS], tasks[CORPUS_MAX_JOBS];
    size_t busy; /* the first `busy` workers have a file */
    size_t next; /* the first row not looked at yet */
} pool_t;

/* Gives a worker the next file that the cache does not know yet, if there is one. */
static gboolean give_file(const parse_t *parse, pool_t *pool, size_t which, GError **error) {
    const found_list_t *files = parse->rows->files;
    for (; pool->next < files->n; pool->next++) {
        const row_t *row = &parse->rows->row[pool->next];
        if (row->part != parse->part || row->at != 0) continue;
        if (!worker_give(pool->worker[which], files->files[pool->next].path, error)) return FALSE;
        pool->rows[which][pool->tasks[which]++] = pool->next++;
        return TRUE;
    }
    return TRUE;
}

/* Takes a worker without files out of the busy ones: the last of these takes its place. */
static void retire(pool_t *pool, size_t which) {
    size_t last = --pool->busy;
    worker_t *worker = pool->worker[which];
    pool->worker[which] = pool->worker[last];
    pool->worker[last] = worker;
    pool->tasks[which] = pool->tasks[last];
    memcpy(pool->rows[which], pool->rows[last], sizeof pool->rows[which]);
}

/* Takes what one worker has parsed, gives it another file, and only then adds the result to the cache. */
static gboolean collect(const parse_t *parse, pool_t *pool, GError **error) {
    g_autoptr(GByteArray) music = NULL;
    size_t which = worker_wait_any(pool->worker, pool->busy), i = pool->rows[which][0];
    song_file_t parsed;
    gint64 at = 0;
    if (!song_file_take(pool->worker[which], &parsed, &music, error)) return FALSE;
    pool->tasks[which]--;
    memmove(pool->rows[which], pool->rows[which] + 1, sizeof pool->rows[which] - sizeof pool->rows[which][0]);
    if (!give_file(parse, pool, which, error)) return FALSE;
    if (pool->tasks[which] == 0) retire(pool, which);
    const digest_t key = parsed_cache_key(&parse->rows->files->files[i], parse->rows->layout);
    const gboolean wanted = !parse->options->dry_run || parse->options->parts;
    if (!owner_check(parse->owner, error) ||
        !parsed_cache_add(parse->cache, &key, &parsed, wanted ? music : NULL, &at, error))
        return FALSE;
    rows_take(&parse->rows->row[i], &parsed, at);
    return TRUE;
}

/* Gives each worker WORKER_TASKS files, as far as there are so many. */
static gboolean give_first(const parse_t *parse, pool_t *pool, size_t jobs, GError **error) {
    for (size_t i = 0; i < jobs * WORKER_TASKS; i++)
        if (!give_file(parse, pool, i % jobs, error)) return FALSE;
    while (pool->busy < jobs && pool->tasks[pool->busy] > 0) pool->busy++;
    return TRUE;
}

gboolean parse_files(const corpus_options_t *options, rows_t *rows, int part, parsed_cache_t *cache,
                     owner_t *owner, GError **error) {
    const parse_t parse = {options, rows, part, cache, owner};
    const size_t wanted = rows_missing(rows, part);
    progress_t progress = progress_start("files", options->quiet);
    const size_t jobs = MIN((size_t)options->jobs, CORPUS_MAX_JOBS);
    pool_t pool = {.busy = 0};
    size_t done = 0;
    for (size_t i = 0; i < jobs; i++)
        pool.worker[i] = song_file_worker_new(&options->layout, &options->limits);
    gboolean good = give_first(&parse, &pool, jobs, error);
    while (good && pool.busy > 0) {
        good = collect(&parse, &pool, error);
        progress_show(&progress, ++done, wanted);
    }
    for (size_t i = 0; i < jobs; i++) worker_free(pool.worker[i]);
    progress_end(&progress);
    return good;
}
