"""A checkpoint's weights in the seed's PyTorch model, decoding the same music as `sampler`.

    python3 examples/load_in_pytorch.py CHECKPOINT "LATENT, LATENT, ..."

LATENT are the numbers that sampler writes into each file's text. Prints the notes sounding in each of the first frames.
"""
import sys

import h5py
import numpy as np
import torch
from torch import nn


def load_decoder(path):
    """The decoder (latent -> logits of a window's cells) as an nn.Sequential, and the checkpoint's attributes."""
    with h5py.File(path) as checkpoint:
        attributes, weights = dict(checkpoint.attrs), checkpoint["weights"]
        names = sorted({name.rsplit(".", 1)[0] for name in weights if name.startswith("decoder.")}) + ["output"]
        layers = []
        for name in names:
            weight, bias = weights[f"{name}.weight"][:], weights[f"{name}.bias"][:]  # [inputs, outputs], [1, outputs]
            layer = nn.Linear(*weight.shape)
            layer.load_state_dict({"weight": torch.from_numpy(weight.T), "bias": torch.from_numpy(bias.reshape(-1))})
            layers += [layer, nn.ReLU()]
        return nn.Sequential(*layers[:-1]), attributes


if __name__ == "__main__":
    decoder, attributes = load_decoder(sys.argv[1])
    z = torch.tensor([[float(value) for value in sys.argv[2].replace(",", " ").split()]])
    with torch.no_grad():
        probability = torch.sigmoid(decoder(z))
    shape = [int(attributes[name]) for name in ("window", "tracks", "planes", "pitches")]
    roll = probability.reshape(shape).numpy() >= 0.5  # [frames, tracks, planes, pitches]
    for frame, pitches in enumerate(roll[:16, :, 0]):
        print(frame, *(int(p) + int(attributes["pitch_low"]) for p in np.nonzero(pitches.any(axis=0))[0]))
