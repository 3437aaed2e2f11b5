"""Calico with ipipMode Always on the CERN node: every node in one /22, and tunnelled all the same."""

from generator.iproute2 import (
    State, address, bridge, ipip, link, link_local, loopback, neighbour, netconf, route, veth,
)
from generator.linux import (
    FRAGMENTATION_NEEDED, TIME_EXCEEDED, Ipip, forwarded, fragments, icmp_error, reheadered, with_ecn,
)
from generator.row import Row, answers, drops, forwards, punts
from generator.wire import (
    BROADCAST, CE, ECT0, ECT1, SYN_OPTIONS, Frame, Segment, datagram, ethernet, is_at, padded, ping, pong,
    tcp, udp, who_has,
)

NODE = "188.185.124.201"
NODE_MAC = "fa:16:3e:bf:f7:b5"
TUNL0 = "10.100.155.128"
GATEWAY = "188.185.124.1"
MASTER_0, NODE_1, NODE_2 = "188.185.125.181", "188.185.124.119", "188.185.125.110"
EE = "ee:ee:ee:ee:ee:ee"

# ifindex, name, pod, the pod's MAC, the pod's namespace; the MACs are chosen.
PODS = [
    (7, "cali93d4f16e6ec", "10.100.155.129", "3e:51:0a:64:9b:81",
     "cni-af3de06f-bfe5-bc0c-84c2-ac4df9e75e0e"),
    (9, "cali4affc3b9f8c", "10.100.155.131", "3e:51:0a:64:9b:83",
     "cni-ffdfe007-38fd-8c8a-8623-0270af20de37"),
    (18978, "caliee6565b2580", "10.100.155.136", "3e:51:0a:64:9b:88",
     "cni-d644bc9f-3f7e-d05d-fcde-6215cf291fe9"),
    (11651, "cali26664d29b4f", "10.100.155.135", "3e:51:0a:64:9b:87",
     "cni-978dd4f4-56f3-1dea-3e5b-82f30fba6810"),
    (11730, "cali2d2d8c5727b", "10.100.155.160", "3e:51:0a:64:9b:a0",
     "cni-37437236-e065-1ce4-eaa0-99bb826d13a4"),
    (11732, "caliada1d666f6a", "10.100.155.144", "3e:51:0a:64:9b:90",
     "cni-d0726781-82fb-e78c-e31e-97e6eec54e62"),
]
CALI = [name for _, name, _, _, _ in PODS]

UNDERLAY_MACS = {
    GATEWAY: "fa:16:3e:0c:11:01",
    MASTER_0: "fa:16:3e:5d:b5:18",
    NODE_1: "fa:16:3e:77:21:9a",
    NODE_2: "fa:16:3e:e4:6e:03",
}

LINKS = [
    loopback(),
    link(2, "ens3", NODE_MAC, qdisc="fq_codel", addresses=[
        address(f"{NODE}/22", broadcast="188.185.127.255", dynamic=True, noprefixroute=True),
        link_local("fe80::ed42:495c:2205:790b"),
    ]),
    bridge(3, "docker0", "02:42:94:e8:0b:cd", mtu=1500, carrier=False,
           addresses=[address("172.17.0.1/16", broadcast="172.17.255.255")]),
    ipip(4, "tunl0", mtu=1440, addresses=[address(f"{TUNL0}/32", broadcast=TUNL0)]),
] + [
    veth(index, name, EE, mtu=1440, peer=4, netns=netns, addresses=[link_local("fe80::ecee:eeff:feee:eeee")])
    for index, name, _, _, netns in PODS
]


def bird(block: str, node: str) -> dict:
    return route(block, via=node, dev="tunl0", protocol="bird", flags=["onlink"])


ROUTES = [
    route("default", via=GATEWAY, dev="ens3", protocol="dhcp", src=NODE, metric=100),
    bird("10.100.126.64/26", NODE_1),
    route("10.100.155.128/26", kind="blackhole", protocol="bird"),
    *(route(pod, dev=name) for _, name, pod, _, _ in sorted(PODS, key=lambda p: p[2])),
    bird("10.100.196.0/26", MASTER_0),
    bird("10.100.245.128/26", NODE_2),
    route("172.17.0.0/16", dev="docker0", protocol="kernel", src="172.17.0.1", flags=["linkdown"]),
    route("188.185.124.0/22", dev="ens3", protocol="kernel", src=NODE, metric=100),
]

