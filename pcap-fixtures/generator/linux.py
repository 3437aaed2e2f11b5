"""What a Linux router makes of a packet, in bytes, written from the RFCs and the kernel's source.

Where the design differs from Linux on purpose (CE and DSCP copied at tunnel entry, VXLAN's UDP
checksum zero over IPv4) this is the design's answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from scapy.layers.inet import ICMP, IP, UDP
from scapy.utils import checksum

from .wire import ethernet

# Fields that a conforming router may fill as it likes; the comparison masks them. These are the
# values they have in an expected capture.
FREE_ID = 0
FREE_PORT = 49152

TIME_EXCEEDED = (11, 0)
NET_UNREACHABLE = (3, 0)
HOST_UNREACHABLE = (3, 1)
FRAGMENTATION_NEEDED = (3, 4)
PROHIBITED = (3, 13)

ICMP_ERROR_MAX = 576
IPV4_HEADER = 20


def reheadered(ip: bytes, **fields: int) -> bytes:
    """The packet with header fields changed (ttl, tos, flags_offset, total) and its checksum right."""
    header_length = (ip[0] & 0x0F) * 4
    header = bytearray(ip[:header_length])
    for name, value in fields.items():
        offset, size = {"ttl": (8, 1), "tos": (1, 1), "flags_offset": (6, 2), "total": (2, 2)}[name]
        header[offset:offset + size] = value.to_bytes(size, "big")
    header[10:12] = b"\0\0"
    header[10:12] = checksum(bytes(header)).to_bytes(2, "big")
    return bytes(header) + ip[header_length:]


def forwarded(ip: bytes) -> bytes:
    """One hop further: TTL less one, header checksum to match."""
    return reheadered(ip, ttl=ip[8] - 1)


def with_ecn(ip: bytes, ecn: int) -> bytes:
    return reheadered(ip, tos=ip[1] & 0xFC | ecn)


def fragments(ip: bytes, mtu: int) -> list[bytes]:
    """As ip_fragment() cuts a packet without options: every piece but the last as long as fits."""
    payload = ip[IPV4_HEADER:]
    chunk = (mtu - IPV4_HEADER) & ~7
    flags_offset = int.from_bytes(ip[6:8], "big")
    pieces = []
    for start in range(0, len(payload), chunk):
        piece = payload[start:start + chunk]
        more = 0x2000 if start + chunk < len(payload) else flags_offset & 0x2000
        pieces.append(reheadered(
            ip[:IPV4_HEADER] + piece,
            flags_offset=more | (flags_offset & 0x1FFF) + start // 8,
            total=IPV4_HEADER + len(piece),
        ))
    return pieces


def icmp_error(kind: tuple[int, int], src: str, offender: bytes, mtu: int = 0) -> bytes:
    """An error to the offender's source, quoting it as it was received, 576 bytes at most.

    TOS is internetwork control (RFC 1812 4.3.2.5) over the offender's own bits, TTL 64, DF clear.
    """
    quote = offender[:ICMP_ERROR_MAX - IPV4_HEADER - 8]
    offended = IP(offender[:IPV4_HEADER])
    header = IP(
        src=src, dst=offended.src, ttl=64, tos=0xC0 | offended.tos & 0x1E, id=FREE_ID, proto="icmp",
    )
    # Type 3 and 11 share the layout: four bytes that are unused but for the MTU of 3/4.
    error = bytearray(bytes(ICMP(type=kind[0], code=kind[1], chksum=0))[:4])
    error += bytes(2) + mtu.to_bytes(2, "big") + quote
    error[2:4] = checksum(bytes(error)).to_bytes(2, "big")
    return bytes(header / bytes(error))


@dataclass(frozen=True)
class Ipip:
    """One direction of an IPIP tunnel (RFC 2003)."""

    src: str
    dst: str
    pmtudisc: bool = False

    def entered(self, inner: bytes) -> bytes:
        """Ours, at entry: TTL and DSCP, ECN and DF of the inner packet, id free."""
        df = self.pmtudisc or bool(inner[6] & 0x40)
        return self._outer(inner, inner[8], inner[1], df, FREE_ID)

    def arriving(self, inner: bytes, *, ttl: int | None = None, tos: int | None = None,
                 ident: int = 0x91E0) -> bytes:
        """The peer's, at our door: the fabric has taken one from the outer TTL."""
        return self._outer(
            inner,
            inner[8] - 1 if ttl is None else ttl,
            inner[1] if tos is None else tos,
            bool(inner[6] & 0x40),
            ident,
        )

    def _outer(self, inner: bytes, ttl: int, tos: int, df: bool, ident: int) -> bytes:
        header = IP(
            src=self.src, dst=self.dst, proto=4, ttl=ttl, tos=tos, flags="DF" if df else 0, id=ident,
        )
        return bytes(header / inner)


@dataclass(frozen=True)
class Vxlan:
    """One direction of a VXLAN tunnel (RFC 7348): underlay ends, VTEP MACs, VNI and UDP port."""

    src: str
    dst: str
    src_mac: str
    dst_mac: str
    vni: int
    port: int

    def entered(self, inner: bytes) -> bytes:
        """Ours, at entry: outer TTL 64, DF clear, no UDP checksum, id and source port free."""
        return self._outer(self.framed(inner), 64, inner[1], FREE_PORT, FREE_ID, False)

    def arriving(self, inner: bytes, *, tos: int | None = None, udp_checksum: bool = False,
                 sport: int = 58321) -> bytes:
        """The peer's, at our door, one fabric hop on."""
        tos = inner[1] if tos is None else tos
        return self._outer(self.framed(inner), 63, tos, sport, 0x6C00, udp_checksum)

    def carrying(self, inner_frame: bytes, *, vxlan_header: bytes | None = None) -> bytes:
        """The peer's, with an inner frame or a VXLAN header as no well-behaved peer sends it."""
        return self._outer(inner_frame, 63, 0, 58321, 0x6C00, False, vxlan_header)

    def framed(self, inner: bytes) -> bytes:
        return ethernet(self.src_mac, self.dst_mac, inner)

    def header(self, flags: int = 0x08, reserved: int = 0) -> bytes:
        """The VXLAN header; `reserved` fills its 24 + 8 reserved bits."""
        first = flags << 24 | reserved >> 8 & 0xFFFFFF
        second = self.vni << 8 | reserved & 0xFF
        return first.to_bytes(4, "big") + second.to_bytes(4, "big")

    def _outer(self, inner_frame: bytes, ttl: int, tos: int, sport: int, ident: int,
               udp_checksum: bool, vxlan_header: bytes | None = None) -> bytes:
        header = self.header() if vxlan_header is None else vxlan_header
        datagram = UDP(sport=sport, dport=self.port)
        if not udp_checksum:
            datagram.chksum = 0
        packet = IP(src=self.src, dst=self.dst, ttl=ttl, tos=tos, id=ident)
        return bytes(packet / datagram / (header + inner_frame))
