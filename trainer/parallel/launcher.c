/* launcher: owns the names of the variables. The first one found decides: an mpirun inside a SLURM job knows
 * better than the job. */
#include "trainer/parallel/launcher.h"

#include <glib.h>
#include <string.h>

/* The number in an environment variable, or -1. */
static int number_in(const char *name) {
    const char *text = g_getenv(name);
    gint64 value = -1;
    return text && g_ascii_string_to_signed(text, 10, 0, G_MAXINT, &value, NULL) ? (int)value : -1;
}

/* The number of a host in SLURM's list of numbers, such as 3 for host 2 of "4(x2),3"; -1 if there is none. */
static int number_of(const char *list, gint64 host) {
    while (g_ascii_isdigit(*list)) {
        char *end;
        const gint64 number = g_ascii_strtoll(list, &end, 10);
        const gint64 times = g_str_has_prefix(end, "(x") ? g_ascii_strtoll(end + 2, &end, 10) : 1;
        if (host < times) return (int)CLAMP(number, 0, G_MAXINT);
        host -= times;
        list = end + strspn(end, "),");
    }
    return -1;
}

static int find_host_size(void) {
    static const char *const names[] = {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"};
    const char *list = g_getenv("SLURM_STEP_TASKS_PER_NODE");
    const int host = number_in("SLURM_NODEID");
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        const int n = number_in(names[i]);
        if (n >= 0) return n;
    }
    return list && host >= 0 ? number_of(list, host) : -1;
}

launcher_t launcher_read(void) {
    static const struct {
        const char *size, *rank;
    } names[] = {{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
                 {"PMI_SIZE", "PMI_RANK"},
                 {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"},
                 {"SLURM_NTASKS", "SLURM_PROCID"}};
    launcher_t launcher = {
        .size = -1, .rank = -1, .host_size = -1, .host_cpus = number_in("SLURM_CPUS_ON_NODE")};
    for (size_t i = 0; i < G_N_ELEMENTS(names) && launcher.size < 0; i++) {
        launcher.size = number_in(names[i].size);
        if (launcher.size < 0) continue;
        launcher.rank = number_in(names[i].rank);
        launcher.host_size = find_host_size();
        launcher.size_name = names[i].size;
    }
    return launcher;
}