STATE = State(
    addr=LINKS,
    route=ROUTES,
    neigh=[neighbour(ip, "ens3", mac) for ip, mac in UNDERLAY_MACS.items()]
    + [neighbour(pod, name, mac, "STALE") for _, name, pod, mac, _ in PODS],
    netconf=netconf([entry["ifname"] for entry in LINKS], proxy_neigh=frozenset(CALI)),
)

ROW = Row(
    name="calico-ipip-always",
    summary="Calico, `ipipMode: Always`: node 188.185.124.201 with six pods, three other nodes in the "
    "same /22, and still every packet between pods of two nodes goes through `tunl0`.",
    facts=[
        "ens3 188.185.124.201/22, fa:16:3e:bf:f7:b5, MTU 1500; default via 188.185.124.1.",
        "tunl0 10.100.155.128/32, MTU 1440; the address is its block's network address.",
        "The 13 routes of the seed's table; `blackhole 10.100.155.128/26 proto bird` beside live /32s.",
        "Pods ARP for 169.254.1.1, and one has 188.185.125.110 in its table too: both are "
        "ee:ee:ee:ee:ee:ee.",
        "The veths' namespaces have names, so `ip -j` prints `link_netns`, not `link_netnsid`.",
    ],
    chosen=[
        "MACs of the pods, the gateway and the other nodes.",
        "`proxy_neigh` is on for the cali ports, as their `proxy_arp` sysctl is in the seed.",
        "The default route has `proto dhcp src 188.185.124.201`, as NetworkManager writes it.",
        "ICMP errors to a pod come from 188.185.124.201, the first global address, since a cali port "
        "has none; errors to a remote pod come from tunl0's address.",
    ],
    state=STATE,
)
ROWS = [ROW]


def pod(address_: str) -> Segment:
    return next(Segment(name, EE, mac) for _, name, ip, mac, _ in PODS if ip == address_)


def underlay(ip: str) -> Segment:
    return Segment("ens3", NODE_MAC, UNDERLAY_MACS[ip])


A, B, C, D = "10.100.155.129", "10.100.155.131", "10.100.155.136", "10.100.155.135"
POD_A, POD_B, POD_C, POD_D = pod(A), pod(B), pod(C), pod(D)
TO_1, TO_2 = underlay(NODE_1), underlay(NODE_2)
OUT_1, OUT_2 = Ipip(NODE, NODE_1), Ipip(NODE, NODE_2)
IN_1, IN_2 = Ipip(NODE_1, NODE), Ipip(NODE_2, NODE)
REMOTE_1, REMOTE_2 = "10.100.126.84", "10.100.245.148"
NOBODY = "10.100.155.130"


def to_2(inner: bytes) -> Frame:
    """The inner packet as it leaves for node-2, its TTL already one less."""
    return TO_2.sent(OUT_2.entered(inner))


def from_2(inner: bytes, **outer: int) -> Frame:
    return TO_2.received(IN_2.arriving(inner, **outer))


