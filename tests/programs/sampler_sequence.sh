#!/usr/bin/env bash
# The sampler with a sequence model: every verb, what depends on what, texts to make a piece again, and every
# refusal.
# shellcheck disable=SC2317 # `ok` calls the helpers
. "$SOURCE/tests/helpers/lib.sh"
sampler=$BIN/sampler
make=$BUILD/tests/helpers/make_checkpoint

"$make" model.h5 --segment 8 --bias -5 || { echo "Bail out! no checkpoint"; exit 1; }
"$make" plain.h5 --segment 8 --bias -5 --latent 0 --tracks merged --planes 1 ||
    { echo "Bail out! no checkpoint"; exit 1; }
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
one_line() { [ "$(wc -l <"$WORK/err")" -eq 1 ]; }

# refused MESSAGE ARGUMENTS...: bad usage, said in one line; nothing written.
refused() {
    local message=$1
    shift
    run "$sampler" "$@" -o refused
    status_is 2 "usage: sampler $*"
    says "$message" "says $message"
    ok "in one line" one_line
    ok "nothing made" [ ! -e refused ]
}
for option in --threshold=0.4 --density --correlation=0.5 --latent=1,2,3,4; do
    verb=prior
    [ $option != --correlation=0.5 ] || verb=song
    refused "${option%%=*} has no meaning for a sequence model: .*(--sample|--seed|--temperature)" $verb \
        -c model.h5 $option
done
refused 'sample and --greedy exclude each other' prior -c model.h5 --greedy --sample
for verb in "reconstruct $a" "vary $a" "interpolate $a $b" "traverse $a --dim 0"; do
    # shellcheck disable=SC2086
    refused \
        "${verb%% *}: has no meaning for this model, which has no latent vectors.*prior, song and continue" \
        $verb -c plain.h5
done
run "$sampler" prior --help
prints '\-\-threshold.*dense models only' "help says which options are for which models"
prints '\-\-bars.*default 8\); sequence models only' "and the other way round"

# ---- prior and song ----
run "$sampler" prior -c model.h5 -n 3 --bars 4 --picture -o p1
status_is 0 "prior"
ok "six paths" lines_are 6
ok "all written" all_exist
says 'p1/prior-001.mid: [0-9]+ notes, 4 bars of 4/4, 96 bpm' "says what it made"
"$sampler" prior -c model.h5 -n 3 --bars 4 --picture -q -o p2 >out2 2>err2
ok "the same seed, the same bytes" diff -r p1 p2
ok "--quiet is quiet" [ ! -s err2 ]
"$sampler" prior -c model.h5 --first 3 --bars 4 -q -o p3 >out2
ok "the third alone" cmp p1/prior-003.mid p3/prior-003.mid
ok "another number, other notes" other_notes p1/prior-001.mid p1/prior-003.mid
"$sampler" prior -c model.h5 --seed 2 --bars 4 -q -o p4 >out2
ok "another seed, other notes" other_notes p1/prior-001.mid p4/prior-001.mid
"$sampler" prior -c model.h5 --sample --bars 4 -q -o p5 >out2
ok "drawing is the default" same_notes p1/prior-001.mid p5/prior-001.mid
"$sampler" prior -c model.h5 --temperature 0 --bars 4 -q -o t0 >out2 &&
    "$sampler" prior -c model.h5 --temperature 0 --bars 4 --seed 5 -q -o t5 >out2
ok "temperature 0: whatever the seed" same_notes t0/prior-001.mid t5/prior-001.mid
"$sampler" prior -c model.h5 --greedy --bars 4 -n 2 -q -o g1 >out2
ok "--greedy: the latents are still drawn" other_notes g1/prior-001.mid g1/prior-002.mid
ok "and the notes are not" other_notes g1/prior-001.mid p1/prior-001.mid
# 48 frames as bars of two meters: only a model that knows places in the bar hears the difference.
"$make" bar.h5 --segment 8 --bias -5 --bar 16 || { echo "Bail out! no checkpoint"; exit 1; }
for model in model bar; do
    "$sampler" song -c $model.h5 --bars 3 -q -o "$model-four" >out2
    run "$sampler" song -c $model.h5 --bars 4 --meter 3/4 -o "$model-three"
    status_is 0 "--meter 3/4"
    says 'song-001.mid: [0-9]+ notes, 4 bars of 3/4, 96 bpm' "is the file's meter"
    ok "text: meter" [ "$(text "$model-three/song-001.mid" meter)" = 3/4 ]
