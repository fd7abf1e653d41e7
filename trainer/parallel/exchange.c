/* exchange: owns the order of a step. A bucket is final on a rank, then on all ranks of the host, then the
 * owner of each piece of it sums that over the host and gives it to the wire; when the sum over all hosts has
 * come, the piece's norm is taken, and it is done. With one host, or in a local step, the sum over the host
 * is all, and it is written over the owner's own gradient. */
#include "trainer/parallel/exchange.h"

#include <string.h>

#include "trainer/model/layers.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/exchange_host.h"
#include "trainer/parallel/exchange_plan.h"
#include "trainer/parallel/exchange_wire.h"
#include "trainer/parallel/watch.h"

G_STATIC_ASSERT(EXCHANGE_CHUNK == LAYERS_NORM_CHUNK);

typedef enum { COMPUTED, FINAL_HERE, ON_THE_WIRE, DONE } state_t;

typedef struct {
    exchange_piece_t piece;
    size_t bucket;
    state_t state;
} progress_t;

struct exchange {
    exchange_config_t config;
    exchange_plan_t plan;
    exchange_host_t host;
    exchange_wire_t *between; /* hosts; NULL: one host */
    exchange_wire_t *wire;    /* the same where steps sum over hosts, else NULL */
    gboolean fell_back;
    char *description;
    size_t bucket, buckets; /* elements of one; their number */
    size_t *left;           /* [buckets] elements that are not final in this step */
    progress_t *pieces;     /* [n_pieces] this rank's */
    exchange_slice_t *slices;
    size_t n_pieces, started, done;
    size_t nodes;         /* of this host */
    sum_order_t **orders; /* [nodes] sums of the host's ranks */
    float **sums;         /* [n_pieces, nodes] where they are written */
    float *others;        /* room for those that are not written over the gradient */
    const float **inputs; /* [nodes of all ranks of the host] */
    int blocks_given;
    gboolean begun;
    gint64 under_way; /* when the last call ended with something under way; 0: with nothing */
    exchange_counts_t counts;
};

static size_t rank_nodes(const exchange_t *exchange) {
    return exchange->plan.rank_node_firsts[exchange->plan.host_size];
}

static size_t first_node(const exchange_t *exchange) {
    return exchange->plan.rank_node_firsts[exchange->plan.host_index];
}

static void make_pieces(exchange_t *exchange) {
    exchange->left = g_new0(size_t, exchange->buckets);
    exchange->pieces = g_new0(progress_t, exchange->buckets);
    exchange->slices = g_new0(exchange_slice_t, exchange->buckets);
    size_t at = 0;
    for (size_t b = 0; b < exchange->buckets; b++) {
        exchange_piece_t piece =
            exchange_plan_piece(&exchange->plan, exchange->config.n, exchange->bucket, b);
        if (piece.count == 0) continue;
        piece.at = at;
        at += piece.count;
        exchange->pieces[exchange->n_pieces++] = (progress_t){.piece = piece, .bucket = b};
    }
}

/* The host's node that this rank's own first block is summed into. */
static size_t node_of_own_block(const exchange_t *exchange) {
    const exchange_plan_t *plan = &exchange->plan;
    const sum_node_t *nodes = plan->host_nodes + plan->host_node_firsts[plan->host];
    const size_t leaf = plan->rank_nodes[first_node(exchange)].first;
    size_t node = 0;
    while (leaf >= nodes[node].first + nodes[node].count) node++;
    return node;
}

/* Where this rank sums its host's ranks: over its own gradient, and, where the host has more sums, beside. */
static void make_sums(exchange_t *exchange) {
    const exchange_plan_t *plan = &exchange->plan;
    const size_t mine = plan->host_node_firsts[plan->host];
    exchange->nodes = plan->host_node_firsts[plan->host + 1] - mine;
    exchange->orders = g_new0(sum_order_t *, exchange->nodes);
    for (size_t node = 0; node < exchange->nodes; node++)
        exchange->orders[node] =
            sum_order_new(plan->host_nodes[mine + node], plan->rank_nodes, rank_nodes(exchange));
    exchange->inputs = g_new0(const float *, rank_nodes(exchange));
    exchange->sums = g_new0(float *, MAX(exchange->n_pieces * exchange->nodes, 1));
    const progress_t *last = &exchange->pieces[MAX(exchange->n_pieces, 1) - 1];
    const size_t slice = last->piece.at + last->piece.count, own = node_of_own_block(exchange);
    exchange->others = g_new0(float, (exchange->nodes - 1) * slice + 1);
    for (size_t i = 0; i < exchange->n_pieces; i++) {
        const exchange_piece_t *piece = &exchange->pieces[i].piece;
        for (size_t node = 0; node < exchange->nodes; node++)
            exchange->sums[i * exchange->nodes + node] =
                node == own ? exchange_gradient(exchange, 0) + piece->first
                            : exchange->others + (node - (node > own)) * slice + piece->at;
    }
}

