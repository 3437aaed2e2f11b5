"""Calico IPIP between two subnets, seen from both nodes."""

from dataclasses import dataclass

from generator.iproute2 import (
    State, address, ipip, link, link_local, loopback, neighbour, netconf, route, veth,
)
from generator.linux import (
    FRAGMENTATION_NEEDED, NET_UNREACHABLE, TIME_EXCEEDED, Ipip, forwarded, fragments, icmp_error, with_ecn,
)
from generator.row import Row, answers, drops, forwards, punts
from generator.wire import (
    CE, ECT0, SYN_OPTIONS, Frame, Segment, datagram, is_at, padded, ping, pong, tcp, who_has,
)

EE = "ee:ee:ee:ee:ee:ee"


@dataclass(frozen=True)
class Pod:
    address: str
    mac: str
    port: str

    def segment(self) -> Segment:
        return Segment(self.port, EE, self.mac)


@dataclass(frozen=True)
class Node:
    address: str
    mac: str
    subnet: str
    gateway: str
    gateway_mac: str
    tunl0: str
    block: str
    pods: tuple[Pod, ...]

    def fabric(self) -> Segment:
        return Segment("bond0", self.mac, self.gateway_mac)


NODE_121 = Node(
    "25.25.25.121", "a0:36:9f:e2:fd:e4", "25.25.25.0/24", "25.25.25.254", "5c:16:c7:25:25:fe",
    "192.168.83.64", "192.168.83.64/26",
    (Pod("192.168.83.67", "72:ec:8a:4b:3e:23", "cali4e7dc5a6ea0"),
     Pod("192.168.83.68", "da:15:0c:83:68:02", "calic202732f019")),
)
NODE_122 = Node(
    "35.35.35.122", "a0:36:9f:e3:05:d0", "35.35.35.0/24", "35.35.35.254", "5c:16:c7:35:35:fe",
    "192.168.243.0", "192.168.243.0/26",
    (Pod("192.168.243.2", "f2:38:05:f1:af:2e", "cali596577171e6"),),
)


def state(here: Node, there: Node) -> State:
    links = [
        loopback(),
        link(4, "bond0", here.mac, addresses=[
            address(f"{here.address}/24", broadcast=here.gateway.replace(".254", ".255")),
        ]),
        ipip(10, "tunl0", mtu=1440, addresses=[address(f"{here.tunl0}/32", broadcast=here.tunl0)]),
    ] + [
        veth(12 + netns, pod.port, EE, mtu=1440, peer=4, netns=netns,
             addresses=[link_local("fe80::ecee:eeff:feee:eeee")])
        for netns, pod in enumerate(here.pods)
    ]
    return State(
        addr=links,
        route=[
            route(here.subnet, dev="bond0", protocol="kernel", src=here.address),
            route(there.subnet, via=here.gateway, dev="bond0", protocol="static"),
            route("169.254.0.0/16", dev="bond0", metric=1008),
            route(here.block, kind="blackhole", protocol="bird"),
            *(route(pod.address, dev=pod.port) for pod in here.pods),
            route(there.block, via=there.address, dev="tunl0", protocol="bird", flags=["onlink"]),
        ],
        neigh=[neighbour(here.gateway, "bond0", here.gateway_mac)]
        + [neighbour(pod.address, pod.port, pod.mac) for pod in here.pods],
        netconf=netconf([entry["ifname"] for entry in links],
                        proxy_neigh=frozenset(pod.port for pod in here.pods)),
    )


FACTS = [
    "Nodes 25.25.25.121/24 and 35.35.35.122/24 on bond0, a router between them (.254 in each subnet), no "
    "default route; 169.254.0.0/16 dev bond0 metric 1008.",
    "Pods 192.168.83.67 and .68 on the one node, 192.168.243.2 on the other; MTU 1440.",
    "tunl0 192.168.83.64/32 and 192.168.243.0/32: each its block's network address.",
    "ARP who-has 169.254.1.1 tell 192.168.83.67 is answered with ee:ee:ee:ee:ee:ee.",
    "On the wire 25.25.25.121 > 35.35.35.122, protocol 4, from node MAC to router MAC.",
]
CHOSEN = [
    "MACs of the router and of pod 192.168.83.68; the nodes' are those that the seed's switch learned.",
    "The block routes are `blackhole ... proto bird` and `... dev tunl0 proto bird onlink`, for `route -n` "
    "does not show it.",
]

