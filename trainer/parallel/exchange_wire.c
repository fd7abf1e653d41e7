/* exchange_wire: owns the messages between hosts. Each has its buffer and its persistent request, made once:
 * of each piece first those that come (the others' sums of this host's part, then results of their parts),
 * then those that go (this host's sums of their parts, then the result of its own). In bfloat16 the buffers
 * of messages hold 16 bits an element, and floats are made of them in cache, as they are added up: what takes
 * time here is memory. */
#include "trainer/parallel/exchange_wire.h"

#include <mpi.h>
#include <string.h>

#include "trainer/parallel/bf16.h"
#include "trainer/parallel/comm.h"

enum { SUMS, RESULT, KINDS }; /* of messages, and their tags: KINDS * bucket + kind */
enum { CHUNK = 2048 };        /* elements that are added up together, in cache */

typedef struct {
    exchange_piece_t piece;
    const float *const *sums; /* [nodes of this host] */
    size_t part, part_count;  /* this host's, from the piece's beginning */
    size_t inbox;             /* elements of earlier pieces in wire->inbox */
    int sums_left, results_left, sends_left;
    gboolean sent, added; /* this host's sums left; its part of the result stands */
} flight_t;

struct exchange_wire {
    const exchange_plan_t *plan;
    exchange_wire_format_t format;
    flight_t *flights; /* [n] */
    size_t n, nodes, other_nodes;
    int others;    /* hosts */
    float *result; /* [slice] */
    float *inbox;  /* the others' sums of this host's part: a piece after the other, [other_nodes, part] */
    float *errors; /* bf16: [nodes, slice] of what was sent; in this host's part, of node 0, of results */
    float *chunk;  /* bf16: [other_nodes, CHUNK] */
    uint16_t *out, *in, *result_bits; /* bf16: sums that go [nodes, slice], that come, as in inbox; results */
    gboolean feedback;                /* of this step */
    size_t slice;                     /* elements of all pieces */
    sum_order_t *order;
    const float **inputs; /* [all nodes] */
    MPI_Comm comm;
    MPI_Request *requests; /* [n, each] */
    size_t coming, going, each;
    int *ended;           /* [n * each]: which have */
    MPI_Status *statuses; /* theirs */
    int sends_left;       /* of all flights */
    uint64_t sent_bytes;
};

/* A message: where in its piece's list it is. */
typedef struct {
    gboolean send;
    int kind, host;
    size_t node; /* of SUMS: number among all hosts' nodes */
} message_t;

static message_t describe(const exchange_wire_t *wire, size_t index) {
    const exchange_plan_t *plan = wire->plan;
    const size_t others = (size_t)wire->others;
    message_t message = {.kind = RESULT};
    size_t host = index;
    if (index < wire->other_nodes) {
        size_t node = index, mine = plan->host_node_firsts[plan->host];
        if (node >= mine) node += wire->nodes;
        for (message.host = 0; plan->host_node_firsts[message.host + 1] <= node;) message.host++;
        return (message_t){.kind = SUMS, .host = message.host, .node = node};
    }
    if (index < wire->coming) {
        host = index - wire->other_nodes;
    } else if (index < wire->coming + others * wire->nodes) {
        host = (index - wire->coming) / wire->nodes;
        message.kind = SUMS;
        message.node = plan->host_node_firsts[plan->host] + (index - wire->coming) % wire->nodes;
    } else {
        host = index - wire->coming - others * wire->nodes;
    }
    message.send = index >= wire->coming;
    message.host = (int)host + ((int)host >= plan->host);
    return message;
}

/* Number of a host's node among those of the inbox. */
static size_t inbox_row(const exchange_wire_t *wire, size_t node) {
    return node < wire->plan->host_node_firsts[wire->plan->host] ? node : node - wire->nodes;
}

/* Buffer and elements of a message. */
static void *buffer_of(exchange_wire_t *wire, const flight_t *flight, const message_t *message, int *count) {
    const exchange_plan_t *plan = wire->plan;
    const gboolean half = wire->format == WIRE_BF16, incoming_sums = message->kind == SUMS && !message->send,
                   own_result = message->kind == RESULT && message->send;
    const int owner = incoming_sums || own_result ? plan->host : message->host;
    const size_t part = exchange_plan_part(plan, &flight->piece, owner), at = flight->piece.at + part,
                 mine = plan->host_node_firsts[plan->host];
    *count = (int)(exchange_plan_part(plan, &flight->piece, owner + 1) - part);
    if (incoming_sums) {
        const size_t place = flight->inbox + inbox_row(wire, message->node) * flight->part_count;
        return half ? (void *)(wire->in + place) : wire->inbox + place;
    }
    if (message->kind == RESULT) return half ? (void *)(wire->result_bits + at) : wire->result + at;
    const size_t node = message->node - mine;
    return half ? (void *)(wire->out + node * wire->slice + at) : (void *)(flight->sums[node] + part);
}

/* The rank at the other end of a message. */
static int peer_of(const exchange_wire_t *wire, const message_t *message) {
    return wire->plan->ranks[wire->plan->firsts[message->host] + wire->plan->host_index];
}

