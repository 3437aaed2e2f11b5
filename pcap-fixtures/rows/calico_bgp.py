"""Calico over BGP without encapsulation, on a node with two subnets on one link."""

from generator.iproute2 import State, address, link, link_local, loopback, neighbour, netconf, route, veth
from generator.linux import FRAGMENTATION_NEEDED, TIME_EXCEEDED, forwarded, fragments, icmp_error
from generator.row import Row, answers, drops, forwards, punts
from generator.wire import SYN_OPTIONS, Segment, datagram, is_at, padded, ping, pong, tcp, who_has

PUBLIC, CLUSTER = "192.168.44.75", "198.19.0.2"
ETH0_MAC, EE = "00:15:5d:60:a5:a3", "ee:ee:ee:ee:ee:ee"
GATEWAY, MASTER, NODE_2 = "192.168.44.65", "198.19.0.1", "198.19.0.3"
UNDERLAY_MACS = {GATEWAY: "00:15:5d:60:a5:01", MASTER: "00:15:5d:60:a5:a1", NODE_2: "00:15:5d:60:a5:a5"}

# The last, .132, is the seed's customer pod; the others' MACs are chosen.
PODS = {
    "198.19.22.128": ("cali1eaab2bfc77", "3a:0c:14:d0:92:80"),
    "198.19.22.129": ("cali9c9ee09e807", "3a:0c:14:d0:92:81"),
    "198.19.22.130": ("calid35188eb0ba", "3a:0c:14:d0:92:82"),
    "198.19.22.131": ("calif0a98285df9", "3a:0c:14:d0:92:83"),
    "198.19.22.132": ("caliea2aa288365", "3a:0c:14:d0:92:89"),
}
FIRST, SILENT, CUSTOMER = "198.19.22.128", "198.19.22.130", "198.19.22.132"

LINKS = [
    loopback(),
    link(2, "eth0", ETH0_MAC, qdisc="mq", addresses=[
        address(f"{PUBLIC}/28", broadcast="192.168.44.79", dynamic=True),
        address(f"{CLUSTER}/20", broadcast="198.19.15.255"),
    ]),
] + [
    veth(5 + netns, port, EE, mtu=1410, peer=3, netns=netns, addresses=[link_local("fe80::ecee:eeff:feee:eeee")])
    for netns, (port, _) in enumerate(PODS.values())
]

STATE = State(
    addr=LINKS,
    route=[
        route("default", via=GATEWAY, dev="eth0", protocol="dhcp", src=PUBLIC, metric=100),
        route("192.168.44.64/28", dev="eth0", protocol="kernel", src=PUBLIC),
        route(GATEWAY, dev="eth0", protocol="dhcp", src=PUBLIC, metric=100),
        route("198.19.0.0/20", dev="eth0", protocol="kernel", src=CLUSTER),
        route("198.19.21.0/26", via=MASTER, dev="eth0", protocol="bird"),
        route("198.19.21.64/26", via=NODE_2, dev="eth0", protocol="bird"),
        route(FIRST, dev=PODS[FIRST][0]),
        route("198.19.22.128/26", kind="blackhole", protocol="bird"),
        *(route(pod, dev=port) for pod, (port, _) in PODS.items() if pod != FIRST),
    ],
    neigh=[neighbour(ip, "eth0", mac) for ip, mac in UNDERLAY_MACS.items()]
    + [neighbour(pod, port, mac) for pod, (port, mac) in PODS.items() if pod != SILENT],
    netconf=netconf([entry["ifname"] for entry in LINKS],
                    proxy_neigh=frozenset(port for port, _ in PODS.values())),
)

ROW = Row(
    name="calico-bgp",
    summary="Calico over BGP: BIRD's routes lead straight to the other nodes, nothing is encapsulated.",
    facts=[
        "eth0 holds 192.168.44.75/28 and 198.19.0.2/20; default via 192.168.44.65.",
        "198.19.21.0/26 via 198.19.0.1 and 198.19.21.64/26 via 198.19.0.3, proto bird.",
        "`blackhole 198.19.22.128/26 proto bird` while the pods 198.19.22.128 to .132 are live /32s: "
        ".128, the block's first, is a pod like any other, and .133 drops.",
        "Pods' MTU 1410.",
    ],
    chosen=[
        "MACs but eth0's and the customer pod's.",
        "Pod .130 has fallen out of the neighbour table.",
        "An ICMP error names the address of the subnet that its next hop is in: 198.19.0.2 towards other "
        "nodes' pods, 192.168.44.75, the route's preferred source, towards the world; towards a local pod "
        "the first global address, 192.168.44.75.",
    ],
    state=STATE,
)
ROWS = [ROW]


def pod(ip: str) -> Segment:
    port, mac = PODS[ip]
    return Segment(port, EE, mac)


def underlay(ip: str) -> Segment:
    return Segment("eth0", ETH0_MAC, UNDERLAY_MACS[ip])


C, POD_C = CUSTOMER, pod(CUSTOMER)
TO_MASTER, TO_2, TO_GATEWAY = underlay(MASTER), underlay(NODE_2), underlay(GATEWAY)
R1, R2, CLIENT = "198.19.21.5", "198.19.21.70", "203.0.113.9"


