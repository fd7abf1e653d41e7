# shellcheck shell=bash
# MPIANIST_BIND=cores, which env.sh has and all other tests change: each rank keeps to as many cores as the
# job has for it, and to others than the next rank. The trainer here is a script.
. "$SOURCE/tests/helpers/slurm_lib.sh"
if [ "$(nproc)" -lt 2 ]; then
    skip "one core here" "each rank on cores of its own"
    finish
fi
mkdir bin
cat >bin/trainer <<'END'
#!/bin/bash
echo "$(nproc) $(sed -n 's/Cpus_allowed_list:\t//p' /proc/self/status)" >>"$MPIANIST_RUN/cores"
[ -z "${MPIANIST_STATUS_FILE-}" ] || echo 0 >"$MPIANIST_STATUS_FILE"
END
chmod +x bin/trainer
export MPIANIST_BIN=$PWD/bin MPIANIST_BIND=cores
for MPIANIST_LAUNCHER in srun mpirun; do
    export MPIANIST_LAUNCHER MPIANIST_RUN=$MPIANIST_LAUNCHER-narrow
    submit --nodes=1 --ntasks=2 --ntasks-per-node=2 --time=30 "$scripts/train.sbatch"
    ends "$job" COMPLETED 0 "$MPIANIST_LAUNCHER: two ranks of a core each"
    matches "mpianist-train-$job.out" "1 thread each, bound to cores, by $MPIANIST_LAUNCHER" "as the job says"
    ok "each has one" test "$(cut -d' ' -f 1 "$MPIANIST_RUN/cores" | paste -sd' ')" = "1 1"
    ok "of its own" test "$(sort -u "$MPIANIST_RUN/cores" | wc -l)" = 2
    export MPIANIST_RUN=$MPIANIST_LAUNCHER-wide
    submit --nodes=1 --ntasks=1 --ntasks-per-node=1 --cpus-per-task=2 --time=30 "$scripts/train.sbatch"
    ends "$job" COMPLETED 0 "$MPIANIST_LAUNCHER: a rank of two cores"
    matches "mpianist-train-$job.out" "1 rank on 1 host \(h[0-9]\), 2 threads each" "with as many threads"
    ok "has both" test "$(cut -d' ' -f 1 "$MPIANIST_RUN/cores")" = 2
done
finish
