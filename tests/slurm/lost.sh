# shellcheck shell=bash
# Ranks and hosts that are killed, stand still or are cut off, under srun and mpirun: the job is queued again
# and ends with the bits of a run that nobody disturbed; the old run of a host that was only cut off stops
# itself. The same on fewer hosts.
. "$SOURCE/tests/helpers/slurm_lib.sh"
make_corpus shards 12
steps=3000
export MPIANIST_TRAIN="${tiny[*]} --dropout 0.2 --quiet --keep 100 --epochs 100000 --max-steps $steps \
--checkpoint-every 300 --reproducible 4"
MPIANIST_RUN=whole submit --nodes=1 --ntasks=1 --ntasks-per-node=1 --time=30 "$scripts/train.sbatch"
ends "$job" COMPLETED 0 "a run of one rank"

# the_same RUN: that its job, which ended, went on to the end.
the_same() {
    ends "$job" COMPLETED 0 "$1: the job goes on and ends"
    holds "after one restart" "$(of_job "$job" Restarts) == 1"
    same_state whole/latest.h5 "$1/latest.h5" "with the bits of a run that nobody disturbed"
    same_steps whole/metrics.jsonl "$1/metrics.jsonl" 0 $steps "each step once, with the same losses"
}
# at_work RUN SBATCH_ARGUMENT...: a job that has written a checkpoint.
at_work() {
    export MPIANIST_RUN=$1
    shift
    submit "$@" "$scripts/train.sbatch"
    until_true 120 is_at_step "$MPIANIST_RUN" 700 || echo "# $MPIANIST_RUN: not at step 700 in time"
}

for launcher in srun mpirun; do
    export MPIANIST_LAUNCHER=$launcher
    at_work "$launcher-rank" "${two_hosts[@]}"
    host=$(of_job "$job" BatchHost)
    "$cluster" on "$host" pkill -KILL -x trainer
    the_same "$launcher-rank"
done

export MPIANIST_LAUNCHER=srun
# lose LAUNCHER WHICH: pulls the plug of one of a job's two hosts, of the one where the job's script and the
# launcher are (batch) or of the other.
lose() {
    local run=host-$1-$2 host
    MPIANIST_LAUNCHER=$1 at_work "$run" "${two_hosts[@]}"
    host=$(of_job "$job" BatchHost)
    [ "$2" = batch ] || host=$(scontrol show hostnames "$(of_job "$job" NodeList)" | grep -vx "$host")
    "$cluster" kill "$host"
    the_same "$run"
    ok "the host comes back" "$cluster" ready
}
for which in other batch; do
    for launcher in srun mpirun; do lose "$launcher" "$which"; done
done

# A rank stands still, as on a disk that hangs.
MPIANIST_TRAIN="$MPIANIST_TRAIN --stall-seconds 4" at_work still "${two_hosts[@]}"
host=$(of_job "$job" BatchHost)
other=$(scontrol show hostnames "$(of_job "$job" NodeList)" | grep -vx "$host")
"$cluster" on "$other" pkill -STOP -x trainer
the_same still
matches "mpianist-train-$job.out" "rank 1 .*$other" "who was waited for is named"

# A host without a network, whose processes and disk live on: it writes until the new run takes over. Each
# start reads how far it shall go, which is farther than any gets until the end of the old one was seen.
until_step() { printf '[training]\nmax-steps=%s\n' "$1" >steps.ini; }
until_step 100000000
one_host=(--nodes=1 --ntasks=2 --ntasks-per-node=2 --time=30)
train=$MPIANIST_TRAIN
export MPIANIST_TRAIN="${train/--max-steps $steps/--config $PWD/steps.ini}"
at_work cut "${one_host[@]}"
host=$(of_job "$job" BatchHost)
"$cluster" cut "$host"
ok "a run on a host that is cut off goes on" \
    until_true 10 is_at_step cut $(($(lines cut/metrics.jsonl step) + 100))
ok "the job starts on another host and takes over" until_true 120 grep -qx restart=1 cut/run.owner
ok "the old run ends" until_true 60 no_trainer "$host"
words="took over at ..:.., since SLURM has started the job again; it stops here and leaves the rest to others"
words="^trainer: rank 0 of 2 on $host: cut: job $job, restart 1, on h[0-9]* (pid [0-9]*) $words\$"
ok "by itself, as it says once" test "$(grep -c "$words" "mpianist-train-$job.out")" = 1
"$cluster" mend "$host"
ok "the network comes back, and the new run goes on" \
    until_true 60 is_at_step cut $(($(lines cut/metrics.jsonl step) + 2000))
scancel --batch --signal=USR1 "$job"
ok "it is told to leave" until_true 60 has_state "$job" PENDING
last=$(($(lines cut/metrics.jsonl step) + 20)) cut=$job
until_step $last
MPIANIST_RUN=long submit "${one_host[@]}" "$scripts/train.sbatch"
ends "$job" COMPLETED 0 "a run as long that nobody disturbed"
ends "$cut" COMPLETED 0 "it goes on and ends"
# The srun of the old run ends its step once it reaches SLURM again, and by that the new run's, which has the
# same number: that is one restart more.
holds "after two restarts or three" "$(of_job "$cut" Restarts) == 2 || $(of_job "$cut" Restarts) == 3"
same_state long/latest.h5 cut/latest.h5 "with the same bits"
same_steps long/metrics.jsonl cut/metrics.jsonl 0 $last "each step once, with the same losses"
ok "all hosts are back" "$cluster" ready
export MPIANIST_TRAIN=$train

# Fewer hosts and ranks than before.
at_work fewer --nodes=3 --ntasks-per-node=1 --time=30
scancel "$job"
until_true 60 has_ended "$job"
submit --nodes=1 --ntasks=2 --ntasks-per-node=2 --time=30 "$scripts/train.sbatch"
ends "$job" COMPLETED 0 "from three hosts to one: the run goes on and ends"
same_state whole/latest.h5 fewer/latest.h5 "with the bits of a run that nobody disturbed"

# A rank that dies again and again, without a checkpoint between.
MPIANIST_RESTARTS=1 MPIANIST_TRAIN="${MPIANIST_TRAIN/every 300/every 0} --validate-every 100000" \
    at_work hopeless "${two_hosts[@]}"
kill_rank() { "$cluster" on "$(of_job "$job" BatchHost)" pkill -KILL -x trainer; }
kill_rank
ok "a job whose rank dies is queued again" until_true 60 is_for "$job" Restarts 1
until_true 60 kill_rank
until_true 240 has_ended "$job"
# Of the rank that was killed, or of one that was left and gave up.
status=$(sed -n 's/^mpianist: status \([0-9]*\): .*: not queued again$/\1/p' "mpianist-train-$job.out")
ends "$job" FAILED "$status" "the second time without a newer checkpoint it fails, and keeps its status"
matches "mpianist-train-$job.out" "without a newer checkpoint" "and says so"
finish
