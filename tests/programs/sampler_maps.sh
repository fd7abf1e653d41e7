#!/usr/bin/env bash
# Songs that change meter and tempo, through preprocess, every verb that takes a song, and score: changes
# stand where they stood, bars are counted by them.
# shellcheck disable=SC2317 # `ok` calls the helpers
. "$SOURCE/tests/helpers/lib.sh"
sampler=$BIN/sampler
tracks=melody,chords,bass,drums

"$BUILD/tests/helpers/make_checkpoint" model.h5 --segment 8 --bias -5 ||
    { echo "Bail out! no checkpoint"; exit 1; }
"$BUILD/tests/helpers/make_checkpoint" dense.h5 --window 48 --tracks merged --bias -6 ||
    { echo "Bail out! no checkpoint"; exit 1; }
"$BUILD/tests/helpers/make_maps" song.mid || { echo "Bail out! no songs"; exit 1; }
"$BUILD/tests/helpers/make_maps" pickup.mid pickup || { echo "Bail out! no songs"; exit 1; }

maps() { "$BUILD/tests/helpers/midi_maps" "$1"; }
# maps_are FILE LINE...: all tempi and meters of a MIDI file.
maps_are() { diff <(maps "$1") <(printf '%s\n' "${@:2}"); }
# ramp FIRST ZERO: the steps of make_maps' ramp after the first, which changes nothing where 90 is in force;
# it begins at beat FIRST of the file, of which beat ZERO is 0 in the lines printed.
ramp() {
    awk -v first="$1" \
        -v zero="$2" \
        'BEGIN { for (i = 0; i < 32; i++) { at = first + i / 4 - zero; if (at >= 0 && (i > 0 || at == 0))
            printf "%g %.2f bpm\n", at, 90 + 2 * i } }'
}

# ---- the whole song ----
run "$sampler" reconstruct -c model.h5 song.mid -o whole
status_is 0 "reconstruct"
mapfile -t steps < <(ramp 20 0)
ok "the song's own changes at their ticks" maps_are whole/reconstruct-song.mid "0 4/4" "8 3/4" "20 6/8" \
    "0 120.00 bpm" "6 90.00 bpm" "${steps[@]}" "28 100.00 bpm"
says ': [0-9]+ notes?, 10 bars of 4/4, 3/4, 6/8, 90 to 152 bpm$' "bars by the song's own meters"
run "$sampler" reconstruct -c model.h5 pickup.mid -o whole
ok "with a pickup" maps_are whole/reconstruct-pickup.mid "0 1/4" "1 4/4" "9 3/4" "21 6/8" "0 120.00 bpm" \
    "7 90.00 bpm" "$(ramp 21 0)" "29 100.00 bpm"
says ', 11 bars of 1/4, 4/4, 3/4, 6/8, ' "which is a bar"
run "$sampler" reconstruct -c model.h5 song.mid --tempo 77 -o tempo
ok "--tempo in the place of the song's tempi, not of its meters" maps_are tempo/reconstruct-song.mid "0 4/4" \
    "8 3/4" "20 6/8" "0 77.00 bpm"
run "$sampler" reconstruct -c dense.h5 song.mid -o dense --threshold 0.3
ok "by the dense model" maps_are dense/reconstruct-song.mid "0 4/4" "8 3/4" "20 6/8" "0 120.00 bpm" \
    "6 90.00 bpm" "${steps[@]}" "28 100.00 bpm"

# ---- parts: bar 5 is the third of the four bars of 3/4, bar 7 the first of 6/8 ----
run "$sampler" vary -c model.h5 song.mid --bar 5 --bars 3 -o part
status_is 0 "vary, a part"
ok "three bars from the fifth on" maps_are part/vary-song-001.mid "0 3/4" "6 6/8" "0 90.00 bpm" \
    "$(ramp 20 14 | awk '$1 < 9')"
says ', 3 bars of 3/4, 6/8, ' "as they are counted"
run "$sampler" vary -c model.h5 song.mid --bar 9 --bars 9 -o part
says_once 'warning: song.mid: has 2 bars of 6/8 from bar 9 on, not the 9 of --bars' "bars that are left"
ok "within the ramp" maps_are part/vary-song-001.mid "0 6/8" "$(ramp 20 26)" "2 100.00 bpm"
run "$sampler" vary -c model.h5 song.mid --bar 11 -o none
status_is 2 "a bar that is not there"
says 'song.mid: cannot begin at bar 11: the song has 10 bars' "by the song's own count"
run "$sampler" traverse -c model.h5 song.mid --bar 2 --bars 2 --dim 1 --steps 3 -o steps
ok "traverse: each step" maps_are steps/traverse-1-002.mid "0 4/4" "4 3/4" "0 120.00 bpm" "2 90.00 bpm"
ok "and all, end to end" maps_are steps/traverse-1.mid "0 4/4" "4 3/4" "7 4/4" "11 3/4" "14 4/4" "18 3/4" \
    "0 120.00 bpm" "2 90.00 bpm" "7 120.00 bpm" "9 90.00 bpm" "14 120.00 bpm" "16 90.00 bpm"
run "$sampler" vary -c dense.h5 song.mid --bar 3 -o dense --threshold 0.3
ok "a window of the dense model" maps_are dense/vary-song-001.mid "0 3/4" "0 90.00 bpm"

# ---- continue ----
run "$sampler" continue -c model.h5 song.mid --keep 4 --bars 3 -o after --picture
status_is 0 "continue"
ok "goes on in the last tempo and meter of what is kept" maps_are after/continue-song-001.mid "0 4/4" \
    "8 3/4" "0 120.00 bpm" "6 90.00 bpm"
