# shellcheck shell=bash
# --data-memory: data that are read as they are needed train the same model; what happens when they cannot be
# read.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 120 --tracks melody,chords,bass,drums --shard-frames 8000
common=(--data data --shuffle-kib 96 --quiet --keep 100)
dense=("${tiny[@]}" --transpose "-3,3" --epochs 2)
chunks=("${tiny_sequence[@]}" --chunk 64 --max-steps 30)
pieces=("${tiny_sequence[@]}" --max-steps 20)
played=("${tiny_sequence[@]}" --planes both --performance 6 --chunk 64 --max-steps 30)

# The same as in memory, on any number of ranks, and whatever kind of samples.
# same NAME RANKS STEPS OPTION...
same() {
    local name=$1 n=$2 steps=$3
    shift 3
    run ranks "$n" "$trainer" --output "memory-$name-$n" "${common[@]}" "$@"
    run ranks "$n" "$trainer" --output "streamed-$name-$n" "${common[@]}" "$@" --data-memory 1
    status_is 0 "$name on $n ranks, streamed"
    same_steps "memory-$name-$n/metrics.jsonl" "streamed-$name-$n/metrics.jsonl" 0 "$steps" "the same losses"
    same_state "memory-$name-$n/latest.h5" "streamed-$name-$n/latest.h5" "the same state"
    ok "the same validation" diff <(member "memory-$name-$n/metrics.jsonl" epoch valid_loss) \
        <(member "streamed-$name-$n/metrics.jsonl" epoch valid_loss)
    holds "which there is" "$(grep -c '"valid_loss": [0-9]' "streamed-$name-$n/metrics.jsonl") > 0"
}
for n in 1 2 4; do same dense "$n" 300 "${dense[@]}"; done
for n in 1 2; do
    same chunks "$n" 30 "${chunks[@]}"
    same pieces "$n" 20 "${pieces[@]}"
    same played "$n" 30 "${played[@]}"
done
same_steps streamed-dense-1/metrics.jsonl streamed-dense-4/metrics.jsonl 1e-5 20 \
    "1 and 4 ranks: the same losses to 1e-5"
run "$trainer" --output whole --data data "${dense[@]}" --max-steps 20 --quiet
ok "one group is another order" \
    test "$(member whole/metrics.jsonl step nll | sed -n 20p)" != \
    "$(member streamed-dense-1/metrics.jsonl step nll | sed -n 20p)"

# What is told, and what is refused.
run "$trainer" --output told --data data --shuffle-kib 96 "${tiny[@]}" --max-steps 1 --data-memory 1
says '^data: 1 of 2 MiB in memory' "how much is in memory"
run ranks 2 "$trainer" --output little --data data "${tiny[@]}" --shuffle-kib 1024 --data-memory 1
status_is 1 "a limit that no step could be made under"
says_once '^trainer: --data-memory: 1 MiB are too little .*; give [23] or more, or 0 for all 3 MiB of data' \
    "with the least that works"

# Going on in the middle of an epoch, under another limit and on other ranks.
run "$trainer" --output parts "${common[@]}" "${dense[@]}" --max-steps 7 --data-memory 1
run "$trainer" --output parts "${common[@]}" "${dense[@]}" --max-steps 150 --resume auto
run "$trainer" --output parts "${common[@]}" "${dense[@]}" --max-steps 0 --resume auto --data-memory 1
status_is 0 "goes on with and without a limit"
same_state parts/latest.h5 memory-dense-1/latest.h5 "and ends with the same bits as a run never stopped"
run ranks 2 "$trainer" --output moved "${common[@]}" "${dense[@]}" --max-steps 90 --data-memory 1
run "$trainer" --output moved "${common[@]}" "${dense[@]}" --max-steps 0 --resume auto --data-memory 1
same_steps moved/metrics.jsonl memory-dense-1/metrics.jsonl 1e-3 300 \
    "on 2 ranks, then 1: the same to rounding"