static void make_wire(exchange_t *exchange) {
    g_autofree exchange_piece_t *pieces = g_new(exchange_piece_t, MAX(exchange->n_pieces, 1));
    for (size_t i = 0; i < exchange->n_pieces; i++) pieces[i] = exchange->pieces[i].piece;
    exchange->between = exchange_wire_new(&exchange->plan, pieces, exchange->n_pieces,
                                          (const float *const *)exchange->sums, exchange->config.wire);
    if (exchange->config.local_steps == 0) exchange->wire = exchange->between;
}

static char *describe(const exchange_t *exchange, const char *too_little) {
    const exchange_plan_t *plan = &exchange->plan;
    const exchange_config_t *config = &exchange->config;
    const char *hosts = too_little || config->alone ? "ranks" : "hosts",
               *format = config->wire == WIRE_BF16 ? "bf16" : "float";
    const double mb =
        2.0 * (plan->hosts - 1) / plan->hosts * (double)config->n * (config->wire == WIRE_BF16 ? 2 : 4) / 1e6;
    GString *text = g_string_new(NULL);
    if (too_little)
        g_string_append_printf(text, "each rank exchanges by itself, which is slower: %s; ", too_little);
    if (plan->hosts == 1)
        g_string_append_printf(text, "gradients in memory shared by %d ranks", plan->host_size);
    else if (config->local_steps > 0)
        g_string_append_printf(text,
                               "every %d steps weights and both moments go between %d %s as %s, %.1f MB each "
                               "a host",
                               config->local_steps, plan->hosts, hosts, format, mb);
    else
        g_string_append_printf(text, "gradients go between %d %s as %s, %.1f MB a step and host", plan->hosts,
                               hosts, format, mb);
    return g_string_free(text, FALSE);
}

/* Finds who exchanges what, and memory for it: shared, or else a rank's own. */
static gboolean prepare(exchange_t *exchange, GError **error) {
    const exchange_config_t *config = &exchange->config;
    g_autoptr(GError) too_little = NULL;
    for (gboolean alone = config->alone;; alone = TRUE) {
        if (!exchange_plan_init(&exchange->plan, config->grains, alone ? 1 : config->ranks_a_host, error))
            return FALSE;
        exchange->bucket = exchange_plan_bucket(&exchange->plan, config->bucket_bytes);
        exchange->buckets = (config->n + exchange->bucket - 1) / exchange->bucket;
        if (exchange_host_init(&exchange->host, &exchange->plan, config, exchange->buckets, alone,
                               &too_little))
            break;
        exchange_plan_clear(&exchange->plan);
        exchange->fell_back = TRUE;
    }
    exchange->description = describe(exchange, too_little ? too_little->message : NULL);
    return TRUE;
}

exchange_t *exchange_new(const exchange_config_t *config, GError **error) {
    exchange_t *exchange = g_new0(exchange_t, 1);
    exchange->config = *config;
    if (!prepare(exchange, error)) {
        exchange_free(exchange);
        return NULL;
    }
    make_pieces(exchange);
    make_sums(exchange);
    if (exchange->plan.hosts > 1) make_wire(exchange);
    for (size_t i = 0; i < exchange->n_pieces; i++) {
        const exchange_piece_t *piece = &exchange->pieces[i].piece;
        exchange->slices[i] = (exchange_slice_t){
            .first = piece->first,
            .count = piece->count,
            .sum = exchange->wire ? exchange_wire_result(exchange->wire, i) : exchange->sums[i]};
    }
    return exchange;
}

void exchange_free(exchange_t *exchange) {
    if (!exchange) return;
    if (exchange->description && comm_any(exchange->begun))
        exchange_finish(exchange); /* ends what is under way */
    exchange_wire_free(exchange->between);
    for (size_t node = 0; node < exchange->nodes; node++) sum_order_free(exchange->orders[node]);
    exchange_host_clear(&exchange->host);
    exchange_plan_clear(&exchange->plan);
    g_free(exchange->description);
    g_free(exchange->left);
    g_free(exchange->pieces);
    g_free(exchange->slices);
    g_free(exchange->orders);
    g_free(exchange->sums);
    g_free(exchange->others);
    g_free(exchange->inputs);
    g_free(exchange);
}

