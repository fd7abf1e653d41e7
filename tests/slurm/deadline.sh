# shellcheck shell=bash
# A time limit that no signal announces: the run learns from SLURM when its job ends, leaves in time, and no
# earlier than it must; it is queued again and ends with the bits of a run that nobody disturbed. The limit is
# a minute, the shortest that SLURM knows.
. "$SOURCE/tests/helpers/slurm_lib.sh"
make_corpus shards 12
# Each start reads how far it shall go.
export MPIANIST_TRAIN="${tiny[*]} --dropout 0.2 --epochs 100000 --config $PWD/steps.ini"
until_step() { printf '[training]\nmax-steps=%s\n' "$1" >steps.ini; }

until_step 10000000
MPIANIST_RUN=run submit "${two_hosts[@]}" --time=1 --signal=B:USR1@0 "$scripts/train.sbatch"
until_true 60 has_state "$job" RUNNING
end=$(of_job "$job" EndTime)
ok "a job of a minute that is sent no signal is queued again" until_true 120 has_state "$job" PENDING
left=$(($(date -d "$end" +%s) - $(date +%s)))
holds "in time, but not long before its end" "3 < $left && $left < 20"
matches "mpianist-train-$job.out" '^the job ends at .*, in [0-9]* s$' "it knew that"
matches "mpianist-train-$job.out" 'status 75: stopped before the end' "and left with status 75"

last=$(($(lines run/metrics.jsonl step) + 20))
until_step $last
ends "$job" COMPLETED 0 "it goes on and ends"
holds "after one restart" "$(of_job "$job" Restarts) == 1"
MPIANIST_RUN=whole submit "${two_hosts[@]}" "$scripts/train.sbatch"
ends "$job" COMPLETED 0 "a run as long on two hosts"
same_state whole/latest.h5 run/latest.h5 "has the same bits"
same_steps whole/metrics.jsonl run/metrics.jsonl 0 $last "and the same losses, each step once"
finish
