#!/usr/bin/env python3
"""Hosts in network namespaces of this machine, with a network between them whose rate is set (as root).

    with Hosts(2, "10gbit") as hosts:
        hosts.mpirun(2, ["build/trainer", ...])

or, with two ranks on each of two hosts and a virtual bridge of one address on both, as Docker makes it

    hosts.py [--ranks 2] [--rate 10gbit] [--bridge 172.17.0.1/16] [--interface eth0] 2 build/trainer ...

which ends with the status of mpirun, or with 77 where no hosts can be made. --interface: which one MPI is
told to use; "" for none.

A host is a process that holds a network namespace and a name of its own; they end with it. Rates are kept by
tc's token bucket, both ways; the congestion control is reno, since others probe for a bandwidth that a token
bucket does not show.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile

import benches

NET = "10.98.7"
BURST = ["burst", "512kb", "latency", "50ms"]


def sh(*command, **options):
    return subprocess.run(command, check=True, **options)


class Hosts:
    def __init__(self, n, rate=None):
        self.n, self.rate, self.holders = n, rate, []

    def __enter__(self):
        self.folder = tempfile.mkdtemp()
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        for i in range(self.n + 1):  # the last one is the switch
            holder = subprocess.Popen(
                ["unshare", "--net", "--uts", "--kill-child", "--fork", "sh", "-c",
                 f"hostname h{i + 1}; echo; exec sleep 1000000"],
                stdout=subprocess.PIPE,
            )
            self.holders.append(holder)
            holder.stdout.readline()
        self.inside = [
            subprocess.check_output(["pgrep", "-P", str(holder.pid)], text=True).split()[0]
            for holder in self.holders
        ]
        self.on(self.n, "ip", "link", "add", "bridge", "type", "bridge")
        self.on(self.n, "ip", "link", "set", "bridge", "up")
        for i in range(self.n):
            self.on(self.n, "ip", "link", "add", f"v{i}", "type", "veth", "peer", "name", "eth0",
                    "netns", self.inside[i])
            self.on(self.n, "ip", "link", "set", f"v{i}", "master", "bridge", "up")
            self.on(i, "ip", "addr", "add", f"{NET}.{i + 1}/24", "dev", "eth0")
            for link in "eth0", "lo":
                self.on(i, "ip", "link", "set", link, "up")
            self.on(i, "sh", "-c", "echo reno >/proc/sys/net/ipv4/tcp_congestion_control")
            if self.rate:
                self.on(i, "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", self.rate, *BURST)
        self.agent = os.path.join(self.folder, "agent")
        with open(self.agent, "w") as agent:
            agent.write("#!/bin/sh\ncase $1 in\n")
            for i in range(self.n):
                agent.write(f"{NET}.{i + 1}) pid={self.inside[i]} ;;\n")
            agent.write('esac\nshift\nexec nsenter -t "$pid" -n -u sh -c "$*"\n')
        os.chmod(self.agent, 0o755)

    def __exit__(self, *_):
        for holder in self.holders:
            holder.kill()
            holder.wait()
        shutil.rmtree(self.folder)

    def enter(self, i):
        return "nsenter", "-t", self.inside[i], "-n", "-u"

    def on(self, i, *command, **options):
        return sh(*self.enter(i), *command, **options)

    def add_bridge(self, address):
        for i in range(self.n):
            self.on(i, "ip", "link", "add", "docker0", "type", "bridge")
            self.on(i, "ip", "addr", "add", address, "dev", "docker0")
            self.on(i, "ip", "link", "set", "docker0", "up")

    def mpirun(self, ranks_a_host, command, interface="eth0", start=sh, **options):
        """Runs the command on ranks of all hosts. start: what gets the words and these options."""
        hosts = ",".join(f"{NET}.{i + 1}:{ranks_a_host}" for i in range(self.n))
        mpirun = ["mpirun", "--host", hosts, "-n", str(self.n * ranks_a_host), "--bind-to", "none"]
        parameters = {
            "plm_rsh_agent": self.agent,
            "oob_tcp_if_include": "eth0",
            "btl": "tcp,self,vader",
            "btl_base_verbose": "0",
        }
        if interface:
            parameters["btl_tcp_if_include"] = interface
        for name, value in parameters.items():
            mpirun += ["--mca", name, value]
        return start(*self.enter(0), *mpirun, *command, **options)


def main():
    parser = benches.parser(__doc__)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--rate")
    parser.add_argument("--bridge")
    parser.add_argument("--interface", default="eth0")
    parser.add_argument("n", type=int)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        try:
            sh("unshare", "--net", "--uts", "true")
            hosts = stack.enter_context(Hosts(args.n, args.rate))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"hosts: cannot make hosts here: {error}", file=sys.stderr)
            return 77
        if args.bridge:
            hosts.add_bridge(args.bridge)
        start = lambda *words: subprocess.Popen(words)
        mpirun = hosts.mpirun(args.ranks, args.command, args.interface, start)
        signal.signal(signal.SIGTERM, lambda *_: mpirun.terminate())
        return mpirun.wait()


if __name__ == "__main__":
    sys.exit(main())
