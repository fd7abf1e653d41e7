#!/usr/bin/env python3
"""How long preprocess takes over a folder of MIDI files, beside libsmf's and symusic's loading of them.

    python3 tests/bench/preprocess_speed.py PREPROCESS LOAD_LIBSMF [CORPUS] [--rounds 9]

Run by `make bench-preprocess CORPUS=folder`. Without CORPUS: the demo's songs, copied often enough, all of
them kept. Everything runs in a process of its own, and all take turns, so that a busy machine slows all of
them. Printed are seconds on the clock, median and least over the rounds, and the median of processor time,
children included. The ratios below are of the figures above them:

    speed        libsmf's time over that of preprocess on one job: 0.5 where preprocess takes twice as long
    efficiency   the time on one job over twice the time on two: 1 where a second job halves it

On a busy machine the clock's median says how busy it is, and the least times tell more; `chrt -r 1` before
the command (as root) keeps others away. symusic (pip install symusic; PYTHON=python that has it) also lays
the notes on preprocess' grid; its time counts from when it is imported.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from statistics import median

DEMO_SONGS, LEAST_FILES = "/usr/share/games/openttd/baseset/openmsx", 800

SYMUSIC = """
import resource, sys, time
import symusic
files = sys.stdin.read().splitlines()
start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
for path in files:
    score = symusic.Score(path).resample(tpq=4, min_dur=1)
    score.pianoroll(modes=["frame", "onset"], pitch_range=[21, 109])
after = resource.getrusage(resource.RUSAGE_SELF)
print(time.monotonic() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
"""


def measure(command, names, folder):
    """Seconds on the clock and of processor time of a command and its children; its standard output."""
    with open(names) as stdin, open(folder / "stdout", "w+") as stdout:
        start = time.monotonic()
        child = subprocess.Popen(list(map(str, command)), stdin=stdin, stdout=stdout)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit(f"{command[0]}: exit status {child.returncode}")
        stdout.seek(0)
        return wall, usage.ru_utime + usage.ru_stime, stdout.read()


def preprocess(program, jobs, corpus, names, folder):
    shards = folder / "shards"
    shutil.rmtree(shards, ignore_errors=True)
    keep = ["--split-by-folder"] if (corpus / "train").is_dir() else []
    return measure([program, "--quiet", "--jobs", jobs, *keep, "--output", shards, corpus], names, folder)[:2]


def symusic(names, folder):
    wall, processor = measure([sys.executable, "-c", SYMUSIC], names, folder)[2].split()
    return float(wall), float(processor)


def has_symusic():
    try:
        import symusic  # noqa: F401
    except ImportError:
        return False
    return True


def copy_demo(folder):
    songs = sorted(pathlib.Path(DEMO_SONGS).glob("*.mid"))
    if not songs:
        sys.exit(f"{DEMO_SONGS}: no songs there; name a folder: make bench-preprocess CORPUS=folder")
    (folder / "train").mkdir(parents=True)
    for i in range(-(-LEAST_FILES // len(songs))):
        for song in songs:
            shutil.copyfile(song, folder / "train" / f"{i:03}-{song.name}")
    return folder


def report(times, title):
    walls = {name: [wall for wall, _ in rows] for name, rows in times.items()}
    processors = {name: [processor for _, processor in rows] for name, rows in times.items()}
    print(f"{title:<28}{'clock s':>9}{'least':>9}{'processor s':>13}")
    for name in times:
        wall = walls[name]
        print(f"{name:<28}{median(wall):>9.3f}{min(wall):>9.3f}{median(processors[name]):>13.3f}")
    libsmf, one, two = list(times)[:3]
    for name, over, under in (("speed", [libsmf], [one]), ("efficiency", [one], [two, two])):
        takes = (lambda k: median(walls[k]), lambda k: min(walls[k]), lambda k: median(processors[k]))
        ratios = [sum(map(take, over)) / sum(map(take, under)) for take in takes]
        # Of processor time there is no efficiency: it says what was done, not how it was shared.
        processor = f"{ratios[2]:>13.2f}" if name == "speed" else ""
        print(f"{name:<28}{ratios[0]:>9.2f}{ratios[1]:>9.2f}{processor}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preprocess")
    parser.add_argument("load_libsmf")
    parser.add_argument("corpus", nargs="?", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        corpus = arguments.corpus or copy_demo(folder / "corpus")
        files = sorted(str(path) for path in corpus.rglob("*") if path.suffix.lower() in (".mid", ".midi"))
        names = folder / "names"
        names.write_text("".join(f"{path}\n" for path in files))
        runs = {"libsmf, loading alone": lambda: measure([arguments.load_libsmf], names, folder)[:2]}
        for jobs in (1, 2):
            run = partial(preprocess, arguments.preprocess, jobs, corpus, names, folder)
            runs[f"preprocess --jobs {jobs}"] = run
        if has_symusic():
            runs["symusic, loading and rolls"] = lambda: symusic(names, folder)
        else:
            print("symusic is not installed: left out")
        times = {name: [] for name in runs}
        for _ in range(arguments.rounds):
            for name, run in runs.items():
                times[name].append(run())
    report(times, f"{len(files)} files, {arguments.rounds} rounds")


if __name__ == "__main__":
    main()
