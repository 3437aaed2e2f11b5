"""tshark's judgement of the captures: no fault but the ones that a case is about, and all of those."""

from __future__ import annotations

import subprocess
from collections import Counter
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


def declared_faults(row: Row) -> dict[str, dict[int, set[str]]]:
    """By capture and frame number: the faults of the cases, in what is received, punted and passed on."""
    declared: dict[str, dict[int, set[str]]] = {}
    count: Counter[str] = Counter()

    def frame_of(capture: str, faults: tuple[str, ...]) -> None:
        count[capture] += 1
        if faults:
            declared.setdefault(capture, {})[count[capture]] = set(faults)

    for case in row.cases:
        frame_of(f"rx/{case.received.port}.pcap", case.faults)
        if case.expected.outcome == "punted":
            frame_of("punt.pcap", case.faults)
        for frame in case.expected.sent:
            frame_of(f"tx/{frame.port}.pcap", case.faults if case.expected.outcome == "forwarded" else ())
    return declared


def complaints(row: Row, folder: Path) -> Iterator[str]:
    """Where tshark's findings over a row's captures differ from what its cases declare."""
    declared = declared_faults(row)
    for capture in sorted(folder.rglob("*.pcap")):
        expected, found = declared.get(str(capture.relative_to(folder)), {}), faults_of(capture)
        for number in sorted(expected.keys() | found.keys()):
            if expected.get(number, set()) != found.get(number, set()):
                yield (
                    f"{capture}: frame {number}: tshark finds {sorted(found.get(number, set()))}, "
                    f"the case declares {sorted(expected.get(number, set()))}"
                )
