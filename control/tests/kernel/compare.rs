//! The walk against the kernel: the same frames by the same port, in the same order within a flow,
//! equal in every byte but for the fields that are free.
//!
//! Free, since each sender of a packet chooses them for itself, are
//! - the IPv4 identification of an outer header and of an ICMP error, with the header checksum,
//! - the UDP source port of a VXLAN packet: the kernel takes it from `ip_local_port_range`.
//!
//! Different on purpose is
//! - the outer TOS at entry: the kernel's VXLAN device leaves the DSCP at zero and turns CE into
//!   ECT(0) (RFC 3168), the walk copies both (RFC 6040 normal mode, uniform model of RFC 2983).
//!
//! Each is checked to be what it should be before it is left out.

use std::collections::{BTreeMap, BTreeSet};

use crate::explain::{Explainer, Reason};
use crate::packet::{Frame, Ipv4, TUNNEL};
use crate::recording::{Passed, Recording, Replayed};

/// What was seen, so that a test can say that a recording exercised what it should.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Frames that the walk and the kernel both sent.
    pub(crate) equal: usize,
    pub(crate) entered_tunnel: usize,
    /// Entered with another outer TOS than the kernel's.
    pub(crate) dscp_or_ce_copied: usize,
    pub(crate) fragments: usize,
    /// ICMP errors of both, by type and code.
    pub(crate) errors: BTreeMap<(u8, u8), usize>,
    /// ARP requests of the walk.
    pub(crate) asked: usize,
    /// Frames that only the kernel sent.
    pub(crate) explained: BTreeMap<Reason, usize>,
}

/// Frames that may not overtake each other. Fragments carry no ports, so they are a flow of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flow {
    port: String,
    what: String,
}

impl Flow {
    fn of(passed: &Passed) -> Self {
        let frame = Frame(&passed.bytes);
        let what = match (frame.arp(), frame.innermost()) {
            (Some(arp), _) => format!("ARP {} {} -> {}", arp.operation, arp.sender, arp.target),
            (None, Some(packet)) => format!(
                "{} > {} proto {} {:?} {:?}",
                packet.source(),
                packet.destination(),
                packet.protocol(),
                packet.ports(),
                packet.icmp()
            ),
            (None, None) => String::from("other"),
        };
        Self { port: passed.port.clone(), what }
    }
}

/// Compares one node's recording with its replay; the error lists the first differences.
pub(crate) fn compare(recording: &Recording, replayed: &Replayed) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut faults = Vec::new();
    let mut flows: BTreeMap<Flow, (Vec<Frame<'_>>, Vec<Frame<'_>>)> = BTreeMap::new();
    let mut kernel_asked = BTreeSet::new();

    let mut explainer = Explainer::new(recording, replayed);
    for passed in &recording.sent {
        match explainer.explain(passed) {
            Some(reason) => {
                *seen.explained.entry(reason).or_default() += 1;
                if reason == Reason::ArpRequest {
                    kernel_asked.insert((passed.port.as_str(), passed.bytes.as_slice()));
                }
            }
            None => flows.entry(Flow::of(passed)).or_default().0.push(Frame(&passed.bytes)),
        }
    }
    for passed in &replayed.sent {
        let frame = Frame(&passed.bytes);
        if frame.arp().is_some_and(|arp| arp.operation == 1 && recording.node.addresses.contains(&arp.sender))
        {
            // How often it is asked follows other timers than the kernel's, what is asked does not.
            seen.asked += 1;
            if !kernel_asked.contains(&(passed.port.as_str(), passed.bytes.as_slice())) {
                faults.push(format!("{}: the kernel did not ask so: {frame}\n{}", passed.port, hex(frame)));
            }
        } else {
            flows.entry(Flow::of(passed)).or_default().1.push(frame);
        }
    }

    let mut source_ports = BTreeMap::new();
    for (flow, (kernel, walk)) in &flows {
        for (index, (kernel, walk)) in kernel.iter().zip(walk).enumerate() {
            if let Err(fault) = equal(*kernel, *walk, recording, &mut seen, &mut source_ports) {
                faults.push(format!(
                    "{} {}, frame {index}: {fault}\n  kernel {kernel}\n  walk   {walk}\n  kernel {}\n  walk   {}",
                    flow.port,
                    flow.what,
                    hex(*kernel),
                    hex(*walk)
                ));
                break; // what follows in this flow is the same fault again, as a rule
            }
        }
        let common = kernel.len().min(walk.len());
        for missing in &kernel[common..] {
            faults.push(format!("{}: only the kernel sent {missing}\n  {}", flow.port, hex(*missing)));
        }
        for extra in &walk[common..] {
            faults.push(format!("{}: only the walk sent {extra}\n  {}", flow.port, hex(*extra)));
        }
    }
    if faults.is_empty() {
        return Ok(seen);
    }
    let count = faults.len();
    faults.truncate(20);
    Err(format!("{count} differences, the first of them:\n{}", faults.join("\n")))
}

