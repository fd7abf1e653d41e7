# shellcheck shell=bash
# slurm_lib.sh: sourced by tests/slurm, which run on the login host of a cluster that tests/cluster started:
# jobs, faults, and what became of a run.
. "$SOURCE/tests/helpers/train_lib.sh"
cluster=$SOURCE/tests/cluster
scripts=$SOURCE/slurm
export MPIANIST_BIN=$BIN
# The hosts share the cores of this machine: ranks are not bound, and leave a core when they wait. tests/tap's
# settings are for ranks on one host.
export MPIANIST_BIND=none OMPI_MCA_mpi_yield_when_idle=1
unset OMPI_MCA_rmaps_base_oversubscribe OMPI_MCA_hwloc_base_binding_policy OMPI_MCA_btl
unset PRTE_MCA_rmaps_default_mapping_policy PRTE_MCA_hwloc_default_binding_policy
two_hosts=(--nodes=2 --ntasks-per-node=1 --time=30)

# What an earlier test left behind is no matter here.
ok "all hosts are up and idle" "$cluster" ready

# submit SBATCH_ARGUMENT...: sets job.
submit() {
    job=$(sbatch --parsable "$@") || echo "# sbatch $* failed"
}

# of_job JOB MEMBER: what SLURM knows of a job; of an array, what is true of any of its tasks, a line each.
of_job() { scontrol -o show job "$1" 2>/dev/null | sed -n "s/.* $2=\([^ ]*\).*/\1/p" | sort -u; }
# state_of JOB: such as RUNNING; COMPLETING while processes are still ending.
state_of() { of_job "$1" JobState; }

# until_true SECONDS COMMAND...: waits until the command succeeds.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.3
    done
}
is_for() { [ "$(of_job "$1" "$2")" = "$3" ]; }
has_state() { [[ " $2 " == *" $(state_of "$1") "* ]]; }
has_ended() { ! has_state "$1" 'PENDING RUNNING COMPLETING SUSPENDED CONFIGURING REQUEUED'; }
is_at_step() { [ "$(grep -c '"kind": "step"' "$1/metrics.jsonl")" -ge "$2" ]; }

# signal_ranks SIGNAL: to all ranks on all hosts.
signal_ranks() {
    local host
    for host in $HOSTS; do "$cluster" on "$host" pkill -"$1" -x trainer; done
}

# ends JOB STATE STATUS DESCRIPTION: passes where the job ends so within four minutes.
ends() {
    until_true 240 has_ended "$1"
    [ "$(state_of "$1") $(of_job "$1" ExitCode)" = "$2 $3:0" ]
    local same=$?
    result "$same" "$4"
    [ "$same" -eq 0 ] && return
    echo "# job $1 is $(state_of "$1"), exit code $(of_job "$1" ExitCode); its output:"
    tail -n 30 ./*-"$1".out | sed 's/^/# /'
    scancel "$1"
}
no_trainer() { ! "$cluster" on "$1" pgrep -x trainer; }
