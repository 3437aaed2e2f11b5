"""Calico CrossSubnet on the kind node 172.18.0.2: native within the subnet, tunnelled beyond it."""

from generator.iproute2 import (
    Object, State, address, ipip, link_local, loopback, neighbour, netconf, route, veth, vtep_entry,
    vxlan,
)
from generator.linux import (
    FRAGMENTATION_NEEDED, TIME_EXCEEDED, Ipip, Vxlan, forwarded, fragments, icmp_error, reheadered, with_ecn,
)
from generator.row import Row, answers, drops, forwards, punts
from generator.wire import (
    CE, ECT0, SYN_OPTIONS, Frame, Segment, datagram, ethernet, is_at, ping, pong, tcp, who_has,
)

NODE, WORKER_2, CONTROL_PLANE, GATEWAY = "172.18.0.2", "172.18.0.3", "172.18.0.4", "172.18.0.1"
FAR_NODE = "172.19.0.5"
BLOCK, BLOCK_2, BLOCK_CP, FAR_BLOCK = (
    "192.168.93.192/26", "192.168.112.192/26", "192.168.116.0/26", "192.168.140.64/26",
)
TUNNEL_ADDRESS, FAR_TUNNEL_ADDRESS = "192.168.93.192", "192.168.140.64"
VTEP_MAC, FAR_VTEP_MAC = "66:0a:93:c0:18:02", "66:5d:8c:40:19:05"
EE = "ee:ee:ee:ee:ee:ee"


def docker_mac(ip: str) -> str:
    """Docker derives a container's MAC from its address."""
    return "02:42:" + ":".join(f"{int(part):02x}" for part in ip.split("."))


A, A_MAC, A_PORT = "192.168.93.201", "be:b0:71:df:a2:df", "calib5a1f2c6d07"
B, B_MAC, B_PORT = "192.168.93.202", "4a:2d:93:ca:17:02", "cali3174bc812f3"
R2, FAR = "192.168.112.197", "192.168.140.70"

POD_A, POD_B = Segment(A_PORT, EE, A_MAC), Segment(B_PORT, EE, B_MAC)


def uplink(ip: str) -> Segment:
    mac = "02:42:5f:12:00:01" if ip == GATEWAY else docker_mac(ip)
    return Segment("eth0", docker_mac(NODE), mac)


TO_2, TO_GATEWAY = uplink(WORKER_2), uplink(GATEWAY)


def state(protocol: str, tunnel: Object | None, far_route: Object | None,
          neigh: list[Object], fdb: list[Object]) -> State:
    links = [
        loopback(),
        veth(11, "eth0", docker_mac(NODE), mtu=1500, peer=12, netns=0,
             addresses=[address(f"{NODE}/16", broadcast="172.18.255.255"),
                        link_local("fe80::42:acff:fe12:2")]),
        *([tunnel] if tunnel else []),
        *(veth(index, name, EE, mtu=1450, peer=2, netns=f"cni-{index:08x}-93c8-41d2-9d5e-1f0b6a7c2e11",
               addresses=[link_local("fe80::ecee:eeff:feee:eeee")])
          for index, name in ((13, A_PORT), (14, B_PORT))),
    ]
    return State(
        addr=links,
        route=[
            route("default", via=GATEWAY, dev="eth0"),
            route("172.18.0.0/16", dev="eth0", protocol="kernel", src=NODE),
            route(BLOCK, kind="blackhole", protocol=protocol),
            route(A, dev=A_PORT),
            route(B, dev=B_PORT),
            route(BLOCK_2, via=WORKER_2, dev="eth0", protocol=protocol),
            route(BLOCK_CP, via=CONTROL_PLANE, dev="eth0", protocol=protocol),
            *([far_route] if far_route else []),
        ],
        neigh=[neighbour(ip, "eth0", uplink(ip).there) for ip in (GATEWAY, WORKER_2, CONTROL_PLANE)]
        + [neighbour(A, A_PORT, A_MAC), neighbour(B, B_PORT, B_MAC, "DELAY")] + neigh,
        fdb=fdb,
        netconf=netconf([entry["ifname"] for entry in links], proxy_neigh=frozenset((A_PORT, B_PORT))),
    )


