"""Cilium on node 25.25.25.121: its VXLAN overlay, and direct routing."""

from generator.iproute2 import (
    Object, State, address, link, link_local, loopback, neighbour, route, veth, vtep_entry, vxlan,
)
from generator.linux import (
    FRAGMENTATION_NEEDED, HOST_UNREACHABLE, PROHIBITED, TIME_EXCEEDED, Vxlan, forwarded, fragments,
    icmp_error, with_ecn,
)
from generator.row import Row, answers, drops, forwards, punts
from generator.wire import (
    CE, ECT0, SYN_OPTIONS, Frame, Segment, datagram, is_at, padded, ping, pong, tcp, who_has,
)

NODE, PEER, GATEWAY = "25.25.25.121", "35.35.35.122", "25.25.25.254"
BOND0_MAC, GATEWAY_MAC = "a0:36:9f:e2:fd:e4", "5c:16:c7:25:25:fe"
HOST, HOST_MAC, NET_MAC = "192.168.1.1", "ea:24:6e:6a:97:d8", "4e:0b:37:d1:52:6c"
VTEP_MAC, PEER_VTEP_MAC = "86:67:7a:f6:58:c1", "72:cb:a4:c7:2a:36"

A, A_MAC = "192.168.1.231", "76:a4:3a:44:92:bd"
B, B_MAC = "192.168.1.22", "c2:8d:51:0e:93:16"
R = "192.168.2.251"
POD_A = Segment("lxc52a53b647a25", "92:bc:79:bb:b4:c2", A_MAC)
POD_B = Segment("lxc97b73386ee5f", "ea:22:19:a6:88:22", B_MAC)
FABRIC = Segment("bond0", BOND0_MAC, GATEWAY_MAC)
OUT = Vxlan(NODE, PEER, VTEP_MAC, PEER_VTEP_MAC, vni=0, port=8472)

NOARP = ["BROADCAST", "MULTICAST", "NOARP", "UP", "LOWER_UP"]


def links(overlay: bool) -> list[Object]:
    cilium_vxlan = vxlan(12, "cilium_vxlan", VTEP_MAC, mtu=1500, vni=0, port=8472, external=True,
                         addresses=[link_local("fe80::8467:7aff:fef6:58c1")])
    return [
        loopback(),
        link(4, "bond0", BOND0_MAC, addresses=[address(f"{NODE}/24", broadcast="25.25.25.255")]),
        link(10, "cilium_net", NET_MAC, flags=NOARP, before_name={"link": "cilium_host"},
             linkinfo={"info_kind": "veth"}),
        link(11, "cilium_host", HOST_MAC, flags=NOARP, before_name={"link": "cilium_net"},
             linkinfo={"info_kind": "veth"},
             addresses=[address(f"{HOST}/32", scope="link"), link_local("fe80::e824:6eff:fe6a:97d8")]),
        *([cilium_vxlan] if overlay else []),
        veth(28, POD_B.port, POD_B.here, mtu=1500, peer=27, netns=3),
        veth(30, POD_A.port, POD_A.here, mtu=1500, peer=29, netns=4,
             addresses=[link_local("fe80::90bc:79ff:febb:b4c2")]),
    ]


ROUTES_OF_BOTH = [
    route("25.25.25.0/24", dev="bond0", protocol="kernel", src=NODE),
    route("35.35.35.0/24", via=GATEWAY, dev="bond0", protocol="static"),
    route("192.168.1.0/24", via=HOST, dev="cilium_host", src=HOST),
    route(HOST, dev="cilium_host"),
    route(A, dev=POD_A.port),
    route(B, dev=POD_B.port),
]
NEIGHBOURS_OF_BOTH = [
    neighbour(GATEWAY, "bond0", GATEWAY_MAC),
    neighbour(A, POD_A.port, A_MAC),
    neighbour(B, POD_B.port, B_MAC),
]

FACTS = [
    "cilium_host 192.168.1.1/32, scope link, is the pods' gateway; it and cilium_net are a veth pair without ARP.",
    "ARP who-has 192.168.1.1 tell 192.168.1.22 is answered with that port's own MAC, ea:22:19:a6:88:22.",
    "Pods 192.168.1.231/32 here and 192.168.2.251/32 on 35.35.35.122; MTU 1500 on every link.",
]
CHOSEN = [
    "/32 routes to the pods' ports, as Cilium writes with endpoint routes; its BPF programs, which iproute2 "
    "does not show, would deliver otherwise.",
    "MACs of the router, of cilium_net and of pod 192.168.1.22.",
    "ICMP errors come from 25.25.25.121: no lxc port has an address, and cilium_host's is of scope link.",
]

