/* comm: owns MPI. One communicator for all ranks, one for the ranks of this host. MPI reports errors instead
 * of aborting on its own, so that each one is said in a line of ours before the job ends.
 * Counts are int in MPI: everything long goes in pieces. Refuses to start where the launcher promised several
 * ranks and MPI sees one. */
#include "trainer/parallel/comm.h"

#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "preprocess/common/program.h"
#include "trainer/parallel/launcher.h"
#include "trainer/parallel/watch.h"

/* What returns only when all ranks have called it. */
#define COLLECTIVE(call)                                                                                     \
    do {                                                                                                     \
        watch_wait_begin();                                                                                  \
        MPI_CHECK(call);                                                                                     \
        watch_wait_end();                                                                                    \
    } while (0)

#define PIECE_BYTES        ((size_t)1 << 30) /* of a long broadcast */
#define HEADER_BYTES       ((size_t)1024)    /* of a message, at most */
#define HOSTS_NAMED        4                 /* by comm_hosts_where() */
#define SHARED_FOLDER      "/dev/shm"        /* where MPI puts shared memory */
#define SHARED_SLACK_BYTES 65536.0

static struct {
    gboolean started; /* MPI is there: between comm_init() and comm_finalize() */
    int rank, size, node_rank, node_size, node_leader;
    MPI_Comm node;
    MPI_Request sum; /* begun by comm_sum_begin() */
    char host[COMM_HOST_BYTES];
    GHashTable *windows; /* address -> MPI_Win * */
} comm = {
    .rank = 0, .size = 1, .node_rank = 0, .node_size = 1, .node = MPI_COMM_NULL, .sum = MPI_REQUEST_NULL};

/* Says on which rank, and ends the job: MPI_Abort() does not return, unless MPI is broken, too. */
static void G_GNUC_NORETURN end_job(int status, const char *text) {
    program_say("rank %d of %d on %s: %s\n", comm.rank, comm.size, comm.host, text);
    fflush(NULL);
    if (comm.started) MPI_Abort(MPI_COMM_WORLD, status);
    _exit(status);
}

void comm_abort(const char *file, int line, const char *message) {
    g_autofree char *text = g_strdup_printf("%s:%d: %s; ending the job", file, line, message);
    end_job(EXIT_ERROR, text);
}

void comm_abort_mpi(const char *file, int line, const char *call, int code) {
    const watch_place_t place = watch_place();
    char cause[MPI_MAX_ERROR_STRING];
    int length;
    g_autoptr(GString) text = g_string_new_len(call, (gssize)strcspn(call, "("));
    g_string_append_printf(text, " failed in %s", phase_name(place.phase));
    if (place.step > 0) g_string_append_printf(text, " of step %" G_GINT64_FORMAT, place.step);
    if (comm.started && MPI_Error_string(code, cause, &length) == MPI_SUCCESS)
        g_string_append_printf(text, ": %s", cause);
    else
        g_string_append_printf(text, ": MPI error %d", code);
    g_string_append_printf(text, " (%s:%d); ", file, line);
    if (place.step > 0)
        g_string_append_printf(text,
                               "most likely a host or the network between hosts has failed; giving up with "
                               "status %d; the last checkpoint stays, and --resume auto goes on from there",
                               EXIT_STOPPED_EARLY);
    else
        g_string_append(text, "training has not begun; look at MPI and the network between the hosts: "
                              "--check, docs/cluster.md");
    end_job(place.step > 0 ? EXIT_STOPPED_EARLY : EXIT_ERROR, text->str);
}

/* A launcher that MPI does not understand starts N programs that each take themselves to be alone: they would
 * train N times and overwrite each other's files. */
static gboolean check_launcher(GError **error) {
    const launcher_t launcher = launcher_read();
    const char *name = program_name();
    if (launcher.size <= comm.size || comm.size > 1) return TRUE;
    comm.rank = MAX(0, launcher.rank); /* so that only one of them reports it */
    return program_fail(error,
                        "the launcher promises %d ranks (%s) but MPI sees this one alone; start with `mpirun "
                        "-n %d %s ...` of the MPI that %s is linked with, or `srun --mpi=pmix -n %d %s ...`; "
                        "for one rank on purpose: `mpirun -n 1 %s ...`",
                        launcher.size, launcher.size_name, launcher.size, name, name, launcher.size, name,
                        name);
}

/* Open MPI reads its parameters from the environment, too; what a user has set stays. */
static void set_eager_limit(void) {
    static const char *const names[] = {"OMPI_MCA_btl_tcp_eager_limit", "OMPI_MCA_btl_tcp_max_send_size"};
    g_autofree char *bytes = g_strdup_printf("%zu", COMM_EAGER_BYTES + HEADER_BYTES);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) g_setenv(names[i], bytes, FALSE);
}

