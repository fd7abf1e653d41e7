"""One song of a folder of shards as a numpy array, by h5py alone.

    python3 examples/read_song.py SHARDS [NUMBER]
"""
import glob
import sys

import h5py
import numpy as np


def read_song(folder, number=0):
    """Song `number` of the corpus: its row of /songs, and its roll [frames, tracks, 2, pitches] of 0 and 1 (planes: sounding, onset)."""
    for path in sorted(glob.glob(f"{folder}/shard-*.h5")):
        with h5py.File(path) as shard:
            songs = shard["songs"]
            if number >= len(songs):
                number -= len(songs)
                continue
            song = songs[number]
            packed = shard["roll"][song["first_frame"]:song["first_frame"] + song["frames"]]
            return song, np.unpackbits(packed, axis=-1, count=shard.attrs["pitches"], bitorder="little")
    raise SystemExit(f"{folder}: no song {number}")


if __name__ == "__main__":
    song, roll = read_song(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(song["path"].decode(), roll.shape, f"{song['tempo_bpm']:.0f} bpm,", roll[:, :, 1].sum(), "notes,", roll[:, :, 0].sum(), "cells sounding")
