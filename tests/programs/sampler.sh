#!/usr/bin/env bash
# The sampler as a user meets it: every verb on a small checkpoint, what is written, that it can be made
# again, and every refusal.
# shellcheck disable=SC2317 # `ok` calls the helpers
. "$SOURCE/tests/helpers/lib.sh"
sampler=$BIN/sampler
tracks=melody,chords,bass,drums

"$BUILD/tests/helpers/make_checkpoint" model.h5 || { echo "Bail out! no checkpoint"; exit 1; }
"$BUILD/tests/helpers/make_songs" songs 3 || { echo "Bail out! no songs"; exit 1; }
a=songs/song-0000.mid b=songs/song-0001.mid

# notes FILE: the bytes from the second track on: all but tempo, meter and texts.
notes() { tail -c "+$(($(grep -abo MTrk "$1" | sed -n 2p | cut -d: -f1) + 1))" "$1"; }
same_notes() { [ -s "$1" ] && cmp <(notes "$1") <(notes "$2"); }
other_notes() { [ -s "$1" ] && [ -s "$2" ] && ! cmp -s <(notes "$1") <(notes "$2"); }
# text FILE KEY: the value of a text event.
text() { grep -aoP "(?<=$2: )[ -~]+" "$1" | head -n 1; }
lines_are() { [ "$(wc -l <"$WORK/out")" -eq "$1" ]; }
all_exist() {
    while read -r path; do [ -s "$path" ] || { echo "missing: $path"; return 1; }; done <"$WORK/out"
}
is_png() { [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ]; }
one_line() { [ "$(wc -l <"$WORK/err")" -eq 1 ]; }

# ---- help and usage ----
run "$sampler" --help
status_is 0 "--help"
for verb in prior song continue reconstruct vary interpolate traverse perform curves score; do
    prints "^  $verb " "--help lists $verb"
done
run "$sampler" --version
prints '^mpianist-sampler [0-9]+\.[0-9]+\.[0-9]+$' "--version"
run "$sampler" prior --help
status_is 0 "prior --help"
prints 'threshold.*0\.001 to 0\.999, default 0\.5' "help shows range and default"
run "$sampler" traverse --help
prints '\-\-steps.*default 7' "a verb's own default"
run "$sampler" interpolate --help
prints '\-\-steps.*default 8' "and another's"

# refused MESSAGE ARGUMENTS...: bad usage, said in one line.
refused() {
    local message=$1
    shift
    run "$sampler" "$@"
    status_is 2 "usage: sampler $*"
    says "$message" "says $message"
    ok "in one line" one_line
}
refused 'no verb'
refused "did you mean 'prior'" priro
refused "unknown verb 'xylophone'; the verbs are" xylophone
refused 'verb comes first' --checkpoint model.h5 prior
refused '\-\-nonsense: unknown option \(sampler prior --help lists all options\)' prior --nonsense
refused '\-\-temprature: unknown option; did you mean --temperature\?' prior --temprature 2
refused 'Give --checkpoint RUN/best.h5' prior
refused "seed: is there twice, with '1' and '2'; give it once" prior -c model.h5 --seed 1 --latent 1 \
    --latent 2 --seed 2
refused '\-\-count 0 is out of range; give 1 to 9999' prior -c model.h5 -n 0
refused '\-\-threshold 1 is out of range' prior -c model.h5 --threshold 1
refused '\-\-threshold nan is out of range' prior -c model.h5 --threshold nan
refused '\-\-temperature -1 is out of range' prior -c model.h5 --temperature -1
refused '\-\-bars 0 is out of range' song -c model.h5 --bars 0
refused '\-\-steps 1 is out of range' interpolate -c model.h5 --steps 1 $a $b
refused '\-\-dim -4 is out of range; give at least 0' traverse -c model.h5 --dim -4 $a
refused "cannot parse|Cannot parse" prior -c model.h5 --seed x
refused 'there is png and svg; give one, as in --picture=svg' prior -c model.h5 --picture=gif
refused 'audio=mp3: there is wav, flac and ogg; give one, as in --audio=ogg' prior -c model.h5 --audio=mp3
refused '\-\-audio: unknown option' curves --audio=ogg run
refused 'takes no files' prior -c model.h5 $a
refused 'interpolate wants A.mid B.mid, but 1 file was given' interpolate -c model.h5 $a
refused 'reconstruct wants SONG.mid' reconstruct -c model.h5
refused 'which latent feature' traverse -c model.h5 $a
refused 'latent and --count exclude each other: one result a vector; give one' prior -c model.h5 \
    --latent 1,2,3,4 -n 2
