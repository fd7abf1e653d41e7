#!/usr/bin/env python3
"""What checkpoints beside training cost: trainer with one every few seconds and with none, taking turns.

keeping.py TRAINER MAKE_SONGS PREPROCESS [--every 0.05] [--ranks 1] [--rounds 7] [-- trainer option...]

Prints of each round the share of the time in which training stood still for checkpoints, as metrics.jsonl
has it, and how much longer the same steps took; at the end the medians, and the processor's time that a
checkpoint takes, which is the writing thread's. Where all cores compute, or others use them, the second
figure has that, too, and their noise.
"""

import json
import os
import pathlib
import resource
import statistics
import subprocess
import tempfile

import benches

ENVIRONMENT = os.environ | benches.AS_ROOT | {"OPENBLAS_NUM_THREADS": "1"}


def arguments():
    parser = benches.parser(__doc__)
    parser.add_argument("trainer")
    parser.add_argument("make_songs")
    parser.add_argument("preprocess")
    parser.add_argument("--every", default="0.05", help="minutes")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--songs", type=int, default=300)
    return benches.parse(parser)


def epochs(folder):
    """Of the epochs after the first, in which caches fill: seconds, and seconds without progress."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if line["kind"] == "epoch"]
    spent = [after["seconds"] - before["seconds"] for before, after in zip(lines, lines[1:])]
    return sum(spent), sum(s * line["checkpoint_share"] for s, line in zip(spent, lines[1:]))


def train(options, rest, shards, folder, every):
    command = ["mpirun", "-n", str(options.ranks), options.trainer, "--data", shards, "--output", folder]
    command += ["--preset", "seed", "--epochs", "100000", "--max-steps", str(options.steps), "--quiet"]
    command += ["--validate-every", "100000", "--checkpoint-every", every, *rest]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env=ENVIRONMENT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return *epochs(folder), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    options, rest = arguments()
    with tempfile.TemporaryDirectory(prefix="mpianist-keeping-") as name:
        work = pathlib.Path(name)
        (work / "songs").mkdir()
        subprocess.run([options.make_songs, work / "songs", str(options.songs)], check=True, stdout=-3)
        subprocess.run([options.preprocess, "-q", "--output", work / "shards", work / "songs"], check=True)
        still, longer, processor = [], [], []
        for number in range(options.rounds):
            turns = {"none": "0", "some": f"{options.every} minutes"}
            if number % 2:
                turns = dict(reversed(turns.items()))
            found = {
                kind: train(options, rest, work / "shards", work / f"{kind}{number}", every)
                for kind, every in turns.items()
            }
            seconds, stood, busy = found["some"]
            still.append(100 * stood / seconds)
            longer.append(100 * (seconds / found["none"][0] - 1))
            processor.append((busy - found["none"][2]) / (seconds / (60 * float(options.every))))
            print(
                f"round {number + 1}: {seconds:.1f} s, of which {still[-1]:.2f} % stood still "
                f"({100 * found['none'][1] / found['none'][0]:.2f} % without checkpoints); "
                f"{longer[-1]:+.1f} % longer; {1000 * processor[-1]:.0f} ms of processor a checkpoint",
                flush=True,
            )
        print(
            f"medians of {options.rounds} rounds with a checkpoint every {options.every} minutes: training "
            f"stands still for {statistics.median(still):.2f} % of the time and takes "
            f"{statistics.median(longer):+.1f} % longer; "
            f"{1000 * statistics.median(processor):.0f} ms of processor a checkpoint"
        )


if __name__ == "__main__":
    main()
