/* replicas: finds out whether all hosts still have the same weights. Each computes the same updates from the
 * same sums, so they differ only where memory, a processor or a library computes wrongly. */
#pragma once

#include "trainer/run/run.h"

/* Steps between two checks. */
#define REPLICAS_EVERY 100

/* A checksum of the bits of values [n]; changes where any one bit does. *finite: whether all of them are. */
uint64_t replicas_sum(const real_t *values, size_t n, gboolean *finite);

/* Which of n checksums are wrong: those that differ from one that more than half of them have; all, if there
 * is none such. Checksums that are 0 stand for no replica, and are not counted. Returns how many. */
size_t replicas_find_wrong(const uint64_t *sums, size_t n, gboolean *wrong);

/* Compares the weights of all ranks that fill in weights of their own. Collective; TRUE where they are finite
 * and the same; else FALSE with the same error set on all ranks, which names those that are wrong. */
gboolean replicas_check(const run_state_t *state, const char *run, GError **error);