refused 'exclude each other' prior -c model.h5 --density --sample
refused 'soundfont needs --audio, or nothing reads it; give both or leave it out' prior -c model.h5 \
    --soundfont x.sf2
refused '\-\-bars: unknown option' curves --bars 4 run
refused '\-\-key H: not a key; give one like C, Am' song -c model.h5 --key H
refused '\-\-amount 1.5 is out of range; give 0 to 1' vary -c model.h5 $a --amount 1.5
refused 'continue: has no meaning for a dense model.*--model sequence' continue -c model.h5 $a
refused '\-\-bars has no meaning for a dense model: a piece is one window; see the verb song' prior \
    -c model.h5 --bars 8
refused '\-\-greedy has no meaning for a dense model: see --threshold' song -c model.h5 --greedy
refused '\-\-temperature has no meaning for a dense model' vary -c model.h5 $a --temperature 1 --sample
refused '\-\-morph has no meaning for a dense model' interpolate -c model.h5 $a $b --morph
for option in --threshold=0.4 --density; do
    refused "sample and ${option%%=*} exclude each other" song -c model.h5 $option --sample
done
refused 'density and --threshold exclude each other; give one' prior -c model.h5 --density --threshold 0.4
refused 'latent and --temperature exclude each other: a given vector is not drawn' prior -c model.h5 \
    --latent 1,2,3,4 --temperature 1
refused 'strength needs --more or --less, or nothing reads it' prior -c model.h5 --strength 2
refused 'first needs --sample' reconstruct -c model.h5 $a --first 2
refused '\-\-seed 9007199254740993 is out of range; give 0 to 9007199254740992' prior -c model.h5 \
    --seed 9007199254740993
refused '\-\-checkpoint is empty; give FILE' prior -c ''
refused '\-\-output is empty; give DIR' prior -c model.h5 -o ''
refused '\-\-latent is empty; give V1,V2' prior -c model.h5 --latent ''
refused 'reconstruct: the name of file 2 is empty; give SONG.mid' reconstruct -c model.h5 $a ''
refused '\-\-latent: 3 numbers given, but this model.s latent vectors have 4' prior -c model.h5 \
    --latent 1,2,3 -o e
refused "latent: 'x' is not a number" prior -c model.h5 --latent 1,2,3,x -o e
refused 'model.h5: has no latent feature 2147483647: it has 4; give --dim 0 to 3' traverse -c model.h5 $a \
    --dim 2147483647 -o e
ok "nothing was made of them" [ ! -e e ]
run "$sampler" prior --help
prints 'strength.*default 1\); needs --more or --less' "help says what an option needs"
for verb in prior curves score; do
    run "$sampler" $verb --version
    status_is 0 "$verb --version"
    prints '^mpianist-sampler [0-9]+\.[0-9]+\.[0-9]+$' "the version"
done

# A seed where nothing is drawn: said, and harmless.
for words in "prior --temperature 0" "prior --latent 1,2,3,4" "reconstruct $a" "vary $a --amount 0" \
    "interpolate $a $b" "traverse $a --dim 1"; do
    # shellcheck disable=SC2086
    run "$sampler" $words -c model.h5 --seed 5 -q -o seed
    status_is 0 "$words --seed"
    says_once 'warning: --seed changes nothing: nothing is drawn here; see --sample' \
        "is said to change nothing"
    # shellcheck disable=SC2086
    run "$sampler" $words -c model.h5 --seed 5 --sample -q -o seed
    ok "but not where draws are made: $words" bash -c '! grep "changes nothing" err'
done

