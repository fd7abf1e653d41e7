# shellcheck shell=bash
# trainer with `auto`, which presets have: numbers by the corpus alone, on any number of ranks, in memory or
# streamed; they are told, stand in run.ini, and stay when the run goes on.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 120 --tracks melody,chords,bass,drums --shard-frames 8000
sizes=("${tiny_sequence_model[@]:2}") # without --model
common=(--data data --shuffle-kib 96 --preset folk "${sizes[@]}" --lags "1,2" --transpose "0,0"
    --memory 0 --note 0 --latent-rate 0
    --decay constant --beta-steps 0) # whatever --max-steps is, a step is the same
read -r songs frames < <("$BIN/preprocess" --info data | awk '$1 == "train" { print $2, $3 }')
numbers='--chunk ([0-9]+) --batch ([0-9]+) --epochs ([0-9]+) --validate-every ([0-9]+)'
line="$numbers, by $songs train songs of $frames frames\$"

run "$trainer" --output one "${common[@]}" --max-steps 4
status_is 0 "a preset without numbers"
says_once "^data: auto is $line" "says which were chosen"
read -r chunk batch epochs every < <(sed -nE "s/^data: auto is $numbers,.*/\1 \2 \3 \4/p" err)
holds "as many passes as the corpus asks for" \
    "($epochs * $frames / 2e6 / ($frames > 20e3 ? ($frames / 20e3) ^ (1 / 3) : 1) - 1) ^ 2 < 0.01"
says "^data: [0-9]+ train chunks of up to $chunk frames, [0-9]+ steps of $batch an epoch" \
    "with which it trains"
ok "run.ini has them" diff \
    <(printf '%s\n' "batch=$batch" "chunk=$chunk" "epochs=$epochs" "validate-every=$every") \
    <(grep -E '^(batch|chunk|epochs|validate-every)=' one/run.ini)

run "$trainer" --output again --data data --config one/run.ini --max-steps 4
[ "$status" -eq 0 ] && ! grep -q 'auto is' err
result $? "from run.ini nothing is left to choose"
same_state one/latest.h5 again/latest.h5 "and the run is the same"

run ranks 2 "$trainer" --output two "${common[@]}" --max-steps 4
says_once "^data: auto is --chunk $chunk --batch $batch --epochs $epochs --validate-every $every," \
    "2 ranks: the same"
ok "to the letter" diff one/run.ini two/run.ini
run "$trainer" --output streamed "${common[@]}" --max-steps 4 --data-memory 1
says '^data: 1 of [0-9]+ MiB in memory' "streamed"
same_state one/latest.h5 streamed/latest.h5 "the same run"

run ranks 2 "$trainer" --check --output new "${common[@]}"
status_is 0 "--check"
prints "^auto +$line" "tells them"
left=$(sed -n 's/^step .* the \([0-9]*\) that are left take .*/\1/p' out)
holds "and reckons with them" "$left >= $epochs * $songs / $batch && $left % $epochs == 0"

run "$trainer" --output one "${common[@]}" --max-steps 7 --resume auto --batch auto --epochs auto
status_is 0 "it goes on with auto on the command line"
! grep -Eq 'auto is|options that changed: .*(batch|chunk|epochs|validate)' err
result $? "with the numbers that it has"
run "$trainer" --output whole "${common[@]}" --max-steps 7 --quiet
[ ! -s err ]
result $? "--quiet tells nothing"
same_state whole/latest.h5 one/latest.h5 "and the bits of a run that was never stopped"
run "$trainer" --output one "${common[@]}" --resume auto --max-steps 7 --batch $((batch + 1))
status_is 1 "another number"
says "this would be another run: --batch $batch there, $((batch + 1)) here" "is another run"
finish
