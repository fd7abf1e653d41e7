/* stream: owns what the sequence model carries from frame to frame outside training: states, sketches of the
 * current segment, the last frames; and the threads that advance pieces, each with a head and a memory of its
 * own. The layers are the model's. Refuses nothing: calls out of order are the
 * caller's mistake. */
#include "trainer/model/stream.h"

#include <stdlib.h>
#include <string.h>

#include "trainer/model/layers.h"
#include "trainer/model/row_threads.h"
#include "trainer/model/segment_encoder.h"
#include "trainer/model/vae_sequence.h"

/* What one thread computes rows with. */
typedef struct {
    model_t *model;            /* that has the net, on the weights of the stream's; NULL: the stream's own */
    const sequence_net_t *net; /* its head and memory are not shared */
    real_t *memory_scratch;    /* [memory_scratch()] */
    real_t *gru_scratch;       /* [gru_rows_scratch(H)] */
} worker_t;

/* What pieces carry. There are two, so that stream_select() can copy from one to the other. */
typedef struct {
    real_t *h;        /* [max_N, H] */
    real_t *u;        /* [max_N, S, U] */
    uint8_t *frames;  /* [max_N, slots, frame bytes]: the frames before, then room for the current one */
    meters_t *meters; /* [max_N] */
    real_t **s;       /* [K][max_N, pitches, M]: memories; K is 0 without one */
} carried_t;

struct stream {
    model_t *model;
    const sequence_net_t *net;
    GArray *workers; /* worker_t */
    row_threads_t *threads;
    size_t max_N, N, t, frame_bytes, columns, slots, D;
    size_t K, memory;    /* memories, elements of a piece's in each of them */
    gboolean has_latent; /* the current segment has one */
    carried_t now, other;
    real_t *base;      /* [3 H]: input's bias and the phase's row */
    real_t *x, *gates; /* [max_N, 3 H], [max_N, 4 H] */
    real_t *u, *pre;   /* [max_N, U]: of the current frame; [max_N, columns] */
    real_t *hidden;    /* [max_N, units of the wider of the prior's and sketch's hidden layers] */
    real_t *moments;   /* [max_N, 2 Z] */
    real_t *grains;    /* [grains_scratch()] */
    /* Weights in the order in which products read them: of the decoder's GRU, of the output layer for the
     * state and for the sketch, of the sketch's way to the decoder. */
    real_t *gru_panels, *state_panels, *sketch_panels, *from_sketch_panels;
    place_t *place;             /* [max_N]: of the current frame */
    const place_t **places;     /* [max_N]: where each row's is */
    const uint8_t **frames;     /* [max_N]: where the head finds each row's frame */
    GPtrArray *blocks;          /* all real_t but base and the workers' */
    segment_encoder_t *encoder; /* NULL without a latent */
};

static real_t *add_block(stream_t *stream, size_t rows, size_t cols) {
    return model_add_block(stream->blocks, rows, cols);
}

/* Allocates the weights in the order of products. */
static void add_panels(stream_t *stream) {
    const sequence_net_t *net = stream->net;
    stream->gru_panels = add_block(stream, gru_rows_panels(net->H), 1);
    stream->state_panels = add_block(stream, grains_panels(net->H, stream->columns), 1);
    stream->sketch_panels = add_block(stream, grains_panels(net->U, stream->columns), 1);
    stream->from_sketch_panels = add_block(stream, grains_panels(net->U, GATES * net->H), 1);
}

static void clear_worker(void *data) {
    worker_t *worker = data;
    free(worker->memory_scratch);
    free(worker->gru_scratch);
    g_clear_pointer(&worker->model, model_free);
}

