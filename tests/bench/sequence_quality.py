#!/usr/bin/env python3
"""How good is a sequence model? Trains it with several seeds and scores each on the held-out songs.

    python3 tests/bench/sequence_quality.py SHARDS RUNS --preset chorales [--seeds 3] [--ranks 2] [--split
    test] [-- TRAINER OPTIONS]

Runs go to RUNS/seed-1, RUNS/seed-2 ...; what is there already goes on, so that a finished run is only scored.
Printed are, a line a seed, then as mean and standard deviation over seeds: reconstruction + KL (the ELBO's
estimate), the bound of 16 particles, KL a segment, active units, F1 of pieces rebuilt from their latents
alone and its floor, in nats a frame. Choose options by --split valid; score test once. A benchmark: minutes,
not part of the tests.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

TRAINER = pathlib.Path(__file__).resolve().parents[2] / "build" / "trainer"
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
FIGURES = ["loss_per_frame", "bound_per_frame", "kl_per_segment", "active_units", "f1", "floor_f1"]


def launch(ranks, *arguments, **keywords):
    return subprocess.run(
        ["mpirun", "-n", str(ranks), str(TRAINER), *map(str, arguments)],
        check=True,
        env=ENVIRONMENT,
        **keywords,
    )


def score(arguments, seed):
    """The figures of one seed's run."""
    run = arguments.runs / f"seed-{seed}"
    launch(
        arguments.ranks,
        "--data",
        arguments.shards,
        "--output",
        run,
        "--resume",
        "auto",
        "--preset",
        arguments.preset,
        "--seed",
        seed,
        *arguments.options,
    )
    done = launch(
        arguments.ranks,
        "--evaluate",
        run / "best.h5",
        "--data",
        arguments.shards,
        "--split",
        arguments.split,
        "--particles",
        arguments.particles,
        "--quiet",
        stdout=subprocess.PIPE,
    )
    figures = json.loads(done.stdout)
    return {name: figures[name] for name in FIGURES if figures.get(name) is not None}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", type=pathlib.Path)
    parser.add_argument("runs", type=pathlib.Path)
    parser.add_argument("--preset", default="chorales")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--split", default="test")
    parser.add_argument("--particles", type=int, default=16, help="of the bound")
    ours = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    arguments = parser.parse_args(ours)
    arguments.options = sys.argv[len(ours) + 2 :]
    arguments.runs.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in range(1, arguments.seeds + 1):
        results.append(score(arguments, seed))
        print(
            f"seed {seed} {arguments.split}:",
            ", ".join(f"{name} {value:.4f}" for name, value in results[-1].items()),
            flush=True,
        )
    for name in results[0]:
        values = [result[name] for result in results]
        spread = statistics.stdev(values) if len(values) > 1 else 0
        print(
            f"{arguments.split} {name}: mean {statistics.mean(values):.4f}, standard deviation {spread:.4f}"
        )


if __name__ == "__main__":
    sys.exit(main())