says ', 7 bars of 4/4, 3/4, 90 to 120 bpm' "four bars and three"
"$sampler" continue -c model.h5 song.mid --keep 4 --bars 3 --only-new -q -o new >out2
ok "--only-new" maps_are new/continue-song-001.mid "0 3/4" "0 90.00 bpm"
run "$sampler" continue -c model.h5 pickup.mid --bars 2 -o after
ok "after the song's end" maps_are after/continue-pickup-001.mid "0 1/4" "1 4/4" "9 3/4" "21 6/8" \
    "0 120.00 bpm" "7 90.00 bpm" "$(ramp 21 0)" "29 100.00 bpm"
says ', 13 bars of 1/4' "two bars more"

# ---- two songs ----
run "$sampler" interpolate -c model.h5 song.mid song.mid --steps 2 --bars 5 -o both
ok "interpolate: the map that both songs share" maps_are both/interpolate-001.mid "0 4/4" "8 3/4" \
    "0 120.00 bpm" "6 90.00 bpm"
run "$sampler" interpolate -c model.h5 song.mid pickup.mid --steps 2 --bars 5 -o both
ok "where they differ, the first song's main ones" maps_are both/interpolate-001.mid "0 3/4" "0 100.00 bpm"

# ---- sound and pictures ----
if [ -s "$(find /usr/share/sounds/sf2 -name '*.sf2' 2>/dev/null | head -n 1)" ] &&
    "$sampler" reconstruct -c model.h5 song.mid --audio -q -o sound >out2 2>err2; then
    seconds=$(awk \
        'BEGIN { s = 6 * 60 / 120 + 14 * 60 / 90 + 4 * 60 / 100;
            for (i = 0; i < 32; i++) s += 15 / (90 + 2 * i);
            print s + 2 }')
    bytes=$(($(stat -c %s sound/reconstruct-song.wav)))
    ok "sound as long as the tempi make it" awk -v bytes="$bytes" -v seconds="$seconds" \
        'BEGIN { d = bytes / 176400 - seconds; exit !(d > -0.01 && d < 0.01) }'
fi

# ---- shards ----
run "$BIN/preprocess" --tracks $tracks --split 0,0,100 -o shards song.mid pickup.mid \
    whole/reconstruct-song.mid
status_is 0 "shards of songs with maps"
# shard_maps FOLDER NUMBER: meters and tempi of a song, in frames.
shard_maps() {
    /usr/bin/python3 - "$SOURCE/examples" "$@" <<'P'
import sys
sys.path.insert(0, sys.argv[1])
from read_song import read_maps
tempi, meters = read_maps(sys.argv[2], int(sys.argv[3]))
for meter in meters: print(meter["frame"], f"{meter['numerator']}/{meter['denominator']}")
for tempo in tempi: print(tempo["frame"], f"{tempo['bpm']:.2f}")
P
}
number() {
    awk -F'\t' -v name="$1" 'NR > 1 && $2 == "kept" { if ($1 == name) print n; n++ }' n=0 shards/report.tsv
}
frames_of() { awk '{ print $1 * 4, $2 }' <(maps "$1"); }
ok "Python reads a song's maps" diff <(shard_maps shards "$(number pickup.mid)") \
    <(frames_of pickup.mid | grep -v '^84 90')
ok "a reconstruction has the song's" diff <(shard_maps shards "$(number song.mid)") \
    <(shard_maps shards "$(number whole/reconstruct-song.mid)")
run "$BIN/preprocess" --tracks $tracks --meter 2/4 -o one song.mid
ok "--meter puts one in their place" [ "$(shard_maps one 0 | grep -c /)" -eq 1 ]
ok "and leaves the tempi" [ "$(shard_maps one 0 | grep -cv /)" -eq 34 ]
# changes FOLDER PATH: tempo and meter changes by the report.
changes() {
    awk -F'\t' -v path="$2" \
        'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } $1 == path {
            print $at["tempo_changes"], $at["meter_changes"] }' "$1/report.tsv"
}
ok "the report counts changes" [ "$(changes shards pickup.mid)" = "33 3" ]
ok "one meter does not change" [ "$(changes one song.mid)" = "33 0" ]

# ---- score: a note at each bar's begin and one a beat later, in every bar ----
holds() {
    /usr/bin/python3 \
        -c 'import json, math, sys; x = json.load(open(sys.argv[1])); assert eval(f"({sys.argv[2]})"), x' \
        "$WORK/out" "$1"
}
run "$sampler" score -q song.mid
ok "ten bars" holds 'x["files"][0]["bars"] == 10'
ok "of two notes" \
    holds 'x["files"][0]["figures"]["notes_a_bar"] == 2 and x["files"][0]["figures"]["empty_bars"] == 0'
ok "each like its neighbour of one meter" holds 'x["files"][0]["figures"]["groove"] == 1'
run "$sampler" score -q song.mid --meter 4/4
ok "one meter for all: other bars" \
    holds 'x["files"][0]["bars"] == 8 and x["files"][0]["figures"]["groove"] < 1'
mkdir -p test && cp song.mid pickup.mid test/
run "$BIN/preprocess" -q --tracks $tracks --split 0,0,100 -o pair test
run "$sampler" score -q test --corpus pair
ok "shards as files" \
    holds 'all((f["mean"], f["sd"], f["n"]) == (f["real"]["mean"], f["real"]["sd"], f["real"]["n"])
        for f in x["figures"].values())'
ok "with the pickup: a bar of one note" \
    holds 'math.isclose(x["figures"]["notes_a_bar"]["mean"], (2 + 21 / 11) / 2, rel_tol=1e-5)'

finish