OVERLAY = Row(
    name="cilium-vxlan",
    summary="Cilium's overlay: a metadata VXLAN device whose VNI carries the source's identity.",
    facts=FACTS + ["UDP 8472; any VNI is accepted from a known peer, by `tunnel.vni = \"any\"`."],
    chosen=CHOSEN + [
        "192.168.2.0/24 via 192.168.2.1 dev cilium_vxlan onlink, with neighbour and FDB entry: Cilium keeps "
        "its remotes in BPF maps.",
        "The device is `external` and its `id` 0, as iproute2 prints such a device: 0, Cilium's unknown "
        "identity, is the VNI sent.",
        "The device's MTU of 1500 does not fit: the underlay leaves 1450.",
    ],
    state=State(
        addr=links(overlay=True),
        route=ROUTES_OF_BOTH + [
            route("192.168.2.0/24", via="192.168.2.1", dev="cilium_vxlan", flags=["onlink"]),
        ],
        neigh=NEIGHBOURS_OF_BOTH + [neighbour("192.168.2.1", "cilium_vxlan", PEER_VTEP_MAC, "PERMANENT")],
        fdb=[vtep_entry(PEER_VTEP_MAC, "cilium_vxlan", PEER)],
    ),
    config='[tunnel]\nvni = "any"\n',
)
DIRECT = Row(
    name="cilium-direct",
    summary="Cilium's direct routing: what is not local goes by the kernel's FIB, without encapsulation.",
    facts=FACTS,
    chosen=CHOSEN + [
        "192.168.2.0/24 via the router, as a routing daemon would learn it (`proto zebra`), and a default route.",
        "An operator's guards: `unreachable 192.168.0.0/16` for pod networks that are not announced, and "
        "`prohibit 10.66.0.0/16`.",
        "The state is TOML and leaves out the `local` and `broadcast` routes and `netconf`, as a file "
        "written by hand would.",
    ],
    state=State(
        addr=links(overlay=False),
        route=ROUTES_OF_BOTH + [
            route("default", via=GATEWAY, dev="bond0", protocol="static"),
            route("192.168.0.0/16", kind="unreachable", protocol="static"),
            route("10.66.0.0/16", kind="prohibit", protocol="static"),
            route("192.168.2.0/24", via=GATEWAY, dev="bond0", protocol="zebra", metric=20),
        ],
        neigh=NEIGHBOURS_OF_BOTH,
        with_local_table=False,
    ),
    state_format="toml",
)
ROWS = [OVERLAY, DIRECT]


def arrived(inner: bytes, *, vni: int = 0x3039, sport: int = 44011, tos: int | None = None) -> Frame:
    """From the other node, by default with the VNI that is its pod's identity."""
    back = Vxlan(PEER, NODE, PEER_VTEP_MAC, VTEP_MAC, vni=vni, port=8472)
    return FABRIC.received(back.arriving(inner, sport=sport, tos=tos))


def tunnelled(inner: bytes) -> Frame:
    return FABRIC.sent(OUT.entered(inner))


def on_the_node(row: Row) -> None:
    case = row.case
    case("the seed's ARP: who-has 192.168.1.1 tell 192.168.1.22", who_has(POD_B.port, B_MAC, B, HOST),
         answers(is_at(POD_B.port, POD_B.here, HOST, B_MAC, B)))
    case("the other pod asks: its own port's MAC", who_has(POD_A.port, A_MAC, A, HOST),
         answers(is_at(POD_A.port, POD_A.here, HOST, A_MAC, A)))
    case("169.254.1.1 is answered on any workload port", who_has(POD_A.port, A_MAC, A, "169.254.1.1"),
         answers(is_at(POD_A.port, POD_A.here, "169.254.1.1", A_MAC, A)))
    case("a pod asks for the other pod: no proxy here", who_has(POD_A.port, A_MAC, A, B), drops("arp_not_ours"))
    case("the router asks for the node", padded(who_has("bond0", GATEWAY_MAC, GATEWAY, NODE)),
         answers(is_at("bond0", BOND0_MAC, NODE, GATEWAY_MAC, GATEWAY)))
    case("between two pods of the node", POD_A.received(ping(A, B)), forwards(POD_B.sent(ping(A, B, ttl=63))))
    case("and back", POD_B.received(pong(B, A)), forwards(POD_A.sent(pong(B, A, ttl=63))))
    case("to cilium_host's address", POD_A.received(ping(A, HOST)), punts("local"))
    case("to the node", POD_A.received(ping(A, NODE)), punts("local"))
    last = ping(A, R, ttl=1)
    case("TTL 1", POD_A.received(last), drops("ttl_expired", POD_A.sent(icmp_error(TIME_EXCEEDED, NODE, last))))


