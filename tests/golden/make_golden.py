#!/usr/bin/env python3
"""Golden values of the dense VAE, computed by PyTorch in float64. Run: `make golden` (PYTHON=... with torch
and numpy installed).

Writes seed.json (the seed's model, 8800-256-128-64-16) and small.json (a model small enough to keep every
value) beside this file; tests/golden/test_golden.c reads them, so tests need no PyTorch. Weights, bits and
noise are not stored: both sides draw them from Philox 4x32-10 (implemented here a second time, from the
paper), with weights and noise rounded to float32 first. Per case, for three optimizer steps on three batches:
losses and gradient norms; per tensor the gradient of the first step and the weights after the third, as

    norm         over the whole tensor
    projections  8 sums over the whole tensor under random signs. Their differences between two tensors a and
                 b have the mean square || a - b ||^2, so 4.6 million numbers are compared by 8
    values       at fixed entries (all, in small.json)
"""

import json
import math
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
SEED = 2024
INIT, SHUFFLE, OFFSET, TRANSPOSE, NOISE, EVALUATE, PRIOR, DECODE = range(8)  # rng_purpose_t
STEPS = 3
SAMPLED = 150
LOW32 = np.uint64(0xFFFFFFFF)


def philox(counter, key):
    """Philox 4x32-10 (Salmon et al. 2011): counter, four uint64 arrays of 32-bit words, to four of the
    same."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0),
            p1 & LOW32,
            (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1),
            p0 & LOW32,
        )
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1, c2, c3


def uniform(purpose, epoch, sample, n):
    """Elements 0..n-1 of a stream: trainer/model/rng.c's counter is element / 2 : 40 | attempt : 8 | sample :
    40 | purpose : 8 | epoch : 32."""
    pair = np.arange((n + 1) // 2, dtype=np.uint64)
    word = lambda value: np.full(pair.shape, value, dtype=np.uint64)
    counter = (
        pair & LOW32,
        (pair >> np.uint64(32)) | word((sample & 0xFFFF) << 16),
        word(sample >> 16 | purpose << 24),
        word(epoch),
    )
    out = philox(counter, (SEED & 0xFFFFFFFF, SEED >> 32))
    even, odd = out[1] << np.uint64(32) | out[0], out[3] << np.uint64(32) | out[2]
    words = np.stack([even, odd], axis=1).reshape(-1)[:n]
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(purpose, epoch, sample, n):
    u = uniform(purpose, epoch, sample, n + n % 2)
    radius, angle = np.sqrt(-2 * np.log1p(-u[0::2])), 2 * math.pi * u[1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:n]


def float32(x):
    return np.asarray(x).astype(np.float32).astype(np.float64)


class VAE(torch.nn.Module):
    """The seed's model; `named_linears` in the order of our table."""

    def __init__(self, cells, hidden, latent):
        super().__init__()
        sizes = [cells] + hidden
        linears = lambda sizes: torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.encoder = linears(sizes)
        self.mu, self.logvar = torch.nn.Linear(hidden[-1], latent), torch.nn.Linear(hidden[-1], latent)
        self.decoder = linears([latent] + hidden[::-1])
        self.output = torch.nn.Linear(hidden[0], cells)

    def named_linears(self):
        yield from ((f"encoder.{i}", linear) for i, linear in enumerate(self.encoder))
        yield from (("mu", self.mu), ("logvar", self.logvar))
        yield from ((f"decoder.{i}", linear) for i, linear in enumerate(self.decoder))
        yield "output", self.output

    def forward(self, x, eps):
        h = x
        for linear in self.encoder:
            h = torch.relu(linear(h))
        mu, logvar = self.mu(h), self.logvar(h)
        h = mu + torch.exp(logvar / 2) * eps
        for linear in self.decoder:
            h = torch.relu(linear(h))
        return self.output(h), mu, logvar


def tensors(model):
    """(name, parameter as our [inputs, outputs], its gradient likewise)."""
    for name, linear in model.named_linears():
        yield f"{name}.weight", linear.weight.detach().T, (
            linear.weight.grad.T if linear.weight.grad is not None else None
        )
        yield f"{name}.bias", linear.bias.detach(), linear.bias.grad


def initialise(model):
    with torch.no_grad():
        for index, (_, linear) in enumerate(model.named_linears()):
            bound = 1 / math.sqrt(linear.in_features)
            for part, sample, shape in (
                (linear.weight, 2 * index, (linear.in_features, linear.out_features)),
                (linear.bias, 2 * index + 1, (-1,)),
            ):
                u = uniform(INIT, 0, sample, part.numel())
                values = torch.from_numpy(float32(-bound + 2 * bound * u)).reshape(shape)
                part.copy_(values.T if part.dim() == 2 else values)


