//! A walk as text: what happened in a left column, how in the right.

use super::headers::{Header, Ipv4Fields, ecn_name, protocol_name};
use super::model::{
    Candidate, Exit, Key, Member, Neighbour, NextHop, Outcome, Rule, Stage, Term, Underlay, Vtep, Walk,
};
use anstyle::{AnsiColor, Style};
use packetwalk_walk::wire::{ethernet, vxlan};
use std::fmt;
use std::net::IpAddr;

/// Width of the left column.
const LEFT: usize = 11;

const NAME: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NOTED: Style = AnsiColor::Yellow.on_default();
const FAINT: Style = Style::new().dimmed();

/// For people. With escape sequences for bold and colour, which whoever prints it takes out where they are not wanted.
impl fmt::Display for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut page = Page { f, left: "" };
        let (seconds, fraction) = (self.time / 1_000_000_000, self.time % 1_000_000_000);
        page.stage("frame", format_args!("{} at {seconds}.{fraction:09} s", self.frame))?;
        let mut before: Option<&Stage> = None;
        for stage in &self.stages {
            match stage {
                // What is in it has been shown: its packet's header, and what a tunnel put before it.
                Stage::Sent { what: "frame", port, length, headers } => {
                    page.stage("sent", format_args!("by {port}, {length} bytes"))?;
                    let unshown = match before {
                        Some(Stage::Entry { .. }) => 0,
                        Some(Stage::Header { .. }) => 1,
                        _ => headers.len(),
                    };
                    page.headers(&headers[..unshown.min(headers.len())])?;
                }
                stage => page.show(stage)?,
            }
            before = Some(stage);
        }
        page.outcome(&self.outcome)
    }
}

struct Page<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    /// The name of the stage whose next line is its first.
    left: &'static str,
}

impl Page<'_, '_> {
    /// Begins a stage with its first line.
    fn stage(&mut self, name: &'static str, line: impl fmt::Display) -> fmt::Result {
        self.left = name;
        self.line(line)
    }

    /// A further line of the stage.
    fn line(&mut self, line: impl fmt::Display) -> fmt::Result {
        let name = std::mem::take(&mut self.left);
        writeln!(self.f, "{NAME}{name:<LEFT$}{NAME:#} {line}")
    }

    fn show(&mut self, stage: &Stage) -> fmt::Result {
        match stage {
            Stage::Received { port, role, length, headers } => {
                self.stage("received", format_args!("by {port} ({role}), {length} bytes"))?;
                self.headers(headers)
            }
            Stage::Ethernet { addressed, own, bridge } => {
                let own = match bridge {
                    Some(bridge) => format!("{own}, the address of its bridge {bridge}"),
                    None => format!("{own}, the port's own address"),
                };
                match *addressed {
                    "us" => self.stage("ethernet", format_args!("for {own}")),
                    "other" => self.stage("ethernet", format_args!("for somebody else: not {own}")),
                    group => self.stage("ethernet", format_args!("a {group} frame")),
                }
            }
            Stage::Switched { bridge, port } => {
                self.stage("bridge", format_args!("{bridge}: the destination is behind {port}"))
            }
            Stage::Arp { verdict, why } => {
                self.stage("arp", verdict.replace('_', " "))?;
                self.line(why)
            }
            Stage::Ipv4 { inner, iif, header } => {
                let which = if *inner { "inner header" } else { "header" };
                self.stage("ipv4", format_args!("{which} in order, came in by {iif}"))?;
                if *inner { self.line(Shown(&Header::Ipv4(header.clone()))) } else { Ok(()) }
            }
            Stage::Exit(exit) => self.exit(exit),
            Stage::Rules { key, rules } => self.rules(key, rules),
            Stage::Route { table, route, lost } => self.route(table, route, lost),
            Stage::Ecmp { flow, bucket, buckets, members } => self.ecmp(flow, *bucket, *buckets, members),
            Stage::Neighbour { link, address, found } => {
                let found = if *found { "is a neighbour on" } else { "has no neighbour entry on" };
                self.stage("neighbour", format_args!("{address} {found} {link}"))
            }
            Stage::NextHop(next_hop) => self.next_hop(next_hop),
            Stage::Ttl { before, after: Some(after) } => {
                self.stage("ttl", format_args!("{before} -> {after}"))
            }
            Stage::Ttl { before, after: None } => self.stage("ttl", format_args!("{before}: it ends here")),
            Stage::Mtu { length, mtu, terms, dont_fragment, fits } => {
                self.mtu(*length, *mtu, terms, *dont_fragment, *fits)
            }
            Stage::Fragments { count } => self.stage("fragments", format_args!("cut into {count}")),
            Stage::Header { before, after, changed } => self.header(before, after, changed),
            Stage::Entry { kind, link, headers } => {
                self.stage("entry", format_args!("into {link} ({kind}), put before it:"))?;
                self.headers(headers)
            }
            Stage::Icmp { .. } => self.icmp(stage),
            Stage::Sent { what, port, length, headers } => {
                let what = what.replace('_', " ");
                self.stage("sent", format_args!("{what} by {port}, {length} bytes"))?;
                self.headers(headers)
            }
        }
    }

