#!/usr/bin/env python3
"""How training scales on clusters that SimGrid simulates: the trainer's own exchange, times measured here.

    python3 tests/simulate/simulate.py BUILD SIMULATED [--output build/simulate] [--hosts 1 2 4 ... 256]
    [--only calibrate weak messages batch sync ranks strong check]

Run by `make simulate`. BUILD is the folder of the tests' programs, SIMULATED the program that SimGrid runs.

    calibrate  two hosts made of network namespaces (as root), beside two that are simulated, 10 and 1 Gbit
    weak       the seed's model, 64 windows a rank, its step made 30 ms long: hosts, networks, wire formats
    messages   64 hosts at 100 Gbit, by the time that a core needs for a message
    batch      64 hosts, 16 to 1024 windows a rank in the times that they take here
    sync       16 hosts that take 4 to 128 steps each by itself (trainer --sync-every), or none
    ranks      16 hosts of 1 and 4 ranks
    strong     4096 windows in all
    check      a few simulated steps against bytes divided by rate: the test of all this

Else each host has one rank, of one core. Printed are milliseconds a step, efficiency against one host, and
the least that a step could take: the network's rate forbids less, or else what a core has to do itself.
All but the measurements run side by side on this machine's cores. Tables and plot go to the output folder.
"""

import argparse
import os
import pathlib
import subprocess
import sys

from lab import NETWORKS, RDMA, WIRES, Lab, Point, Profile, buckets, wire_options

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
STEP_MS = 30


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("simulated", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("build/simulate"))
    parser.add_argument("--hosts", type=int, nargs="*", default=[2**i for i in range(9)])
    parts = ["calibrate", "weak", "messages", "batch", "sync", "ranks", "strong"]
    parser.add_argument("--only", nargs="*", default=parts, choices=[*parts, "check"])
    return parser.parse_args()


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
        done = hosts.mpirun(2 // hosts.n, [str(word) for word in command], stdout=subprocess.PIPE, text=True,
                            stderr=subprocess.DEVNULL)  # fmt: skip
        return float(done.stdout.split("step ")[1].split()[0])

    def handling(hosts):
        """Nanoseconds a message and a byte, by a few long messages and many short ones."""
        ms = [run(hosts, "--idle", "--alone", "--bucket-kib", kib) for kib in (4096, 128)]
        many = [4 * buckets(profile.elements, 2, kib) for kib in (4096, 128)]
        message = max((ms[1] - ms[0]) * 1e6 / (many[1] - many[0]), 0)
        core = profile.elements * (lab.costs["add"] / 2 + lab.costs["square"])
        return message, (ms[0] * 1e6 - core - many[0] * message) / (8 * profile.elements)

    with Hosts(2) as hosts:
        lab.costs["message"], lab.costs["byte"] = handling(hosts)
    with Hosts(1) as host:
        beside, _ = handling(host)
    lab.say(f"A message through memory, without TCP: {beside:.0f} ns")
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


def check(lab):
    """What is simulated must be what bytes and rate forbid to be less, where a core's own work is free."""
    lab.costs = dict.fromkeys(lab.costs, 0.0)
    looks = "gradient 0.1 0 0\n" * 50  # at messages
    half = 1 << 21
    text = f"elements {2 * half}\ngradient 10 {half} {half}\n{looks}gradient 0 0 {half}\nupdate 5\n"
    profile, failed = Profile(lab.output / "profile-made.txt", text), False
    for n, gbit, wire in (2, 1, "float"), (2, 10, "float"), (4, 10, "float"), (4, 10, "bf16"):
        least, _ = lab.bound(Point(n, profile, n, gbit, wire))
        ms = lab.simulate(profile, n, gbit, *wire_options(wire))
        lab.say(f"{n} hosts {gbit} Gbit {wire}: {ms:.2f} ms simulated, {least:.2f} by the rate")
        failed |= not least <= ms <= 1.04 * least
    sys.exit(1 if failed else 0)


def curves(points, shares):
    """{(gbit, wire): [(hosts, efficiency)]}, from one host on."""
    result = {}
    for point, share in zip(points, shares):
        result.setdefault((point.gbit, point.wire), [(1, 1.0)]).append((point.hosts, share))
    return result