/* A worker more; the first uses the stream's own model. */
static gboolean add_worker(stream_t *stream, GError **error) {
    worker_t worker = {.net = stream->net};
    if (stream->workers->len > 0) {
        worker.model = model_new_in(model_config(stream->model), 1, 1, model_params(stream->model),
                                    model_gradient(stream->model), error);
        if (!worker.model) return FALSE;
        worker.net = model_sequence_net(worker.model);
    }
    worker.memory_scratch = layers_new_block(memory_scratch(worker.net->memory));
    worker.gru_scratch = layers_new_block(gru_rows_scratch(worker.net->H));
    g_array_append_val(stream->workers, worker);
    if (worker.memory_scratch && worker.gru_scratch) return TRUE;
    g_set_error(error, MODEL_ERROR, MODEL_ERROR_MEMORY, "model: no memory for a thread's scratch");
    return FALSE;
}

gboolean stream_use_threads(stream_t *stream, size_t n, GError **error) {
    n = MIN(n, (stream->max_N + ROW_THREADS_ROWS - 1) / ROW_THREADS_ROWS); /* more would have nothing to do */
    while (stream->workers->len < n)
        if (!add_worker(stream, error)) return FALSE;
    g_array_set_size(stream->workers, (guint)n);
    g_clear_pointer(&stream->threads, row_threads_free);
    stream->threads = row_threads_new(n);
    stream_prepare(stream);
    return TRUE;
}

static void add_carried(stream_t *stream, carried_t *carried) {
    const sequence_net_t *net = stream->net;
    carried->frames = g_malloc0(stream->max_N * stream->slots * stream->frame_bytes);
    carried->meters = g_new0(meters_t, stream->max_N);
    carried->h = add_block(stream, stream->max_N, net->H);
    carried->u = add_block(stream, stream->max_N, net->S * net->U);
    carried->s = g_new0(real_t *, stream->K);
    for (size_t k = 0; k < stream->K; k++) carried->s[k] = add_block(stream, stream->max_N, stream->memory);
}

stream_t *stream_new(model_t *model, size_t max_N, GError **error) {
    g_autoptr(stream_t) stream = g_new0(stream_t, 1);
    const sequence_net_t *net = stream->net = model_sequence_net(model);
    stream->model = model;
    stream->max_N = max_N;
    stream->frame_bytes = model_frame_bytes(&net->config);
    stream->columns = head_columns(&net->config);
    stream->D = model_cells(&net->config);
    stream->slots = model_context(&net->config) + 1;
    stream->K = net->memory ? net->config.tracks : 0;
    stream->memory = net->config.sequence.tied_pitches * net->config.sequence.memory;
    stream->frames = g_new(const uint8_t *, max_N);
    stream->place = g_new0(place_t, max_N);
    stream->places = g_new(const place_t *, max_N);
    for (size_t n = 0; n < max_N; n++) stream->places[n] = &stream->place[n];
    stream->base = g_new(real_t, GATES * net->H);
    stream->workers = g_array_new(FALSE, FALSE, sizeof(worker_t));
    g_array_set_clear_func(stream->workers, clear_worker);
    stream->blocks = g_ptr_array_new_with_free_func(free);
    add_carried(stream, &stream->now);
    add_carried(stream, &stream->other);
    stream->x = add_block(stream, max_N, GATES * net->H);
    stream->gates = add_block(stream, max_N, 4 * net->H);
    stream->u = add_block(stream, max_N, net->U);
    stream->pre = add_block(stream, max_N, stream->columns);
    stream->grains = add_block(stream, grains_scratch(max_N), 1);
    add_panels(stream);
    if (net->Z) {
        stream->hidden = add_block(stream, max_N, MAX(net->prior[0].outputs, net->sketch[0].outputs));
        stream->moments = add_block(stream, max_N, 2 * net->Z);
        if (!(stream->encoder = segment_encoder_new(net, error))) return NULL;
    }
    return model_check_blocks(stream->blocks, "the states of pieces side by side", error) &&
                   stream_use_threads(stream, 1, error)
               ? g_steal_pointer(&stream)
               : NULL;
}

