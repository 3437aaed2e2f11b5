"""Flannel's VXLAN backend: pods behind a bridge, one VTEP a node, everything static."""

from generator.iproute2 import (
    State, address, bridge, bridge_entry, link, link_local, loopback, neighbour, netconf,
    route, veth, vtep_entry, vxlan,
)
from generator.linux import (
    FRAGMENTATION_NEEDED, NET_UNREACHABLE, TIME_EXCEEDED, Vxlan, forwarded, fragments, icmp_error, with_ecn,
)
from generator.row import Row, answers, drops, forwards, punts
from generator.wire import (
    CE, ECT0, SYN_OPTIONS, Frame, Segment, datagram, ethernet, is_at, padded, ping, pong, tcp, udp, who_has,
)

NODE, PEER, GATEWAY = "25.25.25.121", "35.35.35.122", "25.25.25.254"
BOND0_MAC, GATEWAY_MAC = "a0:36:9f:e2:fd:e4", "5c:16:c7:25:25:fe"
CNI0, CNI0_MAC = "10.244.1.1", "0a:58:0a:f4:01:01"
VTEP, VTEP_MAC, PEER_VTEP_MAC = "10.244.1.0", "2e:8b:91:4f:70:12", "c6:2d:05:e3:9a:77"
LOST_VTEP_MAC = "9a:61:f0:1d:33:c8"

A, A_MAC, A_PORT = "10.244.1.2", "0a:58:0a:f4:01:02", "vetha0e32af3"
B, B_MAC, B_PORT = "10.244.1.3", "0a:58:0a:f4:01:03", "veth5c1d2b90"
REMOTE = "10.244.2.2"

BOND_SLAVE = {"info_slave_kind": "bond", "info_slave_data": {"state": "ACTIVE", "mii_status": "UP"}}
SLAVE_FLAGS = ["BROADCAST", "MULTICAST", "SLAVE", "UP", "LOWER_UP"]

LINKS = [
    loopback(),
    link(2, "eno1", BOND0_MAC, qdisc="mq", flags=SLAVE_FLAGS, master="bond0", linkinfo=BOND_SLAVE),
    link(3, "eno2", BOND0_MAC, qdisc="mq", flags=SLAVE_FLAGS, master="bond0", linkinfo=BOND_SLAVE),
    link(4, "bond0", BOND0_MAC, flags=["BROADCAST", "MULTICAST", "MASTER", "UP", "LOWER_UP"],
         linkinfo={"info_kind": "bond", "info_data": {"mode": "802.3ad", "miimon": 100}},
         addresses=[address(f"{NODE}/24", broadcast="25.25.25.255"),
                    link_local("fe80::a236:9fff:fee2:fde4")]),
    vxlan(10, "flannel.1", VTEP_MAC, mtu=1450, vni=1, port=8472, local=NODE, underlay="bond0",
          addresses=[address(f"{VTEP}/32")]),
    bridge(11, "cni0", CNI0_MAC, mtu=1450, addresses=[
        address(f"{CNI0}/24", broadcast="10.244.1.255"), link_local("fe80::906e:29ff:fe39:26f7"),
    ]),
    veth(12, A_PORT, "9e:1c:eb:bf:e8:b3", mtu=1450, peer=3, netns=0, master="cni0",
         addresses=[link_local("fe80::9c1c:ebff:feb7:e8b3")]),
    veth(13, B_PORT, "1a:4f:d2:0c:66:5e", mtu=1450, peer=3, netns=1, master="cni0"),
]


def flannel(subnet: str, vtep: str) -> dict:
    return route(subnet, via=vtep, dev="flannel.1", flags=["onlink"])


STATE = State(
    addr=LINKS,
    route=[
        route("10.244.1.0/24", dev="cni0", protocol="kernel", src=CNI0),
        flannel("10.244.2.0/24", "10.244.2.0"),
        flannel("10.244.3.0/24", "10.244.3.0"),
        route("25.25.25.0/24", dev="bond0", protocol="kernel", src=NODE),
        route("35.35.35.0/24", via=GATEWAY, dev="bond0", protocol="static"),
    ],
    neigh=[
        neighbour("10.244.2.0", "flannel.1", PEER_VTEP_MAC, "PERMANENT"),
        neighbour("10.244.3.0", "flannel.1", LOST_VTEP_MAC, "PERMANENT"),
        neighbour(GATEWAY, "bond0", GATEWAY_MAC),
        neighbour(A, "cni0", A_MAC),
        neighbour(B, "cni0", B_MAC, "STALE"),
    ],
    fdb=[
        vtep_entry(PEER_VTEP_MAC, "flannel.1", PEER),
        bridge_entry(A_MAC, A_PORT, "cni0"),
        bridge_entry("9e:1c:eb:bf:e8:b3", A_PORT, "cni0", "permanent"),
        bridge_entry(B_MAC, B_PORT, "cni0"),
        bridge_entry("1a:4f:d2:0c:66:5e", B_PORT, "cni0", "permanent"),
        bridge_entry(CNI0_MAC, "cni0", "cni0", "permanent"),
    ],
    netconf=netconf([entry["ifname"] for entry in LINKS]),
)

