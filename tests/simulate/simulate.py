#!/usr/bin/env python3
"""How training scales on clusters that SimGrid simulates: the trainer's own exchange, times measured here.

    python3 tests/simulate/simulate.py BUILD SIMULATED [--output build/simulate] [--hosts 1 2 4 ... 256]
    [--only calibrate weak batch sync ranks strong check]

Run by `make simulate`. BUILD is the folder of the tests' programs, SIMULATED the program that SimGrid runs.

    calibrate  two hosts made of network namespaces (as root), beside two that are simulated, 10 and 1 Gbit
    weak       the seed's model, 64 windows a rank, its step made 30 ms long: hosts, networks, wire formats
    batch      64 hosts, 16 to 1024 windows a rank in the times that they take here
    sync       64 hosts, exchanging every 1, 4, 16 and 64 steps
    ranks      16 hosts of 1 and 4 ranks
    strong     4096 windows in all
    check      a few simulated steps against bytes divided by rate: the test of all this

Else each host has one rank, of one core. Printed are milliseconds a step, efficiency against one host, and
the least that a step could take: the network's rate forbids less, or else what a core has to do itself.
Tables and plot go to the output folder.
"""

import argparse
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/bench"))
os.environ |= {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_TOP_PAD_": str(100 << 20),
}
# Gbit/s: latency in microseconds from a host to the switch. Of the rate 94 % is left for data (1448 of 1538
# bytes of a frame).
NETWORKS = {1: 25, 10: 10, 100: 1}
GOODPUT = 0.94
# What TCP costs a core, nanoseconds, where calibrate does not run and measure it.
TCP = {"message": 2000.0, "byte": 0.13}
# At 100 Gbit adapters move data without the core (RDMA); assumed, not measured.
RDMA = {"message": 1000.0, "byte": 0.0}
STEP_MS = 30
KIB = 4096
# Times do not depend on the machine's mood: nothing is timed; MPI sends as in Open MPI, at once.
SMPI = """smpi/coll-selector:ompi smpi/simulate-computation:no smpi/test:0 smpi/iprobe:1e-6 smpi/wtime:0
surf/precision:1e-7 smpi/send-is-detached-thresh:0 smpi/bw-factor:0:1 smpi/lat-factor:0:1 network/crosstraffic:0""".split()


# Before all else that runs on this machine, where that is allowed.
FIRST = ["chrt", "--fifo", "5"] if os.geteuid() == 0 else []