FACTS = [
    "172.18.0.2/16 on eth0, itself a veth (kind's nodes are containers) with a /16, hence an uplink; "
    "172.18.0.3 and .4 in the same subnet.",
    "Pods 192.168.93.201 and .202 here (TTL 63 between them), 192.168.112.197 via 172.18.0.3 without "
    "encapsulation (TTL 62 there), MTU 1450.",
    "A node in another subnet is reached through the tunnel.",
]
CHOSEN = [
    "The block is 192.168.93.192/26, which does hold the pods; the seed's .0/26 does not.",
    "The pod of the seed's `ip addr` is taken to be 192.168.93.201. Other MACs, the name of its port, and "
    "the far node 172.19.0.5 with 192.168.140.64/26 behind the gateway.",
]

NATIVE = Row(
    name="calico-crosssubnet/native",
    summary="Calico CrossSubnet within one subnet: no encapsulation, and every check of the IPv4 header.",
    facts=FACTS[:2],
    chosen=CHOSEN[:1] + ["The state is TOML, with iproute2's keys."],
    state=state("bird", None, None, [], []),
    state_format="toml",
)
IPIP = Row(
    name="calico-crosssubnet/ipip",
    summary="Calico CrossSubnet with IPIP: native to 172.18.0.3, tunnelled to 172.19.0.5.",
    facts=FACTS,
    chosen=CHOSEN + ["tunl0 192.168.93.192/32 with MTU 1450, the pods' own."],
    state=state(
        "bird",
        ipip(9, "tunl0", mtu=1450, addresses=[address(f"{TUNNEL_ADDRESS}/32")]),
        route(FAR_BLOCK, via=FAR_NODE, dev="tunl0", protocol="bird", flags=["onlink"]), [], [],
    ),
)
VXLAN = Row(
    name="calico-crosssubnet/vxlan",
    summary="Calico CrossSubnet with VXLAN: native to 172.18.0.3, VXLAN to 172.19.0.5.",
    facts=FACTS + ["VNI 4096, UDP 4789."],
    chosen=CHOSEN + [
        f"vxlan.calico 192.168.93.192/32, {VTEP_MAC}, MTU 1450; the far VTEP is {FAR_VTEP_MAC}.",
        "Felix writes the routes itself in this mode: `proto 80`.",
    ],
    state=state(
        "80",
        vxlan(9, "vxlan.calico", VTEP_MAC, mtu=1450, vni=4096, port=4789, local=NODE, underlay="eth0",
              addresses=[address(f"{TUNNEL_ADDRESS}/32")]),
        route(FAR_BLOCK, via=FAR_TUNNEL_ADDRESS, dev="vxlan.calico", protocol="80", flags=["onlink"]),
        [neighbour(FAR_TUNNEL_ADDRESS, "vxlan.calico", FAR_VTEP_MAC, "PERMANENT")],
        [vtep_entry(FAR_VTEP_MAC, "vxlan.calico", FAR_NODE)],
    ),
)
ROWS = [NATIVE, IPIP, VXLAN]


def within_the_subnet(row: Row) -> None:
    case = row.case
    case("the pod asks for the fake gateway", who_has(A_PORT, A_MAC, A, "169.254.1.1"),
         answers(is_at(A_PORT, EE, "169.254.1.1", A_MAC, A)))
    case("worker2 asks for the node", who_has("eth0", docker_mac(WORKER_2), WORKER_2, NODE),
         answers(is_at("eth0", docker_mac(NODE), NODE, docker_mac(WORKER_2), WORKER_2)))
    case("ping to the pod on the same node: TTL 63", POD_A.received(ping(A, B)), forwards(POD_B.sent(ping(A, B, ttl=63))))
    case("its reply", POD_B.received(pong(B, A)), forwards(POD_A.sent(pong(B, A, ttl=63))))
    case("ping to the pod on worker2: not encapsulated", POD_A.received(ping(A, R2)),
         forwards(TO_2.sent(ping(A, R2, ttl=63))))
    case("its reply: TTL 62", TO_2.received(pong(R2, A, ttl=63)), forwards(POD_A.sent(pong(R2, A, ttl=62))))
    case("no pod has 192.168.93.200", TO_2.received(ping(R2, "192.168.93.200", ttl=63)), drops("blackhole"))


