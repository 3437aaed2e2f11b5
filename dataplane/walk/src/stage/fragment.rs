//! Fragmentation on output (RFC 791 3.2), as Linux's `ip_do_fragment` cuts.

use crate::frame::Frame;
use crate::outcome::DropReason;
use crate::sink::Sink;
use crate::wire::ipv4::{self, Ipv4, MF, OFFSET};
use arrayvec::ArrayVec;

/// Fragments of one packet beyond the first, at most.
pub(crate) const MAX_MORE: usize = 63;

/// Cuts `frame`, which begins with its IPv4 header and is longer than `mtu` bytes, to its first fragment, and makes the
/// others from spare frames. Nothing is changed, and no spare kept, where they do not suffice.
pub(crate) fn cut<'f, S: Sink<'f>>(
    frame: &mut Frame<'f>,
    mtu: u32,
    sink: &mut S,
) -> Result<ArrayVec<Frame<'f>, MAX_MORE>, DropReason> {
    let packet = Ipv4::parsed(frame.bytes());
    let header = packet.header_length();
    let payload = packet.payload().len();
    let field = packet.fragment_field();
    // Every fragment but the last carries a multiple of 8 bytes.
    let share = (mtu as usize).saturating_sub(header) & !7;
    let count = if share == 0 { usize::MAX } else { payload.div_ceil(share) };
    // A fragment that says it lies beyond the longest datagram would get offsets that wrap to its beginning.
    let end = header + usize::from(field & OFFSET) * 8 + payload;
    if count > MAX_MORE + 1 || end > usize::from(u16::MAX) {
        return Err(DropReason::FragmentFailed);
    }

    let mut more = ArrayVec::new();
    for number in 1..count {
        let from = number * share;
        let length = share.min(payload - from);
        let mut spare = sink.spare();
        let Some(room) = spare.as_mut().and_then(|spare| spare.append(header + length)) else {
            for unused in more.into_iter().chain(spare) {
                sink.restore(unused);
            }
            return Err(DropReason::FragmentFailed);
        };
        let bytes = frame.bytes();
        room[..header].copy_from_slice(&bytes[..header]);
        room[header..].copy_from_slice(&bytes[header + from..header + from + length]);
        if field & OFFSET == 0 {
            ipv4::clear_uncopied_options(&mut room[ipv4::HEADER..header]);
        }
        let last = number + 1 == count;
        finish(room, header, (field & OFFSET) + (from / 8) as u16, !last || field & MF != 0);
        more.extend(spare);
    }
    frame.truncate(header + share);
    finish(frame.bytes_mut(), header, field & OFFSET, true);
    Ok(more)
}

/// Writes length, offset and checksum of a fragment. The reserved flag is cleared, as Linux does.
fn finish(fragment: &mut [u8], header: usize, offset: u16, more: bool) {
    let length = fragment.len() as u16;
    fragment[2..4].copy_from_slice(&length.to_be_bytes());
    fragment[6..8].copy_from_slice(&(offset | if more { MF } else { 0 }).to_be_bytes());
    ipv4::set_checksum(&mut fragment[..header]);
}
