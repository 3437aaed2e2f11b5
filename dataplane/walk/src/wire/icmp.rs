//! ICMP (RFC 792): what is asked of a received message, and the errors that are sent.

/// Length of an error's header.
pub const HEADER: usize = 8;
/// Type: echo reply.
pub const ECHO_REPLY: u8 = 0;
/// Type: destination unreachable.
pub const UNREACHABLE: u8 = 3;
/// Type: time exceeded.
pub const TIME_EXCEEDED: u8 = 11;

/// Code of an unreachable: net.
pub const NET: u8 = 0;
/// Code of an unreachable: host.
pub const HOST: u8 = 1;
/// Code of an unreachable: fragmentation needed and DF set.
pub const FRAGMENTATION_NEEDED: u8 = 4;
/// Code of an unreachable: communication administratively prohibited (RFC 1812 5.2.7.1).
pub const PROHIBITED: u8 = 13;

/// What every link carries whole, bytes (RFC 791 3.2): an error is never cut shorter, so it quotes a header and more.
pub const MIN_ERROR: usize = 68;
/// The longest error, IP header included (RFC 1812 4.3.2.3).
pub const MAX_ERROR: usize = 576;

/// Whether no error may be sent about a message of this type: it is an error itself, or nobody knows what it is
/// (RFC 1122 3.2.2; Linux's `icmp_pointers` beyond `NR_ICMP_TYPES`).
#[inline]
pub fn forbids_error(kind: u8) -> bool {
    matches!(kind, 3 | 4 | 5 | 11 | 12) || kind > 18
}
