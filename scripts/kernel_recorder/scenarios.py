"""The networks: how each scenario's nodes, pods and router are set up."""

from .namespaces import PREFIX, add_namespace, ip, offloads_off, run, sysctl, veth

# The pods' links keep 1500 while the way to the other node carries less: the node itself has to
# fragment, or to say "fragmentation needed", as in a cluster whose pods were given the wrong MTU.
POD_MTU = 1500
PATH_MTU = 1450

NODES = {
    "a": {"octet": 1, "uplink": "25.25.25.121", "gateway": "25.25.25.254"},
    "b": {"octet": 2, "uplink": "35.35.35.122", "gateway": "35.35.35.254"},
}
PEER = {"a": "b", "b": "a"}


def build_underlay(mtu):
    for name in ("r", "a", "a1", "a2", "b", "b1", "b2"):
        add_namespace(name)
    for name in ("r", "a", "b"):
        sysctl(name, "net.ipv4.ip_forward", 1)
        # With netfilter in the bridge, frames between members would be walked as IP.
        sysctl(name, "net.bridge.bridge-nf-call-iptables", 0, optional=True)
        sysctl(name, "net.bridge.bridge-nf-call-arptables", 0, optional=True)
    for name, facts in NODES.items():
        octet = facts["octet"]
        veth(name, "eth0", f"02:19:00:00:00:0{octet}", "r", f"to-{name}", f"02:19:00:00:fe:0{octet}", mtu)
        ip(name, f"addr add {facts['uplink']}/24 dev eth0")
        ip("r", f"addr add {facts['gateway']}/24 dev to-{name}")


def pod_address(scenario, name, index):
    block = "10.244" if scenario == "vxlan" else "192.168"
    return f"{block}.{NODES[name]['octet']}.{index + 1}"


def build_vxlan():
    build_underlay(POD_MTU)
    for name, facts in NODES.items():
        octet, remote = facts["octet"], NODES[PEER[name]]
        # No default route: a destination that nobody knows is refused by the node itself.
        ip(name, f"route add {remote['uplink'].rsplit('.', 1)[0]}.0/24 via {facts['gateway']}")
        ip(name, f"link add cni0 address 0a:58:0a:f4:0{octet}:01 type bridge")
        ip(name, f"addr add 10.244.{octet}.1/24 dev cni0")
        # learning off, as flannel makes it; noudpcsum, since a veth would show the checksum half done
        ip(name, f"link add flannel.1 address 0a:f1:00:00:00:0{octet} mtu {PATH_MTU} type vxlan id 1"
                 f" local {facts['uplink']} dev eth0 dstport 8472 nolearning noudpcsum")
        ip(name, f"addr add 10.244.{octet}.0/32 dev flannel.1")
        for device in ("cni0", "flannel.1"):
            offloads_off(name, device)
            ip(name, f"link set {device} up")
        for index in (1, 2):
            pod = f"{name}{index}"
            veth(name, f"veth{index}", f"02:1e:00:00:0{octet}:0{index}",
                 pod, "eth0", f"0a:58:0a:f4:0{octet}:0{index + 1}", POD_MTU)
            ip(name, f"link set veth{index} master cni0")
            ip(pod, f"addr add {pod_address('vxlan', name, index)}/24 dev eth0")
            ip(pod, f"route add default via 10.244.{octet}.1")
        vtep = f"0a:f1:00:00:00:0{remote['octet']}"
        ip(name, f"neigh add 10.244.{remote['octet']}.0 lladdr {vtep} dev flannel.1 nud permanent")
        run("bridge", "-n", PREFIX + name, "fdb", "add", vtep, "dev", "flannel.1",
            "dst", remote["uplink"], "self", "permanent")
        ip(name, f"route add 10.244.{remote['octet']}.0/24 via 10.244.{remote['octet']}.0 dev flannel.1 onlink")


def build_routed():
    build_underlay(PATH_MTU)
    for name, facts in NODES.items():
        octet, remote = facts["octet"], NODES[PEER[name]]
        ip(name, f"route add default via {facts['gateway']}")
        ip(name, f"route add 192.168.{remote['octet']}.0/26 via {facts['gateway']} proto bird")
        ip(name, f"route add blackhole 192.168.{octet}.0/26 proto bird")
        ip("r", f"route add 192.168.{octet}.0/26 via {facts['uplink']}")
        for index in (1, 2):
            pod = f"{name}{index}"
            veth(name, f"cali{index}", "ee:ee:ee:ee:ee:ee",
                 pod, "eth0", f"02:ca:11:00:0{octet}:0{index}", POD_MTU)
            sysctl(name, f"net.ipv4.conf.cali{index}.proxy_arp", 1)
            sysctl(name, f"net.ipv4.neigh.cali{index}.proxy_delay", 0)
            ip(name, f"route add {pod_address('routed', name, index)} dev cali{index} scope link")
            ip(pod, f"addr add {pod_address('routed', name, index)}/32 dev eth0")
            ip(pod, "route add 169.254.1.1 dev eth0 scope link")
            ip(pod, "route add default via 169.254.1.1")


def build_policy():
    build_routed()
    veth("a", "eth1", "02:1a:00:00:00:01", "r", "to-a-too", "02:1a:00:00:fe:01", PATH_MTU)
    ip("a", "addr add 26.26.26.121/24 dev eth1")
    ip("r", "addr add 26.26.26.254/24 dev to-a-too")
    for line in (
        "rule add priority 50 to 10.5.0.0/16 prohibit",
        "rule add priority 51 to 10.6.0.0/16 unreachable",
        "rule add priority 52 to 10.7.0.0/16 blackhole",
        "rule add priority 90 to 10.8.0.0/16 lookup 78",
        "rule add priority 100 from 192.168.1.2 lookup 77",
        "rule add priority 110 iif cali2 lookup 79",
        # pod 1: to the other node by the second uplink, over a path that carries less
        "route add 192.168.2.0/26 via 26.26.26.254 dev eth1 table 77 mtu 1300",
        "route add unreachable 10.1.0.0/16 table 77",
        "route add prohibit 10.2.0.0/16 table 77",
        "route add blackhole 10.3.0.0/16 table 77",
        "route add throw 10.4.0.0/16 table 77",
        # pod 2: all by the second uplink, but for one longer prefix
        "route add 192.168.1.2 dev cali1 scope link table 79",
        "route add default via 26.26.26.254 dev eth1 table 79",
        "route add 192.168.2.3/32 via 25.25.25.254 dev eth0 table 79",
        # table 78 knows half of what its rule sends there; the rest falls through to main
        "route add 10.8.1.0/24 via 26.26.26.254 dev eth1 table 78",
        "nexthop add id 10 via 26.26.26.254 dev eth1",
        "route add 10.9.0.0/16 nhid 10",
    ):
        ip("a", line)


BUILD = {"vxlan": build_vxlan, "routed": build_routed, "policy": build_policy}