const char *exchange_describe(const exchange_t *exchange) { return exchange->description; }
gboolean exchange_fell_back(const exchange_t *exchange) { return exchange->fell_back; }
int exchange_hosts(const exchange_t *exchange) { return exchange->plan.hosts; }
int exchange_host_size(const exchange_t *exchange) { return exchange->plan.host_size; }
int exchange_host_index(const exchange_t *exchange) { return exchange->plan.host_index; }
exchange_counts_t exchange_counts(const exchange_t *exchange) {
    exchange_counts_t counts = exchange->counts;
    counts.sent_bytes = exchange->between ? exchange_wire_sent(exchange->between) : 0;
    return counts;
}

float *exchange_shared_block(exchange_t *exchange) {
    if (exchange->blocks_given == exchange->config.blocks)
        comm_abort(__FILE__, __LINE__, "more shared blocks than were asked for");
    return exchange->host.blocks + (size_t)exchange->blocks_given++ * exchange->host.stride;
}

void exchange_grains(const exchange_t *exchange, size_t *first, size_t *count) {
    *first = exchange->plan.grain_first;
    *count = exchange->plan.grains;
}

size_t exchange_nodes(const exchange_t *exchange) {
    return exchange->plan.rank_node_firsts[exchange->plan.host_index + 1] - first_node(exchange);
}

void exchange_node_grains(const exchange_t *exchange, size_t node, size_t *first, size_t *count) {
    const sum_node_t *found = &exchange->plan.rank_nodes[first_node(exchange) + node];
    *first = exchange->config.grains > 0 ? found->first : exchange->plan.grain_first;
    *count = found->count;
}

float *exchange_gradient(exchange_t *exchange, size_t node) {
    return exchange->host.gradients + (first_node(exchange) + node) * exchange->host.stride;
}

/* Opens a step at its first call. */
static void begin(exchange_t *exchange) {
    if (exchange->begun) return;
    exchange->begun = TRUE;
    exchange->counts.steps++;
    exchange->started = exchange->done = 0;
    for (size_t b = 0; b < exchange->buckets; b++)
        exchange->left[b] = MIN(exchange->bucket, exchange->config.n - b * exchange->bucket);
    for (size_t i = 0; i < exchange->n_pieces; i++) exchange->pieces[i].state = COMPUTED;
    if (exchange->wire) exchange_wire_begin(exchange->wire, TRUE);
}

static uint64_t all_ranks(const exchange_t *exchange) {
    return (uint64_t)exchange->counts.steps * (uint64_t)exchange->plan.host_size;
}

static void sum_host(exchange_t *exchange, size_t i) {
    const exchange_piece_t *piece = &exchange->pieces[i].piece;
    for (size_t k = 0; k < rank_nodes(exchange); k++)
        exchange->inputs[k] = exchange->host.gradients + k * exchange->host.stride + piece->first;
    /* The sum that is written over an operand takes in that operand, and no other sum does. */
    for (size_t node = 0; node < exchange->nodes; node++)
        sum_order_run(exchange->orders[node], exchange->inputs, exchange->sums[i * exchange->nodes + node],
                      piece->count);
}

static void take_norms(exchange_t *exchange, size_t i) {
    const exchange_slice_t *slice = &exchange->slices[i];
    for (size_t at = 0; at < slice->count; at += EXCHANGE_CHUNK)
        exchange->host.norms[(slice->first + at) / EXCHANGE_CHUNK] =
            layers_squared_norm(slice->sum + at, MIN(EXCHANGE_CHUNK, slice->count - at));
}

/* Pieces whose sum over all hosts stands. */
static void take_done(exchange_t *exchange) {
    for (size_t i = 0; i < exchange->n_pieces; i++) {
        if (exchange->pieces[i].state != ON_THE_WIRE) continue;
        if (exchange->wire && !exchange_wire_done(exchange->wire, i)) continue;
        take_norms(exchange, i);
        exchange->pieces[i].state = DONE;
        exchange->done++;
    }
}

/* Sends what is final, and adds up what has come. */
static void move_on(exchange_t *exchange) {
    for (size_t i = 0; i < exchange->n_pieces; i++) {
        progress_t *piece = &exchange->pieces[i];
        if (piece->state != FINAL_HERE ||
            !exchange_host_reached(&exchange->host.ready[piece->bucket], all_ranks(exchange)))
            continue;
        sum_host(exchange, i);
        piece->state = ON_THE_WIRE;
        if (exchange->wire) exchange_wire_send(exchange->wire, i);
    }
    while (exchange->wire && exchange_wire_progress(exchange->wire)) take_done(exchange); /* still in cache */
    take_done(exchange);
}

