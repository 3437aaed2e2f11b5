"""The files of a row: captures, state, report and README, as bytes by path."""

from __future__ import annotations

import json
import struct
from typing import Any

from .iproute2 import Object
from .row import Row
from .wire import Frame

# The captures start on 14 November 2023, 22:13:20 UTC.
EPOCH = 1_700_000_000

PCAP_MICROSECONDS, PCAP_NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
LINKTYPE_ETHERNET = 1
SNAPLEN = 262144


def row_files(row: Row) -> dict[str, bytes]:
    received, sent, punted = captures(row)
    state = toml(row.state.sections()) if row.state_format == "toml" else lines(row.state.sections())
    files = {f"state.{row.state_format}": state.encode()}
    if row.config:
        files["config.toml"] = row.config.encode()
    for folder, frames in (("rx", received), ("tx", sent)):
        for port in sorted({frame.port for _, frame in frames}):
            records = [(time, frame.data) for time, frame in frames if frame.port == port]
            files[f"{folder}/{port}.pcap"] = pcap(records, row.nanoseconds and folder == "rx")
    if punted:
        files["punt.pcap"] = pcap([(time, frame.data) for time, frame in punted], False)
    files["report.json"] = (json.dumps(row.report(), indent=2) + "\n").encode()
    files["README.md"] = row.readme().encode()
    return files


Timed = list[tuple[int, Frame]]


def captures(row: Row) -> tuple[Timed, Timed, Timed]:
    """Frames received, sent and punted, each with its time in milliseconds."""
    received, sent, punted = [], [], []
    for time, case in zip(row.times(), row.cases):
        received.append((time, case.received))
        sent += [(time, frame) for frame in case.expected.sent]
        if case.expected.outcome == "punted":
            punted.append((time, case.received))
    return received, sent, punted


def pcap(records: list[tuple[int, bytes]], nanoseconds: bool) -> bytes:
    magic = PCAP_NANOSECONDS if nanoseconds else PCAP_MICROSECONDS
    per_millisecond = 1_000_000 if nanoseconds else 1_000
    capture = struct.pack("<IHHiIII", magic, 2, 4, 0, 0, SNAPLEN, LINKTYPE_ETHERNET)
    for time, data in records:
        seconds, milliseconds = divmod(time, 1000)
        capture += struct.pack(
            "<IIII", EPOCH + seconds, milliseconds * per_millisecond, len(data), len(data),
        ) + data
    return capture


def lines(sections: dict[str, list[Object]]) -> str:
    """JSON with one object a line, as `ip -j` output reads best."""
    parts = [
        f"{json.dumps(key)}: [\n" + ",\n".join(f"  {json.dumps(entry)}" for entry in objects) + "\n]"
        for key, objects in sections.items()
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def toml(sections: dict[str, list[Object]]) -> str:
    return "\n".join(
        f"[[{key}]]\n" + "".join(
            # TOML has no null; an absent key says the same.
            f"{name} = {toml_value(value)}\n" for name, value in entry.items() if value is not None
        )
        for key, objects in sections.items() for entry in objects
    )


def toml_value(value: Any) -> str:
    match value:
        case dict():
            inner = ", ".join(f"{key} = {toml_value(entry)}" for key, entry in value.items())
            return f"{{ {inner} }}"
        case list():
            return "[" + ", ".join(toml_value(entry) for entry in value) + "]"
        case _:
            # Strings, integers and booleans are written alike in JSON and TOML.
            return json.dumps(value)
