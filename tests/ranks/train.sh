# shellcheck shell=bash
# Training and evaluation as a user would start them, on one process.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 12
make_corpus tracks 6 --tracks melody,chords,bass,drums

run "$trainer" --data data --output run "${tiny[@]}" --epochs 6 --learning-rate 0.01 --average 0.95
status_is 0 "a run of 6 epochs"
says '^data: [0-9]+ train windows of 16 frames, [0-9]+ steps of 8 an epoch, [0-9]+ weights, 1 rank$' \
    "says what it trains on"
ok "a line an epoch" test "$(grep -Ec '^epoch [1-6]/6: train .* valid .* active units, F1' err)" -eq 6
says "^mpianist trainer [0-9.]+: run/checkpoint-[0-9]{8}\.h5 at step [0-9]+, .* MiB" \
    "a closing line with version, time and memory"
ok "latest.h5, best.h5 and run.ini stand" test -s run/latest.h5 -a -s run/best.h5 -a -s run/run.ini
steps=$(lines run/metrics.jsonl step)
ok "whole epochs of steps" test $((steps % 6)) -eq 0 -a "$steps" -gt 0
ok "six epoch lines" test "$(lines run/metrics.jsonl epoch)" -eq 6
holds "the loss falls" \
    "$(member run/metrics.jsonl epoch valid_loss | tail -n 1) < 0.9 * $(member run/metrics.jsonl epoch \
    valid_loss | head -n 1)"
holds "steps tell nats a frame too" \
    "$(member run/metrics.jsonl step nll_per_frame | head -n 1) * 15.9 < $(member run/metrics.jsonl step \
    nll | head -n 1)"

run "$trainer" --data data --output again --config run/run.ini --quiet
status_is 0 "run.ini given back"
ok "--quiet is quiet" test ! -s err
same_state run/latest.h5 again/latest.h5 "makes the same run, to the bit"
same_steps run/metrics.jsonl again/metrics.jsonl 0 "$steps" "and the same losses"

run "$trainer" --data data --output passes --config run/run.ini --accumulate 3 --epochs 1 --quiet
same_steps run/metrics.jsonl passes/metrics.jsonl 1e-5 "$((steps / 6))" \
    "accumulating in 3 passes gives the same losses to rounding"

for split in train valid test; do
    run "$trainer" --evaluate run/best.h5 --data data --split "$split" --iwae 8
    status_is 0 "--evaluate on $split"
    perl -MJSON::PP \
        -e 'my $j = decode_json(<>);
            for (qw(nll kl loss nll_per_frame kl_per_frame iwae precision recall f1)) {
                die "$_\n" unless $j->{$_} >= 0 }
        die "bound\n" unless $j->{iwae} < $j->{loss};
            die "frames\n" unless $j->{frames} > $j->{windows};
            die "units\n" if $j->{active_units} > 4' out
    result $? "one line of JSON; the importance-weighted bound is tighter"
    says 'KL divergence' "a table for people"
done
run "$trainer" --evaluate run/latest.h5 --data data --split valid --quiet
cp out one
run "$trainer" --evaluate run/latest.h5 --data data --split valid --quiet --seed 1
ok "an evaluation can be repeated" test -s one -a "$(cat one)" = "$(cat out)"
run "$trainer" --evaluate run/latest.h5 --data data --split test,valid
ok "of several splits: a line each, in the order given" test "$(wc -l <out)" -eq 2 \
    -a "$(tail -n 1 out)" = "$(cat one)"
perl -MJSON::PP -e 'print decode_json(<>)->{nll}' one >nll
holds "--evaluate finds what training found, of the weights' average" \
    "($(cat nll) - $(member run/metrics.jsonl epoch valid_nll | tail -n 1)) ^ 2 < 1e-12"
run "$trainer" --data data --output plain --config run/run.ini --average 0 --quiet
same_steps run/metrics.jsonl plain/metrics.jsonl 0 "$steps" "the average changes nothing in training"
holds "but what is validated" \
    "$(member run/metrics.jsonl epoch valid_loss | tail -n 1) != $(member plain/metrics.jsonl epoch \
    valid_loss | tail -n 1)"