AT_121 = Row(
    name="calico-ipip-routed/node-121",
    summary="Calico IPIP between two subnets, on node 25.25.25.121.",
    facts=FACTS,
    chosen=CHOSEN + [
        "The router's 3/4 about an outer packet quotes 548 bytes of it, as Linux does: the inner sender is "
        "told its MTU less 20, from the node's first global address, and the tunnel remembers it.",
    ],
    state=state(NODE_121, NODE_122),
)
AT_122 = Row(
    name="calico-ipip-routed/node-122",
    summary="Calico IPIP between two subnets, on node 35.35.35.122: what node-121 sent, arriving.",
    facts=FACTS,
    chosen=CHOSEN,
    state=state(NODE_122, NODE_121),
)
ROWS = [AT_121, AT_122]

A, B = (pod.address for pod in NODE_121.pods)
POD_A, POD_B = (pod.segment() for pod in NODE_121.pods)
R = NODE_122.pods[0].address
POD_R = NODE_122.pods[0].segment()
FABRIC_121, FABRIC_122 = NODE_121.fabric(), NODE_122.fabric()
EAST, WEST = Ipip(NODE_121.address, NODE_122.address), Ipip(NODE_122.address, NODE_121.address)


def node_121() -> None:
    case = AT_121.case

    def entered(inner: bytes) -> Frame:
        return FABRIC_121.sent(EAST.entered(inner))

    def arrived(inner: bytes, **outer: int) -> Frame:
        return FABRIC_121.received(WEST.arriving(inner, **outer))

    case("the seed's ARP: who-has 169.254.1.1 tell 192.168.83.67",
         who_has(POD_A.port, POD_A.there, A, "169.254.1.1"),
         answers(is_at(POD_A.port, EE, "169.254.1.1", POD_A.there, A)))
    case("the router asks for the node", padded(who_has("bond0", NODE_121.gateway_mac, NODE_121.gateway,
                                                        NODE_121.address)),
         answers(is_at("bond0", NODE_121.mac, NODE_121.address, NODE_121.gateway_mac, NODE_121.gateway)))
    case("the seed's ping: inner TTL 63 in an outer TTL 63", POD_A.received(ping(A, R)),
         forwards(entered(forwarded(ping(A, R)))))
    case("its reply: TTL 62 at the pod", arrived(pong(R, A, ttl=63)), forwards(POD_A.sent(pong(R, A, ttl=62))))
    case("same node: TTL 63 at the other pod", POD_A.received(ping(A, B)), forwards(POD_B.sent(ping(A, B, ttl=63))))
    case("and back", POD_B.received(pong(B, A)), forwards(POD_A.sent(pong(B, A, ttl=63))))

    fits = datagram(1440, A, R, df=True)
    case("1440 bytes", POD_A.received(fits), forwards(entered(forwarded(fits))))
    over = datagram(1441, A, R, df=True)
    case("1441 bytes with DF", POD_A.received(over),
         drops("mtu_exceeded", POD_A.sent(icmp_error(FRAGMENTATION_NEEDED, NODE_121.address, over, 1440))))
    cut = datagram(4000, A, R, df=False)
    case("4000 bytes without DF", POD_A.received(cut),
         forwards(*(entered(piece) for piece in fragments(forwarded(cut), 1440))))
    piece = fragments(datagram(3001, A, R, df=False, ident=0x2FB0), 1500)[1]
    case("a fragment of 1500 bytes: cut again, offsets and MF kept", POD_A.received(piece),
         forwards(*(entered(smaller) for smaller in fragments(forwarded(piece), 1440))))
    last = ping(A, R, ttl=1)
    case("TTL 1", POD_A.received(last),
         drops("ttl_expired", POD_A.sent(icmp_error(TIME_EXCEEDED, NODE_121.address, last))))
    lost = ping(A, "8.8.8.8")
    case("no route, for the seed has no default: 3/0", POD_A.received(lost),
         drops("no_route", POD_A.sent(icmp_error(NET_UNREACHABLE, NODE_121.address, lost))))
    case("the local block's first address is tunl0's own, not a network address",
         POD_A.received(ping(A, NODE_121.tunl0)), punts("local"))
    case("the remote block's first address is a host like any other",
         POD_A.received(ping(A, NODE_122.tunl0)), forwards(entered(forwarded(ping(A, NODE_122.tunl0)))))
    case("an address of the local block without a pod", arrived(ping(R, "192.168.83.100", ttl=63)), drops("blackhole"))
    nested = WEST.arriving(ping(R, A, ttl=62), ttl=62)
    case("a tunnel in the tunnel", arrived(nested, ttl=61), drops("tunnel_nested"))