    fn headers(&mut self, headers: &[Header]) -> fmt::Result {
        headers.iter().try_for_each(|header| self.line(Shown(header)))
    }

    fn exit(&mut self, exit: &Exit) -> fmt::Result {
        let Exit { kind, link, peer, vni, outer_ecn, inner_ecn, ecn, anomaly } = exit;
        let vni = vni.map(|vni| format!(", VNI {vni}")).unwrap_or_default();
        self.stage("exit", format_args!("out of {link} ({kind}{vni}), from its peer {peer}"))?;
        let anomaly = if *anomaly { ": RFC 6040 calls this dangerous" } else { "" };
        let ecn = ecn.unwrap_or("may not go on");
        self.line(format_args!("ECN {outer_ecn} outside, {inner_ecn} inside -> {ecn}{anomaly}"))
    }

    fn rules(&mut self, key: &Key, rules: &[Rule]) -> fmt::Result {
        let iif = key.iif.as_deref().map(|iif| format!(" iif {iif}")).unwrap_or_default();
        self.stage("rules", format_args!("for a packet from {} to {}{iif}", key.from, key.to))?;
        let width = rules.iter().map(|rule| rule.rule.len()).max().unwrap_or(0).min(48);
        for Rule { priority, rule, result } in rules {
            let (style, result) = match *result {
                "decides" => (GOOD, "decides"),
                "not_selected" => (FAINT, "not for this packet"),
                _ => (FAINT, "no route there"),
            };
            self.line(format_args!("  {priority:>5}: {rule:<width$}  {style}{result}{style:#}"))?;
        }
        if rules.iter().all(|rule| rule.result != "decides") {
            self.line("no rule knows a route")?;
        }
        Ok(())
    }

    fn route(&mut self, table: &str, route: &Candidate, lost: &[Candidate]) -> fmt::Result {
        self.stage("route", format_args!("longest match in table {table}:"))?;
        for line in route.route.lines() {
            self.line(format_args!("  {GOOD}{}{GOOD:#}", untabbed(line)))?;
        }
        for (number, Candidate { route, because, .. }) in lost.iter().enumerate() {
            if number == 0 {
                self.line(format_args!("{FAINT}lost to it:{FAINT:#}"))?;
            }
            let why = match *because {
                Some("higher_metric") => " (higher metric)",
                Some("later") => " (later)",
                _ => "",
            };
            for (number, line) in route.lines().enumerate() {
                let why = if number == 0 { why } else { "" };
                self.line(format_args!("  {FAINT}{}{why}{FAINT:#}", untabbed(line)))?;
            }
        }
        Ok(())
    }

    fn ecmp(&mut self, flow: &str, bucket: usize, buckets: usize, members: &[Member]) -> fmt::Result {
        self.stage("ecmp", format_args!("flow hash {flow}: bucket {bucket} of {buckets}"))?;
        let width = members.iter().map(|member| member.next_hop.len()).max().unwrap_or(0);
        for Member { next_hop, weight, buckets, chosen } in members {
            let (style, arrow) = if *chosen { (GOOD, "->") } else { (FAINT, "  ") };
            self.line(format_args!(
                "{style}{arrow} {next_hop:<width$}  weight {weight}, {buckets} buckets{style:#}"
            ))?;
        }
        Ok(())
    }

    fn next_hop(&mut self, next_hop: &NextHop) -> fmt::Result {
        let NextHop { gateway, link, neighbour, member, fdb, underlay, fault } = next_hop;
        self.stage("next hop", Via { gateway: *gateway, link: link.as_deref().unwrap_or("none") })?;
        if let Some(neighbour) = neighbour {
            self.stage("neighbour", neighbour)?;
        }
        if let Some(member) = member {
            self.stage("fdb", format_args!("behind {member}"))?;
        }
        if let Some(Vtep { mac, link, dst }) = fdb {
            self.stage("fdb", format_args!("{mac} dev {link} dst {dst}"))?;
        }
        if let Some(underlay) = underlay {
            self.underlay(underlay)?;
        }
        if let Some(fault) = fault {
            self.line(format_args!("{BAD}{fault}{BAD:#}"))?;
        }
        Ok(())
    }

