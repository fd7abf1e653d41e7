/* exchange_plan: who exchanges what: which ranks make a host, who has which grains, and how the block is cut
 * into pieces. Computed alike by all ranks from numbers alone. */
#pragma once

#include <glib.h>
#include <stddef.h>

#include "trainer/parallel/exchange.h"
#include "trainer/parallel/sum_order.h"

typedef struct {
    int hosts, host;            /* number of hosts; this rank's, in the order of their lowest ranks */
    int host_size, host_index;  /* ranks of this host; this rank's number among them */
    int carriers;               /* ranks of each host that sum and send: as many as the smallest host has */
    int *firsts;                /* [hosts + 1] ranks on earlier hosts: first + index is a rank's position */
    int *ranks;                 /* [comm_size()] comm_rank() by position */
    sum_node_t root;            /* the whole tree */
    sum_node_t *rank_nodes;     /* of the ranks of this host, in order: */
    size_t *rank_node_firsts;   /* [host_size + 1] where each one's begin */
    sum_node_t *host_nodes;     /* of all hosts, in order: */
    size_t *host_node_firsts;   /* [hosts + 1] where each one's begin */
    size_t grain_first, grains; /* this rank's */
} exchange_plan_t;

/* FALSE with error set on all ranks where there are more ranks than grains. one_host: how many ranks of a
 * host count as one, 0: all. Collective. */
gboolean exchange_plan_init(exchange_plan_t *plan, int grains, int one_host, GError **error);
void exchange_plan_clear(exchange_plan_t *plan);

/* A bucket's part that this rank sums over its host and sends to others, and of it the part that this rank
 * sums over all hosts. */
typedef struct {
    size_t first, count; /* elements of the block */
    size_t at;           /* elements of this rank's earlier pieces */
} exchange_piece_t;

/* Elements of a bucket: about bucket_bytes, but not so many that a message is longer than COMM_EAGER_BYTES,
 * and a whole number of chunks for each carrier. */
size_t exchange_plan_bucket(const exchange_plan_t *plan, size_t bucket_bytes);
/* This rank's piece of a bucket; count is 0 where the rank carries nothing. Sets all members but at. */
exchange_piece_t exchange_plan_piece(const exchange_plan_t *plan, size_t n, size_t bucket, size_t index);
/* Which elements of a piece, from its beginning, a host sums: returns the first; the end is the next host's
 * first. */
size_t exchange_plan_part(const exchange_plan_t *plan, const exchange_piece_t *piece, int host);
