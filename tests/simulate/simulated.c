/* simulated: a machine that SimGrid simulates, whose hosts have a core for each rank. Owns where time goes
 * by: in the computation, as profile.c measured it; in the exchange's own arithmetic, which is counted and
 * not done, so that the simulation is fast, as costs.c measured it; in the handling of messages by a core, as
 * simulate.py worked it out from two hosts. All else is SimGrid's: what the network takes, and MPI.
 *
 * The linker puts the functions __wrap_NAME below in place of NAME in all of the program. */
#include <glib.h>
#include <math.h>
#include <smpi/smpi.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/simulate/machine.h"
#include "trainer/parallel/bf16.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/sum_order.h"

/* Nanoseconds a core: an element that is added to another, squared, rounded, widened; a message and a byte of
 * it, at the sender and at the receiver each. */
static struct { double add, square, pack, unpack, message, byte; } costs;

static const double POLL_S = 1e-6, WAIT_S = 5e-6; /* a look at messages; between looks of one that waits */
static const double BEGIN_S = 1e-3;               /* steps begin at multiples of it */
static const size_t OWN_BYTES = 1 << 20;          /* at the start of large blocks: there may be counters */

typedef struct {
    gboolean send;
    double bytes;
} message_t;

typedef struct {
    int n;
    MPI_Request *requests;
} receives_t;

static gboolean waiting;
static GHashTable *messages; /* MPI_Request * -> message_t * */
static GArray *started;      /* MPI_Request *: under way */
static GArray *put_off;      /* receives_t, of a piece each, that are to be started */
static GArray *handles;      /* MPI_Request: theirs */
static GHashTable *terms;    /* sum_order_t * -> number of additions */
static GHashTable *shared;   /* addresses that smpi_shared_malloc_partial() returned */

double machine_seconds(void) { return MPI_Wtime(); }

void machine_compute(double seconds) {
    const struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL); /* SimGrid's */
}

static void spend(double ns) {
    if (ns > 0) machine_compute(ns * 1e-9);
}

/* All ranks begin at the same moment, so that messages that are alike end together: SimGrid then works out
 * their shares of the network once, in place of once for each. */
void machine_begins(void) {
    const double now = machine_seconds();
    machine_compute((floor(now / BEGIN_S) + 1) * BEGIN_S - now);
}

void machine_waits(int yes) { waiting = yes; }

int machine_costs(const char *text) {
    return sscanf(text, "%lf,%lf,%lf,%lf,%lf,%lf", &costs.add, &costs.square, &costs.pack, &costs.unpack,
                  &costs.message, &costs.byte) == 6;
}

/* SimGrid promises fewer threads than comm asks for. There are none here. */
int __real_MPI_Init_thread(int *argc, char ***argv, int wanted, int *provided);
int __wrap_MPI_Init_thread(int *argc, char ***argv, int wanted, int *provided);
int __wrap_MPI_Init_thread(int *argc, char ***argv, int wanted, int *provided) {
    messages = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    started = g_array_new(FALSE, FALSE, sizeof(MPI_Request *));
    put_off = g_array_new(FALSE, FALSE, sizeof(receives_t));
    handles = g_array_new(FALSE, FALSE, sizeof(MPI_Request));
    terms = g_hash_table_new(NULL, NULL);
    const int code = __real_MPI_Init_thread(argc, argv, wanted, provided);
    *provided = wanted;
    return code;
}

static void note(MPI_Request *request, gboolean send, int count, MPI_Datatype type) {
    int bytes;
    MPI_Type_size(type, &bytes);
    message_t *message = g_new(message_t, 1);
    *message = (message_t){send, (double)count * bytes};
    g_hash_table_insert(messages, request, message);
}

int __real_MPI_Send_init(const void *buffer, int count, MPI_Datatype type, int peer, int tag, MPI_Comm comm,
                         MPI_Request *request);
int __wrap_MPI_Send_init(const void *buffer, int count, MPI_Datatype type, int peer, int tag, MPI_Comm comm,
                         MPI_Request *request);
