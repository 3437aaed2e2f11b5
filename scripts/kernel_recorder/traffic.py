"""What the pods say to each other, to their nodes and to nobody."""

import contextlib
import os
import socket
import struct
import subprocess
import time

from .capture import ones_complement_sum
from .namespaces import PREFIX, inside, ip, run
from .scenarios import NODES, PATH_MTU, POD_MTU, pod_address

OPEN_PORT, CLOSED_PORT = 4000, 4001


def payload(size):
    return bytes(i & 0xFF for i in range(size))


class Sender:
    """A pod's sockets: UDP datagrams and echo requests with every header field that a pod can choose."""

    IP_MTU_DISCOVER, DF_ALWAYS, DF_NEVER = 10, 3, 5  # PMTUDISC_PROBE and _OMIT: whatever path MTU is cached

    def __init__(self, pod):
        with inside(pod):
            self.udp_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.echo_socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
            self.listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.listener.bind(("", OPEN_PORT))
        self.udp_socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.sequence = 0

    def udp(self, to, size, port=OPEN_PORT, **header):
        self._send(self.udp_socket, payload(size), (to, port), **header)

    def echo(self, to, size, **header):
        self.sequence += 1
        head = struct.pack("!BBHHH", 8, 0, 0, 0x7077, self.sequence)
        check = 0xFFFF ^ ones_complement_sum(head + payload(size))
        message = head[:2] + struct.pack("!H", check) + head[4:] + payload(size)
        self._send(self.echo_socket, message, (to, 0), **header)

    def _send(self, sock, data, to, ttl=64, tos=0, df=False, options=b""):
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, options)
        sock.setsockopt(socket.IPPROTO_IP, self.IP_MTU_DISCOVER, self.DF_ALWAYS if df else self.DF_NEVER)
        with contextlib.suppress(ConnectionRefusedError):  # the last datagram's port was closed, as meant
            sock.sendto(data, to)
        time.sleep(0.001)


def sweep(sender, to, path_mtu, brief):
    """Every size that matters, with TOS values that take each ECN codepoint along."""
    fits = path_mtu - 28
    sizes = (0, 1, 2, 17, 18, 63, 64, 548, 549, fits - 1, fits, fits + 1, POD_MTU - 28, POD_MTU - 27, 3000)
    if not brief:
        sizes += (*range(100, 1500, 50), 6001, 20000)
    tos = (0x00, 0x01, 0x02, 0x03, 0xB8, 0x28, 0xFF, 0x10, 0xBB)
    for index, size in enumerate(sizes):
        sender.udp(to, size, tos=tos[index % len(tos)])
        sender.echo(to, size, tos=tos[(index + 4) % len(tos)])
    for size in (0, 100, fits):
        sender.udp(to, size, df=True)
        sender.echo(to, size, df=True)
    for size, value in ((fits + 1, 0x00), (fits + 2, 0x03), (POD_MTU - 28, 0xB8)):
        sender.udp(to, size, tos=value, df=True)
        sender.echo(to, size, tos=value, df=True)
    for value in tos:
        sender.udp(to, 20, tos=value, df=True)


def expiring(sender, to):
    for ttl in (1, 2, 3):
        for size in (0, 100, 600):
            sender.udp(to, size, ttl=ttl, df=size == 100)
    for value in (0x00, 0x03, 0xB8, 0xFF):
        sender.echo(to, 40, ttl=1, tos=value)
        sender.echo(to, 40, ttl=2, tos=value)


def with_options(sender, to):
    """Options that a router leaves alone; fragments after the first lose the one that is not to be copied."""
    router_alert, experiment = b"\x94\x04\0\0", b"\x1e\x04\xaa\xbb"
    for options in (router_alert, experiment + router_alert):
        for size, ttl in ((10, 64), (PATH_MTU - 28, 64), (600, 1)):
            sender.udp(to, size, ttl=ttl, options=options)


