"""One node's frames, by port and direction, and its state as iproute2 prints it."""

import json
import re
import signal
import subprocess

from .namespaces import PREFIX, RecordingFailed, run


def ports(name):
    """The Ethernet links of a node that are neither bridge nor tunnel."""
    links = json.loads(run("ip", "-n", PREFIX + name, "-j", "-d", "link"))
    return [link["ifname"] for link in links if link.get("linkinfo", {}).get("info_kind") == "veth"]


class Recording:
    """One tcpdump for each port and direction, so that a frame's direction needs no guessing."""

    def __init__(self, directory, name):
        self.name, self.directory, self.dumps = name, directory, []
        for direction in ("in", "out"):
            (directory / direction).mkdir(parents=True)

    def start(self):
        for port in ports(self.name):
            for direction in ("in", "out"):
                file = self.directory / direction / f"{port}.pcap"
                self.dumps.append((file, subprocess.Popen(
                    ["ip", "netns", "exec", PREFIX + self.name, "tcpdump", "-i", port, "-Q", direction,
                     "-w", str(file), "-s", "2048", "-B", "16384", "--immediate-mode", "-n", "-Z", "root",
                     "--time-stamp-precision=nano"], stderr=subprocess.PIPE, text=True)))
        for file, dump in self.dumps:
            line = dump.stderr.readline()
            while line and "listening on" not in line:
                line = dump.stderr.readline()
            if not line:
                raise RecordingFailed(f"tcpdump did not start for {file}")

    def stop(self):
        for file, dump in self.dumps:
            dump.send_signal(signal.SIGINT)
            said = dump.communicate()[1]
            dropped = re.search(r"^(\d+) packets? dropped by kernel", said, re.MULTILINE)
            if dropped is None or dropped[1] != "0":
                raise RecordingFailed(f"{file} is not complete: tcpdump says {said.strip()!r}")
        self.dumps.clear()

    def kill(self):
        for _, dump in self.dumps:
            dump.kill()
            dump.wait()

    def save_state(self):
        """Plain iproute2, one key for each command; every object is what `ip -j` printed."""
        commands = {
            "addr": "ip -j -d addr",
            "route": "ip -j -d route show table all",
            "rule": "ip -j -d rule",
            "neigh": "ip -j neigh",
            "fdb": "bridge -j fdb",
            "nexthop": "ip -j nexthop",
            "netconf": "ip -j netconf",
        }
        state = {}
        for key, command in commands.items():
            printed = run("ip", "netns", "exec", PREFIX + self.name, *command.split())
            state[key] = [entry for entry in json.loads(printed or "[]") if entry]
        lines = (f" {json.dumps(key)}: [\n" + ",\n".join("  " + json.dumps(entry) for entry in entries) + "\n ]"
                 for key, entries in state.items())
        (self.directory / "state.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