int __wrap_MPI_Send_init(const void *buffer, int count, MPI_Datatype type, int peer, int tag, MPI_Comm comm,
                         MPI_Request *request) {
    note(request, TRUE, count, type);
    return __real_MPI_Send_init(buffer, count, type, peer, tag, comm, request);
}

int __real_MPI_Recv_init(void *buffer, int count, MPI_Datatype type, int peer, int tag, MPI_Comm comm,
                         MPI_Request *request);
int __wrap_MPI_Recv_init(void *buffer, int count, MPI_Datatype type, int peer, int tag, MPI_Comm comm,
                         MPI_Request *request);
int __wrap_MPI_Recv_init(void *buffer, int count, MPI_Datatype type, int peer, int tag, MPI_Comm comm,
                         MPI_Request *request) {
    note(request, FALSE, count, type);
    return __real_MPI_Recv_init(buffer, count, type, peer, tag, comm, request);
}

/* What a core has to do for a message. */
static double handling_ns(const MPI_Request *request, gboolean send) {
    const message_t *message = g_hash_table_lookup(messages, request);
    return message->send == send ? costs.message + costs.byte * message->bytes : 0;
}

int __real_MPI_Startall(int n, MPI_Request *requests);

/* Starts what is put off, the last piece first: its messages come first, and SimGrid looks for what a message
 * belongs to one by one, in the order in which they were started. */
static int start_receives(void) {
    int code = MPI_SUCCESS;
    for (guint i = put_off->len; i > 0 && code == MPI_SUCCESS; i--) {
        const receives_t *piece = &g_array_index(put_off, receives_t, i - 1);
        code = __real_MPI_Startall(piece->n, piece->requests);
    }
    g_array_set_size(put_off, 0);
    return code;
}

/* Receives of all pieces are started at the same moment; they are put off until the next call. */
int __wrap_MPI_Startall(int n, MPI_Request *requests);
int __wrap_MPI_Startall(int n, MPI_Request *requests) {
    const message_t *first = g_hash_table_lookup(messages, requests);
    double ns = 0;
    for (MPI_Request *request = requests; request < requests + n; request++) {
        g_array_append_val(started, request);
        ns += handling_ns(request, TRUE);
    }
    if (!first->send) {
        const receives_t piece = {n, requests};
        g_array_append_val(put_off, piece);
        return MPI_SUCCESS;
    }
    const int begun = start_receives();
    if (begun != MPI_SUCCESS) return begun;
    const int code = __real_MPI_Startall(n, requests);
    spend(ns);
    return code;
}

/* Passes on only requests that are under way: SimGrid counts others as ended, against the standard. A rank
 * that only waits, and only for messages, need not look again and again. */
int __real_MPI_Testsome(int n, MPI_Request *requests, int *count, int *ended, MPI_Status *statuses);
int __wrap_MPI_Testsome(int n, MPI_Request *requests, int *count, int *ended, MPI_Status *statuses);
int __wrap_MPI_Testsome(G_GNUC_UNUSED int n, MPI_Request *requests, int *count, int *ended,
                        MPI_Status *statuses) {
    const int begun = start_receives();
    if (begun != MPI_SUCCESS) return begun;
    machine_compute(waiting ? WAIT_S : POLL_S);
    *count = MPI_UNDEFINED;
    if (started->len == 0) return MPI_SUCCESS;
    g_array_set_size(handles, started->len);
    MPI_Request **slots = (MPI_Request **)(void *)started->data, *now = (MPI_Request *)(void *)handles->data;
    for (guint i = 0; i < started->len; i++) now[i] = *slots[i];
    const int code = waiting && comm_node_size() == 1
                         ? MPI_Waitsome((int)started->len, now, count, ended, statuses)
                         : __real_MPI_Testsome((int)started->len, now, count, ended, statuses);
    if (code != MPI_SUCCESS || *count == MPI_UNDEFINED) return code;
    double ns = 0;
    for (int i = 0; i < *count; i++) {
        const int k = ended[i];
        ended[i] = (int)(slots[k] - requests);
        ns += handling_ns(slots[k], FALSE);
        slots[k] = NULL;
    }
    guint left = 0;
    for (guint i = 0; i < started->len; i++)
        if (slots[i]) slots[left++] = slots[i];
    g_array_set_size(started, left);
    spend(ns);
    return code;
}

