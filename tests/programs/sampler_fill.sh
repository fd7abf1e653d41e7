#!/usr/bin/env bash
# The verbs that keep what is known of a song and write the rest: fill, accompany, harmonise, vary --tracks,
# continue --until; what is wished for; every refusal.
# shellcheck disable=SC2317 # `ok` calls the helpers
. "$SOURCE/tests/helpers/lib.sh"
sampler=$BIN/sampler
make=$BUILD/tests/helpers/make_checkpoint

three="--segment 8 --bias -5 --planes 2 --tracks melody,chords,bass"
# shellcheck disable=SC2086 # options
if ! { "$make" band.h5 $three && "$make" plain.h5 $three --latent 0 &&
    "$make" one.h5 --segment 8 --bias -5 --latent 0 --tracks merged --planes 1; }; then
    echo "Bail out! no checkpoint"
    exit 1
fi
"$BUILD/tests/helpers/make_songs" songs 2 || { echo "Bail out! no songs"; exit 1; }
"$sampler" song -c plain.h5 --bars 8 --seed 3 --tempo 90 -q -o made >out ||
    { echo "Bail out! no song"; exit 1; }
song=made/song-001.mid

# track FILE N: the bytes of a track, from 0: tempo and texts, then the model's tracks.
track() {
    local at
    mapfile -t at < <(grep -abo MTrk "$1" | cut -d: -f1)
    at+=("$(stat -c %s "$1")")
    head -c "${at[$2 + 1]}" "$1" | tail -c "+$((at[$2] + 1))"
}
same_track() { cmp <(track "$1" "$3") <(track "$2" "$3"); }
other_track() { ! cmp -s <(track "$1" "$3") <(track "$2" "$3"); }
text() { grep -aoP "(?<=$2: )[ -~]+" "$1" | head -n 1; }
text_is() { [ "$(text "$1" "$2")" = "$3" ]; }

# refused MESSAGE ARGUMENTS...: bad usage, said in one line; nothing written.
refused() {
    local message=$1
    shift
    run "$sampler" "$@" -o refused
    status_is 2 "usage: sampler $*"
    says "$message" "says $message"
    ok "nothing made" [ ! -e refused/fill-song-001-001.mid ]
}

# ---- fill ----
for model in band plain; do
    run "$sampler" fill -c $model.h5 $song --tracks bass,chords --particles 20 -n 2 --picture -o "f-$model"
    status_is 0 "fill --tracks by $model"
    first=f-$model/fill-song-001-001.mid
    ok "the melody stays, byte by byte" same_track $song "$first" 1
    ok "the chords are new" other_track $song "$first" 2
    ok "the bass is new" other_track $song "$first" 3
    ok "two results" other_track "$first" "f-$model/fill-song-001-002.mid" 2
    ok "a picture" [ -s "f-$model/fill-song-001-001.png" ]
    says 'fill-song-001-001: fit -[0-9.]+ nats, -[0-9.]+ a frame of [0-9]+ .*; evidence -[0-9.]+; at least' \
        "says fit and evidence"
    says 'by fit, the best first: 00[12] \(-[0-9.]+\), 00[12]' "ranks the results"
    says 'fill-song-001-001.mid: .*8 bars of .*, 90 bpm' "in the song's own tempo and length"
    "$sampler" fill -c $model.h5 $song --tracks bass,chords --particles 20 --first 2 --threads 3 -q \
        -o "g-$model" >out
    ok "the second alone, by three threads" cmp {f,g}-$model/fill-song-001-002.mid
    run "$sampler" fill -c $model.h5 $song --bars 3-4,6 --keys C2-B5 --particles 20 --look-ahead 1 \
        -o "b-$model"
    status_is 0 "fill --bars --keys by $model"
    ok "tells how to make it again" text_is "b-$model/fill-song-001-001.mid" bars 3-4,6
done
run "$sampler" fill -c plain.h5 $song --tracks bass --particles 20 -q -o quiet
ok "--quiet says no more than warnings" [ "$(grep -cv warning: "$WORK/err")" -eq 0 ]
run "$sampler" fill -c plain.h5 $song --tracks bass --particles 1 -o single
status_is 0 "with one particle"
run "$sampler" fill -c plain.h5 songs/song-0000.mid --bars 2 --particles 10 -o theirs
status_is 0 "a bar of somebody's song"
refused 'what is to be written' fill -c plain.h5 $song
refused '\-\-bars 9-8: 9-8 is the wrong way round' fill -c plain.h5 $song --bars 9-8
refused "\-\-bars 0: '0' is no range" fill -c plain.h5 $song --bars 0
refused "\-\-bars -9: '-9' is no range" fill -c plain.h5 $song --bars=-9
refused "fill: no note of $song would stay" fill -c plain.h5 $song --bars 1-8
refused "\-\-bars 8-9: $song has 8 bars; give bars from 1 to 8" fill -c plain.h5 $song --bars 8-9
refused "the model has no track 'flute'; it has melody,chords,bass" fill -c plain.h5 $song --tracks flute
refused '\-\-keys B3-C2: is the wrong way round' fill -c plain.h5 $song --keys B3-C2
refused '\-\-keys C2: not a range of keys' fill -c plain.h5 $song --keys C2
refused '\-\-keys 0-12: the model knows the keys' fill -c plain.h5 $song --keys 0-12
refused 'temperature 0 is out of range' fill -c plain.h5 $song --bars 2 --temperature 0
refused 'particles 0 is out of range' fill -c plain.h5 $song --bars 2 --particles 0
run "$sampler" fill -c plain.h5 out --bars 2 -o refused
status_is 1 "no MIDI file"
says 'out: cannot use this song' "says so"

