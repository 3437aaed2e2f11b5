//! Asking the kernel to resolve a neighbour, as it would for a packet of its own (`NTF_USE`).
//!
//! The kernel sends the ARP requests or neighbour solicitations (RFC 4861, 7.2 and 7.3), hears the answers and tells what
//! came of it, like of any other change. A neighbour that it does not know is sought; one that it is not sure of any more
//! (`STALE`) is asked whether it is still there; one that is being sought is left to that.

use super::error::NetlinkError;
use super::message::{Meaning, Messages, NLM_F_CREATE, NLM_F_REPLACE, request};
use super::socket::{Received, Socket};
use super::update::RTM_NEWNEIGH;
use std::net::IpAddr;
use std::time::Duration;

const NLM_F_ACK: u16 = 0x4;
const NTF_USE: u8 = 0x01;
const NDA_DST: u16 = 1;

/// The kernel answers while the request is being sent.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The way to ask for neighbours, in the network namespace that it was opened in.
#[derive(Debug)]
pub struct Solicitor {
    socket: Socket,
    sequence: u32,
}

impl Solicitor {
    /// Opens the way. That asking needs `CAP_NET_ADMIN` shows in the first question.
    pub fn open() -> Result<Self, NetlinkError> {
        Ok(Self { socket: Socket::for_requests(ANSWER_WITHIN)?, sequence: 0 })
    }

    /// Asks for the neighbour with this address on a link. It must not be one that was configured: the kernel would no
    /// longer keep a `PERMANENT` one for ever.
    pub fn solicit(&mut self, link: u32, address: IpAddr) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        // Replace: without it the kernel refuses to touch a neighbour that it has.
        let flags = NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK;
        self.socket.send(&request(RTM_NEWNEIGH, flags, self.sequence, &body(link, address)))?;
        loop {
            let datagram = match self.socket.receive()? {
                Received::Datagram(datagram) => datagram,
                Received::Nothing | Received::Overrun => {
                    let source = std::io::ErrorKind::TimedOut.into();
                    return Err(NetlinkError::NotSought {
                        link,
                        address,
                        source,
                        explanation: String::new(),
                    });
                }
            };
            for message in Messages::new(datagram).flatten() {
                if message.sequence != self.sequence {
                    continue;
                }
                return match message.meaning() {
                    Meaning::Refused(source, explanation) => {
                        Err(NetlinkError::NotSought { link, address, source, explanation })
                    }
                    _ => Ok(()),
                };
            }
        }
    }
}

/// `struct ndmsg`, and the address.
fn body(link: u32, address: IpAddr) -> Vec<u8> {
    let (family, octets) = match address {
        IpAddr::V4(address) => (2, address.octets().to_vec()),
        IpAddr::V6(address) => (10, address.octets().to_vec()),
    };
    let mut body = vec![family, 0, 0, 0];
    body.extend(link.to_ne_bytes());
    // No state: it stays what it is.
    body.extend([0, 0, NTF_USE, 0]);
    body.extend((4 + octets.len() as u16).to_ne_bytes());
    body.extend(NDA_DST.to_ne_bytes());
    body.extend(octets);
    body
}

#[cfg(test)]
mod tests {
    use super::super::neighbour::NeighbourMessage;
    use super::*;

    #[test]
    fn a_question_names_the_link_and_the_address() {
        for address in ["10.0.0.7", "fd00::7"] {
            let address: IpAddr = address.parse().expect("an address");
            let body = body(3, address);
            let decoded = NeighbourMessage::decode(&body).expect("it can be read");
            // What is in no state is no neighbour that `ip neigh` shows.
            assert_eq!(decoded, NeighbourMessage::Neighbour((3, address), None));
            assert_eq!(body[10], NTF_USE);
        }
    }
}