    fn underlay(&mut self, underlay: &Underlay) -> fmt::Result {
        let Underlay { source, peer, rule, table, prefix, gateway, link, neighbour, member } = underlay;
        self.stage("underlay", format_args!("{source} > {peer}"))?;
        let by = match (rule, table, prefix) {
            (Some(rule), Some(table), Some(prefix)) => format!("rule {rule}, table {table}: {prefix} "),
            _ => String::new(),
        };
        self.line(format_args!("{by}{}", Via { gateway: *gateway, link }))?;
        self.stage("neighbour", neighbour)?;
        member.as_ref().map_or(Ok(()), |member| self.stage("fdb", format_args!("behind {member}")))
    }

    fn mtu(
        &mut self,
        length: usize,
        mtu: u32,
        terms: &[Term],
        dont_fragment: bool,
        fits: bool,
    ) -> fmt::Result {
        let verdict = match (fits, dont_fragment) {
            (true, _) => format!("{GOOD}fits{GOOD:#}"),
            (false, true) => format!("{BAD}too big, and DF is set{BAD:#}"),
            (false, false) => format!("{NOTED}too big, and may be fragmented{NOTED:#}"),
        };
        self.stage("mtu", format_args!("{length} bytes, {mtu} may pass: {verdict}"))?;
        // One number needs no arithmetic.
        let terms: Vec<_> = terms.iter().map(|term| term.text.as_str()).collect();
        match terms.as_slice() {
            [] => Ok(()),
            [term] => self.line(format_args!("{term}")),
            terms => self.line(format_args!("the least of {}", terms.join(" and "))),
        }
    }

    fn header(&mut self, before: &Ipv4Fields, after: &Ipv4Fields, changed: &[&str]) -> fmt::Result {
        self.stage("header", format_args!("{:<15} {:<15} after", "", "before"))?;
        for (name, before, after) in rows(before, after) {
            let mark = changed.contains(&name);
            // A field without a value in both is of no interest.
            if before.is_empty() && after.is_empty() {
                continue;
            }
            let (style, sign) = if mark { (NOTED, "changed") } else { (Style::new(), "") };
            let line =
                format!("{style}{:<15} {before:<15} {after:<15}{style:#} {sign}", name.replace('_', " "));
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    fn icmp(&mut self, stage: &Stage) -> fmt::Result {
        let Stage::Icmp { kind, code, name, mtu, source, destination, suppressed } = stage else {
            return Ok(());
        };
        let mtu = mtu.map(|mtu| format!(", MTU {mtu}")).unwrap_or_default();
        if let (Some(source), Some(destination)) = (source, destination) {
            return self.stage("icmp", format_args!("{name} ({kind}/{code}){mtu}: {source} > {destination}"));
        }
        let why = match suppressed.unwrap_or_default() {
            "not_due" => "none is due about an ICMP error or a later fragment (RFC 1812 4.3.2.7)",
            "rate" => "over the rate limit",
            "no_way_back" => "no way back to the sender",
            _ => "no free frame, or no room to send it",
        };
        self.stage("icmp", format_args!("{name} ({kind}/{code}): {NOTED}not sent{NOTED:#}"))?;
        self.line(why)
    }

    fn outcome(&mut self, outcome: &Outcome) -> fmt::Result {
        let Outcome { result, port, reason, help, detail } = outcome;
        let style = match *result {
            "forwarded" | "answered" => GOOD,
            "punted" => NOTED,
            _ => BAD,
        };
        let port = port.as_deref().map(|port| format!(" by {port}")).unwrap_or_default();
        let reason = reason.map(|reason| format!(" {reason}")).unwrap_or_default();
        self.stage("outcome", format_args!("{style}{result}{reason}{style:#}{port}"))?;
        if let Some(help) = help {
            self.line(help)?;
        }
        detail.as_ref().map_or(Ok(()), |detail| self.line(detail))
    }
}

/// `ip route` puts next hops of a route behind a tab.
fn untabbed(line: &str) -> String {
    line.replace('\t', "    ")
}

/// A next hop as `ip route` names it.
struct Via<'a> {
    gateway: Option<IpAddr>,
    link: &'a str,
}

impl fmt::Display for Via<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(gateway) = self.gateway {
            write!(f, "via {gateway} ")?;
        }
        write!(f, "dev {}", self.link)
    }
}

