/* watch_post: owns the sockets. A rank on another host cannot know which of the addresses of rank 0's host
 * leads there (a bridge such as docker0 has the same one on every host): it sends to all of them until rank 0
 * answers, and then to the one that the answer names, until rank 0 is silent again. */
#include "trainer/parallel/watch_post.h"

#include <arpa/inet.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/random.h>

#include "trainer/parallel/hosts.h"

#define KEY_BYTES 16
#define LOOPBACK  "127.0.0.1"
#define TRIES     3 /* messages without an answer before all addresses are tried again */

/* A datagram. The hosts of a job have the same byte order, as MPI wants it here. */
typedef struct {
    uint8_t key[KEY_BYTES];
    int32_t address; /* the number of rank 0's address that the message, or what it answers, was sent to */
    watch_message_t message;
} datagram_t;

struct watch_post {
    uint8_t key[KEY_BYTES];
    GSocket *socket;
    GCancellable *ended;
    int n_addresses;
    GSocketAddress *addresses[HOSTS_INTERFACES]; /* other ranks: of rank 0 */
    int answered;                                /* which of them rank 0 last answered at, or -1 */
    int unanswered;                              /* messages since then */
    GSocketAddress **senders;                    /* rank 0: of each rank, or NULL [comm_size()] */
    int32_t *sent_to;                            /* rank 0: which address each rank sent to [comm_size()] */
};

/* What rank 0 tells the others. */
typedef struct {
    uint8_t key[KEY_BYTES];
    int32_t there; /* whether rank 0 has a socket */
    int32_t n;
    uint16_t port;
    interface_t interfaces[HOSTS_INTERFACES];
} invitation_t;

static GSocket *open_socket(void) {
    GSocket *socket = g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, NULL);
    if (socket) g_socket_set_blocking(socket, FALSE);
    return socket;
}

/* Rank 0: binds its socket to a free port of all interfaces. */
static void invite(watch_post_t *post, invitation_t *invitation) {
    g_autoptr(GInetAddress) any = g_inet_address_new_any(G_SOCKET_FAMILY_IPV4);
    g_autoptr(GSocketAddress) wanted = g_inet_socket_address_new(any, 0);
    if (!post->socket || !g_socket_bind(post->socket, wanted, FALSE, NULL) ||
        getrandom(invitation->key, KEY_BYTES, 0) != KEY_BYTES)
        return;
    g_autoptr(GSocketAddress) bound = g_socket_get_local_address(post->socket, NULL);
    if (!bound) return;
    invitation->port = g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound));
    invitation->there = TRUE;
    invitation->n = hosts_interfaces(invitation->interfaces);
}

static void add_address(watch_post_t *post, const char *address, uint16_t port) {
    GSocketAddress *made = g_inet_socket_address_new_from_string(address, port);
    if (made) post->addresses[post->n_addresses++] = made;
}

/* On the host of rank 0 loopback leads there, elsewhere one of its other addresses may. */
static void accept_invitation(watch_post_t *post, const invitation_t *invitation) {
    memcpy(post->key, invitation->key, KEY_BYTES);
    if (comm_rank() == 0) return;
    if (comm_node_leader() == 0) add_address(post, LOOPBACK, invitation->port);
    for (int i = 0; i < invitation->n && comm_node_leader() != 0; i++)
        add_address(post, invitation->interfaces[i].address, invitation->port);
}

watch_post_t *watch_post_new(void) {
    watch_post_t *post = g_new0(watch_post_t, 1);
    invitation_t invitation = {.there = FALSE};
    post->socket = open_socket();
    post->ended = g_cancellable_new();
    post->answered = -1;
    post->senders = g_new0(GSocketAddress *, comm_size());
    post->sent_to = g_new0(int32_t, comm_size());
    if (comm_rank() == 0) invite(post, &invitation);
    comm_broadcast(&invitation, sizeof invitation);
    if (invitation.there) {
        accept_invitation(post, &invitation);
        return post;
    }
    watch_post_free(post);
    return NULL;
}

void watch_post_free(watch_post_t *post) {
    if (!post) return;
    for (int i = 0; i < post->n_addresses; i++) g_object_unref(post->addresses[i]);
    for (int i = 0; i < comm_size(); i++) g_clear_object(&post->senders[i]);
    g_clear_object(&post->socket);
    g_object_unref(post->ended);
    g_free(post->senders);
    g_free(post->sent_to);
    g_free(post);
}

gboolean watch_post_wait(watch_post_t *post, gint64 until) {
    const gint64 left = MAX(0, until - g_get_monotonic_time());
    if (!post->socket)
        g_usleep((gulong)left);
    else
        g_socket_condition_timed_wait(post->socket, G_IO_IN, left, post->ended, NULL);
    return g_cancellable_is_cancelled(post->ended);
}

void watch_post_end(watch_post_t *post) { g_cancellable_cancel(post->ended); }

/* Takes over the address of a datagram that is one of ours. */
static void note_sender(watch_post_t *post, const datagram_t *datagram, GSocketAddress **from) {
    if (comm_rank() > 0) {
        post->unanswered = 0;
        if (datagram->address >= 0 && datagram->address < post->n_addresses)
            post->answered = datagram->address;
        return;
    }
    const int32_t rank = datagram->message.rank;
    g_set_object(&post->senders[rank], *from);
    post->sent_to[rank] = datagram->address;
}

gboolean watch_post_receive(watch_post_t *post, watch_message_t *message) {
    datagram_t datagram;
    char room[sizeof datagram + 1]; /* one that is longer is none of ours */
    while (post->socket) {
        g_autoptr(GSocketAddress) from = NULL;
        g_autoptr(GError) error = NULL;
        const gssize bytes = g_socket_receive_from(post->socket, &from, room, sizeof room, NULL, &error);
        if (bytes < 0 && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED)) continue;
        if (bytes < 0) return FALSE;
        if (bytes != sizeof datagram) continue;
        memcpy(&datagram, room, sizeof datagram);
        const int32_t rank = datagram.message.rank;
        if (memcmp(datagram.key, post->key, KEY_BYTES) != 0 || rank < 0 || rank >= comm_size() ||
            (rank == 0) == (comm_rank() == 0))
            continue;
        note_sender(post, &datagram, &from);
        *message = datagram.message;
        return TRUE;
    }
    return FALSE;
}

static void send_to(watch_post_t *post, GSocketAddress *to, int32_t address, const watch_message_t *message) {
    datagram_t datagram = {.address = address, .message = *message};
    memcpy(datagram.key, post->key, KEY_BYTES);
    if (post->socket)
        g_socket_send_to(post->socket, to, (const char *)&datagram, sizeof datagram, NULL, NULL);
}

void watch_post_send(watch_post_t *post, int to, const watch_message_t *message) {
    if (comm_rank() == 0) {
        if (post->senders[to]) send_to(post, post->senders[to], post->sent_to[to], message);
        return;
    }
    if (post->unanswered++ >= TRIES) post->answered = -1;
    for (int i = 0; i < post->n_addresses; i++)
        if (post->answered < 0 || i == post->answered) send_to(post, post->addresses[i], i, message);
}
