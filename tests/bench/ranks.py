#!/usr/bin/env python3
"""What a second rank brings, on this host and on a second one.

    python3 tests/bench/ranks.py BIN BUILD [--only host|pytorch|10gbit|1gbit|10gbit-sync|1gbit-sync|bare ...]
    [--rounds 5] [--steps 60] [--every 128] [--presets seed-64 ...] [-- trainer option...]

Run by `make bench-ranks`, on two cores. BIN is the folder of the programs, BUILD that of the tests' helpers.
Songs are made and preprocessed in a scratch folder, and the presets trained on them:

    host      2 ranks of this host, against two runs of one rank each at the same time
    pytorch   the seed's model on 2 ranks, against PyTorch's DistributedDataParallel over gloo (needs torch)
    10gbit, 1gbit, bare   2 hosts of one rank and one core, made of network namespaces (as root): first sums
              of gradients alone (bench_exchange), then again against two runs of one rank each; bare: a
              network without a limit
    10gbit-sync, 1gbit-sync   the same with --sync-every and --wire bf16; a step has its part of a sync point

In a round each kind runs once; the median step of the round's runs counts. Printed are medians over rounds of
milliseconds a step and of the ratios within a round: 100 % is what two ranks could do that never wait.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile

import benches
from hosts import Hosts

os.environ |= benches.AS_ROOT
SKIPPED = 10  # steps at the start of a run
# Name: preset, sequences a rank, options
PRESETS = {
    "seed-64": ("seed", 64, []),
    "seed-512": ("seed", 512, []),
    "chorales-8": ("chorales", 8, ["--chunk", 0]),
    "folk-24": ("folk", 24, ["--chunk", 128]),
    "band-8": ("band", 8, ["--chunk", 128]),
    "band-32": ("band", 32, ["--chunk", 128]),
}
RATES = {"10gbit": "10gbit", "1gbit": "1gbit", "10gbit-sync": "10gbit", "1gbit-sync": "1gbit", "bare": None}


def arguments():
    parser = benches.parser(__doc__)
    parser.add_argument("bin")
    parser.add_argument("build")
    parser.add_argument("--only", nargs="*", default=["host", "pytorch", *list(RATES)[:-1]])
    parser.add_argument("--presets", nargs="*", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--every", type=int, default=128)
    return benches.parse(parser)


class Bench:
    def __init__(self, args, options, scratch):
        self.args, self.options, self.scratch, self.runs = args, options, scratch, 0
        programs, helpers = pathlib.Path(args.bin), pathlib.Path(args.build, "tests/helpers")
        self.trainer = programs / "trainer"
        self.sums = pathlib.Path(args.build, "tests/bench/bench_exchange")
        songs = scratch / "songs"
        songs.mkdir()
        subprocess.run([helpers / "make_songs", songs, "900"], check=True)
        for tracks in "merged", "melody,chords,bass,drums":
            subprocess.run(
                [programs / "preprocess", "-q", "--tracks", tracks, "--output", self.shards(tracks), songs],
                check=True,
            )

    def shards(self, tracks):
        return self.scratch / tracks.split(",")[0]

    def command(self, name, ranks):
        preset, sequences, options = PRESETS[name]
        self.runs += 1
        output = self.scratch / f"run-{self.runs}"
        data = self.shards("melody" if preset == "band" else "merged")
        command = [self.trainer, "--data", data, "--output", output, "--preset", preset, *options]
        command += ["--batch", ranks * sequences, "--max-steps", self.args.steps, "--epochs", 10000]
        command += ["--threads", 1, "--quiet", "--checkpoint-every", 0, "--validate-every", 10000]
        return [str(word) for word in command + self.options], output

    def steps(self, output):
        """Milliseconds of each step of a run that has ended."""
        with open(output / "metrics.jsonl") as lines:
            steps = [row["step_ms"] for row in map(json.loads, lines) if row["kind"] == "step"]
        shutil.rmtree(output)
        return steps

    def median(self, output):
        return statistics.median(self.steps(output)[SKIPPED:])

    def two_runs(self, name):
        """One rank each, at the same time, a core each."""
        runs = []
        for core in "0", "1":
            command, output = self.command(name, 1)
            runs.append((subprocess.Popen(["taskset", "-c", core, *command]), output))
        for process, _ in runs:
            if process.wait():
                sys.exit("a run failed")
        return statistics.mean(self.median(output) for _, output in runs)

    def two_ranks(self, name):
        command, output = self.command(name, 2)
        subprocess.run(["mpirun", "-n", "2", *command], check=True)
        return self.median(output)

    def two_hosts(self, name, hosts):
        command, output = self.command(name, 2)
        hosts.mpirun(1, command)
        return self.median(output)

    def two_hosts_apart(self, name, hosts):
        every = self.args.every
        command, output = self.command(name, 2)
        command[command.index("--max-steps") + 1] = str(3 * every)
        hosts.mpirun(1, [*command, "--sync-every", str(every), "--wire", "bf16"])
        steps = self.steps(output)
        last = statistics.median(steps[every - 1 :: every])
        return (last + (every - 1) * statistics.median(steps[SKIPPED:])) / every

    def pytorch(self, batch, cells):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        script = pathlib.Path(__file__).with_name("ddp_pytorch.py")
        ranks = []
        for rank in range(2):
            env = os.environ | {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
            env |= {"MASTER_PORT": str(port), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
            command = ["taskset", "-c", str(rank), sys.executable, script, cells, batch, self.args.steps]
            ranks.append(
                subprocess.Popen([str(word) for word in command], env=env, stdout=subprocess.PIPE, text=True)
            )
        times = json.loads(ranks[0].communicate()[0])
        ranks[1].wait()
        return statistics.median(times[SKIPPED:])


def compare(what, rounds, ours, other, sense):
    """sense(ours, other): the ratio."""
    pairs = []
    for number in range(rounds):
        pair = [run() for run in ((ours, other) if number % 2 == 0 else (other, ours))]
        pairs.append(pair if number % 2 == 0 else pair[::-1])
    a, b = (statistics.median(column) for column in zip(*pairs))
    ratios = [sense(*pair) for pair in pairs]
    print(
        f"{what:<24} {a:8.1f} ms, {b:8.1f} ms: {statistics.median(ratios):6.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )


def main():
    args, options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that hosts and files go
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="mpianist-ranks."))
    slower = lambda ours, other: other / ours
    try:
        bench = Bench(args, options, scratch)
        if "host" in args.only:
            print("2 ranks of this host, two runs of a rank: what two ranks reach of two runs")
            for name in args.presets:
                compare(
                    name, args.rounds, lambda: bench.two_ranks(name), lambda: bench.two_runs(name), slower
                )
        if "pytorch" in args.only:
            print("2 ranks, PyTorch's DDP over gloo: how many times as fast")
            for name in (name for name in args.presets if PRESETS[name][0] == "seed"):
                batch = PRESETS[name][1]
                pytorch = lambda: bench.pytorch(batch, 8800)
                compare(name, args.rounds, lambda: bench.two_ranks(name), pytorch, slower)
        for network in (network for network in RATES if network in args.only):
            print(f"2 hosts, {network}, two runs of a rank: what two hosts reach of two runs")
            with Hosts(2, RATES[network]) as hosts:
                hosts.mpirun(1, [bench.sums])
                run = bench.two_hosts_apart if network.endswith("-sync") else bench.two_hosts
                for name in args.presets:
                    ours = lambda: run(name, hosts)
                    compare(name, args.rounds, ours, lambda: bench.two_runs(name), slower)
    finally:
        shutil.rmtree(scratch)


main()
