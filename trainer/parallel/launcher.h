/* launcher: what mpirun or srun tells the ranks that it starts, in their environment, before MPI does. */
#pragma once

typedef struct {
    int size, rank;        /* how many ranks it promises, and which of them this is */
    int host_size;         /* how many of them on this host */
    int host_cpus;         /* how many CPUs of this host SLURM gives to the job */
    const char *size_name; /* the variable that has the size, or NULL */
} launcher_t;              /* -1: it does not tell */

/* Local. */
launcher_t launcher_read(void);