# ---- prior ----
run "$sampler" prior --checkpoint model.h5 -n 3 --seed 1 --picture --output p1
status_is 0 "prior"
ok "six paths" lines_are 6
ok "all written" all_exist
says 'p1/prior-001.mid: [0-9]+ notes, 2 bars of 4/4, 96 bpm' "says what it made"
ok "a PNG" is_png p1/prior-001.png
"$sampler" prior --checkpoint model.h5 -n 3 --seed 1 --picture --output p2 >out2 2>err2
ok "the same seed, the same bytes" diff -r p1 p2
"$sampler" prior -c model.h5 -n 3 --seed 2 -q -o p3 >out2 2>err2
ok "another seed, other notes" other_notes p1/prior-001.mid p3/prior-001.mid
ok "--quiet is quiet" [ ! -s err2 ]
"$sampler" prior -c model.h5 --first 3 -q -o p4 >out2
ok "the third alone" cmp p1/prior-003.mid p4/prior-003.mid
"$sampler" prior -c model.h5 --temperature 0 -q -o p5 >out2 2>err2
ok "temperature 0 is the middle of the prior" [ "$(text p5/prior-001.mid latent | tr -d -)" = 0,0,0,0 ]
ok "text: seed" [ "$(text p1/prior-003.mid seed)" = 1 ]
ok "text: result" [ "$(text p1/prior-003.mid result)" = 3 ]
ok "text: verb" [ "$(text p1/prior-003.mid verb)" = prior ]
ok "text: checkpoint" [ "$(text p1/prior-003.mid checkpoint)" = "$(sha256sum model.h5 | cut -c 1-16)" ]
ok "text: temperature" [ "$(text p1/prior-003.mid temperature)" = 1 ]
ok "text: threshold" [ "$(text p1/prior-003.mid threshold)" = 0.5 ]
"$sampler" prior -c model.h5 --latent "$(text p1/prior-001.mid latent)" \
    --latent="$(text p1/prior-002.mid latent)" -q -o p6 >out2
ok "made again from its latent" same_notes p1/prior-001.mid p6/prior-001.mid
ok "and the second" same_notes p1/prior-002.mid p6/prior-002.mid
"$sampler" prior -c model.h5 --tempo 140 -q -o p7 >out2
run "$sampler" prior -c model.h5 --tempo 140 -o p7
says '140 bpm' "--tempo"
ok "the tempo changes no note" same_notes p1/prior-001.mid p7/prior-001.mid

"$sampler" prior -c model.h5 --sample -n 2 -q -o s1 >out2 &&
    "$sampler" prior -c model.h5 --sample -n 2 -q -o s2 >out2
ok "--sample: the same seed, the same bytes" diff -r s1 s2
ok "--sample: draws" other_notes s1/prior-001.mid p1/prior-001.mid
ok "text: draws" [ "$(text s1/prior-002.mid draws)" = bernoulli ]
"$sampler" prior -c model.h5 --sample --latent "$(text s1/prior-002.mid latent)" --first 2 -q -o s3 >out2
ok "a draw made again from its latent and number" same_notes s1/prior-002.mid s3/prior-002.mid

run "$sampler" song -c model.h5 --bars 4 --density -o faint
status_is 0 "--density"
ok "text: density" [ "$(text faint/song-001.mid threshold)" = density ]

"$BUILD/tests/helpers/make_checkpoint" mute.h5 --bias -1000
run "$sampler" prior -c mute.h5 --picture -q -o mute
status_is 0 "a silent result is a result"
says 'mute/prior-001.mid has no notes.*--density, --sample or --threshold 0.25' "and a hint, --quiet or not"
ok "a MIDI file" grep -q MThd mute/prior-001.mid
ok "a picture" is_png mute/prior-001.png
"$BUILD/tests/helpers/make_checkpoint" merged.h5 --tracks merged --planes 1 --window 25 --latent 2
run "$sampler" prior -c merged.h5 -n4 -p svg -o merged
status_is 0 "one track, one plane"
ok "an SVG" grep -q '</svg>' merged/prior-001.svg

# ---- reconstruct ----
mkdir -p twin && cp $b "twin/song-0000.mid"
run "$sampler" reconstruct -c model.h5 $a twin/song-0000.mid --picture -o r
status_is 0 "reconstruct"
ok "two songs of one name stay two" lines_are 4
ok "all written" all_exist
ok "the song's meter" grep -q 'bars of 3/4' "$WORK/err"
ok "a latent a window" [ -n "$(text r/reconstruct-song-0000.mid 'latent 3')" ]
"$sampler" prior -c model.h5 --latent "$(text r/reconstruct-song-0000.mid 'latent 1')" -q -o r2 >out2
"$sampler" interpolate -c model.h5 $a $b --steps 2 -q -o r2 >out2
ok "its first window made again from its latent" same_notes r2/prior-001.mid r2/interpolate-001.mid

