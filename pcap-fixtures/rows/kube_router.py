"""kube-router with overlays between subnets: policy rules, a point-to-point tunnel a node, jumbo MTUs."""

from generator.iproute2 import (
    STANDARD_RULES, State, address, bridge, bridge_entry, ipip, link, link_local, loopback, neighbour,
    netconf, route, rule, veth,
)
from generator.linux import FRAGMENTATION_NEEDED, TIME_EXCEEDED, Ipip, forwarded, fragments, icmp_error
from generator.row import Row, answers, drops, forwards, punts
from generator.wire import SYN_OPTIONS, Frame, Segment, datagram, is_at, padded, ping, pong, tcp, udp, who_has

NODE, ETH0_MAC = "172.20.42.25", "06:fa:8f:18:e3:48"
BRIDGE, BRIDGE_MAC = "100.96.2.1", "0a:58:64:60:02:01"
GATEWAY, NEAR_0, NEAR_4 = "172.20.32.1", "172.20.49.17", "172.20.32.100"
FAR_1, FAR_3 = "172.20.75.91", "172.20.67.180"
TUN_1, TUN_3 = "tun-172207591", "tun-1722067180"
UNDERLAY_MACS = {GATEWAY: "06:00:20:00:00:01", NEAR_0: "06:49:17:3b:0d:52", NEAR_4: "06:ba:00:e0:73:5c"}

A, A_MAC, A_PORT = "100.96.2.2", "0a:58:64:60:02:02", "veth1f0c77d3"
B, B_MAC, B_PORT = "100.96.2.3", "0a:58:64:60:02:03", "vethb96e0a41"
R0, R1, R3, R4 = "100.96.0.8", "100.96.1.7", "100.96.3.9", "100.96.4.5"

SERVICES = ["100.64.0.1", "100.64.0.10", "100.66.80.152", "100.65.21.151", "100.64.153.240"]

LINKS = [
    loopback(),
    link(2, "eth0", ETH0_MAC, mtu=9001, qdisc="mq", addresses=[
        address(f"{NODE}/19", broadcast="172.20.63.255"), link_local("fe80::4fa:8fff:fe18:e348"),
    ]),
    bridge(3, "docker0", "02:42:6b:10:5e:91", mtu=1500, carrier=False,
           addresses=[address("172.17.0.1/16", broadcast="172.17.255.255")]),
    bridge(4, "kube-bridge", BRIDGE_MAC, mtu=1500, addresses=[
        address(f"{BRIDGE}/24"), link_local("fe80::6047:deff:fe2c:41b1"),
    ]),
    link(5, "kube-dummy-if", "fe:f2:10:f2:72:66", flags=["BROADCAST", "NOARP", "UP", "LOWER_UP"],
         operstate="UNKNOWN", linkinfo={"info_kind": "dummy"},
         addresses=[address(f"{service}/32", broadcast=service, scope="link") for service in SERVICES]),
    veth(6, A_PORT, "4e:91:7c:25:aa:0d", mtu=1500, peer=3, netns=0, master="kube-bridge"),
    veth(7, B_PORT, "92:3f:08:d6:1b:e7", mtu=1500, peer=3, netns=1, master="kube-bridge"),
    ipip(8, TUN_1, mtu=8961, local=NODE, remote=FAR_1, underlay="eth0", pmtudisc=True),
    ipip(9, TUN_3, mtu=8961, local=NODE, remote=FAR_3, underlay="eth0", pmtudisc=True),
]

# kube-router marks its routes with protocol 17.
STATE = State(
    addr=LINKS,
    route=[
        route(FAR_3, dev=TUN_3, table="77"),
        route(FAR_1, dev=TUN_1, table="77"),
        route("default", via=GATEWAY, dev="eth0"),
        route("100.96.0.0/24", via=NEAR_0, dev="eth0", protocol="17"),
        route("100.96.1.0/24", dev=TUN_1, protocol="17", scope="global"),
        route("100.96.2.0/24", dev="kube-bridge", protocol="kernel", src=BRIDGE),
        route("100.96.3.0/24", dev=TUN_3, protocol="17", scope="global"),
        route("100.96.4.0/24", via=NEAR_4, dev="eth0", protocol="17"),
        route("172.17.0.0/16", dev="docker0", protocol="kernel", src="172.17.0.1", flags=["linkdown"]),
        route("172.20.32.0/19", dev="eth0", protocol="kernel", src=NODE),
    ],
    rule=[STANDARD_RULES[0], rule(32764, "77", source="100.96.2.0/24"), rule(32765, "79"), *STANDARD_RULES[1:]],
    neigh=[neighbour(ip, "eth0", mac) for ip, mac in UNDERLAY_MACS.items()]
    + [neighbour(A, "kube-bridge", A_MAC), neighbour(B, "kube-bridge", B_MAC)],
    fdb=[bridge_entry(A_MAC, A_PORT, "kube-bridge"), bridge_entry(B_MAC, B_PORT, "kube-bridge")],
    netconf=netconf([entry["ifname"] for entry in LINKS]),
)

