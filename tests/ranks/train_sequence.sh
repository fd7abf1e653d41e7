# shellcheck shell=bash
# The sequence model through the same trainer: ranks change nothing but by rounding, stopping changes nothing,
# validation on whole pieces.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 20
common=(--data data "${tiny_sequence[@]}" --transpose "-3,3" --average 0.9 --learning-rate 0.003 --quiet
    --keep 100)
pieces=(--epochs 100)
chunks=(--chunk 32 --epochs 100)

# 14 pieces in batches of 4: the last batch of an epoch, anywhere in it, has fewer pieces than 4 ranks.
for n in 1 2 4; do
    run ranks "$n" "$trainer" --output "pieces$n" "${common[@]}" "${pieces[@]}" --max-steps 40
    status_is 0 "whole pieces on $n ranks"
    run ranks "$n" "$trainer" --output "chunks$n" "${common[@]}" "${chunks[@]}" --max-steps 40
    status_is 0 "chunks on $n ranks"
done
for n in 2 4; do
    for kind in pieces chunks; do
        same_steps "${kind}1/metrics.jsonl" "$kind$n/metrics.jsonl" 1e-5 40 \
            "$kind on 1 and $n ranks: the same losses to 1e-5 over 40 steps"
        holds "and the same validation" \
            "($(member "$kind$n/metrics.jsonl" epoch valid_nll |
            tail -n 1) / $(member "${kind}1/metrics.jsonl" epoch valid_nll | tail -n 1) - 1)^2 < 1e-10"
    done
done
run "$trainer" --output passes "${common[@]}" "${pieces[@]}" --max-steps 40 --accumulate 3
same_steps pieces1/metrics.jsonl passes/metrics.jsonl 1e-5 40 "in 3 passes: the same losses to rounding"
run ranks 2 "$trainer" --output repeated "${common[@]}" "${chunks[@]}" --max-steps 40
same_state chunks2/latest.h5 repeated/latest.h5 "2 ranks twice: the same bits"
ok "an epoch's steps differ in size" \
    test "$(member pieces1/metrics.jsonl step sequences | sort -u | tr '\n' ' ')" = "2 4 "
holds "the loss falls" \
    "$(member pieces1/metrics.jsonl epoch valid_loss | tail -n 1) < 0.9 * $(member pieces1/metrics.jsonl \
    epoch valid_loss | head -n 1)"

for kind in pieces chunks; do
    declare -n limits=$kind
    run "$trainer" --output "$kind.parts" "${common[@]}" "${limits[@]}" --max-steps 7
    run "$trainer" --output "$kind.parts" "${common[@]}" "${limits[@]}" --max-steps 40 --resume auto
    status_is 0 "$kind: --resume auto goes on in the middle of an epoch"
    run "$trainer" --output "$kind.whole" "${common[@]}" "${limits[@]}" --max-steps 40
    same_state "$kind.whole/latest.h5" "$kind.parts/latest.h5" "with the same bits as a run never stopped"
    same_steps "$kind.whole/metrics.jsonl" "$kind.parts/metrics.jsonl" 0 40 "and every step once"
done
run "$trainer" --output change "${common[@]}" "${pieces[@]}" --max-steps 6
run ranks 3 "$trainer" --output change "${common[@]}" "${pieces[@]}" --max-steps 40 --resume auto
status_is 0 "a run of 1 rank goes on with 3"
same_steps pieces1/metrics.jsonl change/metrics.jsonl 1e-5 40 "to rounding"

"$trainer" --output stopped "${common[@]}" --epochs 100000 >/dev/null 2>err &
wait_for stopped/metrics.jsonl '"step": '
kill -s USR1 $!
wait $!
status=$?
status_is 75 "SIGUSR1: exit 75"
last=$("$state" stopped/latest.h5 | sed -n 's/.* step \([0-9]*\) .*/\1/p')
run "$trainer" --output stopped "${common[@]}" --epochs 100000 --max-steps $((last + 9)) --resume auto
run "$trainer" --output never "${common[@]}" --epochs 100000 --max-steps $((last + 9))
same_state never/latest.h5 stopped/latest.h5 "going on after it: the same bits"
run "$trainer" --output stopped "${common[@]}" --max-steps $((last + 10)) --resume auto --lags 1,8 \
    --profiles 16
says 'this would be another run: --lags 1,2,4 there, 1,8 here; --profiles 0 there, 16 here' \
    "which --lags and --profiles would make another run"

run ranks 2 "$trainer" --output units --config pieces1/run.ini --data data --quiet --max-steps 0 --epochs 40 \
    --learning-rate 0.01
run "$trainer" --evaluate units/latest.h5 --data data --split valid --quiet
status_is 0 "--evaluate, which goes another way"
units=$(perl -MJSON::PP -e 'print decode_json(<>)->{active_units}' out)
ok "finds the $units active units that training found" test "$units" -ge 1 \
    -a "$units" = "$(member units/metrics.jsonl epoch active_units | tail -n 1)"

run "$trainer" --output plain --config pieces1/run.ini --data data --quiet --latent 0
status_is 0 "--latent 0"
ok "has no divergence" test "$(member plain/metrics.jsonl epoch valid_kl | sort -u)" = 0
run "$trainer" --evaluate plain/latest.h5 --data data --split valid --quiet
status_is 0 "--evaluate, which goes another way"
perl -MJSON::PP -e 'print decode_json(<>)->{nll_per_frame}' out >nll
holds "finds the likelihood that training found" \
    "($(cat nll) / $(member plain/metrics.jsonl epoch valid_nll | tail -n 1) - 1)^2 < 1e-10"
bars=(--config pieces1/run.ini --data data --quiet --latent 0 --memory 4 --bar 16 --bar-lags "1,2" --chunk 32)
run ranks 2 "$trainer" --output bars2 "${bars[@]}"
status_is 0 "--bar, --bar-lags"
run "$trainer" --output bars "${bars[@]}"
same_steps bars/metrics.jsonl bars2/metrics.jsonl 1e-5 40 "the same losses on 1 and 2 ranks"
run "$trainer" --evaluate bars/latest.h5 --data data --split valid --quiet
perl -MJSON::PP -e 'print decode_json(<>)->{nll_per_frame}' out >nll
holds "--evaluate finds the likelihood that training found" \
    "($(cat nll) / $(member bars/metrics.jsonl validation valid_nll | tail -n 1) - 1)^2 < 1e-10"
run "$trainer" --output bars.no --data data "${tiny_sequence[@]}" --bar-lags 1 --max-steps 1
status_is 1 "--bar-lags without --bar"
says 'lags in bars need the place in the bar; give --bar FRAMES, too' "says what is missing"
make_corpus untested 6 --split 100,0,0
run "$trainer" --output untested.run --config pieces1/run.ini --data untested --quiet --max-steps 5
status_is 0 "without valid songs"
run "$trainer" --output says --data data "${tiny_sequence[@]}" --max-steps 1
says '^data: [0-9]+ train pieces, [0-9]+ steps of 4 an epoch' "says what it trains on"
run "$trainer" --output says.chunks --data data "${tiny_sequence[@]}" --max-steps 1 --chunk 32
says '^data: [0-9]+ train chunks of up to 32 frames, ' "and of chunks"
run "$trainer" --output says --data data "${tiny_sequence_model[@]}" --batch 9999
status_is 1 "a batch of more pieces than there are"
says 'has [0-9]+ train pieces, fewer than one batch of 9999; take --batch [0-9]+ or less' "names the largest"
run "$trainer" --output says --data data "${tiny_sequence[@]}" --chunk 30
status_is 2 "a chunk of part of a segment"
finish
