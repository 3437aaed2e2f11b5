"""Frames as pods, peers and routers put them on the wire. Built with scapy, handed on as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

BROADCAST = "ff:ff:ff:ff:ff:ff"
ZERO_MAC = "00:00:00:00:00:00"

ETHERTYPE_IPV4 = 0x0800

# Not-ECT is 0.
ECT1, ECT0, CE = 1, 2, 3


class Frame(NamedTuple):
    """A frame on one port of the node, in or out."""

    port: str
    data: bytes


@dataclass(frozen=True)
class Segment:
    """A port of the node and one station beyond it: a pod, the gateway, a neighbouring node."""

    port: str
    here: str
    there: str

    def received(self, ip: bytes) -> Frame:
        return Frame(self.port, ethernet(self.there, self.here, ip))

    def sent(self, ip: bytes) -> Frame:
        return Frame(self.port, ethernet(self.here, self.there, ip))


def ethernet(src: str, dst: str, payload: bytes, ethertype: int = ETHERTYPE_IPV4) -> bytes:
    return bytes(Ether(src=src, dst=dst, type=ethertype)) + payload


def padded(frame: Frame) -> Frame:
    """A real NIC hands up nothing shorter than Ethernet's 60 bytes."""
    return Frame(frame.port, frame.data.ljust(60, b"\0"))


def who_has(port: str, mac: str, sender: str, target: str, to: str = BROADCAST) -> Frame:
    request = ARP(op="who-has", hwsrc=mac, psrc=sender, hwdst=ZERO_MAC, pdst=target)
    return Frame(port, bytes(Ether(src=mac, dst=to) / request))


def is_at(port: str, mac: str, sender: str, to_mac: str, to: str) -> Frame:
    reply = ARP(op="is-at", hwsrc=mac, psrc=sender, hwdst=to_mac, pdst=to)
    return Frame(port, bytes(Ether(src=mac, dst=to_mac) / reply))


def ping_data(length: int) -> bytes:
    """The pattern of iputils: eight bytes of clock, held still here, then 0x10, 0x11, ..."""
    clock = bytes.fromhex("0053d16500000000")
    return (clock + bytes((0x08 + i) & 0xFF for i in range(8, max(length, 8))))[:length]


def ipv4(src: str, dst: str, ttl: int, tos: int, df: bool, ident: int) -> IP:
    return IP(src=src, dst=dst, ttl=ttl, tos=tos, flags="DF" if df else 0, id=ident)


def ping(
    src: str, dst: str, seq: int = 1, *, ttl: int = 64, tos: int = 0, df: bool = True,
    ident: int = 0x5A10, data: int = 56,
) -> bytes:
    return bytes(
        ipv4(src, dst, ttl, tos, df, ident + seq)
        / ICMP(type="echo-request", id=0x1600, seq=seq) / ping_data(data)
    )


def pong(
    src: str, dst: str, seq: int = 1, *, ttl: int = 64, tos: int = 0, ident: int = 0xC340,
) -> bytes:
    """Linux answers a ping with DF clear and an IP id of its own."""
    return bytes(
        ipv4(src, dst, ttl, tos, False, ident + seq)
        / ICMP(type="echo-reply", id=0x1600, seq=seq) / ping_data(56)
    )


def udp(
    src: str, dst: str, sport: int, dport: int, payload: bytes, *,
    ttl: int = 64, tos: int = 0, df: bool = True, ident: int = 0x2F81,
) -> bytes:
    return bytes(ipv4(src, dst, ttl, tos, df, ident) / UDP(sport=sport, dport=dport) / payload)


def datagram(
    length: int, src: str, dst: str, *, df: bool, sport: int = 40000, dport: int = 5201,
    ttl: int = 64, tos: int = 0, ident: int = 0x2F81,
) -> bytes:
    """A UDP packet whose IP total length is exactly `length`."""
    payload = bytes(i * 7 & 0xFF for i in range(length - 28))
    return udp(src, dst, sport, dport, payload, df=df, ttl=ttl, tos=tos, ident=ident)


def tcp(
    src: str, dst: str, sport: int, dport: int, flags: str, *, seq: int, ack: int = 0,
    payload: bytes = b"", ttl: int = 64, tos: int = 0, ident: int = 0x77C1,
    options: list | None = None,
) -> bytes:
    segment = TCP(
        sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, window=64240,
        options=options or [],
    )
    return bytes(ipv4(src, dst, ttl, tos, True, ident) / segment / payload)


SYN_OPTIONS = [
    ("MSS", 1400), ("SAckOK", b""), ("Timestamp", (3141592653, 0)), ("NOP", None), ("WScale", 7),
]
