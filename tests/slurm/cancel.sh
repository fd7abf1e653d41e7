# shellcheck shell=bash
# All ways of scancel, with srun and with mpirun: a signal stops the run with a checkpoint, or at the worst
# from the last one, and the job goes on by itself to the bits of a run that nobody disturbed; scancel alone
# ends it with a checkpoint, and the same command goes on later.
. "$SOURCE/tests/helpers/slurm_lib.sh"
make_corpus shards 12
steps=3000
export MPIANIST_TRAIN="${tiny[*]} --dropout 0.2 --quiet --keep 100 --epochs 100000 --max-steps $steps \
--checkpoint-every 500"
MPIANIST_RUN=whole submit "${two_hosts[@]}" "$scripts/train.sbatch"
ends "$job" COMPLETED 0 "a run on two hosts"

# cancel LAUNCHER NAME SCANCEL_ARGUMENT...: a job that is signalled after its first checkpoint, and its end;
# its number goes to LAUNCHER-NAME.job.
cancel() {
    export MPIANIST_LAUNCHER=$1 MPIANIST_RUN=$1-$2
    shift 2
    submit "${two_hosts[@]}" "$scripts/train.sbatch"
    until_true 120 is_at_step "$MPIANIST_RUN" 600 && : >"$MPIANIST_RUN.reached"
    scancel "$@" "$job"
    until_true 240 has_ended "$job"
    echo "$job" >"$MPIANIST_RUN.job"
}

# Each way to scancel, with a name for its run.
signals='usr1 --signal=USR1
batch-usr1 --batch --signal=USR1
full-usr1 --full --signal=USR1
term --signal=TERM
batch-term --batch --signal=TERM
batch-hup --batch --signal=HUP
batch-int --batch --signal=INT
full-term --full --signal=TERM'
ends='plain
full --full'
# They wait most of the time, so all run at once.
for launcher in srun mpirun; do
    while read -r name arguments; do
        # shellcheck disable=SC2086
        cancel $launcher "$name" $arguments &
    done <<<"$signals
$ends"
    wait
done

for launcher in srun mpirun; do
    while read -r name arguments; do
        job=$(cat "$launcher-$name.job")
        ok "$launcher: a run is amid its work" test -e "$launcher-$name.reached"
        ends "$job" COMPLETED 0 "$launcher: scancel $arguments: goes on and ends"
        holds "after one restart" "$(of_job "$job" Restarts) == 1"
        same_state whole/latest.h5 "$launcher-$name/latest.h5" "with the bits of a run that nobody disturbed"
    done <<<"$signals"
    while read -r name arguments; do
        job=$(cat "$launcher-$name.job") folder=$launcher-$name
        ok "$launcher: a run is amid its work" test -e "$folder.reached"
        ok "$launcher: scancel $arguments: the job ends as cancelled" has_state "$job" CANCELLED
        if [ $launcher = mpirun ] && command -v prterun >/dev/null; then
            skip "the daemons of Open MPI 5 end, and its ranks with them" "with a checkpoint of its last step"
        else
            at=$("$state" "$folder/latest.h5" | sed -n 's/.* step \([0-9]*\) .*/\1/p')
            holds "with a checkpoint of its last step" "$at == $(lines "$folder/metrics.jsonl" step)"
        fi
        MPIANIST_LAUNCHER=$launcher MPIANIST_RUN=$folder submit "${two_hosts[@]}" "$scripts/train.sbatch"
        ends "$job" COMPLETED 0 "the same command goes on"
        same_state whole/latest.h5 "$folder/latest.h5" "with the bits of a run that nobody disturbed"
    done <<<"$ends"
done
finish
