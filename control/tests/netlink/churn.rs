//! Random changes of everything that is followed, as commands of `ip -batch`, `bridge -batch` and sysctl.

/// A generator that repeats itself for the same seed (SplitMix64).
pub(crate) struct Churn(u64);

impl Churn {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Puts them into another order.
    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for place in (1..list.len()).rev() {
            list.swap(place, self.below(place as u64 + 1) as usize);
        }
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }

    /// A shell script of `count` changes; some of them cannot be made, and that is well.
    pub(crate) fn script(&mut self, count: usize) -> String {
        let mut script = String::new();
        for _ in 0..count {
            let line = match self.below(24) {
                0 => self.link(),
                1 => self.address(),
                2..=9 => self.route4(),
                10..=13 => self.route6(),
                14 | 15 => self.rule(),
                16..=18 => self.neighbour(),
                19..=21 => self.fdb(),
                22 => self.nexthop(),
                _ => self.switch(),
            };
            script += "{ ";
            script += &line;
            script += "; } 2>/dev/null || true\n";
        }
        script
    }

    fn link(&mut self) -> String {
        let pair = self.below(3);
        match self.below(8) {
            0 => format!("ip link set c{pair} down"),
            1 | 2 => format!("ip link set c{pair} up"),
            3 => format!("ip link set c{pair}far down"),
            4 => format!("ip link set c{pair}far up"),
            5 => format!("ip link del c{pair}"),
            6 => format!(
                "ip link add c{pair} type veth peer name c{pair}far && ip link set c{pair}far up && ip link set c{pair} up"
            ),
            _ => {
                format!("ip link set m0 {}", self.one_of(&["nomaster", "master br0", "mtu 1400", "mtu 1500"]))
            }
        }
    }

    fn address(&mut self) -> String {
        let verb = self.one_of(&["add", "add", "del"]);
        let (pair, host) = (self.below(3), self.below(4) + 1);
        if self.below(3) == 0 {
            format!("ip addr {verb} fd00:{pair}::{host}/64 dev c{pair} nodad")
        } else {
            format!("ip addr {verb} 10.2{pair}.0.{host}/{} dev c{pair}", self.one_of(&["24", "25"]))
        }
    }

    fn hop4(&mut self) -> String {
        let pair = self.below(3);
        format!("via 10.2{pair}.0.{} dev c{pair} onlink", self.below(20) + 100)
    }

    fn route4(&mut self) -> String {
        let verb = self.one_of(&["add", "replace", "replace", "append", "prepend", "del"]);
        let prefix = format!("10.100.{}.0/24", self.below(12));
        let table = self.one_of(&["", "", " table 77"]);
        let metric = self.one_of(&["", "", " metric 7"]);
        let rest = match self.below(8) {
            0 => self.one_of(&["dev eth0", "dev br0"]).to_owned(),
            1 => format!("nexthop {} weight {} nexthop {}", self.hop4(), self.below(5) + 1, self.hop4()),
            2 => format!("nhid {}", self.below(6) + 1),
            3 => format!("{} src 10.2{}.0.{}", self.hop4(), self.below(3), self.below(4) + 1),
            4 if verb == "del" => String::new(),
            4 => return format!("ip route {verb} blackhole {prefix}{table}{metric}"),
            5 => format!("{} mtu 1300", self.hop4()),
            _ => self.hop4(),
        };
        format!("ip route {verb} {prefix}{table}{metric} {rest}")
    }

    fn route6(&mut self) -> String {
        let verb = self.one_of(&["add", "replace", "append", "append", "del"]);
        let number = self.below(10);
        let mut hop = || {
            let pair = self.below(3);
            format!("via fe80::{} dev c{pair}", self.below(6) + 1)
        };
        let (one, other) = (hop(), hop());
        // Of one prefix either routes whose next hops share their flows, or others: the kernel's list (6.18) leaves out a
        // route that lies between the next hops of another, so iproute2 could not judge.
        let rest = match (number < 6, self.below(3)) {
            (true, 0) => format!("nexthop {one} nexthop {other} weight {}", self.below(3) + 1),
            (true, _) => one,
            (false, 0) => "nhid 7".to_owned(),
            (false, _) => format!("dev {}", self.one_of(&["eth0", "br0", "c1"])),
        };
        format!("ip -6 route {verb} fd80:{number}::/64 {rest}")
    }

    fn rule(&mut self) -> String {
        let verb = self.one_of(&["add", "add", "del"]);
        let family = self.one_of(&["-4", "-6"]);
        let selector = self.one_of(&["fwmark 7", "iif c1", "not iif c0", "ipproto udp dport 53"]);
        let action = self.one_of(&["lookup 77", "unreachable", "goto 32766"]);
        format!("ip {family} rule {verb} pref {} {selector} {action}", self.below(6) + 100)
    }

    fn neighbour(&mut self) -> String {
        let (link, host) = (self.one_of(&["eth0", "br0", "c0", "c1"]), self.below(6) + 40);
        let address = if self.below(3) == 0 { format!("fd00::{host}") } else { format!("10.20.0.{host}") };
        let state = self.one_of(&["permanent", "stale", "reachable", "noarp"]);
        match self.below(4) {
            0 => format!("ip neigh del {address} dev {link}"),
            1 => format!("ip neigh replace {address} dev {link} nud failed"),
            _ => format!(
                "ip neigh replace {address} dev {link} lladdr 02:00:00:00:00:{:02x} nud {state}",
                self.below(200)
            ),
        }
    }

    fn fdb(&mut self) -> String {
        let host = self.below(5);
        if self.below(2) == 0 {
            let verb = self.one_of(&["replace", "replace", "del"]);
            let (member, kind) = (self.one_of(&["m0", "m1"]), self.one_of(&["static", "extern_learn"]));
            return format!("bridge fdb {verb} 02:00:00:00:03:{host:02x} dev {member} master {kind}");
        }
        let remote = format!("10.0.0.{}", self.below(5) + 60);
        match self.below(5) {
            0 => format!("bridge fdb del 02:00:00:00:04:{host:02x} dev vx0"),
            1 => format!("bridge fdb append 00:00:00:00:00:00 dev vx0 dst {remote}"),
            2 => format!("bridge fdb del 00:00:00:00:00:00 dev vx0 dst {remote}"),
            _ => format!("bridge fdb replace 02:00:00:00:04:{host:02x} dev vx0 dst {remote}"),
        }
    }

    fn nexthop(&mut self) -> String {
        let id = self.below(6) + 1;
        match self.below(6) {
            0 => format!("ip nexthop del id {id}"),
            1 => format!("ip nexthop replace id {id} group {},{}", self.below(6) + 1, self.below(6) + 1),
            2 => format!("ip nexthop replace id 7 via fe80::9 dev c{}", self.below(3)),
            3 => "ip nexthop del id 7".to_owned(),
            _ => format!("ip nexthop replace id {id} {}", self.hop4()),
        }
    }

    fn switch(&mut self) -> String {
        let switch = self.one_of(&["proxy_arp", "forwarding", "ignore_routes_with_linkdown"]);
        format!(
            "sysctl -qw net.ipv4.conf.{}.{switch}={}",
            self.one_of(&["c0", "c1", "eth0", "all"]),
            self.below(2)
        )
    }
}
