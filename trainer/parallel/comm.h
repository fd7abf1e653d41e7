/* comm: all that ranks say to each other but for gradients, which exchange sums. All functions but
 * comm_rank(), comm_size(), those of comm_node_...() that return a number, comm_host(), and comm_abort...()
 * are collective over all ranks. An error of MPI ends the job with a word: see MPI_CHECK(). */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

/* Messages of up to so many bytes leave over TCP without asking the receiver first (where MPI is Open MPI and
 * nobody has set btl_tcp_eager_limit): the answer would have to wait behind all that goes the other way. */
#define COMM_EAGER_BYTES ((size_t)1 << 20)

/* Starts MPI. FALSE with error set if the launcher promised more ranks than MPI sees (OMPI_COMM_WORLD_SIZE,
 * SLURM_NTASKS, PMI_SIZE), so that N programs would each train alone. comm_rank() is then the rank that the
 * launcher meant, so that only one program reports the error. Call comm_finalize() in both cases. */
gboolean comm_init(int *argc, char ***argv, GError **error);
void comm_finalize(void);
int comm_rank(void);
int comm_size(void);
/* Rank on this host, number of ranks on it, and comm_rank() of the one that is rank 0 there. */
int comm_node_rank(void);
int comm_node_size(void);
int comm_node_leader(void);
#define COMM_HOST_BYTES 256
const char *comm_host(void); /* the name of this host */

/* TRUE if no rank passes an error. Else every rank returns FALSE with *error set to that of the lowest rank
 * that has one; unless all ranks have the same message, "rank R of N on HOST: " precedes it. Takes over
 * local, which is NULL if all went well on this rank. */
gboolean comm_agree(GError *local, GError **error);
/* Whether yes is TRUE on any rank. */
gboolean comm_any(gboolean yes);
/* The names of the hosts of ranks where yes is TRUE, such as "h2, h3"; NULL if there are none. Of many, the
 * first few. Owner: caller. */
char *comm_hosts_where(gboolean yes);

void comm_broadcast(void *buffer, size_t bytes); /* of rank 0 */
/* The same, to those ranks alone that say so, rank 0 among them. */
void comm_broadcast_to(void *buffer, size_t bytes, gboolean receives);
/* Returns the text of rank `root` on every rank; NULL becomes "". Owner: caller. */
char *comm_broadcast_string(const char *text, int root);
/* Sums values [n], n <= INT_MAX, over ranks in place. Every rank gets the same bits. */
void comm_sum_doubles(double *values, size_t n);
/* The same without waiting: values [n] may not be touched until comm_sum_ended() is TRUE, which it also is
 * where nothing was begun. One at a time. */
void comm_sum_begin(double *values, size_t n);
gboolean comm_sum_ended(void);
/* Lets MPI move what it has under way, for a rank that waits for something else. Local. */
void comm_progress(void);
int64_t comm_max(int64_t value);
/* Writes the value of each rank, of so many bytes, in their order, to all [comm_size()]. */
void comm_gather(const void *value, size_t bytes, void *all);
/* Whether all ranks pass the same value. */
gboolean comm_same(uint64_t value);

/* Allocates zeroed memory that the ranks of a host share. NULL with error set on every rank if any host has
 * too little (in /dev/shm, if several ranks share a host). Free it by comm_shared_free(), which is
 * collective. */
void *comm_shared_alloc(size_t bytes, GError **error);
void comm_shared_free(void *memory);
/* Waits for the ranks of this host: after the leader (node rank 0) writes, before the others read. */
void comm_node_barrier(void);

/* Ends the job at once; for impossible states only. */
void comm_abort(const char *file, int line, const char *message) G_GNUC_NORETURN;
/* The same for a call of MPI that gave this code: says on which rank and host, in which phase and step, and
 * MPI's own text. The status is EXIT_STOPPED_EARLY once a step has begun, since the checkpoints stay and the
 * cause is most often a host or a network that has failed; before that EXIT_ERROR. */
void comm_abort_mpi(const char *file, int line, const char *call, int code) G_GNUC_NORETURN;
/* Around every call of MPI, for the files that include mpi.h. */
#define MPI_CHECK(call)                                                                                      \
    do {                                                                                                     \
        int code_ = (call);                                                                                  \
        if (code_ != MPI_SUCCESS) comm_abort_mpi(__FILE__, __LINE__, #call, code_);                          \
    } while (0)
