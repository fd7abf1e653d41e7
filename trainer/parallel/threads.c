/* threads: owns the count of cores. The ranks of a host tell each other their cores through shared memory;
 * what the job may use there is read from the affinity mask of the launcher (the parent process), which
 * binding does not change, and which under srun may be more than the job has. */
#include "trainer/parallel/threads.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "trainer/parallel/comm.h"
#include "trainer/parallel/launcher.h"

/* CPUs, each hardware thread by itself, that the ranks of this host may use: this one, or the launcher. */
static int count_cpus(void) {
    cpu_set_t mine, job;
    CPU_ZERO(&mine);
    CPU_ZERO(&job);
    sched_getaffinity(0, sizeof mine, &mine);
    sched_getaffinity(getppid(), sizeof job, &job);
    CPU_OR(&mine, &mine, &job);
    return CPU_COUNT(&mine);
}

void threads_yield_if_crowded(void) {
    if (launcher_read().host_size > MAX(1, count_cpus())) g_setenv(THREADS_YIELD, "1", FALSE);
}

/* The number of a CPU's core: its lowest hardware thread, or the CPU itself if the system does not tell. */
static int core_of(int cpu) {
    g_autofree char *path =
        g_strdup_printf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    g_autofree char *list = NULL;
    int first = cpu;
    if (!g_file_get_contents(path, &list, NULL, NULL) || sscanf(list, "%d", &first) != 1 || first < 0 ||
        first >= CPU_SETSIZE)
        return cpu;
    return first;
}

/* Reads the cores of a process's affinity mask, none if it cannot be read. Returns how many CPUs. */
static int read_cores(pid_t process, gboolean cores[CPU_SETSIZE]) {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    for (int i = 0; i < CPU_SETSIZE; i++) cores[i] = FALSE;
    if (sched_getaffinity(process, sizeof mask, &mask) != 0) return 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((size_t)cpu, &mask)) cores[core_of(cpu)] = TRUE;
    return CPU_COUNT(&mask);
}

/* How many of the cores that the launcher may use no rank may. used: cores that ranks may use; cpus: of all
 * the launcher's cores. slurmstepd, which starts ranks for srun, may use all of the host, whatever the job
 * has: then SLURM's count decides. */
static int count_idle(int unused, int used, int cores, int cpus) {
    const int given = launcher_read().host_cpus;
    if (given < 0 || cpus == 0) return unused;
    return CLAMP(given * cores / cpus - used, 0, unused);
}

gboolean threads_find(threads_t *threads, GError **error) {
    gint *sharers = comm_shared_alloc(CPU_SETSIZE * sizeof *sharers, error); /* ranks of each core */
    if (!sharers) return FALSE;
    gboolean mine[CPU_SETSIZE], job[CPU_SETSIZE];
    read_cores(0, mine);
    const int cpus = read_cores(getppid(), job);
    for (int core = 0; core < CPU_SETSIZE; core++)
        if (mine[core]) g_atomic_int_inc(&sharers[core]);
    comm_node_barrier();
    double share = 0;
    int unused = 0, of_job = 0;
    threads->cores = 0;
    for (int core = 0; core < CPU_SETSIZE; core++) {
        const int n = g_atomic_int_get(&sharers[core]);
        if (mine[core]) share += 1.0 / n;
        if (job[core]) of_job++;
        if (job[core] && n == 0) unused++;
        if (n > 0) threads->cores++;
    }
    comm_shared_free(sharers);
    threads->idle = count_idle(unused, threads->cores, of_job, cpus);
    threads->share = MAX(1, (int)(share + 1e-6));
    return TRUE;
}
