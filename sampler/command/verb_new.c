/* verb_new: owns the verbs prior and song: new pieces, with latents of their own. */
#include "sampler/command/job.h"
#include "sampler/command/rows.h"
#include "sampler/make/latent.h"

/* A piece for each --latent, else --count of them. */
static size_t count_pieces(const job_t *job) {
    return job->latents ? g_strv_length(job->cli->latents) : (size_t)job->cli->count;
}

/* Pieces of so many frames; length: what their titles say of that. */
typedef struct {
    const timeline_t *timeline;
    size_t frames;
    const char *length;
} shape_t;

/* The i-th new piece, from 0. */
static compose_piece_t plan_new(job_t *job, const shape_t *shape, size_t i) {
    compose_piece_t piece = job_plan(job, (size_t)job->cli->first + i, shape->frames, shape->timeline);
    if (job->latents)
        piece.latents.centres = job->latents + i * job->model->checkpoint.model.latent;
    else
        piece.latents.noise = job->cli->temperature;
    return piece;
}

static gboolean write_piece(job_t *job, const shape_t *shape, const compose_piece_t *piece,
                            const made_t *made, GError **error) {
    const cli_t *cli = job->cli;
    g_autoptr(GPtrArray) texts = job_texts(job, piece->index);
    g_autofree char *name = g_strdup_printf("%s-%03zu", cli->verb->name, (size_t)piece->index), *title = NULL;
    if (job->latents)
        title = g_strdup_printf("prior %zu · given latent vector", (size_t)piece->index);
    else
        title = g_strdup_printf("%s %zu · seed %" G_GINT64_FORMAT " · temperature %g%s", cli->verb->name,
                                (size_t)piece->index, cli->seed, cli->temperature, shape->length);
    if (job->latents && job->shift) {
        g_autofree char *given = latent_to_text(piece->latents.centres, job->model->checkpoint.model.latent);
        job_add_text(texts, "given: %s", given);
    }
    job_add_latents(job, texts, made->z);
    return job_write(job, name, title, made->roll, shape->timeline, texts, error);
}

/* Writes new pieces, as many at a time as are made side by side. */
static gboolean write_new(job_t *job, const shape_t *shape, GError **error) {
    const size_t count = count_pieces(job);
    job->total = count * shape->frames;
    for (size_t first = 0; first < count; first += COMPOSE_TOGETHER) {
        const size_t n = MIN(COMPOSE_TOGETHER, count - first);
        compose_piece_t pieces[COMPOSE_TOGETHER];
        for (size_t i = 0; i < n; i++) pieces[i] = plan_new(job, shape, first + i);
        g_autoptr(GArray) made = job_make(job, pieces, n, error);
        for (guint i = 0; made && i < n; i++)
            if (!write_piece(job, shape, &pieces[i], &g_array_index(made, made_t, i), error)) return FALSE;
        if (!made) return FALSE;
    }
    return TRUE;
}

static gboolean write_bars(job_t *job, GError **error) {
    const int bars = job->cli->bars;
    g_autoptr(timeline_t) timeline = job_own_timeline(job);
    g_autofree char *length =
        g_strdup_printf(" · %d %s", bars, g_dngettext(NULL, "bar", "bars", (gulong)bars));
    return write_new(job, &(shape_t){timeline, timeline_frames_of(timeline, (size_t)bars), length}, error);
}

static gboolean run_prior(job_t *job, GError **error) {
    g_autoptr(timeline_t) timeline = job_own_timeline(job);
    const shape_t window = {timeline, job->model->checkpoint.model.window, ""};
    return job_is_dense(job) ? write_new(job, &window, error) : write_bars(job, error);
}

static const option_t prior_rows[] = {
    CHECKPOINT_ROW,
    COUNT_ROW(.excludes = "latent", .because = "one result a vector"),
    FIRST_ROW,
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_ROW(.excludes = "latent", .because = "a given vector is not drawn"),
    LIST("latent", latents, DENSE, "V1,V2,...", "decode this latent vector (may be given several times)",
         .instead = "--seed and --first make a piece again"),
    BARS_ROW(SEQUENCE | TOLD, "8", "length of each piece",
             .instead = "a piece is one window; see the verb song"),
    METER_ROW(SEQUENCE | TOLD, "meter of the piece (default: the training songs')"),
    KEY_ROW,
    ATTRIBUTE_ROWS,
    WINDOW_ROWS,
    NEW_SAMPLE_ROWS,
    MUSIC_ROWS,
};

const verb_t verb_prior = {
    .name = "prior",
    .takes = "",
    .summary = "New pieces drawn from the model's prior; of a dense model one window each.",
    .example = "prior --checkpoint best.h5 -n 8 --seed 1 --picture",
    .kinds = ANY,
    .draws = TRUE,
    .rows = prior_rows,
    .check = cli_check_meter,
    .run = run_prior,
};

static gboolean run_song(job_t *job, GError **error) {
    job->path = TRUE;
    return write_bars(job, error);
}

static const option_t song_rows[] = {
    CHECKPOINT_ROW,
    COUNT_ROW(),
    FIRST_ROW,
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_ROW(),
    BARS_ROW(ANY | TOLD, "64", "length of the piece"),
    METER_ROW(SEQUENCE | TOLD, "meter of the piece (default: the training songs')"),
    KEY_ROW,
    NUMBER("correlation", 0, OPTION_REAL, correlation, DENSE | TOLD, "X", "0.8",
           "of neighbouring windows: 0 jumps, 1 stays where it began", 0, 1,
           .instead = "it goes on from what it has written; see --temperature"),
    ATTRIBUTE_ROWS,
    WINDOW_ROWS,
    NEW_SAMPLE_ROWS,
    MUSIC_ROWS,
};

const verb_t verb_song = {
    .name = "song",
    .takes = "",
    .summary = "A long piece; of a dense model along a smooth path in latent space, windows cross-faded.",
    .example = "song --checkpoint best.h5 --bars 64 --key Am --audio",
    .kinds = ANY,
    .draws = TRUE,
    .rows = song_rows,
    .check = cli_check_meter,
    .run = run_song,
};
