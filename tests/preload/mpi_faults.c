/* mpi_faults: stands between a program and MPI, by MPI's profiling interface, and disturbs ranks at calls
 * that are named. It is loaded before MPI (LD_PRELOAD); the program is the one that users run.
 *
 *     MPI_FAULTS="RANK CALL STEP ACTION, ..."
 *
 * disturbs a rank at its first call of a function of this name after the sums of step STEP have begun (which
 * MPI_Iallreduce does, once a step); 0: at its first call of all. "kill" is SIGKILL before the call. "fail"
 * makes the call return an error instead of doing anything, where the error handler of its communicator or
 * window lets errors return; else MPI ends the job, as it would. "hang" is a call that never returns, while
 * other threads go on. What is disturbed is said on standard error. "flip", of MPI_Testsome alone, turns the
 * signs in all messages that a rank receives in that step, in silence.
 * A call for each function that the trainer imports; tests/ranks/mpi_faults.sh compares. */
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *name;
    enum { UNKNOWN, NOTHING, KILL, FAIL, HANG, FLIP } action;
    int step;
} call_t;

static int steps; /* whose sums have begun */
static const char *const actions[] = {[KILL] = "kill", [FAIL] = "fail", [HANG] = "hang", [FLIP] = "flip"};

/* Finds what is asked for this function on this rank. */
static void look_up(call_t *call) {
    const char *number = getenv("OMPI_COMM_WORLD_RANK"), *at = getenv("MPI_FAULTS");
    if (!number) number = getenv("PMI_RANK");
    call->action = NOTHING;
    for (int rank, step; at && *at; at += strcspn(at, ","), at += strspn(at, ", ")) {
        char name[32], action[8];
        if (sscanf(at, "%d %31s %d %7[a-z]", &rank, name, &step, action) != 4) {
            fprintf(stderr, "mpi_faults: MPI_FAULTS: \"%s\" is no fault\n", at);
            _Exit(99);
        }
        if (!number || atoi(number) != rank || strcmp(name, call->name) != 0) continue;
        for (call->action = KILL; call->action < FLIP && strcmp(action, actions[call->action]) != 0;)
            call->action++;
        call->step = step;
    }
}

/* Whether this action is due, which is said. */
static int is_due(call_t *call, int action) {
    if (call->action == UNKNOWN) look_up(call);
    if ((int)call->action != action || steps < call->step) return 0;
    call->action = NOTHING;
    fprintf(stderr, "mpi_faults: %s %ss\n", call->name, actions[action]);
    return 1;
}

/* Whether a call is to fail. Does not return where it is to be killed or to hang. */
static int fails(call_t *call) {
    if (is_due(call, KILL)) raise(SIGKILL);
    if (is_due(call, HANG))
        for (;;) pause();
    return is_due(call, FAIL);
}

/* What an error does: returns its code, or ends the job. */
static int returned(MPI_Errhandler handler, const char *of) {
    if (handler != MPI_ERRORS_RETURN) {
        fprintf(stderr, "mpi_faults: MPI ends the job: errors of %s are fatal\n", of);
        PMPI_Abort(MPI_COMM_WORLD, MPI_ERR_OTHER);
    }
    return MPI_ERR_OTHER;
}

static int error_of_comm(MPI_Comm comm) {
    MPI_Errhandler handler;
    PMPI_Comm_get_errhandler(comm, &handler);
    return returned(handler, "this communicator");
}

static int error_of_window(MPI_Win window) {
    MPI_Errhandler handler;
    PMPI_Win_get_errhandler(window, &handler);
    return returned(handler, "this window");
}

#define WRAP(function, parameters, arguments, error)                                                         \
    int MPI_##function parameters {                                                                          \
        static call_t call = {.name = "MPI_" #function};                                                     \
        return fails(&call) ? (error) : PMPI_##function arguments;                                           \
    }

/* Errors of requests are those of the world's communicator. */
#define WORLD error_of_comm(MPI_COMM_WORLD)

WRAP(Init_thread, (int *argc, char ***argv, int wanted, int *given), (argc, argv, wanted, given),
     MPI_ERR_OTHER)
WRAP(Finalize, (void), (), WORLD)
WRAP(Abort, (MPI_Comm comm, int status), (comm, status), error_of_comm(comm))
WRAP(Error_string, (int code, char *text, int *length), (code, text, length), WORLD)
WRAP(Comm_set_errhandler, (MPI_Comm comm, MPI_Errhandler handler), (comm, handler), error_of_comm(comm))
WRAP(Comm_rank, (MPI_Comm comm, int *rank), (comm, rank), error_of_comm(comm))
WRAP(Comm_size, (MPI_Comm comm, int *size), (comm, size), error_of_comm(comm))
WRAP(Comm_dup, (MPI_Comm comm, MPI_Comm *made), (comm, made), error_of_comm(comm))
WRAP(Comm_split, (MPI_Comm comm, int color, int key, MPI_Comm *made), (comm, color, key, made),
     error_of_comm(comm))