void stream_free(stream_t *stream) {
    if (!stream) return;
    g_clear_pointer(&stream->threads, row_threads_free);
    g_array_unref(stream->workers);
    g_ptr_array_unref(stream->blocks);
    g_free(stream->now.frames);
    g_free(stream->other.frames);
    g_free(stream->now.s);
    g_free(stream->other.s);
    g_free(stream->now.meters);
    g_free(stream->other.meters);
    g_free(stream->place);
    g_free(stream->places);
    g_free(stream->base);
    g_free(stream->frames);
    segment_encoder_free(stream->encoder);
    g_free(stream);
}

void stream_prepare(stream_t *stream) {
    const sequence_net_t *net = stream->net;
    const size_t H = net->H, U = net->U;
    for (guint i = 0; i < stream->workers->len; i++) {
        const worker_t *worker = &g_array_index(stream->workers, worker_t, i);
        head_prepare(worker->net->head);
        memory_prepare(worker->net->memory);
    }
    gru_rows_prepare(&net->decoder, stream->gru_panels);
    grains_make_panels(net->output.W, H, stream->columns, 0, stream->state_panels);
    if (U == 0) return;
    grains_make_panels(net->output.W + H * stream->columns, U, stream->columns, 0, stream->sketch_panels);
    grains_make_panels(net->from_sketch.W, U, GATES * H, 0, stream->from_sketch_panels);
}

void stream_start(stream_t *stream, size_t N) {
    const size_t H = stream->net->H;
    g_assert(N >= 1 && N <= stream->max_N);
    stream->N = N;
    stream->t = 0;
    stream->has_latent = FALSE;
    for (size_t n = 0; n < N; n++) memcpy(stream->now.h + n * H, stream->net->h0, H * sizeof *stream->now.h);
    memory_begin(stream->net->memory, stream->now.s, N);
    memset(stream->now.frames, 0, N * stream->slots * stream->frame_bytes);
}

void stream_set_meters(stream_t *stream, size_t n, meters_t meters) { stream->now.meters[n] = meters; }

size_t stream_frames(const stream_t *stream) { return stream->t; }

void stream_select(stream_t *stream, const uint32_t *parents, size_t N) {
    const size_t H = stream->net->H, sketch = stream->net->S * stream->net->U,
                 piece = stream->slots * stream->frame_bytes;
    const carried_t from = stream->now, to = stream->other;
    gboolean stays = N <= stream->N;
    g_assert(N >= 1 && N <= stream->max_N);
    for (size_t n = 0; n < N; n++) stays &= parents[n] == n;
    stream->N = N;
    if (stays) return;
    for (size_t n = 0; n < N; n++) {
        memcpy(to.h + n * H, from.h + parents[n] * H, H * sizeof *to.h);
        if (sketch) memcpy(to.u + n * sketch, from.u + parents[n] * sketch, sketch * sizeof *to.u);
        to.meters[n] = from.meters[parents[n]];
        memcpy(to.frames + n * piece, from.frames + parents[n] * piece, piece);
        for (size_t k = 0; k < stream->K; k++)
            memcpy(to.s[k] + n * stream->memory, from.s[k] + parents[n] * stream->memory,
                   stream->memory * sizeof *to.s[k]);
    }
    stream->now = to;
    stream->other = from;
}

/* Products by which no row's bits depend on the rows beside it. */
static rows_t list_rows(const stream_t *stream, const uint32_t begin[2]) {
    return (rows_t){.n = begin[1], .grains = {.begin = begin, .n = 1}, .scratch = stream->grains};
}

void stream_prior(stream_t *stream, real_t *mu, real_t *logvar) {
    const sequence_net_t *net = stream->net;
    const uint32_t begin[2] = {0, (uint32_t)stream->N};
    const rows_t rows = list_rows(stream, begin);
    g_assert(net->Z > 0 && stream->t % net->S == 0);
    sequence_mlp_forward(net->prior, stream->now.h, stream->hidden, stream->moments, &rows);
    sequence_split_moments(stream->moments, mu, logvar, stream->N, net->Z);
}

