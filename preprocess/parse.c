/* parse: owns which worker reads which file, and when. The order in which records reach the spool is that of the workers; nobody may depend on it. */
#include "preprocess/parse.h"

#include "preprocess/progress.h"

typedef struct {
    const corpus_options_t *options;
    const found_list_t *files;
    row_t *rows;
    guint16 part;
    const char *layout;
    spool_t *spool;
    owner_t *owner;
} parse_t;

/* The workers, and the row of the file that each is busy with. */
typedef struct {
    worker_t *worker[64];
    size_t row[64];
    size_t jobs, busy; /* of the jobs workers the first `busy` have a file */
} pool_t;
#define POOL_MAX G_N_ELEMENTS(((pool_t *)NULL)->worker)

/* Gives idle workers the files from *next on that the spool does not know yet. */
static gboolean give_files(const parse_t *parse, pool_t *pool, size_t *next, GError **error) {
    for (; pool->busy < pool->jobs && *next < parse->files->n; (*next)++) {
        const row_t *row = &parse->rows[*next];
        if (row->part != parse->part || row->at != 0) continue;
        if (!worker_give(pool->worker[pool->busy], parse->files->files[*next].path, error)) return FALSE;
        pool->row[pool->busy++] = *next;
    }
    return TRUE;
}

/* Takes one worker's entry and gives it another file before it keeps that entry. */
static gboolean collect(const parse_t *parse, pool_t *pool, size_t *next, GError **error) {
    g_autoptr(GByteArray) bits = NULL;
    size_t which = worker_wait_any(pool->worker, pool->busy), last = pool->busy - 1, i = pool->row[which];
    worker_t *worker = pool->worker[which];
    entry_t entry;
    gint64 at = 0;
    pool->worker[which] = pool->worker[last];
    pool->row[which] = pool->row[last];
    pool->worker[last] = worker;
    pool->busy--;
    if (!entry_take(worker, &entry, &bits, error) || !give_files(parse, pool, next, error)) return FALSE;
    const digest_t key = spool_key(&parse->files->files[i], parse->layout);
    if (!owner_check(parse->owner, error) ||
        !spool_add(parse->spool, &key, &entry, parse->options->dry_run && !parse->options->parts ? NULL : bits, &at, error))
        return FALSE;
    rows_take(&parse->rows[i], &entry, at);
    return TRUE;
}

gboolean parse_files(const corpus_options_t *options, const found_list_t *files, row_t *rows, guint16 part, const char *layout, spool_t *spool,
                     owner_t *owner, GError **error) {
    const parse_t parse = {options, files, rows, part, layout, spool, owner};
    const size_t wanted = rows_missing(rows, files->n, part);
    progress_t progress = progress_start("files", options->quiet);
    pool_t pool = {.jobs = MIN((size_t)options->jobs, POOL_MAX)};
    size_t next = 0, done = 0;
    for (size_t i = 0; i < pool.jobs; i++) pool.worker[i] = entry_worker_new(&options->layout, &options->limits);
    gboolean good = give_files(&parse, &pool, &next, error);
    while (good && pool.busy > 0) {
        good = collect(&parse, &pool, &next, error);
        progress_show(&progress, ++done, wanted);
    }
    for (size_t i = 0; i < pool.jobs; i++) worker_free(pool.worker[i]);
    progress_end(&progress);
    return good;
}
