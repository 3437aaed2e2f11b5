"""The state of a node as iproute2 prints it in JSON: the same keys, the same order, the same names."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

Object = dict[str, Any]

FOREVER = 4294967295

ETHERNET_FLAGS = ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"]


def address(local: str, *, broadcast: str | None = None, scope: str = "global",
            **extra: Any) -> Object:
    """One IPv4 entry of `addr_info`, `local` with its prefix length."""
    interface = IPv4Interface(local)
    entry: Object = {
        "family": "inet", "local": str(interface.ip), "prefixlen": interface.network.prefixlen,
    }
    if broadcast:
        entry["broadcast"] = broadcast
    return entry | {"scope": scope} | extra | {
        "label": "", "valid_life_time": FOREVER, "preferred_life_time": FOREVER,
    }


def link_local(local: str) -> Object:
    return {
        "family": "inet6", "local": local, "prefixlen": 64, "scope": "link",
        "valid_life_time": FOREVER, "preferred_life_time": FOREVER,
    }


def link(index: int, name: str, mac: str, *, mtu: int = 1500, addresses: list[Object] | None = None,
         flags: list[str] | None = None, operstate: str = "UP", qdisc: str = "noqueue",
         master: str | None = None, before_name: Object | None = None, netns: Object | None = None,
         linkinfo: Object | None = None, link_type: str = "ether",
         broadcast: str = "ff:ff:ff:ff:ff:ff", point_to_point: bool = False) -> Object:
    """One object of `ip -j -d addr`."""
    entry: Object = {"ifindex": index} | (before_name or {}) | {
        "ifname": name, "flags": ETHERNET_FLAGS if flags is None else flags,
        "mtu": mtu, "qdisc": qdisc,
    }
    if master:
        entry["master"] = master
    entry |= {
        "operstate": operstate, "group": "default", "txqlen": 1000,
        "link_type": link_type, "address": mac,
    }
    if point_to_point:
        entry["link_pointtopoint"] = True
    entry |= {"broadcast": broadcast} | (netns or {}) | {
        "promiscuity": 0, "min_mtu": 0 if link_type != "ether" else 68,
        "max_mtu": 0 if link_type == "loopback" else 65535,
    }
    if linkinfo:
        entry["linkinfo"] = linkinfo
    entry |= {
        "num_tx_queues": 1, "num_rx_queues": 1, "gso_max_size": 65536, "gso_max_segs": 65535,
    }
    labelled = [a | {"label": name} if a["family"] == "inet" else a for a in addresses or []]
    return entry | {"addr_info": labelled}


def loopback() -> Object:
    return link(
        1, "lo", "00:00:00:00:00:00", mtu=65536, flags=["LOOPBACK", "UP", "LOWER_UP"],
        operstate="UNKNOWN", link_type="loopback", broadcast="00:00:00:00:00:00",
        addresses=[address("127.0.0.1/8", scope="host")],
    )


def veth(index: int, name: str, mac: str, *, mtu: int, peer: int, netns: int | str,
         master: str | None = None, addresses: list[Object] | None = None) -> Object:
    """The node's end of a pod's veth. iproute2 names the pod's namespace if it has a name."""
    linkinfo: Object = {"info_kind": "veth"}
    if master:
        linkinfo |= {"info_slave_kind": "bridge", "info_slave_data": {
            "state": "forwarding", "priority": 32, "cost": 2, "hairpin": False, "guard": False,
            "root_block": False, "fastleave": False, "learning": True, "flood": True,
            "proxy_arp": False, "neigh_suppress": False, "isolated": False,
        }}
    return link(
        index, name, mac, mtu=mtu, master=master, before_name={"link_index": peer},
        netns={"link_netnsid": netns} if isinstance(netns, int) else {"link_netns": netns},
        linkinfo=linkinfo, addresses=addresses,
    )


def bridge(index: int, name: str, mac: str, *, mtu: int, addresses: list[Object],
           carrier: bool = True) -> Object:
    return link(
        index, name, mac, mtu=mtu, addresses=addresses,
        flags=ETHERNET_FLAGS if carrier else ["NO-CARRIER", "BROADCAST", "MULTICAST", "UP"],
        operstate="UP" if carrier else "DOWN",
        linkinfo={"info_kind": "bridge", "info_data": {
            "forward_delay": 1500, "hello_time": 200, "max_age": 2000, "ageing_time": 30000,
            "stp_state": 0, "priority": 32768, "vlan_filtering": 0, "mcast_snooping": 1,
        }},
    )


def ipip(index: int, name: str, *, mtu: int, addresses: list[Object] | None = None,
         local: str = "any", remote: str = "any", underlay: str | None = None,
         pmtudisc: bool = False) -> Object:
    """An IPIP link as iproute2 prints it; without ends it is the fallback device `tunl0`, whose
    protocol is `any`."""
    point_to_point = remote != "any"
    info: Object = {"proto": "ipip" if point_to_point else "any", "remote": remote, "local": local}
    if underlay:
        info["link"] = underlay
    return link(
        index, name, "0.0.0.0" if local == "any" else local, mtu=mtu, operstate="UNKNOWN",
        flags=(["POINTOPOINT"] if point_to_point else []) + ["NOARP", "UP", "LOWER_UP"],
        # iproute2 prints the lower link of a tunnel, and null for tunl0's `@NONE`.
        before_name={"link": underlay}, link_type="ipip", point_to_point=point_to_point,
        broadcast="0.0.0.0" if remote == "any" else remote, addresses=addresses,
        linkinfo={"info_kind": "ipip", "info_data": info | {"ttl": 0, "pmtudisc": pmtudisc}},
    )


