# One of everything that packetwalk reads of the kernel, in the network namespace that this runs in. $1 is another one.
# What a kernel may lack (802.1Q, VLAN filtering, IPIP, MPLS) is added where it can be; there, bytes judge the decoder.
set -eu
other=$1

# An IPv6 address that is still being checked for duplicates is announced a second later.
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
sysctl -qw net.ipv4.conf.all.forwarding=1 net.ipv6.conf.all.forwarding=1
ip link set lo up

ip link add eth0 type veth peer name far netns "$other"
ip link add eth1 mtu 9000 type veth peer name eth1far
ip link add br0 type bridge
for member in m0 m1 m2; do
    ip link add $member type veth peer name ${member}far
    ip link set $member master br0
done
ip link set m1 type bridge_slave hairpin on
ip link add vx0 type vxlan id 4096 dstport 4789 local 10.0.0.1 dev eth0 nolearning df set ttl 9 srcport 50000 50100 \
    noudpcsum
ip link add vx1 type vxlan id 7 dstport 8472 remote 10.0.0.9 ttl inherit
ip link add vx2 type vxlan id 8 dstport 8473 group 239.1.1.1 dev eth0 df inherit
ip link add vx3 type vxlan external dstport 8474
ip link add vx4 type vxlan id 9 dstport 8475 local fd00::1 dev eth0
ip link add vx5 type vxlan id 10 dstport 8476 remote fd00::9
ip link add mv0 link eth0 type macvlan mode bridge
ip tuntap add tun0 mode tun
ip tuntap add tap0 mode tap
ip link add link eth0 name eth0.5 type vlan id 5 2>/dev/null || true
ip link add tunl1 type ipip local 10.0.0.1 remote 10.0.0.9 ttl 7 2>/dev/null || true
ip link add br1 type bridge vlan_filtering 1 2>/dev/null || true
ip -n "$other" link set far up
for link in eth0 eth1 eth1far br0 m0 m0far m1 m1far m2 vx0 vx1 vx2 vx3 mv0 tun0 tap0; do
    ip link set $link up
done
ip link set vx4 mtu 1280

ip addr add 10.0.0.1/24 brd + dev eth0
ip addr add 10.0.0.2/24 dev eth0
ip addr add 10.0.7.1 peer 10.0.7.2/32 dev eth1
ip addr add 10.0.6.1 peer 10.0.6.2/24 dev eth1
ip addr add 10.0.8.1/24 scope link dev eth1
ip addr add 10.0.5.1/24 scope site dev eth1
ip addr add 10.0.4.1/24 scope 77 dev eth1
ip addr add 10.0.9.1/32 scope host dev lo
ip addr add 10.30.0.1/24 dev tun0
ip addr add 10.31.0.1/24 dev br0
ip addr add fd00::1/64 dev eth0 nodad
ip addr add fd00:1::1 peer fd00:1::2 dev eth1 nodad

ip nexthop add id 1 via 10.0.0.7 dev eth0
ip nexthop add id 2 via 10.0.8.8 dev eth1 onlink
ip nexthop add id 3 blackhole
ip nexthop add id 4 dev eth0
ip nexthop add id 5 group 1,3/2
ip nexthop add id 6 via fd00::7 dev eth0
ip nexthop add id 7 via 10.0.0.50 fdb
ip nexthop add id 8 via 10.0.0.51 fdb
ip nexthop add id 9 group 7/8 fdb
ip nexthop add id 10 via fd00::8 dev eth0
ip nexthop add id 11 group 6/10 type resilient buckets 32

ip route add default via 10.0.0.254 proto dhcp metric 100
ip route add default dev tun0 table 100000
ip route add 10.40.0.0/16 via 10.0.0.7
ip route add 10.40.0.0/16 via 10.0.0.8 metric 50 mtu 1300 advmss 1260 window 5000 cwnd 7 initcwnd 12 initrwnd 13 \
    hoplimit 9
ip route append 10.40.0.0/16 via 10.0.0.9 metric 50
ip route prepend 10.40.0.0/16 via 10.0.0.10 metric 50
ip route add 10.41.0.0/16 proto bird table 77 via 172.16.0.1 dev eth0 onlink
ip route add 10.42.0.0/16 proto static nexthop via 10.0.0.7 weight 3 nexthop via 10.0.8.8 dev eth1 weight 256 \
    nexthop dev tun0 nexthop via inet6 fd00::7 dev eth0
number=1
for type in blackhole unreachable prohibit throw; do
    ip route add $type 10.43.$number.0/24 metric 7 proto 98
    number=$((number + 1))
