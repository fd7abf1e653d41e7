/* hosts: owns what is read from the system for it: interfaces, their rates, what connects hosts, memory. */
#include "trainer/parallel/hosts.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { NAMED = 4 }; /* hosts, before "and 7 more" */

/* The number after a name in a file such as /proc/meminfo, or -1. */
static int64_t number_in(const char *path, const char *name) {
    g_autofree char *text = NULL;
    gint64 value = -1;
    if (!g_file_get_contents(path, &text, NULL, NULL)) return -1;
    const char *found = strstr(text, name);
    return found && sscanf(found + strlen(name), "%" G_GINT64_FORMAT, &value) == 1 ? value : -1;
}

int hosts_interfaces(interface_t *list) {
    struct ifaddrs *all = NULL;
    int n = 0;
    if (getifaddrs(&all) != 0) return 0;
    for (const struct ifaddrs *at = all; at && n < HOSTS_INTERFACES; at = at->ifa_next) {
        struct sockaddr_in address;
        if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET || !(at->ifa_flags & IFF_UP) ||
            (at->ifa_flags & IFF_LOOPBACK))
            continue;
        interface_t *interface = &list[n++];
        memcpy(&address, at->ifa_addr, sizeof address);
        inet_ntop(AF_INET, &address.sin_addr, interface->address, sizeof interface->address);
        g_strlcpy(interface->name, at->ifa_name, sizeof interface->name);
        g_autofree char *path = g_strdup_printf("/sys/class/net/%s/speed", at->ifa_name);
        interface->mbit = (int)MAX(0, number_in(path, ""));
    }
    freeifaddrs(all);
    return n;
}

/* The interface that a TCP connection of this process goes by, as a bit; 0 where it is none or stays here. */
static uint32_t interface_of(const host_rank_t *rank, int fd) {
    struct sockaddr_in here = {0}, there = {0};
    socklen_t size = sizeof here, other_size = sizeof there;
    int type = 0;
    socklen_t type_size = sizeof type;
    char address[INET_ADDRSTRLEN];
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0 || type != SOCK_STREAM ||
        getsockname(fd, (struct sockaddr *)&here, &size) != 0 || here.sin_family != AF_INET ||
        getpeername(fd, (struct sockaddr *)&there, &other_size) != 0 ||
        here.sin_addr.s_addr == there.sin_addr.s_addr ||
        !inet_ntop(AF_INET, &here.sin_addr, address, sizeof address))
        return 0;
    for (int i = 0; i < rank->n_interfaces; i++)
        if (g_str_equal(rank->interfaces[i].address, address)) return 1U << i;
    return 0;
}

static void find_used(host_rank_t *rank) {
    g_autoptr(GDir) files = g_dir_open("/proc/self/fd", 0, NULL);
    for (const char *name; files && (name = g_dir_read_name(files));)
        rank->used |= interface_of(rank, atoi(name));
}

void hosts_find(hosts_t *hosts, int threads, int cores, int idle) {
    host_rank_t mine = {.leader = comm_node_leader(), .threads = threads, .cores = cores, .idle = idle};
    g_strlcpy(mine.name, comm_host(), sizeof mine.name);
    mine.used_kib = MAX(0, number_in("/proc/self/smaps_rollup", "\nPss:"));
    mine.free_kib = number_in("/proc/meminfo", "\nMemAvailable:");
    mine.n_interfaces = hosts_interfaces(mine.interfaces);
    find_used(&mine);
    hosts->ranks = comm_size();
    hosts->of = g_new(host_rank_t, comm_size());
    comm_gather(&mine, sizeof mine, hosts->of);
}

void hosts_clear(hosts_t *hosts) { g_clear_pointer(&hosts->of, g_free); }

/* Whether rank r is the first one of its host. */
static gboolean is_first(const hosts_t *hosts, int r) { return hosts->of[r].leader == r; }

static int ranks_of(const hosts_t *hosts, int leader) {
    int n = 0;
    for (int r = 0; r < hosts->ranks; r++) n += hosts->of[r].leader == leader;
    return n;
}

static int count(const hosts_t *hosts) {
    int n = 0;
    for (int r = 0; r < hosts->ranks; r++) n += is_first(hosts, r);
    return n;
}

/* Names the hosts whose first rank is marked in `named` [ranks]: "h1, h2", or "h1, h2, h3, h4 and 7 more
 * hosts". */