def arp() -> None:
    case = ROW.case
    case("pod asks for the fake gateway", who_has(POD_C.port, POD_C.there, C, "169.254.1.1"),
         answers(is_at(POD_C.port, EE, "169.254.1.1", POD_C.there, C)))
    for asker, own in ((GATEWAY, PUBLIC), (NODE_2, CLUSTER)):
        mac = UNDERLAY_MACS[asker]
        case(f"{asker} asks for {own}", padded(who_has("eth0", mac, asker, own)),
             answers(is_at("eth0", ETH0_MAC, own, mac, asker)))
    case("node-2 announces its address to all: no reply",
         padded(who_has("eth0", UNDERLAY_MACS[NODE_2], NODE_2, NODE_2)), drops("arp_not_ours"))


def both_directions() -> None:
    case = ROW.case
    case("ping to a pod of the master", POD_C.received(ping(C, R1)), forwards(TO_MASTER.sent(ping(C, R1, ttl=63))))
    case("its reply", TO_MASTER.received(pong(R1, C, ttl=63)), forwards(POD_C.sent(pong(R1, C, ttl=62))))
    syn = tcp(C, R2, 33060, 80, "S", seq=0x1234, options=SYN_OPTIONS)
    syn_ack = tcp(R2, C, 80, 33060, "SA", seq=0x4321, ack=0x1235, ttl=63, options=SYN_OPTIONS)
    case("SYN to a pod of node-2", POD_C.received(syn), forwards(TO_2.sent(forwarded(syn))))
    case("SYN-ACK", TO_2.received(syn_ack), forwards(POD_C.sent(forwarded(syn_ack))))
    case("ping to .128, the block's first address", TO_2.received(ping(R2, FIRST, ttl=63)),
         forwards(pod(FIRST).sent(ping(R2, FIRST, ttl=62))))
    case("its reply", pod(FIRST).received(pong(FIRST, R2)), forwards(TO_2.sent(pong(FIRST, R2, ttl=63))))
    case("between two pods of the node", POD_C.received(ping(C, FIRST)), forwards(pod(FIRST).sent(ping(C, FIRST, ttl=63))))
    case("to the world", POD_C.received(ping(C, CLIENT)), forwards(TO_GATEWAY.sent(ping(C, CLIENT, ttl=63))))
    case("between two other nodes' pods, through this node: the kernel forwards, so do we",
         TO_MASTER.received(ping(R1, R2, ttl=60)), forwards(TO_2.sent(ping(R1, R2, ttl=59))))


def sizes_and_time() -> None:
    case = ROW.case
    fits = datagram(1410, R1, C, df=True, ttl=63)
    case("1410 bytes to the pod", TO_MASTER.received(fits), forwards(POD_C.sent(forwarded(fits))))
    over = datagram(1411, R1, C, df=True, ttl=63)
    case("1411 bytes with DF: 3/4 from the address in the next hop's subnet", TO_MASTER.received(over),
         drops("mtu_exceeded", TO_MASTER.sent(icmp_error(FRAGMENTATION_NEEDED, CLUSTER, over, 1410))))
    over = datagram(1411, CLIENT, C, df=True, ttl=50)
    case("the same from the world: 3/4 from the route's preferred source", TO_GATEWAY.received(over),
         drops("mtu_exceeded", TO_GATEWAY.sent(icmp_error(FRAGMENTATION_NEEDED, PUBLIC, over, 1410))))
    cut = datagram(1411, R1, C, df=False, ttl=63)
    case("1411 bytes without DF", TO_MASTER.received(cut),
         forwards(*(POD_C.sent(piece) for piece in fragments(forwarded(cut), 1410))))
    fits = datagram(1500, C, R2, df=True)
    case("1500 bytes from the pod", POD_C.received(fits), forwards(TO_2.sent(forwarded(fits))))
    over = datagram(1501, C, R2, df=True)
    case("1501 bytes with DF", POD_C.received(over),
         drops("mtu_exceeded", POD_C.sent(icmp_error(FRAGMENTATION_NEEDED, PUBLIC, over, 1500))))
    last = ping(C, R1, ttl=1)
    case("TTL 1", POD_C.received(last), drops("ttl_expired", POD_C.sent(icmp_error(TIME_EXCEEDED, PUBLIC, last))))
    last = ping(R2, C, ttl=1)
    case("TTL 1 from node-2", TO_2.received(last),
         drops("ttl_expired", TO_2.sent(icmp_error(TIME_EXCEEDED, CLUSTER, last))))


def local_and_dropped() -> None:
    case = ROW.case
    case("198.19.22.133 has no pod", TO_2.received(ping(R2, "198.19.22.133", ttl=63)), drops("blackhole"))
    case("nor from here, and the default route is not asked", POD_C.received(ping(C, "198.19.22.133")),
         drops("blackhole"))
    for own in (PUBLIC, CLUSTER):
        case(f"to the node's {own}", POD_C.received(ping(C, own)), punts("local"))
    for broadcast in ("192.168.44.79", "198.19.15.255"):
        case(f"to {broadcast}, the broadcast address of a connected subnet",
             POD_C.received(ping(C, broadcast)), punts("local"))
    case("to a pod whose neighbour entry has gone",
         TO_2.received(ping(R2, SILENT, ttl=63)), drops("neighbour_unresolved"))


for group in (arp, both_directions, sizes_and_time, local_and_dropped):
    group()
