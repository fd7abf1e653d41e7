/* guide_lesson: owns the songs under way. The shortest leave first. */
#include "trainer/evaluate/guide_lesson.h"

#include <math.h>
#include <string.h>

#include "trainer/model/stream.h"

typedef struct {
    uint32_t number;
    size_t frames;
    uint8_t *bits, *known; /* context and frames; frames */
    mask_kind_t kind;
} lesson_song_t;

struct guide_lesson {
    const evaluation_job_t *job;
    const model_config_t *config;
    guide_t *guide;
    stream_t *stream;
    size_t S, Z, D, bytes, context;
    lesson_song_t songs[LESSON_SONGS];
    size_t n, t; /* songs under way, frames done */
    uint64_t epoch;
    uint8_t *frames;                    /* [songs, frame bytes] */
    real_t *logits, *mu, *logvar, *eps; /* [songs, D]; [songs, Z] */
    double nll[LESSON_SONGS];
};

guide_lesson_t *guide_lesson_new(const evaluation_job_t *job, guide_t *guide, size_t most_frames,
                                 GError **error) {
    g_autoptr(guide_lesson_t) lesson = g_new0(guide_lesson_t, 1);
    const model_config_t *config = lesson->config = model_config(job->model);
    lesson->job = job;
    lesson->guide = guide;
    lesson->S = config->sequence.segment;
    lesson->Z = config->latent;
    lesson->D = model_cells(config);
    lesson->bytes = model_frame_bytes(config);
    lesson->context = MAX(1, model_context(config));
    for (size_t i = 0; i < LESSON_SONGS; i++) {
        lesson->songs[i].bits = g_malloc0((lesson->context + most_frames) * lesson->bytes);
        lesson->songs[i].known = g_malloc0(most_frames * lesson->bytes);
    }
    lesson->frames = g_malloc0(LESSON_SONGS * lesson->bytes);
    lesson->logits = g_new0(real_t, LESSON_SONGS * lesson->D);
    real_t **const latents[] = {&lesson->mu, &lesson->logvar, &lesson->eps};
    for (size_t i = 0; i < G_N_ELEMENTS(latents); i++) *latents[i] = g_new0(real_t, LESSON_SONGS * lesson->Z);
    lesson->stream = stream_new(job->model, LESSON_SONGS, error);
    return lesson->stream ? g_steal_pointer(&lesson) : NULL;
}

void guide_lesson_free(guide_lesson_t *lesson) {
    if (!lesson) return;
    for (size_t i = 0; i < LESSON_SONGS; i++) {
        g_free(lesson->songs[i].bits);
        g_free(lesson->songs[i].known);
    }
    void *const buffers[] = {lesson->frames, lesson->logits, lesson->mu, lesson->logvar, lesson->eps};
    for (size_t i = 0; i < G_N_ELEMENTS(buffers); i++) g_free(buffers[i]);
    stream_free(lesson->stream);
    g_free(lesson);
}

static const uint8_t *frames_of(const guide_lesson_t *lesson, const lesson_song_t *song) {
    return song->bits + lesson->context * lesson->bytes;
}

static int draw_semitones(const guide_lesson_t *lesson, const lesson_plan_t *plan, uint32_t song) {
    const rng_t rng = rng_make(lesson->job->seed, RNG_TRANSPOSE, plan->epoch, song);
    const int range = plan->transpose_high - plan->transpose_low;
    return plan->transpose_low + (int)rng_below(&rng, 0, (uint64_t)MAX(range, 0) + 1);
}