static void append_names(GString *text, const hosts_t *hosts, const gboolean *named) {
    int n = 0;
    for (int r = 0; r < hosts->ranks; r++)
        if (named[r] && n++ < NAMED)
            g_string_append_printf(text, "%s%s", n > 1 ? ", " : "", hosts->of[r].name);
    if (n > NAMED)
        g_string_append_printf(text, " and %d more %s", n - NAMED,
                               g_dngettext(NULL, "host", "hosts", (gulong)(n - NAMED)));
}

static const char *core_or_cores(int n) { return g_dngettext(NULL, "core", "cores", (gulong)n); }

char *hosts_describe(const hosts_t *hosts) {
    GString *text = g_string_new(NULL);
    const int all = count(hosts);
    int low = G_MAXINT, high = 0, threads = 0;
    g_autofree gboolean *named = g_new(gboolean, hosts->ranks);
    g_string_append_printf(text, "%d %s on ", hosts->ranks,
                           g_dngettext(NULL, "rank", "ranks", (gulong)hosts->ranks));
    for (int r = 0; r < hosts->ranks; r++) {
        threads = MAX(threads, hosts->of[r].threads);
        named[r] = is_first(hosts, r);
        if (!named[r]) continue;
        low = MIN(low, hosts->of[r].cores);
        high = MAX(high, hosts->of[r].cores);
    }
    append_names(text, hosts, named);
    g_string_append_printf(text, ", %d", low);
    if (high > low) g_string_append_printf(text, " to %d", high);
    g_string_append_printf(text, " %s%s, %d BLAS %s a rank", core_or_cores(high), all > 1 ? " each" : "",
                           threads, g_dngettext(NULL, "thread", "threads", (gulong)threads));
    return g_string_free(text, FALSE);
}

/* What is wrong with the cores of a host, where so many ranks run so many threads in all, or NULL. Each case
 * has one way out. */
static char *warn_of_host(const host_rank_t *host, int ranks, int threads) {
    const char *unbind = "start with `mpirun --bind-to none` or `srun --cpu-bind=none`";
    if (ranks > host->cores && host->idle > 0)
        return g_strdup_printf("%d ranks share %d %s of %s, and binding leaves %d idle: a step takes several "
                               "times as long; %s, and at most %d ranks there",
                               ranks, host->cores, core_or_cores(host->cores), host->name, host->idle, unbind,
                               host->cores + host->idle);
    if (ranks > host->cores)
        return g_strdup_printf(
            "%d ranks share %d %s of %s: a step takes several times as long; start at most "
            "%d there, or use more hosts",
            ranks, host->cores, core_or_cores(host->cores), host->name, host->cores);
    if (threads > host->cores)
        return g_strdup_printf("%d ranks run %d BLAS threads on %d %s of %s and hinder each other; leave out "
                               "--threads and OPENBLAS_NUM_THREADS, or give --threads %d",
                               ranks, threads, host->cores, core_or_cores(host->cores), host->name,
                               MAX(1, host->cores / ranks));
    if (host->idle > 0)
        return g_strdup_printf("binding leaves %d %s of %s idle; %s, or more ranks", host->idle,
                               core_or_cores(host->idle), host->name, unbind);
    return NULL;
}

/* Of the first host where something is wrong: others are most often alike. */
char *hosts_warn_of_cores(const hosts_t *hosts) {
    for (int r = 0; r < hosts->ranks; r++) {
        int threads = 0;
        for (int other = 0; other < hosts->ranks; other++)
            if (hosts->of[other].leader == r) threads += hosts->of[other].threads;
        char *text = is_first(hosts, r) ? warn_of_host(&hosts->of[r], ranks_of(hosts, r), threads) : NULL;
        if (text) return text;
    }
    return NULL;
}

/* Marks the first ranks of the hosts that have this address; returns how many. */
static int find_address(const hosts_t *hosts, const char *address, gboolean *named) {
    int n = 0;
    for (int r = 0; r < hosts->ranks; r++) {
        named[r] = FALSE;
        for (int i = 0; i < hosts->of[r].n_interfaces && is_first(hosts, r); i++)
            named[r] |= g_str_equal(hosts->of[r].interfaces[i].address, address);
        n += named[r];
    }
    return n;
}

/* An interface of the first host whose address no other host has, or what one is often called. */
static const char *find_own_interface(const hosts_t *hosts, gboolean *named) {
    for (int i = 0; i < hosts->of[0].n_interfaces; i++)
        if (find_address(hosts, hosts->of[0].interfaces[i].address, named) == 1)
            return hosts->of[0].interfaces[i].name;
    return "eth0";
}

