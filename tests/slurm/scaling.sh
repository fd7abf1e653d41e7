# shellcheck shell=bash
# scaling.sbatch as it is shipped: a row for 1, 2 and 3 ranks, with speeds that the runs' own metrics confirm.
. "$SOURCE/tests/helpers/slurm_lib.sh"
make_corpus shards 12
export MPIANIST_TRAIN="${tiny[*]} --epochs 100000"
MINUTES=0.1 submit --nodes=3 --ntasks-per-node=1 --time=30 "$scripts/scaling.sbatch"
ends "$job" COMPLETED 0 "a scaling run on three hosts"
table=run-scaling/scaling.tsv
ok "a row for 1, 2 and 3 ranks" test "$(cut -f 1 $table | paste -sd' ')" = "ranks 1 2 3"
for n in 1 2 3; do
    mean=$(member run-scaling/$n/metrics.jsonl step step_ms |
        awk 'NR > 10 { s += $1 } END { print s / (NR - 10) }')
    speed=$(awk -v n=$n '$1 == n { print $2 }' $table)
    holds "$n: steps a second as its metrics have them" "$speed * $mean > 999 && $speed * $mean < 1001"
    share=$(member run-scaling/$n/metrics.jsonl epoch compute_share | tail -n 1)
    holds "and its share of computing" "$(awk -v n=$n '$1 == n { print $4 }' $table) - $share < 0.001 &&
        $share - $(awk -v n=$n '$1 == n { print $4 }' $table) < 0.001"
done
efficiency=$(awk 'NR == 2 { first = $2 } $1 == 3 { print $3 / ($2 / first / 3) }' $table)
holds "efficiency is speed by rank against one rank" "$efficiency > 0.99 && $efficiency < 1.01"
if command -v gnuplot >/dev/null; then
    ok "a plot" test -s run-scaling/scaling.png
else
    skip "no gnuplot here" "a plot"
fi
[ -z "${SCALING_PLOT-}" ] || cp run-scaling/scaling.png "$SCALING_PLOT"
finish
