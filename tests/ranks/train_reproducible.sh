# shellcheck shell=bash
# --reproducible: the rank count does not change a bit: weights, moments, average, sums of losses, validation.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 14

# check NAME RANKS... -- OPTION...: runs on each number of ranks, all of which end as the first does.
check() {
    local name=$1 first='' n
    shift
    local counts=()
    while [ "$1" != -- ]; do
        counts+=("$1")
        shift
    done
    shift
    for n in "${counts[@]}"; do
        run ranks "$n" "$trainer" --output "$name$n" --data data --quiet --reproducible 8 "$@"
        status_is 0 "$name on $n ranks"
        member "$name$n/metrics.jsonl" epoch valid_loss >"$name$n/valid"
        if [ -z "$first" ]; then
            first=$n
            ok "$name: validates" test -s "$name$n/valid"
            continue
        fi
        same_state "$name$first/latest.h5" "$name$n/latest.h5" "$name: the same bits on $first and $n ranks"
        same_state "$name$first/best.h5" "$name$n/best.h5" "$name: the same best state"
        ok "$name: the same validation" cmp "$name$first/valid" "$name$n/valid"
    done
}

# Batches of 13 leave grains of unequal sizes, and the last of an epoch some that are empty.
dense=("${tiny_model[@]}" --batch 13 --transpose "-3,3" --dropout 0.1 --clip 1 --average 0.9 --free-bits 1
    --epochs 3)
check dense 1 2 3 4 8 -- "${dense[@]}"
check accumulate 1 3 -- "${tiny_model[@]}" --batch 29 --epochs 2 --accumulate 2
check sequence 1 2 3 4 8 -- "${tiny_sequence_model[@]}" --batch 11 --chunk 24 --clip 1 --average 0.9 \
    --epochs 2
check accumulated 1 4 -- "${tiny_sequence_model[@]}" --batch 19 --chunk 24 --clip 1 --epochs 2 --accumulate 2

# A run that changes its rank count at each resume ends as one that does not.
for stop in 3:7 1:11 8:19 2:100; do
    run ranks "${stop%:*}" "$trainer" --output moved --data data --quiet --reproducible 8 "${dense[@]}" \
        --max-steps "${stop#*:}" --resume auto
    status_is 0 "to step ${stop#*:} on ${stop%:*} ranks"
done
run ranks 1 "$trainer" --output still --data data --quiet --reproducible 8 "${dense[@]}" --max-steps 100
same_state still/latest.h5 moved/latest.h5 "3, 1, 8, 2 ranks in turn: the same bits"

# Without the option, or with another number, the bits are others; it belongs to the run.
run ranks 2 "$trainer" --output plain --data data --quiet "${dense[@]}"
run ranks 2 "$trainer" --output four --data data --quiet "${dense[@]}" --reproducible 4
for other in plain four; do
    "$state" $other/latest.h5 >$other.state && "$state" dense2/latest.h5 >dense.state
    ok "$other: other bits" test "$(grep weights $other.state)" != "$(grep weights dense.state)"
done
run ranks 2 "$trainer" --output plain --data data --quiet "${dense[@]}" --reproducible 4 --resume auto
status_is 1 "is not turned on on the way"
says "this would be another run.*--reproducible 0 there, 4 here" "and says so"
run ranks 3 "$trainer" --output refused --data data "${dense[@]}" --reproducible 2
status_is 1 "more ranks than grains"
says "3 ranks for --reproducible 2.*start fewer, or begin another run with --reproducible 3" \
    "says the way out"
finish
