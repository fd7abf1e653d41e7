/* threads: how many BLAS threads a rank should run, from the cores it may use and the ranks that share
 * them. */
#pragma once

#include <glib.h>

/* Cores this rank may use (its affinity mask; hardware threads of a core count once), each divided by the
 * ranks of the host that may use it too, rounded down, at least 1; 0 with error set on all ranks. *idle: most
 * cores on any host that the job may use but no rank may, because of binding; the same on all ranks.
 * Collective. */
int threads_find(int *idle, GError **error);