/* The sum of a step's losses is looked at when all else has come: a rank that waits need not look again. */
int __real_MPI_Test(MPI_Request *request, int *ended, MPI_Status *status);
int __wrap_MPI_Test(MPI_Request *request, int *ended, MPI_Status *status);
int __wrap_MPI_Test(MPI_Request *request, int *ended, MPI_Status *status) {
    if (!waiting || comm_node_size() > 1) return __real_MPI_Test(request, ended, status);
    *ended = TRUE;
    return MPI_Wait(request, status);
}

/* A rank that waits for another of its host lets time go by. */
int __wrap_sched_yield(void);
int __wrap_sched_yield(void) {
    machine_compute(WAIT_S);
    return 0;
}

/* The exchange's arithmetic. */
sum_order_t *__real_sum_order_new(sum_node_t node, const sum_node_t *inputs, size_t n);
sum_order_t *__wrap_sum_order_new(sum_node_t node, const sum_node_t *inputs, size_t n);
sum_order_t *__wrap_sum_order_new(sum_node_t node, const sum_node_t *inputs, size_t n) {
    sum_order_t *order = __real_sum_order_new(node, inputs, n);
    size_t inside = 0;
    for (size_t i = 0; i < n; i++)
        inside += inputs[i].first >= node.first && inputs[i].first < node.first + node.count;
    g_hash_table_insert(terms, order, GSIZE_TO_POINTER(inside - 1));
    return order;
}

void __wrap_sum_order_run(const sum_order_t *order, const float *const *inputs, float *out, size_t count);
void __wrap_sum_order_run(const sum_order_t *order, G_GNUC_UNUSED const float *const *inputs,
                          G_GNUC_UNUSED float *out, size_t count) {
    spend(costs.add * (double)(count * GPOINTER_TO_SIZE(g_hash_table_lookup(terms, order))));
}

double __wrap_layers_squared_norm(const float *x, size_t n);
double __wrap_layers_squared_norm(G_GNUC_UNUSED const float *x, size_t n) {
    spend(costs.square * (double)n);
    return 0;
}

void __wrap_bf16_pack(const float *x, float *error, uint16_t *out, size_t n);
void __wrap_bf16_pack(G_GNUC_UNUSED const float *x, G_GNUC_UNUSED float *error, G_GNUC_UNUSED uint16_t *out,
                      size_t n) {
    spend(costs.pack * (double)n);
}

void __wrap_bf16_unpack(const uint16_t *in, float *out, size_t n);
void __wrap_bf16_unpack(G_GNUC_UNUSED const uint16_t *in, G_GNUC_UNUSED float *out, size_t n) {
    spend(costs.unpack * (double)n);
}

/* The content of large blocks does not matter, so all ranks have the same memory there, but for the
 * beginning, and messages are not copied. */
static void *allocate(size_t bytes, void *(*plain)(size_t)) {
    if (bytes < 2 * OWN_BYTES) return plain(bytes);
    const size_t from_to[2] = {OWN_BYTES, bytes / OWN_BYTES * OWN_BYTES};
    void *block = smpi_shared_malloc_partial(bytes, from_to, 1);
    memset(block, 0, OWN_BYTES);
    if (!shared) shared = g_hash_table_new(NULL, NULL);
    g_hash_table_add(shared, block);
    return block;
}

void *__real_g_malloc0(size_t bytes);
void *__wrap_g_malloc0(size_t bytes);
void *__wrap_g_malloc0(size_t bytes) { return allocate(bytes, __real_g_malloc0); }
void *__wrap_g_malloc0_n(size_t n, size_t bytes);
void *__wrap_g_malloc0_n(size_t n, size_t bytes) { return allocate(n * bytes, __real_g_malloc0); }

float *__wrap_layers_new_block(size_t n);
float *__wrap_layers_new_block(size_t n) { return allocate(n * sizeof(float), __real_g_malloc0); }

void __real_g_free(void *block);
void __wrap_g_free(void *block);
void __wrap_g_free(void *block) {
    if (shared && g_hash_table_remove(shared, block))
        smpi_shared_free(block);
    else
        __real_g_free(block);
}
