# shellcheck shell=bash
# Checkpoints by the clock, and a disk that does not answer: a run says so, and ends where that lasts, so that
# it can be queued again. Minutes pass in a fraction of a second, by a clock that is fast (tests/preload).
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 8
common=(--data data "${tiny[@]}" --epochs 100000 --validate-every 100000 --quiet --resume auto
    --reproducible 2)
step_of() { "$state" "$1/latest.h5" | sed -n 's/.* step \([0-9]*\) .*/\1/p'; }
export ASAN_OPTIONS=${ASAN_OPTIONS-}:verify_asan_link_order=0:$no_leaks
by_clock=(env "LD_PRELOAD=$BUILD/tests/preload/fast_clock.so") # followed by FAST_CLOCK=FACTOR COMMAND...

run "${by_clock[@]}" FAST_CLOCK=300 "$trainer" --output default "${common[@]}" --max-minutes 25 --keep 9
status_is 0 "25 minutes of a run that says nothing about checkpoints"
count=$(find default -name 'checkpoint-*.h5' | wc -l)
holds "leave one every ten minutes, or somewhat more, and the last" "2 <= $count && $count <= 3"

can_trace || {
    skip "this machine lets no process trace another" "a disk that does not answer"
    finish
}
# hung FOLDER N FACTOR OPTION...: a run there on $n ranks, whose N-th change of latest.h5 takes six seconds.
hung() {
    local folder=$1 change=$2 factor=$3
    shift 3
    run ranks "$n" "$faults" --below "$folder/latest.h5" --at "$change" --do slow --rank 0 \
        "${by_clock[@]}" "FAST_CLOCK=$factor" "$trainer" --output "$folder" "${common[@]}" \
        --stall-seconds 0 "$@"
}
given_up='the disk has not answered for 10 minutes: giving up with status 75; the last checkpoint stays'
# ends_well FOLDER: the run goes on to the bits of a run that nobody disturbed.
ends_well() {
    local last
    last=$(($(step_of "$1") + 25))
    run "$trainer" --output "$1" "${common[@]}" --max-steps "$last"
    rm -rf whole
    run "$trainer" --output whole "${common[@]}" --max-steps "$last"
    same_state whole/latest.h5 "$1/latest.h5" "and the run goes on, to the bits of an undisturbed one"
}

n=1
hung alone 2 400 --checkpoint-every '1 minutes' --keep 9
status_is 75 "a disk that hangs for ten minutes while a run trains on: it leaves with 75"
says_once "^trainer: alone: $given_up" "and says so"
newest=$(find alone -name 'checkpoint-*.h5' | sort | tail -n 1 | sed 's/.*-0*\([0-9]*\).h5/\1/')
trained=$(member alone/metrics.jsonl step step | tail -n 1)
holds "it has trained on meanwhile" "$trained > $newest + 100"
ends_well alone

n=2
hung both 2 400 --checkpoint-every '50 steps'
status_is 75 "a disk that hangs until the next checkpoint is due: two ranks leave with 75"
says_once "^trainer: both: $given_up" "which one says"
ends_well both

hung last 1 20 --checkpoint-every 0 --max-steps 50
status_is 0 "a last checkpoint that takes two minutes to write: the run waits for it"
says_once '^trainer: warning: last: a checkpoint is not written after [0-9]+ s: the disk is slow, or hangs' \
    "and says so"
says_once '^trainer: last: the disk answers again$' "until the disk answers"
finish