void guide_lesson_begin(guide_lesson_t *lesson, const lesson_plan_t *plan, const uint32_t *songs, size_t n) {
    const data_t *data = lesson->job->data;
    lesson->n = n;
    lesson->t = 0;
    lesson->epoch = plan->epoch;
    stream_start(lesson->stream, n);
    for (size_t i = 0; i < n; i++) {
        lesson_song_t *song = &lesson->songs[i];
        const rng_t rng = rng_make(lesson->job->seed, RNG_MASK, plan->epoch, songs[i]);
        song->number = songs[i];
        song->frames = data_piece_frames(data, plan->split, songs[i]);
        data_piece(data, plan->split, songs[i], draw_semitones(lesson, plan, songs[i]), song->frames,
                   song->bits, NULL);
        song->kind = mask_draw(lesson->config, &rng, frames_of(lesson, song), song->frames, song->known);
        stream_set_meters(lesson->stream, i, data_piece_meters(data, plan->split, songs[i]));
    }
}

/* Songs that have ended leave. */
static void drop_ended(guide_lesson_t *lesson) {
    uint32_t stay[LESSON_SONGS];
    const size_t before = lesson->n;
    while (lesson->n > 0 && lesson->songs[lesson->n - 1].frames <= lesson->t) lesson->n--;
    if (lesson->n == 0 || lesson->n == before) return;
    for (size_t i = 0; i < lesson->n; i++) stay[i] = (uint32_t)i;
    stream_select(lesson->stream, stay, lesson->n);
}

static void draw_latents(guide_lesson_t *lesson) {
    const size_t Z = lesson->Z;
    stream_prior(lesson->stream, lesson->mu, lesson->logvar);
    for (size_t i = 0; i < lesson->n; i++) {
        const rng_t rng = rng_make(lesson->job->seed, RNG_EVALUATE, lesson->epoch,
                                   ((uint64_t)lesson->songs[i].number << 20) + lesson->t / lesson->S);
        rng_normal(&rng, lesson->eps + i * Z, Z);
        for (size_t j = i * Z; j < (i + 1) * Z; j++)
            lesson->mu[j] += (real_t)(exp((double)lesson->logvar[j] / 2) * (double)lesson->eps[j]);
    }
    stream_set_latent(lesson->stream, lesson->mu);
}

static gboolean is_open(const guide_lesson_t *lesson, const lesson_song_t *song) {
    const size_t P = lesson->config->pitches, stride = roll_stride(P);
    const uint8_t last = (uint8_t)(0xFF >> (8 * stride - P)),
                  *known = song->known + lesson->t * lesson->bytes;
    for (size_t i = 0; i < lesson->bytes; i++) {
        const uint8_t cells = (i + 1) % stride ? 0xFF : last;
        if ((known[i] & cells) != cells) return TRUE;
    }
    return FALSE;
}

static void go_on(guide_lesson_t *lesson, real_t *gradient, lesson_sums_t *sums) {
    const size_t bytes = lesson->bytes;
    if (lesson->Z > 0 && lesson->t % lesson->S == 0) draw_latents(lesson);
    for (size_t i = 0; i < lesson->n; i++)
        memcpy(lesson->frames + i * bytes, frames_of(lesson, &lesson->songs[i]) + lesson->t * bytes, bytes);
    stream_force_logits(lesson->stream, lesson->frames, lesson->nll, lesson->logits);
    for (size_t i = 0; i < lesson->n; i++) {
        const lesson_song_t *song = &lesson->songs[i];
        const guide_sight_t sight = {
            .known = song->known, .given = frames_of(lesson, song), .frames = song->frames};
        if (!is_open(lesson, song)) continue;
        const guide_loss_t loss = guide_learn(lesson->guide, &sight, lesson->t, lesson->frames + i * bytes,
                                              lesson->logits + i * lesson->D, gradient);
        sums[song->kind].frames++;
        sums[song->kind].alone += loss.alone;
        sums[song->kind].guided += loss.guided;
    }
    lesson->t++;
}

size_t guide_lesson_go_on(guide_lesson_t *lesson, size_t frames, real_t *gradient, lesson_sums_t *sums) {
    size_t done = 0;
    for (size_t i = 0; i < frames; i++) {
        drop_ended(lesson);
        if (lesson->n == 0) break;
        go_on(lesson, gradient, sums);
        done += lesson->n;
    }
    return done;
}
