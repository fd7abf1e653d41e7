# shellcheck shell=bash
# preprocess end to end on generated songs: the same bytes whatever --jobs, splits that stay, duplicates,
# report, figures, interruption.
. "$SOURCE/tests/helpers/lib.sh"
preprocess=$BIN/preprocess

# same_shards A B DESCRIPTION: two folders hold the same shards, byte by byte.
same_shards() {
    local a b
    a=$(cd "$1" && sha256sum shard-*.h5) && b=$(cd "$2" && sha256sum shard-*.h5) && [ "$a" = "$b" ]
    result $? "$3"
}

# column FILE NAME: a report's column, with the path before it.
column() {
    awk -F'\t' -v name="$2" \
        'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i; next } { print $1 "\t" $c }' "$1"
}

# row FILE PATH NAME VALUE DESCRIPTION: the report says this of a file.
row() {
    local got
    got=$(column "$1" "$3" | awk -F'\t' -v path="$2" '$1 == path { print $2 }')
    [ "$got" = "$4" ]
    local same=$?
    result "$same" "$5"
    [ "$same" -eq 0 ] || echo "# $3 of $2: '$got', wanted '$4'"
}

"$BUILD/tests/helpers/make_songs" songs 24 || exit 1

# --- output that does not depend on how it was made ---
run "$preprocess" --jobs 1 --shard-frames 1500 --output one songs
status_is 0 "one worker at a time"
run "$preprocess" --jobs 3 --shard-frames 1500 --output three songs
status_is 0 "three at a time"
[ "$(find one -name 'shard-*.h5' | wc -l)" -gt 2 ]
result $? "--shard-frames makes several shards"
same_shards one three "the same bytes"
cmp -s one/report.tsv three/report.tsv
result $? "the same report"
[ ! -e one/preprocess.spool ] && [ -z "$(find one -name '*.tmp')" ]
result $? "nothing but shards and report is left"
[ "$(wc -l <one/report.tsv)" -eq 25 ] && [ "$(cut -f 2 one/report.tsv | grep -c '^kept$')" -eq 24 ]
result $? "a row of the report for each file"
run "$preprocess" --jobs 2 --shard-frames 1500 --output one songs
status_is 0 "the same command again"
same_shards one three "gives the same bytes again"
run "$preprocess" --shard-frames 2500 --output one songs
status_is 1 "another corpus in the same folder is refused"
says '^preprocess: one/shard-.*belongs to another corpus.*--output.*--replace' "with the way out"
same_shards one three "and the old one stays"
run "$preprocess" --replace --shard-frames 2500 --output one songs
status_is 0 "--replace takes its place"
run "$preprocess" --info one
status_is 0 "which is then one whole corpus"

# --- order and paths ---
find songs -name '*.mid' | sort -r >list
run "$preprocess" --jobs 1 --shard-frames 1500 --files-from list --output listed
status_is 0 "--files-from"
column listed/report.tsv sha256 | cut -f 2 >listed.sha
column three/report.tsv sha256 | cut -f 2 | cmp -s - listed.sha
result $? "files are ordered by name, not as they were listed"
run bash -c "'$preprocess' --shard-frames 1500 --files-from - --output standard_input <list"
status_is 0 "--files-from -"
same_shards listed standard_input "standard input is a list like any other"
mkdir -p deep/A/b deep/c
cp songs/song-0000.mid deep/A/b/ONE.MID
cp songs/song-0001.mid deep/c/two.Kar
cp songs/song-0002.mid deep/three.midi
cp songs/song-0003.mid "deep/c/$(printf 'tab\there \\ caf\351.mid')"
cp songs/song-0004.mid deep/not-music.txt
ln -s .. deep/c/loop
ln -s ../three.midi deep/c/again.mid
run "$preprocess" --dry-run --output deep.out deep deep/c/two.Kar
status_is 0 "folders in folders, any case of the ending, odd names, links in a circle"
[ "$(wc -l <deep.out/report.tsv)" -eq 5 ]
result $? "each file counts once, however it is reached"
[ "$(awk -F'\t' '{ print NF }' deep.out/report.tsv | sort -u | wc -l)" -eq 1 ]
result $? "tabs in names make no columns"
iconv -f UTF-8 -t UTF-8 deep.out/report.tsv >/dev/null
result $? "a name that is not UTF-8 makes a report that is"
[ "$(ls deep.out)" = report.tsv ]
result $? "--dry-run writes only the report"

