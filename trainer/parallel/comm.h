/* comm: everything that ranks say to each other; the only module that includes mpi.h. All functions but
 * comm_rank(), comm_size(), comm_node_rank(), comm_node_size() and comm_abort() are collective over all
 * ranks. MPI errors abort the job with rank, file, line and MPI's own text. */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

/* Starts MPI. FALSE with error set where the launcher promised more ranks than MPI sees
 * (OMPI_COMM_WORLD_SIZE, SLURM_NTASKS, PMI_SIZE): N programs that would each train alone. MPI is up in both
 * cases: comm_finalize() it. comm_rank() is then the rank that the launcher meant, so that one of them
 * speaks. */
gboolean comm_init(int *argc, char ***argv, GError **error);
void comm_finalize(void);
int comm_rank(void);
int comm_size(void);
/* Rank and count on this host. */
int comm_node_rank(void);
int comm_node_size(void);

/* TRUE where no rank comes with an error of its own. Else every rank returns FALSE with *error set to the
 * error of the lowest rank that has one, its message led by "rank R of N on HOST: " where it was not the same
 * on all ranks. Takes over local, which is NULL where all went well here. */
gboolean comm_agree(GError *local, GError **error);
/* TRUE where yes is TRUE on any rank. */
gboolean comm_any(gboolean yes);

void comm_broadcast(void *buffer, size_t bytes); /* of rank 0 */
/* The text of rank `root`, which is NULL for "", on every rank. Owner: caller. */
char *comm_broadcast_string(const char *text, int root);
/* Sums over ranks in place, in buckets of bucket_bytes (float) or whole. Every rank gets the same bits. */
void comm_sum_floats(float *values, size_t n, size_t bucket_bytes);
void comm_sum_doubles(double *values, size_t n);
int64_t comm_max(int64_t value);
/* TRUE where all ranks hold the same value (replicas' checksums). */
gboolean comm_same(uint64_t value);

/* Memory shared by the ranks of a host, zeroed: NULL with error set on every rank where any host has too
 * little (/dev/shm, where several ranks share a host). Freed by comm_shared_free(), collective. */
void *comm_shared_alloc(size_t bytes, GError **error);
void comm_shared_free(void *memory);
/* Waits for the ranks of this host: between the leader's writing (node rank 0) and the others' reading. */
void comm_node_barrier(void);

/* Ends the job at once: impossible states only. */
void comm_abort(const char *file, int line, const char *message) G_GNUC_NORETURN;