def arp() -> None:
    mac_a = POD_A.there
    case = ROW.case
    case("pod asks for the fake gateway", who_has(POD_A.port, mac_a, A, "169.254.1.1"),
         answers(is_at(POD_A.port, EE, "169.254.1.1", mac_a, A)))
    case("pod asks for node-2: proxied, the route leaves by ens3",
         who_has(POD_A.port, mac_a, A, NODE_2), answers(is_at(POD_A.port, EE, NODE_2, mac_a, A)))
    case("pod asks for the node itself", who_has(POD_A.port, mac_a, A, NODE),
         answers(is_at(POD_A.port, EE, NODE, mac_a, A)))
    case("pod asks for another pod of the node: proxied", who_has(POD_A.port, mac_a, A, C),
         answers(is_at(POD_A.port, EE, C, mac_a, A)))
    case("pod refreshes the gateway with a unicast request",
         who_has(POD_A.port, mac_a, A, "169.254.1.1", to=EE),
         answers(is_at(POD_A.port, EE, "169.254.1.1", mac_a, A)))
    case("pod asks for an address under the blackhole: never proxied",
         who_has(POD_A.port, mac_a, A, NOBODY), drops("arp_not_ours"))
    case("pod probes for its own address before using it (RFC 5227)",
         who_has(POD_A.port, mac_a, "0.0.0.0", A), drops("arp_not_ours"))
    case("pod probes for the gateway: answered",
         who_has(POD_A.port, mac_a, "0.0.0.0", "169.254.1.1"),
         answers(is_at(POD_A.port, EE, "169.254.1.1", mac_a, "0.0.0.0")))
    case("pod claims the node's address as its own", who_has(POD_A.port, mac_a, NODE, "169.254.1.1"),
         drops("arp_not_ours"))
    case("the ARP sender is not the frame's source",
         Frame(POD_A.port, who_has(POD_A.port, POD_B.there, A, "169.254.1.1").data.replace(
             bytes.fromhex(POD_B.there.replace(":", "")), bytes.fromhex(mac_a.replace(":", "")), 1)),
         drops("arp_malformed"))
    gateway_mac = UNDERLAY_MACS[GATEWAY]
    case("the gateway asks for the node",
         padded(who_has("ens3", gateway_mac, GATEWAY, NODE)),
         answers(is_at("ens3", NODE_MAC, NODE, gateway_mac, GATEWAY)))
    case("the gateway asks for a pod: no proxy on ens3",
         padded(who_has("ens3", gateway_mac, GATEWAY, A)), drops("arp_not_ours"))
    case("the gateway answers the kernel's own request",
         padded(is_at("ens3", gateway_mac, GATEWAY, NODE_MAC, NODE)), punts("local"))


def both_directions() -> None:
    case = ROW.case
    request, reply = ping(A, REMOTE_2), pong(REMOTE_2, A, ttl=63)
    case("ping to a pod on node-2", POD_A.received(request), forwards(to_2(forwarded(request))))
    case("its reply: TTL 62 at the pod", from_2(reply), forwards(POD_A.sent(forwarded(reply))))

    syn = tcp(B, REMOTE_1, 48712, 80, "S", seq=0x1000, options=SYN_OPTIONS)
    syn_ack = tcp(REMOTE_1, B, 80, 48712, "SA", seq=0x9000, ack=0x1001, ttl=63, options=SYN_OPTIONS)
    get = tcp(B, REMOTE_1, 48712, 80, "PA", seq=0x1001, ack=0x9001,
              payload=b"GET / HTTP/1.1\r\nHost: nginx\r\n\r\n")
    case("TCP SYN to a pod on node-1", POD_B.received(syn),
         forwards(TO_1.sent(OUT_1.entered(forwarded(syn)))))
    case("SYN-ACK back", TO_1.received(IN_1.arriving(syn_ack)),
         forwards(POD_B.sent(forwarded(syn_ack))))
    case("the request", POD_B.received(get), forwards(TO_1.sent(OUT_1.entered(forwarded(get)))))

    first, second = ping(B, REMOTE_2, 2), ping(A, REMOTE_2, 2)
    case("two pods send to node-2: first the port that is first by name", POD_B.received(first),
         forwards(to_2(forwarded(first))))
    case("then the other", POD_A.received(second), forwards(to_2(forwarded(second))),
         simultaneous=True)
    case("same node: TTL 63 at the other pod", POD_A.received(ping(A, C)),
         forwards(POD_C.sent(forwarded(ping(A, C)))))
    probe = tcp(NODE_1, D, 51544, 8080, "S", seq=0x7000, options=SYN_OPTIONS)
    case("node-1 opens a connection to a pod without encapsulation: routed all the same",
         TO_1.received(probe), forwards(POD_D.sent(forwarded(probe))))
    out = ping(A, "137.138.124.16")
    case("pod to the world by the default route: not encapsulated", POD_A.received(out),
         forwards(underlay(GATEWAY).sent(forwarded(out))))
    ack = tcp("137.138.124.16", A, 443, 50222, "A", seq=0x5000, ack=0x6000, ttl=52)
    case("a bare ACK from the world, padded to 60 bytes by its NIC: padding trimmed",
         padded(underlay(GATEWAY).received(ack)), forwards(POD_A.sent(forwarded(ack))))


