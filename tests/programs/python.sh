# shellcheck shell=bash
# Shards and checkpoints from Python: h5py reads a song, and numpy decodes a latent to what sampler writes.
# Debian's own python3 and python3-h5py.
. "$SOURCE/tests/helpers/lib.sh"
python=/usr/bin/python3

"$BUILD/tests/helpers/make_songs" songs 12
"$BIN/preprocess" --quiet --tracks melody,bass --split 100,0,0 --output shards songs
ok "training for the sake of a checkpoint" ranks 1 "$BIN/trainer" --quiet --data shards \
    --output run --window 24 --hidden 24,12 --latent 5 --batch 8 --epochs 30 --average 0.9

run "$python" "$SOURCE/examples/read_song.py" shards 3
status_is 0 "h5py reads a song"
prints '\([0-9]+, 2, 2, 88\) [0-9]+ bpm, [1-9][0-9]* notes' \
    "as a numpy array [frames, tracks, planes, pitches]"
notes=$(sed -n 's/.* \([0-9]*\) notes.*/\1/p' "$WORK/out")
# shellcheck disable=SC2016
ok "with the notes that the report counts" awk -F '\t' -v path="$(head -n 1 "$WORK/out" | cut -d ' ' -f 1)" \
    -v notes="$notes" '$1 == path && $4 == notes { found = 1 } END { exit !found }' shards/report.tsv

run "$python" "$SOURCE/examples/read_song.py" "$SOURCE/tests/golden/shard-v1" 1
prints '^tempi  100 bpm from frame 0$' "of version 1 the one tempo"
prints '^meters 6/8 from frame 0$' "and the one meter"

"$BIN/sampler" prior --quiet --checkpoint run/best.h5 --seed 2 --threshold 0.2 --output music >/dev/null
"$BIN/preprocess" --quiet --tracks melody,bass --output again music/prior-001.mid
latent=$(tr -d '\n' <music/prior-001.mid | grep -ao 'latent: [-0-9.,e]*' | sed 's/latent: //')
run "$python" "$SOURCE/tests/helpers/decode_numpy.py" run/best.h5 "$latent" 0.2 again
status_is 0 "a checkpoint's weights, by h5py and numpy, decode a latent to what sampler wrote"
prints '^[1-9]' "which is not silence"
finish
