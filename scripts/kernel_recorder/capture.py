"""Capture files, and whether a recording is sound: nothing lost, nothing that an offload left undone."""

import json
import struct

from .namespaces import RecordingFailed


def ones_complement_sum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def frames(file):
    data = file.read_bytes()
    magic, link_type = struct.unpack_from("<I", data)[0], struct.unpack_from("<I", data, 20)[0]
    if magic != 0xA1B23C4D or link_type != 1:
        raise RecordingFailed(f"{file}: not an Ethernet capture with nanoseconds")
    offset = 24
    while offset < len(data):
        captured, length = struct.unpack_from("<II", data, offset + 8)
        if captured != length:
            raise RecordingFailed(f"{file}: a frame was cut to {captured} of {length} bytes")
        yield data[offset + 16 : offset + 16 + captured]
        offset += 16 + captured


def checksum_fault(frame):
    """Which checksum of the frame is wrong, if any: an offload that was left on shows here."""
    if frame[12:14] != b"\x08\x00":
        return None
    header = (frame[14] & 15) * 4
    packet = frame[14 : 14 + struct.unpack_from("!H", frame, 16)[0]]
    if ones_complement_sum(packet[:header]) != 0xFFFF:
        return "IPv4"
    if struct.unpack_from("!H", packet, 6)[0] & 0x3FFF:
        return None  # a fragment holds a part of what was summed
    protocol, body = packet[9], packet[header:]
    if protocol == 1:
        return None if ones_complement_sum(body) == 0xFFFF else "ICMP"
    if protocol == 17 and body[2:4] == b"\x21\x18":
        return "outer UDP" if body[6:8] != b"\0\0" else checksum_fault(body[16:])
    if protocol in (6, 17) and not (protocol == 17 and body[6:8] == b"\0\0"):
        pseudo = packet[12:20] + struct.pack("!BBH", 0, protocol, len(body))
        return None if ones_complement_sum(pseudo + body) == 0xFFFF else "TCP" if protocol == 6 else "UDP"
    return None


def verify(directory):
    links = json.loads((directory / "state.json").read_text())["addr"]
    mtu = {link["ifname"]: link["mtu"] for link in links}
    for file in sorted(directory.glob("*/*.pcap")):
        for number, frame in enumerate(frames(file), 1):
            if len(frame) > mtu[file.stem] + 14:
                raise RecordingFailed(f"{file}, frame {number}: {len(frame)} bytes by a link with MTU {mtu[file.stem]}")
            if fault := checksum_fault(frame):
                raise RecordingFailed(f"{file}, frame {number}: the {fault} checksum is wrong")