def native_sizes() -> None:
    case = NATIVE.case
    fits = datagram(1450, R2, A, df=True, ttl=63)
    case("1450 bytes to the pod, its port's MTU", TO_2.received(fits), forwards(POD_A.sent(forwarded(fits))))
    over = datagram(1451, R2, A, df=True, ttl=63)
    case("1451 bytes with DF: 3/4 with MTU 1450", TO_2.received(over),
         drops("mtu_exceeded", TO_2.sent(icmp_error(FRAGMENTATION_NEEDED, NODE, over, 1450))))
    cut = datagram(1451, R2, A, df=False, ttl=63)
    case("1451 bytes without DF", TO_2.received(cut),
         forwards(*(POD_A.sent(piece) for piece in fragments(forwarded(cut), 1450))))
    fits = datagram(1500, A, R2, df=True)
    case("1500 bytes from the pod, eth0's MTU", POD_A.received(fits), forwards(TO_2.sent(forwarded(fits))))
    over = datagram(1501, A, R2, df=True)
    case("1501 bytes with DF", POD_A.received(over),
         drops("mtu_exceeded", POD_A.sent(icmp_error(FRAGMENTATION_NEEDED, NODE, over, 1500))))
    cut = datagram(1501, A, R2, df=False)
    case("1501 bytes without DF", POD_A.received(cut),
         forwards(*(TO_2.sent(piece) for piece in fragments(forwarded(cut), 1500))))
    last = ping(A, R2, ttl=1)
    case("TTL 1", POD_A.received(last), drops("ttl_expired", POD_A.sent(icmp_error(TIME_EXCEEDED, NODE, last))))
    last = ping(R2, A, ttl=1)
    case("TTL 1 from worker2", TO_2.received(last),
         drops("ttl_expired", TO_2.sent(icmp_error(TIME_EXCEEDED, NODE, last))))


def native_headers() -> None:
    """RFC 1812 5.2.2: each fault by its own name, and none answered."""
    case = NATIVE.case
    good = ping(A, R2)

    def altered(offset: int, value: int) -> bytes:
        """One byte changed, the checksum right for it."""
        return reheadered(good[:offset] + bytes([value]) + good[offset + 1:])

    case("IP version 6 under EtherType 0x0800", POD_A.received(altered(0, 0x65)), drops("ip_version"),
         faults=("_ws.expert",))
    case("a header of 4 words", POD_A.received(bytes([0x44]) + good[1:]), drops("ip_header_length"),
         faults=("_ws.expert",))
    case("a header of 15 words in a packet of 28 bytes",
         POD_A.received(bytes([0x4F]) + reheadered(good[:28], total=28)[1:]), drops("ip_header_length"),
         faults=("_ws.expert",))
    case("a total length beyond the frame", POD_A.received(reheadered(good, total=len(good) + 1)),
         drops("ip_total_length"), faults=("_ws.expert",))
    case("a wrong header checksum", POD_A.received(good[:10] + bytes([good[10] ^ 1]) + good[11:]),
         drops("ip_checksum"), faults=("ip.checksum.status",))
    case("a frame that ends in its IPv4 header", POD_A.received(good[:15]), drops("runt"),
         faults=("_ws.malformed",))
    syn = tcp(A, R2, 40001, 80, "S", seq=7)
    wrong = syn[:36] + b"\x0b\xad" + syn[38:]
    case("a wrong TCP checksum is the receiver's business", POD_A.received(wrong),
         forwards(TO_2.sent(forwarded(wrong))), faults=("tcp.checksum.status",))
    for source in ("0.0.0.0", "224.0.0.5", "255.255.255.255"):
        case(f"source {source}", POD_A.received(ping(source, R2)), drops("ip_bad_source"))
    case("destination 0.0.0.1", POD_A.received(ping(A, "0.0.0.1")), drops("ip_bad_destination"))
    case("limited broadcast", Frame(A_PORT, ethernet(A_MAC, "ff:ff:ff:ff:ff:ff", ping(A, "255.255.255.255"))),
         punts("local"))
    router_alert = ping(A, R2, 5)
    router_alert = reheadered(
        b"\x46" + router_alert[1:20] + bytes.fromhex("94040000") + router_alert[20:],
        total=len(router_alert) + 4,
    )
    case("an option (router alert): forwarded intact", POD_A.received(router_alert),
         forwards(TO_2.sent(forwarded(router_alert))))


class Tunnel:
    """The two directions of a row's tunnel to the far node."""

    def __init__(self, out: Ipip | Vxlan, back: Ipip | Vxlan) -> None:
        self.out, self.back = out, back

    def entered(self, inner: bytes) -> Frame:
        return TO_GATEWAY.sent(self.out.entered(inner))

    def arrived(self, inner: bytes, **outer: int) -> Frame:
        return TO_GATEWAY.received(self.back.arriving(inner, **outer))


