# shellcheck shell=bash
# What a job may meet at its start: ranks that do not find each other, another job in its folder, a folder
# that only one host sees, a bridge with one address on all hosts. Each ends with a clear word, and a failed
# job's status is kept, so that what depends on it does not start.
. "$SOURCE/tests/helpers/slurm_lib.sh"
make_corpus shards 12
export MPIANIST_TRAIN="${tiny[*]} --quiet --epochs 100000 --max-steps 100"

MPIANIST_PMI=none MPIANIST_RUN=bare submit "${two_hosts[@]}" "$scripts/train.sbatch"
after=$(sbatch --parsable --dependency="afterok:$job" --ntasks=1 "$scripts/evaluate.sbatch")
until_true 120 has_ended "$job"
ok "srun without PMIx: the job fails" has_state "$job" FAILED
matches "mpianist-train-$job.out" 'trainer: the launcher promises 2 ranks .*srun --mpi=pmix|PMI' \
    "with the way out, or Open MPI's own words"
ok "what depends on it never starts" until_true 60 is_for "$after" Reason DependencyNeverSatisfied
scancel "$after"

MPIANIST_RUN=bad submit "${two_hosts[@]}" "$scripts/train.sbatch" --no-such-option
ends "$job" FAILED 2 "a wrong option: the job fails with the trainer's status"

MPIANIST_TRAIN="${tiny[*]} --quiet --epochs 100000" MPIANIST_RUN=shared submit "${two_hosts[@]}" \
    "$scripts/train.sbatch"
first=$job
until_true 60 is_at_step shared 10
MPIANIST_RUN=shared submit --nodes=1 --ntasks=1 --ntasks-per-node=1 --time=30 "$scripts/train.sbatch" --seed 2
ends "$job" FAILED 1 "a second job in the same run folder fails"
matches "mpianist-train-$job.out" "shared: job $first on h[0-9]* \(pid [0-9]*\) writes here since" \
    "and is told which job writes there, on which host"
ok "the first goes on" has_state "$first" RUNNING
scancel "$first"
until_true 60 has_ended "$first"

MPIANIST_RUN=/tmp/own submit "${two_hosts[@]}" "$scripts/train.sbatch"
ends "$job" COMPLETED 0 "a run folder on a host's own /tmp"
matches "mpianist-train-$job.out" "warning: /tmp/own is another folder on h" "is warned about"

# More ranks than SLURM gives cores.
srun=(srun --nodes=1 --ntasks=8 --overcommit --mpi=pmix --cpu-bind=none)
run "${srun[@]}" "$trainer" --check --data shards --output crowd "${tiny[@]}"
status_is 0 "--check of eight ranks on fewer cores"
prints '^warning +8 ranks share [1-7] cores? of h[0-9]: a step takes .*; start at most [1-7] there' "warns"
run "${srun[@]}" "$trainer" --data shards --output crowd "${tiny[@]}" --max-steps 3
status_is 0 "a run of them"
says_once '^warning: 8 ranks share [1-7] cores? of h[0-9]: ' "warns, too"
! grep -Eq ' idle' err
result $? "of nothing that contradicts it"
! grep -Eq 'does not tell|signal' err
result $? "nor of an end that the job, which has no time limit, does not have"

for host in $HOSTS; do
    "$cluster" on "$host" sh -c 'ip link add docker0 type bridge && ip addr add 172.17.0.1/16 dev docker0 &&
        ip link set docker0 up'
done
for launcher in srun mpirun; do
    MPIANIST_LAUNCHER=$launcher MPIANIST_INTERFACE=eth0 MPIANIST_RUN=bridge-$launcher \
        submit "${two_hosts[@]}" "$scripts/train.sbatch"
    ends "$job" COMPLETED 0 "$launcher: a bridge with one address on all hosts: MPIANIST_INTERFACE"
done
for host in $HOSTS; do "$cluster" on "$host" ip link del docker0; done
finish