run "$trainer" --data tracks --output tracks.run "${tiny[@]}" --planes both --loss bce --transpose -3,3 \
    --epochs 1 --quiet
status_is 0 "four tracks, both planes, transposed"
run "$trainer" --evaluate tracks.run/latest.h5 --data tracks --split train --quiet
status_is 0 "are evaluated"
run "$trainer" --data data --output mse "${tiny[@]}" --loss mse --max-steps 3 --quiet
status_is 0 "squared error"
run "$trainer" --evaluate mse/latest.h5 --data data --iwae 4
status_is 2 "--iwae on a model without likelihood is refused"
run "$trainer" --evaluate run/latest.h5 --data data --particles 4
status_is 2 "--particles on a dense model is refused"
says 'a dense model.*take --iwae K' "and says what it has"

run "$trainer" --data data --output short "${tiny[@]}" --max-steps 3
status_is 0 "--max-steps"
ok "ends after that many" test "$(lines short/metrics.jsonl step)" -eq 3 -a -e short/checkpoint-00000003.h5
ok "and validates where it ends" test "$(lines short/metrics.jsonl validation)" -eq 1 -a -s short/best.h5
run "$trainer" --data data --output minutes "${tiny[@]}" --max-minutes 0.01 --epochs 100000
status_is 0 "--max-minutes ends a long run well"
ok "and keeps it" test -s minutes/latest.h5

run "$trainer" --data data --output stopping "${tiny[@]}" --learning-rate 0 --early-stopping 2 --epochs 20
status_is 0 "--early-stopping"
ok "ends 2 epochs after the best" test "$(lines stopping/metrics.jsonl epoch)" -eq 3
run "$trainer" --data data --output schedule "${tiny[@]}" --max-steps 8 --beta 0.5 --beta-start 0.1 \
    --beta-steps 4 --free-bits 2 --free-bits-start 8 --free-bits-steps "75 %" --warmup-steps 2 \
    --decay cosine --clip 0.5 --keep 2 --checkpoint-every "2 steps"
ok "beta is annealed" \
    test "$(member schedule/metrics.jsonl step beta | tr '\n' ' ')" = "0.1 0.2 0.3 0.4 0.5 0.5 0.5 0.5 "
ok "free bits fall over a share of the run" \
    test "$(member schedule/metrics.jsonl step free_bits | tr '\n' ' ')" = "8 7 6 5 4 3 2 2 "
holds "the learning rate rises and falls" \
    "$(member schedule/metrics.jsonl step learning_rate |
    awk '{r[NR] = $1} END {print (r[1] < r[2] && r[2] > r[4] && r[4] > r[8])}')"
ok "and is validated at its end, though kept already" \
    test "$(lines schedule/metrics.jsonl validation)" -eq 1 -a -s schedule/best.h5
ok "--keep 2 leaves the newest" test -e schedule/checkpoint-00000008.h5 \
    -a -e schedule/checkpoint-00000006.h5 -a ! -e schedule/checkpoint-00000002.h5
typing="a terminal shows epoch, bar, step, loss, windows a second and time left"
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    script -qec "$trainer --data data --output terminal ${tiny[*]} --epochs 3" /dev/null >typed </dev/null
    tr '\r' '\n' <typed |
        grep -E 'epoch 1/3 \[[#.]{20}\] step [0-9]+/[0-9]+, loss [0-9.]+ nats a window' |
        grep -Eq ' nats a window, [0-9]+ windows/s, ETA 0:00:[0-9]{2}'
    result $? "$typing"
else
    skip "no terminal can be made here" "$typing"
fi
make_corpus nothing 6 --split 100,0,0
run "$trainer" --data nothing --output unvalidated "${tiny[@]}" --epochs 2
says_once 'holds no valid songs' "a corpus without valid songs is said once"
ok "and the training loss decides what is best" \
    test "$(member unvalidated/metrics.jsonl epoch best | tail -n 1)" = 1
finish
