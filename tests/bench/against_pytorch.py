#!/usr/bin/env python3
"""Milliseconds of processor time that a training step takes, mpianist's against PyTorch's, one thread each.

    python3 tests/bench/against_pytorch.py build/release/tests/bench/bench_step [--data SHARDS] [--rounds 7]
    [--steps 30]

Run by `make bench` (PYTHON=... with torch, h5py and numpy). A step draws its noise, computes the gradient,
clips it, updates the weights (PyTorch: its fused Adam) and their average, as the preset says:

    seed      the seed's dense VAE, 8800-256-128-64-16, 64 windows of random bits at 5 % density
    chorales  the sequence model on 8 pieces of about 60 frames with four voices, generated, or from SHARDS
              (`preprocess --tracks merged`); also without a latent, and that with --memory 48 --note 32.
              PyTorch's head in two forms: sequence_pytorch.py

Ours reads packed bits; PyTorch is given the same already unpacked to float32. They take turns, so that a busy
machine slows both; printed are medians over all rounds and their ratio. First both take three steps from the
same weights with the same noise: where losses, gradients or averages differ the comparison means nothing, and
the exit status is 1.
"""

import argparse
import configparser
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np
import torch
from torch.nn import functional as F

import sequence_pytorch
from seed_pytorch import BATCH, LATENT, WINDOW, SeedVAE

WARM_UP, TOLERANCE = 3, 1e-5
CHORALES = ["--preset", "chorales", "--dropout", "0.4"]
PLAIN = [*CHORALES, "--memory", "0", "--note", "0"]
WITH_LATENT = [*PLAIN, "--latent-rate", "0", "--free-bits", "2"]
NO_LATENT = [*PLAIN, "--latent", "0"]
MEMORY = [*CHORALES, "--latent", "0", "--memory", "48", "--note", "32", "--memory-dropout", "0.2"]


class Dense(SeedVAE):
    def __init__(self, weights, _):
        super().__init__(len(weights["encoder.0.weight"]))
        self.load_state_dict(
            {
                name: value.T if name.endswith("weight") else value.reshape(-1)
                for name, value in weights.items()
            }
        )

    def prepare(self, windows):
        return torch.from_numpy(np.stack(windows)).float().flatten(1)

    def draw_noise(self, x):
        return torch.randn(len(x), LATENT)

    def losses(self, x, eps):
        logits, mu, logvar = self(x, eps)
        nll = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum()
        return (nll + kl) / len(x), {"nll": nll, "kl": kl}

    def arrays(self, x, eps):
        return [np.full(len(x), WINDOW, np.uint32), eps.numpy(), pack(x.view(len(x), WINDOW, -1))]


class Sequence(sequence_pytorch.SequenceVAE):
    def arrays(self, batch, noise):
        """Without the frames that fill up the last segment."""
        frames, (eps, keep_input, *by_rows) = batch["frames"], noise
        B, T = keep_input.shape
        keep_units = [torch.zeros(B * T, by_row.shape[1]) for by_row in by_rows]
        for keep, by_row in zip(keep_units, by_rows):
            keep[batch["rows"]] = by_row
        as_bytes = lambda kept: kept.numpy()[:, : batch["longest"]].astype(np.uint8)
        frames = frames[:, : sequence_pytorch.CONTEXT + batch["longest"]]
        return [
            batch["lengths"].numpy().astype(np.uint32),
            eps.numpy(),
            pack(frames),
            as_bytes(keep_input),
        ] + [as_bytes(keep.view(B, T, -1)) for keep in keep_units]


class PlainSequence(Sequence):
    def __init__(self, weights, options):
        super().__init__(weights, options, plain=True)


class SparseSequence(Sequence):
    def __init__(self, weights, options):
        super().__init__(weights, options, plain=False)


def pack(frames):
    return np.packbits(frames.numpy().astype(np.uint8), axis=-1, bitorder="little")


