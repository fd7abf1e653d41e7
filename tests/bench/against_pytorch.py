#!/usr/bin/env python3
"""Milliseconds a training step of the seed's model (8800-256-128-64-16, BCE, Adam, 64 windows at 5 % density), ours against PyTorch, one thread each.
Run: `make bench` (PYTHON=... with torch, h5py and numpy). Ours reads packed bits; PyTorch is given the same windows already unpacked to float32, and its
fused Adam. The two take turns, so that a busy machine slows both; printed are medians over all rounds and their ratio.
"""

import json
import os
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

from seed_pytorch import BATCH, LATENT, RATE, SeedVAE

ROUNDS, STEPS, CELLS = 7, 30, 8800


class PyTorchStep:
    def __init__(self):
        torch.set_num_threads(1)
        torch.manual_seed(1)
        self.model = SeedVAE(CELLS)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=RATE, fused=True)
        self.x = (torch.rand(BATCH, CELLS) < 0.05).float()
        self.eps = torch.randn(BATCH, LATENT)

    def __call__(self):
        self.optimizer.zero_grad()
        logits, mu, logvar = self.model(self.x, self.eps)
        nll = F.binary_cross_entropy_with_logits(logits, self.x, reduction="sum")
        kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum()
        ((nll + kl) / BATCH).backward()
        self.optimizer.step()

    def round(self):
        times = []
        for _ in range(STEPS):
            start = time.perf_counter()
            self()
            times.append(1e3 * (time.perf_counter() - start))
        return times


def main():
    step = PyTorchStep()
    for _ in range(5):
        step()
    ours, theirs, blas = [], [], ""
    for _ in range(ROUNDS):
        output = subprocess.run([sys.argv[1], str(STEPS)], check=True, capture_output=True, text=True, env=dict(os.environ, OPENBLAS_NUM_THREADS="1")).stdout
        result = json.loads(output)
        ours += result["step_ms"]
        blas = result["blas"]
        theirs += step.round()
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"mpianist ({blas}): {a:.2f} ms a step")
    print(f"PyTorch {torch.__version__} (threads: {torch.get_num_threads()}): {b:.2f} ms a step")
    print(f"ratio {b / a:.2f} ({ROUNDS} rounds of {STEPS} steps each, taking turns)")


if __name__ == "__main__":
    main()
