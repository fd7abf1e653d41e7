#!/usr/bin/env bash
# From MIDI files to new music in at most three minutes on two cores: demo.sh OUTPUT [CORPUS]. It trains for
# MINUTES (2).
set -eu

output=${1:-demo}
corpus=${2:-/usr/share/games/openttd/baseset/openmsx}
programs=${BIN:-$(dirname "$0")/build}

if [ ! -e "$corpus" ]; then
    echo "demo: $corpus: no such folder; give one with MIDI files: make demo CORPUS=folder" >&2
    exit 1
fi
files=("$corpus") from=() batch=()
# Of openmsx' 31 songs, 11 in 4/4 and near the scales of F, B flat and C major, with the melody above the
# bass: roles and keys that mean the same in all can be learned in two minutes.
if [ $# -lt 2 ]; then
    files=("$corpus"/{keep_on_rolling,be_sharp_bw_redfarn,careless_perc_redfarn,harp_harmony,linns_basket}.mid
        "$corpus"/{modern_motion,no_work_song_redfarn,relax_song,ttsong_iii_imuh3,tttheme2,wood_whistles}.mid)
    from=(--bar 9) # where the first two have all their tracks
    batch=(--batch 8)
fi
# Open MPI wants to be told that root is meant; a container's user often is root.
if [ "$(id -u)" -eq 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
launch=(mpirun -n 2)
# Two ranks on one core, for Open MPI 4 and 5.
[ "$(nproc)" -ge 2 ] ||
    launch=(env OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
        "${launch[@]}")

say() { printf '\n== %s\n' "$1"; }
show() {
    printf '$ %s\n' "$*" >&2
    "$@"
}

# Each run starts anew: shards, checkpoints and music of an earlier demo give way.
if [ -e "$output" ] && [ ! -e "$output/.mpianist-demo" ]; then
    echo "demo: $output is there and was not made by the demo; choose another: make demo OUTPUT=folder" >&2
    exit 1
fi
rm -rf "$output"
mkdir -p "$output"
touch "$output/.mpianist-demo"

say "MIDI files to piano-roll shards: four tracks that sound together"
show "$programs/preprocess" --tracks melody,chords,bass,drums --split 100,0,0 --output "$output/shards" \
    "${files[@]}"
show "$programs/preprocess" --info "$output/shards"

say "Training a sequence VAE on two ranks"
show "${launch[@]}" "$programs/trainer" --data "$output/shards" --output "$output/run" \
    --preset band --memory 0 --note 0 --latent-rate 0 --free-bits 4 --lags 1,2,4,8,16,32 --bar-lags 0 \
    --bar 0 --lag-dropout 0.7 --context-dropout 0 --transpose 0,0 --profiles 0 --dropout 0.7 \
    "${batch[@]}" --epochs 45 --max-minutes "${MINUTES:-2}"
show "$programs/trainer" --evaluate "$output/run/best.h5" --data "$output/shards" --split train >/dev/null

say "Music"
newest=$output/run/best.h5
audio=()
for soundfont in "${SOUNDFONT:-}" /usr/share/sounds/sf2/*.sf2 /usr/share/soundfonts/*.sf2; do
    if [ -r "$soundfont" ]; then audio=(--audio); fi
done
# Draws differ. Of 16 songs the one is shown that is nearest to the songs that were learned and borrows least
# from them. weigh SEED FILE prints the sum that is to be small, and what it adds up: the distance of the
# file's figures from the means of the songs that were learned, in their standard deviations, on average; and
# a twentieth for each note event of the longest passage that one of its tracks shares with one of them.
# Counts of notes and pitches are left out: the 16 songs are as long as they were asked for.
score=("$programs/sampler" score --corpus "$output/shards" --split train --originality "$output/shards")
weigh() {
    "${score[@]}" "$2" 2>&1 >/dev/null |
        awk -v seed="$1" '
            /^  (note|pitch) count / { next }
            match($0, / [0-9.]+ +[0-9.]+ \([0-9.]+\)/) {
                split(substr($0, RSTART, RLENGTH), x, /[ ()]+/)
                if (x[4] > 0) { sum += (x[2] > x[3] ? x[2] - x[3] : x[3] - x[2]) / x[4]; n++ }
            }
            /: events, median/ { gsub(/[()]/, ""); if ($NF > longest) longest = $NF }
            END {
                distance = n ? sprintf("%.2f", sum / n) : "-"
                printf "%.3f %s %d %d\n", n ? sum / n + longest / 20 : 99, distance, longest, seed
            }'
}
new=("$programs/sampler" song --checkpoint "$newest" --bars 32 --temperature 1.1)
mkdir -p "$output/draws"
for seed in {1..16}; do
    "${new[@]}" --quiet --seed "$seed" --output "$output/draws/$seed" >/dev/null
    weigh "$seed" "$output/draws/$seed/song-001.mid"
done | LC_ALL=C sort -n >"$output/draws/order"
read -r _ distance longest seed <"$output/draws/order"
cat <<END
Of 16 songs that of seed $seed is shown. All are in $output/draws. Its distance from the songs that were
learned, in their standard deviations: $distance; the longest passage of one of its tracks in one of them, in
note events: $longest
END
show "${new[@]}" --seed "$seed" --picture "${audio[@]}" --output "$output/music/song"
# Two songs that were kept, by the report.
mapfile -t songs < <(awk -F '\t' '$2 == "kept" { print $1 }' "$output/shards/report.tsv" | head -n 2)
if [ $# -lt 2 ]; then
    songs=("${files[@]:0:2}")
elif [ -d "$corpus" ]; then
    songs=("${songs[@]/#/$corpus/}")
fi
show "$programs/sampler" continue --checkpoint "$newest" --keep 8 --bars 8 --seed 1 --picture "${audio[@]}" \
    --output "$output/music/continue" "${songs[0]}"
show "$programs/sampler" vary --checkpoint "$newest" --amount 0.3 -n 2 "${from[@]}" --bars 8 \
    --sample --picture --output "$output/music/vary" "${songs[0]}"
if [ ${#songs[@]} -gt 1 ]; then
    show "$programs/sampler" interpolate --checkpoint "$newest" "${from[@]}" --bars 4 --steps 5 \
        --sample --picture --output "$output/music/interpolate" "${songs[0]}" "${songs[1]}"
fi
# Of the new song four bars are written anew, and all but its melody.
show "$programs/sampler" fill --checkpoint "$newest" --bars 13-16 --picture "${audio[@]}" \
    --output "$output/music/fill" "$output/music/song/song-001.mid"
show "$programs/sampler" accompany --checkpoint "$newest" --tracks chords,bass,drums --picture "${audio[@]}" \
    --output "$output/music/accompany" "$output/music/song/song-001.mid"
show "$programs/sampler" curves --picture --output "$output/music/curves" "$output/run"
show "${score[@]}" "$output/music/song" >"$output/music/score.json"

cat <<END

Done. In $output:
  shards/             the piano rolls:                $programs/preprocess --info $output/shards
  run/                checkpoints and metrics:        best.h5, metrics.jsonl, run.ini
  music/              MIDI, pictures${audio:+, sound}:
END
find "$output/music" -type f | LC_ALL=C sort | sed 's/^/    /'
longer=("${launch[@]}" "$programs/trainer" --config "$output/run/run.ini" --data "$output/shards"
    --output "$output/run" --resume auto --epochs 1000 --max-minutes 30)
between=("$programs/sampler" interpolate --checkpoint "$newest" --picture --output "$output/between"
    A.mid B.mid)
cat <<END

What to try next:
  train longer        ${longer[*]}
  your own music      make demo CORPUS=folder OUTPUT=mine
  between two songs   ${between[*]}
  your melody         $programs/sampler accompany --checkpoint $newest --given melody melody.mid
END
