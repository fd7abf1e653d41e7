"""Steps of the seed's dense VAE under PyTorch's DistributedDataParallel over gloo, for tests/bench/ranks.py.

    RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500 python3 ddp_pytorch.py CELLS BATCH STEPS

One process a rank, one thread each, windows of random bits at 5 % density, unpacked beforehand; Adam is the
fused one. Rank 0 prints a JSON list of milliseconds a step.
"""

import json
import sys
import time

import torch
from torch import distributed
from torch.nn import functional as F

from seed_pytorch import LATENT, RATE, SeedVAE


def main():
    cells, batch, steps = (int(argument) for argument in sys.argv[1:])
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    torch.manual_seed(distributed.get_rank())
    x = (torch.rand(batch, cells) < 0.05).float()
    model = torch.nn.parallel.DistributedDataParallel(SeedVAE(cells))
    adam = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        adam.zero_grad()
        logits, mu, logvar = model(x, torch.randn(batch, LATENT))
        nll = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum()
        ((nll + kl) / batch).backward()
        adam.step()
        times.append(1e3 * (time.perf_counter() - start))
    if distributed.get_rank() == 0:
        print(json.dumps(times))
    distributed.destroy_process_group()


main()
