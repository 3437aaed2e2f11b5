"""Network namespaces, and the links between them."""

import contextlib
import ctypes
import os
import pathlib
import subprocess

PREFIX = "pw-rec-"


class RecordingFailed(Exception):
    """The recording cannot be trusted or could not be made; the message says which and why."""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RecordingFailed(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def ip(name, arguments):
    return run("ip", "-n", PREFIX + name, *arguments.split())


def sysctl(name, key, value, optional=False):
    path = "/proc/sys/" + key.replace(".", "/")
    with inside(name):
        if optional and not os.path.exists(path):
            return
        pathlib.Path(path).write_text(str(value))


@contextlib.contextmanager
def inside(name):
    """The calling thread is in the namespace; sockets opened here stay in it."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{PREFIX}{name}", os.O_RDONLY)
    try:
        if libc.setns(there, 0) != 0:
            raise OSError(ctypes.get_errno(), f"setns to {PREFIX}{name}")
        try:
            yield
        finally:
            if libc.setns(home, 0) != 0:
                raise OSError(ctypes.get_errno(), "setns back")
    finally:
        os.close(there)
        os.close(home)


def remove_namespaces():
    for line in run("ip", "netns", "list").splitlines():
        if line.startswith(PREFIX):
            run("ip", "netns", "del", line.split()[0])


def add_namespace(name):
    run("ip", "netns", "add", PREFIX + name)
    # IPv6 would only add router solicitations and multicast reports to the recordings.
    for scope in ("all", "default"):
        sysctl(name, f"net.ipv6.conf.{scope}.disable_ipv6", 1, optional=True)
        # A sender that is told of a better next hop changes its route in mid-recording.
        sysctl(name, f"net.ipv4.conf.{scope}.accept_redirects", 0)
        sysctl(name, f"net.ipv4.conf.{scope}.send_redirects", 0)
        sysctl(name, f"net.ipv4.conf.{scope}.rp_filter", 0)
    # Which of many errors the kernel swallows depends on its clock: let it send them all.
    sysctl(name, "net.ipv4.icmp_ratelimit", 0)
    sysctl(name, "net.ipv4.icmp_msgs_per_sec", 100000, optional=True)
    sysctl(name, "net.ipv4.icmp_msgs_burst", 10000, optional=True)
    ip(name, "link set lo up")


def offloads_off(name, device):
    """Without this a recording shows partial checksums and frames that no wire carries."""
    off = "tx off rx off tso off gso off gro off".split()
    run("ip", "netns", "exec", PREFIX + name, "ethtool", "-K", device, *off)


def veth(name, device, mac, peer, peer_device, peer_mac, mtu):
    ip(name, f"link add {device} address {mac} mtu {mtu} type veth"
             f" peer name {peer_device} netns {PREFIX}{peer} address {peer_mac} mtu {mtu}")
    for owner, end in ((name, device), (peer, peer_device)):
        offloads_off(owner, end)
        ip(owner, f"link set {end} up")