ROW = Row(
    name="flannel-vxlan",
    summary="Flannel, VXLAN backend, on node 25.25.25.121: pods behind `cni0`, the other node beyond a "
    "router, `flannel.1` between them.",
    facts=[
        "bond0 25.25.25.121/24, gateway .254; the other node is 35.35.35.122. No default route.",
        "cni0 10.244.1.1/24 is 0a:58:0a:f4:01:01 and answers the pods' ARP; pods' MTU 1450.",
        "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink, a permanent neighbour, one FDB entry.",
        "VNI 1, UDP 8472, no learning. The pod is 10.244.1.2, its peer 10.244.2.2.",
    ],
    chosen=[
        f"MACs of both VTEPs ({VTEP_MAC} here, {PEER_VTEP_MAC} there), of the gateway and of bond0's "
        "slaves eno1 and eno2; bond0's own is the one that the same lab's switch learned.",
        f"flannel.1 holds 10.244.1.0/32 and MTU 1450, as flanneld sets it up; a second pod {B}.",
        "10.244.3.0/24 is a node whose FDB entry is missing, as after a crash of flanneld half way.",
        "`udp_csum` is true on the link, the kernel's default: the design sends no UDP checksum over "
        "IPv4 all the same.",
    ],
    state=STATE,
)
ROWS = [ROW]

POD_A = Segment(A_PORT, CNI0_MAC, A_MAC)
POD_B = Segment(B_PORT, CNI0_MAC, B_MAC)
FABRIC = Segment("bond0", BOND0_MAC, GATEWAY_MAC)
OUT = Vxlan(NODE, PEER, VTEP_MAC, PEER_VTEP_MAC, vni=1, port=8472)
IN = Vxlan(PEER, NODE, PEER_VTEP_MAC, VTEP_MAC, vni=1, port=8472)


def tunnelled(inner: bytes) -> Frame:
    return FABRIC.sent(OUT.entered(inner))


def from_peer(inner: bytes, **outer: int) -> Frame:
    return FABRIC.received(IN.arriving(inner, **outer))


def arp_and_bridge() -> None:
    case = ROW.case
    case("pod asks for its gateway: the bridge's MAC answers", who_has(A_PORT, A_MAC, A, CNI0),
         answers(is_at(A_PORT, CNI0_MAC, CNI0, A_MAC, A)))
    case("pod asks for its neighbour on the bridge: flooded by the kernel",
         who_has(A_PORT, A_MAC, A, B), punts("bridge"))
    case("the neighbour's answer is unicast between members: switched as it is",
         is_at(B_PORT, B_MAC, B, A_MAC, A), forwards(is_at(A_PORT, B_MAC, B, A_MAC, A)))
    across = ping(A, B)
    case("a ping between members: switched, TTL untouched",
         Frame(A_PORT, ethernet(A_MAC, B_MAC, across)), forwards(Frame(B_PORT, ethernet(A_MAC, B_MAC, across))))
    case("to a MAC that the bridge has not learned: flooded by the kernel",
         Frame(A_PORT, ethernet(A_MAC, "0a:58:0a:f4:01:63", ping(A, "10.244.1.99"))), punts("bridge"))
    case("a pod's request for 169.254.1.1 is nobody's on a bridge", who_has(A_PORT, A_MAC, A, "169.254.1.1"),
         punts("bridge"))
    case("the router asks for the node", padded(who_has("bond0", GATEWAY_MAC, GATEWAY, NODE)),
         answers(is_at("bond0", BOND0_MAC, NODE, GATEWAY_MAC, GATEWAY)))