void stream_set_latent(stream_t *stream, const real_t *z) {
    const uint32_t begin[2] = {0, (uint32_t)stream->N};
    const rows_t rows = list_rows(stream, begin);
    g_assert(stream->net->Z > 0 && stream->t % stream->net->S == 0);
    sequence_sketch_forward(stream->net, z, stream->hidden, stream->now.u, &rows);
    stream->has_latent = TRUE;
}

/* Frame i of those that a piece keeps, the oldest first; the last is the current one. */
static uint8_t *slot(const stream_t *stream, size_t n, size_t i) {
    return stream->now.frames + (n * stream->slots + i) * stream->frame_bytes;
}

static uint8_t *current(const stream_t *stream, size_t n) { return slot(stream, n, stream->slots - 1); }

/* What a call does to the frame of each piece. */
typedef struct {
    stream_t *stream;
    const uint8_t *given;     /* force: frames [N, frame bytes], or one for all if shared */
    gboolean shared;          /* likewise */
    const head_rule_t *rules; /* draw: [N]; NULL: force */
    uint8_t *frames;          /* draw: as stream_draw() */
    double *scores;           /* [N]: losses, or log_p; NULL: not wanted */
    head_record_t record;     /* force: beside losses, or units alone */
} step_t;

/* y [rows, N], which holds what is to be added to, += x [rows, M] W. */
static void add_layer(const real_t *x, const real_t *panels, real_t *y, size_t rows, size_t M, size_t N) {
    if (M > 0) grains_add_multiply(x, panels, y, rows, M, N);
}

/* Computes x of pieces first .. end - 1, what the decoder reads of the frame before and of the latent. */
static void read_past(stream_t *stream, size_t first, size_t end) {
    const sequence_net_t *net = stream->net;
    const size_t U = net->U, phase = stream->t % net->S, wide = GATES * net->H;
    for (size_t n = first; n < end; n++) {
        if (net->config.sequence.bar > 0) {
            g_assert(stream->now.meters[n].n > 0);
            place_find(stream->now.meters[n], stream->t, &net->config, &stream->place[n]);
        }
        memcpy(stream->x + n * wide, stream->base, wide * sizeof *stream->x);
        sequence_add_place(net, stream->places[n], stream->x + n * wide);
        stream->frames[n] = current(stream, n);
        sequence_add_cells(&net->config, current(stream, n) - stream->frame_bytes, net->input.W,
                           stream->x + n * wide, wide);
        if (U) memcpy(stream->u + n * U, stream->now.u + (n * net->S + phase) * U, U * sizeof *stream->u);
    }
    add_layer(stream->u + first * U, stream->from_sketch_panels, stream->x + first * wide, end - first, U,
              wide);
}

/* Computes the states h_t and, if output, the head's columns. */
static void advance(stream_t *stream, const worker_t *worker, size_t first, size_t end, gboolean output) {
    const sequence_net_t *net = stream->net;
    const size_t H = net->H, U = net->U, columns = stream->columns, rows = end - first;
    real_t *h = stream->now.h + first * H;
    read_past(stream, first, end);
    gru_rows_forward(&net->decoder, stream->gru_panels, rows, stream->x + first * GATES * H, h, h,
                     stream->gates + first * 4 * H, worker->gru_scratch);
    if (net->memory)
        memory_step(worker->net->memory, first, end, stream->frames, stream->places, stream->t, stream->now.s,
                    worker->memory_scratch);
    if (!output) return;
    for (size_t n = first; n < end; n++)
        memcpy(stream->pre + n * columns, net->output.bias, columns * sizeof *stream->pre);
    add_layer(h, stream->state_panels, stream->pre + first * columns, rows, H, columns);
    add_layer(stream->u + first * U, stream->sketch_panels, stream->pre + first * columns, rows, U, columns);
}