def vxlan(index: int, name: str, mac: str, *, mtu: int, vni: int, port: int,
          local: str | None = None, underlay: str | None = None, external: bool = False,
          addresses: list[Object] | None = None) -> Object:
    ends: Object = {"external": True} if external else {}
    ends["id"] = vni
    if local:
        ends["local"] = local
    if underlay:
        ends["link"] = underlay
    return link(
        index, name, mac, mtu=mtu, operstate="UNKNOWN", addresses=addresses,
        linkinfo={"info_kind": "vxlan", "info_data": ends | {
            "port_range": {"low": 0, "high": 0}, "port": port, "learning": False, "ttl": 0,
            "df": "unset", "ageing": 300, "udp_csum": True, "udp_zero_csum6_tx": False,
            "udp_zero_csum6_rx": False,
        }},
    )


def route(dst: str, *, dev: str | None = None, via: str | None = None, table: str = "main",
          protocol: str = "boot", scope: str | None = None, src: str | None = None,
          metric: int | None = None, flags: list[str] | None = None,
          kind: str = "unicast") -> Object:
    """One object of `ip -j -d route show table all`."""
    entry: Object = {"type": kind, "dst": dst}
    if via:
        entry["gateway"] = via
    if dev:
        entry["dev"] = dev
    entry |= {"table": table, "protocol": protocol}
    # As iproute2 fills it in: link where a device but no gateway is named, else global.
    entry["scope"] = scope or ("link" if dev and not via else "global")
    if src:
        entry["prefsrc"] = src
    if metric is not None:
        entry["metric"] = metric
    return entry | {"flags": flags or []}


def rule(priority: int, table: str, *, source: str | None = None) -> Object:
    entry: Object = {"priority": priority}
    if source:
        network = IPv4Network(source)
        entry |= {"src": str(network.network_address), "srclen": network.prefixlen}
    else:
        entry["src"] = "all"
    kernel = table in ("local", "main", "default")
    return entry | {"table": table, "protocol": "kernel" if kernel else "unspec"}


STANDARD_RULES = [rule(0, "local"), rule(32766, "main"), rule(32767, "default")]


def neighbour(dst: str, dev: str, lladdr: str, state: str = "REACHABLE") -> Object:
    return {"dst": dst, "dev": dev, "lladdr": lladdr, "state": [state]}


def vtep_entry(mac: str, dev: str, remote: str) -> Object:
    return {"mac": mac, "ifname": dev, "dst": remote, "flags": ["self"], "state": "permanent"}


def bridge_entry(mac: str, port: str, master: str, state: str = "") -> Object:
    return {"mac": mac, "ifname": port, "flags": [], "master": master, "state": state}


def netconf(interfaces: list[str], *, proxy_neigh: frozenset[str] = frozenset()) -> list[Object]:
    return [
        {"family": "inet", "interface": name, "forwarding": True, "rp_filter": "off",
         "mc_forwarding": False, "proxy_neigh": name in proxy_neigh,
         "ignore_routes_with_linkdown": False}
        for name in interfaces + ["all", "default"]
    ]


def local_routes(links: list[Object]) -> list[Object]:
    """The routes that the kernel itself adds to table `local` for each address.

    An address with a broadcast address gets a broadcast route even where that is the address
    itself, as on Calico's tunl0; the local route comes first and wins.
    """
    routes = []
    for owner in links:
        for entry in owner["addr_info"]:
            if entry["family"] != "inet":
                continue
            interface = IPv4Interface(f"{entry['local']}/{entry['prefixlen']}")
            own = {"dev": owner["ifname"], "table": "local", "protocol": "kernel",
                   "src": entry["local"]}
            if owner["ifname"] == "lo":
                routes.append(route(str(interface.network), kind="local", scope="host", **own))
            routes.append(route(entry["local"], kind="local", scope="host", **own))
            broadcast = entry.get("broadcast")
            if owner["ifname"] == "lo":
                broadcast = str(interface.network.broadcast_address)
            if broadcast:
                routes.append(route(broadcast, kind="broadcast", scope="link", **own))
    return routes


@dataclass
class State:
    """The file that `packetwalk snapshot` would write: one list a command."""

    addr: list[Object]
    route: list[Object]
    rule: list[Object] = field(default_factory=lambda: list(STANDARD_RULES))
    neigh: list[Object] = field(default_factory=list)
    fdb: list[Object] = field(default_factory=list)
    netconf: list[Object] = field(default_factory=list)
    with_local_table: bool = True

    def sections(self) -> dict[str, list[Object]]:
        routes = self.route + (local_routes(self.addr) if self.with_local_table else [])
        sections = {"addr": self.addr, "route": routes, "rule": self.rule, "neigh": self.neigh,
                    "fdb": self.fdb, "netconf": self.netconf}
        return {key: objects for key, objects in sections.items() if objects}
