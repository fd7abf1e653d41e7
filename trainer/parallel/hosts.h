/* hosts: which ranks run on which hosts, with how many cores and threads, and on which networks: gathered
 * from all ranks once, and told with the way out of what makes a run slow or hang. */
#pragma once

#include <glib.h>
#include <netinet/in.h>

#include "trainer/parallel/comm.h"

/* The variable by which Open MPI is told which interfaces to use. */
#define HOSTS_CHOSEN "OMPI_MCA_btl_tcp_if_include"

enum { HOSTS_INTERFACES = 16, HOSTS_INTERFACE_BYTES = 16 };

/* A network interface that is up, but loopback. */
typedef struct {
    char name[HOSTS_INTERFACE_BYTES], address[INET_ADDRSTRLEN]; /* IPv4 */
    int mbit;                                                   /* a second; 0: the system does not tell */
} interface_t;

/* What a rank knows of itself and its host. */
typedef struct {
    char name[COMM_HOST_BYTES];
    int leader;       /* comm_node_leader() */
    int threads;      /* of BLAS */
    int cores, idle;  /* that the ranks of its host may use; that they may not, though the job may */
    int64_t used_kib; /* memory of this process: its share of what several map (PSS) */
    int64_t free_kib; /* of the host, without swapping; -1: the system does not tell */
    int n_interfaces;
    uint32_t used; /* bit i: this process has a TCP connection to another host by interfaces[i] */
    interface_t interfaces[HOSTS_INTERFACES];
} host_rank_t;

typedef struct {
    int ranks;
    host_rank_t *of; /* [ranks] */
} hosts_t;

/* Writes the interfaces of this host to list [HOSTS_INTERFACES]; returns how many. Local. */
int hosts_interfaces(interface_t *list);

/* Gathers from all ranks. threads: of this rank; cores, idle: threads_find()'s. Collective. */
void hosts_find(hosts_t *hosts, int threads, int cores, int idle);
void hosts_clear(hosts_t *hosts);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(hosts_t, hosts_clear)

/* The functions below are local, and their texts the caller's. */

/* Such as "8 ranks on h1 and h2, 4 cores each, 1 thread a rank". */
char *hosts_describe(const hosts_t *hosts);
/* What makes a run slow, with the way out: more ranks, or threads, than cores, or cores that idle, of the
 * first host where it is so. NULL: nothing. */
char *hosts_warn_of_cores(const hosts_t *hosts);
/* Names an address that several hosts have on an interface, on which MPI may hang, and the way out. NULL:
 * nothing, or Open MPI is told which interfaces to use. */
char *hosts_warn_of_addresses(const hosts_t *hosts);
/* How to have MPI use this interface alone. */
char *hosts_choose(const char *interface);
/* What MPI has connected the hosts by so far, such as "eth0 at 10000 Mbit/s on all hosts". NULL: there is one
 * host. */
char *hosts_networks(const hosts_t *hosts);
/* Memory of each host: what its ranks use and what is free. *short_of: whether any has less than a tenth of
 * what they use left. */
char *hosts_memory(const hosts_t *hosts, gboolean *short_of);
