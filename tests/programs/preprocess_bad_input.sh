# shellcheck shell=bash
# What preprocess is given and cannot use: each bad file costs a row of the report and nothing else, each bad
# flag is named.
. "$SOURCE/tests/helpers/lib.sh"
preprocess=$BIN/preprocess

# reason FILE REGEX DESCRIPTION: bad.out/report.tsv drops the file for this reason.
reason() {
    awk -F'\t' -v path="$1" '$1 == path && $2 == "dropped" { print $3 }' bad.out/report.tsv >"$WORK/.reason"
    grep -Eq -- "$2" "$WORK/.reason"
    local found=$?
    result "$found" "$3"
    [ "$found" -eq 0 ] || { echo "# no /$2/ in:"; grep -F "$1" bad.out/report.tsv | sed 's/^/# /'; }
}

"$BUILD/tests/helpers/make_songs" songs 6 || exit 1
song=songs/song-0000.mid

# --- one of each, among songs ---
mkdir -p bad/folder.mid
cp songs/*.mid bad/
cp "$song" bad/folder.mid/inside.mid
: >bad/empty.mid
head -c 5000 /dev/urandom >bad/noise.mid
echo "MThd is how it begins" >bad/text.mid
head -c 10 "$song" >bad/header-cut.mid
printf 'MThd\0\0\0\6\0\2\0\1\0\x60MTrk\0\0\0\4\0\xff\x2f\0' >bad/format-2.mid
printf 'MThd\0\0\0\6\0\0\0\1\xe7\x28MTrk\0\0\0\4\0\xff\x2f\0' >bad/smpte.mid
printf 'MThd\0\0\0\6\0\0\0\1\0\0MTrk\0\0\0\4\0\xff\x2f\0' >bad/no-ticks.mid
printf 'MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\4\0\xff\x2f\0' >bad/silent.mid
printf 'MThd\0\0\0\6\0\0\0\1\0\1MTrk\0\0\0\14\0\x90\x3c\x50\xff\xff\xff\x7f\x80\x3c\x40\0\xff\x2f\0' \
    >bad/long.mid
printf 'MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\14\0\x99\x24\x50\x60\x89\x24\x40\0\xff\x2f\0' >bad/only-drums.mid
ln -s nowhere bad/dangling.mid
mkfifo bad/pipe.mid
ln -s /dev/null bad/device.mid
truncate -s 65M bad/huge.mid
head -c 300 "$song" >bad/cut.mid
run "$preprocess" -j2 --output bad.out bad
status_is 0 "bad files among good ones"
[ "$(wc -l <bad.out/report.tsv)" -eq 23 ]
result $? "each file is one row"
[ "$(grep -c '^song-000[0-5].mid	kept' bad.out/report.tsv)" -ge 5 ]
result $? "the songs are kept"
reason empty.mid '^empty file$' "an empty file"
reason noise.mid . "noise"
reason text.mid . "text"
reason header-cut.mid . "a file cut in its header"
reason format-2.mid 'format 2' "format 2"
reason smpte.mid 'SMPTE' "SMPTE time"
reason no-ticks.mid . "no ticks a beat"
reason silent.mid . "a song without notes"
reason only-drums.mid . "drums alone, where drums are left out"
reason dangling.mid 'No such file' "a link to nowhere"
reason pipe.mid '^not a regular file$' "a named pipe"
reason device.mid '^not a regular file$' "a link to a device"
reason huge.mid '64 MiB' "a file far too large"
grep -Eq '^(folder.mid/inside|song-0000).mid	dropped	duplicate' bad.out/report.tsv
result $? "a folder that is named like a file is a folder"
says '^22 files: [78] kept' "the summary counts them"
says '^  [1-9][0-9]*: other reasons$' "and those that it does not name"
[ "$(grep -vcE '^( |[0-9]|every file:|mpianist preprocess)' "$WORK/err")" -eq 0 ]
result $? "workers that fail write nothing on the terminal"
run "$preprocess" --info bad.out
status_is 0 "the shards are whole"

# --- time: five million notes ---
{
    printf 'MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\xe4\xe1\xc8\0\x90\x3c\x50'
    yes $'\1<P' | tr -d '\n' | head -c 15000000
    printf '\0\xff\x2f\0'
} >slow.mid
run "$preprocess" --file-timeout 0.01 --dry-run --output slow slow.mid
status_is 1 "a file that takes more than --file-timeout"
grep -q '^slow.mid	dropped	took longer than 0.01 s; raise --file-timeout' slow/report.tsv
result $? "is dropped for that"
rm slow.mid

# --- memory ---
truncate -s 60M large.mid
case $CONFIG in
    asan) ;; # the sanitizer's own memory is larger than any limit
    *)
        run "$preprocess" --file-memory 16 --dry-run --output memory large.mid "$song"
        status_is 0 "a file that takes more than --file-memory"
        grep -Eiq '^large.mid	dropped	.*memory' memory/report.tsv
        result $? "is dropped for that"
        # A run that stops here does not remember it: the next may have other limits.
        run bash -c "ulimit -f 2; trap '' XFSZ
            '$preprocess' --jobs 1 --file-memory 16 --output limits large.mid '$song'"
        status_is 1 "such a file, then a full disk"
        run "$preprocess" --output limits large.mid "$song"
        status_is 0 "the same with more memory"
        ! grep -iq 'memory' limits/report.tsv
        result $? "reads the file again"
        ;;
esac

# --- songs with bytes changed, cut, or doubled, and wrong lengths: whatever becomes of them, each is a row
# ---
mkdir mutants
"$BUILD/tests/helpers/make_bad_midi" mutants 11 240 songs/song-000[0-5].mid || exit 1
run "$preprocess" --jobs 2 --tracks melody,chords,bass,drums --output mutants.out mutants
status_is 0 "240 damaged songs"
[ "$(wc -l <mutants.out/report.tsv)" -eq 241 ]
result $? "each is one row"
awk -F'\t' 'NR > 1 && ($2 == "dropped") != ($3 != "" &&
    $3 !~ /^transposed duplicate$/) && $9 == "" { print; bad = 1 } END { exit bad }' mutants.out/report.tsv
result $? "with a reason where it is dropped"
run "$preprocess" --info mutants.out
status_is 0 "and what is kept is a whole corpus"

# --- nothing to do ---
mkdir empty
run "$preprocess" --output none empty
status_is 1 "a folder without MIDI files"
says '^preprocess: no MIDI file .* in empty; name another' "is said to be one"
run "$preprocess" --output none nowhere
status_is 1 "a folder that is not there"
says '^preprocess: nowhere: .*No such file' "is named"
run "$preprocess" --output none --files-from nowhere.txt
status_is 1 "a list that is not there"
says '^preprocess: nowhere\.txt: cannot read the list of files: No such file or directory; ' "is named"
if [ "$(id -u)" -ne 0 ]; then # root may read all
    mkdir locked some
    cp "$(find songs -name '*.mid' | sort | head -n 1)" some/a.mid
    cp some/a.mid some/b.mid
    chmod 000 locked some/b.mid
    run "$preprocess" --output none locked
    status_is 1 "a folder that must not be read"
    says '^preprocess: locked: cannot read this folder: Permission denied; make it readable' "is named"
    run "$preprocess" --output some.out some
    status_is 0 "a file that must not be read"
    says '^  1: Permission denied$' "is left out, and why"
    chmod 700 locked
fi
mkdir hopeless
cp bad/noise.mid bad/text.mid bad/empty.mid hopeless
run "$preprocess" --output hopeless.out hopeless
status_is 1 "no file that can be used"
says '^preprocess: no songs: none of the files \(3\) could be used; hopeless.out/report.tsv says why' \
    "points to the report"
[ "$(wc -l <hopeless.out/report.tsv)" -eq 4 ]
result $? "which is there"
[ -z "$(find hopeless.out -name 'shard-*')" ]
result $? "and no shard is"

# --- places that cannot be written to ---
: >file
run "$preprocess" --output file/shards songs
status_is 1 "a folder that cannot be made"
says '^preprocess: file/shards: .*Not a directory' "is named"
run bash -c "ulimit -f 4; trap '' XFSZ; '$preprocess' --output full songs"
status_is 1 "a full disk"
says_once '^preprocess: full/[a-z.0-9-]*: cannot [a-z ]*: File too large; ' "is named, once, with the file"
[ -z "$(find full -name 'shard-*' -o -name '*.tmp')" ]
result $? "and no half-written file is left"
mkdir foreign
echo "not HDF5" >foreign/shard-00000-of-00001.h5
run "$preprocess" --output foreign songs
status_is 1 "a shard's name on something else"
says 'foreign/shard-00000-of-00001.h5.*--replace' "is refused with the way out"
grep -q 'not HDF5' foreign/shard-00000-of-00001.h5
result $? "and left alone"

# --- usage ---
# refuses REGEX ARGUMENT...: exit status 2, the message, and where to read on.
refuses() {
    local wanted=$1
    shift
    run "$preprocess" "$@"
    [ "$status" -eq 2 ] && grep -Eq -- "$wanted" "$WORK/err" &&
        grep -q "^Try 'preprocess --help'" "$WORK/err" && [ ! -s "$WORK/out" ]
    local refused=$?
    result "$refused" "refused: $*"
    [ "$refused" -eq 0 ] || { echo "# exit status $status, wanted 2 and /$wanted/ in:"; sed 's/^/# /' \
        "$WORK/err"; }
}
refuses 'input' --output refused
refuses '--output is missing' songs
refuses '--trakcs: unknown option; did you mean --tracks\?' --output refused --trakcs=merged songs
refuses 'name .* is empty' --output '' songs
refuses 'name .* is empty' --output refused songs ''
refuses 'name .* is empty' --info ''
refuses '--info .* nothing else' --info songs --output refused
refuses '--info .* nothing else' --info songs songs
refuses 'unknown|Unknown' --output refused --no-such-flag songs
refuses "jobs: is there twice, with '2' and '1'; give it once" --output refused --jobs 2 -j1 songs
refuses 'steps-per-beat.* 0 ' --output refused --steps-per-beat 0 songs
refuses 'steps-per-beat.* 97 ' --output refused --steps-per-beat 97 songs
refuses 'steps-per-beat' --output refused --steps-per-beat four songs
refuses 'pitch-low.* 128 ' --output refused --pitch-low 128 songs
refuses 'pitches.* 108 .*1 to 107' --output refused --pitches 108 songs
refuses 'tracks' --output refused --tracks kazoo songs
refuses 'tracks' --output refused --tracks '' songs
refuses 'jobs.* 0 ' --output refused --jobs 0 songs
refuses 'file-timeout.* -1 ' --output refused --file-timeout -1 songs
refuses 'file-timeout' --output refused --file-timeout nan songs
refuses 'file-memory.* 0 ' --output refused --file-memory 0 songs
refuses 'shard-frames.* 0 ' --output refused --shard-frames 0 songs
for split in 80,10 80,10,20 80,10,x 110,-5,-5 ",," nan,nan,nan '80,10,10,0'; do
    refuses "split.*'$split'" --output refused --split "$split" songs
done
refuses 'split' --output refused --split 80,10,10 --split-by-folder songs
[ ! -e refused ]
result $? "and nothing is written"
run "$preprocess" --info nowhere
status_is 1 "--info of no folder"
says '^preprocess: nowhere: no such folder' "is named"
run "$preprocess" --info empty
says '^preprocess: empty: holds no shards; name the folder' "--info of a folder without shards"
run "$preprocess" --help
status_is 0 "--help"
prints 'steps-per-beat.*default: 4' "shows defaults"
prints "default: $(nproc)," "of this machine, too"
run "$preprocess" --version
prints '^mpianist-preprocess [0-9]+\.[0-9]+\.[0-9]+$' "--version"

finish
