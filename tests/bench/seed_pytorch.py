"""The seed's dense VAE in PyTorch, trained on mpianist's shards: the yardstick for quality.

The same model, data and schedule as `trainer --preset seed`: grid windows of 100 frames, frames past a song's
end masked, last batch of an epoch partial, loss = mean over windows of [summed binary cross-entropy + KL],
Adam 1e-3, batch 64, PyTorch's default weight init. The best epoch by validation is scored. Needs torch, h5py
and numpy; reads shards through h5py alone.
"""

import glob
import math

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

WINDOW, HIDDEN, LATENT, BATCH, EPOCHS, RATE = 100, (256, 128, 64), 16, 64, 50, 1e-3
SPLITS = {"train": 0, "valid": 1, "test": 2}


def read_windows(folder, split):
    """Grid windows of a split's songs: bits [N, WINDOW * cells] uint8 (sounding plane) and mask [N,
    WINDOW]."""
    windows, masks = [], []
    for path in sorted(glob.glob(f"{folder}/shard-*.h5")):
        with h5py.File(path) as shard:
            roll, pitches = shard["roll"][:], int(shard.attrs["pitches"])
            for song in shard["songs"][:]:
                if song["split"] != SPLITS[split]:
                    continue
                first, frames = int(song["first_frame"]), int(song["frames"])
                bits = np.unpackbits(
                    roll[first : first + frames, :, 0], axis=-1, count=pitches, bitorder="little"
                )
                bits = bits.reshape(frames, -1)
                for start in range(0, frames, WINDOW):
                    part = bits[start : start + WINDOW]
                    window, mask = np.zeros((WINDOW, bits.shape[1]), np.uint8), np.zeros(WINDOW, np.uint8)
                    window[: len(part)], mask[: len(part)] = part, 1
                    windows.append(window.reshape(-1))
                    masks.append(mask)
    return torch.from_numpy(np.stack(windows)), torch.from_numpy(np.stack(masks))


class SeedVAE(nn.Module):
    def __init__(self, cells):
        super().__init__()
        sizes = (cells,) + HIDDEN
        self.encoder = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.mu, self.logvar = nn.Linear(HIDDEN[-1], LATENT), nn.Linear(HIDDEN[-1], LATENT)
        sizes = (LATENT,) + HIDDEN[::-1]
        self.decoder = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.output = nn.Linear(HIDDEN[0], cells)

    def forward(self, x, eps):
        h = x
        for layer in self.encoder:
            h = torch.relu(layer(h))
        mu, logvar = self.mu(h), self.logvar(h)
        h = mu + torch.exp(logvar / 2) * eps
        for layer in self.decoder:
            h = torch.relu(layer(h))
        return self.output(h), mu, logvar


def losses(model, bits, mask, eps):
    """Sums over windows: reconstruction and KL, nats."""
    x = bits.float()
    logits, mu, logvar = model(x, eps)
    weight = mask.float().repeat_interleave(bits.shape[1] // WINDOW, dim=1)
    nll = F.binary_cross_entropy_with_logits(logits, x, weight=weight, reduction="sum")
    kl = 0.5 * torch.sum(mu.square() + logvar.exp() - 1 - logvar)
    return nll, kl


@torch.no_grad()
def evaluate(model, data, seed):
    """(reconstruction, KL) in nats a frame over the whole split."""
    bits, mask = data
    generator = torch.Generator().manual_seed(seed)
    nll = kl = 0.0
    for start in range(0, len(bits), 256):
        part = slice(start, start + 256)
        a, b = losses(
            model, bits[part], mask[part], torch.randn(len(bits[part]), LATENT, generator=generator)
        )
        nll, kl = nll + a.item(), kl + b.item()
    frames = mask.sum().item()
    return nll / frames, kl / frames


def train(folder, seed, epochs=EPOCHS):
    """Trains; returns the model of the best epoch by validation, and {split: windows}."""
    torch.manual_seed(seed)
    data = {split: read_windows(folder, split) for split in SPLITS}
    bits, mask = data["train"]
    model = SeedVAE(bits.shape[1])
    adam = torch.optim.Adam(model.parameters(), lr=RATE)
    best, best_state = math.inf, None
    for _ in range(epochs):
        order = torch.randperm(len(bits))
        for at in range(0, len(order), BATCH):
            part = order[at : at + BATCH]
            adam.zero_grad()
            nll, kl = losses(model, bits[part], mask[part], torch.randn(len(part), LATENT))
            ((nll + kl) / len(part)).backward()
            adam.step()
        score = sum(evaluate(model, data["valid"], seed))
        if score < best:
            best, best_state = score, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(best_state)
    return model, data