def to_another_subnet(row: Row, tunnel: Tunnel) -> None:
    case = row.case
    case("ping to the pod beyond the gateway: tunnelled", POD_A.received(ping(A, FAR)),
         forwards(tunnel.entered(ping(A, FAR, ttl=63))))
    case("its reply: TTL 62", tunnel.arrived(pong(FAR, A, ttl=63)), forwards(POD_A.sent(pong(FAR, A, ttl=62))))
    syn = tcp(FAR, B, 41000, 80, "S", seq=0x5555, ttl=63, options=SYN_OPTIONS)
    syn_ack = tcp(B, FAR, 80, 41000, "SA", seq=0x6666, ack=0x5556, options=SYN_OPTIONS)
    case("a SYN from there", tunnel.arrived(syn), forwards(POD_B.sent(forwarded(syn))))
    case("SYN-ACK", POD_B.received(syn_ack), forwards(tunnel.entered(forwarded(syn_ack))))
    fits = datagram(1450, A, FAR, df=True)
    case("1450 bytes", POD_A.received(fits), forwards(tunnel.entered(forwarded(fits))))
    over = datagram(1451, A, FAR, df=True)
    case("1451 bytes with DF", POD_A.received(over),
         drops("mtu_exceeded", POD_A.sent(icmp_error(FRAGMENTATION_NEEDED, NODE, over, 1450))))
    cut = datagram(1451, A, FAR, df=False)
    case("1451 bytes without DF", POD_A.received(cut),
         forwards(*(tunnel.entered(piece) for piece in fragments(forwarded(cut), 1450))))
    native = datagram(1451, A, R2, df=True)
    case("1451 bytes with DF within the subnet pass: eth0's MTU is 1500", POD_A.received(native),
         forwards(TO_2.sent(forwarded(native))))
    last = ping(A, FAR, ttl=1)
    case("TTL 1", POD_A.received(last), drops("ttl_expired", POD_A.sent(icmp_error(TIME_EXCEEDED, NODE, last))))
    last = ping(FAR, A, ttl=1)
    case("inner TTL 1 from there", tunnel.arrived(last),
         drops("ttl_expired", tunnel.entered(icmp_error(TIME_EXCEEDED, TUNNEL_ADDRESS, last))))
    capable = ping(FAR, A, 7, ttl=63, tos=ECT0)
    case("ECT(0) met congestion on the way: CE", tunnel.arrived(capable, tos=CE),
         forwards(POD_A.sent(with_ecn(forwarded(capable), CE))))
    case("to the tunnel's own address", tunnel.arrived(pong(FAR, TUNNEL_ADDRESS, ttl=63)), punts("local"))
    case("an address of the local block without a pod", tunnel.arrived(ping(FAR, "192.168.93.200", ttl=63)),
         drops("blackhole"))


def tunnel_peers() -> None:
    inner = ping(R2, A, 8, ttl=63)
    # worker2 is a node of the cluster, but none that is reached through the tunnel.
    IPIP.case("IPIP from worker2, to which no tunnel route leads", TO_2.received(Ipip(WORKER_2, NODE).arriving(inner)),
              drops("tunnel_peer_unknown"))
    VXLAN.case("VXLAN from worker2, which no FDB entry names",
               TO_2.received(Vxlan(WORKER_2, NODE, FAR_VTEP_MAC, VTEP_MAC, 4096, 4789).arriving(inner)),
               drops("tunnel_peer_unknown"))
    VXLAN.case("VNI 4097 from the far node",
               TO_GATEWAY.received(Vxlan(FAR_NODE, NODE, FAR_VTEP_MAC, VTEP_MAC, 4097, 4789).arriving(inner)),
               drops("vxlan_vni"))
    NATIVE.case("IPIP where no tunnel exists is the kernel's", TO_2.received(Ipip(WORKER_2, NODE).arriving(inner)),
                punts("local"))


for each in ROWS:
    within_the_subnet(each)
native_sizes()
native_headers()
to_another_subnet(IPIP, Tunnel(Ipip(NODE, FAR_NODE), Ipip(FAR_NODE, NODE)))
to_another_subnet(VXLAN, Tunnel(Vxlan(NODE, FAR_NODE, VTEP_MAC, FAR_VTEP_MAC, 4096, 4789),
                                Vxlan(FAR_NODE, NODE, FAR_VTEP_MAC, VTEP_MAC, 4096, 4789)))
tunnel_peers()
