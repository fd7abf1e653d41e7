# shellcheck shell=bash
# A disk that fills up under a run: training goes on and what could not be written is written once there is
# room; at the run's end it is an error that names the file; nothing good is lost, and going on ends in the
# bits of a run that always had room.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 8
# Large enough for checkpoints to be much larger than metrics.
common=(--data data --hidden 256 --latent 4 --window 16 --batch 8 --epochs 100000 --validate-every 100000
    --quiet --resume auto)
step_of() { "$state" "$1/latest.h5" | sed -n 's/.* step \([0-9]*\) .*/\1/p'; }
# only_whole DIR: no temporary and no mark is left.
only_whole() {
    test -d "$1" -a -z "$(find "$1" -mindepth 1 |
        grep -Ev '/(checkpoint-[0-9]{8}|latest|best)\.h5$|/run\.ini$|/metrics\.jsonl$')"
}
# start_limited DIR STEPS BYTES FILE: in the background as $pid, a run that keeps every so many steps. A limit
# of file size is a disk that is full; MPI itself writes files when it starts, so it comes once the run has
# written FILE. preload: its environment.
preload=()
start_limited() {
    env "${preload[@]}" "$trainer" --output "$1" "${common[@]}" --checkpoint-every "$2 steps" \
        >/dev/null 2>"$WORK/err" &
    pid=$!
    wait_for "$1/$4" .
    prlimit --pid $pid --fsize="$3:unlimited"
}

start_limited more 20 4000000 latest.h5
wait_for "$WORK/err" 'tries again'
result $? "a disk that fills up while a checkpoint is written does not end the run"
says '^trainer: warning: more/checkpoint-[0-9]{8}\.h5: cannot write: File too large; .*; training goes on' \
    "which names the file"
sleep 1
[ "$(grep -c 'tries again' "$WORK/err")" -eq 1 ]
result $? "once a minute, not at each try"
ok "the earlier checkpoint is intact" "$state" more/latest.h5
before=$(step_of more)
prlimit --pid $pid --fsize=unlimited:unlimited
wait_for "$WORK/err" 'more: checkpoints are written again'
result $? "with more room they are written again"
kill -s USR1 $pid
wait $pid
status=$?
status_is 75 "and the run goes on"
last=$(step_of more)
holds "with what it learned meanwhile" "$last > $before + 20"
run "$trainer" --output whole "${common[@]}" --max-steps $((last + 5))
run "$trainer" --output more "${common[@]}" --max-steps $((last + 5))
same_state whole/latest.h5 more/latest.h5 "to the bits of a run that always had room"
same_steps whole/metrics.jsonl more/metrics.jsonl 0 $((last + 5)) "and every step once"

start_limited full 20 4000000 latest.h5
wait_for "$WORK/err" 'tries again'
kill -s USR1 $pid
wait $pid
status=$?
status_is 1 "a disk that is full at the end: exit 1"
says_once '^trainer: full/checkpoint-[0-9]{8}\.h5: cannot write: File too large; raise the file size[^;]*$' \
    "names the file and the way out"
only_whole full
result $? "nothing half-written stays"
last=$(step_of full)
run "$trainer" --output full "${common[@]}" --max-steps $((last + 5))
status_is 0 "and the run goes on once there is room"
run "$trainer" --output alone "${common[@]}" --max-steps $((last + 5))
same_state alone/latest.h5 full/latest.h5 "to the same bits"

# Ten minutes in three seconds: by the clock of a run that is 200 times as fast.
export ASAN_OPTIONS=${ASAN_OPTIONS-}:verify_asan_link_order=0
preload=(FAST_CLOCK=200 LD_PRELOAD="$BUILD/tests/preload/fast_clock.so")
start_limited never 20 4000000 latest.h5
preload=()
wait_for "$WORK/err" 'could not be written' || kill -s KILL $pid
wait $pid
status=$?
status_is 1 "a disk that stays full for ten minutes: exit 1"
says_once '^trainer: checkpoints could not be written for 10 minutes: never/checkpoint-[0-9]{8}\.h5: cannot' \
    "says so, and names the file"
tries=$(grep -c 'tries again' "$WORK/err")
holds "after a warning a minute at most" "$tries >= 1 && $tries <= 11"
only_whole never
result $? "nothing half-written stays"
last=$(step_of never)
run "$trainer" --output always "${common[@]}" --max-steps $((last + 5))
run "$trainer" --output never "${common[@]}" --max-steps $((last + 5))
same_state always/latest.h5 never/latest.h5 "and the run goes on once there is room, to the same bits"

start_limited metrics 100 1000 metrics.jsonl
wait_for "$WORK/err" 'metrics/metrics\.jsonl: cannot write: .*make room.*tries again'
result $? "metrics that cannot be written are waited for, too"
[ ! -e metrics/latest.h5 ]
result $? "no checkpoint is ahead of them"
prlimit --pid $pid --fsize=unlimited:unlimited
wait_for "$WORK/err" 'metrics: checkpoints are written again'
kill -s USR1 $pid
wait $pid
status=$?
status_is 75 "with more room all is written"
last=$(step_of metrics)
run "$trainer" --output other "${common[@]}" --max-steps "$last"
same_steps other/metrics.jsonl metrics/metrics.jsonl 0 "$last" "and no line is lost"
start_limited unwritten 100 1000 metrics.jsonl
wait_for "$WORK/err" 'tries again'
kill -s USR1 $pid
wait $pid
status=$?
status_is 1 "metrics that cannot be written at the end: exit 1"
says_once '^trainer: unwritten/metrics\.jsonl: cannot write: File too large; make room, then go on with .*$' \
    "names the file"

# --- a small disk, of every size up to the one that a run needs ---
if ! unshare --mount sh -c "mkdir -p '$WORK/disk' && mount -t tmpfs none '$WORK/disk'" 2>/dev/null; then
    skip "it needs root" "a small disk of every size"
    finish
fi
run "$trainer" --output whole12 "${common[@]}" --checkpoint-every '4 steps' --keep 2 --max-steps 12
need=$(($(stat -c %s whole12/checkpoint-00000012.h5) / 1024))
cat >small.sh <<'END'
# small.sh KIB TRAINER...: a run on a disk of so many KIB, then with room.
mount -t tmpfs -o size="$1"k none disk && shift || exit 99
"$@" 2>small.err
[ $? -eq 1 ] || exit 3
grep -cE '^trainer: disk/run(/[a-z0-9.-]*)?: cannot .*: No space left on device' small.err |
    grep -qx 1 || exit 4
sed -n 's/^trainer: disk\/run\/\([a-z.]*\).*/\1/p' small.err >>places
[ -z "$(find disk -name '*.tmp')" ] || exit 5
mount -o remount,size=100m disk && "$@" 2>>small.err || exit 6
cmp disk/run/run.ini whole12/run.ini || exit 7
[ "$(wc -l <disk/run/metrics.jsonl)" -eq "$(wc -l <whole12/metrics.jsonl)" ] || exit 8
cp disk/run/latest.h5 small.h5
END
: >places
for size in 4 8 12 $((need / 2)) $((need + 40)) $((2 * need - 100)) $((3 * need - 100)); do
    unshare --mount bash small.sh $size "$trainer" --output disk/run "${common[@]}" \
        --checkpoint-every '4 steps' --keep 2 --max-steps 12
    status=$?
    status_is 0 "a disk of $size KiB: named; with more room the run goes on"
    [ $status -eq 0 ] || sed 's/^/# /' small.err
    same_state whole12/latest.h5 small.h5 "to the same bits"
    rm -f small.h5
done
sort places | uniq -c | sed 's/^/# /'
finish
