"""A row of the table of topologies: a node's state and the cases that its captures hold.

The report and the README are both computed from the cases, so they cannot disagree.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .iproute2 import State
from .wire import Frame


@dataclass(frozen=True)
class Expected:
    """What becomes of one frame: an outcome, its reason, and every frame sent because of it."""

    outcome: str
    reason: str | None = None
    sent: tuple[Frame, ...] = ()
    originated: str | None = None
    anomalies: int = 0

    def describe(self) -> str:
        words = self.outcome + (f" `{self.reason}`" if self.reason else "")
        ports = ", ".join(dict.fromkeys(f"`{frame.port}`" for frame in self.sent))
        if self.outcome == "forwarded" and self.originated == "fragment":
            return f"forwarded to {ports} in {len(self.sent)} fragments"
        if self.outcome in ("forwarded", "answered"):
            return f"{words} to {ports}" + (", counted in `ecn_anomaly`" if self.anomalies else "")
        return f"{words}, ICMP error to {ports}" if self.sent else words

    def extra(self) -> int:
        """Frames sent beyond the one that a forwarded or answered frame stands for."""
        if self.originated is None:
            return 0
        return len(self.sent) - (1 if self.originated == "fragment" else 0)


def forwards(*frames: Frame, anomalies: int = 0) -> Expected:
    """Sent on: as one frame, or as the fragments given."""
    several = "fragment" if len(frames) > 1 else None
    return Expected("forwarded", sent=frames, originated=several, anomalies=anomalies)


def answers(frame: Frame) -> Expected:
    return Expected("answered", sent=(frame,))


def punts(reason: str) -> Expected:
    """To the kernel."""
    return Expected("punted", reason)


def drops(reason: str, error: Frame | None = None) -> Expected:
    """Dropped: silently, or with an ICMP error."""
    return Expected("dropped", reason, (error,), "icmp_error") if error else Expected("dropped", reason)


@dataclass(frozen=True)
class Case:
    title: str
    received: Frame
    expected: Expected
    # Fields that tshark must report for this frame, and for no other of its capture: the fault
    # that the case is about.
    faults: tuple[str, ...]
    # Received at the same instant as the case before it.
    simultaneous: bool


@dataclass
class Row:
    name: str
    summary: str
    facts: list[str]
    chosen: list[str]
    state: State
    state_format: str = "json"
    config: str = ""
    nanoseconds: bool = False
    cases: list[Case] = field(default_factory=list)

    def case(self, title: str, received: Frame, expected: Expected, *,
             faults: tuple[str, ...] = (), simultaneous: bool = False) -> None:
        # Ties are merged in the order of --rx, and the tests name ports in alphabetical order.
        if simultaneous and received.port < self.cases[-1].received.port:
            raise ValueError(f"{self.name}: {title}: received before the case above it")
        self.cases.append(Case(title, received, expected, faults, simultaneous))

    def times(self) -> list[int]:
        """Milliseconds from the start of the capture, one a case."""
        times: list[int] = []
        for case in self.cases:
            times.append(times[-1] + (not case.simultaneous) if times else 0)
        return times

    def report(self) -> dict[str, Any]:
        """What `packetwalk replay --json` prints."""
        outcomes = Counter(case.expected.outcome for case in self.cases)
        reasons = {
            outcome: dict(sorted(Counter(
                case.expected.reason for case in self.cases if case.expected.outcome == outcome
            ).items()))
            for outcome in ("dropped", "punted")
        }
        originated = Counter({"icmp_error": 0, "fragment": 0, "arp_request": 0})
        for case in self.cases:
            if case.expected.originated:
                originated[case.expected.originated] += case.expected.extra()
        outcome = {"rx": len(self.cases)} | {
            name: outcomes[name] for name in ("forwarded", "answered", "punted", "dropped")
        }
        sent = [frame for case in self.cases for frame in case.expected.sent]
        if len(sent) != outcomes["forwarded"] + outcomes["answered"] + originated.total():
            raise ValueError(f"{self.name}: tx is not forwarded + answered + originated")
        return {
            "outcome": outcome,
            "drop": reasons["dropped"],
            "punt": reasons["punted"],
            "originated": dict(originated),
            "note": {"ecn_anomaly": sum(case.expected.anomalies for case in self.cases)},
            "ports": port_counters([case.received for case in self.cases], sent),
        }

    def readme(self) -> str:
        seen: Counter[str] = Counter()
        lines = [f"# {self.name}", "", self.summary, "", "## Facts of the row", ""]
        lines += [f"- {fact}" for fact in self.facts]
        lines += ["", "## Chosen where the seed is silent", ""]
        lines += [f"- {choice}" for choice in self.chosen]
        lines += ["", "## Cases", "",
                  "`in` is the port and the frame's number in that port's capture.", "",
                  "| # | in | tests | expected |", "|---|---|---|---|"]
        for number, case in enumerate(self.cases, 1):
            seen[case.received.port] += 1
            where = f"`{case.received.port}` {seen[case.received.port]}"
            together = " (at the same instant)" if case.simultaneous else ""
            lines.append(f"| {number} | {where} | {case.title}{together} | {case.expected.describe()} |")
        return "\n".join(lines) + "\n"


def port_counters(received: list[Frame], sent: list[Frame]) -> dict[str, dict[str, int]]:
    ports = sorted({frame.port for frame in received + sent})
    return {
        port: {
            f"{direction}_{unit}": sum(measure(f) for f in frames if f.port == port)
            for direction, frames in (("rx", received), ("tx", sent))
            for unit, measure in (("packets", lambda f: 1), ("bytes", lambda f: len(f.data)))
        }
        for port in ports
    }
