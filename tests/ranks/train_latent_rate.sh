# shellcheck shell=bash
# trainer --latent-rate: the latent gets the rate that is asked for, be it more or less than it would take;
# ranks and stopping change nothing.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 20
sizes=("${tiny_sequence_model[@]::${#tiny_sequence_model[@]}-2}") # without its --free-bits
common=(--data data "${sizes[@]}" --batch 4 --chunk 32 --transpose "-3,3" --average 0.9 --learning-rate 0.003
    --quiet --keep 100)

# rate RUN: KL a segment over the last tenth of the epochs. multiplier RUN: the last one.
rate() {
    member "$1/metrics.jsonl" epoch kl_per_segment | awk '{ r[NR] = $1 } END { n = int((NR + 9) / 10)
        for (i = NR - n + 1; i <= NR; i++) s += r[i]; print s / n }'
}
multiplier() { member "$1/metrics.jsonl" epoch multiplier | tail -n 1; }

run "$trainer" --output free "${common[@]}" --epochs 50
status_is 0 "a latent that costs what it is worth (beta 1)"
free=$(rate free)
echo "# takes $free nats"
for nats in 0.5 4 10; do
    run "$trainer" --output "rate$nats" "${common[@]:0:2}" --config free/run.ini --quiet --epochs 90 \
        --latent-rate $nats
    status_is 0 "--latent-rate $nats"
    holds "a latent of $(rate rate$nats) nats: within a tenth of $nats" \
        "($(rate rate$nats) / $nats - 1)^2 < 0.01"
    echo "# at weight $(multiplier rate$nats)"
done
holds "one was to take less than it would, two more" "0.5 < $free && $free < 2"
holds "less makes it dearer than what it is worth, more cheaper" \
    "$(multiplier rate0.5) > 1 && $(multiplier rate10) < 0.5 && $(multiplier rate10) > 0.001"

held=("${common[@]}" --latent-rate 4 --epochs 100)
for n in 1 2 4; do
    run ranks "$n" "$trainer" --output "held$n" "${held[@]}" --max-steps 40
    status_is 0 "on $n ranks"
done
for n in 2 4; do
    same_steps held1/metrics.jsonl "held$n/metrics.jsonl" 1e-5 40 "on $n: the same losses to rounding"
    paste <(member held1/metrics.jsonl step multiplier) <(member "held$n/metrics.jsonl" step multiplier) |
        awk '($1 / $2 - 1)^2 > 1e-10 { bad = 1 } END { exit bad || NR < 40 }'
    result $? "and the same multipliers"
done
ok "which are 40" test "$(member held1/metrics.jsonl step multiplier | sort -u | wc -l)" -eq 40
ok "each step takes what the one before left" cmp \
    <(member held1/metrics.jsonl step beta | tail -n +2) \
    <(member held1/metrics.jsonl step multiplier | sed '$d')
for n in 1 3; do
    run ranks "$n" "$trainer" --output "bits$n" "${held[@]}" --max-steps 40 --reproducible 4
    status_is 0 "--reproducible on $n ranks"
done
same_state bits1/latest.h5 bits3/latest.h5 "the same bits"
run ranks 2 "$trainer" --output parts "${held[@]}" --max-steps 17
run ranks 2 "$trainer" --output parts "${held[@]}" --max-steps 40 --resume auto
status_is 0 "goes on"
same_state held2/latest.h5 parts/latest.h5 "with the bits of a run never stopped"
ok "the multiplier among them" test "$("$state" held2/latest.h5 | grep multiplier)" != "multiplier 0x0p+0"

run "$trainer" --output later "${common[@]}" --epochs 100 --max-steps 6
run "$trainer" --output later "${common[@]}" --epochs 100 --max-steps 7 --latent-rate 4 --resume auto
status_is 0 "a run that had none goes on with a rate"
holds "from where multipliers begin" "$(member later/metrics.jsonl step beta | tail -n 1) == 0.1"
run "$trainer" --output later "${common[@]}" --epochs 100 --max-steps 8 --latent-rate 0 --resume auto
holds "and without" "$(member later/metrics.jsonl step beta | tail -n 1) == 1"
run "$trainer" --output plain --data data --config held1/run.ini --quiet --latent 0 --max-steps 3
status_is 0 "a rate in a file, and no latent"
run "$trainer" --output says "${common[@]}" --latent-rate 4 --free-bits 2
status_is 2 "--free-bits beside it is refused"
says_once 'free-bits: has no meaning beside --latent-rate.*leave it out, or give --latent-rate 0' "by name"
run "$trainer" --output says --config held1/run.ini --data data --max-steps 2
says '\(KL [0-9.]+ a segment at weight 0\.' "an epoch's line tells rate and weight"
finish
