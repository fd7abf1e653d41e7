#!/usr/bin/env bash
# A shard whose rows are not those that were written, though HDF5 finds the file whole: every program that
# reads them names shard and song, and makes nothing.
. "$SOURCE/tests/helpers/lib.sh"
tracks=melody,chords,bass,drums

"$BUILD/tests/helpers/make_songs" songs 12 || { echo "Bail out! no songs"; exit 1; }
"$BIN/preprocess" -q --tracks $tracks --split 100,0,0 --shard-frames 1500 --output shards songs ||
    { echo "Bail out! no shards"; exit 1; }
"$BUILD/tests/helpers/make_checkpoint" model.h5 --tracks $tracks --segment 16 ||
    { echo "Bail out! no checkpoint"; exit 1; }

# Flips one bit of the last frame of the second song of the second shard, by h5py, which makes HDF5's own
# checksums right again; its name.
song=$(/usr/bin/python3 - <<'P'
import glob, h5py
with h5py.File(sorted(glob.glob("shards/shard-*.h5"))[1], "r+") as shard:
    song = shard["songs"][1]
    row = song["first_frame"] + song["frames"] - 1
    shard["roll"][row, 0, 0, 3] ^= 1
    print(song["path"].decode())
P
)
[ -n "$song" ]
result $? "one bit of a song is changed by a valid write"
wrong="shards/shard-00001-of-0000[0-9].h5: song $song: its rows do not match their checksum; preprocess again"

run "$BIN/preprocess" --info shards
status_is 1 "preprocess --info"
says "^preprocess: $wrong" "names shard and song"
run ranks 1 "$BIN/trainer" --data shards --output run --preset band --epochs 1
says "^trainer: $wrong" "trainer"
[ "$status" -ne 0 ] && [ ! -e run ]
result $? "begins nothing"
run ranks 2 "$BIN/trainer" --data shards --output run --window 16 --hidden 16 --latent 4 --epochs 1
says_once "$wrong" "trainer on two ranks: once"
run ranks 1 "$BIN/trainer" --data shards --output some --preset band --epochs 1 --batch 4 --transpose 0,0 \
    --data-memory 1
says "^trainer: $wrong" "trainer --data-memory"
run ranks 1 "$BIN/trainer" --evaluate model.h5 --data shards --split train
says "$wrong" "trainer --evaluate"
run ranks 1 "$BIN/trainer" --attributes model.h5 --data shards
says "$wrong" "trainer --attributes"
run "$BIN/sampler" score songs --corpus shards --split train
status_is 1 "sampler score --corpus"
says "^sampler: $wrong" "names shard and song"
run "$BIN/sampler" score songs --originality shards
status_is 1 "sampler score --originality"
says "^sampler: $wrong" "names shard and song"

run "$BIN/preprocess" -q --tracks $tracks --split 100,0,0 --shard-frames 1500 --output shards songs
status_is 0 "the same preprocess command"
run "$BIN/preprocess" --info shards
status_is 0 "makes it right again"

# Version 1 has no checksums: as it was.
run "$BIN/preprocess" --info "$SOURCE/tests/golden/shard-v1"
status_is 0 "a shard of version 1"
prints '^train +2 +384 +290 ' "reads as when it was written"
run ranks 1 "$BIN/trainer" --quiet --data "$SOURCE/tests/golden/shard-v1" --output old --batch 8 --window 16 \
    --hidden 16 --latent 4 --epochs 1
status_is 0 "and can be trained on"
run "$BIN/preprocess" --info "$SOURCE/tests/golden/shard-v2"
status_is 0 "a shard of version 2"
prints '^train +2 +384 +290 ' "reads as when it was written"
prints '^No velocities and offsets: .*preprocess again, into another folder' "and says what it lacks"
finish
