#!/usr/bin/env bash
# `sampler score` as a user meets it: generated songs against shards of their like, what the line holds, the
# table, and every refusal.
# shellcheck disable=SC2317 # `ok` calls the helpers
. "$SOURCE/tests/helpers/lib.sh"
sampler=$BIN/sampler
tracks=melody,chords,bass,drums

"$BUILD/tests/helpers/make_songs" songs 60 || { echo "Bail out! no songs"; exit 1; }
"$BUILD/tests/helpers/make_songs" new 12 99 || { echo "Bail out! no songs"; exit 1; }
"$BIN/preprocess" --tracks $tracks --split 50,0,50 -q -o shards songs ||
    { echo "Bail out! no shards"; exit 1; }

"$BIN/preprocess" -q -o merged songs || { echo "Bail out! no shards"; exit 1; }
"$BIN/preprocess" --tracks $tracks --split 0,0,100 -q -o held songs || { echo "Bail out! no shards"; exit 1; }

one_line() { [ "$(wc -l <"$WORK/err")" -eq 1 ]; }
# holds EXPRESSION: of the line as `x`, in Python.
holds() {
    /usr/bin/python3 \
        -c 'import json, math, sys; x = json.load(open(sys.argv[1])); assert eval(f"({sys.argv[2]})"), x' \
        "$WORK/out" "$1"
}

# ---- files alone ----
run "$sampler" score new/song-0000.mid new/song-0001.mid
status_is 0 "two files"
ok "one line" [ "$(wc -l <"$WORK/out")" -eq 1 ]
ok "of both" \
    holds 'x["pieces"] == 2 and [f["file"] for f in x["files"]] == ["new/song-0000.mid", "new/song-0001.mid"]'
ok "on all roles" \
    holds 'x["grid"] == {"steps_per_beat": 4, "pitch_low": 21, "pitches": 88,
        "tracks": "melody,chords,bass,drums"}'
ok "mean and deviation of the files'" \
    holds 'all(math.isclose(x["figures"][n]["mean"],
        sum(f["figures"][n] for f in x["files"]) / 2, rel_tol=1e-5)
        and math.isclose(x["figures"][n]["sd"],
        abs(x["files"][0]["figures"][n] - x["files"][1]["figures"][n])
        / 2 ** .5, rel_tol=1e-3, abs_tol=1e-5)
        for n in x["figures"])'
ok "nothing to compare with" \
    holds '"corpus" not in x and "histograms" not in x and "real" not in x["figures"]["groove"]'
says '^  tonal distance melody bass +[0-9.]+ \([0-9.]+\)$' "a table"
says '^rhythm$' "in groups"
run "$sampler" score new -q --tracks merged --steps-per-beat 12
status_is 0 "a folder"
ok "--quiet is quiet" [ ! -s "$WORK/err" ]
ok "the grid asked for" \
    holds 'x["pieces"] == 12 and x["grid"]["tracks"] == "merged" and x["grid"]["steps_per_beat"] == 12'
ok "and nothing to be compared with" holds '"values" not in x["figures"]["groove"]'
ok "one track has no pairs" holds 'x["figures"]["tonal_distance"] == {"mean": None, "sd": None, "n": 0}'

# ---- beside a corpus ----
run "$sampler" score new --corpus shards
status_is 0 "beside a corpus"
says '^sampler: 12 pieces, beside [0-9]+ songs of shards \(test\)$' "says beside what"
says '^  tonal distance +.*real$' "new songs of the same kind: tracks fit"
cp "$WORK/out" first
ok "real songs fit better than shuffled ones" \
    holds 'x["figures"]["tonal_distance"]["real"]["mean"] <
        0.9 * x["figures"]["tonal_distance"]["shuffled"]["mean"]'
ok "verdict by place" \
    holds 'all((f["place"] is None) == (f["nearer"] is None) and (f["place"] is None or
        (f["place"] < 0.5) == (f["nearer"] == "real")) for f in x["figures"].values())'
ok "two comparisons of each figure, by the area shared and by KL" \
    holds 'all(list(f[of]) == ["overlap", "kl"]
        for f in x["figures"].values() for of in ("values", "distances"))
        and all(0 < x["figures"][n][of]["overlap"] < 1.001 and -1e-3 < x["figures"][n][of]["kl"] < 30
        for n in ("groove", "notes_a_bar", "structure_mid") for of in ("values", "distances"))'
