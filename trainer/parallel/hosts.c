/* hosts: owns what is read from the system for it: interfaces, their rates, memory. */
#include "trainer/parallel/hosts.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

enum { NAMED = 4 }; /* hosts, before "and 7 more" */

/* The number after a name in a file such as /proc/meminfo, or -1. */
static int64_t number_in(const char *path, const char *name) {
    g_autofree char *text = NULL;
    gint64 value = -1;
    if (!g_file_get_contents(path, &text, NULL, NULL)) return -1;
    const char *found = strstr(text, name);
    return found && sscanf(found + strlen(name), "%" G_GINT64_FORMAT, &value) == 1 ? value : -1;
}

static void find_interfaces(host_rank_t *rank) {
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) != 0) return;
    for (const struct ifaddrs *at = list; at && rank->n_interfaces < HOSTS_INTERFACES; at = at->ifa_next) {
        struct sockaddr_in address;
        if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET || !(at->ifa_flags & IFF_UP) ||
            (at->ifa_flags & IFF_LOOPBACK))
            continue;
        interface_t *interface = &rank->interfaces[rank->n_interfaces++];
        memcpy(&address, at->ifa_addr, sizeof address);
        inet_ntop(AF_INET, &address.sin_addr, interface->address, sizeof interface->address);
        g_strlcpy(interface->name, at->ifa_name, sizeof interface->name);
        g_autofree char *path = g_strdup_printf("/sys/class/net/%s/speed", at->ifa_name);
        interface->mbit = (int)MAX(0, number_in(path, ""));
    }
    freeifaddrs(list);
}

void hosts_find(hosts_t *hosts, int threads, int cores) {
    host_rank_t mine = {.leader = comm_node_leader(), .threads = threads, .cores = cores};
    g_strlcpy(mine.name, comm_host(), sizeof mine.name);
    mine.used_kib = MAX(0, number_in("/proc/self/smaps_rollup", "\nPss:"));
    mine.free_kib = number_in("/proc/meminfo", "\nMemAvailable:");
    find_interfaces(&mine);
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

char *hosts_describe(const hosts_t *hosts) {
    GString *text = g_string_new(NULL);
    const int all = count(hosts);
    int named = 0, low = G_MAXINT, high = 0, threads = 0;
    g_string_append_printf(text, "%d %s on ", hosts->ranks,
                           g_dngettext(NULL, "rank", "ranks", (gulong)hosts->ranks));
    for (int r = 0; r < hosts->ranks; r++) {
        threads = MAX(threads, hosts->of[r].threads);
        if (!is_first(hosts, r)) continue;
        low = MIN(low, hosts->of[r].cores);
        high = MAX(high, hosts->of[r].cores);
        if (named++ < NAMED) g_string_append_printf(text, "%s%s", named > 1 ? ", " : "", hosts->of[r].name);
    }
    if (all > NAMED) g_string_append_printf(text, " and %d more hosts", all - NAMED);
    g_string_append_printf(text, ", %d", low);
    if (high > low) g_string_append_printf(text, " to %d", high);
    g_string_append_printf(text, " %s%s, %d BLAS %s a rank", g_dngettext(NULL, "core", "cores", (gulong)high),
                           all > 1 ? " each" : "", threads,
                           g_dngettext(NULL, "thread", "threads", (gulong)threads));
    return g_string_free(text, FALSE);
}

static char *lines_or_null(GString *text) {
    if (text->len > 0) g_string_truncate(text, text->len - 1); /* the last line's end */
    return g_string_free(text, text->len == 0);
}

/* Says of the first host where it is so that ranks, or threads, share cores; others are most often alike. */
char *hosts_warn_of_cores(const hosts_t *hosts) {
    GString *text = g_string_new(NULL);
    for (int r = 0; r < hosts->ranks && text->len == 0; r++) {
        const host_rank_t *host = &hosts->of[r];
        const int ranks = ranks_of(hosts, r);
        int threads = 0;
        for (int other = 0; other < hosts->ranks; other++)
            if (hosts->of[other].leader == r) threads += hosts->of[other].threads;
        if (!is_first(hosts, r)) continue;
        if (ranks > host->cores)
            g_string_append_printf(text,
                                   "%d ranks share %d %s of %s: a step takes several times as long; start at "
                                   "most %d there, or use "
                                   "more hosts\n",
                                   ranks, host->cores,
                                   g_dngettext(NULL, "core", "cores", (gulong)host->cores), host->name,
                                   host->cores);
        else if (threads > host->cores)
            g_string_append_printf(
                text,
                "%d ranks run %d BLAS threads on %d %s of %s and hinder each other; leave out --threads and "
                "OPENBLAS_NUM_THREADS, or give --threads %d\n",
                ranks, threads, host->cores, g_dngettext(NULL, "core", "cores", (gulong)host->cores),
                host->name, MAX(1, host->cores / ranks));
    }
    return lines_or_null(text);
}

/* The first rank of another host that has this address, or -1. */
static int find_address(const hosts_t *hosts, int leader, const char *address) {
    for (int r = 0; r < hosts->ranks; r++) {
        const host_rank_t *host = &hosts->of[r];
        if (!is_first(hosts, r) || r == leader) continue;
        for (int i = 0; i < host->n_interfaces; i++)
            if (g_str_equal(host->interfaces[i].address, address)) return r;
    }
    return -1;
}

/* An interface of the first host whose address no other host has, or NULL. */
static const char *find_own_interface(const hosts_t *hosts) {
    for (int i = 0; i < hosts->of[0].n_interfaces; i++)
        if (find_address(hosts, 0, hosts->of[0].interfaces[i].address) < 0)
            return hosts->of[0].interfaces[i].name;
    return NULL;
}

char *hosts_warn_of_addresses(const hosts_t *hosts) {
    if (g_getenv("OMPI_MCA_btl_tcp_if_include") || g_getenv("OMPI_MCA_btl_tcp_if_exclude")) return NULL;
    for (int r = 0; r < hosts->ranks; r++) {
        const host_rank_t *host = &hosts->of[r];
        for (int i = 0; i < host->n_interfaces && is_first(hosts, r); i++) {
            const int other = find_address(hosts, r, host->interfaces[i].address);
            const char *own = find_own_interface(hosts);
            if (other >= 0)
                return g_strdup_printf(
                    "%s and %s have the same address %s on %s, where MPI may hang; name the "
                    "network between them: `mpirun --mca btl_tcp_if_include %s ...`",
                    host->name, hosts->of[other].name, host->interfaces[i].address, host->interfaces[i].name,
                    own ? own : "eth0");
        }
    }
    return NULL;
}

char *hosts_networks(const hosts_t *hosts) {
    GString *text = g_string_new(NULL);
    for (int i = 0; i < hosts->of[0].n_interfaces; i++) {
        const interface_t *interface = &hosts->of[0].interfaces[i];
        g_string_append_printf(text, "%s%s %s", i > 0 ? ", " : "", interface->name, interface->address);
        if (interface->mbit > 0) g_string_append_printf(text, " at %d Mbit/s", interface->mbit);
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
