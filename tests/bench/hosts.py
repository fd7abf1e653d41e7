"""Hosts in network namespaces of this machine, with a network between them whose rate is set (as root).

    with Hosts(2, "10gbit") as hosts:
        hosts.mpirun(2, ["build/trainer", ...])

A host is a process that holds a network namespace and a name of its own; they end with it. Rates are kept by
tc's token bucket, both ways; the congestion control is reno, since others probe for a bandwidth that a token
bucket does not show.
"""

import os
import shutil
import subprocess
import tempfile

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

    def on(self, i, *command, **options):
        return sh("nsenter", "-t", self.inside[i], "-n", "-u", *command, **options)

    def mpirun(self, ranks_a_host, command, cores=None, **options):
        """Runs the command on ranks of all hosts. cores: {host: list for taskset}."""
        hosts = ",".join(f"{NET}.{i + 1}:{ranks_a_host}" for i in range(self.n))
        mpirun = ["mpirun", "--host", hosts, "-n", str(self.n * ranks_a_host), "--bind-to", "none"]
        for name, value in {
            "plm_rsh_agent": self.agent,
            "btl_tcp_if_include": "eth0",
            "oob_tcp_if_include": "eth0",
            "btl": "tcp,self,vader",
            "btl_base_verbose": "0",
        }.items():
            mpirun += ["--mca", name, value]
        return self.on(0, *mpirun, *command, **options)
