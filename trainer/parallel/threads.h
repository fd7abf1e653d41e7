/* threads: how many BLAS threads a rank should run, given its cores and the ranks that share them. */
#pragma once

#include <glib.h>

/* Cores that this rank may use by its affinity mask (hardware threads of a core count once). A core that
 * several ranks of the host may use counts as a fraction; the sum is rounded down, at least 1. 0 with error
 * set on all ranks. *idle: the most cores on any host that the job may use but no rank may, because of
 * binding; the same on all ranks. Collective. */
int threads_find(int *idle, GError **error);