# ---- interpolate and traverse ----
run "$sampler" interpolate -c model.h5 $a $b --steps 5 --picture -o i
status_is 0 "interpolate"
ok "five, the sheet, their pictures" lines_are 12
ok "all written" all_exist
ok "the ends differ" other_notes i/interpolate-001.mid i/interpolate-005.mid
ok "a step has the latent of its own" \
    [ "$(text i/interpolate-002.mid latent)" = "$(text i/interpolate.mid 'latent 2')" ]
"$sampler" interpolate -c model.h5 $b $a --steps 5 -q -o i2 >out2
ok "the way back begins where the way there ended" same_notes i/interpolate-005.mid i2/interpolate-001.mid
"$sampler" interpolate -c model.h5 $a $b --steps 2 --bar 3 -q -o i3 >out2
ok "--bar takes another window" \
    [ "$(text i/interpolate-001.mid latent)" != "$(text i3/interpolate-001.mid latent)" ]
run "$sampler" interpolate -c model.h5 $a $b --bar 1000 -o i3
status_is 2 "a bar that the song does not have"
says "$a: cannot begin at bar 1000: the song has [0-9]+ bars; give a smaller --bar" "and how many it has"

mkdir -p own && cp $a own/interpolate-002.mid
run "$sampler" interpolate -c model.h5 own/interpolate-002.mid $b --steps 2 -o own
status_is 2 "a song that a result would replace"
says 'own/interpolate-002.mid: would be replaced, but it is a song given; give another --output' "says which"
ok "it stays" cmp $a own/interpolate-002.mid

run "$sampler" traverse -c model.h5 $a --dim 3 --picture=svg -o t
status_is 0 "traverse"
ok "seven, the sheet, their pictures" lines_are 16
ok "all written" all_exist
ok "from -3" [ "$(text t/traverse-3-001.mid latent | cut -d, -f4)" = -3 ]
ok "through 0" [ "$(text t/traverse-3-004.mid latent | cut -d, -f4)" = 0 ]
ok "to 3" [ "$(text t/traverse-3-007.mid latent | cut -d, -f4)" = 3 ]
ok "the others stay" \
    [ "$(text t/traverse-3-001.mid latent | cut -d, -f1-3)" = \
    "$(text t/traverse-3-007.mid latent | cut -d, -f1-3)" ]
run "$sampler" traverse -c model.h5 $a --dim 4 -o t
status_is 2 "a feature that the model does not have"
says 'has no latent feature 4: it has 4; give --dim 0 to 3' "and which it has"
"$BUILD/tests/helpers/make_checkpoint" wide.h5 --window 900 --tracks merged --planes 1 --bias -1000
run "$sampler" traverse -c wide.h5 $a --dim 0 --steps 2 -o t
status_is 0 "a song shorter than the window"
says 'filled up with silence' "is said"

# ---- vary ----
run "$sampler" vary -c model.h5 $a --amount 0.3 -n 3 --picture -o v
status_is 0 "vary"
ok "three and their pictures" lines_are 6
ok "all written" all_exist
ok "text: amount" [ "$(text v/vary-song-0000-002.mid amount)" = 0.3 ]
ok "two variations differ" \
    [ "$(text v/vary-song-0000-001.mid latent)" != "$(text v/vary-song-0000-002.mid latent)" ]
"$sampler" vary -c model.h5 $a --amount 0 -q -o v2 >out2
ok "of amount 0: the window itself" same_notes v2/vary-song-0000-001.mid i/interpolate-001.mid
"$sampler" vary -c model.h5 $a --amount 1 -q -o v3 >out2
ok "of amount 1: a draw from the prior" \
    [ "$(text v3/vary-song-0000-001.mid latent)" = "$(text p1/prior-001.mid latent)" ]
"$sampler" vary -c model.h5 $a --amount 0.3 --first 3 -q -o v4 >out2
ok "the third alone" same_notes v/vary-song-0000-003.mid v4/vary-song-0000-003.mid