def overlay() -> None:
    case = OVERLAY.case
    case("ping to the other node's pod", POD_A.received(ping(A, R)), forwards(tunnelled(ping(A, R, ttl=63))))
    case("its reply, its VNI the pod's identity", arrived(pong(R, A, ttl=63)), forwards(POD_A.sent(pong(R, A, ttl=62))))
    syn = tcp(R, B, 52000, 4240, "S", seq=0x7777, ttl=63, options=SYN_OPTIONS)
    syn_ack = tcp(B, R, 4240, 52000, "SA", seq=0x8888, ack=0x7778, options=SYN_OPTIONS)
    case("a health check from there, VNI 4 (identity `health`)", arrived(syn, vni=4), forwards(POD_B.sent(forwarded(syn))))
    case("its answer", POD_B.received(syn_ack), forwards(tunnelled(forwarded(syn_ack))))
    case("the greatest VNI", arrived(pong(R, A, 2, ttl=63), vni=0xFFFFFF), forwards(POD_A.sent(pong(R, A, 2, ttl=62))))
    stranger = Vxlan("35.35.35.200", NODE, PEER_VTEP_MAC, VTEP_MAC, vni=4, port=8472)
    case("any VNI, but not from any node", FABRIC.received(stranger.arriving(ping(R, A))), drops("tunnel_peer_unknown"))
    case("VXLAN from a pod", POD_A.received(Vxlan(A, NODE, A_MAC, VTEP_MAC, vni=4, port=8472).arriving(ping(R, B))),
         drops("tunnel_from_workload"))

    fits = datagram(1450, A, R, df=True)
    case("1450 bytes, what the underlay leaves", POD_A.received(fits), forwards(tunnelled(forwarded(fits))))
    over = datagram(1451, A, R, df=True)
    case("1451 bytes with DF: 3/4 with MTU 1450, not cilium_vxlan's 1500", POD_A.received(over),
         drops("mtu_exceeded", POD_A.sent(icmp_error(FRAGMENTATION_NEEDED, NODE, over, 1450))))
    cut = datagram(1451, A, R, df=False)
    case("1451 bytes without DF: the inner packet is cut", POD_A.received(cut),
         forwards(*(tunnelled(piece) for piece in fragments(forwarded(cut), 1450))))
    fits = datagram(1450, R, A, df=True, ttl=63)
    case("1450 bytes from there", arrived(fits), forwards(POD_A.sent(forwarded(fits))))
    last = ping(R, A, ttl=1)
    case("inner TTL 1 from there: 11/0 back through the tunnel", arrived(last),
         drops("ttl_expired", tunnelled(icmp_error(TIME_EXCEEDED, NODE, last))))
    capable = ping(R, A, 3, ttl=63, tos=ECT0)
    case("ECT(0) met congestion on the way: CE", arrived(capable, tos=CE), forwards(POD_A.sent(with_ecn(forwarded(capable), CE))))


def direct() -> None:
    case = DIRECT.case
    case("ping to the other node's pod: by the router", POD_A.received(ping(A, R)), forwards(FABRIC.sent(ping(A, R, ttl=63))))
    case("its reply", FABRIC.received(pong(R, A, ttl=62)), forwards(POD_A.sent(pong(R, A, ttl=61))))
    syn = tcp(B, R, 40404, 80, "S", seq=0x9999, options=SYN_OPTIONS)
    syn_ack = tcp(R, B, 80, 40404, "SA", seq=0xAAAA, ack=0x999A, ttl=62, options=SYN_OPTIONS)
    case("SYN", POD_B.received(syn), forwards(FABRIC.sent(forwarded(syn))))
    case("SYN-ACK", FABRIC.received(syn_ack), forwards(POD_B.sent(forwarded(syn_ack))))
    case("to the world", POD_A.received(ping(A, "9.9.9.9")), forwards(FABRIC.sent(ping(A, "9.9.9.9", ttl=63))))
    fits = datagram(1500, A, R, df=True)
    case("1500 bytes", POD_A.received(fits), forwards(FABRIC.sent(forwarded(fits))))
    over = datagram(1501, A, R, df=True)
    case("1501 bytes with DF", POD_A.received(over),
         drops("mtu_exceeded", POD_A.sent(icmp_error(FRAGMENTATION_NEEDED, NODE, over, 1500))))
    cut = datagram(1501, A, R, df=False)
    case("1501 bytes without DF", POD_A.received(cut),
         forwards(*(FABRIC.sent(piece) for piece in fragments(forwarded(cut), 1500))))
    last = ping(R, A, ttl=1)
    case("TTL 1 from the other node", FABRIC.received(last),
         drops("ttl_expired", FABRIC.sent(icmp_error(TIME_EXCEEDED, NODE, last))))
    lost = ping(A, "192.168.3.7")
    case("to a pod network that is not announced: 3/1", POD_A.received(lost),
         drops("unreachable", POD_A.sent(icmp_error(HOST_UNREACHABLE, NODE, lost))))
    refused = ping(A, "10.66.1.2")
    case("to a prohibited network: 3/13", POD_A.received(refused),
         drops("prohibit", POD_A.sent(icmp_error(PROHIBITED, NODE, refused))))
    case("the subnet's broadcast address, which no route names here", POD_A.received(ping(A, "25.25.25.255")),
         punts("local"))


for each in ROWS:
    on_the_node(each)
overlay()
direct()
