# shellcheck shell=bash
# Who writes in a run folder: of two runs one alone; a run that was cut off while another took over stops
# itself and touches nothing; what a killed run left does no harm.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 8
common=(--data data "${tiny[@]}" --quiet --keep 3 --checkpoint-every '50 steps' --epochs 100000)

# owned FOLDER: waits until a run writes there.
owned() { wait_for "$1/run.owner" .; }

# --- two at once ---
run "$trainer" --output whole "${common[@]}" --max-steps 2000
start_ranks 1 "$trainer" --output run "${common[@]}" --max-steps 2000 2>first.err
owned run
SLURM_JOB_ID=32 run ranks 2 "$trainer" --output run "${common[@]}" --seed 2 --max-steps 2000
status_is 1 "a second run in the same folder is refused"
says_once 'run: process [0-9]+ on .* writes here since ..:..; wait for it, or choose another folder$' \
    "once, with who writes there"
wait $pid
result $? "the first one ends well"
same_state whole/latest.h5 run/latest.h5 "with the bits of a run alone"
grep -q '^seed=1$' run/run.ini
result $? "and its own run.ini"
[ -z "$(find run -name '*.tmp' -o -name '*.owner')" ]
result $? "and leaves no mark"
run ranks 2 "$trainer" --quiet --data data --attributes run/best.h5
status_is 0 "--attributes owns the folder as well"
[ -z "$(find run -name '*.tmp' -o -name '*.owner')" ]
result $? "for as long as it takes"

# --- a mark that stays behind ---
SLURM_JOB_ID=31 SLURM_RESTART_COUNT=2 start_ranks 1 "$trainer" --output killed "${common[@]}" 2>killed.err
wait_for killed/metrics.jsonl '"step": 1[0-9][0-9],'
run "$trainer" --quiet --data data --attributes killed/latest.h5
status_is 1 "--attributes beside a run that writes is refused"
says 'killed: job 31, restart 2, on .* \(pid [0-9]+\) writes here since ..:..; wait for it' \
    "with SLURM's job, and how often it was started"
kill -s KILL "$(rank_of $pid)"
wait $pid
[ -e killed/run.owner ]
result $? "a run that was killed leaves its mark"
run "$trainer" --output killed "${common[@]}" --max-steps 2000 --resume auto
status_is 0 "the next one on this host goes on at once"
same_state whole/latest.h5 killed/latest.h5 "with the bits of a run never killed"
same_steps whole/metrics.jsonl killed/metrics.jsonl 0 2000 "and every step once"

# --- cut off while another takes over ---
# other_host COMMAND...: as if on another host.
other_host() { unshare --uts bash -c 'hostname h2 && exec "$@"' _ "$@"; }
if ! other_host true 2>/dev/null; then
    skip "another host's name needs root" "cut off while another takes over"
    finish
fi
run ranks 2 "$trainer" --output twice "${common[@]}" --max-steps 2000
start_ranks 2 "$trainer" --output cut "${common[@]}" 2>older.err
wait_for cut/metrics.jsonl '"step": 1[0-9][0-9],'
stopped=$(ranks_of $pid)
# shellcheck disable=SC2086 # several
kill -s STOP $stopped
[ "$(echo "$stopped" | wc -l)" -eq 2 ]
result $? "a run of two ranks that stands still"
touch -d '-2 minutes' cut/run.owner
run other_host timeout 120 mpirun -n 2 "$trainer" --output cut "${common[@]}" --max-steps 2000 --resume auto
status_is 0 "another host takes over once it has been silent for long"
(cd cut && sha256sum -- *.h5 metrics.jsonl run.ini) >sums
# shellcheck disable=SC2086
kill -s CONT $stopped
wait $pid
[ $? -eq 1 ]
result $? "the older run wakes up and ends with 1, so that it is not queued again"
[ "$(grep -c 'cut: .* it stops here and leaves the rest to others' older.err)" -eq 1 ]
result $? "it says why, once"
(cd cut && sha256sum --quiet -c ../sums)
result $? "it has changed no file"
[ -z "$(find cut -name '*.tmp' -o -name '*.owner')" ]
result $? "and left none behind"
same_state twice/latest.h5 cut/latest.h5 "the run has the bits of one that was never cut off"
same_steps twice/metrics.jsonl cut/metrics.jsonl 0 2000 "and every step once"

# --- a folder that one host does not see ---
blind() { unshare --uts --mount bash -c 'hostname h2 && mount -t tmpfs none seen && exec "$@"' _ "$@"; }
mkdir seen
if blind true 2>/dev/null; then
    export -f blind
    run timeout 120 mpirun -n 1 "$trainer" --output seen "${common[@]}" --max-steps 3 : \
        -n 1 bash -c 'blind "$@"' _ "$trainer" --output seen "${common[@]}" --max-steps 3
    status_is 0 "an output that one host does not see"
    says_once '^warning: seen is another folder on h2 than' "is warned of, by the host's name"
    run timeout 120 mpirun -n 1 "$trainer" --check --output seen "${common[@]}" : \
        -n 1 bash -c 'blind "$@"' _ "$trainer" --check --output seen "${common[@]}"
    says_once '^warning: seen is another folder on h2 than' "also by --check"
else
    skip "it needs root" "a folder that one host does not see"
fi
finish
