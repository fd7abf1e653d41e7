/* Messages beside MPI: they go both ways, and whatever does not carry the key is dropped. Ends with 0 where
 * all ranks found it so. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "trainer/parallel/comm.h"
#include "trainer/parallel/watch_post.h"

#define ASSERT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) comm_abort(__FILE__, __LINE__, #condition);                                        \
    } while (0)

enum { MOST_BYTES = 256, MOST_FILES = 256, WAIT_S = 20 };

/* The port of this process' one socket for datagrams. */
static uint16_t find_port(void) {
    for (int fd = 3; fd < MOST_FILES; fd++) {
        struct sockaddr_in address = {0};
        int type = 0;
        socklen_t length = sizeof type;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_DGRAM) continue;
        length = sizeof address;
        if (getsockname(fd, (struct sockaddr *)&address, &length) == 0 && address.sin_family == AF_INET &&
            address.sin_port != 0)
            return ntohs(address.sin_port);
    }
    return 0;
}

/* Datagrams of all lengths that look like messages of rank 1, but for the key. */
static void send_others(uint16_t port) {
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int32_t ones[MOST_BYTES / sizeof(int32_t)];
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(ones); i++) ones[i] = 1;
    ASSERT(fd >= 0);
    for (size_t n = 0; n <= sizeof ones; n++)
        ASSERT(sendto(fd, ones, n, 0, (const struct sockaddr *)&to, sizeof to) == (ssize_t)n);
    close(fd);
}

/* Waits for the next message. */
static gboolean next(watch_post_t *post, watch_message_t *message) {
    const gint64 end = g_get_monotonic_time() + WAIT_S * G_USEC_PER_SEC;
    while (!watch_post_receive(post, message))
        if (g_get_monotonic_time() >= end || watch_post_wait(post, end)) return FALSE;
    return TRUE;
}

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    ASSERT(comm_init(&argc, &argv, &error));
    const int rank = comm_rank();
    watch_post_t *post = watch_post_new();
    watch_message_t message = {.rank = rank, .step = 100 + rank, .phase_s = 0.5};
    ASSERT(post);
    if (rank == 0) {
        const uint16_t port = find_port();
        ASSERT(port != 0);
        send_others(port);
        g_usleep(G_USEC_PER_SEC / 10);
        ASSERT(!watch_post_receive(post, &message));
        watch_post_send(post, 1, &message); /* nobody knows where rank 1 is: nothing happens */
    }
    comm_any(FALSE);
    if (rank > 0) {
        watch_post_send(post, 0, &message);
        ASSERT(next(post, &message));
        ASSERT(message.rank == 0 && message.deputy == rank && message.leave == 1);
    }
    for (int n = 1; rank == 0 && n < comm_size(); n++) {
        ASSERT(next(post, &message));
        ASSERT(message.rank > 0 && message.step == 100 + message.rank && message.phase_s == 0.5);
        const watch_message_t answer = {.deputy = message.rank, .leave = 1};
        watch_post_send(post, message.rank, &answer);
    }
    comm_any(FALSE);
    ASSERT(!watch_post_receive(post, &message));
    watch_post_end(post);
    ASSERT(watch_post_wait(post, G_MAXINT64));
    watch_post_free(post);
    comm_finalize();
    return 0;
}