# ---- attributes ----
"$BIN/preprocess" --tracks $tracks --split 100,0,0 --quiet --output corpus songs >out2 2>err2
cp model.h5 able.h5
run "$BIN/trainer" --attributes able.h5 --data corpus
status_is 0 "trainer --attributes"
for verb in prior "song --bars 4" "reconstruct $a" "vary $a"; do
    # shellcheck disable=SC2086
    "$sampler" $verb -c able.h5 -q -o less >out2 2>err2 &&
        "$sampler" $verb -c able.h5 --less polyphony --strength 30 -q -o more >more.txt 2>err2
    ok "${verb%% *} with less" other_notes "less/$(basename "$(head -n 1 more.txt)")" "$(head -n 1 more.txt)"
done
ok "text: less, strength" \
    [ "$(text more/song-001.mid less) $(text more/song-001.mid strength)" = "polyphony 30" ]

# ---- song ----
run "$sampler" song -c model.h5 --bars 12 --picture -o l
status_is 0 "song"
says 'song-001.mid: [0-9]+ notes, 12 bars' "of exactly as many bars"
"$sampler" song -c model.h5 --bars 12 --picture -q -o l2 >out2
ok "the same bytes" diff -r l l2
"$sampler" song -c model.h5 --bars 12 --first 2 -q -o l2 >out2
ok "another number, other notes" other_notes l/song-001.mid l2/song-002.mid
"$sampler" song -c merged.h5 --bars 1 -q -o l3 >out2
ok "one bar, less than a window" [ -s l3/song-001.mid ]

run "$sampler" song -c model.h5 --bars 12 --key Am -o k
status_is 0 "--key"
says 'song-001: was in [A-G][#b]?m?, transposed by [+-][0-9]+$' "says what it did"
ok "text: key" [ "$(text k/song-001.mid key)" = Am ]
transposed=$(text k/song-001.mid transposed)
ok "text: transposed" [ "$transposed" -ge -11 -a "$transposed" -le 11 ]
ok "what is in the key stays" bash \
    -c "'$sampler' song -c model.h5 --bars 12 --key $(grep -oP 'was in \K[^,]*' "$WORK/err") -q -o k2 >out2"
ok "as it was" same_notes k2/song-001.mid l/song-001.mid

# Written and preprocessed again: as many frames, everything kept.
run "$BIN/preprocess" --tracks $tracks --split 100,0,0 --output shards l/song-001.mid \
    r/reconstruct-song-0000.mid $a
status_is 0 "preprocess takes what sampler wrote"
frames() {
    awk -F'\t' -v name="(^|/)$1\$" \
        'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } $at["path"] ~ name { print $at["frames"] }' \
        shards/report.tsv
}
same_frames() { [ -n "$(frames "$1")" ] && [ "$(frames "$1")" = "$(frames "$2")" ]; }
ok "12 bars are 192 frames" [ "$(frames song-001.mid)" = 192 ]
ok "a reconstruction is as long as its song" same_frames reconstruct-song-0000.mid song-0000.mid

# ---- sound ----
run "$sampler" prior -c model.h5 --audio --tempo 120 -o w
if grep -q 'built without libfluidsynth' "$WORK/err"; then
    status_is 1 "--audio without libfluidsynth"
    ok "made nothing" [ ! -e w ]
elif grep -q 'no soundfont found' "$WORK/err"; then
    status_is 1 "--audio without a soundfont"
