#!/usr/bin/env python3
"""Time and memory of preprocess by the number of files: a run in one, and four parts with their join.

    python3 tests/bench/corpus_size.py build/preprocess build/release/tests/bench/make_corpus [--jobs 2]
    [--files 25000 ...]

Run by `make bench-size`. The files are short ones that make_corpus makes; each number of files includes those
before it. Printed are seconds on the clock, microseconds of processor time a file (a busy machine's clock
says how busy it is), and the most memory that preprocess or one of its workers had resident. The bytes of
both ways are compared.
"""

import filecmp
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import benches


def run(command):
    """Seconds on the clock, of processor time, and MiB that the process or one of its children had at
    most."""
    start = time.monotonic()
    child = subprocess.Popen(list(map(str, command)))
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit status {child.returncode}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def same(one, other):
    names = sorted(path.name for path in one.iterdir())
    return all(filecmp.cmp(one / name, other / name, shallow=False) for name in names)


def main():
    parser = benches.parser(__doc__)
    parser.add_argument("preprocess")
    parser.add_argument("make_corpus")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--files", type=int, nargs="+", default=[25000, 50000, 100000, 200000])
    options = parser.parse_args()
    print("   files    run s  us/file    MiB  4 parts s  us/file    MiB   join s  us/file    MiB")
    with tempfile.TemporaryDirectory(prefix="mpianist-size.") as work:
        work, made = pathlib.Path(work), 0
        for files in sorted(options.files):
            run([options.make_corpus, work / "midi", made, files - made])
            made = files
            command = [options.preprocess, "--quiet", "--jobs", options.jobs, work / "midi", "--output"]
            one, parts = work / f"one-{files}", work / f"parts-{files}"
            alone = run([*command, one])
            each = list(zip(*[run([*command, parts, "--part", f"{part}/4"]) for part in range(1, 5)]))
            join = run([*command, parts, "--join"])
            figures = "".join(
                f"{seconds:9.1f}{cpu / files * 1e6:9.1f}{mib:7.0f}  "
                for seconds, cpu, mib in (alone, (sum(each[0]), sum(each[1]), max(each[2])), join)
            )
            print(f"{files:8}{figures}{'' if same(one, parts) else 'BYTES DIFFER'}", flush=True)


if __name__ == "__main__":
    main()