# --- duplicates ---
mkdir twins
cp songs/song-000[0-9].mid twins/
cp songs/song-0003.mid twins/zz-copy.mid
run "$preprocess" --output twins.out twins
status_is 0 "a corpus with a copy"
row twins.out/report.tsv zz-copy.mid status dropped "a copy under another name is dropped"
row twins.out/report.tsv zz-copy.mid duplicate_of song-0003.mid "and named for what it is"
row twins.out/report.tsv song-0003.mid status kept "the first of the two stays"
run "$preprocess" --info twins.out
prints '^twins.out: 10 songs' "the shards hold it once"

# midi FILE PITCH...: format 0, 96 ticks a beat, quarter notes one after the other.
midi() {
    local file=$1 events='' pitch
    shift
    for pitch in "$@"; do
        events+=$(printf '\\x00\\x90\\x%02x\\x50\\x60\\x80\\x%02x\\x40' "$pitch" "$pitch")
    done
    events+='\x00\xff\x2f\x00'
    printf '%b' "MThd\\x00\\x00\\x00\\x06\\x00\\x00\\x00\\x01\\x00\\x60MTrk$(printf \
        '\\x%02x\\x%02x\\x%02x\\x%02x' 0 0 0 $((${#events} / 4)))$events" >"$file"
}
mkdir keys
midi keys/a.mid 60 62 64
midi keys/b.mid 65 67 69
midi keys/c.mid 60 62 65
run "$preprocess" --output keys.out keys
status_is 0 "a corpus with a transposed copy"
row keys.out/report.tsv b.mid status kept "it is kept"
row keys.out/report.tsv b.mid reason "transposed duplicate" "and reported"
row keys.out/report.tsv b.mid duplicate_of a.mid "with what it is a transposition of"
row keys.out/report.tsv c.mid duplicate_of "" "another tune is none"
column keys.out/report.tsv split |
    awk -F'\t' '{ split_of[$1] = $2 } END { exit split_of["a.mid"] != split_of["b.mid"] }'
result $? "a song and its transposition fall in one split"
run "$preprocess" --drop-transposed --output keys.dropped keys
row keys.dropped/report.tsv b.mid status dropped "--drop-transposed drops it"
row keys.dropped/report.tsv a.mid notes 3 "notes are counted"
row keys.dropped/report.tsv a.mid frames 12 "frames are sixteenths"
row keys.dropped/report.tsv a.mid meter 4/4 "no meter means 4/4"
row keys.dropped/report.tsv a.mid tempo_bpm 120.00 "no tempo means 120"
run "$preprocess" --meter 3/8 --output keys.meter keys
status_is 0 "a meter for all songs"
row keys.meter/report.tsv c.mid meter 3/8 "it is theirs"
run "$preprocess" --info keys.meter
prints '^options .* --tracks merged --meter 3/8 --split' "and among the options"
run "$preprocess" --meter 3/5 --output keys.none keys
status_is 2 "a meter that is none"
says 'preprocess: --meter 3/5: not a meter; give one like 4/4 or 6/8' "by name"
run "$preprocess" --tracks melody,counter,alto --output keys.none keys
status_is 2 "a role that is none"
says 'no such role: alto; give "merged" or some of melody,counter,chords,bass,drums' "names those that are"

# --- grid ---
run "$preprocess" --dry-run --steps-per-beat 12 --pitch-low 62 --pitches 3 --output grid keys/a.mid
status_is 0 "a small grid"
row grid/report.tsv keys/a.mid frames 36 "--steps-per-beat"
row grid/report.tsv keys/a.mid out_of_range 1 "notes out of range are counted"
row grid/report.tsv keys/a.mid notes 2 "and left out"
run "$preprocess" --dry-run --pitch-low 36 --pitches 12 --fold-octaves --output grid keys/a.mid
row grid/report.tsv keys/a.mid folded 3 "--fold-octaves moves them in"
row grid/report.tsv keys/a.mid notes 3 "and keeps them"

# --- silences, notes that hang, notes on one frame ---
# bytes FILE HEX...: a file of format 0 with 96 ticks a beat and this track.
bytes() {
    local file=$1 hex
    shift
    hex=$(printf '%s' "$@" | tr -d ' ')
    printf '%b' "$(printf '4d546864000000060000000100604d54726b%08x%s' $((${#hex} / 2)) "$hex" |
        sed 's/../\\x&/g')" >"$file"
}
mkdir long
bytes long/end.mid '00903c40 60803c40 fffff070 ff2f00'                            # a wild time before the end
bytes long/note.mid '00903c40 60803c40 00904040 ffff7f 804040 00ff2f00'           # a note that hangs
bytes long/rest.mid '00ff580403021808 00903c40 60803c40 b360 904040 60804040 00ff2f00' # 23 bars of 3/4
bytes long/trill.mid '00903c40 06803c40 06903c40 06803c40 06903c40 06803c40 00ff5103000001 00b0ff00 00ff2f00'
run "$preprocess" --split 100,0,0 --output long.out long
status_is 0 "songs of wild lengths"
row long.out/report.tsv end.mid frames 254 \
    "silence is cut to 16 bars, what is left of the bars at its edges with it"