static void force_rows(const step_t *step, const worker_t *worker, size_t first, size_t end) {
    stream_t *stream = step->stream;
    const size_t bytes = stream->frame_bytes;
    for (size_t n = first; n < end; n++)
        memcpy(current(stream, n), step->shared ? step->given : step->given + n * bytes, bytes);
    if (!step->scores && !step->record.units) return;
    real_t *s[ROLL_MAX_TRACKS];
    for (size_t k = 0; k < stream->K; k++) s[k] = stream->now.s[k] + first * stream->memory;
    const head_memory_t memory = {.places = stream->places + first, .s = s};
    const uint8_t *const *frames = stream->frames + first;
    const real_t *pre = stream->pre + first * stream->columns;
    head_t *head = worker->net->head;
    head_record_t record = step->record;
    if (record.units) record.first += first * stream->net->config.tracks;
    if (record.logits) record.logits += first * stream->D;
    head_record(head, &record);
    if (step->scores)
        head_score(head, end - first, frames, NULL, &memory, pre, step->scores + first);
    else
        head_units(head, end - first, frames, &memory, pre);
    head_record(head, &(head_record_t){0});
}

static void draw_rows(const step_t *step, const worker_t *worker, size_t first, size_t end) {
    stream_t *stream = step->stream;
    const size_t bytes = stream->frame_bytes;
    const head_memory_t memory = {.places = stream->places, .s = stream->now.s};
    for (size_t n = first; n < end; n++) {
        uint8_t *frame = current(stream, n);
        if (step->rules[n].known) memcpy(frame, step->frames + n * bytes, bytes);
        const double log_p = head_draw(worker->net->head, frame, &memory, n,
                                       stream->pre + n * stream->columns, &step->rules[n]);
        if (step->frames) memcpy(step->frames + n * bytes, frame, bytes);
        if (step->scores) step->scores[n] = log_p;
    }
}

static void step_rows(void *data, size_t thread, size_t first, size_t end) {
    const step_t *step = data;
    const worker_t *worker = &g_array_index(step->stream->workers, worker_t, thread);
    advance(step->stream, worker, first, end, step->rules || step->scores || step->record.units);
    if (step->rules)
        draw_rows(step, worker, first, end);
    else
        force_rows(step, worker, first, end);
}

/* Shifts the kept frames: the current one becomes the last one. */
static void pass_on(stream_t *stream) {
    for (size_t n = 0; n < stream->N; n++)
        memmove(slot(stream, n, 0), slot(stream, n, 1), (stream->slots - 1) * stream->frame_bytes);
    stream->t++;
    if (stream->t % stream->net->S == 0) stream->has_latent = FALSE;
}

static void run_step(stream_t *stream, step_t step) {
    const sequence_net_t *net = stream->net;
    const size_t wide = GATES * net->H, phase = stream->t % net->S;
    g_assert(net->Z == 0 || stream->has_latent);
    for (size_t i = 0; i < wide; i++) stream->base[i] = net->input.bias[i] + net->phase.W[phase * wide + i];
    row_threads_run(stream->threads, stream->N, step_rows, &step);
    pass_on(stream);
}

void stream_force(stream_t *stream, const uint8_t *frames, gboolean shared, double *nll) {
    run_step(stream, (step_t){.stream = stream, .given = frames, .shared = shared, .scores = nll});
}

void stream_force_logits(stream_t *stream, const uint8_t *frames, double *nll, real_t *logits) {
    run_step(stream,
             (step_t){.stream = stream, .given = frames, .scores = nll, .record = {.logits = logits}});
}

void stream_force_units(stream_t *stream, const uint8_t *frames, const head_record_t *record) {
    run_step(stream, (step_t){.stream = stream, .given = frames, .record = *record});
}

void stream_draw(stream_t *stream, const head_rule_t *rules, uint8_t *frames, double *log_p) {
    run_step(stream, (step_t){.stream = stream, .rules = rules, .frames = frames, .scores = log_p});
}

void stream_encode(stream_t *stream, const uint8_t *bits, size_t T, real_t *mu, real_t *logvar) {
    segment_encoder_run(stream->encoder, bits, T, mu, logvar);
}