ROW = Row(
    name="kube-router",
    summary="kube-router on node 172.20.42.25: nodes of its subnet are routed to, the others tunnelled to, "
    "and two rules send what pods address to a remote node itself into the tunnel.",
    facts=[
        "eth0 172.20.42.25/19, MTU 9001; kube-bridge 100.96.2.1/24, MTU 1500.",
        "tun-172207591 and tun-1722067180 without addresses, MTU 8961: the link's, though eth0 would leave 8981.",
        "100.96.1.0/24 and .3.0/24 by tunnel, .0.0/24 via 172.20.49.17, .4.0/24 via 172.20.32.100.",
        "Rule 32764 from 100.96.2.0/24 to table 77 (172.20.67.180 and 172.20.75.91 by their tunnels), 32765 "
        "to table 79, which is empty: a pod's packet to a remote node's address is tunnelled, any other's is not.",
        "kube-dummy-if holds the service addresses, scope link: local.",
    ],
    chosen=[
        "Two pods, 100.96.2.2 and .3, with their ports; MACs of the gateway and of 172.20.49.17.",
        "`pmtudisc` is on, the default of `ip tunnel add`, which kube-router calls: the outer DF is always set.",
        "The captures in are of nanosecond resolution.",
        "Pods send more than their bridge's 1500 bytes where a tunnel's MTU is tested.",
        "ICMP errors through a tunnel come from 172.20.42.25, the first global address, for the tunnels have none.",
    ],
    state=STATE,
    nanoseconds=True,
)
ROWS = [ROW]

POD_A, POD_B = Segment(A_PORT, BRIDGE_MAC, A_MAC), Segment(B_PORT, BRIDGE_MAC, B_MAC)
TO_GATEWAY, TO_0, TO_4 = (Segment("eth0", ETH0_MAC, UNDERLAY_MACS[ip]) for ip in (GATEWAY, NEAR_0, NEAR_4))
OUT_1, OUT_3 = Ipip(NODE, FAR_1, pmtudisc=True), Ipip(NODE, FAR_3, pmtudisc=True)
IN_1, IN_3 = Ipip(FAR_1, NODE, pmtudisc=True), Ipip(FAR_3, NODE, pmtudisc=True)


def to_1(inner: bytes) -> Frame:
    return TO_GATEWAY.sent(OUT_1.entered(inner))


def to_3(inner: bytes) -> Frame:
    return TO_GATEWAY.sent(OUT_3.entered(inner))


def from_1(inner: bytes) -> Frame:
    return TO_GATEWAY.received(IN_1.arriving(inner))


def from_3(inner: bytes) -> Frame:
    return TO_GATEWAY.received(IN_3.arriving(inner))


def arp() -> None:
    case = ROW.case
    case("pod asks for its gateway: the bridge's MAC", who_has(A_PORT, A_MAC, A, BRIDGE),
         answers(is_at(A_PORT, BRIDGE_MAC, BRIDGE, A_MAC, A)))
    case("172.20.32.100 asks for the node", padded(who_has("eth0", UNDERLAY_MACS[NEAR_4], NEAR_4, NODE)),
         answers(is_at("eth0", ETH0_MAC, NODE, UNDERLAY_MACS[NEAR_4], NEAR_4)))


def pods() -> None:
    case = ROW.case
    case("ping to a pod in another subnet: tunnelled", POD_A.received(ping(A, R1)), forwards(to_1(ping(A, R1, ttl=63))))
    case("its reply", from_1(pong(R1, A, ttl=63)), forwards(POD_A.sent(pong(R1, A, ttl=62))))
    case("by the other tunnel", POD_B.received(ping(B, R3)), forwards(to_3(ping(B, R3, ttl=63))))
    case("its reply", from_3(pong(R3, B, ttl=63)), forwards(POD_B.sent(pong(R3, B, ttl=62))))
    case("inner DF clear: the outer DF is set all the same", POD_A.received(pong(A, R1)), forwards(to_1(pong(A, R1, ttl=63))))
    syn = tcp(A, R4, 44444, 6379, "S", seq=0xBBBB, options=SYN_OPTIONS)
    syn_ack = tcp(R4, A, 6379, 44444, "SA", seq=0xCCCC, ack=0xBBBC, ttl=63, options=SYN_OPTIONS)
    case("SYN to a pod in this subnet: not encapsulated", POD_A.received(syn), forwards(TO_4.sent(forwarded(syn))))
    case("SYN-ACK", TO_4.received(syn_ack), forwards(POD_A.sent(forwarded(syn_ack))))
    case("to a pod of the master", POD_A.received(ping(A, R0)), forwards(TO_0.sent(ping(A, R0, ttl=63))))
    case("its reply", TO_0.received(pong(R0, A, ttl=63)), forwards(POD_A.sent(pong(R0, A, ttl=62))))