else
    status_is 0 "--audio"
    ok "no line from the library" one_line
    samples() { tail -c +45 "$1" | head -c $((6 * 44100 * 4)); }
    number_at() { od -An -tu4 -j "$2" -N 4 "$1" | tr -d ' '; }
    ok "32 frames at 120 bpm and two seconds: six seconds of 16-bit stereo" \
        [ "$(number_at w/prior-001.wav 40)" -eq $((6 * 44100 * 4)) ]
    ok "a RIFF head of the file's size" \
        [ "$(number_at w/prior-001.wav 4)" -eq $(($(stat -c %s w/prior-001.wav) - 8)) ]
    tagged() { grep -aq 'prior 1 · seed 1' "$1" && grep -aq 'mpianist-sampler [0-9]' "$1"; }
    ok "title and program" tagged w/prior-001.wav
    loudest() {
        samples "$1" | od -An -v -td2 |
            awk '{ for (i = 1; i <= NF; i++) { x = $i < 0 ? -$i : $i; if (x > most) most = x } }
                END { print most }'
    }
    ok "as loud as can be, at -1 dB" [ "$(loudest w/prior-001.wav)" -eq 29195 ]
    "$sampler" prior -c model.h5 --audio --tempo 120 -q -o w2 >out2
    ok "the same sound again" cmp w/prior-001.wav w2/prior-001.wav
    run "$sampler" prior -c model.h5 --audio --soundfont nowhere.sf2 -o w3
    status_is 1 "a soundfont that is not there"
    says 'nowhere.sf2: cannot use as soundfont: No such file or directory; give another' "says so"
    run "$sampler" prior -c model.h5 --audio --soundfont model.h5 -o w3
    says 'model.h5: cannot use as soundfont: not a SoundFont 2 file' "a file that is none"
    run env SOUNDFONT=elsewhere.sf2 "$sampler" prior -c model.h5 --audio -o w3
    says 'elsewhere.sf2: cannot use' "\$SOUNDFONT counts"
    ok "made nothing" [ ! -e w3 ]
    run bash -c "ulimit -f 200; exec '$sampler' prior -c model.h5 --audio -o w4"
    status_is 1 "no room for the sound"
    says 'w4/prior-001.wav: cannot write: File too large' "says so"
    ok "nothing half-written" [ "$(ls w4)" = prior-001.mid ]

    starts() { [ "$(head -c 4 "$1")" = "$2" ]; }
    size() { stat -c %s "$1"; }
    run "$sampler" reconstruct -c model.h5 --tempo 120 -o w5 --audio $a
    status_is 0 "a bare --audio before a file"
    ok "is WAV" starts w5/reconstruct-song-0000.wav RIFF
    run "$sampler" prior -c model.h5 --audio=flac --tempo 120 -o w5
    status_is 0 "--audio=flac"
    ok "no line from the library" one_line
    ok "both files" lines_are 2
    ok "a FLAC file" starts w5/prior-001.flac fLaC
    ok "of 44.1 kHz, stereo, 16 bit, six seconds" \
        [ "$(od -An -tx1 -j 18 -N 8 w5/prior-001.flac | tr -d ' ')" = \
        "$(printf 0ac442f0%08x $((6 * 44100)))" ]
    ok "of the same samples, by its checksum" \
        [ "$(od -An -tx1 -j 26 -N 16 w5/prior-001.flac | tr -d ' ')" = \
        "$(samples w/prior-001.wav | md5sum | cut -c 1-32)" ]
    ok "title and program" tagged w5/prior-001.flac
    ok "smaller" [ "$(size w5/prior-001.flac)" -lt "$(size w/prior-001.wav)" ]
    "$sampler" prior -c model.h5 --audio flac --tempo 120 -q -o w6 >out2
    ok "the same sound again" cmp w5/prior-001.flac w6/prior-001.flac
    run "$sampler" prior -c model.h5 --audio=ogg --tempo 120 -o w5
    status_is 0 "--audio=ogg"
    ok "no line from the library" one_line
    ok "an Ogg file" starts w5/prior-001.ogg OggS
    ok "title and program" tagged w5/prior-001.ogg
    ok "of Vorbis, stereo, 44.1 kHz" \
        [ "$(od -An -tx1 -j 28 -N 16 w5/prior-001.ogg | tr -d ' ')" = 01766f72626973000000000244ac0000 ]
    last_page() { grep -abo OggS "$1" | tail -n 1 | cut -d: -f1; }
    ok "six seconds" \
        [ "$(od -An -tu8 -j $(($(last_page w5/prior-001.ogg) + 6)) -N 8 w5/prior-001.ogg | tr -d ' ')" \
        -eq $((6 * 44100)) ]
    ok "small" [ "$(size w5/prior-001.ogg)" -lt $(($(size w/prior-001.wav) / 5)) ]
    ok "but no silence" [ "$(size w5/prior-001.ogg)" -gt $((6 * 4000)) ]
    # The limit lies within the last page, which is written when the stream ends.
    for format in flac ogg; do
        run bash -c "ulimit -f $((($(size w5/prior-001.$format) - 1) / 1024))
            exec '$sampler' prior -c model.h5 --audio=$format --tempo 120 -o full-$format"
        status_is 1 "no room for the end of the sound ($format)"
        says "full-$format/prior-001.$format: cannot write: File too large" "says so"
        ok "nothing half-written" [ "$(ls full-$format)" = prior-001.mid ]
    done
