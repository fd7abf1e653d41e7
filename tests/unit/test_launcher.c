/* What the launcher's variables say, and what follows from it before MPI starts. */
#include "trainer/parallel/launcher.h"

#include <glib.h>
#include <sched.h>

#include "trainer/parallel/threads.h"

static void clear(void) {
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE",
                                        "OMPI_COMM_WORLD_RANK",
                                        "OMPI_COMM_WORLD_LOCAL_SIZE",
                                        "PMI_SIZE",
                                        "PMI_RANK",
                                        "MPI_LOCALNRANKS",
                                        "SLURM_STEP_NUM_TASKS",
                                        "SLURM_NTASKS",
                                        "SLURM_PROCID",
                                        "SLURM_NODEID",
                                        "SLURM_STEP_TASKS_PER_NODE",
                                        "SLURM_CPUS_ON_NODE",
                                        THREADS_YIELD};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) g_unsetenv(names[i]);
}

static void assert_says(int size, int rank, int host_size) {
    const launcher_t launcher = launcher_read();
    g_assert_cmpint(launcher.size, ==, size);
    g_assert_cmpint(launcher.rank, ==, rank);
    g_assert_cmpint(launcher.host_size, ==, host_size);
}

static void test_mpirun(void) {
    clear();
    assert_says(-1, -1, -1);
    g_setenv("SLURM_NTASKS", "16", TRUE);
    g_setenv("SLURM_PROCID", "0", TRUE);
    assert_says(16, 0, -1);
    g_assert_cmpstr(launcher_read().size_name, ==, "SLURM_NTASKS");
    g_setenv("PMI_SIZE", "6", TRUE);
    g_setenv("PMI_RANK", "5", TRUE);
    g_setenv("MPI_LOCALNRANKS", "2", TRUE);
    assert_says(6, 5, 2);
    g_setenv("OMPI_COMM_WORLD_SIZE", "8", TRUE);
    g_setenv("OMPI_COMM_WORLD_RANK", "7", TRUE);
    g_setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "4", TRUE);
    assert_says(8, 7, 4);
    g_assert_cmpstr(launcher_read().size_name, ==, "OMPI_COMM_WORLD_SIZE");
    g_setenv("OMPI_COMM_WORLD_SIZE", "many", TRUE);
    assert_says(6, 5, 4);
}

static void test_srun(void) {
    static const struct {
        const char *list, *host;
        int size;
    } steps[] = {{"4", "0", 4},
                 {"4", "1", -1},
                 {"4(x2),3", "0", 4},
                 {"4(x2),3", "1", 4},
                 {"4(x2),3", "2", 3},
                 {"2,1(x3)", "0", 2},
                 {"2,1(x3)", "3", 1},
                 {"2,1(x3)", "4", -1},
                 {"4(x2000),3", "2000", 3},
                 {"", "0", -1},
                 {"x", "0", -1},
                 {"4(x", "0", -1},
                 {"99999999999", "0", G_MAXINT}};
    clear();
    g_setenv("SLURM_STEP_NUM_TASKS", "11", TRUE);
    g_setenv("SLURM_PROCID", "3", TRUE);
    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
        g_setenv("SLURM_STEP_TASKS_PER_NODE", steps[i].list, TRUE);
        g_setenv("SLURM_NODEID", steps[i].host, TRUE);
        assert_says(11, 3, steps[i].size);
    }
    g_unsetenv("SLURM_NODEID");
    assert_says(11, 3, -1);
    g_assert_cmpint(launcher_read().host_cpus, ==, -1);
    g_setenv("SLURM_CPUS_ON_NODE", "4", TRUE);
    g_assert_cmpint(launcher_read().host_cpus, ==, 4);
}

/* Whether ranks yield where the launcher says that so many are on this host. */
static void assert_yields(int ranks, const char *set) {
    g_autofree char *text = g_strdup_printf("%d", ranks);
    g_setenv("OMPI_COMM_WORLD_SIZE", text, TRUE);
    g_setenv("OMPI_COMM_WORLD_LOCAL_SIZE", text, TRUE);
    threads_yield_if_crowded();
    g_assert_cmpstr(g_getenv(THREADS_YIELD), ==, set);
}

/* This process is bound to one CPU, as a launcher binds ranks; the launcher, its parent, has all of them. */
static void test_yield(void) {
    cpu_set_t all, first;
    CPU_ZERO(&all);
    CPU_ZERO(&first);
    g_assert_cmpint(sched_getaffinity(0, sizeof all, &all), ==, 0);
    const int cpus = CPU_COUNT(&all);
    for (size_t cpu = 0; CPU_COUNT(&first) == 0; cpu++)
        if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &first);
    g_assert_cmpint(sched_setaffinity(0, sizeof first, &first), ==, 0);
    clear();
    threads_yield_if_crowded();
    g_assert_null(g_getenv(THREADS_YIELD));
    assert_yields(1, NULL);
    assert_yields(cpus, NULL);
    assert_yields(cpus + 1, "1");
    g_setenv(THREADS_YIELD, "0", TRUE);
    assert_yields(cpus + 1, "0");
    g_assert_cmpint(sched_setaffinity(0, sizeof all, &all), ==, 0);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/launcher/mpirun", test_mpirun);
    g_test_add_func("/launcher/srun", test_srun);
    g_test_add_func("/launcher/yield", test_yield);
    return g_test_run();
}