says '^  groove +[0-9.]+ \([0-9.]+\) +[0-9.]+ \([0-9.]+\)$' "a table of them"
ok "histograms, by their distances alone" \
    holds 'list(x["histograms"]) == ["pitch_class_histogram", "pitch_class_transitions",
        "note_length_histogram", "note_length_transitions"]
        and all(list(h) == ["distances"] and 0.1 < h["distances"]["overlap"] < 1.001
        and -1e-3 < h["distances"]["kl"] < 30 for h in x["histograms"].values())'
says '^  note length transitions +- +[0-9.]+ \([0-9.]+\)$' "in the table, too"
run "$sampler" score new --corpus shards -q
ok "the same again" cmp first "$WORK/out"
run "$sampler" score new --corpus shards --picture=svg --output drawn
status_is 0 "a picture"
ok "the same line" cmp first "$WORK/out"
says_once 'sampler: picture: drawn/score.svg' "says where it is"
ok "with two panels for most figures" \
    [ "$(grep -oE 'fill-opacity(:|=")0\.15' drawn/score.svg | wc -l)" -gt 20 ]
run "$sampler" score new --corpus shards -q --seed 2
ok "another seed, other shuffled tracks" \
    holds '[x["figures"]["tonal_distance"][of] == json.load(open("first"))["figures"]["tonal_distance"][of]
        for of in ("shuffled", "real")] == [False, True]'
run "$sampler" score new --corpus shards -q --split train
ok "another split, other songs" \
    holds 'x["split"] == "train" and x["figures"]["groove"]["real"]
        != json.load(open("first"))["figures"]["groove"]["real"]'

# The test songs themselves: the same figures from files as from shards.
mapfile -t held < <(awk -F '\t' '$2 == "kept" && $10 == "test" { print "songs/" $1 }' shards/report.tsv)
run "$sampler" score "${held[@]}" --corpus shards -q
ok "files as shards" \
    holds 'all((f["mean"], f["sd"], f["n"]) == (f["real"]["mean"], f["real"]["sd"], f["real"]["n"])
        for f in x["figures"].values())'
ok "and of the same distribution" \
    holds 'all(abs(f["values"]["overlap"] - 1) < 1e-4 and abs(f["values"]["kl"]) < 1e-4
        for f in x["figures"].values() if f["values"]["overlap"] is not None)'
ok "and near in distances, though a song is no distance from itself" \
    holds 'all(0.8 < h["distances"]["overlap"] < 1 for h in x["histograms"].values())'

# ---- bars ----
run "$sampler" score new/song-0000.mid -q --meter 2/4
ok "the meter asked for" \
    holds 'x["files"][0]["meter"] == "2/4"
        and math.isclose(x["files"][0]["bars"] * 8, x["files"][0]["frames"])'

# ---- seams ----
run "$sampler" score new --corpus shards --seam 16
status_is 0 "seams"
ok "a seam of each file and of all" \
    holds 'x["seam"]["frames"] == 16 and x["seam"]["n"] == 12 and
        math.isclose(x["seam"]["mean"], sum(f["seam"] for f in x["files"]) / 12, abs_tol=1e-4)'
ok "border less inside" \
    holds 'math.isclose(x["seam"]["mean"], x["seam"]["border"] - x["seam"]["inside"], abs_tol=1e-4)'
ok "real songs have about none" holds 'abs(x["seam"]["real"]["mean"]) < 0.3'
says '^seam +-?[0-9.]+ \([0-9.]+\) +-?[0-9.]+ \([0-9.]+\)$' "a table of seams"
says '^  held +[+-][0-9.]+ \([0-9.]+\) +[+-][0-9.]+ \([0-9.]+\)$' "feature by feature"
ok "enough songs for it" bash -c '! grep warning err'
"$BIN/preprocess" --tracks $tracks --split 0,0,100 -q -o few songs/song-000[12].mid ||
    { echo "Bail out! no shards"; exit 1; }
run "$sampler" score new --corpus few --seam 16 -q
status_is 0 "seams by two songs"
few='2 songs in split test are too few to tell how much songs differ: seams mean little; take 10 or more'
says_once "warning: few: --seam: $few" "are said to mean little, --quiet or not"
run "$sampler" score new/song-0000.mid --corpus shards --seam 4096
ok "shorter than a segment: no seam" holds 'x["seam"]["mean"] is None and x["files"][0]["seam"] is None'