row long.out/report.tsv end.mid silence_cut 699030 "and counted"
row long.out/report.tsv note.mid notes_cut 1 "a note that hangs is cut"
row long.out/report.tsv rest.mid silence_cut 7 "bars are those of the song's meter"
row long.out/report.tsv trill.mid merged 1 "two notes of a key in one frame are one"
row long.out/report.tsv trill.mid notes 2 "in the roll"
row long.out/report.tsv trill.mid tempi_left_out 1 "a tempo of a microsecond is not believed"
row long.out/report.tsv trill.mid events_left_out 1 "an event that is none is left out"
row long.out/report.tsv trill.mid tempo_bpm 120.00 "and not taken"
says '^  [0-9]+ bars of silence cut out, in 3 files \(--max-silence\)$' "the summary tells silence"
says '^  1 note cut short, in 1 file \(--max-note\)$' "notes cut"
says '^  1 note in one frame with another of its key, in 1 file' "notes that fell together"
says '^  1 damaged event left out, in 1 file$' "damage"
says '^  1 tempo not believed, in 1 file' "and tempi"
run "$preprocess" --info long.out
prints '^options .* --tracks merged --split' \
    "the limits are not among the options where they are the usual ones"
run "$preprocess" --max-silence 0 --max-note 2 --split 100,0,0 --output short.out long/rest.mid long/note.mid
status_is 0 "no limit to silence, notes of two bars"
row short.out/report.tsv long/rest.mid silence_cut 0 "nothing is cut"
row short.out/report.tsv long/rest.mid frames 284 "all is there"
run "$preprocess" --info short.out
prints '^options .* --max-silence 0 --max-note 2 --split' "which the options tell"
run "$preprocess" --meter 1/4 --dry-run --output meter.out long/rest.mid
row meter.out/report.tsv long/rest.mid silence_cut 53 "--meter decides what a bar is"