class Training:
    """Steps of a model in PyTorch."""

    def __init__(self, model, options):
        self.model, self.clip, self.decay = model, float(options["clip"]), float(options["average"])
        self.parameters = list(model.parameters())
        self.adam = torch.optim.Adam(self.parameters, lr=float(options["learning-rate"]), fused=True)
        self.average, self.averaged = [parameter.detach().clone() for parameter in self.parameters], 0

    def step(self, batch, noise):
        """The parts of the loss and, where it is clipped, the gradient's norm."""
        self.adam.zero_grad()
        loss, parts = self.model.losses(batch, noise)
        loss.backward()
        if self.clip:
            parts["norm"] = torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.adam.step()
        if self.decay:
            d = min(self.decay, (1 + self.averaged) / (10 + self.averaged))
            torch._foreach_lerp_(self.average, [parameter.detach() for parameter in self.parameters], 1 - d)
            self.averaged += 1
        return parts

    def check(self, batch, noise, expected, name):
        """False where the figures of the first steps are not the expected; says which."""
        same = True
        for i, wanted in enumerate(expected):
            figures = self.step(batch, noise)
            if self.decay:
                figures["average"] = torch.nn.utils.get_total_norm(self.average)
            for figure, value in figures.items():
                if not abs(value.item() - wanted[figure]) <= TOLERANCE * abs(wanted[figure]):
                    print(
                        f"{name}: {figure} of step {i + 1} is {value.item():.9g}, "
                        f"mpianist has {wanted[figure]:.9g}",
                        file=sys.stderr,
                    )
                    same = False
        return same

    def time(self, batch, steps):
        times = []
        for _ in range(steps):
            start = time.process_time()
            self.step(batch, self.model.draw_noise(batch))
            times.append(1e3 * (time.process_time() - start))
        return times


class Mpianist:
    """bench_step with a preset's options; its first weights and all options."""

    def __init__(self, program, folder, flags):
        self.flags = flags + ["--data", f"{folder}/batch", "--output", f"{folder}/start.h5"]
        self.program, self.batch = program, pathlib.Path(folder, "batch")
        self.run(0)
        with h5py.File(f"{folder}/start.h5") as checkpoint:
            self.weights = {
                name: torch.from_numpy(values[:]) for name, values in checkpoint["weights"].items()
            }
            ini = configparser.ConfigParser(interpolation=None)
            ini.read_string(checkpoint.attrs["options"].decode())
        self.options = {name: value for section in ini.sections() for name, value in ini[section].items()}

    def run(self, steps):
        command = [self.program, str(steps)] + self.flags
        return subprocess.run(
            command,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ, OPENBLAS_NUM_THREADS="1"),
        ).stdout

    def write_batch(self, arrays, frames):
        self.batch.write_bytes(b"".join(array.tobytes() for array in [np.uint32(frames)] + arrays))


def compare(program, flags, pieces, models, arguments):
    """A line of each contestant; False where they do not compute the same. models: {name: class}."""
    with tempfile.TemporaryDirectory() as folder:
        mpianist = Mpianist(program, folder, flags + ["--batch", str(len(pieces))])
        trainings = {
            name: Training(model(mpianist.weights, mpianist.options), mpianist.options)
            for name, model in models.items()
        }
        first = next(iter(trainings.values())).model
        batch = first.prepare(pieces)
        noise = first.draw_noise(batch)
        mpianist.write_batch(first.arrays(batch, noise), max(len(piece) for piece in pieces))
        checks = json.loads(mpianist.run(1))["checks"]
        if not all([training.check(batch, noise, checks, name) for name, training in trainings.items()]):
            return False
        for training in trainings.values():
            training.time(batch, WARM_UP)
        ours, theirs = [], {name: [] for name in models}
        for _ in range(arguments.rounds):
            result = json.loads(mpianist.run(arguments.steps))
            ours += result["step_ms"]
            for name, training in trainings.items():
                theirs[name] += training.time(batch, arguments.steps)
    best, frames = statistics.median(ours), sum(len(piece) for piece in pieces)
    print(
        f"{' '.join(flags)}: {frames} frames a step, "
        f"{arguments.rounds} rounds of {arguments.steps} steps each, taking turns"
    )
    print(f"  mpianist ({result['blas']}): {best:.2f} ms a step, {1e3 * frames / best:.0f} frames a second")
    for name, times in theirs.items():
        print(
            f"  {name} (threads: {torch.get_num_threads()}): {statistics.median(times):.2f} ms a step, "
            f"ratio {statistics.median(times) / best:.2f}",
            flush=True,
        )
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--data", metavar="SHARDS", help="the sequence model's pieces; default: generated")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    name = f"PyTorch {torch.__version__}"
    windows = list(np.random.default_rng(1).random((BATCH, WINDOW, 88)) < 0.05)
    pieces = (
        sequence_pytorch.read_pieces(arguments.data, 8)
        if arguments.data
        else sequence_pytorch.generate_pieces(8, 88)
    )
    heads = {f"{name}, head by pitch": PlainSequence, f"{name}, head by note": SparseSequence}
    same = [
        compare(arguments.program, ["--preset", "seed"], windows, {name: Dense}, arguments),
        compare(arguments.program, WITH_LATENT, pieces, heads, arguments),
        compare(arguments.program, NO_LATENT, pieces, heads, arguments),
        compare(arguments.program, MEMORY, pieces, heads, arguments),
    ]
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