gboolean comm_init(int *argc, char ***argv, GError **error) {
    const launcher_t launcher = launcher_read();
    int provided = 0;
    if (gethostname(comm.host, sizeof comm.host - 1) != 0)
        g_strlcpy(comm.host, "unknown host", sizeof comm.host);
    comm.rank = MAX(0, launcher.rank); /* until MPI has said it */
    comm.size = MAX(1, launcher.size);
    set_eager_limit();
    MPI_CHECK(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided));
    comm.started = TRUE;
    MPI_CHECK(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    MPI_CHECK(MPI_Comm_rank(MPI_COMM_WORLD, &comm.rank));
    MPI_CHECK(MPI_Comm_size(MPI_COMM_WORLD, &comm.size));
    MPI_CHECK(
        MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, comm.rank, MPI_INFO_NULL, &comm.node));
    MPI_CHECK(MPI_Comm_set_errhandler(comm.node, MPI_ERRORS_RETURN));
    MPI_CHECK(MPI_Comm_rank(comm.node, &comm.node_rank));
    MPI_CHECK(MPI_Comm_size(comm.node, &comm.node_size));
    comm.node_leader = comm.rank;
    MPI_CHECK(MPI_Bcast(&comm.node_leader, 1, MPI_INT, 0, comm.node));
    comm.windows = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    if (provided < MPI_THREAD_FUNNELED)
        comm_abort(__FILE__, __LINE__, "this MPI allows no threads (MPI_THREAD_FUNNELED), which BLAS uses");
    return check_launcher(error);
}

void comm_finalize(void) {
    g_clear_pointer(&comm.windows, g_hash_table_unref);
    if (comm.node != MPI_COMM_NULL) MPI_CHECK(MPI_Comm_free(&comm.node));
    MPI_CHECK(MPI_Finalize());
    comm.started = FALSE;
}

int comm_rank(void) { return comm.rank; }
int comm_size(void) { return comm.size; }
int comm_node_rank(void) { return comm.node_rank; }
int comm_node_size(void) { return comm.node_size; }
int comm_node_leader(void) { return comm.node_leader; }
const char *comm_host(void) { return comm.host; }

static int64_t reduce_int(int64_t value, MPI_Op op) {
    COLLECTIVE(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT64_T, op, MPI_COMM_WORLD));
    return value;
}

int64_t comm_max(int64_t value) { return reduce_int(value, MPI_MAX); }

void comm_gather(const void *value, size_t bytes, void *all) {
    COLLECTIVE(MPI_Allgather(value, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, MPI_COMM_WORLD));
}

gboolean comm_any(gboolean yes) { return comm_max(yes) > 0; }

gboolean comm_same(uint64_t value) {
    uint64_t pair[2] = {value, ~value}; /* one maximum gives maximum and minimum */
    COLLECTIVE(MPI_Allreduce(MPI_IN_PLACE, pair, 2, MPI_UINT64_T, MPI_MAX, MPI_COMM_WORLD));
    return pair[0] == ~pair[1];
}

static void broadcast_in(void *buffer, size_t bytes, int root, MPI_Comm ranks) {
    for (size_t done = 0; done < bytes;) {
        size_t piece = MIN(bytes - done, PIECE_BYTES);
        MPI_CHECK(MPI_Bcast((char *)buffer + done, (int)piece, MPI_BYTE, root, ranks));
        done += piece;
    }
}

static void broadcast_from(void *buffer, size_t bytes, int root) {
    watch_wait_begin();
    broadcast_in(buffer, bytes, root, MPI_COMM_WORLD);
    watch_wait_end();
}

void comm_broadcast(void *buffer, size_t bytes) { broadcast_from(buffer, bytes, 0); }

void comm_broadcast_to(void *buffer, size_t bytes, gboolean receives) {
    MPI_Comm ranks = MPI_COMM_NULL;
    watch_wait_begin();
    MPI_CHECK(MPI_Comm_split(MPI_COMM_WORLD, receives ? 0 : MPI_UNDEFINED, comm.rank, &ranks));
    if (receives) {
        broadcast_in(buffer, bytes, 0, ranks);
        MPI_CHECK(MPI_Comm_free(&ranks));
    }
    watch_wait_end();
}

char *comm_broadcast_string(const char *text, int root) {
    uint64_t length = text ? strlen(text) : 0;
    broadcast_from(&length, sizeof length, root);
    char *copy = g_malloc0(length + 1);
    if (comm.rank == root && text) memcpy(copy, text, length);
    broadcast_from(copy, length, root);
    return copy;
}