def batch(shape, step):
    """Bits [B, cells], the mask of cells that count, and noise [B, Z]; frames that do not count are
    silent."""
    B, T, cells, Z = shape["batch"], shape["window"], shape["cells"], shape["latent"]
    x = np.stack([uniform(DECODE, step, b, cells) < shape["density"] for b in range(B)])
    valid = 1 + (37 * np.arange(B) + T - 1) % T
    mask = (np.arange(cells) // (cells // T))[None, :] < valid[:, None]
    eps = np.stack([float32(normal(NOISE, step, b, Z)) for b in range(B)])
    as_tensor = lambda a: torch.from_numpy(a.astype(np.float64))
    return as_tensor(x & mask), as_tensor(mask), as_tensor(eps)


def loss_of(model, data, case):
    x, mask, eps = data
    logits, mu, logvar = model(x, eps)
    cells = (
        F.binary_cross_entropy_with_logits(logits, x, reduction="none")
        if case["loss"] == "bce"
        else (torch.sigmoid(logits) - x) ** 2
    )
    nll = (cells * mask).sum()
    kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(dim=1)
    return (nll + case["beta"] * torch.clamp(kl, min=case["free_bits"]).sum()) / len(x), {
        "nll": nll.item(),
        "kl": kl.sum().item(),
    }


def summary(tensor, index, sampled):
    a = tensor.contiguous().numpy().reshape(-1)
    signs = (uniform(SHUFFLE, 0, index, len(a)) * 256).astype(np.int64)
    projections = [float(np.sum(np.where(signs >> k & 1, a, -a))) for k in range(8)]
    values = (
        a
        if sampled is None or len(a) <= sampled
        else a[np.arange(sampled, dtype=np.uint64) * np.uint64(2654435761) % np.uint64(len(a))]
    )
    number = lambda v: float(f"{v:.9g}")
    return {
        "norm": float(np.linalg.norm(a)),
        "projections": projections,
        "values": [number(v) for v in values],
    }


def train(case, decaying, others, tensors, loss_of, sampled):
    """STEPS steps of Adam from the weights as they are. decaying, others: parameters with and without weight
    decay; tensors(): (name, weights, gradient), laid out as in our table; loss_of(step): the loss and its
    parts by name."""
    groups = [
        {"params": decaying, "weight_decay": case["weight_decay"]},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = (torch.optim.AdamW if case["weight_decay"] else torch.optim.Adam)(
        groups, lr=case["learning_rate"]
    )
    result = dict(case, steps=[], tensors=[{"name": name} for name, _, _ in tensors()])
    for step in range(STEPS):
        optimizer.zero_grad()
        loss, parts = loss_of(step)
        loss.backward()
        if step == 0:
            for i, (_, _, gradient) in enumerate(tensors()):
                result["tensors"][i]["gradient"] = summary(gradient, i, sampled)
        norm = torch.nn.utils.clip_grad_norm_(decaying + others, case["clip"] or math.inf).item()
        optimizer.step()
        result["steps"].append(parts | {"norm": norm})
    for i, (_, weights, _) in enumerate(tensors()):
        result["tensors"][i]["weights"] = summary(weights, i, sampled)
    return result


def run(shape, case, sampled):
    model = VAE(shape["cells"], shape["hidden"], shape["latent"]).double()
    initialise(model)
    parameters = lambda dim: [p for p in model.parameters() if p.dim() == dim]
    return train(
        case,
        parameters(2),
        parameters(1),
        lambda: tensors(model),
        lambda step: loss_of(model, batch(shape, step), case),
        sampled,
    )


def write(path, shape, cases, sampled, run=run):
    shape["cells"] = shape.get("window", 1) * shape["tracks"] * shape["planes"] * shape["pitches"]
    document = {
        "made_by": f"tests/golden/{pathlib.Path(sys.argv[0]).name}, torch {torch.__version__}, float64",
        "seed": SEED,
        "shape": shape,
    }
    text = (
        json.dumps(document)[:-1]
        + ',\n"cases": [\n'
        + ",\n".join(json.dumps(run(shape, case, sampled)).replace('{"name"', '\n{"name"') for case in cases)
    )
    path.write_text(text + "\n]}\n")
    print(f"{path.name}: {path.stat().st_size} bytes")


def case(name, loss, beta=1.0, free_bits=0.0, weight_decay=0.0, clip=0.0, learning_rate=1e-3):
    return {
        "case": name,
        "loss": loss,
        "beta": beta,
        "free_bits": free_bits,
        "weight_decay": weight_decay,
        "clip": clip,
        "learning_rate": learning_rate,
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    seed = {
        "batch": 64,
        "window": 100,
        "tracks": 1,
        "planes": 1,
        "pitches": 88,
        "hidden": [256, 128, 64],
        "latent": 16,
        "density": 0.05,
    }
    small = {
        "batch": 7,
        "window": 2,
        "tracks": 2,
        "planes": 2,
        "pitches": 5,
        "hidden": [7, 5],
        "latent": 3,
        "density": 0.3,
    }
    write(
        HERE / "seed.json",
        seed,
        [case("bce-adam", "bce"), case("mse-adam", "mse"), case("bce-adamw-clip", "bce", 0.5, 0.0, 0.1, 1.0)],
        SAMPLED,
    )
    write(
        HERE / "small.json",
        small,
        [
            case("bce-adam", "bce"),
            case("mse-adam", "mse", 0.2),
            case("bce-adamw", "bce", 0.5, 0.0, 0.1),
            case("bce-clip", "bce", 1.0, 0.0, 0.0, 0.5, 1e-2),
            case("bce-adamw-clip-free-bits", "bce", 0.7, 0.2715, 0.05, 0.5, 1e-2),
        ],
        None,
    )
