#!/usr/bin/env bash
# Every file that the sampler writes says how to make it again: of each verb and its options, made again from
# nothing but its texts, the checkpoint and its songs.
# shellcheck disable=SC2317 # `ok` calls the helpers
. "$SOURCE/tests/helpers/lib.sh"
sampler=$BIN/sampler
make=$BUILD/tests/helpers/make_checkpoint

"$make" dense.h5 || { echo "Bail out! no checkpoint"; exit 1; }
"$make" sequence.h5 --segment 8 --bias -5 || { echo "Bail out! no checkpoint"; exit 1; }
"$make" plain.h5 --segment 8 --bias -5 --latent 0 || { echo "Bail out! no checkpoint"; exit 1; }
"$make" player.h5 --segment 8 --bias -5 --performance 5 || { echo "Bail out! no checkpoint"; exit 1; }
"$BUILD/tests/helpers/make_songs" songs 3 || { echo "Bail out! no songs"; exit 1; }
"$BIN/preprocess" --tracks melody,chords,bass,drums --split 100,0,0 --quiet --output corpus songs ||
    { echo "Bail out! no shards"; exit 1; }
for model in dense sequence; do
    "$BIN/trainer" --attributes $model.h5 --data corpus >out2 2>err2 ||
        { echo "Bail out! no attributes"; exit 1; }
done
a=songs/song-0000.mid b=songs/song-0001.mid

# read_texts FILE: the command that its texts tell, to the array `command`; its songs to the array `songs`.
read_texts() {
    local key value given=
    command=() songs=()
    while IFS= read -r line; do
        key=${line%%: *} value=${line#*: }
        case $key in
            tool | kept | step | transposed | "latent "*) ;; # what came of it
            checkpoint) command+=(--checkpoint "$(sha256sum ./*.h5 | grep "^$value" | cut -c 67-)") ;;
            verb) verb=$value ;;
            song) songs+=("songs/$value.mid") ;;
            songs) songs+=("songs/${value% to *}.mid" "songs/${value#* to }.mid") ;;
            result)
                case $verb in
                    prior | song | continue | vary) command+=(--first "$value" -n 1) ;;
                    reconstruct) first=$value ;;
                esac
                ;;
            draws)
                [ "$value" = greedy ] && command+=(--greedy)
                [ "$value" = bernoulli ] && command+=(--sample)
                [[ "$value $verb" = "bernoulli reconstruct" || "$value $verb" = "best reconstruct" ]] &&
                    command+=(--first "$first")
                ;;
            threshold) if [ "$value" = density ]; then command+=(--density); else \
                command+=(--threshold "$value"); fi ;;
            given) given=yes command+=(--latent "$value") ;;
            latent) [ "$verb$given" != prior ] || [[ " ${command[*]} " = *" --temperature "* ]] ||
                command+=(--latent "$value") ;;
            morph | only-new) command+=("--$key") ;;
            *) command+=("--$key" "$value") ;;
        esac
    done < <("$BUILD/tests/helpers/midi_texts" "$1")
    # One result a vector: its name is the number.
    [[ " ${command[*]} " != *" --latent "* ]] || for i in "${!command[@]}"; do [ "${command[i]}" != -n ] ||
        unset "command[i]" "command[i+1]"; done
}

# A path of the last run, made again, is the same file byte by byte.
made_again() {
    read_texts "$1"
    rm -rf again
    "$sampler" "$verb" "${command[@]}" -q -o again "${songs[@]}" >again.out || return
    cmp "$1" "again/$(basename "$1")"
}

# again NAME ARGUMENTS...: each file that sampler makes so can be made again.
again() {
    local name=$1
    shift
    rm -rf first
    run "$sampler" "$@" -q -o first
    status_is 0 "$*"
    [ -s "$WORK/out" ] || result 1 "$*: files"
    while read -r path; do ok "$name: ${path#first/} made again" made_again "$path"; done < <(cat "$WORK/out")
}

for model in dense sequence; do
    m="-c $model.h5"
    # shellcheck disable=SC2086
    {
        again $model prior $m -n 2 --seed 3 --temperature 0.7 --tempo 91.3 --key Am
        again $model prior $m --sample --more polyphony --strength 0.12345678901234
        again $model song $m --bars 5 --first 2 -n 2
        again $model reconstruct $m $a $b --sample --seed 4
        again $model reconstruct $m $b --tempo 77
        again $model vary $m $a --amount 0.2 --bar 2 -n 2 --less polyphony
        again $model interpolate $m $a $b --steps 3 --bar 3
        again $model traverse $m $a --dim 2 --steps 2 --bar 4 --sample
    }
done
again dense prior -c dense.h5 --latent 1,2,-3,0.25 --latent -1,0,0,0 --threshold 0.3
again dense prior -c dense.h5 --latent 1,2,-3,0.25 --more polyphony --strength 2
again dense song -c dense.h5 --bars 6 --correlation 0.35 --density --temperature 1.25
again sequence prior -c sequence.h5 --bars 3 --greedy
again sequence song -c sequence.h5 --bars 3 --more density --less register
again sequence vary -c sequence.h5 $a --bar 2 --bars 3 --sample --temperature 0.8
again sequence vary -c sequence.h5 $a --bars 3 --best-of 3 --temperature 0.8
again sequence reconstruct -c sequence.h5 $b --greedy
again sequence interpolate -c sequence.h5 $a $b --bars 3 --steps 2
again sequence interpolate -c sequence.h5 $a $b --morph --bars 4 --bar 2
again sequence continue -c sequence.h5 $a --keep 2 --bars 2 --only-new --first 3
again sequence continue -c sequence.h5 $b --bars 1 --temperature 0
again plain song -c plain.h5 --bars 3 --temperature 0.9
again plain continue -c plain.h5 $a --bars 1
again player song -c player.h5 --bars 3 --seed 5
again player vary -c player.h5 $a --perform 0.5 -n 2
again player interpolate -c player.h5 $a $b --bars 2 --steps 2 --seed 2
again player perform -c player.h5 $a --seed 7 --key G

finish