WRAP(Comm_split_type, (MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm *made),
     (comm, type, key, info, made), error_of_comm(comm))
WRAP(Comm_free, (MPI_Comm * comm), (comm), error_of_comm(*comm))
WRAP(Barrier, (MPI_Comm comm), (comm), error_of_comm(comm))
WRAP(Bcast, (void *data, int n, MPI_Datatype type, int root, MPI_Comm comm), (data, n, type, root, comm),
     error_of_comm(comm))
WRAP(Allgather,
     (const void *from, int n, MPI_Datatype type, void *to, int n_to, MPI_Datatype type_to, MPI_Comm comm),
     (from, n, type, to, n_to, type_to, comm), error_of_comm(comm))
WRAP(Allreduce, (const void *from, void *to, int n, MPI_Datatype type, MPI_Op op, MPI_Comm comm),
     (from, to, n, type, op, comm), error_of_comm(comm))
WRAP(Iprobe, (int source, int tag, MPI_Comm comm, int *come, MPI_Status *status),
     (source, tag, comm, come, status), error_of_comm(comm))
WRAP(Send_init,
     (const void *data, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, MPI_Request *request),
     (data, n, type, peer, tag, comm, request), error_of_comm(comm))
WRAP(Startall, (int n, MPI_Request *requests), (n, requests), WORLD)
WRAP(Test, (MPI_Request * request, int *ended, MPI_Status *status), (request, ended, status), WORLD)
WRAP(Request_free, (MPI_Request * request), (request), WORLD)
WRAP(Win_allocate_shared,
     (MPI_Aint bytes, int unit, MPI_Info info, MPI_Comm comm, void *memory, MPI_Win *window),
     (bytes, unit, info, comm, memory, window), error_of_comm(comm))
WRAP(Win_shared_query, (MPI_Win window, int rank, MPI_Aint *bytes, int *unit, void *memory),
     (window, rank, bytes, unit, memory), error_of_window(window))
WRAP(Win_set_errhandler, (MPI_Win window, MPI_Errhandler handler), (window, handler), error_of_window(window))
WRAP(Win_free, (MPI_Win * window), (window), error_of_window(*window))

int MPI_Iallreduce(const void *from, void *to, int n, MPI_Datatype type, MPI_Op op, MPI_Comm comm,
                   MPI_Request *request) {
    static call_t call = {.name = "MPI_Iallreduce"};
    if (fails(&call)) return error_of_comm(comm);
    steps++;
    return PMPI_Iallreduce(from, to, n, type, op, comm, request);
}

/* ---- messages ---- */

enum { MOST = 4096 };
static struct {
    MPI_Request request;
    float *data;
    int n;
} received[MOST];
static int n_received;

int MPI_Recv_init(void *data, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm,
                  MPI_Request *request) {
    static call_t call = {.name = "MPI_Recv_init"};
    int bytes;
    if (fails(&call)) return error_of_comm(comm);
    const int code = PMPI_Recv_init(data, n, type, peer, tag, comm, request);
    PMPI_Type_size(type, &bytes);
    if (n_received == MOST) _Exit(99);
    received[n_received].request = *request;
    received[n_received].data = data;
    received[n_received++].n = n * bytes / (int)sizeof(float);
    return code;
}

/* Turns the signs in a message, if it is one that is received. */
static void flip(MPI_Request request) {
    int i = 0;
    while (i < n_received && received[i].request != request) i++;
    for (int at = 0; i < n_received && at < received[i].n; at++) received[i].data[at] *= -1;
}

/* An error of one message: it stands in the message's status. */
int MPI_Testsome(int n, MPI_Request *requests, int *count, int *ended, MPI_Status *statuses) {
    static call_t call = {.name = "MPI_Testsome"};
    if (!fails(&call)) {
        const int code = PMPI_Testsome(n, requests, count, ended, statuses);
        for (int i = 0; call.action == FLIP && steps == call.step && i < *count; i++)
            flip(requests[ended[i]]);
        return code;
    }
    if (statuses != MPI_STATUSES_IGNORE) {
        *count = 1;
        ended[0] = 0;
        statuses[0].MPI_ERROR = MPI_ERR_OTHER;
    }
    WORLD;
    return MPI_ERR_IN_STATUS;
}
