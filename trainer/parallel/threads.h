/* threads: how many BLAS threads a rank should run, given its cores and the ranks that share them. */
#pragma once

#include <glib.h>

typedef struct {
    /* Cores that this rank may use by its affinity mask (hardware threads of a core count once). A core that
     * several ranks of the host may use counts as a fraction; the sum is rounded down, at least 1. */
    int share;
    int cores; /* that any rank of this host may use */
    int idle;  /* the most on any host that the job may use but no rank may; the same on all ranks */
} threads_t;

/* FALSE with error set on all ranks. Collective. */
gboolean threads_find(threads_t *threads, GError **error);