/// Two frames of one flow, the free fields apart.
fn equal(
    kernel: Frame<'_>,
    walk: Frame<'_>,
    recording: &Recording,
    seen: &mut Seen,
    source_ports: &mut BTreeMap<String, u16>,
) -> Result<(), String> {
    let own = |packet: Ipv4<'_>| recording.node.addresses.contains(&packet.source());
    for packet in [walk.ipv4(), walk.innermost()].into_iter().flatten() {
        if !packet.header_is_sound() {
            return Err(String::from("the walk's IPv4 checksum is wrong"));
        }
    }
    let (mut left, mut right) = (kernel.0.to_vec(), walk.0.to_vec());
    let free = |from: usize, to: usize, left: &mut Vec<u8>, right: &mut Vec<u8>| {
        for side in [left, right] {
            if side.len() >= to {
                side[from..to].fill(0);
            }
        }
    };

    // The outer header of a packet that entered a tunnel here.
    let mut inner = 0;
    if let (Some(outer), Some(carried)) = (walk.ipv4().filter(|outer| own(*outer)), walk.carried()) {
        let kernel_outer = kernel.ipv4().ok_or("only the walk sent it through a tunnel")?;
        let packet = carried.ipv4().ok_or("the walk's tunnel carries something else than IPv4")?;
        let (source_port, _) = outer.ports().ok_or("no UDP header")?;
        let ports = format!(
            "{} {} {} {:?}",
            packet.source(),
            packet.destination(),
            packet.protocol(),
            packet.ports()
        );
        if !(49152..=65535).contains(&source_port)
            || *source_ports.entry(ports).or_insert(source_port) != source_port
        {
            return Err(format!("source port {source_port} is not in range, or not the flow's"));
        }
        if outer.tos() != packet.tos() {
            return Err(format!("the walk's outer TOS is {:02x}", outer.tos()));
        }
        let ecn_of_the_kernel = if packet.tos() & 3 == 3 { 2 } else { packet.tos() & 3 };
        if kernel_outer.tos() != ecn_of_the_kernel {
            return Err(format!("the kernel's outer TOS is {:02x}", kernel_outer.tos()));
        }
        seen.entered_tunnel += 1;
        seen.dscp_or_ce_copied += usize::from(outer.tos() != kernel_outer.tos());
        free(15, 16, &mut left, &mut right);
        free(18, 20, &mut left, &mut right);
        free(24, 26, &mut left, &mut right);
        free(34, 36, &mut left, &mut right);
        inner = TUNNEL + 14;
    }
    if let Some(packet) = walk.innermost() {
        seen.fragments += usize::from(packet.is_fragment());
        if packet.quoted().is_some() && own(packet) {
            *seen.errors.entry(packet.icmp().unwrap_or_default()).or_default() += 1;
            free(inner + 18, inner + 20, &mut left, &mut right);
            free(inner + 24, inner + 26, &mut left, &mut right);
        }
    }
    seen.equal += 1;
    match left.iter().zip(&right).position(|(left, right)| left != right) {
        Some(at) => Err(format!("byte {at} differs")),
        None if left.len() == right.len() => Ok(()),
        None => Err(format!("{} bytes instead of {}", right.len(), left.len())),
    }
}

fn hex(frame: Frame<'_>) -> String {
    frame.0.iter().take(120).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