def node_122() -> None:
    case = AT_122.case

    def entered(inner: bytes) -> Frame:
        return FABRIC_122.sent(WEST.entered(inner))

    def arrived(inner: bytes, **outer: int) -> Frame:
        return FABRIC_122.received(EAST.arriving(inner, **outer))

    case("the pod asks for the fake gateway", who_has(POD_R.port, POD_R.there, R, "169.254.1.1"),
         answers(is_at(POD_R.port, EE, "169.254.1.1", POD_R.there, R)))
    case("the seed's ping arrives: TTL 62 at the pod", arrived(ping(A, R, ttl=63)),
         forwards(POD_R.sent(ping(A, R, ttl=62))))
    case("its reply", POD_R.received(pong(R, A)), forwards(entered(pong(R, A, ttl=63))))
    syn = tcp(B, R, 51000, 9376, "S", seq=0x4444, ttl=63, options=SYN_OPTIONS)
    reset = tcp(R, B, 9376, 51000, "RA", seq=0, ack=0x4445)
    case("a SYN from the other pod", arrived(syn), forwards(POD_R.sent(forwarded(syn))))
    case("refused", POD_R.received(reset), forwards(entered(forwarded(reset))))
    pieces = fragments(datagram(4000, A, R, df=False, ttl=63), 1440)
    for number, piece in enumerate(pieces, 1):
        case(f"fragment {number} of 3 of a datagram that node-121 cut: the pod rebuilds it", arrived(piece),
             forwards(POD_R.sent(forwarded(piece))))
    fits = datagram(1440, R, A, df=True)
    case("1440 bytes", POD_R.received(fits), forwards(entered(forwarded(fits))))
    over = datagram(1441, R, A, df=True)
    case("1441 bytes with DF", POD_R.received(over),
         drops("mtu_exceeded", POD_R.sent(icmp_error(FRAGMENTATION_NEEDED, NODE_122.address, over, 1440))))
    cut = datagram(1441, R, A, df=False)
    case("1441 bytes without DF", POD_R.received(cut),
         forwards(*(entered(piece) for piece in fragments(forwarded(cut), 1440))))
    last = ping(R, A, ttl=1)
    case("TTL 1", POD_R.received(last),
         drops("ttl_expired", POD_R.sent(icmp_error(TIME_EXCEEDED, NODE_122.address, last))))
    last = ping(A, R, ttl=1)
    case("inner TTL 1: 11/0 back through the tunnel, from 192.168.243.0", arrived(last, ttl=62),
         drops("ttl_expired", entered(icmp_error(TIME_EXCEEDED, NODE_122.tunl0, last))))
    case("inner TTL 0 never travels on", arrived(ping(A, R, ttl=0), ttl=62),
         drops("ttl_expired", entered(icmp_error(TIME_EXCEEDED, NODE_122.tunl0, ping(A, R, ttl=0)))))
    case("to 192.168.243.0, tunl0's own", arrived(pong(A, NODE_122.tunl0, ttl=63)), punts("local"))
    case("no pod has 192.168.243.3", arrived(ping(A, "192.168.243.3", ttl=63)), drops("blackhole"))
    capable = ping(A, R, 4, ttl=63, tos=ECT0)
    case("ECT(0) met congestion on the way: CE at the pod", arrived(capable, tos=CE),
         forwards(POD_R.sent(with_ecn(forwarded(capable), CE))))
    case("IPIP from the pod", POD_R.received(Ipip(R, NODE_122.address).arriving(ping(A, R))),
         drops("tunnel_from_workload"))


node_121()
node_122()
