# shellcheck shell=bash
# trainer --check: what it finds, on standard output; nothing stays on disk; what would keep a run from
# starting ends it with status 1.
. "$SOURCE/tests/helpers/train_lib.sh"
make_corpus data 8
common=(--data data "${tiny[@]}" --epochs 100)
host=$(hostname)

run ranks 2 "$trainer" --check "${common[@]}" --output new/run --quiet
status_is 0 "--check of a run that could start"
prints "^ranks +2 ranks on $host, [0-9]+ cores?, 1 BLAS thread a rank\$" "tells hosts and cores"
prints '^exchange +[0-9.]+ ms .*; gradients in memory shared by 2 ranks$' "the exchange, measured"
prints '^step +[0-9.]+ ms \(median of 7\); the [0-9]+ that are left take [0-9.]+ minutes$' "steps, measured"
prints '^folder +new/run: .* MiB free' "the disk"
prints "^memory +$host uses [0-9]+ MiB" "memory"
prints '^ok ' "and that all is well"
[ ! -s err ]
result $? "standard error is empty"
[ ! -e new ]
result $? "no folder stays"

run ranks 8 taskset -c 0 "$trainer" --check "${common[@]}" --output new --quiet
status_is 0 "more ranks than cores are no error"
idle='and binding leaves [0-9]+ idle: .*--bind-to none' # by taskset, where there is more than one core
prints "^warning +8 ranks share 1 core of $host(: .*; start at most 1 there, or use more hosts\$|, $idle)" \
    "but warned of, with the way out"
run ranks 2 taskset -c 0 "$trainer" "${common[@]}" --output shared --max-steps 3
says_once "^2 ranks on $host, 1 core, 1 BLAS thread a rank\$" "a run's first lines say it in short"
says_once "^warning: 2 ranks share 1 core of $host" "with the warning"
says '^  time: .*; efficiency against one rank [0-9]+ %$' "and an epoch where its time went"

run "$trainer" --output run "${common[@]}" --max-steps 5 --quiet
(cd run && sha256sum -- *) >sums
run ranks 2 "$trainer" --check --output run "${common[@]}" --max-steps 9 --quiet --resume auto
status_is 0 "--check of a run that goes on"
prints '; the 4 that are left take' "counts what is left"
run ranks 2 "$trainer" --check --output run "${common[@]}" --max-steps 5 --quiet --resume auto
prints '^step +nothing is left to do' "or says that nothing is"
(cd run && sha256sum --quiet -c ../sums)
result $? "no file has changed"
[ "$(find run | wc -l)" -eq $(($(wc -l <sums) + 1)) ]
result $? "and none has come"
run ranks 2 "$trainer" --check --output run "${common[@]}" --quiet
status_is 1 "what the run would refuse is refused"
says_once 'run: holds checkpoints of a run already' "with the same words, once"
SLURM_JOB_END_TIME=$(($(date +%s) + 1000)) run ranks 2 "$trainer" --check --data data --hidden 2048 \
    --window 64 --batch 16 --output new --quiet # steps of many milliseconds, of which tenths are told
status_is 0 "a job of a thousand seconds"
steps=$(sed -n 's/^deadline *about \([0-9]*\) steps fit before the job ends$/\1/p' out)
step_ms=$(sed -n 's/^step *\([0-9.]*\) ms .*/\1/p' out)
holds "says how many steps fit" "$step_ms * ${steps:-0} > 900e3 && $step_ms * ${steps:-0} < 1050e3"
SLURM_JOB_END_TIME=$(($(date +%s) + 5)) run ranks 2 "$trainer" --check "${common[@]}" --output new --quiet
status_is 1 "a job too short for a step and a checkpoint"
says_once "the job's time is too short for a step and a checkpoint" "is an error"
finish
