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
cat >half.sh <<'END'
tracks=melody
until [ -e go ]; do sleep 0.01; done
[ "$SLURM_PROCID" = 0 ] || tracks=melody,bass
exec "$MPIANIST_BIN/preprocess" --quiet --jobs 1 --shard-frames 20000 --tracks $tracks --output both songs
END
(sleep 2 && : >go) &
# shellcheck disable=SC2086
run srun --nodes=2 --ntasks-per-node=1 --wait=0 env ${bare-} bash half.sh
status_is 1 "of two at once on two hosts one fails"
# It learns of the other while that writes, or, as it has to watch for two seconds whether a host lives, after
# it.
says_once "both: job [0-9]* on h[12] \(pid [0-9]*\) writes here since|both/.* belongs to another corpus" \
    "and is told why"
run "$BIN/preprocess" --info both
status_is 0 "what is written is whole"
finish
