# shellcheck shell=bash
# scaling.sbatch as it is shipped: a row for 1, 2 and 3 ranks, which fill one host after the other, with
# speeds that the runs' own metrics confirm.
. "$SOURCE/tests/helpers/slurm_lib.sh"
make_corpus shards 12
export MPIANIST_TRAIN="${tiny[*]} --epochs 100000"
# The trainer's host is noted.
mkdir bin
cat >bin/trainer <<END
#!/bin/bash
hostname >>"\$MPIANIST_RUN-\${OMPI_COMM_WORLD_SIZE:-\$SLURM_NTASKS}.hosts"
exec $trainer "\$@"
END
chmod +x bin/trainer
export MPIANIST_BIN=$PWD/bin

for launcher in srun mpirun; do
    export MPIANIST_LAUNCHER=$launcher MPIANIST_RUN=$launcher
    MINUTES=0.1 submit --nodes=2 --ntasks=3 --ntasks-per-node=2 --time=30 "$scripts/scaling.sbatch"
    ends "$job" COMPLETED 0 "$launcher: a scaling run of three ranks on two hosts"
    table=$launcher-scaling/scaling.tsv
    ok "a row for 1, 2 and 3 ranks" test "$(cut -f 1 $table | paste -sd' ')" = "ranks 1 2 3"
    ok "on 1, 1 and 2 hosts" test "$(cut -f 2 $table | paste -sd' ')" = "hosts 1 1 2"
    for n in 1 2 3; do
        row=$(awk -v n=$n '$1 == n' $table)
        holds "$n: on as many hosts as it says" \
            "$(sort -u "$launcher-$n.hosts" | wc -l) == $(cut -f 2 <<<"$row")"
        mean=$(member $launcher-scaling/$n/metrics.jsonl step step_ms |
            awk 'NR > 10 { s += $1 } END { print s / (NR - 10) }')
        speed=$(cut -f 3 <<<"$row")
        holds "steps a second as its metrics have them" "$speed * $mean > 999 && $speed * $mean < 1001"
        share=$(member $launcher-scaling/$n/metrics.jsonl epoch compute_share | tail -n 1)
        holds "and its share of computing" "$(cut -f 5 <<<"$row") - $share < 0.001 &&
            $share - $(cut -f 5 <<<"$row") < 0.001"
    done
    efficiency=$(awk 'NR == 2 { first = $3 } $1 == 3 { print $4 / ($3 / first / 3) }' $table)
    holds "efficiency is speed by rank against one rank" "$efficiency > 0.99 && $efficiency < 1.01"
done
if command -v gnuplot >/dev/null; then
    ok "a plot" test -s srun-scaling/scaling.png
else
    skip "no gnuplot here" "a plot"
fi
[ -z "${SCALING_PLOT-}" ] || cp srun-scaling/scaling.png "$SCALING_PLOT"
finish
