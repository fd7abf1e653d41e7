#!/usr/bin/env python3
"""What --reproducible 8 costs: steps of training with and without it, taking turns.

reproducible.py TRAINER PREPROCESS MAKE_SONGS [--rounds 7] [--steps 12] [--ranks 1,2] [--songs 1200]
    [--cases seed:64,band:8,...]

Generated songs; presets, each with the windows or pieces of a rank. Each rank has one BLAS thread in both
cases, and a core of its own where there are as many. Printed are medians over all rounds of the milliseconds
of a step and of the processor's time of a step on all ranks (what a longer run takes more than a shorter
one), which a busy machine changes less, the ratios, and MiB of the largest rank.
"""

import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import tempfile

import benches

ENVIRONMENT = os.environ | benches.AS_ROOT | {"OPENBLAS_NUM_THREADS": "1"}
SKIPPED = 3  # steps at the start, in which caches fill
CASES = "seed:64,seed:512,chorales:8,folk:24,band:8,band:32"
CHUNKS = {"chorales": 0, "folk": 128, "band": 128}
TRACKS = {"seed": "merged", "chorales": "merged", "folk": "merged", "band": "melody,chords,bass,drums"}


def arguments():
    parser = benches.parser(__doc__)
    for name in ("trainer", "preprocess", "make_songs"):
        parser.add_argument(name)
    for name, default in (("rounds", 7), ("steps", 12), ("songs", 1200)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--ranks", default="1,2")
    parser.add_argument("--cases", default=CASES)
    return parser.parse_args()


def make_shards(own, folder):
    songs = folder / "songs"
    songs.mkdir()
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([own.make_songs, songs, str(own.songs)], **quiet)
    for preset, tracks in TRACKS.items():
        subprocess.run([own.preprocess, "--tracks", tracks, "--output", folder / preset, songs], **quiet)


def processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def train(own, folder, preset, ranks, batch, grains, steps):
    """Milliseconds of each step, seconds of the processor, MiB of the largest rank."""
    with tempfile.TemporaryDirectory(dir=folder) as run:
        command = ["mpirun", "--oversubscribe", "-n", str(ranks), own.trainer, "--preset", preset]
        command += ["--data", folder / preset, "--output", run, "--batch", str(batch * ranks)]
        command += ["--max-steps", str(steps), "--epochs", "1000", "--validate-every", "1000"]
        command += ["--reproducible", str(grains)]
        command += ["--chunk", str(CHUNKS[preset])] if preset in CHUNKS else []
        before = processor_seconds()
        done = subprocess.run(command, check=True, env=ENVIRONMENT, capture_output=True, text=True)
        took = processor_seconds() - before
        lines = [json.loads(line) for line in (pathlib.Path(run) / "metrics.jsonl").open()]
        times = [line["step_ms"] for line in lines if line["kind"] == "step"]
        return times[SKIPPED:], took, int(re.search(r"(\d+) MiB a rank", done.stderr)[1])


def main():
    own = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_shards(own, folder)
        print(f"{'preset':8} {'a rank':>6} {'ranks':>5} {'ms':>8} {'with 8':>8} {'ratio':>6}", end="")
        print(f" {'CPU ms':>8} {'with 8':>8} {'ratio':>6} {'MiB':>5} {'with 8':>6}", flush=True)
        for preset, batch in ((name, int(size)) for name, size in re.findall(r"(\w+):(\d+)", own.cases)):
            for ranks in map(int, own.ranks.split(",")):
                wall, processor, memory = {0: [], 8: []}, {0: [], 8: []}, {0: 0, 8: 0}
                for _ in range(own.rounds):
                    for grains in (0, 8):
                        case = (own, folder, preset, ranks, batch, grains)
                        _, short, _ = train(*case, SKIPPED)
                        times, long, peak = train(*case, SKIPPED + own.steps)
                        wall[grains] += times
                        processor[grains].append(1e3 * (long - short) / own.steps)
                        memory[grains] = max(memory[grains], peak)
                row = f"{preset:8} {batch:6} {ranks:5}"
                for times in (wall, processor):
                    plain, with_8 = (statistics.median(times[grains]) for grains in (0, 8))
                    row += f" {plain:8.2f} {with_8:8.2f} {with_8 / plain:6.3f}"
                print(f"{row} {memory[0]:5} {memory[8]:6}", flush=True)


if __name__ == "__main__":
    main()
