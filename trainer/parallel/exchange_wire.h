/* exchange_wire: what goes between hosts. Of each piece every host owns a part: it gets the others' sums of
 * it, adds them up in the order of the tree, and sends the result back to all, so that each host sends and
 * gets about twice the piece however many hosts there are. */
#pragma once

#include "trainer/parallel/exchange_plan.h"

typedef struct exchange_wire exchange_wire_t;

/* Allocates everything that pieces [n] will need, none of them empty. sums [n, host's nodes]: where this
 * host's sums of each piece will be, for each of its nodes; read from exchange_wire_send() to
 * exchange_wire_ended(). Owner: caller. */
exchange_wire_t *exchange_wire_new(const exchange_plan_t *plan, const exchange_piece_t *pieces, size_t n,
                                   const float *const *sums, exchange_wire_format_t format);
void exchange_wire_free(exchange_wire_t *wire);

/* Gets ready for the other hosts' sums of the next step. feedback: in bfloat16, adds what rounding took away
 * before, and keeps what it takes away now. */
void exchange_wire_begin(exchange_wire_t *wire, gboolean feedback);
/* This host's sums of a piece stand: sends them. */
void exchange_wire_send(exchange_wire_t *wire, size_t piece);
/* Handles messages that have come or left and sends what follows; does not wait. FALSE: there were none. MPI
 * moves on a little at each call, so there may be more after TRUE. */
gboolean exchange_wire_progress(exchange_wire_t *wire);
/* Whether the sum over all hosts of a piece stands. */
gboolean exchange_wire_done(const exchange_wire_t *wire, size_t piece);
/* Whether all messages of the step have left, too. */
gboolean exchange_wire_ended(const exchange_wire_t *wire);
/* The sum over all hosts of a piece: the same place in each step. */
const float *exchange_wire_result(const exchange_wire_t *wire, size_t piece);
/* Bytes sent so far. */
uint64_t exchange_wire_sent(const exchange_wire_t *wire);
