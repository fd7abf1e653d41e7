# shellcheck shell=bash
# preprocess in parts: the join's bytes are a single run's; parts that are missing, foreign or damaged are
# named; what was done is not done twice.
. "$SOURCE/tests/helpers/lib.sh"
preprocess=$BIN/preprocess
options=(--shard-frames 1500 --tracks 'melody,chords,bass,drums')

# part I/N OUTPUT [OPTION...], join OUTPUT [OPTION...]: of songs/.
part() { run "$preprocess" "${options[@]}" --jobs 2 --part "$1" --output "$2" "${@:3}" songs; }
join() { run "$preprocess" "${options[@]}" --join --output "$1" "${@:2}" songs; }

# parts N OUTPUT: all of them, the last first.
parts() {
    local i
    for ((i = $1; i > 0; i--)); do part "$i/$1" "$2" && [ "$status" -eq 0 ] || return 1; done
}

# same A B DESCRIPTION: two folders hold the same shards and the same report, byte by byte.
same() {
    local a b
    a=$(cd "$1" && sha256sum report.tsv shard-*.h5) && b=$(cd "$2" && sha256sum report.tsv shard-*.h5) &&
        [ "$a" = "$b" ]
    result $? "$3"
}

# Songs with copies among them, a file that is no music, one that is empty.
"$BUILD/tests/helpers/make_songs" songs 40 || exit 1
for i in 01 07 12 23; do cp "songs/song-00$i.mid" "songs/zz-copy-$i.mid"; done
echo 'not music' >songs/aa-text.mid
: >songs/empty.mid
run "$preprocess" "${options[@]}" --output one songs
status_is 0 "a single run"

# --- the same bytes ---
ok "five parts" parts 5 five
[ -z "$(find five -name 'shard-*' -o -name 'report.tsv')" ]
result $? "make no shard and no report"
join five
status_is 0 "a join"
same one five "gives a single run's bytes, duplicates across parts included"
says '^46 files: 40 kept' "and its summary"
[ -z "$(find five -name '*.part' -o -name '*.spool' -o -name '*.tmp')" ]
result $? "no part is left"
join five
status_is 0 "a second join"
says '^preprocess: five: joined already, nothing to do$' "has nothing to do"
part 2/5 five
status_is 0 "nor has a part that comes again"
says '^preprocess: five: joined already' "and says so"
same one five "the shards stand"
run "$preprocess" --info five
status_is 0 "as one whole corpus"
pids=()
for i in 1 2 3 4; do
    "$preprocess" --quiet "${options[@]}" --part $i/4 --output four songs &
    pids+=($!)
done
wait "${pids[@]}" && join four
same one four "parts made at once"
parts 1 single && join single
same one single "one part is a run in two steps"
ok "more parts than files" parts 50 fifty
join fifty
same one fifty "some of which are empty"

# --- what keeps parts from being joined ---
join none
status_is 1 "no parts"
says '^preprocess: none: holds no parts to join; .*--part I/N' "are told, with the way out"
for i in 1 2 5; do part $i/6 six; done
join six
status_is 1 "parts that are missing"
again='run the same command with --part'
says "^preprocess: six: parts 3-4,6 of 6 are missing; $again I/6 in place of --join for I = 3-4,6\$" \
    "are named"
for i in 3 4; do part $i/6 six; done
part 2/6 six --pitches 60
part 6/6 six
join six
status_is 1 "a part with other options"
says "^preprocess: six: part 2 of 6 is made with other options; $again 2/6 in place of --join\$" "is named"
part 2/6 six
cp six/preprocess-part-00001-of-00006.part six/preprocess-part-00003-of-00006.part
printf 'X' | dd of=six/preprocess-part-00004-of-00006.part bs=1 seek=2000 conv=notrunc status=none
truncate -s -1 six/preprocess-part-00005-of-00006.part
join six
status_is 1 "parts that are damaged, and one under another's name"
says 'parts 4-5 of 6 are damaged; part 3 of 6 is called by another one.s name; .* for I = 3-5$' "are named"
[ -z "$(find six -name 'shard-*' -o -name 'report.tsv')" ]
result $? "and nothing is written"
run "$preprocess" --info six
says '^preprocess: six: holds no shards yet, only what a run or its parts have parsed; ' \
    "--info says how far it is"
printf '9' | dd of=six/preprocess-part-00002-of-00006.part bs=1 seek=15 conv=notrunc status=none
join six
says 'part 2 of 6 is made by another version of this program; .* for I = 2-5$' \
    "a part of another version, too"
for i in 2 3 4 5; do part $i/6 six; done
join six
same one six "the command that was named mends it"
part 1/2 mixed
part 1/3 mixed
join mixed
status_is 1 "parts of two and of three"
says '^preprocess: mixed: holds parts of 2 and parts of 3; .*rm mixed/' "are told apart"
ok "two parts" parts 2 grown
cp songs/song-0003.mid songs/zz-later.mid
join grown
status_is 1 "a file that came later"
says 'parts 1-2 of 2 are made from another list of files' "is noticed"
rm songs/zz-later.mid
join grown
same one grown "without it all is well"

# --- who makes a part ---
mkdir busy
printf '[owner]\nhost=h9\npid=123\njob=31_2\nsince=1000000000\n' >busy/preprocess-part-00002-of-00003.owner
while :; do
    touch busy/preprocess-part-00002-of-00003.owner
    sleep 0.3
done &
pid=$!
part 2/3 busy
status_is 1 "a part that another host is making"
says '^preprocess: part 2 of 3: busy: job 31_2 on h9 \(pid 123\) writes here since 2001-09-09 ' \
    "is left to it, by name"
part 1/3 busy
status_is 0 "another part is free"
kill $pid
wait $pid 2>/dev/null

# --- options ---
ok "three parts" parts 3 look
join look --dry-run
status_is 0 "--join --dry-run"
[ "$(find look -type f | wc -l)" -eq 4 ] && cmp -s one/report.tsv look/report.tsv
result $? "writes the report and keeps the parts"
join look --quiet
[ ! -s err ]
result $? "--quiet"
same one look "a join follows"
find songs -name '*.mid' | sort -r >list
for i in 1 2; do run "$preprocess" "${options[@]}" --part $i/2 --files-from list --output listed; done
run "$preprocess" "${options[@]}" --join --files-from list --output listed
run "$preprocess" "${options[@]}" --files-from list --output listed.one
same listed.one listed "--files-from"
for wrong in 0/3 4/3 3 a/b 1/0 1/5000 1/2/3 -1/2; do
    run "$preprocess" --part=$wrong --output wrong songs
    [ "$status" -eq 2 ] && grep -q 'give I/N with I from 1 to N' "$WORK/err"
    result $? "--part $wrong is refused"
done
run "$preprocess" --part 1/2 --join --output wrong songs
status_is 2 "--part and --join"

finish
