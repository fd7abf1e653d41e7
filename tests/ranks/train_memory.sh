# shellcheck shell=bash
# Memories at each pitch and GRUs along pitches through the trainer: ranks change nothing but by rounding,
# with --reproducible nothing at all; stopping changes nothing; --evaluate finds what training found;
# refusals.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 14 --tracks merged
make_corpus tracks 10 --tracks melody,bass,drums
common=("${tiny_sequence_model[@]}" --transpose "-3,3" --average 0.9 --learning-rate 0.003 --chunk 32 --quiet
    --keep 100 --memory-dropout 0.2)
both=(--memory 6 --note 5 --batch 4)

for data in data tracks; do
    for n in 1 2; do
        run ranks "$n" "$trainer" --data "$data" --output "$data$n" "${common[@]}" "${both[@]}" --max-steps 20
        status_is 0 "$data on $n ranks"
    done
    same_steps "${data}1/metrics.jsonl" "${data}2/metrics.jsonl" 1e-5 20 \
        "$data on 1 and 2 ranks: the same losses to 1e-5 over 20 steps"
    run "$trainer" --data "$data" --output "$data.parts" "${common[@]}" "${both[@]}" --max-steps 7
    run "$trainer" --data "$data" --output "$data.parts" "${common[@]}" "${both[@]}" --max-steps 20 \
        --resume auto
    status_is 0 "$data: --resume auto goes on in the middle of an epoch"
    same_state "${data}1/latest.h5" "$data.parts/latest.h5" "with the same bits as a run never stopped"
    for n in 1 3; do
        run ranks "$n" "$trainer" --data "$data" --output "$data.same$n" "${common[@]}" "${both[@]}" \
            --epochs 2 --reproducible 8
        status_is 0 "$data: --reproducible on $n ranks"
        member "$data.same$n/metrics.jsonl" epoch valid_loss >"$data.same$n/valid"
    done
    same_state "$data.same1/latest.h5" "$data.same3/latest.h5" "the same bits"
    ok "the same validation" cmp "$data.same1/valid" "$data.same3/valid"
done
run "$trainer" --data data --output passes "${common[@]}" "${both[@]}" --max-steps 20 --accumulate 3
same_steps data1/metrics.jsonl passes/metrics.jsonl 1e-5 20 "in 3 passes: the same losses to rounding"

# Each by itself, without a latent: --evaluate, which goes frame by frame, finds training's likelihood.
for other in note memory; do
    rm -rf alone
    run "$trainer" --data data --output alone --config data1/run.ini --quiet "--$other" 0 --latent 0 \
        --max-steps 0 --epochs 3
    status_is 0 "--$other 0"
    run "$trainer" --evaluate alone/latest.h5 --data data --split valid --quiet
    status_is 0 "--evaluate"
    perl -MJSON::PP -e 'print decode_json(<>)->{nll_per_frame}' out >nll
    holds "finds the likelihood that training found" \
        "($(cat nll) / $(member alone/metrics.jsonl epoch valid_nll | tail -n 1) - 1)^2 < 1e-10"
done
run "$trainer" --data data --output without "${tiny_sequence[@]}" --transpose "-3,3" --average 0.9 \
    --learning-rate 0.003 --chunk 32 --quiet --max-steps 20
ok "without either, the losses are others" test "$(member without/metrics.jsonl step nll | tail -n 1)" != \
    "$(member data1/metrics.jsonl step nll | tail -n 1)"

run "$trainer" --data data --output data1 "${common[@]}" --memory 7 --note 5 --batch 4 --max-steps 21 \
    --resume auto
status_is 1 "another --memory is another run"
says 'this would be another run: --memory 6 there, 7 here' "and says so"
run "$trainer" --data data --output data1 "${common[@]}" --memory 6 --note 0 --batch 4 --max-steps 21 \
    --resume auto
status_is 1 "no --note is another run"
says 'this would be another run: --note 5 there, 0 here' "and says so"
run "$trainer" --data data --output refused "${tiny_sequence[@]}" --memory-dropout 0.2
status_is 2 "--memory-dropout of nothing"
says '--memory-dropout: has no meaning without --memory or --note; leave it out' "is refused"
ok "and nothing written" test ! -e refused
finish