done
ok "the same notes where the model knows no bars" same_notes model-four/song-001.mid model-three/song-001.mid
ok "others where it does" other_notes bar-four/song-001.mid bar-three/song-001.mid
for verb in "continue $a --bars 4" "vary $a" "interpolate $a $b" "reconstruct $a"; do
    # shellcheck disable=SC2086
    run "$sampler" $verb -c bar.h5 -q -o bars
    status_is 0 "${verb%% *}: by the song's meters"
done
refused '\-\-meter 3/5: not a meter; give one like 4/4 or 6/8' prior -c model.h5 --meter 3/5
for pair in verb=prior seed=1 result=3 draws=bernoulli temperature=1 bars=4 \
    checkpoint="$(sha256sum model.h5 | cut -c 1-16)"; do
    ok "text: $pair" [ "$(text p1/prior-003.mid "${pair%%=*}")" = "${pair#*=}" ]
done
ok "text: greedy" [ "$(text g1/prior-001.mid draws)" = greedy ]
run "$sampler" prior -c model.h5 -o p6
says ' 8 bars of 4/4' "eight bars by default"

run "$sampler" song -c model.h5 --bars 12 --tempo 140 -o l
status_is 0 "song"
says 'l/song-001.mid: [0-9]+ notes, 12 bars of 4/4, 140 bpm' "as long and fast as asked for"
run "$sampler" song -c model.h5 -o l64
says ' 64 bars of 4/4' "64 bars by default"
run "$sampler" song -c model.h5 --bars 12 --key F#m -o k
status_is 0 "--key"
says 'song-001: was in .*, transposed by' "says what it did"
ok "text: key" [ "$(text k/song-001.mid key)" = F#m ]
run "$sampler" song -c plain.h5 --bars 5 -o lp
status_is 0 "song of a model without latents"

# ---- continue ----
run "$sampler" continue -c model.h5 $a --bars 3 -n 2 --picture -o c
status_is 0 "continue"
ok "four paths" lines_are 4
ok "all written" all_exist
says 'of 3/4' "the song's meter"
ok "two ways to go on" other_notes c/continue-song-0000-001.mid c/continue-song-0000-002.mid
run "$sampler" continue -c model.h5 $a --bars 3 --first 2 --only-new -o c2
status_is 0 "continue --only-new"
says 'continue-song-0000-002.mid: [0-9]+ notes, [34]' "only the new bars, and what fills up the song's last"
run "$sampler" continue -c plain.h5 $a --bars 3 -o c3
status_is 0 "continue with a model without latents"
run "$sampler" continue -c model.h5 $a --keep 2 --bars 3 -o c4
says ' 5 bars of 3/4' "--keep 2 and three more"
run "$sampler" continue -c model.h5 $a --keep 100000 --bars 3 -o c5
status_is 0 "--keep of more than there is keeps all"
says_once "warning: $a: has 24 bars, not the 100000 of --keep: all is kept" "and says so"
ok "as without" same_notes c/continue-song-0000-001.mid c5/continue-song-0000-001.mid

# On the grid: three bars more than the song's.
run "$BIN/preprocess" --tracks melody,chords,bass,drums --split 100,0,0 \
    --output shards $a c/continue-song-0000-001.mid
status_is 0 "preprocess takes the continuation"
frames() {
    awk -F'\t' -v name="(^|/)$1\$" \
        'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } $at["path"] ~ name { print $at["frames"] }' \
        shards/report.tsv
}
ok "36 frames more than the song's bars" \
    [ "$(frames continue-song-0000-001.mid)" -eq $((($(frames song-0000.mid) + 11) / 12 * 12 + 36)) ]

# A song that ends within a bar: the new bars begin at its bar line, the song's part of that bar silent.
run "$sampler" vary -c model.h5 $a --bar 24 --bars 9 --amount 1 -o short
status_is 0 "--bars of more than there is"
says_once "warning: $a: has 1 bar of 3/4 from bar 24 on, not the 9 of --bars: all is taken" "says so"
says ' 1 bar of 3/4,' "one bar"
run "$sampler" continue -c model.h5 $b --keep 1 --bars 1 --only-new -o c6
says ' 1 bar of 6/8,' "--only-new after a whole bar: the new bar"
# Six beats.
printf 'MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\x0d\0\x90\x3c\x50\x84\x40\x80\x3c\x40\0\xff\x2f\0' >half.mid
run "$sampler" continue -c model.h5 half.mid --bars 1 --only-new -o c7
says ' 2 bars of 4/4,' "within a bar: from its bar line on"
run "$sampler" vary -c model.h5 half.mid --bars 3 -o short
says_once 'warning: half.mid: has 1.5 bars of 4/4 from bar 1 on, not the 3 of --bars' \
    "a song that ends within a bar"
says ' 2 bars of 4/4,' "is filled up where bars are asked for"

# ---- bars of two meters ----
"$BUILD/tests/helpers/make_songs" many 12 7
five=many/song-0002.mid four=many/song-0007.mid
run "$sampler" interpolate -c model.h5 $five $four --bars 7 --steps 2 -o meters
says 'interpolate-001.mid: .* 7 bars of 5/4' "bars of the first song's meter"
says 'interpolate.mid: .* 14 bars of 5/4' "end to end too"
run "$sampler" interpolate -c model.h5 $four $five --bars 7 --steps 2 -o meters
says 'interpolate-001.mid: .* 7 bars of 4/4' "whichever is first"
run "$sampler" interpolate -c model.h5 $five $four --bar 3 --morph -o meters
says 'morph.mid: .* 6 bars of 5/4' "as far as both go"
run "$sampler" interpolate -c model.h5 $five $four --bar 5 --steps 2 --bars 20 -o meters
says_once "warning: $five: has 4 bars of 5/4 from bar 5 on, not the 20 of --bars" "a song that is too short"
says_once "warning: $four: has 9.6 bars of 5/4 from bar 5 on, not the 20 of --bars" "in bars of the first"
run "$sampler" interpolate -c model.h5 $four $five --bar 2 --steps 2 -o meters
says 'interpolate-001.mid: .* 9 bars of 4/4' "a last bar is filled up: 8.75 bars"

# ---- from a song ----
mkdir -p twin && cp $b twin/song-0000.mid
run "$sampler" reconstruct -c model.h5 $a twin/song-0000.mid --picture -o r
status_is 0 "reconstruct"
ok "two songs of one name stay two" lines_are 4
ok "all written" all_exist
ok "the song's meter" grep -q 'bars of 3/4' "$WORK/err"
ok "text: the best of 16" [ "$(text r/reconstruct-song-0000.mid draws)$(text r/reconstruct-song-0000.mid \
    best-of)$(text r/reconstruct-song-0000.mid temperature)" = best160.5 ]
"$sampler" reconstruct -c model.h5 $a --seed 9 -q -o r2 >out2
ok "another seed, other draws" other_notes r/reconstruct-song-0000.mid r2/reconstruct-song-0000.mid
"$sampler" reconstruct -c model.h5 $a --best-of 3 -q -o rb >out2
ok "and of fewer another one" other_notes r/reconstruct-song-0000.mid rb/reconstruct-song-0000.mid
"$sampler" reconstruct -c model.h5 $a --greedy -q -o g2 >out2 &&
    "$sampler" reconstruct -c model.h5 $a --best-of 1 --seed 9 -q -o g3 >out2
ok "the first draw is --greedy" same_notes g2/reconstruct-song-0000.mid g3/reconstruct-song-0000.mid
ok "which is another piece" other_notes g2/reconstruct-song-0000.mid r/reconstruct-song-0000.mid
ok "text: greedy" [ "$(text g2/reconstruct-song-0000.mid draws)" = greedy ]
"$sampler" reconstruct -c model.h5 $a --sample -q -o r3 >out2
ok "so is --sample" other_notes r/reconstruct-song-0000.mid r3/reconstruct-song-0000.mid
refused 'sample and --best-of exclude each other' vary -c model.h5 $a --sample --best-of 3
refused 'greedy and --temperature exclude each other' vary -c model.h5 $a --greedy --temperature 0.5
ok "text: draws, temperature" \
    [ "$(text r3/reconstruct-song-0000.mid draws)$(text r3/reconstruct-song-0000.mid temperature)" = \
    bernoulli0.5 ]

run "$sampler" vary -c model.h5 $a --amount 0.3 -n 3 -o v
status_is 0 "vary"
ok "three" lines_are 3
ok "two variations differ" other_notes v/vary-song-0000-001.mid v/vary-song-0000-002.mid
"$sampler" vary -c model.h5 $a --amount 0 -q -o v2 >out2
ok "of amount 0: the song as the model keeps it" same_notes v2/vary-song-0000-001.mid \
    r/reconstruct-song-0000.mid
"$sampler" vary -c model.h5 $a --bar 2 --bars 3 --amount 1 -q -o v3 >out2 &&
    "$sampler" vary -c model.h5 $b --bar 2 --bars 3 --amount 1 -q -o v4 >out2
ok "of amount 1: nothing of the song" same_notes v3/vary-song-0000-001.mid v4/vary-song-0001-001.mid
ok "text: bar, bars" [ "$(text v3/vary-song-0000-001.mid bar)$(text v3/vary-song-0000-001.mid bars)" = 23 ]

run "$sampler" interpolate -c model.h5 $a $b --steps 3 --picture -o i
status_is 0 "interpolate"
ok "three, the sheet, their pictures" lines_are 8
ok "all written" all_exist
ok "the ends differ" other_notes i/interpolate-001.mid i/interpolate-003.mid
"$sampler" interpolate -c model.h5 $b $a --steps 2 -q -o i2 >out2
ok "the way back begins where the way there ended" same_notes i/interpolate-003.mid i2/interpolate-001.mid
ok "text: step" [ "$(text i/interpolate-002.mid step)" = "2: 50 %" ]
run "$sampler" interpolate -c model.h5 $a $b --morph --bars 4 -o m
status_is 0 "interpolate --morph"
ok "one piece" lines_are 1
says 'm/morph.mid: [0-9]+ notes, 4 bars' "of four bars"
ok "other than its ends" other_notes m/morph.mid i/interpolate-001.mid
run "$sampler" interpolate -c model.h5 $a $b --bar 1000 -o m
status_is 2 "a bar that the song does not have"
says "$a: cannot begin at bar 1000: the song has [0-9]+ bars; give a smaller --bar" "and how many it has"

run "$sampler" traverse -c model.h5 $a --dim 3 --picture=svg -o t
status_is 0 "traverse"
ok "seven, the sheet, their pictures" lines_are 16
ok "all written" all_exist
says 'latent feature 3 varies by .* those that vary most: [0-3] ' "and which features do something"
ok "the middle is the song as the model keeps it" same_notes t/traverse-3-004.mid r/reconstruct-song-0000.mid
ok "the ends differ" other_notes t/traverse-3-001.mid t/traverse-3-007.mid
run "$sampler" traverse -c model.h5 $a --dim 4 -o t
status_is 2 "a feature that the model does not have"
says 'has no latent feature 4: it has 4; give --dim 0 to 3' "and which it has"

# ---- attributes ----
run "$sampler" song -c model.h5 --more density -o refused
status_is 1 "--more without vectors"
says 'model.h5: .*trainer.*--attributes' "and how to get them"
ok "nothing made" [ ! -e refused ]
refused "--more density and --less density exclude each other" song -c model.h5 --more density --less density
refused "has no meaning for a model without latent vectors" song -c plain.h5 --more density
"$BIN/preprocess" --tracks melody,chords,bass,drums --split 100,0,0 --quiet --output corpus songs >out2 2>err2
cp model.h5 able.h5
run "$BIN/trainer" --attributes able.h5 --data corpus
status_is 0 "trainer --attributes"
run "$sampler" song -c able.h5 --more strangeness -o refused
status_is 2 "an attribute that is not there"
says "able.h5: has no attribute 'strangeness'; it has [a-z]+" "and those that are"
"$sampler" song -c able.h5 --bars 4 -q -o a0 >out2 &&
    "$sampler" song -c able.h5 --bars 4 --more register --strength 0 -q -o a1 >out2
ok "--strength 0 changes nothing" same_notes a0/song-001.mid a1/song-001.mid
for verb in "prior --bars 4" "song --bars 4" "continue $a --bars 4" "reconstruct $a" "vary $a"; do
    # shellcheck disable=SC2086
    "$sampler" $verb -c able.h5 -q -o less >out2 &&
        "$sampler" $verb -c able.h5 --more register --less density --strength 3 -q -o more >more.txt
    ok "${verb%% *} with more and less" other_notes "less/$(basename "$(head -n 1 more.txt)")" \
        "$(head -n 1 more.txt)"
done
ok "text: more, less, strength" \
    [ "$(text more/song-001.mid more) $(text more/song-001.mid less) $(text more/song-001.mid strength)" = \
    "register density 3" ]

# ---- memories at each pitch and GRUs along pitches ----
"$make" memory.h5 --segment 8 --bias -5 --memory 6 --note 5
"$make" plain-memory.h5 --segment 8 --bias -5 --memory 6 --latent 0
for verb in "prior -n 2 --bars 4" "prior --bars 4 --temperature 0.8" "song --bars 6" "continue $a --bars 2" \
    "reconstruct $a" "vary $a --bars 4" "interpolate $a $b --bars 3 --steps 2" \
    "traverse $a --bars 2 --dim 0"; do
    rm -rf m1 m2
    # shellcheck disable=SC2086
    run "$sampler" $verb -c memory.h5 -o m1
    status_is 0 "with a memory: $verb"
    ok "all written" all_exist
    # shellcheck disable=SC2086
    "$sampler" $verb -c memory.h5 -q -o m2 >out2
    ok "again: the same bytes" diff -r m1 m2
done
"$sampler" prior -c memory.h5 -n 2 --bars 4 -q -o m3 >out2 &&
    "$sampler" prior -c memory.h5 --first 2 --bars 4 -q -o m4 >out2
ok "the second alone" cmp m3/prior-002.mid m4/prior-002.mid
ok "other notes than without a memory" other_notes m3/prior-001.mid p1/prior-001.mid
for verb in "song --bars 4" "continue $b --bars 2"; do
    # shellcheck disable=SC2086
    run "$sampler" $verb -c plain-memory.h5 -o m5
    status_is 0 "without latents: $verb"
done

"$make" mute.h5 --segment 8 --bias -1000
run "$sampler" song -c mute.h5 --bars 2 -q -o mute
status_is 0 "a silent result is a result"
says 'mute/song-001.mid has no notes: the model has written silence; try another --seed or --temperature' \
    "and a word"
# shellcheck disable=SC2086 # $a: a file, or more words
run "$sampler" reconstruct -c mute.h5 $a --greedy -q -o mute
says 'has no notes: the model has written silence; try --sample$' "and another where nothing is drawn"
run "$sampler" song -c mute.h5 --bars 2 --key C -q -o mute
says 'song-001 has no pitches' "no key for silence"

ok "no MPI inside" bash -c "ldd '$sampler' >ldd.txt && ! grep -i mpi ldd.txt"
finish