def both_directions() -> None:
    case = ROW.case
    request, reply = ping(A, REMOTE), pong(REMOTE, A, ttl=63)
    case("ping to the other node's pod", POD_A.received(request), forwards(tunnelled(forwarded(request))))
    case("its reply: TTL 62 at the pod", from_peer(reply), forwards(POD_A.sent(forwarded(reply))))
    syn = tcp(B, REMOTE, 40222, 8080, "S", seq=0x1111, options=SYN_OPTIONS)
    syn_ack = tcp(REMOTE, B, 8080, 40222, "SA", seq=0x2222, ack=0x1112, ttl=63, options=SYN_OPTIONS)
    data = tcp(B, REMOTE, 40222, 8080, "PA", seq=0x1112, ack=0x2223, payload=b"GET /healthz HTTP/1.1\r\n\r\n")
    case("TCP SYN", POD_B.received(syn), forwards(tunnelled(forwarded(syn))))
    case("SYN-ACK back", from_peer(syn_ack, sport=61001), forwards(POD_B.sent(forwarded(syn_ack))))
    case("data of the same connection: the same outer source port", POD_B.received(data),
         forwards(tunnelled(forwarded(data))))
    query = udp(A, REMOTE, 35353, 53, bytes.fromhex("1234010000010000000000000377777707") + b"example\x03com"
                + bytes.fromhex("0000010001"), df=False)
    case("UDP without DF: the outer DF is clear either way", POD_A.received(query),
         forwards(tunnelled(forwarded(query))))
    case("the pod pings the other node itself: not tunnelled", POD_A.received(ping(A, PEER)),
         forwards(FABRIC.sent(forwarded(ping(A, PEER)))))


def sizes() -> None:
    case = ROW.case
    fits = datagram(1450, A, REMOTE, df=True)
    case("1450 bytes, flannel.1's MTU: 1500 outside", POD_A.received(fits), forwards(tunnelled(forwarded(fits))))
    over = datagram(1451, A, REMOTE, df=True)
    case("1451 bytes with DF: 3/4 with MTU 1450, from the preferred source of the route back",
         POD_A.received(over),
         drops("mtu_exceeded", POD_A.sent(icmp_error(FRAGMENTATION_NEEDED, CNI0, over, 1450))))
    cut = datagram(1451, A, REMOTE, df=False)
    case("1451 bytes without DF: the inner packet is cut", POD_A.received(cut),
         forwards(*(tunnelled(piece) for piece in fragments(forwarded(cut), 1450))))
    fits = datagram(1450, REMOTE, A, df=True, ttl=63)
    case("1450 bytes from the other node", from_peer(fits), forwards(POD_A.sent(forwarded(fits))))
    over = datagram(1451, PEER, A, df=True, ttl=63)
    case("1451 bytes with DF from the other node, not tunnelled: 3/4 from bond0's address",
         FABRIC.received(over),
         drops("mtu_exceeded", FABRIC.sent(icmp_error(FRAGMENTATION_NEEDED, NODE, over, 1450))))
    cut = datagram(1451, PEER, A, df=False, ttl=63, ident=0x2FA0)
    case("and without DF", FABRIC.received(cut),
         forwards(*(POD_A.sent(piece) for piece in fragments(forwarded(cut), 1450))))


def errors() -> None:
    case = ROW.case
    last = ping(A, REMOTE, ttl=1)
    case("TTL 1", POD_A.received(last), drops("ttl_expired", POD_A.sent(icmp_error(TIME_EXCEEDED, CNI0, last))))
    last = ping(REMOTE, A, ttl=1)
    case("inner TTL 1 from the other node: 11/0 back through the tunnel, from flannel.1's address",
         from_peer(last), drops("ttl_expired", tunnelled(icmp_error(TIME_EXCEEDED, VTEP, last))))
    lost = ping(A, "8.8.8.8")
    case("no route, for the seed has no default: 3/0", POD_A.received(lost),
         drops("no_route", POD_A.sent(icmp_error(NET_UNREACHABLE, CNI0, lost))))
    case("the next VTEP has a neighbour entry but no FDB entry", POD_A.received(ping(A, "10.244.3.7")),
         drops("fdb_missing"))


def to_the_node() -> None:
    case = ROW.case
    case("pod to its gateway", POD_A.received(ping(A, CNI0)), punts("local"))
    case("pod to the node", POD_A.received(ping(A, NODE)), punts("local"))
    case("tunnelled to flannel.1's own address: the kernel decapsulates",
         from_peer(pong(REMOTE, VTEP, ttl=63)), punts("local"))
    case("UDP 4789: no VXLAN of ours", FABRIC.received(udp(PEER, NODE, 50000, 4789, bytes(50))), punts("local"))
    pieces = fragments(IN.arriving(datagram(1400, REMOTE, A, df=False, ttl=63)), 1000)
    case("an outer fragment", FABRIC.received(pieces[0]), punts("local"))