static void make_messages(exchange_wire_t *wire) {
    const MPI_Datatype type = wire->format == WIRE_BF16 ? MPI_UINT16_T : MPI_FLOAT;
    for (size_t i = 0; i < wire->n; i++)
        for (size_t k = 0; k < wire->each; k++) {
            const message_t message = describe(wire, k);
            const int peer = peer_of(wire, &message), tag = KINDS * (int)i + message.kind;
            int count;
            void *buffer = buffer_of(wire, &wire->flights[i], &message, &count);
            MPI_Request *request = &wire->requests[i * wire->each + k];
            if (message.send)
                MPI_CHECK(MPI_Send_init(buffer, count, type, peer, tag, wire->comm, request));
            else
                MPI_CHECK(MPI_Recv_init(buffer, count, type, peer, tag, wire->comm, request));
        }
}

exchange_wire_t *exchange_wire_new(const exchange_plan_t *plan, const exchange_piece_t *pieces, size_t n,
                                   const float *const *sums, exchange_wire_format_t format) {
    const size_t all = plan->host_node_firsts[plan->hosts];
    exchange_wire_t *wire = g_new0(exchange_wire_t, 1);
    *wire = (exchange_wire_t){.plan = plan, .format = format, .n = n, .others = plan->hosts - 1};
    wire->nodes = plan->host_node_firsts[plan->host + 1] - plan->host_node_firsts[plan->host];
    wire->other_nodes = all - wire->nodes;
    wire->flights = g_new0(flight_t, n);
    size_t inbox = 0;
    for (size_t i = 0; i < n; i++) {
        flight_t *flight = &wire->flights[i];
        *flight = (flight_t){.piece = pieces[i], .sums = sums + i * wire->nodes, .inbox = inbox};
        flight->part = exchange_plan_part(plan, &pieces[i], plan->host);
        flight->part_count = exchange_plan_part(plan, &pieces[i], plan->host + 1) - flight->part;
        inbox += wire->other_nodes * flight->part_count;
        wire->slice += pieces[i].count;
    }
    wire->result = g_new0(float, wire->slice);
    if (format == WIRE_FLOAT) {
        wire->inbox = g_new0(float, inbox);
    } else {
        wire->chunk = g_new0(float, wire->other_nodes *(size_t)CHUNK);
        wire->errors = g_new0(float, wire->nodes * wire->slice);
        wire->out = g_new0(uint16_t, wire->nodes * wire->slice);
        wire->in = g_new0(uint16_t, inbox);
        wire->result_bits = g_new0(uint16_t, wire->slice);
    }
    wire->order = sum_order_new(plan->root, plan->host_nodes, all);
    wire->inputs = g_new0(const float *, all);
    wire->coming = wire->other_nodes + (size_t)wire->others;
    wire->going = (size_t)wire->others * (wire->nodes + 1);
    wire->each = wire->coming + wire->going;
    wire->requests = g_new(MPI_Request, MAX(n * wire->each, 1));
    wire->ended = g_new(int, MAX(n * wire->each, 1));
    wire->statuses = g_new(MPI_Status, MAX(n * wire->each, 1));
    MPI_CHECK(MPI_Comm_dup(MPI_COMM_WORLD, &wire->comm));
    MPI_CHECK(MPI_Comm_set_errhandler(wire->comm, MPI_ERRORS_RETURN));
    make_messages(wire);
    return wire;
}

void exchange_wire_free(exchange_wire_t *wire) {
    if (!wire) return;
    for (size_t i = 0; i < wire->n * wire->each; i++) MPI_CHECK(MPI_Request_free(&wire->requests[i]));
    MPI_CHECK(MPI_Comm_free(&wire->comm));
    sum_order_free(wire->order);
    g_free(wire->flights);
    g_free(wire->result);
    g_free(wire->inbox);
    g_free(wire->errors);
    g_free(wire->chunk);
    g_free(wire->out);
    g_free(wire->in);
    g_free(wire->result_bits);
    g_free(wire->inputs);
    g_free(wire->requests);
    g_free(wire->ended);
    g_free(wire->statuses);
    g_free(wire);
}

void exchange_wire_begin(exchange_wire_t *wire, gboolean feedback) {
    wire->feedback = feedback;
    for (size_t i = 0; i < wire->n; i++) {
        flight_t *flight = &wire->flights[i];
        flight->sums_left = (int)wire->other_nodes;
        flight->results_left = wire->others;
        flight->sends_left = (int)wire->going;
        flight->sent = flight->added = FALSE;
        MPI_CHECK(MPI_Startall((int)wire->coming, wire->requests + i * wire->each));
    }
    wire->sends_left = (int)(wire->n * wire->going);
}

/* Rounds elements to bits; errors: where what was rounded off is kept. */
static void pack(const exchange_wire_t *wire, const float *x, size_t errors, uint16_t *bits, size_t n) {
    bf16_pack(x, wire->feedback ? wire->errors + errors : NULL, bits, n);
}