def tcp(server, client, address, amount, reverse=False):
    """iperf3 between two pods; with `reverse` the server sends."""
    listening = subprocess.Popen(["ip", "netns", "exec", PREFIX + server, "iperf3", "-s", "-1"],
                                 stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if run("ip", "netns", "exec", PREFIX + server, "ss", "-Hltn", "sport = :5201").strip():
                break
            time.sleep(0.02)
        run("ip", "netns", "exec", PREFIX + client, "iperf3", "-c", address, "-n", amount,
            "-l", "8K", *(["-R"] if reverse else []))
    finally:
        if listening.poll() is None:
            listening.terminate()
        listening.wait()


def warm_up(scenario):
    """Neighbours are resolved before the recording begins: a replay walks one fixed state."""
    for name in NODES:
        for index in (1, 2):
            for there in NODES:
                for other in (1, 2):
                    if (there, other) != (name, index):
                        run("ip", "netns", "exec", f"{PREFIX}{name}{index}", "ping", "-q", "-c", "1",
                            "-W", "2", pod_address(scenario, there, other))


def traffic(scenario, brief):
    # All on one processor: on two, frames of one flow can pass each other between `in` and `out`.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sender = {f"{name}{i}": Sender(f"{name}{i}") for name in NODES for i in (1, 2)}
    address = {f"{name}{i}": pod_address(scenario, name, i) for name in NODES for i in (1, 2)}

    for pod in sender:
        ip(pod, "neigh flush dev eth0")  # so that the recording holds ARP
    pairs = (("a1", "b1"), ("b2", "a1")) if brief else (("a1", "b1"), ("b2", "a1"), ("b1", "a1"), ("a2", "b2"))
    for here, there in pairs:
        sweep(sender[here], address[there], PATH_MTU, brief)
        with_options(sender[here], address[there])
        sender[here].udp(address[there], 30, port=CLOSED_PORT)
    for here, there in (("a1", "b2"), ("b2", "a2"), ("a1", "a2"), ("b2", "b1")):
        expiring(sender[here], address[there])
    for here, there in (("a1", "a2"), ("a2", "a1"), ("b2", "b1")):
        for size in (0, 100, POD_MTU - 28, POD_MTU - 27, 4000):
            sender[here].udp(address[there], size, tos=0xB8)
            sender[here].echo(address[there], size, df=size == 100)
        sender[here].udp(address[there], 30, port=CLOSED_PORT)

    # The nodes' own addresses: delivered there, whatever the TTL.
    for pod in sender:
        for facts in NODES.values():
            sender[pod].echo(facts["uplink"], 56)
            sender[pod].echo(facts["uplink"], 56, ttl=1)
            sender[pod].udp(facts["uplink"], 10, port=CLOSED_PORT)
    if scenario == "vxlan":
        for octet in (1, 2):
            sender["a1"].echo(f"10.244.{octet}.1", 56)
            sender["a1"].echo(f"10.244.{octet}.0", 56)
        sender["a1"].udp("10.244.1.255", 10)
        sender["a1"].udp("255.255.255.255", 10)
        sender["b1"].udp("224.0.0.251", 10)

    # Nobody there: refused by type, dropped in the local block, or asked for in vain.
    if scenario == "vxlan":
        for index in range(3):
            sender["a1"].udp("10.244.1.99", 10 + index)
        sender["b1"].udp("10.244.1.99", 10)
    else:
        for pod in ("a1", "b1"):
            sender[pod].udp("192.168.1.50", 10)
            sender[pod].udp("192.168.2.50", 10, ttl=1)
        sender["a1"].udp("25.25.25.77", 10)
    refused = [("203.0.113.1", 10, {}), ("203.0.113.1", 10, {"ttl": 1}), ("203.0.113.1", 1000, {"tos": 3, "df": True})]
    if scenario == "policy":
        refused += [(f"10.{octet}.0.1", 40, {}) for octet in range(1, 10)] + [("10.8.1.1", 40, {})]
    for to, size, header in refused:
        # The kernel allows a sender one error about routes a second since the last error of any kind.
        time.sleep(1.1)
        for pod in ("a1", "a2", "b1"):
            sender[pod].udp(to, size, **header)
    if scenario == "policy":
        sweep(sender["a1"], address["b2"], 1300, brief)

    amount = "16K" if brief else "2M"
    tcp("b1", "a1", address["b1"], amount)
    tcp("b2", "a2", address["b2"], amount, reverse=True)
    tcp("a2", "a1", address["a2"], amount)
    for here, there in (("a1", "b1"), ("b2", "a2")):
        run("ip", "netns", "exec", PREFIX + here, "ping", "-q", "-c", "3", "-i", "0.1", "-W", "2", address[there])
    time.sleep(3.5)  # three requests a second apart, and then the kernel gives an address up
