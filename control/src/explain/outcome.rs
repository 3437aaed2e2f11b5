//! How a walk ended, and what in this case is at fault.

use super::headers::{self, Header, Ipv4Fields};
use super::model::{Outcome, Stage};
use super::observe::Explainer;
use packetwalk_walk::tables::{TunnelId, Vni};
use packetwalk_walk::wire::ipv4;
use packetwalk_walk::{DropReason, Outcome as Ended};

impl Explainer<'_> {
    /// How the walk ended.
    pub(super) fn outcome(&self, ended: Ended) -> Outcome {
        let (result, port, reason, help) = match ended {
            Ended::Forwarded(port) => ("forwarded", Some(port), None, None),
            Ended::Answered(port) => ("answered", Some(port), None, None),
            Ended::Punted(reason) => ("punted", None, Some(reason.name()), Some(reason.help())),
            Ended::Dropped(reason) => ("dropped", None, Some(reason.name()), Some(reason.help())),
        };
        let detail = match ended {
            Ended::Dropped(reason) => self.detail(reason),
            _ => None,
        };
        Outcome { result, port: port.map(|port| self.port(port)), reason, help, detail }
    }

    /// What in this case is at fault, where the stages do not show it.
    fn detail(&self, reason: DropReason) -> Option<String> {
        let tables = &self.node.tables;
        let routed = headers::ipv4_fields(&self.packet);
        match reason {
            DropReason::IpBadSource | DropReason::TunnelLoop | DropReason::InnerMalformed => {
                let source = routed?.source;
                tables.is_own(source.into()).then(|| format!("{source} is one of the node's own addresses"))
            }
            DropReason::IpChecksum => {
                let Ipv4Fields { checksum, checksum_expected, .. } = self.received_header()?;
                Some(format!("it says {checksum:#06x}, {checksum_expected:#06x} would be right"))
            }
            DropReason::ForwardingOff => self.iif.map(|link| format!("{} does not forward", self.link(link))),
            DropReason::TunnelPeerUnknown => {
                let header = routed?;
                let tunnel = self.tunnel_of(&header)?;
                Some(format!(
                    "{} is no peer of {}",
                    header.source,
                    self.link(tables.tunnels.tunnel(tunnel).link)
                ))
            }
            DropReason::VxlanVni => self.headers().iter().find_map(|header| match header {
                Header::Vxlan { vni, .. } => Some(format!("the VNI is {vni}")),
                _ => None,
            }),
            DropReason::LinkDown if self.adjacency.is_none() => {
                let port =
                    self.ingress.filter(|port| tables.ports.get(port.index()).is_some_and(|port| !port.up));
                Some(
                    port.map_or("the tunnel is down".to_owned(), |port| {
                        format!("{} is down", self.port(port))
                    }),
                )
            }
            _ if self.is_suppressed() => Some("here no ICMP error was sent".to_owned()),
            _ => self.adjacency.and_then(|id| self.node.way(id)).and_then(|way| way.fault.clone()),
        }
    }

    /// Whether an ICMP error was not sent.
    fn is_suppressed(&self) -> bool {
        self.walk.stages.iter().any(|stage| matches!(stage, Stage::Icmp { suppressed: Some(_), .. }))
    }

    /// The headers of the frame as received.
    fn headers(&self) -> &[Header] {
        match self.walk.stages.first() {
            Some(Stage::Received { headers, .. }) => headers,
            _ => &[],
        }
    }

    fn received_header(&self) -> Option<Ipv4Fields> {
        self.headers().iter().find_map(|header| match header {
            Header::Ipv4(fields) => Some(fields.clone()),
            _ => None,
        })
    }

    fn tunnel_of(&self, header: &Ipv4Fields) -> Option<TunnelId> {
        let tunnels = &self.node.tables.tunnels;
        if header.protocol == ipv4::IPIP {
            return tunnels.ipip(header.source.into(), header.destination.into());
        }
        let port = self.headers().iter().find_map(|header| match header {
            Header::Udp { destination, .. } => Some(*destination),
            _ => None,
        })?;
        self.headers().iter().find_map(|header| match header {
            Header::Vxlan { vni, .. } => tunnels.vxlan(port, Vni::new(*vni)?),
            _ => None,
        })
    }
}
