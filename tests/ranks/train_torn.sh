# shellcheck shell=bash
# What a killed run, a crashed host or a bad disk leaves of the newest checkpoint: a run goes on from the one
# before, says so, and ends in the bits of a run that nothing happened to.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 8
common=(--data data "${tiny[@]}" --transpose "-3,3" --average 0.9 --checkpoint-every '4 steps' --resume auto
    --quiet)

run "$trainer" --output whole "${common[@]}" --max-steps 16
run "$trainer" --output run "${common[@]}" --max-steps 12
torn=checkpoint-00000012.h5
size=$(stat -c %s run/$torn)
# after WHAT COMMAND...: the command was done to a copy of the run; goes on in it.
after() {
    local what=$1
    shift
    rm -rf damaged && cp -a run damaged && (cd damaged && "$@") || exit 1
    run ranks 1 "$trainer" --output damaged "${common[@]}" --max-steps 16
    status_is 0 "$what: goes on"
    says_once "^trainer: warning: damaged/$torn: .*; looking for an older checkpoint$" "and says so"
    same_state whole/latest.h5 damaged/latest.h5 "to the same bits"
    same_state whole/best.h5 damaged/best.h5 "the same best state"
    same_steps whole/metrics.jsonl damaged/metrics.jsonl 0 16 "every step once"
}
for length in 0 1 7 100 2048 $((size / 3)) $((size / 2)) $((size - 4096)) $((size - 1)); do
    after "cut to $length of $size bytes" truncate -s "$length" $torn
done
after "zeros" dd if=/dev/zero of=$torn bs="$size" count=1 status=none
after "zeros from the middle on" dd if=/dev/zero of=$torn bs=$((size / 2)) seek=1 count=1 status=none
after "a link to nothing" rm $torn
after "bytes of something else" cp run.ini $torn
after "a folder in its place" sh -c "rm $torn && mkdir $torn"

# --- killed while a checkpoint is written beside training ---
# Each checkpoint of 6 MB takes longer than a step, so some file is always half-written.
killed=(--data data --hidden 256 --latent 4 --window 16 --batch 8 --validate-every 100000 --quiet --keep 2
    --checkpoint-every '1 steps' --resume auto)
written=0 caught=0
for ((round = 1; round <= 10; round++)); do
    "$trainer" --output killed "${killed[@]}" --epochs 100000 2>>killed.err &
    pid=$!
    first=$(readlink killed/latest.h5)
    for ((i = 0; i < 3000; i++)); do
        [ "$(readlink killed/latest.h5)" != "$first" ] && break
        sleep 0.02
    done
    sleep "0.0$round"
    kill -s KILL $pid
    wait $pid 2>/dev/null
    [ -z "$(find killed -name 'checkpoint-*.tmp')" ] || caught=$((caught + 1))
    "$state" killed/latest.h5 >/dev/null && written=$((written + 1))
done
[ $written -eq 10 ]
result $? "killed ten times: the newest checkpoint is whole each time"
[ $caught -gt 0 ]
result $? "though a file was being written at some of these moments ($caught)"
[ ! -s killed.err ]
result $? "and no run had a word to say about it"
last=$(($("$state" killed/latest.h5 | sed -n 's/.* step \([0-9]*\) .*/\1/p') + 5))
run "$trainer" --output killed "${killed[@]}" --max-steps $last --epochs 100000
status_is 0 "the run goes on"
run "$trainer" --output unkilled "${killed[@]}" --max-steps $last --epochs 100000
same_state unkilled/latest.h5 killed/latest.h5 "to the bits of one that was never killed"
same_steps unkilled/metrics.jsonl killed/metrics.jsonl 0 $last "every step once"
[ -z "$(find killed -name '*.tmp' -o -name '*.owner')" ]
result $? "nothing is left behind"
finish
