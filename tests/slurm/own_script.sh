# shellcheck shell=bash
# The job script of docs/cluster.md, as it stands there but for its model: it has its job queued again after a
# signal, and not after scancel, which such a script lives to see where it catches TERM.
. "$SOURCE/tests/helpers/slurm_lib.sh"
make_corpus shards 12
export SLURM_CPU_BIND=none
{
    printf '#!/bin/bash\ntrap : TERM\n'
    sed -n '/^In a job script of your own:/,/^with /s/^    //p' "$SOURCE/docs/cluster.md"
} | sed "s|build/trainer|$trainer|; s|--preset band|${tiny[*]} --quiet --epochs 100000|" >own.sbatch
ok "docs/cluster.md has a script" grep -q '^srun .*--resume auto$' own.sbatch

submit "${two_hosts[@]}" --signal=USR1@120 --requeue --open-mode=append own.sbatch
ok "it trains" until_true 60 is_at_step run 300
scancel --signal=USR1 "$job"
ok "a signal has it queued again" until_true 60 is_for "$job" Restarts 1
ok "it goes on" until_true 60 is_at_step run $(($(lines run/metrics.jsonl step) + 100))
scancel "$job"
until_true 60 has_ended "$job"
ok "scancel ends it" has_state "$job" CANCELLED
holds "for good" "$(of_job "$job" Restarts) == 1"
at=$("$state" run/latest.h5 | sed -n 's/.* step \([0-9]*\) .*/\1/p')
holds "with a checkpoint of its last step" "$at == $(lines run/metrics.jsonl step)"
finish
