# shellcheck shell=bash
# How notes are played is learned beside the notes: of these it changes nothing, on any number of ranks.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 12
common=("${tiny_sequence[@]}" --transpose "-3,3" --learning-rate 0.003 --quiet --chunk 32 --epochs 100)
notes=("${common[@]}" --data data --planes both --max-steps 30)
player=("${notes[@]}" --performance 6)
long=("${common[@]}" --data data --planes both --performance 6)

run ranks 1 "$trainer" --output typist "${notes[@]}"
status_is 0 "notes alone"
for n in 1 2; do
    run ranks $n "$trainer" --output "player$n" "${player[@]}"
    status_is 0 "notes and how they are played, on $n"
done
same_steps typist/metrics.jsonl player1/metrics.jsonl 0 30 "the notes' losses stay the same, to the bit"
same_steps player1/metrics.jsonl player2/metrics.jsonl 1e-5 30 "on 2 ranks to rounding"
for n in 1 2; do
    run ranks $n "$trainer" --output "same$n" "${player[@]}" --reproducible 2
    status_is 0 "--reproducible on $n"
done
same_state same1/latest.h5 same2/latest.h5 "has the same bits"
run ranks 1 "$trainer" --output half "${long[@]}" --max-steps 11
run ranks 1 "$trainer" --output half "${player[@]}" --resume auto
same_state player1/latest.h5 half/latest.h5 "a run that was stopped goes on to the same bits"

# error FILE NAME: a figure of --evaluate.
figure() { sed -n "s/.*\"$2\": *\([-0-9.e+]*\).*/\1/p" "$1"; }
run ranks 1 "$trainer" --output longer "${long[@]}" --max-steps 300
for run in player1 longer; do
    "$trainer" --evaluate $run/latest.h5 --data data --split train >$run.json 2>$run.txt
    result $? "--evaluate"
done
ranks 2 "$trainer" --evaluate longer/latest.h5 --data data --split train >two.json 2>two.txt
ok "on 2 ranks the same figures" cmp longer.json two.json
for name in velocity_error velocity_error_of_means velocity_overlap offset_error offset_error_of_means \
    offset_overlap performance_nll_per_onset; do
    holds "$name" "$(figure longer.json $name) >= 0"
done
holds "what is learned helps" \
    "$(figure longer.json performance_nll_per_onset) < 0.8 * $(figure player1.json performance_nll_per_onset)"
holds "an overlap is a share" "$(figure longer.json velocity_overlap) <= 1"
ok "people are told, too" grep -q '^velocity  *[0-9.]* *[0-9.]* *[0-9.]*$' longer.txt
"$trainer" --evaluate typist/latest.h5 --data data >typist.json 2>/dev/null
ok "of a model without it there is nothing to tell" test -z "$(figure typist.json velocity_error)"

old=$SOURCE/tests/golden/shard-v2
common=("${tiny_sequence_model[@]}" --planes both --chunk 32 --quiet --batch 2 --max-steps 2)
run ranks 2 "$trainer" --output old "${common[@]}" --data "$old" --performance 6
status_is 1 "shards that do not say how notes were played"
says 'shard-v2: does not say how notes were played.*preprocess again.*leave out --performance' \
    "are refused by name"
run ranks 1 "$trainer" --output old "${common[@]}" --data "$old"
status_is 0 "the notes of such shards are learned as before"
run "$trainer" --output planes "${tiny_sequence[@]}" --data data --performance 6
status_is 1 "a model without onsets"
says '--performance plays onsets.*--planes both' "is refused with the way out"
run ranks 1 "$trainer" --output told "${common[@]}" --data data --performance 6
ok "each validation tells how well onsets are played" \
    grep -q '"valid_performance_per_onset": *[0-9]' told/metrics.jsonl
finish
