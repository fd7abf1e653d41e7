#!/usr/bin/env python3
"""What --sync-every costs in nats: the same samples, learned plainly and by hosts that meet now and then.

    python3 tests/bench/sync_quality.py SHARDS --preset seed [--hosts 2 4] [--every 16 64] [--seeds 2]
        [--wire float] [-- trainer option...]

As root: hosts of one rank each are made of network namespaces (hosts.py). Each run sees the same batches in
the same order; a host of N takes 1/N of each. Printed is the best validation loss of each run, in nats a frame,
and how far the mean over seeds is from that of plain runs on as many hosts, whose result is that of one rank
to rounding. Hosts also meet where an epoch is validated: give --validate-every so that it is rare. A
benchmark: minutes, not part of the tests.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile

from hosts import Hosts

os.environ |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}  # as in tests/tap
TRAINER = pathlib.Path(__file__).resolve().parents[2] / "build" / "trainer"


def best(run):
    """The best validation of a run, in nats a frame."""
    with open(run / "metrics.jsonl") as lines:
        rows = [row for row in map(json.loads, lines) if row.get("valid_loss") is not None]
    row = min(rows, key=lambda row: row["valid_loss"])
    return row["valid_nll_per_frame"] + row["valid_kl_per_frame"]


def train(arguments, hosts, every, seed):
    with tempfile.TemporaryDirectory(prefix="mpianist-sync.") as scratch:
        run = pathlib.Path(scratch, "run")
        command = [TRAINER, "--data", arguments.shards, "--output", run, "--preset", arguments.preset]
        command += ["--seed", seed, "--sync-every", every, "--wire", arguments.wire]
        command += ["--quiet", "--threads", 1, "--checkpoint-every", 0, *arguments.options]
        hosts.mpirun(1, [str(word) for word in command])
        return best(run)


def main():
    ours = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--preset", required=True)
    parser.add_argument("--hosts", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--every", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--wire", default="float")
    arguments = parser.parse_args(ours)
    arguments.options = sys.argv[len(ours) + 2 :]
    seeds = range(1, arguments.seeds + 1)
    print("hosts  every   mean   to plain   each seed   (best validation, nats a frame)")
    for n in arguments.hosts:
        with Hosts(n) as hosts:
            plain = None
            for every in 0, *arguments.every:
                losses = [train(arguments, hosts, every, seed) for seed in seeds]
                mean = statistics.mean(losses)
                plain = mean if plain is None else plain
                print(
                    f"{n:5}  {every or 'plain':>5}  {mean:6.3f}  {mean - plain:+8.3f}   ",
                    *(f"{loss:7.3f}" for loss in losses),
                    flush=True,
                )


if __name__ == "__main__":
    main()