run "$trainer" --output moved --data data --quiet --keep 100 "${dense[@]}" --shuffle-kib 97 --resume auto
status_is 1 "another --shuffle-kib is another run"
says 'shuffle-kib 96 there, 97 here' "and named"

# Without training.
for model in dense pieces played; do
    evaluate=("$trainer" --evaluate "memory-$model-1/latest.h5" --data data --split "train,valid" --quiet)
    [ "$model" = dense ] || evaluate+=(--rebuild 1)
    for n in 1 2; do
        run ranks "$n" "${evaluate[@]}"
        cp out wanted
        run ranks "$n" "${evaluate[@]}" --data-memory 1
        status_is 0 "--evaluate of $model on $n ranks"
        ok "the same figures" cmp wanted out
    done
done
cp memory-dense-1/latest.h5 a.h5 && cp a.h5 b.h5
run ranks 2 "$trainer" --attributes a.h5 --data data --quiet
sed 's/a\.h5//' out >wanted
run ranks 2 "$trainer" --attributes b.h5 --data data --quiet --data-memory 1
status_is 0 "--attributes"
ok "the same vectors" cmp wanted <(sed 's/b\.h5//' out)

# Shards that go away, or change, while a run needs them: the state is kept, and all ranks leave.
# break_run NAME RANKS MESSAGE COMMAND...: COMMAND breaks the data of a run.
break_run() {
    local name=$1 n=$2 message=$3
    shift 3
    rm -rf broken && cp -r data broken
    ASAN_OPTIONS=${ASAN_OPTIONS-}:$no_leaks timeout 60 mpirun -n "$n" "$trainer" --data broken \
        --output "$name" --shuffle-kib 96 --quiet "${tiny[@]}" \
        --epochs 100000 --validate-every 100000 --data-memory 1 >out 2>err &
    wait_for "$name/metrics.jsonl" '"step": '
    "$@"
    wait $!
    status=$?
    status_is 1 "$name on $n ranks: exit 1"
    says_once "^trainer: after step [0-9]+, kept in $name/checkpoint-[0-9]+\.h5: .*$message" \
        "with the file, the song and the cause"
    last=$("$state" "$name/latest.h5" | sed -n 's/.* step \([0-9]*\) .*/\1/p')
    run "$trainer" --data data --output "$name" --shuffle-kib 96 --quiet "${tiny[@]}" \
        --max-steps $((last + 5)) --resume auto
    status_is 0 "once the data are whole, it goes on from there"
}
# shellcheck disable=SC2317 # called by break_run
vanish() { rm broken/shard-*.h5; }
# Of the same size and shape, with wrong bytes: flips eight bytes of every 64 after the first 1280.
# shellcheck disable=SC2317 # the same
damage() {
    for shard in broken/shard-*.h5; do
        perl -e 'open my $f, "<", $ARGV[0] or die; binmode $f; local $/;
            my $b = <$f>; substr($b, $_ * 64, 8) = ~substr($b, $_ * 64, 8)
            for 20 .. length($b) / 64 - 2; print $b' "$shard" >"$shard.tmp" && mv "$shard.tmp" "$shard"
    done
}
for n in 1 2; do break_run "vanished$n" "$n" 'reading song .*: broken/shard-.*: No such file' vanish; done
break_run damaged 2 'reading song .*: broken/shard-.*damaged' damage

# A signal.
"$trainer" --output stopped "${common[@]}" "${tiny[@]}" --epochs 100000 --data-memory 1 >/dev/null 2>err &
wait_for stopped/metrics.jsonl '"step": '
kill -s USR1 $!
wait $!
status=$?
status_is 75 "SIGUSR1 while data are streamed: exit 75"
last=$("$state" stopped/latest.h5 | sed -n 's/.* step \([0-9]*\) .*/\1/p')
run "$trainer" --output stopped "${common[@]}" "${tiny[@]}" --max-steps $((last + 10)) --resume auto \
    --data-memory 1
run "$trainer" --output never "${common[@]}" "${tiny[@]}" --max-steps $((last + 10))
same_state stopped/latest.h5 never/latest.h5 "and goes on with the same bits"
finish
