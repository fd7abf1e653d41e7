"""What simulate.py is made of: this machine's times, a simulated step, and the least that one could take."""

import concurrent.futures
import dataclasses
import os
import pathlib
import subprocess
import sys
import tempfile
import time

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
# At 100 Gbit adapters move data without the core (RDMA). What a message takes is assumed: messages shows what
# follows from it, and calibrate measures it between two ranks of this machine, beside each other in memory.
RDMA = {"message": 1000.0, "byte": 0.0}
WIRES = "float", "bf16"
HEADER = f"{'network':>9} {'wire':>6} {'ms':>8} {'bound':>8}  {'by':8} {'efficiency':>10} {'possible':>9}"
# Times do not depend on the machine's mood: nothing is timed; MPI sends as in Open MPI, at once.
SMPI = """
    smpi/coll-selector:ompi smpi/simulate-computation:no smpi/test:0 smpi/iprobe:1e-6 smpi/wtime:0
    surf/precision:1e-7 smpi/send-is-detached-thresh:0 smpi/bw-factor:0:1 smpi/lat-factor:0:1
    network/crosstraffic:0
""".split()


# Before all else that runs on this machine, where that is allowed.
FIRST = ["chrt", "--fifo", "5"] if os.geteuid() == 0 else []


def output_of(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def buckets(elements, hosts, kib=4096):
    """As exchange_plan.c cuts the gradient: no message is longer than 1 MiB."""
    return -(-elements * 4 // (min(kib, hosts << 10) << 10))


def wire_options(wire):
    return ["--bf16"] if wire == "bf16" else []


def scaled(step_ms):
    return ["--step-ms", step_ms] if step_ms else []


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


@dataclasses.dataclass
class Point:
    """A row of a table."""

    label: object
    profile: Profile
    hosts: int
    gbit: int
    wire: str
    step_ms: float = None  # None: as measured
    sync: int = 0  # steps that hosts take by themselves
    ranks: int = 1  # a host
    whole: Profile = None  # of the step that one host would take for what all do together, if they share
    costs: dict = None  # None: those of the network


class Lab:
    def __init__(self, build, simulated, output):
        self.build, self.simulated, self.output = build / "tests/simulate", simulated.resolve(), output
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

    def simulate(self, profile, hosts, gbit, *options, ranks=1, latency_us=None, goodput=GOODPUT, costs=None):
        """Milliseconds of a step on rank 0."""
        costs = costs or self.costs_at(gbit)
        with tempfile.TemporaryDirectory(dir=self.output) as folder:
            platform, machines = pathlib.Path(folder, "platform.xml"), pathlib.Path(folder, "hosts")
            platform.write_text(
                "<?xml version='1.0'?>\n"
                '<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">\n<platform version="4.1">\n'
                f'<cluster id="c" prefix="h" suffix="" radical="0-{hosts - 1}" speed="1Gf" '
                f'bw="{gbit * goodput * 1e9 / 8:.0f}Bps" lat="{latency_us or NETWORKS[gbit]}us"/>\n'
                "</platform>\n"
            )
            machines.write_text("".join(f"h{i}\n" * ranks for i in range(hosts)))
            text = output_of(
                "smpirun", "-np", str(hosts * ranks), "-platform", platform, "-hostfile", machines,
                "--log=root.thres:error", *(f"--cfg={option}" for option in SMPI),
                self.simulated, profile.path, "--steps", "1", "--warm-up", "0",
                "--costs", ",".join(str(costs[name]) for name in costs), *map(str, options),
            )  # fmt: skip
        return float(text.split("step ")[1].split()[0])

    def costs_at(self, gbit):
        return self.costs | (RDMA if gbit >= 100 else {})

    def bound(self, point):
        """The least milliseconds of a step, and what forbids less."""
        profile, hosts, wire, ranks = point.profile, point.hosts, point.wire, point.ranks
        scale = point.step_ms / profile.step if point.step_ms else 1
        gradients = [(ms * scale, count) for ms, _, count in profile.gradients]
        backward = sum(ms for ms, _ in gradients)
        update = profile.update * scale / ranks
        per_ms = point.gbit * GOODPUT * 1e6 / 8
        width = 2 if wire == "bf16" else 4
        volume = 2 * (hosts - 1) / hosts * width
        network = max(
            gradients[0][0] + profile.elements * volume / per_ms,  # all of it, from when the first is final
            backward + gradients[-1][1] * volume / per_ms,  # the last, which nothing hides
        )
        costs = point.costs or self.costs_at(point.gbit)
        n = profile.elements
        here = n / ranks * ((ranks - 1) * costs["add"] + costs["square"])
        core = n * costs["add"] * (hosts - 1) / hosts
        if wire == "bf16":
            core += n * (costs["pack"] + (2 - 1 / hosts) * costs["unpack"])
        core += costs["byte"] * n * volume * 2
        core = core / ranks + costs["message"] * 4 * (hosts - 1) * buckets(n, hosts)
        times = {"network": network + update, "core": backward + update + (here + core) / 1e6}
        if point.sync:  # weights and two moments, with nothing to hide behind
            steps = point.sync * (backward + update + here / 1e6) + 3 * update
            times = {
                "network": (steps + 3 * n * volume / per_ms) / point.sync,
                "core": (steps + 3 * core / 1e6) / point.sync,
            }
        why = max(times, key=times.get)
        return times[why], why

    def row(self, point):
        """A point's line of a table, and its efficiency."""
        if point.whole:
            one = self.simulate(point.whole, 1, point.gbit) / point.hosts
        else:
            one = self.simulate(point.profile, 1, point.gbit, *scaled(point.step_ms), ranks=point.ranks)
        options = wire_options(point.wire) + scaled(point.step_ms)
        if point.sync:
            options += ["--sync-every", point.sync]
        ms = self.simulate(point.profile, point.hosts, point.gbit, *options, ranks=point.ranks,
                           costs=point.costs)  # fmt: skip
        least, why = self.bound(point)
        share = one / ms
        line = (
            f"{point.label:>9} {point.gbit:>4} Gbit {point.wire:>6} {ms:8.2f} {least:8.2f}  {why:8} "
            f"{100 * share:9.1f}% {100 * one / least:8.1f}%"
        )
        return line, share

    def table(self, title, column, points):
        """Simulates points side by side and prints them in order. Returns efficiencies."""
        start, shares = time.monotonic(), []
        self.say(title)
        self.say(f"{column:>9} {HEADER}")
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for line, share in pool.map(self.row, points):
                self.say(line)
                shares.append(share)
        self.say(f"simulated in {time.monotonic() - start:.0f} s\n")
        return shares