def rules() -> None:
    case = ROW.case
    case("a pod to a remote node's own address: table 77, tunnelled", POD_A.received(ping(A, FAR_3)),
         forwards(to_3(ping(A, FAR_3, ttl=63))))
    case("that node's reply: its inner source is the tunnel's end, and welcome at exit",
         from_3(pong(FAR_3, A)), forwards(POD_A.sent(pong(FAR_3, A, ttl=63))))
    case("a pod to the other one", POD_B.received(ping(B, FAR_1)), forwards(to_1(ping(B, FAR_1, ttl=63))))
    case("a pod to a node of this subnet: not in table 77, 79 is empty, main has it", POD_A.received(ping(A, NEAR_0)),
         forwards(TO_0.sent(ping(A, NEAR_0, ttl=63))))
    case("a packet that is not a pod's, to the same remote node: main, not tunnelled",
         TO_0.received(ping(NEAR_0, FAR_3)), forwards(TO_GATEWAY.sent(ping(NEAR_0, FAR_3, ttl=63))))
    last = ping(FAR_3, A, ttl=1)
    case("inner TTL 1 from the remote node itself: the error is the node's, so not tunnelled", from_3(last),
         drops("ttl_expired", TO_GATEWAY.sent(icmp_error(TIME_EXCEEDED, NODE, last))))


def sizes_and_time() -> None:
    case = ROW.case
    fits = datagram(8961, A, R1, df=True)
    case("8961 bytes", POD_A.received(fits), forwards(to_1(forwarded(fits))))
    over = datagram(8962, A, R1, df=True)
    case("8962 bytes with DF: 3/4 with MTU 8961", POD_A.received(over),
         drops("mtu_exceeded", POD_A.sent(icmp_error(FRAGMENTATION_NEEDED, BRIDGE, over, 8961))))
    cut = datagram(8962, A, R1, df=False)
    case("8962 bytes without DF", POD_A.received(cut),
         forwards(*(to_1(piece) for piece in fragments(forwarded(cut), 8961))))
    fits = datagram(1500, R1, A, df=True, ttl=63)
    case("1500 bytes to the pod, kube-bridge's MTU", from_1(fits), forwards(POD_A.sent(forwarded(fits))))
    over = datagram(1501, R1, A, df=True, ttl=63)
    case("1501 bytes with DF: 3/4 back through the tunnel", from_1(over),
         drops("mtu_exceeded", to_1(icmp_error(FRAGMENTATION_NEEDED, NODE, over, 1500))))
    cut = datagram(9001, R4, A, df=False, ttl=63)
    case("9001 bytes without DF, not tunnelled: seven fragments", TO_4.received(cut),
         forwards(*(POD_A.sent(piece) for piece in fragments(forwarded(cut), 1500))))
    last = ping(A, R1, ttl=1)
    case("TTL 1", POD_A.received(last), drops("ttl_expired", POD_A.sent(icmp_error(TIME_EXCEEDED, BRIDGE, last))))
    last = ping(R1, A, ttl=1)
    case("inner TTL 1 from a remote pod: 11/0 back through the tunnel", from_1(last),
         drops("ttl_expired", to_1(icmp_error(TIME_EXCEEDED, NODE, last))))


def local_and_dropped() -> None:
    case = ROW.case
    case("DNS to its service address", POD_A.received(udp(A, "100.64.0.10", 5353, 53, bytes(12))), punts("local"))
    case("to the bridge", POD_A.received(ping(A, BRIDGE)), punts("local"))
    case("to the node", POD_A.received(ping(A, NODE)), punts("local"))
    case("to the subnet's broadcast address", POD_A.received(ping(A, "172.20.63.255")), punts("local"))
    case("IPIP from a node that is reached without: no tunnel has these ends",
         TO_4.received(Ipip(NEAR_4, NODE).arriving(ping(R4, A))), drops("tunnel_unknown"))
    case("IPIP from a pod", POD_A.received(Ipip(FAR_1, NODE).arriving(ping(R1, B))), drops("tunnel_from_workload"))
    case("entry: the inner source is the tunnel's other end", POD_A.received(ping(FAR_1, R1)), drops("tunnel_loop"))
    case("exit: the inner source is ours", from_1(ping(BRIDGE, A)), drops("tunnel_loop"))


for group in (arp, pods, rules, sizes_and_time, local_and_dropped):
    group()
