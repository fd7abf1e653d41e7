# shellcheck shell=bash
# trainer --sync-every: hosts that take several steps each by itself. Where shared memory is too small each
# rank is a host: so this machine plays several.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 12
common=(--data data "${tiny[@]}" --transpose "-3,3" --average 0.9 --dropout 0.2 --keep 100)
every=(--sync-every 4)
rare=(--epochs 100000 --validate-every 100000)

run "$trainer" --output refused --data data --sync-every 4 --reproducible 2
status_is 2 "--sync-every beside --reproducible"
says '^trainer: --sync-every: .*depend on how many hosts' "is refused with the reason"

small=(unshare --mount sh -c 'mount -t tmpfs -o size=1m none /dev/shm && exec "$@"' sh)
if ! "${small[@]}" true 2>/dev/null; then
    skip "needs root" "hosts of a rank"
    finish
fi
export OMPI_MCA_btl=self,tcp # which needs no shared memory
# hosts N COMMAND...: N hosts of a rank each.
hosts() {
    ASAN_OPTIONS=${ASAN_OPTIONS-}:$no_leaks "${small[@]}" timeout --kill-after=10 120 mpirun -n "$@"
}
# train N FOLDER OPTION...: a run of N hosts that meet every 4 steps, and where no epoch says so.
train() {
    local n=$1 folder=$2
    shift 2
    hosts "$n" "$trainer" --output "$folder" "${common[@]}" "${every[@]}" "${rare[@]}" "$@"
}
# steps_of FOLDER: of all its checkpoints.
steps_of() { printf '%s\n' "$1"/checkpoint-*.h5 | sed 's/.*-0*\([0-9]*\)\.h5/\1/'; }

# ---- where hosts meet ----

run train 2 whole --max-steps 24 --checkpoint-every 3
status_is 0 "two hosts of a rank"
says_once 'every 4 steps weights and both moments go between 2 ranks as float, [0-9.]+ MB each a host' \
    "say once what goes between them"
[ "$(steps_of whole | tr '\n' ' ')" = "4 8 12 16 20 24 " ]
result $? "a checkpoint every 3 steps: written where the hosts meet next"
run train 2 again --max-steps 24 --quiet
same_state whole/latest.h5 again/latest.h5 "the same bits once again, wherever checkpoints are"
same_steps whole/metrics.jsonl again/metrics.jsonl 0 24 "and the same losses"
run hosts 2 "$trainer" --output plain "${common[@]}" "${rare[@]}" --max-steps 24 --quiet
same_steps plain/metrics.jsonl whole/metrics.jsonl 1e-5 1 \
    "the first step's loss is that of both hosts' samples"
ok "later ones are not those of hosts that sum each step" test \
    "$(member plain/metrics.jsonl step nll | tail -n 1)" != \
    "$(member whole/metrics.jsonl step nll | tail -n 1)"
run hosts 2 "$trainer" --output epochs "${common[@]}" "${every[@]}" --epochs 2 --validate-every 2 --quiet
epoch=$(member epochs/metrics.jsonl epoch step | head -n 1)
ok "epochs do not end where hosts meet" test $((epoch % 4)) -ne 0
ok "an epoch that is not validated has no checkpoint" test ! -e "epochs/checkpoint-$(printf %08d "$epoch").h5"
ok "one that is has" "$state" "epochs/checkpoint-$(printf %08d $((2 * epoch))).h5"

run hosts 2 "$trainer" --check --output new --data data "${tiny[@]}" "${every[@]}" --quiet
status_is 0 "--check"
prints '^exchange +[0-9.]+ ms alone .*; every 4 steps weights and both moments go between 2 ranks as float' \
    "times what hosts exchange where they meet"

# ---- stopping and going on ----

run train 2 parts --max-steps 12 --quiet
run train 2 parts --max-steps 24 --quiet --resume auto
same_state whole/latest.h5 parts/latest.h5 "stopped and resumed: the same bits"
run train 1 fewer --max-steps 24 --quiet \
    --resume parts/checkpoint-00000012.h5
status_is 0 "one host goes on from two"
run train 3 more --max-steps 24 --quiet \
    --resume parts/checkpoint-00000012.h5
status_is 0 "and so do three"

# start NAME OPTION...: two hosts that train until they are stopped, as process $pid, at work.
start() {
    train 2 "$1" --quiet "${@:2}" >/dev/null 2>err &
    pid=$!
    wait_for "$1/metrics.jsonl" '"step": [0-9][0-9]'
}
# ends_as_undisturbed NAME: going on a little gives what a run gives that nobody stopped.
ends_as_undisturbed() {
    local last end
    last=$("$state" "$1/latest.h5" | sed -n 's/.* step \([0-9]*\) .*/\1/p')
    end=$((last + 6))
    ok "its last checkpoint, step $last, is where hosts meet" test $((last % 4)) -eq 0
    run train 2 "$1" --max-steps $end --quiet --resume auto
    status_is 0 "it goes on"
    run train 2 "$1.undisturbed" --max-steps $end --quiet
    same_state "$1.undisturbed/latest.h5" "$1/latest.h5" "with the same bits as a run never disturbed"
    same_steps "$1.undisturbed/metrics.jsonl" "$1/metrics.jsonl" 0 $end "and every step once"
}
start stopped
kill -s USR1 "$(rank_of $pid)"
wait $pid
status=$?
status_is 75 "a signal to one rank: all leave with 75"
ends_as_undisturbed stopped
start killed --checkpoint-every 5
kill -s KILL "$(rank_of $pid)"
wait $pid
ok "a killed rank ends the job" test $? -ne 0
ends_as_undisturbed killed

every=(--sync-every 1000000)
start far
kill -s USR1 "$(rank_of $pid)"
wait $pid
status=$?
status_is 75 "where the next meeting is far off, a signal does not wait for it"
ok "hosts meet at once, and keep what they learned" "$state" far/latest.h5

# ---- what else differs between hosts ----

every=(--sync-every 4)
run train 2 broken --quiet --learning-rate 10 --max-steps 24
status_is 1 "a host whose gradient or loss is not finite"
says_once 'step [0-9]+: the (loss|gradient) is not finite.* lower --learning-rate' "ends the run on all, once"
pieces=(--data data "${tiny_sequence[@]}" --average 0.9 --validate-every 100 --epochs 1000 --quiet)
for steps in 10 24; do
    run hosts 2 "$trainer" --output pieces "${pieces[@]}" --sync-every 5 --max-steps $steps --resume auto
    status_is 0 "pieces, whose frames hosts share unequally: step $steps"
done
run hosts 2 "$trainer" --output pieces.whole "${pieces[@]}" --sync-every 5 --max-steps 24
same_state pieces.whole/latest.h5 pieces/latest.h5 "resumed: the same bits"
for wire in 1 2; do
    run train 2 "wire$wire" --wire bf16 --max-steps 20 --quiet
done
same_state wire1/latest.h5 wire2/latest.h5 "--wire bf16: the same bits each time"
same_steps whole/metrics.jsonl wire1/metrics.jsonl 1e-2 20 "and losses near those of floats"
finish