/* Counts the time since the last call as hidden, if something was under way all that time, or for a part. */
static void count_hidden(exchange_t *exchange) {
    if (exchange->under_way == 0) return;
    watch_hidden((double)(g_get_monotonic_time() - exchange->under_way) / G_USEC_PER_SEC);
    exchange->under_way = 0;
}

/* A call from within the computation. */
static void move_on_between(exchange_t *exchange) {
    count_hidden(exchange);
    move_on(exchange);
    if (exchange->started > exchange->done) exchange->under_way = g_get_monotonic_time();
}

void exchange_progress(exchange_t *exchange) {
    if (exchange->begun) move_on_between(exchange);
}

/* Counts elements of a bucket as final. */
static void count_final(exchange_t *exchange, size_t bucket, size_t count) {
    if (count > exchange->left[bucket])
        comm_abort(__FILE__, __LINE__, "elements of the gradient are said to be final twice");
    exchange->left[bucket] -= count;
    if (exchange->left[bucket] > 0) return;
    exchange_host_signal(&exchange->host.ready[bucket]);
    for (size_t i = 0; i < exchange->n_pieces; i++) {
        if (exchange->pieces[i].bucket != bucket) continue;
        exchange->pieces[i].state = FINAL_HERE;
        exchange->started++;
    }
}

void exchange_ready(exchange_t *exchange, size_t first, size_t count) {
    begin(exchange);
    const size_t end =
        MIN((first + count + EXCHANGE_ALIGN - 1) / EXCHANGE_ALIGN * EXCHANGE_ALIGN, exchange->config.n);
    if (first % EXCHANGE_ALIGN != 0) comm_abort(__FILE__, __LINE__, "a range that begins at no multiple");
    while (first < end) {
        const size_t bucket = first / exchange->bucket, next = MIN(end, (bucket + 1) * exchange->bucket);
        count_final(exchange, bucket, next - first);
        first = next;
    }
    move_on_between(exchange);
}

void exchange_add_doubles(exchange_t *exchange, double *values, size_t n) {
    begin(exchange);
    comm_sum_begin(values, n);
}

/* Waits for all ranks of the host to come here. */
static void meet(exchange_t *exchange, exchange_counter_t *counter) {
    exchange_host_signal(counter);
    for (unsigned tries = 0; !exchange_host_reached(counter, all_ranks(exchange)); tries++)
        if (exchange_host_idle(tries)) comm_progress();
}

double exchange_finish(exchange_t *exchange) {
    begin(exchange);
    count_hidden(exchange);
    watch_wait_begin();
    for (size_t b = 0; b < exchange->buckets; b++)
        if (exchange->left[b] > 0) count_final(exchange, b, exchange->left[b]);
    for (unsigned tries = 0;; tries++) {
        move_on(exchange);
        if (exchange->done == exchange->n_pieces && comm_sum_ended() &&
            (!exchange->wire || exchange_wire_ended(exchange->wire)))
            break;
        exchange_host_idle(tries);
    }
    meet(exchange, exchange->host.summed);
    watch_wait_end();
    double norm = 0;
    for (size_t chunk = 0; chunk * EXCHANGE_CHUNK < exchange->config.n; chunk++)
        norm += exchange->host.norms[chunk];
    return norm;
}

const exchange_slice_t *exchange_slices(const exchange_t *exchange, size_t *n) {
    *n = exchange->n_pieces;
    return exchange->slices;
}

void exchange_updated(exchange_t *exchange) {
    watch_wait_begin();
    meet(exchange, exchange->host.updated);
    watch_wait_end();
    exchange->begun = FALSE;
}

static gboolean all_done(const exchange_wire_t *wire, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!exchange_wire_done(wire, i)) return FALSE;
    return exchange_wire_ended(wire);
}

void exchange_sum_hosts(exchange_t *exchange, gboolean feedback) {
    exchange_wire_t *wire = exchange->between;
    if (!wire) return;
    watch_wait_begin();
    exchange_wire_begin(wire, feedback);
    for (size_t i = 0; i < exchange->n_pieces; i++) exchange_wire_send(wire, i);
    for (unsigned tries = 0; !all_done(wire, exchange->n_pieces); tries++) {
        exchange_wire_progress(wire);
        exchange_host_idle(tries);
    }
    watch_wait_end();
    for (size_t i = 0; i < exchange->n_pieces; i++)
        memcpy(exchange->sums[i], exchange_wire_result(wire, i), exchange->slices[i].count * sizeof(float));
}
