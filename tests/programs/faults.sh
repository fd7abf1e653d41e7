# shellcheck shell=bash
# shellcheck disable=SC2317 # sweep() calls the functions
# preprocess and sampler killed at each of their changes to files, and failed there by the disk.
. "$SOURCE/tests/helpers/preprocess_lib.sh"
. "$SOURCE/tests/helpers/fault_lib.sh"

options=(--quiet --jobs 1 --shard-frames 1000 --tracks 'melody,chords,bass,drums')
"$BUILD/tests/helpers/make_songs" songs 6 5 || exit 1
cp songs/song-0003.mid songs/zz-copy.mid
"$preprocess" "${options[@]}" --output whole songs || exit 1
for part in 1 2 3; do "$preprocess" "${options[@]}" --part $part/3 --output parts songs || exit 1; done
# The least counts of points follow from what is written: five calls for each file that appears whole (open,
# write, fsync, rename, fsync of the folder, the last one for all that the sampler writes), two writes for
# each song that is parsed, four for the mark. Removing what is not needed any more may fail; folders are
# tried again after their parents; and disks without links are known.
harmless='^(unlink|mkdir|link) '

whole() { all_whole corpus; }
part='preprocess-part-00002-of-00003.part'
prepare() { rm -rf corpus; }
what="a run"
finished() { diff -r whole corpus; }
sweep kill corpus 35 "$preprocess" "${options[@]}" --output corpus songs
sweep torn corpus 15 "$preprocess" "${options[@]}" --output corpus songs
sweep short corpus 15 "$preprocess" "${options[@]}" --output corpus songs
sweep fail corpus 35 "$preprocess" "${options[@]}" --output corpus songs

what="a part"
whole() { [ ! -e corpus/$part ] || cmp corpus/$part parts/$part; }
finished() { whole && [ "$(ls corpus)" = $part ]; }
for action in kill torn fail; do
    [ $action = torn ] && least=7 || least=15
    sweep "$action" corpus "$least" "$preprocess" "${options[@]}" --part 2/3 --output corpus songs
done

what="a join"
prepare() { rm -rf corpus && cp -r parts corpus; }
whole() { all_whole corpus; }
finished() { diff -r --exclude=preprocess.joined whole corpus; }
for action in kill torn fail; do
    [ $action = torn ] && least=4 || least=25
    sweep "$action" corpus "$least" "$preprocess" "${options[@]}" --join --output corpus songs
done

"$BUILD/tests/helpers/make_checkpoint" model.h5 || exit 1
sampler=("$BIN/sampler" song --quiet --checkpoint model.h5 --bars 1 --tempo 300 --seed 3)
# music ENDING...: files of these endings that have their final names are whole; others are temporary.
music() {
    local ending
    for ending; do
        [ ! -e "music/song-001.$ending" ] || cmp "music/song-001.$ending" "whole/song-001.$ending" || return
    done
}
whole() { music mid png wav; }
prepare() { rm -rf music; }
finished() { whole && [ -e music/song-001.mid ]; }
what="music and its picture"
"${sampler[@]}" --picture --output whole >/dev/null || exit 1
for action in kill torn fail; do
    [ $action = torn ] && least=2 || least=9
    sweep "$action" music "$least" "${sampler[@]}" --picture --output music
done
if "${sampler[@]}" --audio --output whole >/dev/null 2>&1; then
    what="music and its sound"
    thin=1000 about=wav
    finished() { whole && [ -e music/song-001.wav ]; }
    sweep kill music 5 "${sampler[@]}" --audio --output music
    sweep fail music 5 "${sampler[@]}" --audio --output music
else
    skip "without libfluidsynth" "music and its sound"
fi

finish
