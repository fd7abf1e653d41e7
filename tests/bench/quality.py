"""Does `trainer --preset seed` end where the same model ends in PyTorch?

    python3 tests/bench/quality.py SHARDS [--seeds 5] [--ranks 2]

Trains both with each seed on a folder of shards, scores the best epoch by validation, and prints
reconstruction + KL in nats a frame: a line a seed, then mean and standard deviation over seeds. A benchmark:
minutes, not part of the tests.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

import seed_pytorch

# Of the latent noise in scoring: one draw for all runs would shift each figure of a program by the same
# chance.
DRAWS = range(1, 9)
TRAINER = pathlib.Path(__file__).resolve().parents[2] / "build" / "trainer"


def mpianist(shards, seed, ranks):
    """{split: nats a frame} of a run of our own."""
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    with tempfile.TemporaryDirectory() as run:
        train = [
            "mpirun",
            "-n",
            str(ranks),
            TRAINER,
            "--preset",
            "seed",
            "--data",
            shards,
            "--output",
            run,
            "--seed",
            str(seed),
            "--quiet",
        ]
        subprocess.run(train, check=True, env=environment)
        scores = {}
        for split in seed_pytorch.SPLITS:
            score = [
                TRAINER,
                "--evaluate",
                f"{run}/best.h5",
                "--data",
                shards,
                "--split",
                split,
                "--quiet",
                "--seed",
            ]
            draws = [
                subprocess.run(
                    score + [str(draw)], check=True, env=environment, stdout=subprocess.PIPE
                ).stdout
                for draw in DRAWS
            ]
            scores[split] = statistics.mean(json.loads(figures)["loss_per_frame"] for figures in draws)
        return scores


def pytorch(shards, seed):
    """The same of the yardstick."""
    model, data = seed_pytorch.train(shards, seed)
    return {
        split: statistics.mean(sum(seed_pytorch.evaluate(model, data[split], draw)) for draw in DRAWS)
        for split in data
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--ranks", type=int, default=2)
    arguments = parser.parse_args()
    results = {"mpianist": [], "PyTorch": []}
    print("seed  program   train   valid   test   (nats a frame)")
    for seed in range(1, arguments.seeds + 1):
        results["mpianist"].append(mpianist(arguments.shards, seed, arguments.ranks))
        results["PyTorch"].append(pytorch(arguments.shards, seed))
        for program, scores in results.items():
            print(
                f"{seed:4}  {program:8}",
                *(f"{scores[-1][split]:7.3f}" for split in seed_pytorch.SPLITS),
                flush=True,
            )
    for program, scores in results.items():
        test = [score["test"] for score in scores]
        print(
            f"{program:8} test: mean {statistics.mean(test):.3f}, "
            f"standard deviation {statistics.stdev(test) if len(test) > 1 else 0:.3f}"
        )


if __name__ == "__main__":
    main()