def sizes() -> None:
    case = ROW.case
    fits = datagram(1440, A, REMOTE_2, df=True)
    case("1440 bytes, tunl0's MTU", POD_A.received(fits), forwards(to_2(forwarded(fits))))
    over = datagram(1441, A, REMOTE_2, df=True)
    case("1441 bytes with DF: 3/4 with MTU 1440", POD_A.received(over),
         drops("mtu_exceeded", POD_A.sent(icmp_error(FRAGMENTATION_NEEDED, NODE, over, 1440))))
    cut = datagram(1441, A, REMOTE_2, df=False)
    case("1441 bytes without DF: the inner packet is cut, each piece tunnelled, outer DF clear",
         POD_A.received(cut),
         forwards(*(to_2(piece) for piece in fragments(forwarded(cut), 1440))))

    fits = datagram(1440, REMOTE_2, A, df=True, ttl=63)
    case("1440 bytes from node-2", from_2(fits), forwards(POD_A.sent(forwarded(fits))))
    over = datagram(1441, REMOTE_2, A, df=True, ttl=63)
    case("1441 bytes with DF from node-2: 3/4 back through the tunnel, from tunl0's address",
         from_2(over),
         drops("mtu_exceeded", to_2(icmp_error(FRAGMENTATION_NEEDED, TUNL0, over, 1440))))
    cut = datagram(1441, REMOTE_2, A, df=False, ttl=63)
    case("1441 bytes without DF from node-2", from_2(cut),
         forwards(*(POD_A.sent(piece) for piece in fragments(forwarded(cut), 1440))))


def time_to_live() -> None:
    case = ROW.case
    last = ping(A, REMOTE_2, ttl=1)
    case("TTL 1: 11/0 from the node's first global address", POD_A.received(last),
         drops("ttl_expired", POD_A.sent(icmp_error(TIME_EXCEEDED, NODE, last))))
    last = ping(REMOTE_2, A, ttl=1)
    case("inner TTL 1 from node-2: 11/0 back through the tunnel, from tunl0's address",
         from_2(last, ttl=62), drops("ttl_expired", to_2(icmp_error(TIME_EXCEEDED, TUNL0, last))))
    case("TTL 1 for the node itself: accepted", POD_A.received(ping(A, NODE, ttl=1)), punts("local"))
    tail = fragments(datagram(1441, A, REMOTE_2, df=False, ttl=1, ident=0x2F90), 1440)[1]
    case("TTL 1, but a later fragment: no error about it", POD_A.received(tail), drops("ttl_expired"))
    about_an_error = reheadered(icmp_error(TIME_EXCEEDED, A, pong(REMOTE_2, A)), ttl=1)
    case("TTL 1, but an ICMP error: no error about it", POD_A.received(about_an_error),
         drops("ttl_expired"))
    big = datagram(1400, A, REMOTE_2, df=True, ttl=1, tos=0xB8)
    case("TTL 1, 1400 bytes, DSCP EF: the error is 576 bytes, TOS 0xd8", POD_A.received(big),
         drops("ttl_expired", POD_A.sent(icmp_error(TIME_EXCEEDED, NODE, big))))


def blackhole_and_local() -> None:
    case = ROW.case
    case("to an address of the local block without a pod: silent, never to the default route",
         POD_A.received(ping(A, NOBODY)), drops("blackhole"))
    case("the same out of the tunnel", from_2(ping(REMOTE_2, NOBODY, ttl=63)), drops("blackhole"))
    case("pod to the node's kubelet",
         POD_A.received(tcp(A, NODE, 40110, 10250, "S", seq=0x3000, options=SYN_OPTIONS)),
         punts("local"))
    case("pod to docker0's address", POD_A.received(ping(A, "172.17.0.1")), punts("local"))
    case("tunnelled to tunl0's own address: the kernel decapsulates",
         from_2(pong(REMOTE_2, TUNL0, ttl=63)), punts("local"))
    case("to the /22's broadcast address", POD_A.received(ping(A, "188.185.127.255", df=False)),
         punts("local"))