def tunnel_checks() -> None:
    case = ROW.case
    inner = ping(REMOTE, A, 9, ttl=63)
    delivered = forwards(POD_A.sent(forwarded(inner)))
    case("a right UDP checksum outside", FABRIC.received(IN.arriving(inner, udp_checksum=True)), delivered)
    wrong = bytearray(IN.arriving(inner, udp_checksum=True))
    wrong[27] ^= 0x01
    case("a wrong one", FABRIC.received(bytes(wrong)), drops("udp_checksum"), faults=("udp.checksum.status",))
    case("reserved bits set: ignored",
         FABRIC.received(IN.carrying(IN.framed(inner), vxlan_header=IN.header(reserved=0x00BEEF01))), delivered)
    case("the I flag clear",
         FABRIC.received(IN.carrying(IN.framed(inner), vxlan_header=IN.header(flags=0))), drops("vxlan_flags"))
    other_vni = Vxlan(PEER, NODE, PEER_VTEP_MAC, VTEP_MAC, vni=2, port=8472)
    case("VNI 2", FABRIC.received(other_vni.arriving(inner)), drops("vxlan_vni"))
    stranger = Vxlan("35.35.35.200", NODE, PEER_VTEP_MAC, VTEP_MAC, vni=1, port=8472)
    case("from a node that no FDB entry names", FABRIC.received(stranger.arriving(inner)),
         drops("tunnel_peer_unknown"))
    case("from a pod", POD_A.received(Vxlan(A, NODE, A_MAC, VTEP_MAC, vni=1, port=8472).arriving(inner)),
         drops("tunnel_from_workload"))
    case("the inner frame is for another VTEP",
         FABRIC.received(IN.carrying(ethernet(PEER_VTEP_MAC, LOST_VTEP_MAC, inner))), drops("other_host"))
    case("an inner EtherType that is not walked",
         FABRIC.received(IN.carrying(ethernet(PEER_VTEP_MAC, VTEP_MAC, bytes(46), 0x88B5))),
         drops("ethertype_unknown"))
    case("the inner frame ends in its IPv4 header", FABRIC.received(IN.carrying(IN.framed(inner)[:24])),
         drops("inner_malformed"), faults=("_ws.malformed",))
    short = bytearray(IN.arriving(inner))
    short[24:26] = (7).to_bytes(2, "big")
    case("the UDP length is less than a UDP header's", FABRIC.received(bytes(short)), drops("udp_length"),
         faults=("_ws.malformed",))


def congestion() -> None:
    case = ROW.case
    marked = datagram(300, A, REMOTE, df=True, tos=0x28 | ECT0)
    case("entry: DSCP AF11 and ECT(0) copied to the outer header", POD_A.received(marked),
         forwards(tunnelled(forwarded(marked))))
    capable = datagram(300, REMOTE, A, df=True, ttl=63, tos=ECT0)
    case("exit: ECT(0) met congestion outside: CE", from_peer(capable, tos=CE),
         forwards(POD_A.sent(with_ecn(forwarded(capable), CE))))
    case("exit: Not-ECT inside, CE outside: dropped",
         from_peer(datagram(300, REMOTE, A, df=True, ttl=63), tos=CE), drops("ecn_congestion"))


def ethernet_checks() -> None:
    case = ROW.case

    def tagged(vlan: int, ip: bytes) -> Frame:
        return Frame("bond0", ethernet(GATEWAY_MAC, BOND0_MAC, vlan.to_bytes(2, "big") + b"\x08\x00" + ip, 0x8100))

    reply = pong(REMOTE, A, 3, ttl=63)
    case("a priority tag, VLAN 0: as if untagged", tagged(0xA000, IN.arriving(reply)),
         forwards(POD_A.sent(forwarded(reply))))
    case("VLAN 25", tagged(25, IN.arriving(reply)), drops("vlan_unknown"))
    lldp = bytes.fromhex("0207045c16c72525fe 0403056531 06020078 0000")
    case("LLDP from the switch", padded(Frame("bond0", ethernet(GATEWAY_MAC, "01:80:c2:00:00:0e", lldp, 0x88CC))),
         punts("not_ip"))


for group in (arp_and_bridge, both_directions, sizes, errors, to_the_node, tunnel_checks, congestion,
              ethernet_checks):
    group()