/// As `ip neigh` prints it.
impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dev {} lladdr {}", self.address, self.link, self.lladdr)
    }
}

/// The fields of two headers, by name; those without a value are empty.
fn rows(before: &Ipv4Fields, after: &Ipv4Fields) -> [(&'static str, String, String); 11] {
    let row = |name, value: fn(&Ipv4Fields) -> String| (name, value(before), value(after));
    [
        row("header_length", |ip| {
            if ip.header_length == 20 { String::new() } else { ip.header_length.to_string() }
        }),
        row("tos", |ip| format!("{:#04x} {}", ip.tos, ecn_name(ip.tos))),
        row("length", |ip| ip.length.to_string()),
        row("id", |ip| format!("{:#06x}", ip.id)),
        row("flags", |ip| ip.flags.to_owned()),
        row("offset", |ip| if ip.offset == 0 { String::new() } else { ip.offset.to_string() }),
        row("ttl", |ip| ip.ttl.to_string()),
        row("protocol", |ip| protocol_name(ip.protocol).map_or(ip.protocol.to_string(), str::to_owned)),
        row("checksum", |ip| format!("{:#06x}", ip.checksum)),
        row("source", |ip| ip.source.to_string()),
        row("destination", |ip| ip.destination.to_string()),
    ]
}

/// A header in one line.
struct Shown<'a>(&'a Header);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Header::Ethernet { destination, source, vlan, ethertype } => {
                write!(f, "Ethernet  {source} > {destination}")?;
                if let Some(vlan) = vlan {
                    write!(f, ", VLAN {vlan}")?;
                }
                match *ethertype {
                    ethernet::IPV4 => f.write_str(", IPv4"),
                    ethernet::ARP => f.write_str(", ARP"),
                    ethernet::IPV6 => f.write_str(", IPv6"),
                    other => write!(f, ", EtherType {other:#06x}"),
                }
            }
            Header::Arp { operation: 1, sender_mac, sender, target } => {
                write!(f, "ARP       who has {target}? tell {sender} ({sender_mac})")
            }
            Header::Arp { operation: 2, sender_mac, sender, target } => {
                write!(f, "ARP       {sender} is at {sender_mac}, to {target}")
            }
            Header::Arp { operation, sender, target, .. } => {
                write!(f, "ARP       operation {operation}, {sender} to {target}")
            }
            Header::Ipv4(header) => ipv4(f, header),
            Header::Udp { source, destination, length, checksum } => {
                write!(f, "UDP       {source} > {destination}, {length} bytes")?;
                if *checksum == 0 { f.write_str(", no checksum") } else { Ok(()) }
            }
            Header::Tcp { source, destination, flags } => {
                write!(f, "TCP       {source} > {destination}, {flags}")
            }
            Header::Icmp { kind, code, name, mtu } => {
                write!(f, "ICMP      {name} ({kind}/{code})")?;
                mtu.map_or(Ok(()), |mtu| write!(f, ", MTU {mtu}"))
            }
            Header::Vxlan { flags, vni } => {
                write!(f, "VXLAN     VNI {vni}")?;
                if *flags == vxlan::FLAG_VNI { Ok(()) } else { write!(f, ", flags {flags:#04x}") }
            }
        }
    }
}

fn ipv4(f: &mut fmt::Formatter<'_>, ip: &Ipv4Fields) -> fmt::Result {
    write!(f, "IPv4      {} > {}, ", ip.source, ip.destination)?;
    match protocol_name(ip.protocol) {
        Some(name) => f.write_str(name)?,
        None => write!(f, "protocol {}", ip.protocol)?,
    }
    write!(f, ", {} bytes, TTL {}", ip.length, ip.ttl)?;
    if ip.version != 4 {
        write!(f, ", version {}", ip.version)?;
    }
    if ip.header_length != 20 {
        write!(f, ", header {} bytes", ip.header_length)?;
    }
    if !ip.flags.is_empty() {
        write!(f, ", {}", ip.flags)?;
    }
    if ip.offset > 0 {
        write!(f, ", offset {}", ip.offset)?;
    }
    if ip.tos >> 2 != 0 {
        write!(f, ", DSCP {}", ip.tos >> 2)?;
    }
    if ip.tos & 0b11 != 0 {
        write!(f, ", {}", ecn_name(ip.tos))?;
    }
    // Of a header that is not whole nobody can tell.
    let is_whole = (20..=ip.length).contains(&u16::from(ip.header_length));
    if is_whole && ip.checksum != ip.checksum_expected {
        f.write_str(", checksum wrong")?;
    }
    Ok(())
}
