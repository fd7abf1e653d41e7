# shellcheck shell=bash
# preprocess.sbatch as it is shipped: an array of parts and the join after it make the bytes of a single run;
# two runs on two hosts, on a disk without locks, do not spoil each other.
. "$SOURCE/tests/helpers/slurm_lib.sh"
"$BUILD/tests/helpers/make_songs" songs 300 || exit 1
export MPIANIST_MIDI=songs MPIANIST_PREPROCESS="--tracks melody,chords,bass,drums --shard-frames 20000"

# sums FOLDER: of what it holds.
sums() { (cd "$1" && sha256sum report.tsv shard-*.h5); }

# shellcheck disable=SC2086
run "$BIN/preprocess" --quiet $MPIANIST_PREPROCESS --output single songs
status_is 0 "a single run"

export MPIANIST_SHARDS=shards
submit --array=1-4 --cpus-per-task=1 "$scripts/preprocess.sbatch"
parts=$job
submit --dependency="afterok:$parts" --cpus-per-task=1 "$scripts/preprocess.sbatch" --join
ends "$job" COMPLETED 0 "an array of four parts, and the join after it"
ok "make the bytes of a single run" diff <(sums single) <(sums shards)
matches "mpianist-preprocess-${parts}_3.out" "preprocess --part 3/4" "each task says which part it makes"

# A repeat of a part of the array would make parts of another number.
for tasks in 1,3 2-3 1; do
    MPIANIST_SHARDS=shards submit "--array=$tasks" --cpus-per-task=1 "$scripts/preprocess.sbatch"
    ends "$job" FAILED 2 "--array=$tasks alone is refused"
    matches "mpianist-preprocess-${job}_${tasks:0:1}.out" 'repeat the whole array' "with the way out"
done
submit --array=1-4 --cpus-per-task=1 "$scripts/preprocess.sbatch"
ends "$job" COMPLETED 0 "the whole array again"
ok "leaves the bytes" diff <(sums single) <(sums shards)

MPIANIST_SHARDS=alone submit --cpus-per-task=2 "$scripts/preprocess.sbatch"
ends "$job" COMPLETED 0 "without an array: one job makes all"
ok "with the same bytes" diff <(sums single) <(sums alone)

# A part that fails keeps its status, and the join does not start.
MPIANIST_MIDI=nothing MPIANIST_SHARDS=none submit --array=1-2 --cpus-per-task=1 "$scripts/preprocess.sbatch"
parts=$job
submit --dependency="afterok:$parts" --cpus-per-task=1 "$scripts/preprocess.sbatch" --join
ok "a part that fails ends as failed" until_true 60 has_state "$parts" FAILED
ok "and the join never starts" until_true 60 is_for "$job" Reason DependencyNeverSatisfied
scancel "$job"

# Two at once into one folder, each on a host, where the disk knows no locks.
cat >bare.c <<'END'
#include <errno.h>
int flock(int fd, int operation) { (void)fd, (void)operation; return errno = ENOSYS, -1; }
END
# shellcheck disable=SC2086
ok "a disk without locks" ${CC:-cc} -shared -fPIC -o bare.so bare.c
[ "$CONFIG" = asan ] || bare=LD_PRELOAD=$PWD/bare.so
# The first is held amid its work: its worker stands still, it goes on to say that it lives.
cat >half.sh <<'END'
preprocess=("$MPIANIST_BIN/preprocess" --quiet --jobs 1 --shard-frames 20000 --output both songs --tracks)
if [ "$SLURM_PROCID" = 0 ]; then
    "${preprocess[@]}" melody &
    until [ -e both/preprocess.owner ] && pkill -STOP -P $!; do :; done
    : >held
    until [ -e go ]; do sleep 0.1; done
    pkill -CONT -P $!
    wait $!
else
    until [ -e held ]; do sleep 0.1; done
    "${preprocess[@]}" melody,bass
    status=$?
    : >go
    exit $status
fi
END
# shellcheck disable=SC2086
run timeout 120 srun --nodes=2 --ntasks-per-node=1 --wait=0 env ${bare-} bash half.sh
status_is 1 "of two at once on two hosts one fails"
says_once 'both: job [0-9]* on h[12] \(pid [0-9]*\) writes here since' "and is told why"
run "$BIN/preprocess" --info both
status_is 0 "what is written is whole"
finish