def output_of(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("simulated", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("build/simulate"))
    parser.add_argument("--hosts", type=int, nargs="*", default=[2**i for i in range(9)])
    parts = ["calibrate", "weak", "batch", "sync", "ranks", "strong"]
    parser.add_argument("--only", nargs="*", default=parts, choices=[*parts, "check"])
    return parser.parse_args()


class Profile:
    """When in a step the gradient is final, as profile.c prints it."""

    def __init__(self, path, text):
        lines = [line.split() for line in text.splitlines()]
        # Cut to whole parts for up to 256 hosts: messages that are alike end together, which is faster to
        # simulate.
        self.path, self.elements = path, int(lines[0][1]) // 4096 * 4096
        self.gradients = []
        for _, ms, first, count in lines[1:-1]:
            count = min(int(first) + int(count), self.elements) - int(first)
            self.gradients.append((float(ms), int(first), count))
        self.update = float(lines[-1][1])
        self.step = sum(ms for ms, _, _ in self.gradients) + self.update
        path.write_text(
            f"elements {self.elements}\n"
            + "".join(f"gradient {ms} {first} {count}\n" for ms, first, count in self.gradients)
            + f"update {self.update}\n"
        )


class Lab:
    def __init__(self, options):
        self.build, self.simulated = options.build / "tests/simulate", options.simulated.resolve()
        self.output = options.output
        self.output.mkdir(parents=True, exist_ok=True)
        self.profiles = {}
        self.log = open(self.output / "tables.txt", "w")
        names = "add", "square", "pack", "unpack"
        self.costs = dict(zip(names, self.measure_costs()))
        self.costs |= TCP

    def measure_costs(self):
        """Of two cores at once, since they share the memory that the exchange reads and writes."""
        both = [
            subprocess.Popen([*FIRST, self.build / "costs"], stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        figures = [[float(ns) for ns in one.communicate()[0].split(",")] for one in both]
        return [sum(pair) / len(both) for pair in zip(*figures)]

    def say(self, line=""):
        for file in sys.stdout, self.log:
            print(line, file=file, flush=True)

    def profile(self, windows):
        """Of the seed's model, measured."""
        if windows not in self.profiles:
            text = output_of(
                *FIRST, self.build / "profile", "15", "0", "--preset", "seed", "--batch", str(windows),
                "--data", "-", "--output", "-",
            )  # fmt: skip
            self.profiles[windows] = Profile(self.output / f"profile-{windows}.txt", text)
        return self.profiles[windows]

    def platform(self, hosts, ranks, gbit, latency_us, goodput):
        path = self.output / "platform.xml"
        path.write_text(
            "<?xml version='1.0'?>\n"
            '<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">\n<platform version="4.1">\n'
            f'<cluster id="c" prefix="h" suffix="" radical="0-{hosts - 1}" speed="1Gf" '
            f'bw="{gbit * goodput * 1e9 / 8:.0f}Bps" lat="{latency_us}us"/>\n</platform>\n'
        )
        (self.output / "hosts").write_text("".join(f"h{i}\n" * ranks for i in range(hosts)))
        return path

    def simulate(self, profile, hosts, gbit, *options, ranks=1, latency_us=None, goodput=GOODPUT,
                 costs=None):  # fmt: skip
        """Milliseconds of a step on rank 0."""
        costs = costs or self.costs | (RDMA if gbit >= 100 else {})
        platform = self.platform(hosts, ranks, gbit, latency_us or NETWORKS[gbit], goodput)
        text = output_of(
            "smpirun", "-np", str(hosts * ranks), "-platform", platform, "-hostfile", self.output / "hosts",
            "--log=root.thres:error", *(f"--cfg={option}" for option in SMPI),
            self.simulated, profile.path, "--steps", "1", "--warm-up", "0",
            "--costs", ",".join(str(costs[name]) for name in costs), *map(str, options),
        )  # fmt: skip
        return float(text.split("step ")[1].split()[0])

    def bound(self, profile, hosts, gbit, wire, step_ms=None, sync=1, ranks=1):
        """The least milliseconds of a step, and what forbids less."""
        scale = step_ms / profile.step if step_ms else 1
        gradients = [(ms * scale, count) for ms, _, count in profile.gradients]
        backward = sum(ms for ms, _ in gradients)
        update = profile.update * scale / ranks
        per_ms = gbit * GOODPUT * 1e6 / 8
        width = 2 if wire == "bf16" else 4
        volume = 2 * (hosts - 1) / hosts * width
        begins = gradients[0][0] if sync == 1 else backward
        network = max(
            begins + profile.elements * volume / per_ms,  # all of it, from when the first is final
            backward + gradients[-1][1] * volume / per_ms,  # the last, which nothing hides
        )
        costs = self.costs | (RDMA if gbit >= 100 else {})
        n, buckets = profile.elements, -(-profile.elements * 4 // (KIB << 10))
        here = n / ranks * ((ranks - 1) * costs["add"] + costs["square"])
        core = n * costs["add"] * (hosts - 1) / hosts
        if wire == "bf16":
            core += n * (costs["pack"] + (2 - 1 / hosts) * costs["unpack"])
        core += costs["byte"] * n * volume * 2
        core = here + core / ranks + costs["message"] * 4 * (hosts - 1) * buckets
        times = {"network": network + update, "core": backward + update + core / 1e6}
        why = max(times, key=times.get)
        return ((backward + update) * (sync - 1) + times[why]) / sync, why


def wire_options(wire):
    return ["--bf16"] if wire == "bf16" else []


def calibrate(lab):
    """Measures what TCP costs a core, then compares steps on two hosts with what is simulated."""
    if os.geteuid() != 0:
        lab.say("calibrate: left out: it makes hosts of network namespaces, as root")
        return
    from hosts import Hosts

    profile = lab.profile(64)
    # On a core of its own, before all else that runs on this machine.
    alone = 'exec chrt --fifo 5 taskset -c "$OMPI_COMM_WORLD_RANK" "$0" "$@"'

    def run(hosts, *options):
        command = ["sh", "-c", alone, lab.build / "play", profile.path, "--steps", 15, *options]
        done = hosts.mpirun(1, [str(word) for word in command], stdout=subprocess.PIPE, text=True,
                            stderr=subprocess.DEVNULL)  # fmt: skip
        return float(done.stdout.split("step ")[1].split()[0])

    with Hosts(2) as hosts:
        long, short = run(hosts, "--idle"), run(hosts, "--idle", "--bucket-kib", 128)
    count = [-(-profile.elements * 4 // (kib << 10)) for kib in (KIB, 128)]
    lab.costs["message"] = max((short - long) * 1e6 / (4 * (count[1] - count[0])), 0)
    core = profile.elements * (lab.costs["add"] / 2 + lab.costs["square"])
    lab.costs["byte"] = (long * 1e6 - core - 4 * count[0] * lab.costs["message"]) / (8 * profile.elements)
    lab.say("Two hosts: the seed's model, 64 windows a rank, 18 MB; milliseconds a step, median")
    lab.say("A core: " + ", ".join(f"{name} {ns:.3g} ns" for name, ns in lab.costs.items()))
    lab.say(f"{'network':>9} {'wire':>6} {'':>14} {'measured':>9} {'simulated':>9} {'off':>6}")
    for gbit in 10, 1:
        with Hosts(2, f"{gbit}gbit") as hosts:
            for wire in "float", "bf16":
                for what, more in ("exchange alone", ["--idle"]), ("step", []):
                    options = wire_options(wire) + more
                    real = run(hosts, *options)
                    # The token bucket counts data without the headers that a real network carries.
                    here = lab.simulate(profile, 2, gbit, *options, latency_us=10, goodput=1,
                                        costs=lab.costs)  # fmt: skip
                    lab.say(f"{gbit:>4} Gbit {wire:>6} {what:>14} {real:9.2f} {here:9.2f} "
                            f"{100 * (here / real - 1):+5.0f}%")  # fmt: skip
    lab.say()


def scaled(step_ms):
    return ["--step-ms", step_ms] if step_ms else []


HEADER = f"{'network':>9} {'wire':>6} {'ms':>8} {'bound':>8}  {'by':8} {'efficiency':>10} {'possible':>9}"


def row(lab, before, profile, hosts, gbit, wire, step_ms=None, sync=1, whole=None, ranks=1):
    """whole: the profile of the step that one host would take for what all do together, if they share."""
    if whole:
        one = lab.simulate(whole, 1, gbit) / hosts
    else:
        one = lab.simulate(profile, 1, gbit, *scaled(step_ms), ranks=ranks)
    options = wire_options(wire) + scaled(step_ms)
    if sync > 1:
        options += ["--sync-every", sync]
    ms = lab.simulate(profile, hosts, gbit, *options, ranks=ranks)
    least, why = lab.bound(profile, hosts, gbit, wire, step_ms, sync, ranks)
    lab.say(f"{before:>9} {gbit:>4} Gbit {wire:>6} {ms:8.2f} {least:8.2f}  {why:8} {100 * one / ms:9.1f}% "
            f"{100 * one / least:8.1f}%")  # fmt: skip
    return one / ms


def check(lab):
    """What is simulated must be what bytes and rate forbid to be less, where a core's own work is free."""
    lab.costs = dict.fromkeys(lab.costs, 0.0)
    looks = "gradient 0.1 0 0\n" * 50  # at messages
    half = 1 << 21
    text = f"elements {2 * half}\ngradient 10 {half} {half}\n{looks}gradient 0 0 {half}\nupdate 5\n"
    profile, failed = Profile(lab.output / "profile-made.txt", text), False
    for n, gbit, wire in (2, 1, "float"), (2, 10, "float"), (4, 10, "float"), (4, 10, "bf16"):
        least, _ = lab.bound(profile, n, gbit, wire)
        ms = lab.simulate(profile, n, gbit, *wire_options(wire))
        lab.say(f"{n} hosts {gbit} Gbit {wire}: {ms:.2f} ms simulated, {least:.2f} by the rate")
        failed |= not least <= ms <= 1.04 * least
    sys.exit(1 if failed else 0)


def weak(lab, hosts):
    profile = lab.profile(64)
    lab.say(f"Weak scaling: the seed's model, 64 windows a rank, a step of {STEP_MS} ms")
    lab.say(f"{'hosts':>9} {HEADER}")
    curves = {}
    for n in sorted(hosts):
        for gbit in NETWORKS:
            for wire in "float", "bf16":
                if n == 1 or n > 64 and gbit == 1:
                    continue  # nothing to exchange; known to be far too slow
                share = row(lab, n, profile, n, gbit, wire, step_ms=STEP_MS)
                curves.setdefault(f"{gbit} Gbit, {wire}", [(1, 1.0)]).append((n, share))
    lab.say()
    plot(lab, curves)


def batch(lab):
    lab.say("Batch: the seed's model on 64 hosts, in the times that it takes here")
    lab.say(f"{'windows':>9} {HEADER}")
    for windows in 16, 64, 256, 1024:
        profile = lab.profile(windows)
        for gbit in NETWORKS:
            for wire in "float", "bf16":
                row(lab, windows, profile, 64, gbit, wire)
    lab.say()


def sync(lab):
    profile = lab.profile(64)
    lab.say(f"Sync interval: the seed's model on 64 hosts, a step of {STEP_MS} ms")
    lab.say(f"{'every':>9} {HEADER}")
    for every in 1, 4, 16, 64:
        for gbit in 1, 10:
            row(lab, every, profile, 64, gbit, "bf16", step_ms=STEP_MS, sync=every)
    lab.say()


def ranks(lab):
    profile = lab.profile(64)
    lab.say(f"Ranks a host: the seed's model, 64 windows a rank, 16 hosts, a step of {STEP_MS} ms")
    lab.say(f"{'ranks':>9} {HEADER}")
    for n in 1, 4:
        for gbit in 10, 100:
            for wire in "float", "bf16":
                row(lab, n, profile, 16, gbit, wire, step_ms=STEP_MS, ranks=n)
    lab.say()


def strong(lab):
    lab.say("Strong scaling: the seed's model, 4096 windows in all, in the times that they take here")
    lab.say(f"{'hosts':>9} {HEADER}")
    for n in 4, 16, 64:
        for gbit in NETWORKS:
            for wire in "float", "bf16":
                row(lab, n, lab.profile(4096 // n), n, gbit, wire, whole=lab.profile(4096))
    lab.say()


def plot(lab, curves):
    data = lab.output / "weak.dat"
    with open(data, "w") as file:
        for name, points in curves.items():
            rows = (f"{n} {100 * share:.2f}" for n, share in points)
            print(f'"{name}"', *rows, "", "", sep="\n", file=file)
    script = f"""set terminal svg size 800,420 font 'sans-serif,13' background 'white'
set output '{lab.output}/weak.svg'
set logscale x 2
set xlabel 'hosts, one rank each'
set ylabel 'efficiency, % of one host'
set yrange [0:105]
set grid
set key outside right center
set title "Weak scaling (simulated): 18 MB of gradient, a step of {STEP_MS} ms"
plot """
    lines = [
        f"'{data}' index {i} with linespoints linewidth 2 pointtype {5 + 2 * (i // 2)} linecolor {i // 2 + 1}"
        f" dashtype {1 + i % 2} title columnheader(1)"
        for i in range(len(curves))
    ]
    try:
        subprocess.run(["gnuplot"], input=script + ", \\\n".join(lines) + "\n", text=True, check=True)
    except FileNotFoundError:
        lab.say("no plot: gnuplot is not installed (./deps scale)")


def main():
    options = arguments()
    lab = Lab(options)
    if "check" in options.only:
        check(lab)
    if "calibrate" in options.only:
        calibrate(lab)
    if "weak" in options.only:
        weak(lab, options.hosts)
    for part in batch, sync, ranks, strong:
        if part.__name__ in options.only:
            part(lab)


main()