fi

# ---- curves ----
mkdir -p run
for step in 1 2 3 4 5 6; do
    printf '{"kind": "step", "epoch": 1, "step": %d, "nll_per_frame": %d, "kl_per_frame": 0.%d}\n' \
        $step $((20 - step)) $step
    [ $step = 3 ] &&
        printf '{"kind": "epoch", "epoch": 1, "step": 3, %s}\n' \
            '"valid_nll_per_frame": 18.5, "valid_kl_per_frame": null'
done >run/metrics.jsonl
printf '{"kind": "step", "epo' >>run/metrics.jsonl
run "$sampler" curves run -o c
status_is 0 "curves, the last line torn"
ok "a PNG" is_png c/curves.png
run "$sampler" curves run run --picture=svg -o c
ok "two runs" lines_are 2
pale() { [ "$(grep -c 'stroke-opacity[:=]"*0.25' "$1")" -eq "$2" ]; }
ok "a short run: its steps" pale c/curves-001.svg 0
mkdir -p long &&
    for step in $(seq 400); do
        echo "{\"kind\": \"step\", \"step\": $step, \"nll_per_frame\": $((step % 7)), \"kl_per_frame\": null}"
    done >long/metrics.jsonl
run "$sampler" curves long --picture=svg -o c
ok "a long run: pale steps behind their means" pale c/curves.svg 1
run "$sampler" curves nowhere -o c
status_is 1 "no run there"
says 'nowhere/metrics.jsonl: cannot read: No such file or directory; give a folder that trainer' "says so"
run "$sampler" curves nowhere -o never
ok "nothing made" [ ! -e never ]
mkdir -p fresh && : >fresh/metrics.jsonl
run "$sampler" curves fresh -o c
status_is 1 "no step yet"
says 'holds no finished step' "says so"

# ---- refusals ----
# broken DESCRIPTION REGEX ARGUMENTS...: error 1, the cause in one line.
broken() {
    local description=$1 regex=$2
    shift 2
    run "$sampler" "$@"
    status_is 1 "$description"
    says "$regex" "says which file"
    ok "in one line" one_line
}
broken "no such checkpoint" 'none.h5: .+' prior -c none.h5 -o e
echo "not HDF5" >junk.h5
broken "a checkpoint of other bytes" 'junk.h5: .+' prior -c junk.h5 -o e
head -c 3000 model.h5 >cut.h5
broken "a checkpoint cut short" 'cut.h5: .+' prior -c cut.h5 -o e
broken "a folder for a checkpoint" 'songs: .+' prior -c songs -o e
ok "nothing was made of them" [ ! -e e ]
broken "no such song" 'none.mid: .+' reconstruct -c model.h5 none.mid -o e
echo "not MIDI" >junk.mid
broken "a song of other bytes" 'junk.mid: .+' reconstruct -c model.h5 junk.mid -o e
head -c 60 $a >cut.mid
broken "a song cut short" 'cut.mid: .+' interpolate -c model.h5 $a cut.mid -o e
broken "a song without notes" 'mute/prior-001.mid: .+' traverse -c model.h5 mute/prior-001.mid --dim 0 -o e
broken "an output that is a file" 'junk.h5: cannot write to this folder' prior -c model.h5 -o junk.h5
broken "an output below a file" 'junk.h5/x: cannot write to this folder' prior -c model.h5 -o junk.h5/x
run bash -c "ulimit -f 1; exec '$sampler' prior -c model.h5 --picture -q -o f"
status_is 1 "no room for the files"
says 'f/prior-001\.(mid|png): cannot write.*: .+' "says which"
ok "nothing half-written" [ -z "$(find f -size -1 -o -name '*.tmp')" ]
mkdir -p taken/prior-001.png
run "$sampler" prior -c model.h5 --picture -q -o taken
status_is 1 "a folder where the picture would go"
says '^sampler: taken/prior-001.png: cannot write: Is a directory; make room' "says which, once"
"$sampler" prior -c model.h5 -q -o f2 >/dev/full 2>"$WORK/err"
status=$?
status_is 1 "standard output full"
says 'standard output: cannot print' "says so"

ok "no MPI inside" bash -c "ldd '$sampler' >ldd.txt && ! grep -i mpi ldd.txt"
finish