def tunnel_checks() -> None:
    case = ROW.case
    stranger = Segment("ens3", NODE_MAC, "fa:16:3e:99:99:09")
    case("IPIP from a node that no route names",
         stranger.received(Ipip("188.185.126.9", NODE).arriving(ping(REMOTE_2, A, ttl=63))),
         drops("tunnel_peer_unknown"))
    case("IPIP from a pod", POD_A.received(IN_2.arriving(ping(REMOTE_2, C, ttl=63), ttl=64)),
         drops("tunnel_from_workload"))
    pieces = fragments(IN_2.arriving(datagram(1400, REMOTE_2, A, df=False, ttl=63)), 1000)
    case("an outer fragment: the kernel reassembles", TO_2.received(pieces[0]), punts("local"))
    case("and its tail", TO_2.received(pieces[1]), punts("local"))
    case("entry: the inner source is the tunnel's other end (RFC 2003 3.2)",
         POD_A.received(ping(NODE_2, REMOTE_2)), drops("tunnel_loop"))
    case("exit: the inner source is ours", from_2(ping(NODE, A, ttl=63)), drops("tunnel_loop"))
    broken = bytearray(ping(REMOTE_2, A, ttl=63))
    broken[10] ^= 0xFF
    case("the inner header's checksum is wrong", from_2(bytes(broken)), drops("inner_malformed"),
         faults=("ip.checksum.status",))
    case("the inner packet is cut short", from_2(ping(REMOTE_2, A, ttl=63)[:18]),
         drops("inner_malformed"), faults=("_ws.malformed",))


def congestion() -> None:
    case = ROW.case
    marked = datagram(200, A, REMOTE_2, df=True, tos=0xB8 | ECT0)
    case("entry: DSCP EF and ECT(0) copied to the outer header", POD_A.received(marked),
         forwards(to_2(forwarded(marked))))
    marked = datagram(200, A, REMOTE_2, df=True, tos=CE)
    case("entry: CE copied (RFC 6040 normal mode; Linux would write ECT(0))",
         POD_A.received(marked), forwards(to_2(forwarded(marked))))
    capable = datagram(200, REMOTE_2, A, df=True, ttl=63, tos=0x28 | ECT0)
    case("exit: ECT(0) met congestion outside: CE, the inner DSCP kept", from_2(capable, tos=0xB8 | CE),
         forwards(POD_A.sent(with_ecn(forwarded(capable), CE))))
    case("exit: ECT(0) inside, ECT(1) outside: ECT(1)", from_2(capable, tos=0x28 | ECT1),
         forwards(POD_A.sent(with_ecn(forwarded(capable), ECT1))))
    plain = datagram(200, REMOTE_2, A, df=True, ttl=63)
    case("exit: Not-ECT inside, ECT(0) outside: forwarded, an anomaly", from_2(plain, tos=ECT0),
         forwards(POD_A.sent(forwarded(plain)), anomalies=1))
    case("exit: Not-ECT inside, CE outside: dropped", from_2(plain, tos=CE), drops("ecn_congestion"))


def not_forwarded() -> None:
    case = ROW.case
    case("pod uses the node's address as its source", POD_A.received(ping(NODE, REMOTE_2)),
         drops("ip_bad_source"))
    case("loopback source", POD_A.received(ping("127.0.0.1", REMOTE_2)), drops("ip_bad_source"))
    case("loopback destination", POD_A.received(ping(A, "127.0.0.53")), drops("ip_bad_destination"))
    mdns = udp(A, "224.0.0.251", 5353, 5353, bytes(12), ttl=255)
    case("mDNS", Frame(POD_A.port, ethernet(POD_A.there, "01:00:5e:00:00:fb", mdns)),
         punts("multicast"))
    case("a unicast packet in a broadcast frame: no ICMP",
         Frame(POD_A.port, ethernet(POD_A.there, BROADCAST, ping(A, REMOTE_2, ttl=1))),
         drops("ip_not_unicast"))
    case("a frame for another host of the /22",
         Segment("ens3", UNDERLAY_MACS[NODE_2], UNDERLAY_MACS[NODE_1]).received(ping(REMOTE_1, A)),
         drops("other_host"))
    echo6 = bytes.fromhex("6000000000083a40") + bytes.fromhex("fd00" + "00" * 13 + "01") \
        + bytes.fromhex("fd00" + "00" * 13 + "02") + bytes.fromhex("80007bb500010001")
    case("IPv6", Frame(POD_A.port, ethernet(POD_A.there, EE, echo6, 0x86DD)), punts("ipv6"))


def resolution() -> None:
    case = ROW.case
    case("to an address of the /22 that is not in the neighbour table",
         POD_A.received(ping(A, "188.185.124.77")), drops("neighbour_unresolved"))


for group in (arp, both_directions, sizes, time_to_live, blackhole_and_local, tunnel_checks,
              congestion, not_forwarded, resolution):
    group()