# --- splits ---
mkdir more
cp songs/*.mid more/
"$BUILD/tests/helpers/make_songs" other 12 99 || exit 1
for song in other/*.mid; do cp "$song" "more/aa-$(basename "$song")"; done
run "$preprocess" --dry-run --split 50,25,25 --output few.out songs
run "$preprocess" --dry-run --split 50,25,25 --output more.out more
[ "$(wc -l <more.out/report.tsv)" -eq 37 ]
result $? "a corpus to which songs were added"
column few.out/report.tsv split >few
column more.out/report.tsv split | grep -v '^aa-' | cmp -s - few
result $? "no song moved to another split"
[ "$(cut -f 2 few | sort -u | wc -l)" -eq 3 ]
result $? "each split has songs"
mkdir -p folders/train folders/valid folders/test/inner
cp songs/song-000[0-4].mid folders/train
cp songs/song-0005.mid folders/valid
cp songs/song-0000.mid folders/test/inner/copy.mid
run "$preprocess" --split-by-folder --output folders.out folders
status_is 0 "--split-by-folder"
row folders.out/report.tsv valid/song-0005.mid split valid "a folder's name is the split"
row folders.out/report.tsv test/inner/copy.mid split test "of folders below it, too"
row folders.out/report.tsv train/song-0000.mid duplicate_of test/inner/copy.mid "a duplicate is reported"
row folders.out/report.tsv train/song-0000.mid status kept "and stays as published"
run "$preprocess" --dry-run --split-by-folder --output three.out folders/test folders/valid folders/train
[ "$(cut -f 1,10 three.out/report.tsv | grep -c '^folders/\(train\|valid\|test\)/.*	\1$')" -eq 7 ]
result $? "several folders are told apart by their names"
cp songs/song-0006.mid folders/loose.mid
run "$preprocess" --split-by-folder --replace --output folders.out folders
row folders.out/report.tsv loose.mid status dropped "a file in no such folder is dropped"

# --- figures and other readers ---
midi bernoulli.mid 60
run "$preprocess" --split 100,0,0 --output bernoulli bernoulli.mid
says '^1 file: 1 kept' "one is one"
run "$preprocess" --info bernoulli
status_is 0 "--info"
prints '^bernoulli: 1 song in 1 shard, ' "of one song"
# One note, sounding in all 4 frames: p = 4.5 / 5 for it, 0.5 / 5 for the other 87: 88 * -ln 0.9 = 9.272 nats.
prints '^train +1 +4 +1 +1\.000 +9\.272$' "the Bernoulli baseline is what it is on paper"
prints '^test +0 +0 +0 +0\.000 +-$' "an empty split has none"
prints '^split +velocity +sd +offset, frames +sd$' "how notes are played"
prints '^train +[0-9.]+ +0\.00 +\+0\.0000 +0\.000$' "one note, on the grid"
row one/report.tsv song-0001.mid offset_sd 0.000 "of music that was typed no offsets"
row one/report.tsv song-0001.mid velocity_sd "$(column one/report.tsv velocity_sd | awk -F '\t' \
    '$1 == "song-0001.mid" && $2 > 0 { print $2 }')" "velocities that differ"
run bash -c "'$preprocess' --info bernoulli >/dev/full"
status_is 1 "output that cannot be written is an error"
says 'standard output: cannot write: No space left on device' "by name"
if command -v h5dump >/dev/null; then
    run h5dump -d /songs -a corpus_id "$(find three -name 'shard-00000-*')"
    status_is 0 "h5dump reads a shard"
    prints '"song-0000.mid' "and finds the song table"
fi
if python3 -c 'import h5py' 2>/dev/null; then
    run python3 "$SOURCE/examples/read_song.py" bernoulli 0
    status_is 0 "h5py reads a song"
    prints '^bernoulli\.mid \(4, 1, 2, 88\) 120 bpm, 1 notes, 4 cells sounding$' "as it is"
fi

# --- interruption ---
"$BUILD/tests/helpers/make_songs" many 150 7 || exit 1
"$BUILD/tests/helpers/make_maps" many/maps.mid || exit 1
run "$preprocess" --jobs 1 --shard-frames 5000 --output whole many
status_is 0 "a run that nobody stops"
# Killed later and later, so that a slow machine is caught amid its work, too.
interrupted=0
for delay in 0.01 0.02 0.04 0.08 0.16 0.32 0.64 1.28 2.56; do
    "$preprocess" --jobs 2 --shard-frames 5000 --output stopped many 2>/dev/null &
    pid=$!
    sleep "$delay"
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    [ ! -s stopped/preprocess.spool ] || interrupted=$((interrupted + 1))
    [ "$interrupted" -lt 3 ] || break
done
[ "$interrupted" -gt 0 ]
result $? "a run killed amid its work"
run "$preprocess" --jobs 2 --shard-frames 5000 --output stopped many
status_is 0 "the same command finishes it"
same_shards whole stopped "to the same bytes"
cmp -s whole/report.tsv stopped/report.tsv
result $? "and the same report"
[ ! -e stopped/preprocess.spool ] && [ -z "$(find stopped -name '*.tmp')" ]
result $? "and leaves nothing else behind"

# A full disk, here a limit of file size, ends a run after a few files.
mkdir part
cp many/song-000*.mid part/
run bash -c "ulimit -f 40; trap '' XFSZ; '$preprocess' --jobs 1 --output spooled part"
status_is 1 "a run that meets a full disk"
says '^preprocess: spooled/.*File too large' "names file and cause"
[ -s spooled/preprocess.spool ] && [ -z "$(find spooled -name 'shard-*')" ]
result $? "and leaves what it has parsed, and no shard"
run "$preprocess" --jobs 1 --output unspoiled part
# What was parsed is not read again: a first file that is spoilt, with size and time as before, does not
# matter. One that has another time does.
cp -p part/song-0000.mid first.mid
head -c "$(stat -c %s first.mid)" /dev/zero >part/song-0000.mid
touch -r first.mid part/song-0000.mid
run "$preprocess" --jobs 1 --output spooled part
status_is 0 "the next run goes on from there"
same_shards unspoiled spooled "without reading again what was read"
run bash -c "ulimit -f 40; trap '' XFSZ
    '$preprocess' --jobs 1 --replace --output spooled part/song-000[1-9].mid"
truncate -s -7 spooled/preprocess.spool
cp songs/song-0001.mid part/song-0001.mid
touch -d '2001-01-01' part/song-0001.mid
run "$preprocess" --jobs 1 --output changed part/song-000[1-9].mid
run "$preprocess" --jobs 1 --replace --output spooled part/song-000[1-9].mid
status_is 0 "a torn spool, and a file that has changed"
same_shards changed spooled "are read again"

finish