static void start_sends(exchange_wire_t *wire, size_t piece, size_t from, size_t n, size_t elements) {
    MPI_CHECK(MPI_Startall((int)n, wire->requests + piece * wire->each + wire->coming + from));
    wire->sent_bytes += elements * (wire->format == WIRE_BF16 ? sizeof(uint16_t) : sizeof(float));
}

void exchange_wire_send(exchange_wire_t *wire, size_t piece) {
    flight_t *flight = &wire->flights[piece];
    const size_t at = flight->piece.at, count = flight->piece.count,
                 after = flight->part + flight->part_count;
    if (wire->format == WIRE_BF16)
        for (size_t node = 0; node < wire->nodes; node++) {
            const size_t row = node * wire->slice + at;
            const float *sums = flight->sums[node];
            pack(wire, sums, row, wire->out + row, flight->part);
            pack(wire, sums + after, row + after, wire->out + row + after, count - after);
        }
    flight->sent = TRUE;
    start_sends(wire, piece, 0, (size_t)wire->others * wire->nodes,
                wire->nodes * (count - flight->part_count));
}

/* Where n elements of a node's sum of this host's part are, from element `done` of it on. */
static const float *find_sum(exchange_wire_t *wire, const flight_t *flight, size_t node, size_t done,
                             size_t n) {
    const size_t mine = wire->plan->host_node_firsts[wire->plan->host];
    if (node >= mine && node < mine + wire->nodes) return flight->sums[node - mine] + flight->part + done;
    const size_t row = inbox_row(wire, node), place = flight->inbox + row * flight->part_count + done;
    if (wire->format == WIRE_FLOAT) return wire->inbox + place;
    float *floats = wire->chunk + row * CHUNK;
    bf16_unpack(wire->in + place, floats, n);
    return floats;
}

/* All sums of this host's part are here: adds them up and sends the result. */
static void add_up(exchange_wire_t *wire, size_t piece) {
    flight_t *flight = &wire->flights[piece];
    for (size_t done = 0; done < flight->part_count; done += CHUNK) {
        const size_t n = MIN(CHUNK, flight->part_count - done), at = flight->piece.at + flight->part + done;
        for (size_t node = 0; node < wire->nodes + wire->other_nodes; node++)
            wire->inputs[node] = find_sum(wire, flight, node, done, n);
        sum_order_run(wire->order, wire->inputs, wire->result + at, n);
        if (wire->format == WIRE_FLOAT) continue;
        pack(wire, wire->result + at, at, wire->result_bits + at, n);
        bf16_unpack(wire->result_bits + at, wire->result + at, n);
    }
    flight->added = TRUE;
    start_sends(wire, piece, (size_t)wire->others * wire->nodes, (size_t)wire->others,
                (size_t)wire->others * flight->part_count);
}

static void handle_end(exchange_wire_t *wire, size_t index) {
    flight_t *flight = &wire->flights[index / wire->each];
    const message_t message = describe(wire, index % wire->each);
    if (message.send) {
        flight->sends_left--;
        wire->sends_left--;
        return;
    }
    if (message.kind == SUMS) {
        flight->sums_left--;
        return;
    }
    flight->results_left--;
    if (wire->format == WIRE_FLOAT) return;
    int count;
    const uint16_t *bits = buffer_of(wire, flight, &message, &count);
    bf16_unpack(bits, wire->result + (bits - wire->result_bits), (size_t)count);
}

/* An error of single messages: says whose. */
static void abort_message(const exchange_wire_t *wire, int n) {
    for (int i = 0; i < n; i++) {
        const int code = wire->statuses[i].MPI_ERROR;
        if (code == MPI_SUCCESS || code == MPI_ERR_PENDING) continue;
        const message_t message = describe(wire, (size_t)wire->ended[i] % wire->each);
        g_autofree char *call = g_strdup_printf("MPI_Testsome of a message %s rank %d",
                                                message.send ? "to" : "from", peer_of(wire, &message));
        comm_abort_mpi(__FILE__, __LINE__, call, code);
    }
}

gboolean exchange_wire_progress(exchange_wire_t *wire) {
    int n = 0;
    const int code =
        MPI_Testsome((int)(wire->n * wire->each), wire->requests, &n, wire->ended, wire->statuses);
    if (code == MPI_ERR_IN_STATUS) abort_message(wire, n);
    MPI_CHECK(code);
    for (int i = 0; n != MPI_UNDEFINED && i < n; i++) handle_end(wire, (size_t)wire->ended[i]);
    for (size_t i = 0; i < wire->n; i++) {
        const flight_t *flight = &wire->flights[i];
        if (flight->sent && !flight->added && flight->sums_left == 0) add_up(wire, i);
    }
    return n != MPI_UNDEFINED && n > 0;
}

gboolean exchange_wire_done(const exchange_wire_t *wire, size_t piece) {
    return wire->flights[piece].added && wire->flights[piece].results_left == 0;
}

gboolean exchange_wire_ended(const exchange_wire_t *wire) { return wire->sends_left == 0; }

const float *exchange_wire_result(const exchange_wire_t *wire, size_t piece) {
    return wire->result + wire->flights[piece].piece.at;
}

uint64_t exchange_wire_sent(const exchange_wire_t *wire) { return wire->sent_bytes; }
