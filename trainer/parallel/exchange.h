/* exchange: sums gradients over all ranks, and lets the ranks of a host share weights and optimizer state.
 *
 * Within a host gradients lie in memory that its ranks share, and each rank sums some slices of them over the
 * ranks of the host. Between hosts each slice goes its own way, from its owner on one host to its owners on
 * the others, so that all ranks of a host send at once. What a rank has finished leaves while it still
 * computes the rest. A step is
 *
 *     zero exchange_gradient(); compute, calling exchange_ready() and exchange_progress(); exchange_finish();
 *     update the elements of exchange_slices() in shared blocks; exchange_updated()
 *
 * The order of sums is a fixed binary tree, so the result has the same bits each time. With grains, a fixed
 * number of parts of the batch, they are the same on any number of ranks and hosts (with WIRE_FLOAT).
 * Collective over all ranks: exchange_new(), exchange_free(), and, once a step, exchange_finish() and
 * exchange_updated(). Failures of MPI abort the job, as in comm. */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#define EXCHANGE_CHUNK 4096 /* elements: slices and the parts of a norm are cut at its multiples */
#define EXCHANGE_ALIGN 16   /* elements: ranges that are ready begin at its multiples */

typedef struct exchange exchange_t;

/* What hosts send each other: floats, or their upper 16 bits (bfloat16), rounded; what rounding took away is
 * added to the next step's gradient by the one who sent it (error feedback, Seide et al. 2014). */
typedef enum { WIRE_FLOAT, WIRE_BF16 } exchange_wire_format_t;

typedef struct {
    size_t n;            /* floats of a block: model_size() */
    size_t bucket_bytes; /* gradients leave in pieces of about so many bytes; > 0 */
    exchange_wire_format_t wire;
    int grains; /* G parts of a batch, dealt to ranks in order, at least comm_size(); 0: one a rank */
    int blocks; /* how often exchange_shared_block() will be called */
    /* Each rank counts as a host of its own. So they do where a host has too little shared memory. */
    gboolean alone;
    int ranks_a_host; /* for tests: so many ranks of a host make one host; 0: all */
    /* Above 0: a step sums over the ranks of its host alone, and so does its norm; the hosts meet in
     * exchange_sum_hosts(), every so many steps. Not with grains. */
    int local_steps;
} exchange_config_t;

/* FALSE with error set on all ranks where there are fewer grains than ranks. Else an exchange for blocks of n
 * floats. Owner: caller. */
exchange_t *exchange_new(const exchange_config_t *config, GError **error);
/* Collective; a step that has begun on any rank is given up. */
void exchange_free(exchange_t *exchange);

/* How it exchanges, for people, and, where hosts have too little shared memory, what would help. */
const char *exchange_describe(const exchange_t *exchange);
/* Whether each rank is a host of its own because there is too little shared memory. */
gboolean exchange_fell_back(const exchange_t *exchange);
/* Hosts, and ranks of this one, as the exchange counts them. This rank updates for its host where index is 0;
 * that rank's copy is as good as any. */
int exchange_hosts(const exchange_t *exchange);
int exchange_host_size(const exchange_t *exchange);
int exchange_host_index(const exchange_t *exchange);

/* Returns one more block of n floats, zeroed, 64-byte aligned, which the ranks of the host share; the same
 * one on all of them, if they all ask in the same order. Owned by the exchange. */
float *exchange_shared_block(exchange_t *exchange);

/* This rank has grains [first, first + count) of the batch; without grains, one: its own. */
void exchange_grains(const exchange_t *exchange, size_t *first, size_t *count);
/* The blocks that a rank keeps for its gradient, >= 1, and the grains of each, in order: count is a power of
 * two and divides first. The caller adds up the gradients of a block's grains as the tree does: those of the
 * first half, those of the second half, each by the same rule, then both. Without grains there is one block
 * of one grain. */
size_t exchange_nodes(const exchange_t *exchange);
void exchange_node_grains(const exchange_t *exchange, size_t node, size_t *first, size_t *count);
/* The block [n] of a node, 64-byte aligned, zeroed at first. The rank may write there between
 * exchange_updated() and exchange_ready() of the element. exchange_finish() leaves sums in it. */
float *exchange_gradient(exchange_t *exchange, size_t node);

/* Elements [first, first + count) of all blocks of this rank are final in this step and may leave. first is a
 * multiple of EXCHANGE_ALIGN, and so is the end taken to be. Any order, each element once a step. Also makes
 * progress. */
void exchange_ready(exchange_t *exchange, size_t first, size_t count);
/* Adds up what is there and moves what is under way; does not wait. For calls between matrix products. From
 * such a call after which something is under way to the next one the exchange is hidden behind the
 * computation: watch_hidden() is told. */
void exchange_progress(exchange_t *exchange);
/* Sums values [n] over ranks along with the step's gradient: they are read now and stand when
 * exchange_finish() returns. At most once a step, on all ranks; the same bits on all of them. */
void exchange_add_doubles(exchange_t *exchange, double *values, size_t n);
/* Returns when the sums of this rank's slices stand. Elements that were never ready are final now. Returns
 * the squared norm of the whole sum: by chunks of EXCHANGE_CHUNK elements, added in their order, so with the
 * same bits on all ranks. NaN and infinity of any rank reach the sums and the norm on all. */
double exchange_finish(exchange_t *exchange);

/* A range of elements that this rank updates for its host, and the sums of their gradients [count]. */
typedef struct {
    size_t first, count;
    const float *sum;
} exchange_slice_t;

/* This rank's slices, in ascending order; all ranks of a host together have each element once. They stay the
 * same; the sums stand between exchange_finish() and exchange_updated(). May be none. */
const exchange_slice_t *exchange_slices(const exchange_t *exchange, size_t *n);
/* This rank has updated its slices. Returns when all ranks of the host have. */
void exchange_updated(exchange_t *exchange);

/* With local_steps, between exchange_updated() and the next step: sums over hosts what each rank has written
 * over its slices in exchange_gradient(exchange, 0). The sums stand in exchange_slices(). feedback: with
 * WIRE_BF16, what rounding takes away is added to the next sum with feedback; else it is lost, as it must be
 * where values may not change their sign. Collective. */
void exchange_sum_hosts(exchange_t *exchange, gboolean feedback);

/* Of all steps so far, on this rank. */
typedef struct {
    int64_t steps;
    uint64_t sent_bytes; /* to other hosts */
} exchange_counts_t;

exchange_counts_t exchange_counts(const exchange_t *exchange);
