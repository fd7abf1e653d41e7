"""A checkpoint's weights in the seed's PyTorch model, decoding the same music as `sampler`.

    python3 examples/load_in_pytorch.py CHECKPOINT LATENT,LATENT,... [THRESHOLD]

LATENT are the numbers that sampler writes into each file's text. Prints the pitches sounding in each of the
first frames.
"""

import sys

import h5py
import numpy as np
import torch
from torch import nn


def load_decoder(path):
    """The decoder (latent -> logits of a window's cells) as an nn.Sequential, and the checkpoint's
    attributes."""
    with h5py.File(path) as checkpoint:
        attributes, weights = (
            dict(checkpoint.attrs),
            checkpoint["average" if "average" in checkpoint else "weights"],
        )
        if attributes["model"].decode() != "dense":
            sys.exit(f"{path}: is no dense model; this example knows no other")
        names = sorted({name.rsplit(".", 1)[0] for name in weights if name.startswith("decoder.")}) + [
            "output"
        ]
        layers = []
        for name in names:
            weight, bias = (
                weights[f"{name}.weight"][:],
                weights[f"{name}.bias"][:],
            )  # [inputs, outputs], [1, outputs]
            layer = nn.Linear(*weight.shape)
            layer.load_state_dict(
                {"weight": torch.from_numpy(weight.T), "bias": torch.from_numpy(bias.reshape(-1))}
            )
            layers += [layer, nn.ReLU()]
        return nn.Sequential(*layers[:-1]), attributes


def decode(path, latent, threshold=0.5):
    """The roll [frames, tracks, planes, pitches] of 0 and 1 of one latent, and the lowest pitch."""
    decoder, attributes = load_decoder(path)
    with torch.no_grad():
        probability = torch.sigmoid(decoder(torch.tensor([latent])))
    shape = [int(attributes[name]) for name in ("window", "tracks", "planes", "pitches")]
    return (probability.reshape(shape) >= threshold).numpy(), int(attributes["pitch_low"])


if __name__ == "__main__":
    numbers = [float(value) for value in sys.argv[2].split(",")]
    roll, pitch_low = decode(sys.argv[1], numbers, *map(float, sys.argv[3:]))
    for frame, cells in enumerate(roll[:8, :, 0]):
        print(f"frame {frame}:", *(pitch_low + p for p in np.nonzero(cells.any(axis=0))[0]))
    print("cells sounding:", roll[:, :, 0].sum())
