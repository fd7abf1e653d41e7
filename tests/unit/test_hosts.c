/* What is said of hosts, cores and networks. */
#include <string.h>

#include "trainer/parallel/hosts.h"

enum { RANKS = 12 };

/* Two hosts of six ranks each, with eight cores. */
static void fill(hosts_t *hosts, host_rank_t *of) {
    *hosts = (hosts_t){.ranks = RANKS, .of = of};
    for (int r = 0; r < RANKS; r++) {
        of[r] = (host_rank_t){.leader = r < 6 ? 0 : 6,
                              .threads = 1,
                              .cores = 8,
                              .used_kib = 102400,
                              .free_kib = 1024000,
                              .n_interfaces = 2,
                              .interfaces = {{.name = "docker0", .address = "172.17.0.1"},
                                             {.name = "eth1", .address = "10.0.0.1", .mbit = 10000}}};
        g_strlcpy(of[r].name, r < 6 ? "h1" : "h2", sizeof of[r].name);
        if (r >= 6) g_strlcpy(of[r].interfaces[1].address, "10.0.0.2", INET_ADDRSTRLEN);
    }
}

static void assert_text(char *text, const char *wanted) {
    g_assert_cmpstr(text, ==, wanted);
    g_free(text);
}

static void test_cores(void) {
    hosts_t hosts;
    host_rank_t of[RANKS];
    fill(&hosts, of);
    assert_text(hosts_describe(&hosts), "12 ranks on h1, h2, 8 cores each, 1 BLAS thread a rank");
    assert_text(hosts_warn_of_cores(&hosts), NULL);
    for (int r = 6; r < RANKS; r++) of[r].cores = 3;
    assert_text(hosts_describe(&hosts), "12 ranks on h1, h2, 3 to 8 cores each, 1 BLAS thread a rank");
    assert_text(hosts_warn_of_cores(&hosts),
                "6 ranks share 3 cores of h2: a step takes several times as long; "
                "start at most 3 there, or use more hosts");
    for (int r = 6; r < RANKS; r++) of[r].cores = 8;
    for (int r = 6; r < RANKS; r++) of[r].idle = 1;
    assert_text(hosts_warn_of_cores(&hosts), "binding leaves 1 core of h2 idle; start with `mpirun --bind-to "
                                             "none` or `srun --cpu-bind=none`, or more ranks");
    for (int r = 6; r < RANKS; r++) of[r].cores = 1;
    assert_text(hosts_warn_of_cores(&hosts),
                "6 ranks share 1 core of h2, and binding leaves 1 idle: a step takes several times as long; "
                "start with `mpirun --bind-to none` or `srun --cpu-bind=none`, and at most 2 ranks there");
    for (int r = 6; r < RANKS; r++) of[r].cores = 8;
    for (int r = 0; r < RANKS; r++) of[r].threads = 2;
    assert_text(hosts_warn_of_cores(&hosts),
                "6 ranks run 12 BLAS threads on 8 cores of h1 and hinder each other; leave out --threads and "
                "OPENBLAS_NUM_THREADS, or give --threads 1");
}

static void test_networks(void) {
    hosts_t hosts;
    host_rank_t of[RANKS];
    fill(&hosts, of);
    assert_text(hosts_networks(&hosts), "no TCP (IPv4) on all hosts");
    of[1].used = of[7].used = 2;
    assert_text(hosts_networks(&hosts), "eth1 at 10000 Mbit/s on all hosts");
    of[3].used = 1;
    assert_text(hosts_networks(&hosts), "docker0, eth1 at 10000 Mbit/s on h1; eth1 at 10000 Mbit/s on h2");
    of[6].used = 1;
    assert_text(hosts_networks(&hosts), "docker0, eth1 at 10000 Mbit/s on all hosts");
    of[6].interfaces[1].mbit = 1000;
    assert_text(hosts_networks(&hosts),
                "docker0, eth1 at 10000 Mbit/s on h1; docker0, eth1 at 1000 Mbit/s on h2");
    for (int r = 0; r < RANKS; r++) of[r].leader = 0;
    assert_text(hosts_networks(&hosts), NULL);
}

static void test_many_hosts(void) {
    hosts_t hosts;
    host_rank_t of[RANKS];
    fill(&hosts, of);
    for (int r = 0; r < RANKS; r++) {
        of[r].leader = r;
        g_snprintf(of[r].name, sizeof of[r].name, "h%d", r + 1);
        g_snprintf(of[r].interfaces[1].address, INET_ADDRSTRLEN, "10.0.0.%d", r + 1);
        of[r].used = r < 5 ? 2 : 0;
    }
    assert_text(hosts_describe(&hosts),
                "12 ranks on h1, h2, h3, h4 and 8 more hosts, 8 cores each, 1 BLAS thread a rank");
    assert_text(hosts_networks(&hosts), "eth1 at 10000 Mbit/s on h1, h2, h3, h4 and 1 more host; "
                                        "no TCP (IPv4) on h6, h7, h8, h9 and 3 more hosts");
}

static void test_addresses(void) {
    hosts_t hosts;
    host_rank_t of[RANKS];
    fill(&hosts, of);
    assert_text(hosts_warn_of_addresses(&hosts),
                "h1, h2 have the same address 172.17.0.1 on docker0, where MPI may hang; name the network "
                "between them: OMPI_MCA_btl_tcp_if_include=eth1 in the environment (MPIANIST_INTERFACE=eth1 "
                "in slurm/env.sh)");
    g_setenv(HOSTS_CHOSEN, "eth1", TRUE);
    assert_text(hosts_warn_of_addresses(&hosts), NULL);
    g_unsetenv(HOSTS_CHOSEN);
    for (int r = 6; r < RANKS; r++) of[r].n_interfaces = 0;
    assert_text(hosts_warn_of_addresses(&hosts), NULL);
}

static void test_memory(void) {
    hosts_t hosts;
    host_rank_t of[RANKS];
    gboolean short_of;
    fill(&hosts, of);
    assert_text(hosts_memory(&hosts, &short_of),
                "h1 uses 600 MiB, 1000 MiB are free; h2 uses 600 MiB, 1000 MiB are free");
    g_assert_false(short_of);
    for (int r = 6; r < RANKS; r++) of[r].free_kib = 1024;
    g_free(hosts_memory(&hosts, &short_of));
    g_assert_true(short_of);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_unsetenv(HOSTS_CHOSEN);
    g_unsetenv("OMPI_MCA_btl_tcp_if_exclude");
    g_test_add_func("/hosts/cores", test_cores);
    g_test_add_func("/hosts/networks", test_networks);
    g_test_add_func("/hosts/many-hosts", test_many_hosts);
    g_test_add_func("/hosts/addresses", test_addresses);
    g_test_add_func("/hosts/memory", test_memory);
    return g_test_run();
}
