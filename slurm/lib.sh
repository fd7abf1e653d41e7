# shellcheck shell=bash disable=SC2154,SC2034 # variables of the scripts
# lib.sh: what the scripts beside it share: finding the programs, starting ranks. They source it with here set
# to this folder.
# shellcheck source=slurm/env.sh
. "$here/env.sh"

# say WORDS: a line in the job's output.
say() { echo "mpianist: $*"; }

# program NAME: where preprocess, trainer or sampler is.
program() {
    local file
    for file in "$MPIANIST_BIN/$1" "$here/../build/$1" "$(command -v "mpianist-$1")" \
        "$here/../../../bin/mpianist-$1"; do
        [ -x "$file" ] && [ -f "$file" ] && echo "$file" && return
    done
    say "no program $1: run make, or set MPIANIST_BIN in $here/env.sh to the folder that holds it" >&2
    return 1
}

# prepare_ranks FOLDER: threads and network of the ranks, a line that says what they are, and the folder, on a
# disk that all hosts see.
prepare_ranks() {
    local hosts="$SLURM_JOB_NUM_NODES hosts" threads="$MPIANIST_THREADS threads" number
    ranks=${SLURM_NTASKS:-1} start=${SLURM_RESTART_COUNT:-0}
    number="$ranks ranks"
    [ "$ranks" -ne 1 ] || number="1 rank"
    [ "$SLURM_JOB_NUM_NODES" -ne 1 ] || hosts="1 host"
    [ "$MPIANIST_THREADS" -ne 1 ] || threads="1 thread"
    export OPENBLAS_NUM_THREADS=$MPIANIST_THREADS BLIS_NUM_THREADS=$MPIANIST_THREADS \
        OMP_NUM_THREADS=$MPIANIST_THREADS
    if [ -n "$MPIANIST_INTERFACE" ]; then
        export OMPI_MCA_btl_tcp_if_include=$MPIANIST_INTERFACE
        export OMPI_MCA_oob_tcp_if_include=$MPIANIST_INTERFACE PRTE_MCA_prte_if_include=$MPIANIST_INTERFACE
    fi
    mkdir -p "$1" || return
    unset MPIANIST_STATUS_FILE
    if [ "$MPIANIST_LAUNCHER" = mpirun ]; then
        # An earlier start of this job may live on, on a host that is cut off: each has a file of its own.
        export MPIANIST_STATUS_FILE=$1/job-$SLURM_JOB_ID-$start.status
        rm -f "$MPIANIST_STATUS_FILE"
    fi
    say "job $SLURM_JOB_ID, restart $start:" \
        "$number on $hosts ($SLURM_JOB_NODELIST), $threads each, bound to $MPIANIST_BIND," \
        "by $MPIANIST_LAUNCHER; network: ${MPIANIST_INTERFACE:-as MPI chooses}"
}

# hosts_of N: prints how many hosts of the job N ranks take that fill one after the other. SLURM's count of
# ranks by host is such as "16(x2),8".
hosts_of() {
    awk -v RS=, -F '[(x)]+' -v n="$1" '{ for (i = $2 ? $2 : 1; i > 0 && n > 0; i--) { n -= $1; hosts++ } }
        END { print hosts }' <<<"$SLURM_TASKS_PER_NODE"
}

# launch N COMMAND...: N ranks, in place of this shell. With -K a rank that dies ends them all. srun, unlike
# mpirun, does not ask how many cores a rank of the job has, and spreads few ranks over all hosts.
launch() {
    local n=$1 bind=() hosts=()
    shift
    case $MPIANIST_LAUNCHER in
        srun)
            [ "$n" -eq "$ranks" ] || hosts=(--nodes="$(hosts_of "$n")")
            exec srun --kill-on-bad-exit=1 --mpi="$MPIANIST_PMI" --cpu-bind="$MPIANIST_BIND" \
                --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --ntasks="$n" ${hosts[@]+"${hosts[@]}"} "$@"
            ;;
        mpirun)
            bind=(--bind-to none)
            [ "$MPIANIST_BIND" = none ] || bind=(--map-by "slot:PE=${SLURM_CPUS_PER_TASK:-1}" --bind-to core)
            exec mpirun -n "$n" "${bind[@]}" "$@"
            ;;
    esac
    say "MPIANIST_LAUNCHER=$MPIANIST_LAUNCHER: srun or mpirun; see $here/env.sh" >&2
    exit 2
}

# status_of LAUNCHER_STATUS: prints what the ranks ended with. mpirun of Open MPI 5 gives 0 where its daemons
# were killed, too: rank 0 knows better, if it came to say so. It left none: 137, as if it had been killed.
status_of() {
    local status=$1
    if [ -n "${MPIANIST_STATUS_FILE-}" ]; then
        [ "$status" -ne 0 ] || status=$(cat "$MPIANIST_STATUS_FILE" 2>/dev/null) || status=137
        rm -f "$MPIANIST_STATUS_FILE"
    fi
    echo "$status"
}