def weak(lab, hosts):
    profile = lab.profile(64)
    points = [
        Point(n, profile, n, gbit, wire, STEP_MS)
        for n in sorted(set(hosts) - {1})  # one has nothing to exchange
        for gbit in NETWORKS
        for wire in WIRES
    ]
    title = f"Weak scaling: the seed's model, 64 windows a rank, a step of {STEP_MS} ms"
    return curves(points, lab.table(title, "hosts", points))


def messages(lab):
    costs = lab.costs | RDMA
    points = [
        Point(f"{us} us", lab.profile(64), 64, 100, wire, STEP_MS, costs=costs | {"message": us * 1e3})
        for us in (0, 0.25, 0.5, 1, 2)
        for wire in WIRES
    ]
    title = f"Messages: the seed's model on 64 hosts, a step of {STEP_MS} ms, by what a core spends on each"
    lab.table(title, "message", points)


def batch(lab):
    points = [
        Point(windows, lab.profile(windows), 64, gbit, wire)
        for windows in (16, 64, 256, 1024)
        for gbit in NETWORKS
        for wire in WIRES
    ]
    lab.table("Batch: the seed's model on 64 hosts, in the times that it takes here", "windows", points)


def sync(lab):
    points = [
        Point(every, lab.profile(64), 16, gbit, "bf16", STEP_MS, sync=every)
        for every in (0, 4, 16, 64, 128)
        for gbit in (1, 10)
    ]
    lab.table(f"Sync interval: the seed's model on 16 hosts, a step of {STEP_MS} ms", "every", points)


def ranks(lab):
    points = [
        Point(n, lab.profile(64), 16, gbit, wire, STEP_MS, ranks=n)
        for n in (1, 4)
        for gbit in (10, 100)
        for wire in WIRES
    ]
    title = f"Ranks a host: the seed's model, 64 windows a rank, 16 hosts, a step of {STEP_MS} ms"
    lab.table(title, "ranks", points)


def strong(lab):
    points = [
        Point(n, lab.profile(4096 // n), n, gbit, wire, whole=lab.profile(4096))
        for n in (4, 16, 64, 256)
        for gbit in NETWORKS
        for wire in WIRES
    ]
    title = "Strong scaling: the seed's model, 4096 windows in all, in the times that they take here"
    return curves(points, lab.table(title, "hosts", points))


def plot(lab, panels):
    """panels: {title: curves()}, side by side."""
    script = f"""set terminal svg size {60 + 370 * len(panels)},430 font 'sans-serif,13' background 'white'
set output '{lab.output}/scaling.svg'
set multiplot layout 1,{len(panels)}
set logscale x 2
set xrange [1:280]
set xtics (1, 4, 16, 64, 256)
set rmargin 4
set yrange [0:110]
set xlabel 'hosts, one rank each'
set ylabel 'efficiency, % of one host'
set grid
set key at graph 0.98,0.46 right top samplen 3 spacing 0.85 font ',11'
"""
    for title, lines in panels.items():
        key = "set" if title == list(panels)[0] else "unset"  # one for all
        data = lab.output / f"{title.split()[0].lower()}.dat"
        with open(data, "w") as file:
            for (gbit, wire), points in lines.items():
                rows = (f"{n} {100 * share:.2f}" for n, share in points)
                print(f'"{gbit} Gbit, {wire}"', *rows, "", "", sep="\n", file=file)
        styles = (
            f"'{data}' index {i} with linespoints linewidth 2 pointtype {5 + 2 * (i // 2)} pointsize 0.6 "
            f"linecolor {i // 2 + 1} dashtype {1 + i % 2} title columnheader(1)"
            for i in range(len(lines))
        )
        script += f"{key} key\nset title '{title}'\nplot " + ", \\\n".join(styles) + "\n"
    try:
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
    except FileNotFoundError:
        lab.say("no plot: gnuplot is not installed (./deps scale)")


def main():
    options = arguments()
    lab = Lab(options.build, options.simulated, options.output)
    panels = {}
    if "check" in options.only:
        check(lab)
    if "calibrate" in options.only:
        calibrate(lab)
    if "weak" in options.only:
        panels[f"Weak scaling: a step of {STEP_MS} ms"] = weak(lab, options.hosts)
    for part in messages, batch, sync, ranks:
        if part.__name__ in options.only:
            part(lab)
    if "strong" in options.only:
        panels["Strong scaling: 4096 windows in all"] = strong(lab)
    if panels:
        plot(lab, panels)


main()
