# shellcheck shell=bash
# A rank that is stopped: the others say which one they wait for, and leave so that the run can be queued
# again. Ranks that are all stopped and go on later are left alone.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 8
common=(--data data "${tiny[@]}" --quiet --keep 3 --checkpoint-every '50 steps' --epochs 100000)
host=$(hostname)

# runs PID: whether a process is there. One that ended and was not waited for is not.
runs() { grep -qs '^State:.[^Z]' "/proc/$1/status"; }
# gone PID...: waits until none of these processes is left, a minute at most: a disk may keep one so long.
gone() {
    local process tries=0
    for process in "$@"; do
        while runs "$process"; do
            tries=$((tries + 1))
            [ $tries -lt 600 ] || return 1
            sleep 0.1
        done
    done
}
# left STATUS DESCRIPTION: mpirun handed on the ranks' status. MPICH's has one of its own.
left() { if is_open_mpi; then status_is "$@"; else skip "MPICH's mpirun has its own status" "$2"; fi; }

# stop_one RANK: a run of three ranks, of which one is stopped.
stop_one() {
    start_ranks 3 "$trainer" --output "stop$1" "${common[@]}" --stall-seconds 2 2>err
    wait_for "stop$1/metrics.jsonl" '"step": 1[0-9][0-9],'
    mapfile -t all < <(ranks_of $pid)
    for process in "${all[@]}"; do
        tr '\0' '\n' <"/proc/$process/environ" | grep -qxE "(OMPI_COMM_WORLD_RANK|PMI_RANK)=$1" &&
            stopped=$process
    done
    kill -s STOP "$stopped"
    wait $pid
    status=$?
}
for rank in 1 0; do
    stop_one $rank
    left 75 "rank $rank stopped: the others leave with 75"
    says_once "^trainer: no step for [23] s: all wait for rank $rank on $host, .*not heard of for [0-9]+ s$" \
        "once they say which one they wait for"
    says_once '^trainer: no step for [45] s: giving up with status 75; the last checkpoint stays' \
        "and once that they give up"
    gone "${all[@]}"
    result $? "no process is left"
done
says 'all wait for rank 0' "a stopped rank 0 is named by another"
run ranks 2 "$trainer" --output stop1 "${common[@]}" --resume auto --max-steps 50
status_is 0 "the run goes on afterwards"

# --- all of them stopped for longer than both spans ---
start_ranks 3 "$trainer" --output paused "${common[@]}" --stall-seconds 1 --max-steps 2000 2>err
wait_for paused/metrics.jsonl '"step": 1[0-9][0-9],'
mapfile -t all < <(ranks_of $pid)
kill -s STOP "${all[@]}"
sleep 4
kill -s CONT "${all[@]}"
wait $pid
status=$?
status_is 0 "a run that was suspended goes on"
[ ! -s err ]
result $? "and nothing is said"
run ranks 3 "$trainer" --output whole "${common[@]}" --stall-seconds 1 --max-steps 2000
status_is 0 "nor in a run without a pause"
[ ! -s err ]
result $? "which is silent as well"
same_state whole/latest.h5 paused/latest.h5 "both end in the same bits"

# --- a pause that is shorter than two spans, and one that nobody minds ---
start_ranks 2 "$trainer" --output short "${common[@]}" --stall-seconds 2 --max-steps 3000 2>err
wait_for short/metrics.jsonl '"step": 1[0-9][0-9],'
stopped=$(rank_of $pid)
kill -s STOP "$stopped"
wait_for err 'no step for'
kill -s CONT "$stopped"
wait $pid
status=$?
status_is 0 "a rank that goes on before the second span: so does the run"
says_once '^trainer: the run goes on$' "which is said"
start_ranks 2 "$trainer" --output off "${common[@]}" --stall-seconds 0 --max-steps 3000 2>err
wait_for off/metrics.jsonl '"step": 1[0-9][0-9],'
stopped=$(rank_of $pid)
kill -s STOP "$stopped"
sleep 3
kill -s CONT "$stopped"
wait $pid
status=$?
status_is 0 "--stall-seconds 0: the run waits"
[ ! -s err ]
result $? "in silence"

ok "messages between ranks: what is not theirs is dropped" ranks 3 "$BUILD/tests/ranks/mpi_watch"
finish
