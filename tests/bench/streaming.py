#!/usr/bin/env python3
"""What streaming costs: trainer on a generated corpus in memory and under --data-memory, taking turns.

streaming.py TRAINER BIG_SHARDS [--gb 20] [--memory 160] [--ranks 2] [--rounds 5] [-- trainer option...]

Generates the corpus in a scratch folder (TMPDIR), removes it at the end, and prints for each round the mean
time of a step, stalls included, and the median, which a busy machine changes less, the processor's time of a
run, start and validation included, their ratios (medians of the rounds), whether the losses are the same to
the bit, and the peak of resident memory: of the largest rank, as the kernel counts it (shared memory in each
rank that touches it), and of all ranks together, where shared memory counts once (PSS, four looks a second).
No limit on memory stands but the option.
"""

import json
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading

import benches

SKIPPED = 20  # steps at the start, in which caches and the ring fill


def arguments():
    parser = benches.parser(__doc__)
    parser.add_argument("trainer")
    parser.add_argument("big_shards")
    parser.add_argument("--gb", type=float, default=20)
    parser.add_argument("--memory", type=int, default=160, help="MiB")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=500)
    return benches.parse(parser)


def together(trainer):
    """PSS in MiB of all processes that run this trainer."""
    total = 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.path.samefile(process / "exe", trainer):
                total += int(
                    re.search(r"^Pss: *(\d+)", (process / "smaps_rollup").read_text(), re.M).group(1)
                )
        except (OSError, AttributeError):
            pass
    return total / 1024


def watch(trainer, done, peak):
    while not done.wait(0.25):
        peak[0] = max(peak[0], together(trainer))


def run(args, command, output):
    """Runs to the end; returns (milliseconds a step, mean and median, seconds of CPU, losses, MiB of the
    largest rank, MiB together)."""
    done, peak = threading.Event(), [0.0]
    watcher = threading.Thread(target=watch, args=(args.trainer, done, peak))
    watcher.start()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        command + ["--output", str(output)], capture_output=True, text=True, env=os.environ | benches.AS_ROOT
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    done.set()
    watcher.join()
    if result.returncode != 0:
        sys.exit(result.stderr)
    rows = [json.loads(line) for line in open(output / "metrics.jsonl")]
    steps = [row for row in rows if row["kind"] == "step"]
    largest = int(re.search(r"(\d+) MiB a rank at most", result.stderr).group(1))
    shutil.rmtree(output)
    ms = [row["step_ms"] for row in steps[SKIPPED:]]
    return statistics.mean(ms), statistics.median(ms), cpu, [row["loss"] for row in steps], largest, peak[0]


def main():
    args, options = arguments()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="mpianist-streaming."))
    try:
        corpus = scratch / "corpus"
        print(
            subprocess.run(
                [args.big_shards, str(corpus), str(args.gb)], check=True, capture_output=True, text=True
            ).stdout,
            end="",
            flush=True,
        )
        # One epoch would validate: the steps alone are compared.
        command = [
            "mpirun",
            "-n",
            str(args.ranks),
            args.trainer,
            "--data",
            str(corpus),
            "--preset",
            "seed",
            "--threads",
            "1",
        ]
        command += ["--max-steps", str(args.steps), *options]
        kinds = {
            "in memory": command,
            f"--data-memory {args.memory}": command + ["--data-memory", str(args.memory)],
        }
        print(
            " ".join(command).replace(str(scratch) + "/", ""),
            f": {args.rounds} rounds of {args.steps} steps, taking turns",
            flush=True,
        )
        results = {kind: [] for kind in kinds}
        for number in range(args.rounds):
            for kind in list(kinds)[:: 1 if number % 2 == 0 else -1]:
                results[kind].append(run(args, kinds[kind], scratch / "run"))
                mean, median, cpu, _, largest, whole = results[kind][-1]
                print(
                    f"  {kind:>20}: {mean:.2f} ms a step (median {median:.2f}), {cpu:.1f} s of CPU, "
                    f"{largest} MiB the largest rank, {whole:.0f} MiB all ranks together",
                    flush=True,
                )
        memory, streamed = results.values()
        for what, i in ("step times, stalls included", 0), ("median step times", 1), ("CPU of whole runs", 2):
            ratios = [s[i] / m[i] for m, s in zip(memory, streamed)]
            print(
                f"ratio of {what}, median of the rounds: {statistics.median(ratios):.3f} "
                f"({', '.join(f'{r:.3f}' for r in ratios)})"
            )
        same = all(r[3] == memory[0][3] for r in memory + streamed)
        print("losses of all runs:", "the same bits" if same else "DIFFERENT")
        return 0 if same else 1
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    sys.exit(main())
