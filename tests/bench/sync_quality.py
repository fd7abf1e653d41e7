#!/usr/bin/env python3
"""What --sync-every costs in nats: the same samples, learned plainly and by hosts that meet now and then.

    python3 tests/bench/sync_quality.py SHARDS --preset seed [--hosts 2 4] [--every 16 64] [--seeds 2]
        [--wire float] [-- trainer option...]

As root: hosts of one rank each are made of network namespaces (hosts.py). Each run sees the same batches in
the same order; a host of N takes 1/N of each. The plain run is one rank's, whose result more ranks have to
rounding. Printed is the best validation loss of each run, in nats a frame, and how far the mean over seeds is
from that of the plain runs. Hosts also meet where an epoch is validated: give --validate-every so that it is
rare. A benchmark: minutes, not part of the tests.
"""

import json
import os
import pathlib
import statistics
import subprocess
import tempfile

import benches
from hosts import Hosts

os.environ |= benches.AS_ROOT
TRAINER = pathlib.Path(__file__).resolve().parents[2] / "build" / "trainer"


def best(run):
    """The best validation of a run, in nats a frame."""
    with open(run / "metrics.jsonl") as lines:
        rows = [row for row in map(json.loads, lines) if row.get("valid_loss") is not None]
    row = min(rows, key=lambda row: row["valid_loss"])
    return row["valid_nll_per_frame"] + row["valid_kl_per_frame"]


def train(arguments, seed, hosts=None, every=0):
    with tempfile.TemporaryDirectory(prefix="mpianist-sync.") as scratch:
        run = pathlib.Path(scratch, "run")
        command = [TRAINER, "--data", arguments.shards, "--output", run, "--preset", arguments.preset]
        command += ["--seed", seed, "--sync-every", every, "--wire", arguments.wire]
        command += ["--quiet", "--threads", 1, "--checkpoint-every", 0, *arguments.options]
        command = [str(word) for word in command]
        hosts.mpirun(1, command) if hosts else subprocess.run(command, check=True)
        return best(run)


def tell(hosts, every, losses, plain):
    mean = statistics.mean(losses)
    each = " ".join(f"{loss:7.3f}" for loss in losses)
    print(f"{hosts:5}  {every:>5}  {mean:6.3f}  {mean - plain:+8.3f}    {each}", flush=True)


def main():
    parser = benches.parser(__doc__)
    parser.add_argument("shards", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--preset", required=True)
    parser.add_argument("--hosts", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--every", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--wire", default="float")
    arguments, arguments.options = benches.parse(parser)
    seeds = range(1, arguments.seeds + 1)
    print("hosts  every   mean   to plain   each seed   (best validation, nats a frame)")
    losses = [train(arguments, seed) for seed in seeds]
    plain = statistics.mean(losses)
    tell("", "plain", losses, plain)
    for n in arguments.hosts:
        with Hosts(n) as hosts:
            for every in arguments.every:
                tell(n, every, [train(arguments, seed, hosts, every) for seed in seeds], plain)


if __name__ == "__main__":
    main()