done
ip route add local 10.44.0.0/24 dev lo table 78
ip route add 10.45.0.0/24 via 10.0.0.7 src 10.0.0.2 mtu lock 1200
ip route add 10.46.0.0/24 via inet6 fd00::7 dev eth0
ip route add 10.47.0.0/24 tos 0x10 via 10.0.0.7
ip route add 10.48.0.0/24 encap ip id 5 dst 1.2.3.4 dev eth0
ip route add 10.48.1.0/24 nexthop encap ip id 5 dst 1.2.3.4 dev eth0 nexthop via 10.0.0.7
ip route add 10.48.2.0/24 encap mpls 100 via 10.0.0.7 2>/dev/null || true
ip route add 10.49.0.0/24 nhid 1
ip route add 10.50.0.0/24 nhid 5
ip route add 10.51.0.0/24 nhid 3
ip route add 10.52.0.0/24 nhid 6
ip route add 10.54.0.0/24 via 10.0.0.7 realms 3/4
ip route add multicast 224.5.0.0/16 dev eth0
ip -6 route add default via fd00::fe metric 5
ip -6 route add fd10::/64 via fd00::7
ip -6 route add fd11::/64 nexthop via fd00::7 nexthop via fd00::8 weight 3
ip -6 route append fd10::/64 via fd00::9
ip -6 route add blackhole fd12::/64
ip -6 route add unreachable fd13::/64 table 77
ip -6 route add prohibit fd13:1::/64
ip -6 route add throw fd13:2::/64
ip -6 route add fd14::/64 nhid 6 pref high
ip -6 route add fd15::/64 nhid 11
ip -6 route add fd16::/64 dev eth0 mtu 1280 hoplimit 9
ip -6 route add fd17::/64 from fd18::/64 via fd00::7 || ip -6 route add fd17::/64 via fd00::7
ip -6 route add fd19::/64 via fd00::7 src fd00::1 pref low
ip -6 route add fd1a::/64 encap seg6 mode encap segs fd00::7 dev eth0 2>/dev/null || true

ip rule add pref 100 from 10.1.0.0/16 lookup 77
ip rule add pref 101 from 10.1.0.1 to 10.2.0.0/24 iif eth0 lookup 77
ip rule add pref 102 fwmark 0x10/0xff lookup 78
ip rule add pref 103 fwmark 16 lookup 78
ip rule add pref 104 tos 0x10 lookup 78
ip rule add pref 105 fwmark 0/0xff lookup 78
ip rule add pref 106 ipproto tcp sport 5 dport 80-90 lookup 78
ip rule add pref 107 goto 32766
ip rule add pref 108 to 10.9.0.0/16 unreachable
ip rule add pref 109 blackhole from 10.9.1.0/24
ip rule add pref 110 prohibit iif lo from 10.9.2.0/24
ip rule add pref 111 not from 10.0.0.0/8 lookup 77
ip rule add pref 112 oif eth1 uidrange 5-6 lookup 77
ip rule add pref 113 l3mdev
ip rule add pref 114 lookup main suppress_prefixlength 0
ip rule add pref 115 lookup main suppress_ifgroup 7
ip rule add pref 116 tun_id 7 lookup 77
ip rule add pref 117 from 10.77.0.0/16 realms 3/4 lookup 77
ip rule add pref 118 iif nowhere lookup 77
ip rule add pref 119 ipproto 99 lookup 77
ip rule add pref 120 nop
ip rule add pref 121 goto 5000
ip rule add pref 122 from 10.78.0.0/16 realms 4 lookup 77
ip -6 rule add pref 100 from fd00::/16 lookup 77
ip -6 rule add pref 101 fwmark 7 unreachable

ip neigh add 10.0.0.20 dev eth0 lladdr 02:00:00:00:00:20
ip neigh add 10.0.0.21 dev eth0 lladdr 02:00:00:00:00:21 nud reachable
ip neigh add 10.0.0.22 dev eth0 lladdr 02:00:00:00:00:22 nud stale
ip neigh add 10.0.0.23 dev eth0 nud failed
ip neigh add 10.0.0.24 dev eth0 lladdr 02:00:00:00:00:24 nud noarp
ip neigh add 10.0.0.25 dev eth0 lladdr 02:00:00:00:00:25 extern_learn nud stale
ip neigh add proxy 10.0.0.26 dev eth0
ip neigh add fd00::20 dev eth0 lladdr 02:00:00:00:00:20 router

bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.0.0.21
bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.0.0.22
bridge fdb append 00:00:00:00:00:00 dev vx5 dst fd00::10
bridge fdb add 02:00:00:00:01:01 dev vx0 dst 10.0.0.21
bridge fdb add 02:00:00:00:01:02 dev vx0 dst 10.0.0.21 port 5000 vni 99 via eth0
bridge fdb add 02:00:00:00:01:03 dev vx0 nhid 9
bridge fdb add 02:00:00:00:01:04 dev vx3 src_vni 7 vni 8 dst 10.0.0.22
bridge fdb add 02:00:00:00:02:01 dev m0 master static
bridge fdb add 02:00:00:00:02:02 dev m1 master dynamic
bridge fdb add 02:00:00:00:02:03 dev m1 master extern_learn
bridge fdb add 02:00:00:00:02:04 dev m0 master static sticky
bridge fdb add 02:00:00:00:02:05 dev eth0 self

sysctl -qw net.ipv4.conf.m0far.proxy_arp=1 net.ipv4.conf.eth1.forwarding=0 \
    net.ipv4.conf.eth0.ignore_routes_with_linkdown=1