gboolean comm_agree(GError *local, GError **error) {
    g_autoptr(GError) mine = local;
    int lowest = (int)reduce_int(mine ? comm.rank : comm.size, MPI_MIN);
    if (lowest == comm.size) return TRUE;
    const GError *told = comm.rank == lowest ? mine : NULL;
    g_autofree char *domain = comm_broadcast_string(told ? g_quark_to_string(told->domain) : NULL, lowest);
    g_autofree char *host = comm_broadcast_string(told ? comm.host : NULL, lowest);
    g_autofree char *message = comm_broadcast_string(told ? told->message : NULL, lowest);
    int code = told ? told->code : 0;
    broadcast_from(&code, sizeof code, lowest);
    if (!comm_any(!mine || strcmp(mine->message, message) != 0))
        g_set_error_literal(error, g_quark_from_string(domain), code, message);
    else
        g_set_error(error, g_quark_from_string(domain), code, "rank %d of %d on %s: %s", lowest, comm.size,
                    host, message);
    return FALSE;
}

char *comm_hosts_where(gboolean yes) {
    g_autoptr(GPtrArray) hosts = g_ptr_array_new_with_free_func(g_free);
    for (int lowest; (lowest = (int)reduce_int(yes ? comm.rank : comm.size, MPI_MIN)) < comm.size;) {
        if (hosts->len == HOSTS_NAMED) {
            g_ptr_array_add(hosts, g_strdup("more"));
            break;
        }
        char *host = comm_broadcast_string(comm.host, lowest);
        if (g_str_equal(host, comm.host)) yes = FALSE;
        g_ptr_array_add(hosts, host);
    }
    if (hosts->len == 0) return NULL;
    g_ptr_array_add(hosts, NULL);
    return g_strjoinv(", ", (char **)hosts->pdata);
}

void comm_sum_doubles(double *values, size_t n) {
    if (n > INT_MAX) comm_abort(__FILE__, __LINE__, "more numbers to sum than MPI counts");
    COLLECTIVE(MPI_Allreduce(MPI_IN_PLACE, values, (int)n, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD));
}

void comm_sum_begin(double *values, size_t n) {
    if (n > INT_MAX) comm_abort(__FILE__, __LINE__, "more numbers to sum than MPI counts");
    MPI_CHECK(MPI_Iallreduce(MPI_IN_PLACE, values, (int)n, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD, &comm.sum));
}

gboolean comm_sum_ended(void) {
    int ended = TRUE;
    MPI_CHECK(MPI_Test(&comm.sum, &ended, MPI_STATUS_IGNORE));
    return ended;
}

void comm_progress(void) {
    int come;
    MPI_CHECK(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &come, MPI_STATUS_IGNORE));
}

void comm_node_barrier(void) { COLLECTIVE(MPI_Barrier(comm.node)); }

/* If a host has too little room, Open MPI fails on the leader and leaves the other ranks waiting for it, so
 * the leader checks first. */
static void check_shared_room(size_t bytes, GError **error) {
    struct statvfs room;
    if (comm.node_rank != 0 || comm.node_size == 1 || statvfs(SHARED_FOLDER, &room) != 0) return;
    double available = (double)room.f_bavail * (double)room.f_frsize;
    if ((double)bytes + SHARED_SLACK_BYTES <= available) return;
    program_fail(error,
                 "cannot share %.1f MiB among the ranks of a host: " SHARED_FOLDER
                 " has %.1f MiB left; make it larger (containers: --shm-size), or start "
                 "one rank a host",
                 (double)bytes / 1048576, available / 1048576);
}

void *comm_shared_alloc(size_t bytes, GError **error) {
    GError *local = NULL;
    void *memory = NULL;
    check_shared_room(bytes, &local);
    if (!comm_agree(local, error)) return NULL;
    MPI_Win *window = g_new0(MPI_Win, 1);
    MPI_Aint size = comm.node_rank == 0 ? (MPI_Aint)MAX(bytes, 1) : 0;
    int code = MPI_Win_allocate_shared(size, 1, MPI_INFO_NULL, comm.node, &memory, window);
    /* Other ranks of this host may still be in that call, and would wait for this one. */
    if (code != MPI_SUCCESS && comm.node_size > 1)
        comm_abort_mpi(__FILE__, __LINE__, "MPI_Win_allocate_shared", code);
    if (code != MPI_SUCCESS)
        program_fail(&local,
                     "cannot share %.1f MiB among the ranks of a host: MPI error %d; free memory there",
                     (double)bytes / 1048576, code);
    if (!comm_agree(local, error)) {
        if (code == MPI_SUCCESS) MPI_CHECK(MPI_Win_free(window));
        g_free(window);
        return NULL;
    }
    MPI_CHECK(MPI_Win_set_errhandler(*window, MPI_ERRORS_RETURN));
    int unit = 0;
    MPI_CHECK(MPI_Win_shared_query(*window, 0, &size, &unit, &memory));
    g_hash_table_insert(comm.windows, memory, window);
    if (comm.node_rank == 0) memset(memory, 0, bytes);
    comm_node_barrier();
    return memory;
}

void comm_shared_free(void *memory) {
    MPI_Win *window = memory ? g_hash_table_lookup(comm.windows, memory) : NULL;
    if (!window) return;
    MPI_CHECK(MPI_Win_free(window));
    g_hash_table_remove(comm.windows, memory);
}
