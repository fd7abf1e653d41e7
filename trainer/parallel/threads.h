/* threads: how many BLAS threads a rank should run, given its cores and the ranks that share them; and that
 * ranks which are more than the CPUs make room for each other. */
#pragma once

#include <glib.h>

typedef struct {
    /* Cores that this rank may use by its affinity mask (hardware threads of a core count once). A core that
     * several ranks of the host may use counts as a fraction; the sum is rounded down, at least 1. */
    int share;
    int cores; /* that any rank of this host may use */
    int idle;  /* of this host: cores that the job may use but no rank may */
} threads_t;

/* The variable by which Open MPI is told that a rank which waits should leave its CPU to others. */
#define THREADS_YIELD "OMPI_MCA_mpi_yield_when_idle"

/* Sets it where more ranks than CPUs are on this host and nobody has set it: else those that wait take the
 * time of those that compute. Open MPI's mpirun does so by itself, but only where it starts more ranks than
 * the slots that it was told of. Local; before MPI starts. */
void threads_yield_if_crowded(void);

/* FALSE with error set on all ranks. Collective. */
gboolean threads_find(threads_t *threads, GError **error);
