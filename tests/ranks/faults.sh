# shellcheck shell=bash
# shellcheck disable=SC2317 # sweep() calls the functions
# trainer killed at each of its changes to files, and failed there by the disk: on one rank, on two, and where
# it adds attributes to a checkpoint. It goes on to the bits of an undisturbed run. For a disk that is slow it
# waits.
. "$SOURCE/tests/helpers/train_lib.sh"
. "$SOURCE/tests/helpers/fault_lib.sh"

make_corpus data 16 --split 60,40,0
# An epoch has three steps.
common=(--data data --hidden 8 --latent 2 --window 16 --batch 24 --transpose "-1,1" --quiet --resume auto)
options=("${common[@]}" --max-steps 4 --checkpoint-every "2 steps" --keep 1)

whole() { run_is_intact; }
finished() { run_has_ended; }
prepare() { rm -rf run; }
tries_again=true
# Folders are tried again after their parents, disks without links are known, lines of metrics wait, and what
# could not be removed is removed by the next run.
harmless='^(mkdir|link) |^unlink .*\.(tmp|owner) |^write ./metrics.jsonl '

# five calls for a checkpoint, three for a link; run.ini, metrics, and the mark have some twenty.
"$trainer" "${options[@]}" --output whole || exit 1
what="one rank"
sweep kill run 33 "$trainer" "${options[@]}" --output run
sweep torn run 5 "$trainer" "${options[@]}" --output run
sweep fail run 33 "$trainer" "${options[@]}" --output run

# Rank 0 of two, which rank 1 does not outlive.
rm -rf whole
launch() { ranks 2 "$@"; }
launch "$trainer" "${options[@]}" --output whole || exit 1
where=(--rank 0)
what="rank 0 of two" about='checkpoint|latest|best|metrics'
sweep kill run 20 "$trainer" "${options[@]}" --output run
launch() { "$@"; }
where=() about=.

# The first checkpoint is of the best state; at an epoch's end, and inside an epoch.
for steps in 3 4; do
    rm -rf whole
    "$trainer" "${common[@]}" --max-steps $steps --output whole || exit 1
    what="one checkpoint, of step $steps"
    about='checkpoint|latest|best'
    sweep kill run 9 "$trainer" "${common[@]}" --max-steps $steps --output run
done

rm -rf whole
make_corpus songs 3 --tracks melody,chords,bass,drums --split 100,0,0
mkdir before
"$BUILD/tests/helpers/make_checkpoint" before/model.h5 && cp -r before whole &&
    "$trainer" --attributes whole/model.h5 --data songs --quiet >/dev/null || exit 1
prepare() { rm -rf run && cp -r before run; }
whole() { cmp run/model.h5 before/model.h5 || cmp run/model.h5 whole/model.h5; }
finished() { diff -r whole run; }
what="attributes" about=.
sweep kill run 9 "$trainer" --attributes run/model.h5 --data songs --quiet
sweep fail run 9 "$trainer" --attributes run/model.h5 --data songs --quiet

# Writing the last checkpoint takes six seconds: longer than both spans after which a run that stands still is
# ended.
prepare() { rm -rf run; }
launch() { ranks 2 "$@"; }
where=(--rank 0) about='^write ./checkpoint'
last=("$trainer" --output run "${common[@]}" --max-steps 4)
points slow run "${last[@]}"
prepare
began=$SECONDS
disturbed run slow "${numbers[-1]}" "${last[@]}" --stall-seconds 2
status_is 0 "a last checkpoint that takes six seconds: the run waits for it"
holds "which took so long" "$((SECONDS - began)) >= 6"
[ ! -s err ]
result $? "and nobody minds"

finish
