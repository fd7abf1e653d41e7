"""decode_numpy.py CHECKPOINT LATENT,... THRESHOLD SHARDS: does a checkpoint's decoder, computed by numpy from
what h5py reads, sound the same cells as the song in SHARDS that sampler made of the same latent? Prints the
number of cells; exit status 1 where one differs."""

import pathlib
import sys

import h5py
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples"))
from read_song import read_song  # noqa: E402


def decode(path, z):
    with h5py.File(path) as checkpoint:
        weights, shape = checkpoint["average" if "average" in checkpoint else "weights"], [
            int(checkpoint.attrs[name]) for name in ("window", "tracks", "planes", "pitches")
        ]
        layers = sorted({name.rsplit(".", 1)[0] for name in weights if name.startswith("decoder.")}) + [
            "output"
        ]
        for layer in layers:
            z = z @ weights[f"{layer}.weight"][:] + weights[f"{layer}.bias"][:]
            if layer != "output":
                z = np.maximum(z, 0)
    return 1 / (1 + np.exp(-z.reshape(shape)))


latent = np.array([float(value) for value in sys.argv[2].split(",")], np.float64)
decoded = decode(sys.argv[1], latent)[:, :, 0] >= float(sys.argv[3])
written = read_song(sys.argv[4])[1][:, :, 0]
print(decoded.sum())
sys.exit(
    not np.array_equal(decoded[: len(written)], written) or decoded[len(written) :].any() or not decoded.any()
)
