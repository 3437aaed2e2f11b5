"""tshark's judgement of the captures: no fault but the ones that a case is about, and all of those."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from .row import Row

# Each is reported by name when tshark finds the fault; `_ws.expert` stands for any other error.
FAULTS = {
    "ip.checksum.status": "0",
    "udp.checksum.status": "0",
    "tcp.checksum.status": "0",
    "icmp.checksum.status": "0",
    "_ws.malformed": "",
}
SEVERITY_ERROR = 0x00800000

OPTIONS = [
    "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
    # Fragments are judged by what they rebuild; a retransmission or a gap is no fault of a frame.
    "-o", "ip.defragment:TRUE", "-o", "tcp.analyze_sequence_numbers:FALSE",
    # tshark knows 4789 only.
    "-d", "udp.port==8472,vxlan",
]


def faults_of(capture: Path) -> dict[int, set[str]]:
    """The faults of each frame of a capture, counted from 1."""
    columns = ["frame.number", "_ws.expert.severity", *FAULTS]
    command = ["tshark", "-n", "-r", str(capture), *OPTIONS, "-T", "fields", "-E", "occurrence=a"]
    for column in columns:
        command += ["-e", column]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[int, set[str]] = {}
    for line in listing.splitlines():
        number, severities, *values = line.split("\t")
        faults = {
            name for (name, bad), value in zip(FAULTS.items(), values)
            if (bad and bad in value.split(",")) or (not bad and value)
        }
        if not faults and any(int(s, 0) >= SEVERITY_ERROR for s in severities.split(",") if s):
            faults = {"_ws.expert"}
        if faults:
            found[int(number)] = faults
    return found


def complaints(row: Row, folder: Path) -> Iterator[str]:
    """Where tshark's findings over a row's captures differ from what its cases declare."""
    declared: dict[Path, dict[int, set[str]]] = {}
    seen: dict[str, int] = {}
    punted = 0
    for case in row.cases:
        port = case.received.port
        seen[port] = seen.get(port, 0) + 1
        punted += case.expected.outcome == "punted"
        if case.faults:
            declared.setdefault(folder / f"rx/{port}.pcap", {})[seen[port]] = set(case.faults)
            if case.expected.outcome == "punted":
                declared.setdefault(folder / "punt.pcap", {})[punted] = set(case.faults)
    for capture in sorted(folder.rglob("*.pcap")):
        expected, found = declared.get(capture, {}), faults_of(capture)
        for number in sorted(expected.keys() | found.keys()):
            if expected.get(number, set()) != found.get(number, set()):
                yield (
                    f"{capture}: frame {number}: tshark finds {sorted(found.get(number, set()))}, "
                    f"the case declares {sorted(expected.get(number, set()))}"
                )
