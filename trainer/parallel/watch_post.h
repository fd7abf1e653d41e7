/* watch_post: messages between rank 0's thread and the threads of other ranks, beside MPI, which belongs to
 * the main threads and hangs where a rank is stopped. Datagrams (UDP over IPv4): each stands for itself, one
 * that is lost is followed by the next, and where a firewall drops them all nothing happens but silence. */
#pragma once

#include <glib.h>
#include <stdint.h>

typedef struct watch_post watch_post_t;

/* What goes one way and the other. */
typedef struct {
    int32_t rank; /* whose message this is */
    /* Of other ranks to rank 0: where the rank stands, as in watch_place_t. */
    int32_t phase;
    int64_t step;
    uint64_t calls, changes;
    double phase_s; /* seconds in the phase */
    /* Of rank 0 to the others. */
    int32_t deputy; /* the rank that speaks when rank 0 is silent */
    int32_t leave;  /* the process must end */
} watch_message_t;

/* Opens a socket on every rank; rank 0 tells the others its addresses, and a random key that all messages
 * carry. Collective. NULL on all ranks where rank 0 can open none. Owner: caller. */
watch_post_t *watch_post_new(void);
void watch_post_free(watch_post_t *post);

/* Waits for messages until a monotonic time, or until watch_post_end() was called; then TRUE at once and for
 * ever. */
gboolean watch_post_wait(watch_post_t *post, gint64 until);
void watch_post_end(watch_post_t *post); /* any thread */
/* The next message that has come: on rank 0 of any rank, on others of rank 0. FALSE where there is none.
 * Whatever does not carry the key is dropped. */
gboolean watch_post_receive(watch_post_t *post, watch_message_t *message);
/* Sends a message to a rank: to 0 on other ranks; on rank 0 to one that a message has come from, else nothing
 * happens. Does not wait, and failures are silence. */
void watch_post_send(watch_post_t *post, int to, const watch_message_t *message);
