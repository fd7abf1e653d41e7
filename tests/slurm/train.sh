# shellcheck shell=bash
# train.sbatch as it is shipped, started by srun and by mpirun: a run that is stopped before its time limit,
# queued again and resumed ends with the bits of a run that nobody disturbed; what depends on it waits for
# that.
. "$SOURCE/tests/helpers/slurm_lib.sh"
make_corpus shards 12
export MPIANIST_TRAIN="${tiny[*]} --dropout 0.2 --quiet --keep 100 --epochs 100000 --max-steps 3000"
export MPIANIST_EVALUATE="--split train"

MPIANIST_RUN=whole submit "${two_hosts[@]}" "$scripts/train.sbatch"
ends "$job" COMPLETED 0 "a run on two hosts"
matches "mpianist-train-$job.out" "^mpianist: job $job, restart 0: 2 ranks on 2 hosts \(h.*\), 1 thread" \
    "says what runs where, with how many threads"
matches "mpianist-train-$job.out" "each, bound to none, by srun; network: as MPI chooses" "and how"

for launcher in srun mpirun; do
    export MPIANIST_LAUNCHER=$launcher MPIANIST_RUN=run-$launcher
    submit "${two_hosts[@]}" "$scripts/train.sbatch"
    evaluation=$(sbatch --parsable --dependency="afterok:$job" --ntasks=1 "$scripts/evaluate.sbatch")
    until_true 60 is_at_step "$MPIANIST_RUN" 300
    # SLURM looks at its limits every 30 seconds; meanwhile the run stands still.
    signal_ranks STOP
    scontrol update "JobId=$job" TimeLimit=1
    until_true 60 grep -q 'signal USR1: the ranks are told' "mpianist-train-$job.out"
    signal_ranks CONT
    ok "$launcher: before the time limit the job is queued again" until_true 30 has_state "$job" PENDING
    scontrol update "JobId=$job" TimeLimit=30
    ok "and what depends on it waits" has_state "$evaluation" PENDING
    ends "$job" COMPLETED 0 "it goes on and ends"
    matches "mpianist-train-$job.out" 'status 75: stopped before the end' "which left with status 75"
    holds "after one restart" "$(of_job "$job" Restarts) == 1"
    same_state whole/latest.h5 "$MPIANIST_RUN/latest.h5" "with the bits of a run that nobody disturbed"
    same_steps whole/metrics.jsonl "$MPIANIST_RUN/metrics.jsonl" 0 3000 "each step once, with the same losses"
    ends "$evaluation" COMPLETED 0 "then it is evaluated"
    matches "$MPIANIST_RUN/evaluation.json" '"split":"train"' "figures of the best checkpoint"
done
finish
