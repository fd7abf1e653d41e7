"""One song of a folder of shards as numpy arrays, by h5py alone.

python3 examples/read_song.py SHARDS [NUMBER]
"""

import glob
import sys

import h5py
import numpy as np


def open_song(folder, number):
    """The file that holds song `number` of the corpus, and its row of /songs."""
    for path in sorted(glob.glob(f"{folder}/shard-*.h5")):
        shard = h5py.File(path)
        songs = shard["songs"]
        if number < len(songs):
            return shard, songs[number]
        number -= len(songs)
    raise SystemExit(f"{folder}: no such song")


def read_song(folder, number=0):
    """Song `number`: its row of /songs, and its roll [frames, tracks, 2, pitches] of 0 and 1 (planes:
    sounding, onset)."""
    shard, song = open_song(folder, number)
    packed = shard["roll"][song["first_frame"] : song["first_frame"] + song["frames"]]
    return song, np.unpackbits(packed, axis=-1, count=shard.attrs["pitches"], bitorder="little")


def read_played(folder, number=0):
    """How its onsets were played, in the order of roll[:, :, 1].nonzero(): velocities, 1 to 127, and offsets
    from the grid in frames. None before version 3 of the format."""
    shard, song = open_song(folder, number)
    if shard.attrs["version"] < 3:
        return None
    rows = slice(song["first_onset"], song["first_onset"] + song["onsets"])
    return shard["velocity"][rows], shard["offset"][rows] / 256


def read_maps(folder, number=0):
    """Its tempi {frame, bpm} and meters {frame, numerator, denominator}: each holds from its frame of the
    song to the next one's."""
    shard, song = open_song(folder, number)
    if shard.attrs["version"] == 1:  # knows one of each
        tempi = np.array([(0, song["tempo_bpm"])], dtype=[("frame", "<i8"), ("bpm", "<f8")])
        meters = np.array(
            [(0, song["meter_numerator"], song["meter_denominator"])],
            dtype=[("frame", "<i8"), ("numerator", "u1"), ("denominator", "u1")],
        )
        return tempi, meters
    return (
        shard["tempi"][song["first_tempo"] : song["first_tempo"] + song["tempi"]],
        shard["meters"][song["first_meter"] : song["first_meter"] + song["meters"]],
    )


if __name__ == "__main__":
    folder, number = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    song, roll = read_song(folder, number)
    tempi, meters = read_maps(folder, number)
    played = read_played(folder, number)
    print(
        song["path"].decode(),
        roll.shape,
        f"{song['tempo_bpm']:.0f} bpm,",
        roll[:, :, 1].sum(),
        "notes,",
        roll[:, :, 0].sum(),
        "cells sounding",
    )
    if played:
        print(f"velocity {played[0].mean():.1f}, offset {played[1].mean():+.3f} frames on average")
    print("tempi ", ", ".join(f"{t['bpm']:.4g} bpm from frame {t['frame']}" for t in tempi))
    print("meters", ", ".join(f"{m['numerator']}/{m['denominator']} from frame {m['frame']}" for m in meters))
