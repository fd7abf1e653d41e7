# shellcheck shell=bash
# Whether train.sbatch has a job queued again where little helps it to tell: ranks that die before there is a
# run, a folder in which nothing can be counted, SLURM that does not answer, no word of rank 0. The trainer
# here is a script.
. "$SOURCE/tests/helpers/slurm_lib.sh"
one_rank=(--nodes=1 --ntasks=1 --ntasks-per-node=1 --time=30)
mkdir bin
# trainer_is COMMANDS: what takes the place of the trainer.
trainer_is() {
    printf '#!/bin/bash\n%s\n' "$1" >bin/trainer
    chmod +x bin/trainer
}
export MPIANIST_BIN=$PWD/bin MPIANIST_RESTARTS=1

# As where memory does not last for the corpus: no run folder is made.
trainer_is "kill -KILL \$\$"
MPIANIST_RUN=early submit "${one_rank[@]}" "$scripts/train.sbatch"
ends "$job" FAILED 137 "a rank that dies before it makes the run folder: the job ends"
holds "after as many restarts as it may" "$(of_job "$job" Restarts) == 1"
matches "mpianist-train-$job.out" 'status 137: a rank or a host died, 2 times without .*: not queued' \
    "and says so"

trainer_is 'rmdir uncounted; kill -KILL $$'
MPIANIST_RUN=uncounted submit "${one_rank[@]}" "$scripts/train.sbatch"
ends "$job" FAILED 137 "a folder that takes no count of restarts: the job ends"
holds "at once" "$(of_job "$job" Restarts) == 0"
matches "mpianist-train-$job.out" 'restarts cannot be counted in uncounted: not queued again' "and says so"

# SLURM's commands fail: all while a file `deaf` is there, `scontrol requeue` while `deaf-requeue` is. A sleep
# is short; at the third one SLURM recovers, where it shall.
mkdir path
cat >path/scontrol <<END
#!/bin/bash
[ ! -e deaf ] && [ ! -e "deaf-\$1" ] && exec $(command -v scontrol) "\$@"
END
sed s/scontrol/squeue/ path/scontrol >path/squeue
cat >path/sleep <<'END'
#!/bin/bash
echo >>slept
[ ! -e recovers ] || [ "$(wc -l <slept)" -lt 3 ] || rm -f deaf
END
chmod +x path/*
# leaves_deaf RUN FILE: a job that leaves with status 75 the first time, when FILE is there.
leaves_deaf() {
    rm -f slept deaf*
    trainer_is "[ ! -e $1/left ] || exit 0; : >$2; : >$1/left; exit 75"
    PATH=$PWD/path:$PATH MPIANIST_RUN=$1 submit "${one_rank[@]}" "$scripts/train.sbatch"
}
leaves_deaf never deaf
ends "$job" FAILED 75 "SLURM does not answer any more: the job ends with its status"
matches "mpianist-train-$job.out" 'not queued again: SLURM does not answer' "and says so"
! grep -q cancelled "mpianist-train-$job.out"
result $? "not that it was cancelled"
leaves_deaf refused deaf-requeue
ends "$job" FAILED 75 "SLURM refuses to queue a job again: it ends with its status"
! grep -qx 'mpianist: queued again' "mpianist-train-$job.out"
result $? "and does not say that it was queued again"
: >recovers
leaves_deaf later deaf
ends "$job" COMPLETED 0 "SLURM answers after a while: the job goes on"
holds "after one restart" "$(of_job "$job" Restarts) == 1"

# mpirun at times gives 0 for ranks that were killed, srun never does.
trainer_is 'echo half a table'
MPIANIST_RUN=ended submit "${one_rank[@]}" "$scripts/train.sbatch"
ends "$job" COMPLETED 0 "srun: status 0 is the end of a run, whatever rank 0 leaves"
export MPIANIST_LAUNCHER=mpirun
MPIANIST_RUN=silent submit "${one_rank[@]}" "$scripts/train.sbatch"
ends "$job" FAILED 137 "mpirun: status 0 without a word of rank 0 is taken for killed"
echo 'a whole table' >silent/evaluation.json
MPIANIST_RUN=silent submit "${one_rank[@]}" "$scripts/evaluate.sbatch"
ends "$job" FAILED 137 "and an evaluation without it for failed"
ok "which leaves the figures of an earlier one" grep -qx 'a whole table' silent/evaluation.json
trainer_is "echo 0 >\"\$MPIANIST_STATUS_FILE\"; echo another table"
MPIANIST_RUN=silent submit "${one_rank[@]}" "$scripts/evaluate.sbatch"
ends "$job" COMPLETED 0 "mpirun: status 0 of rank 0 is the end"
ok "with its figures" grep -qx 'another table' silent/evaluation.json
ok "no word of any stays" test -z "$(ls silent/*.status 2>/dev/null)"
finish