# ---- originality ----
trained=$(awk -F '\t' '$2 == "kept" && $10 == "train" { print "songs/" $1; exit }' shards/report.tsv)
run "$sampler" score new "$trained" --originality shards
status_is 0 "originality"
ok "a training song is copied whole" \
    holds '[(p["song"], p["share"], p["semitones"], p["first"] == p["song_first"])
        for f in x["files"] if f["file"] == "'"$trained"'"
        for p in f["passages"].values()]
        == [("'"${trained#songs/}"'", 1, 0, True)] * 4'
ok "new songs are not" \
    holds 'all(f["passages"]["all"]["share"] < 0.9 for f in x["files"] if f["file"] != "'"$trained"'")'
ok "by all tracks and by each pitched one" \
    holds 'list(x["originality"]["passages"]) == ["all", "melody", "chords", "bass"]'
ok "held-out songs as the yardstick" \
    holds 'x["originality"]["held_out"] > 0 and x["originality"]["songs"] > 0
        and x["originality"]["passages"]["all"]["real"]["events"]["median"] >= 2'
ok "nothing else is compared" holds '"real" not in x["figures"]["groove"] and "seam" not in x'
says '^all: events, median \(most\) +[0-9.]+ \([0-9.]+\) +[0-9.]+ \([0-9.]+\)$' "a table of passages"
run "$sampler" score "$trained" --originality shards --corpus shards --split train
says 'no yardstick: no held-out songs in split train' "training songs are no yardstick"
ok "none in the line" \
    holds 'x["originality"]["held_out"] == 0 and "real" not in x["originality"]["passages"]["all"]'

# ---- what cannot be scored ----
printf 'junk' >junk.mid
run "$sampler" score junk.mid new/song-0000.mid -q
status_is 0 "a damaged file is left out"
says 'warning: junk.mid: cannot use this song: .*; left out' "and named, --quiet or not"
ok "and counted" holds 'x["pieces"] == 1 and x["skipped"] == 1 and x["figures"]["groove"]["sd"] is None'
run "$sampler" score junk.mid new/song-0000.mid new/song-0001.mid
says '^sampler: 2 pieces \(1 left out\)$' "on the first line too"
run "$sampler" score junk.mid
status_is 1 "nothing left"
says 'junk.mid: no file can be scored' "says so"

# refused STATUS MESSAGE ARGUMENTS...: said in one line.
refused() {
    local wanted=$1 message=$2
    shift 2
    run "$sampler" score "$@"
    status_is "$wanted" "refused: score $*"
    says "$message" "says $message"
    ok "in one line" one_line
}
refused 2 'score wants FILE..., but 0 files were given'
refused 2 '\-\-split all: there is no such split; give train, valid or test' new --corpus shards --split all
refused 2 '\-\-tracks: .*no such role: piano' new --tracks piano
refused 2 '\-\-corpus and --tracks exclude each other: the shards have a grid; give one' new --corpus shards \
    --tracks merged
refused 2 '\-\-corpus and --steps-per-beat exclude each other: the shards have a grid' new --corpus shards \
    --steps-per-beat 4
refused 2 '\-\-steps-per-beat 0 is out of range; give 1 to 96' new --steps-per-beat 0
refused 2 '\-\-originality and --tracks exclude each other: the shards have a grid' new --originality shards \
    --tracks merged
refused 2 '\-\-seam needs --corpus, or nothing reads it' new --seam 16
refused 2 '\-\-split needs --corpus or --originality' new --split valid
refused 2 '\-\-seed needs --corpus' new --seed 2
refused 2 'the name of file 2 is empty; give FILE' new ''
refused 2 '\-\-corpus is empty; give SHARDS' new --corpus ''
refused 2 '\-\-seam 1 is out of range; give 2 to 4096' new --corpus shards --seam 1
for meter in 4 4/3 0/4 4/4x x/4 4/128; do
    refused 2 "--meter $meter: not a meter; give one like 4/4" new --meter $meter
done
refused 2 '\-\-picture needs --corpus, or nothing reads it' new --picture
refused 2 '\-\-picture=gif: there is png and svg' new --corpus shards --picture=gif
refused 1 'nowhere' nowhere
refused 1 'missing: no such folder' new --corpus missing
refused 1 'new: holds no shards' new --corpus new
refused 1 'merged: lies on another grid than shards; give --corpus and --originality shards of one' new \
    --corpus shards --originality merged
refused 1 'held: has no songs in split train' new --originality held
refused 1 'shards: has no songs in split valid; give another --split' new --corpus shards --split valid
"$sampler" score new/song-0000.mid -q >/dev/full 2>"$WORK/err"
status=$?
status_is 1 "standard output full"
says 'standard output: cannot print' "says so"

finish