char *hosts_choose(const char *interface) {
    return g_strdup_printf(HOSTS_CHOSEN "=%s in the environment (MPIANIST_INTERFACE=%s in slurm/env.sh)",
                           interface, interface);
}

char *hosts_warn_of_addresses(const hosts_t *hosts) {
    if (g_getenv(HOSTS_CHOSEN) || g_getenv("OMPI_MCA_btl_tcp_if_exclude")) return NULL;
    g_autofree gboolean *named = g_new(gboolean, hosts->ranks);
    g_autofree char *choose = hosts_choose(find_own_interface(hosts, named));
    for (int r = 0; r < hosts->ranks; r++) {
        const host_rank_t *host = &hosts->of[r];
        for (int i = 0; i < host->n_interfaces && is_first(hosts, r); i++) {
            if (find_address(hosts, host->interfaces[i].address, named) < 2) continue;
            GString *text = g_string_new(NULL);
            append_names(text, hosts, named);
            g_string_append_printf(text,
                                   " have the same address %s on %s, where MPI may hang; name the network "
                                   "between them: %s",
                                   host->interfaces[i].address, host->interfaces[i].name, choose);
            return g_string_free(text, FALSE);
        }
    }
    return NULL;
}

/* The interfaces by which ranks of the host whose first rank this is are connected to other hosts. */
static uint32_t used_by(const hosts_t *hosts, int leader) {
    uint32_t used = 0;
    for (int r = 0; r < hosts->ranks; r++)
        if (hosts->of[r].leader == leader) used |= hosts->of[r].used;
    return used;
}

/* Such as "eth0 at 10000 Mbit/s, eth1". */
static char *describe_used(const hosts_t *hosts, int leader) {
    const host_rank_t *host = &hosts->of[leader];
    const uint32_t used = used_by(hosts, leader);
    GString *text = g_string_new(NULL);
    for (int i = 0; i < host->n_interfaces; i++) {
        if (!(used & 1U << i)) continue;
        g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", host->interfaces[i].name);
        if (host->interfaces[i].mbit > 0)
            g_string_append_printf(text, " at %d Mbit/s", host->interfaces[i].mbit);
    }
    if (text->len == 0) g_string_append(text, "no TCP (IPv4)");
    return g_string_free(text, FALSE);
}

char *hosts_networks(const hosts_t *hosts) {
    const int all = count(hosts);
    if (all == 1) return NULL;
    GString *text = g_string_new(NULL);
    g_autofree gboolean *alike = g_new(gboolean, hosts->ranks), *told = g_new0(gboolean, hosts->ranks);
    for (int r = 0; r < hosts->ranks; r++) {
        if (!is_first(hosts, r) || told[r]) continue;
        g_autofree char *used = describe_used(hosts, r);
        int n = 0;
        for (int other = 0; other < hosts->ranks; other++) {
            g_autofree char *theirs = is_first(hosts, other) ? describe_used(hosts, other) : NULL;
            alike[other] = g_strcmp0(theirs, used) == 0;
            told[other] |= alike[other];
            n += alike[other];
        }
        g_string_append_printf(text, "%s%s on ", text->len > 0 ? "; " : "", used);
        if (n == all)
            g_string_append(text, "all hosts");
        else
            append_names(text, hosts, alike);
    }
    return g_string_free(text, FALSE);
}

char *hosts_memory(const hosts_t *hosts, gboolean *short_of) {
    GString *text = g_string_new(NULL);
    int named = 0;
    *short_of = FALSE;
    for (int r = 0; r < hosts->ranks; r++) {
        const host_rank_t *host = &hosts->of[r];
        int64_t used = 0;
        for (int other = 0; other < hosts->ranks; other++)
            if (hosts->of[other].leader == r) used += hosts->of[other].used_kib;
        if (!is_first(hosts, r)) continue;
        const gboolean low = host->free_kib >= 0 && host->free_kib < used / 10;
        *short_of |= low;
        if (named++ >= NAMED && !low) continue;
        g_string_append_printf(text, "%s%s uses %" G_GINT64_FORMAT " MiB", text->len ? "; " : "", host->name,
                               used / 1024);
        if (host->free_kib >= 0)
            g_string_append_printf(text, ", %" G_GINT64_FORMAT " MiB are free", host->free_kib / 1024);
    }
    return g_string_free(text, FALSE);
}
