# shellcheck shell=bash
# A job's time that runs out: the run leaves in time with its state kept, and no earlier than it must; where
# SLURM does not set the time, squeue is asked; a job too short for any progress is refused.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 8
common=(--data data "${tiny[@]}" --epochs 100000 --resume auto)
unset SLURM_JOB_ID SLURM_JOB_END_TIME

# in_job SECONDS COMMAND...: runs in a job that ends so many seconds from now; sets left, of them.
in_job() {
    local end
    end=$(($(date +%s) + $1))
    shift
    SLURM_JOB_END_TIME=$end run "$@"
    left=$(echo "$end $(date +%s.%N)" | awk '{ print $1 - $2 }')
}
# step_of FOLDER: of its newest checkpoint.
step_of() { "$state" "$1/latest.h5" | sed -n 's/.* step \([0-9]*\) .*/\1/p'; }

in_job 16 ranks 2 "$trainer" --output run "${common[@]}"
status_is 75 "a job's end, known by SLURM_JOB_END_TIME: leaves with 75"
says '^the job ends at 20..-..-.. ..:..:.., in 1[0-9] s$' "and says in the first lines when it is"
holds "before it, so that the job can be queued again, but not long before" "5 < $left && $left < 10.5"
first=$(step_of run)
holds "having used the time until then" "$first >= 10"
in_job 16 ranks 2 "$trainer" --output run "${common[@]}"
status_is 75 "the next job"
second=$(step_of run)
holds "goes on as far" "$second >= $first + 10"
run ranks 2 "$trainer" --output whole "${common[@]}" --max-steps $((second + 5))
run ranks 2 "$trainer" --output run "${common[@]}" --max-steps $((second + 5))
status_is 0 "without a job there is no end"
same_state whole/latest.h5 run/latest.h5 "the same bits as in one go"
in_job 8 ranks 2 "$trainer" --output short "${common[@]}"
status_is 1 "a job that is too short for a step"
says_once "the job's time is too short for a step and a checkpoint: .*; give it more \(sbatch --time\)$" \
    "is refused in place of being queued again for ever"
run env SLURM_JOB_END_TIME=$(($(date +%s) + 5)) "$trainer" --output run "${common[@]}" \
    --max-steps $((second + 5))
status_is 0 "but not where nothing is left to do"

# Epochs of one step, each validated on 72 songs by a larger model, which takes some eight seconds.
make_corpus valid 80 --split 3,90,7
slow=(--data valid --output slow --model sequence --state 1024 --encoder 512 --batch 2 --resume auto --quiet
    --epochs 100000)
in_job 18 "$trainer" "${slow[@]}"
status_is 75 "a validation that would not end in time is cut short"
holds "in time" "5 < $left && $left < 15"
in_job 16 "$trainer" "${slow[@]}"
status_is 1 "one that begins the job, and is longer than it, is refused"
# Under a sanitizer the start alone may take what the validation had.
[ "$CONFIG" = asan ] && work="(validation|step)" || work=validation
says "the job's time is too short for a $work and a checkpoint" "by name"

# --- squeue ---
mkdir path
# squeue_says COMMAND: a squeue that does this.
squeue_says() {
    # shellcheck disable=SC2016 # its own variables
    printf '#!/bin/sh\necho "$SLURM_TIME_FORMAT $*" >>squeue.log\n%s\n' "$1" >path/squeue
    chmod +x path/squeue
}
ask=(env SLURM_JOB_ID=31 SLURM_TIME_FORMAT=relative "PATH=$PWD/path:$PATH")
end=$(($(date +%s) + 12))
squeue_says "echo $(date -d @$end +%Y-%m-%dT%H:%M:%S)"
run "${ask[@]}" mpirun -n 2 "$trainer" --output asked "${common[@]}"
status_is 75 "where the variable is not set, squeue tells"
says '^the job ends at ' "when the job ends"
[ "$(cat squeue.log)" = "standard -h -j 31 -o %e" ]
result $? "it is asked once, by one rank"
for answer in 'N/A:echo N/A:says .N/A.' 'failure:exit 1:failed' 'silence:sleep 60:does not answer'; do
    IFS=: read -r name command word <<<"$answer"
    squeue_says "exec $command"
    before=$(date +%s)
    run "${ask[@]}" "$trainer" --output "asked$name" "${common[@]}" --max-steps 3
    status_is 0 "squeue's $name: no deadline"
    says_once "^SLURM does not tell when job 31 ends \(squeue $word\): .*--signal=USR1@120$" "is said once"
    holds "within seconds" "$(date +%s) - $before < 9"
done
rm path/squeue
run "${ask[@]}" "$trainer" --output without "${common[@]}" --max-steps 3
status_is 0 "no squeue: no deadline"
says_once '^SLURM does not tell when job 31 ends \(.*squeue.*\): ' "is said, too"
finish
