# shellcheck shell=bash
# preprocess on a disk that fills up, wherever that happens: named, with the file; nothing half-written; with
# more room the same command goes on.
. "$SOURCE/tests/helpers/preprocess_lib.sh"

# A small disk of its own needs a mount that only this test sees.
if [ -z "${FULL_DISK_INSIDE-}" ]; then
    if unshare --mount sh -c "mkdir -p '$WORK/try' && mount -t tmpfs none '$WORK/try'" 2>/dev/null; then
        FULL_DISK_INSIDE=1 exec unshare --mount bash "$0"
    fi
    echo "1..0 # SKIP a small disk needs root"
    exit 0
fi

"$BUILD/tests/helpers/make_songs" songs 120 5 || exit 1
"$preprocess" "${options[@]}" --output whole songs || exit 1
for part in 1 2 3; do "$preprocess" "${options[@]}" --part $part/3 --output parts songs || exit 1; done
mkdir disk

# room KIB: empties the small disk and gives it so much room; more KIB: only gives it more.
room() {
    mountpoint -q disk && umount disk
    mount -t tmpfs -o size="$1"k none disk
}
more() { mount -o remount,size="$1"k disk; }

# fill STEP MOST COMMAND...: the command on disks of STEP, 2 STEP, ... KIB, as prepare() sets them up, until
# one is large enough. On each that is not it must say so and, with more room, end as finished() wants. Adds
# to the file places which files were named.
fill() {
    local step=$1 most=$2 size
    shift 2
    for ((size = step; size <= most; size += step)); do
        room $size
        prepare || return 1
        "$@" 2>fill.err && return 0
        sed -n 's/^preprocess: disk\/out\/\([^:]*\): cannot .*: No space left on device; .*/\1/p' \
            fill.err >place
        [ -s place ] && [ "$(wc -l <fill.err)" -eq 1 ] || return 1
        sed 's/[0-9][0-9]*/N/g' place >>places
        all_whole disk/out && [ -z "$(find disk -name '*.tmp' -o -name '*.owner')" ] || return 1
        more $((16 * most))
        "$@" && finished || return 1
    done
    return 1
}

prepare() { mkdir disk/out; }
finished() { diff -r whole disk/out; }
: >places
# So that some sizes hold the spool and not all that is made of it.
step=$(($(cat whole/shard-* whole/report.tsv | wc -c) / 1024 / 3))
fill $step 6000 "$preprocess" "${options[@]}" --output disk/out songs
result $? "a run: disks of every size up to the one that it needs"
sort places | uniq -c | sed 's/^/# /'
grep -q '^preprocess.spool$' places
result $? "some too small for the spool"
grep -q '^shard-N-of-N.hN$' places
result $? "some for a shard"

finished() { cmp disk/out/preprocess-part-00002-of-00003.part parts/preprocess-part-00002-of-00003.part; }
options=("${options[@]/#2/1}") # --jobs 1: songs in order
"$preprocess" "${options[@]}" --part 2/3 --output again songs && cp again/*.part parts/
: >places
fill 60 2000 "$preprocess" "${options[@]}" --part 2/3 --output disk/out songs
result $? "a part"
grep -q '^preprocess-part-N-of-N.spool$' places
result $? "some too small for its spool"

prepare() { mkdir disk/out && ln -s "$PWD"/parts/*.part disk/out/; }
finished() { diff -r --exclude=preprocess.joined whole disk/out; }
: >places
fill 8 2000 "$preprocess" "${options[@]}" --join --output disk/out songs
result $? "a join"
sort places | uniq -c | sed 's/^/# /'
grep -q '^report.tsv$' places && grep -q '^shard-N-of-N.hN$' places
result $? "some too small for the report, some for a shard"

# The seal alone does not fit: a limit of file size one byte too low.
size=$(stat -c %s parts/preprocess-part-00002-of-00003.part)
run prlimit --fsize=$((size - 1)) bash -c "trap '' XFSZ; exec \"\$@\"" _ "$preprocess" "${options[@]}" \
    --part 2/3 --output sealed songs
status_is 1 "no room for a part's seal"
says '^preprocess: sealed/preprocess-part-00002-of-00003.*: cannot write: File too large; ' "is named"
[ "$(ls sealed)" = preprocess-part-00002-of-00003.spool ]
result $? "and the part is not taken for whole"
run "$preprocess" "${options[@]}" --part 2/3 --output sealed songs
status_is 0 "with room it goes on"
cmp sealed/preprocess-part-00002-of-00003.part parts/preprocess-part-00002-of-00003.part
result $? "to the same bytes"

finish
