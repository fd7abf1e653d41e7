# shellcheck shell=bash
# The rank count changes speed, and the result only by rounding.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 12

common=(--data data "${tiny[@]}" --transpose "-3,3" --quiet --epochs 100)
for n in 1 2 4; do
    run ranks "$n" "$trainer" --output "ranks$n" "${common[@]}" --max-steps 200
    status_is 0 "200 steps on $n ranks"
done
for n in 2 4; do
    same_steps ranks1/metrics.jsonl "ranks$n/metrics.jsonl" 1e-5 20 \
        "1 and $n ranks: the same losses to 1e-5 over 20 steps"
    same_steps ranks1/metrics.jsonl "ranks$n/metrics.jsonl" 1e-3 200 "and to 1e-3 over 200"
done
for n in 1 4; do
    shares=0
    for share in compute exchange waiting data validation checkpoint; do
        shares+="+$(member "ranks$n/metrics.jsonl" epoch "${share}_share" | tail -n 1)"
    done
    holds "where an epoch's time went, on $n: shares that make 1" "($shares - 1)^2 < 1e-12"
done
efficiency=$(member ranks4/metrics.jsonl epoch efficiency | tail -n 1)
holds "and an efficiency" "$efficiency > 0 && $efficiency <= 1"
run ranks 2 "$trainer" --output repeated "${common[@]}" --max-steps 200
same_state ranks2/latest.h5 repeated/latest.h5 "2 ranks twice: the same bits"
run ranks 2 "$trainer" --output buckets "${common[@]}" --max-steps 20 --bucket-kib 1
same_steps ranks2/metrics.jsonl buckets/metrics.jsonl 1e-6 20 "small buckets: the same losses"

# Where shared memory is too small each rank is a host: what goes between hosts can be seen on this one.
small=(unshare --mount sh -c 'mount -t tmpfs -o size=24m none /dev/shm && exec "$@"' sh)
if "${small[@]}" true 2>/dev/null; then
    large=(--data data --hidden 512 --window 64 --batch 8 --latent 4 --max-steps 12)
    run ranks 2 "$trainer" "${large[@]}" --output shared
    for wire in float bf16; do
        run "${small[@]}" timeout --kill-after=10 120 mpirun -n 2 "$trainer" "${large[@]}" --output "$wire" \
            --wire "$wire"
        status_is 0 "hosts of a rank, --wire $wire"
        says_once "each rank exchanges by itself.*--shm-size.*between 2 ranks as $wire," "says so once"
    done
    same_state shared/latest.h5 float/latest.h5 "hosts that send floats: the same bits as in shared memory"
    same_steps shared/metrics.jsonl bf16/metrics.jsonl 1e-2 12 "bf16: the same losses to 1e-2"
    ok "but others" test "$(member bf16/metrics.jsonl step nll | tail -n 1)" != \
        "$(member shared/metrics.jsonl step nll | tail -n 1)"
else
    skip "needs root" "too little shared memory"
fi

for n in 1 4; do
    run ranks "$n" "$trainer" --output "dropout$n" "${common[@]}" --max-steps 20 --dropout 0.2 \
        --accumulate "$n"
    status_is 0 "with dropout on $n ranks"
done
same_steps dropout1/metrics.jsonl dropout4/metrics.jsonl 1e-5 20 \
    "dropout by sample: the same losses, split up in any way"
ok "others than without" \
    test "$(member dropout1/metrics.jsonl step nll | tail -n 1)" != \
    "$(member ranks1/metrics.jsonl step nll | sed -n 20p)"

# 7 windows on 4 ranks are uneven shares; the last batch of an epoch is smaller than the rank count.
windows=$("$trainer" --data data --output probe "${tiny[@]}" --max-steps 1 2>&1 |
    sed -n 's/^data: \([0-9]*\) train windows.*/\1/p')
for batch in 5 6 7 9 10 11 13; do
    rest=$((windows % batch))
    [ "$rest" -ge 1 ] && [ "$rest" -le 3 ] && break
done
ok "a last batch of $rest windows for 4 ranks" test "$rest" -ge 1 -a "$rest" -le 3
for n in 1 4; do
    run ranks "$n" "$trainer" --output "uneven$n" --data data "${tiny_model[@]}" --batch "$batch" --epochs 1 \
        --quiet
    status_is 0 "batches of $batch on $n ranks"
done
same_steps uneven1/metrics.jsonl uneven4/metrics.jsonl 1e-4 "$(lines uneven1/metrics.jsonl step)" \
    "uneven and empty shares: the same losses"

for n in 1 2 3; do
    run ranks "$n" "$trainer" --evaluate ranks1/latest.h5 --data data --split train --iwae 3
    status_is 0 "--evaluate on $n ranks"
    ok "prints once" test "$(wc -l <out)" -eq 1
    cp out "evaluation$n"
done
for n in 2 3; do
    perl -MJSON::PP \
        -e 'my ($a, $b) = map { open my $f, "<", $_; decode_json(<$f>) } @ARGV;
            for (keys %$a) { next if /checkpoint|split/;
        die "$_: $a->{$_} $b->{$_}\n"
            if abs($a->{$_} - $b->{$_}) > 1e-6 * abs($a->{$_}) }' evaluation1 "evaluation$n"
    result $? "and finds what 1 rank finds"
done
finish
