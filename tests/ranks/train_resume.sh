# shellcheck shell=bash
# Stopping in any way and going on: the same bits as a run never stopped.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 8
common=(--data data "${tiny[@]}" --transpose "-3,3" --average 0.9 --dropout 0.2 --quiet --keep 100)
long=(--epochs 100000)

run "$trainer" --output whole "${common[@]}" --max-steps 40
steps=40
epoch=$(member whole/metrics.jsonl epoch step | head -n 1) # steps an epoch has
run "$trainer" --output parts "${common[@]}" --max-steps 7
run "$trainer" --output parts "${common[@]}" --max-steps 23 --resume auto
status_is 0 "--resume auto goes on in the middle of an epoch"
run "$trainer" --output parts "${common[@]}" --max-steps 40 --resume auto
same_state whole/latest.h5 parts/latest.h5 "and ends with the same bits as a run never stopped"
same_steps whole/metrics.jsonl parts/metrics.jsonl 0 $steps \
    "its metrics have every step once, with the same losses"
run "$trainer" --output parts "${common[@]}" --max-steps 40 --resume auto
status_is 0 "resuming a run that is done is no error"
same_state whole/latest.h5 parts/latest.h5 "and changes nothing"
run "$trainer" --output forked "${common[@]}" --max-steps 40 --resume parts/checkpoint-00000023.h5
status_is 0 "--resume FILE goes on in another folder"
same_state whole/latest.h5 forked/latest.h5 "with the same bits"
run "$trainer" --output parts "${common[@]}" --max-steps 40 --resume parts/checkpoint-00000023.h5
status_is 0 "--resume FILE goes back in its own folder"
same_steps whole/metrics.jsonl parts/metrics.jsonl 0 $steps "every step is there once again"
run "$trainer" --output fresh "${common[@]}" --max-steps 5 --resume auto
status_is 0 "--resume auto in an empty folder starts"

run ranks 2 "$trainer" --output ranks "${common[@]}" --max-steps 13
run ranks 2 "$trainer" --output ranks "${common[@]}" --max-steps 40 --resume auto
run ranks 2 "$trainer" --output ranks2 "${common[@]}" --max-steps 40
same_state ranks/latest.h5 ranks2/latest.h5 "on 2 ranks as well"
run "$trainer" --output change "${common[@]}" --max-steps 13
run ranks 3 "$trainer" --output change "${common[@]}" --max-steps 40 --resume auto
status_is 0 "a run of 1 rank goes on with 3"
same_steps whole/metrics.jsonl change/metrics.jsonl 1e-4 40 "to rounding"

for signal in USR1 TERM INT; do
    "$trainer" --output "one$signal" "${common[@]}" "${long[@]}" >/dev/null 2>err &
    wait_for "one$signal/metrics.jsonl" '"step": '
    kill -s "$signal" $!
    wait $!
    status=$?
    status_is 75 "SIG$signal: exit 75"
    ok "with a checkpoint" "$state" "one$signal/latest.h5"
done
stopped=$("$state" oneTERM/latest.h5 | sed -n 's/.* step \([0-9]*\) .*/\1/p')
run "$trainer" --output oneTERM "${common[@]}" --max-steps $((stopped + 10)) --resume auto
run "$trainer" --output never "${common[@]}" --max-steps $((stopped + 10))
same_state oneTERM/latest.h5 never/latest.h5 "going on after a signal: the same bits"

ASAN_OPTIONS=${ASAN_OPTIONS-}:$no_leaks timeout 60 mpirun -n 2 "$trainer" --output both "${common[@]}" \
    "${long[@]}" >/dev/null 2>err &
wait_for both/metrics.jsonl '"step": '
kill -s USR1 "$(launcher_of $!)"
wait $!
status=$?
status_is 75 "mpirun passes SIGUSR1 on: exit 75"
ok "with a checkpoint" "$state" both/latest.h5
ASAN_OPTIONS=${ASAN_OPTIONS-}:$no_leaks timeout 60 mpirun -n 2 "$trainer" --output single \
    "${common[@]}" "${long[@]}" >/dev/null 2>err &
wait_for single/metrics.jsonl '"step": '
kill -s TERM "$(rank_of $!)"
wait $!
status=$?
status_is 75 "SIGTERM to one rank of two: all leave with 75"

ASAN_OPTIONS=${ASAN_OPTIONS-}:$no_leaks timeout 60 mpirun -n 2 "$trainer" --output killed \
    "${common[@]}" "${long[@]}" --checkpoint-every "5 steps" >/dev/null 2>err &
wait_for killed/metrics.jsonl '"step": 2[0-9]'
kill -s KILL "$(rank_of $!)"
wait $!
status=$?
ok "a killed rank ends the job before its time is up" test $status -ne 124
if is_open_mpi; then
    ok "and mpirun tells" test $status -ne 0
else
    skip "MPICH's mpirun at times ends with status 0" "and mpirun tells"
fi
printf '{"kind": "step", "epo' >>killed/metrics.jsonl
last=$("$state" killed/latest.h5 | sed -n 's/.* step \([0-9]*\) .*/\1/p')
run ranks 2 "$trainer" --output killed "${common[@]}" --max-steps $((last + 5)) --resume auto
status_is 0 "--resume auto goes on from the last checkpoint"
run ranks 2 "$trainer" --output unkilled "${common[@]}" --max-steps $((last + 5))
same_state unkilled/latest.h5 killed/latest.h5 "with the same bits as a run never killed"
same_steps unkilled/metrics.jsonl killed/metrics.jsonl 0 $((last + 5)) "and no step twice"

run "$trainer" --output timed "${common[@]}" --max-minutes 0.03 --epochs 100000 \
    --checkpoint-every "0.005 minutes"
kept=(timed/checkpoint-*.h5)
ok "--checkpoint-every minutes" test "${#kept[@]}" -ge 3

# best.h5 is there at the end of every run that was not stopped early, whatever ends it.
run "$trainer" --output rare "${common[@]}" --validate-every 1000 --max-steps "$epoch"
ok "a run that ends with an epoch that is not validated: best.h5" "$state" rare/best.h5
run "$trainer" --output elsewhere "${common[@]}" --max-steps 41 --learning-rate 0 --resume whole/latest.h5
status_is 0 "going on in another folder"
ok "which gets a best.h5 of its own" "$state" elsewhere/best.h5
run "$trainer" --output patient "${common[@]}" --max-steps $((10 * epoch)) --learning-rate 0.0001 \
    --validate-every 4 --early-stopping 1
holds "early stopping waits for a validation" \
    "$("$state" patient/latest.h5 | sed -n 's/^epoch \([0-9]*\) .*/\1/p') == 10"
finish
