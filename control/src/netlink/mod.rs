//! The kernel's forwarding state over netlink (RFC 3549): asked for once, or followed.
//!
//! What the kernel answers fills the very types that a state file is parsed into, so that all that is made of a state is
//! the same on a live node and in a replay. The messages are decoded here, attribute by attribute, and an attribute that
//! nothing reads cannot make a message unreadable.

mod address;
mod adopt;
mod attribute;
mod by_link;
mod changes;
mod doubt;
mod dump;
mod error;
mod family;
mod follow;
mod link;
mod meanwhile;
mod message;
mod neighbour;
mod netconf;
mod nexthop;
mod node_state;
mod object;
mod prefixes;
mod route;
mod routes;
mod rule;
mod socket;
mod solicit;
mod store;
mod update;

pub use attribute::Malformed;
pub use changes::Changes;
pub use error::NetlinkError;
pub use family::Family;
pub use follow::{FollowCounters, FollowSettings, Follower};
pub use link::Link;
pub use neighbour::{Certainty, Fdb, FdbKey, FdbTable, Neighbour, Remote};
pub use netconf::Netconf;
pub use nexthop::Nexthop;
pub use object::Object;
pub use route::{Hop, Route};
pub use solicit::Solicitor;
pub use store::Store;

use dump::Requests;

/// The state of the network namespace of the calling thread, as the kernel has it now. Needs no privileges.
pub fn snapshot() -> Result<Store, NetlinkError> {
    let mut requests = Requests::open()?;
    let mut store = Store::default();
    for object in Object::ALL {
        requests.list(object, &mut store)?;
    }
    Ok(store)
}

#[cfg(test)]
mod tests;
