# shellcheck shell=bash disable=SC2034 # settings: the scripts beside this file use them
# env.sh: what is different at each site and for each run, and the only file here that wants editing. Each
# setting may be given from outside instead: MPIANIST_RUN=/scratch/other sbatch slurm/train.sbatch. How many
# hosts, ranks and hours a job takes stands on top of each script, and may be given to sbatch.

# What the programs need, where the site has it in modules: the MPI that they were built with above all.
# module load gcc openmpi openblas hdf5

# ---- the music ----
: "${MPIANIST_MIDI=midi}"     # folder of MIDI files
: "${MPIANIST_SHARDS=shards}" # what preprocess makes of them; like the run, on a disk that all hosts see
: "${MPIANIST_RUN=run}"       # folder of checkpoints
: "${MPIANIST_PREPROCESS=--tracks melody,chords,bass,drums}" # options of preprocess
: "${MPIANIST_TRAIN=--preset band}"                          # options of the trainer
: "${MPIANIST_EVALUATE=--split valid,test}"                  # options of its evaluation

# ---- the ranks ----
: "${MPIANIST_LAUNCHER=srun}" # srun, where `srun --mpi=list` names MPIANIST_PMI; else mpirun
: "${MPIANIST_PMI=pmix}"      # how srun and MPI talk: pmix for Open MPI, pmi2 for MPICH
: "${MPIANIST_BIND=cores}"    # cores: each rank keeps to its own; none: where the system shall move them
: "${MPIANIST_THREADS=${SLURM_CPUS_PER_TASK:-1}}" # of a rank; sbatch --cpus-per-task gives it the cores
: "${MPIANIST_INTERFACE=}" # network interface, such as ib0 or eth0, where MPI's own choice hangs or is slow

# ---- trouble ----
: "${MPIANIST_RESTARTS=3}" # a rank or a host dies: how often to try again without a newer checkpoint

: "${MPIANIST_BIN=}" # folder of the programs; empty: ../build of this folder, else mpianist-trainer and so on