# ---- wishes ----
run "$sampler" fill -c plain.h5 $song --tracks chords,bass --particles 10 --chords 'C | F G' --key C \
    --density 2,4 --polyphony 3 --register 60 --wish-strength 2 -o wishes
status_is 0 "wishes"
ok "told" text_is wishes/fill-song-001-001.mid chords 'C | F G'
echo 'Am F # a comment' >chords.txt
run "$sampler" fill -c plain.h5 $song --tracks chords --particles 10 --chords chords.txt --register C4 \
    -o wishes
status_is 0 "chords of a file"
run "$sampler" fill -c plain.h5 $song --tracks chords --chords nothing.txt -o refused
status_is 1 "a file of chords that is not there"
says 'nothing.txt: cannot read chords: No such file' "says so"
refused '\-\-chords.*Xm' fill -c plain.h5 $song --tracks chords --chords 'C Xm'
refused "\-\-density 2,x: 'x' is no number from 0 to 100" fill -c plain.h5 $song --tracks chords --density 2,x
refused '\-\-key H: not a key' fill -c plain.h5 $song --tracks chords --key H
refused '\-\-wish-strength needs --chords or --key' fill -c plain.h5 $song --tracks chords --wish-strength 2

# ---- accompany, harmonise ----
run "$sampler" accompany -c plain.h5 $song --particles 10 -o a
status_is 2 "accompany a song that has all tracks"
says "$song: has notes in all tracks of the model; say which are to be written anew" "says what to do"
run "$sampler" accompany -c plain.h5 $song --tracks bass --particles 10 -o a
status_is 0 "accompany --tracks"
ok "the melody stays" same_track $song a/accompany-song-001-001.mid 1
ok "the bass is new" other_track $song a/accompany-song-001-001.mid 3
run "$sampler" accompany -c plain.h5 $song --given melody --particles 10 -o a2
status_is 0 "accompany --given"
refused "\-\-given flute: the model has no track" accompany -c plain.h5 $song --given flute
refused '\-\-look-ahead: unknown option' accompany -c plain.h5 $song --tracks bass --look-ahead 1
refused '\-\-given melody,bass: give one track' accompany -c plain.h5 $song --given melody,bass
refused 'accompany: has no meaning for a model of one track; see harmonise' accompany -c one.h5 $song
run "$sampler" harmonise -c one.h5 $song --particles 10 -n 2 -o h
status_is 0 "harmonise"
ok "two results" other_track h/harmonise-song-001-00{1,2}.mid 1
refused 'harmonise: has no meaning for a model of several tracks; see accompany' harmonise -c plain.h5 $song

# ---- vary ----
run "$sampler" vary -c band.h5 $song --tracks bass --amount 0.5 --particles 10 -n 2 -o v
status_is 0 "vary --tracks"
ok "the melody stays" same_track $song v/vary-song-001-001.mid 1
ok "the bass is varied" other_track $song v/vary-song-001-001.mid 3
ok "in two ways" other_track v/vary-song-001-00{1,2}.mid 3
run "$sampler" vary -c band.h5 songs/song-0000.mid --bar 2 --bars 2 --keys C2-C4 --particles 10 -o v
status_is 0 "vary --keys of some bars"
refused '\-\-greedy and --tracks exclude each other' vary -c band.h5 $song --tracks bass --greedy
refused '\-\-temperature 0: notes around those that stay are drawn' vary -c band.h5 $song --tracks bass \
    --temperature 0
refused '\-\-particles needs --tracks or --keys' vary -c band.h5 $song --particles 10

# ---- continue --until ----
run "$sampler" continue -c band.h5 $song --keep 2 --bars 2 --until songs/song-0001.mid --particles 10 -o c
status_is 0 "continue --until"
says 'fit -[0-9.]+ nats' "weighs the end"
mkdir -p same && cp songs/song-0001.mid same/continue-song-001-001.mid
run "$sampler" continue -c band.h5 $song --bars 2 --until same/continue-song-001-001.mid --particles 5 -o same
status_is 2 "the end is not replaced"
says 'same/continue-song-001-001.mid: would be replaced' "says so"
ok "it is as it was" cmp songs/song-0001.mid same/continue-song-001-001.mid
refused '\-\-key: needs notes that are drawn' continue -c band.h5 $song --bars 2 --key C --greedy
run "$sampler" continue -c band.h5 $song --keep 2 --bars 2 --until nothing.mid -o c
status_is 1 "an end that is not there"
says 'nothing.mid: cannot use this song: No such file' "says which"
finish
