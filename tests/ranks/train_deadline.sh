# shellcheck shell=bash
# A job's time that runs out: the run leaves in time with its state kept, and no earlier than it must; where
# SLURM does not set the time, squeue is asked; a job too short for any progress is refused. The wall clock is
# one that goes on only when rank 0 looks at it, once before each step and each batch of a validation: so how
# much fits into a job does not depend on the machine.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 8
common=(--data data "${tiny[@]}" --epochs 100000 --validate-every 100000 --resume auto)
unset SLURM_JOB_ID SLURM_JOB_END_TIME
cat >clock.c <<'END'
#include <stdlib.h>
long g_get_real_time(void) {
    static long looks;
    return (atol(getenv("CLOCK_START")) + looks++ * atol(getenv("CLOCK_STEP"))) * 1000000;
}
END
# shellcheck disable=SC2086
ok "a clock" ${CC:-cc} -shared -fPIC -o clock.so clock.c
export ASAN_OPTIONS=${ASAN_OPTIONS-}:verify_asan_link_order=0
end=2000000000

# by_clock SECONDS STEP COMMAND...: runs by a clock that is at first so many seconds before the end of the
# job, and STEP seconds later at each look.
by_clock() {
    local start=$((end - $1)) step=$2
    shift 2
    LD_PRELOAD=$PWD/clock.so CLOCK_START=$start CLOCK_STEP=$step run "$@"
}
in_job() { SLURM_JOB_END_TIME=$end by_clock "$@"; }
# step_of FOLDER: of its newest checkpoint.
step_of() { "$state" "$1/latest.h5" | sed -n 's/.* step \([0-9]*\) .*/\1/p'; }

in_job 100 1 ranks 2 "$trainer" --output run "${common[@]}"
status_is 75 "a job's end, known by SLURM_JOB_END_TIME: leaves with 75"
says '^the job ends at 20..-..-.. ..:..:.., in 9[0-9] s$' "and says in the first lines when it is"
first=$(step_of run)
holds "ten seconds before it, so that the job can be queued again" "$first <= 90"
holds "having used the time until then" "$first >= 20"
in_job 100 1 ranks 2 "$trainer" --output run "${common[@]}"
status_is 75 "the next job"
second=$(step_of run)
holds "goes on as far" "$second >= $first + 20 && $second <= $first + 90"
run ranks 2 "$trainer" --output whole "${common[@]}" --max-steps $((second + 5))
run ranks 2 "$trainer" --output run "${common[@]}" --max-steps $((second + 5))
status_is 0 "without a job there is no end"
same_state whole/latest.h5 run/latest.h5 "the same bits as in one go"
in_job 100 1 "$trainer" --output far "${common[@]}" --sync-every 1000000
status_is 75 "a job that ends before hosts meet again: they meet in time"
met=$(step_of far)
holds "having used the time until then" "20 <= $met && $met <= 90"
in_job 8 1 ranks 2 "$trainer" --output short "${common[@]}"
status_is 1 "a job that is too short for a step"
says_once "the job's time is too short for a step and a checkpoint: .*; give it more \(sbatch --time\)$" \
    "is refused in place of being queued again for ever"
in_job 5 1 "$trainer" --output run "${common[@]}" --max-steps $((second + 5))
status_is 0 "but not where nothing is left to do"

# Epochs of one step, each validated on 72 songs in five batches. Jobs end within the validation, by a clock
# that takes 100 seconds for each look; the first job has a step before it.
make_corpus valid 80 --split 3,90,7
slow=(--data valid --output slow "${tiny_sequence_model[@]}" --batch 2 --resume auto --quiet --epochs 100000)
in_job 650 100 "$trainer" "${slow[@]}"
status_is 75 "a validation that would not end in time is cut short"
[ "$(step_of slow)" -eq 1 ] && [ "$(lines slow/metrics.jsonl epoch)" -eq 0 ]
result $? "after the epoch's step"
in_job 550 100 "$trainer" "${slow[@]}"
status_is 1 "one that begins the job, and is longer than it, is refused"
says "the job's time is too short for a validation and a checkpoint" "by name"

# --- squeue ---
mkdir path
# squeue_says COMMAND: a squeue that does this.
squeue_says() {
    # shellcheck disable=SC2016 # its own variables
    printf '#!/bin/sh\necho "$SLURM_TIME_FORMAT $*" >>squeue.log\n%s\n' "$1" >path/squeue
    chmod +x path/squeue
}
ask=(env SLURM_JOB_ID=31 SLURM_TIME_FORMAT=relative "PATH=$PWD/path:$PATH")
squeue_says "echo $(date -d @$end +%Y-%m-%dT%H:%M:%S)"
by_clock 100 1 "${ask[@]}" mpirun -n 2 "$trainer" --output asked "${common[@]}"
status_is 75 "where the variable is not set, squeue tells"
says '^the job ends at ' "when the job ends"
[ "$(cat squeue.log)" = "standard -h -j 31 -o %e" ]
result $? "it is asked once, by one rank"
for word in NONE N/A Unknown; do
    squeue_says "echo $word"
    run "${ask[@]}" "$trainer" --output "without-${word%/*}" "${common[@]}" --max-steps 3
    status_is 0 "squeue says $word: the job has no end"
    says_once '^SLURM knows of no end of job 31$' "which is said, too"
    ! grep -Eq 'does not tell|signal' err
    result $? "and nothing is warned of"
done
for answer in 'riddle:echo soon:says .soon.' 'failure:exit 1:failed' 'silence:sleep 1000:does not answer'; do
    IFS=: read -r name command word <<<"$answer"
    squeue_says "exec $command"
    run "${ask[@]}" timeout 300 "$trainer" --output "asked$name" "${common[@]}" --max-steps 3
    status_is 0 "squeue's $name: no deadline, and no waiting for it"
    says_once "^SLURM does not tell when job 31 ends \(squeue $word\): .*--signal=USR1@120$" "is said once"
done
rm path/squeue
run "${ask[@]}" "$trainer" --output without "${common[@]}" --max-steps 3
status_is 0 "no squeue: no deadline"
says_once '^SLURM does not tell when job 31 ends \(.*squeue.*\): ' "is said, too"
finish
