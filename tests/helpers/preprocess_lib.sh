# shellcheck shell=bash
# preprocess_lib.sh: sourced by tests that disturb preprocess: its options, and what must hold when it ends.
. "$SOURCE/tests/helpers/lib.sh"
preprocess=$BIN/preprocess
options=(--quiet --jobs 2 --shard-frames 3000 --tracks 'melody,chords,bass,drums')

# all_whole FOLDER: each file that has its final name holds what an undisturbed run's does, in whole/.
all_whole() {
    local file
    for file in "$1"/shard-*.h5 "$1"/report.tsv; do
        [ ! -e "$file" ] || cmp "$file" "whole/${file##*/}" || return 1
    done
}
