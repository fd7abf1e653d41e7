# shellcheck shell=bash disable=SC2317 # `ok` calls the helpers
# Music that is played: by models that have learned how, and no others; the notes stay the same on the grid.
. "$SOURCE/tests/helpers/lib.sh"
sampler=$BIN/sampler
make=$BUILD/tests/helpers/make_checkpoint

"$make" player.h5 --segment 8 --bias -5 --performance 6 || { echo "Bail out! no checkpoint"; exit 1; }
"$make" typist.h5 --segment 8 --bias -5 || { echo "Bail out! no checkpoint"; exit 1; }
"$BUILD/tests/helpers/make_songs" songs 2 || { echo "Bail out! no songs"; exit 1; }
song=songs/song-0000.mid

# same_grid A B: both have the same notes on the grid of the models.
same_grid() {
    rm -rf grid grid.songs
    mkdir grid.songs
    cp "$1" grid.songs/a.mid
    cp "$2" grid.songs/b.mid
    "$BIN/preprocess" -q --tracks melody,chords,bass,drums --output grid grid.songs &&
        awk -F '\t' '$1 == "b.mid" && $2 == "dropped" && $9 == "a.mid" { same = 1 } END { exit !same }' \
            grid/report.tsv
}
# velocities FILE: their standard deviation, and that of offsets.
spread() {
    rm -rf spread
    "$BIN/preprocess" -q --tracks melody,chords,bass,drums --split 100,0,0 --output spread "$1" &&
        awk -F '\t' 'NR == 2 { print $12, $13 }' spread/report.tsv
}

run "$sampler" perform -c player.h5 $song -o played
status_is 0 "perform"
run "$sampler" perform -c player.h5 $song -o typed --perform 0
status_is 0 "perform --perform 0"
ok "the same notes on the grid" same_grid typed/perform-song-0000.mid played/perform-song-0000.mid
ok "which are the song's" same_grid "$song" played/perform-song-0000.mid
read -r velocity offset < <(spread played/perform-song-0000.mid)
ok "velocities differ ($velocity)" awk "BEGIN { exit !($velocity > 5) }"
ok "so do offsets ($offset)" awk "BEGIN { exit !($offset > 0.02) }"
[ "$(spread typed/perform-song-0000.mid)" = "0.0 0.000" ]
result $? "amount 0 is the grid"
run "$sampler" perform -c player.h5 $song -o again
ok "the same seed plays the same" cmp played/perform-song-0000.mid again/perform-song-0000.mid
run "$sampler" perform -c player.h5 $song -o other --seed 2
ok "another one plays otherwise" test "$(cksum <played/perform-song-0000.mid)" != \
    "$(cksum <other/perform-song-0000.mid)"

for verb in "song --bars 4" "reconstruct $song" "continue $song --bars 2"; do
    rm -rf a b
    # shellcheck disable=SC2086
    {
        run "$sampler" ${verb%% *} -c player.h5 ${verb#* } -o a
        status_is 0 "$verb"
        run "$sampler" ${verb%% *} -c player.h5 ${verb#* } -o b --perform 0
    }
    ok "$verb: played and typed are the same notes" same_grid a/*.mid b/*.mid
    ok "but not the same file" test "$(cat a/*.mid | cksum)" != "$(cat b/*.mid | cksum)"
done

run "$sampler" perform -c typist.h5 $song
status_is 2 "a model that has not learned it"
says 'perform: this model has not learned how notes are played; train one with --performance N' "is told so"
run "$sampler" prior -c typist.h5 --perform 0.5
status_is 2 "so is --perform"
says '--perform has no meaning for this model, which has not learned how notes are played' "with the reason"
run "$sampler" prior -c player.h5 --perform 2.5
status_is 2 "more than 2"
says '--perform 2.5 is out of range; give 0 to 2' "is out of range"
finish
