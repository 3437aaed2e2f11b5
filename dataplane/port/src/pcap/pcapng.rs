//! pcapng: blocks, of which those with frames and those that describe their interfaces are read.
//! Format: draft-ietf-opsawg-pcapng.

use super::capture::{Head, Ingress};
use super::classic::ETHERNET;
use super::error::{Fault, Place};
use super::input::{Input, Order};
use packetwalk_walk::tables::PortId;
use std::io::Read;

/// Type of a section header block, the same in both byte orders.
pub(super) const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Bytes of a block around its body: type and length before, length behind.
const FRAMING: u32 = 12;

/// Interfaces of a section at most: bounds what a hostile file can have remembered.
const MAX_INTERFACES: usize = 4096;

/// The longest interface name that is read. Linux's have 15 bytes.
const MAX_NAME: usize = 255;

/// The latest time, nanoseconds: that of a classic capture.
const LATEST: u64 = u32::MAX as u64 * 1_000_000_000 + 999_999_999;

/// The section that is being read.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
    blocks: u64,
    /// The interface of the first frame, and its name, where one port receives all.
    first: Option<(u32, Option<String>)>,
}

/// What a section says of an interface.
#[derive(Debug)]
struct Interface {
    link_type: u32,
    /// Bytes of a frame that are captured; 0: all.
    snap_length: u32,
    name: Option<String>,
    port: Option<PortId>,
    clock: Clock,
}

/// How the timestamps of an interface are to be read.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// Ticks of a second.
    rate: u64,
    /// Seconds to be added.
    offset: i64,
}

impl Pcapng {
    /// Reads the rest of the first section's header; None where `magic` is not of this format.
    pub(super) fn begin<R: Read>(magic: [u8; 4], input: &mut Input<R>) -> Result<Option<Self>, Fault> {
        if u32::from_be_bytes(magic) != SECTION {
            return Ok(None);
        }
        let mut length = [0; 4];
        input.fill(&mut length)?;
        let order = section(length, input)?;
        Ok(Some(Self { order, interfaces: Vec::new(), blocks: 1, first: None }))
    }

    /// Reads up to the next frame; None at the end. `number` is the frame's, `last` the time of the frame before.
    pub(super) fn next<R: Read>(
        &mut self,
        input: &mut Input<R>,
        ingress: &Ingress,
        number: u64,
        last: u64,
    ) -> Result<Option<Head>, (Place, Fault)> {
        loop {
            self.blocks += 1;
            let block = Place::Block(self.blocks);
            let mut start = [0; 8];
            if !input.begin(&mut start).map_err(|fault| (block, fault))? {
                return Ok(None);
            }
            let kind = self.order.u32(&start, 0);
            let length = self.order.u32(&start, 4);
            match kind {
                PACKET | SIMPLE_PACKET | ENHANCED_PACKET => {
                    let head = self.packet(kind, length, input, ingress, last);
                    return head.map(Some).map_err(|fault| (Place::Packet(number), fault));
                }
                SECTION => section([start[4], start[5], start[6], start[7]], input).map(|order| {
                    self.order = order;
                    self.interfaces.clear();
                }),
                INTERFACE => self.interface(length, input, ingress),
                _ => check(length, FRAMING).and_then(|()| {
                    input.skip(u64::from(length - FRAMING))?;
                    trailer(self.order, length, input)
                }),
            }
            .map_err(|fault| (block, fault))?;
        }
    }

    /// Reads what follows a frame in its block.
    pub(super) fn finish<R: Read>(&self, behind: Trailer, input: &mut Input<R>) -> Result<(), Fault> {
        input.skip(u64::from(behind.rest))?;
        trailer(self.order, behind.length, input)
    }

    /// Reads the header of a block with a frame.
    fn packet<R: Read>(
        &mut self,
        kind: u32,
        length: u32,
        input: &mut Input<R>,
        ingress: &Ingress,
        last: u64,
    ) -> Result<Head, Fault> {
        let fixed: u32 = if kind == SIMPLE_PACKET { 4 } else { 20 };
        check(length, FRAMING + fixed)?;
        let mut header = [0; 20];
        let header = &mut header[..fixed as usize];
        input.fill(header)?;

        let order = self.order;
        let number = match kind {
            SIMPLE_PACKET => 0,
            PACKET => u32::from(order.u16(header, 0)),
            _ => order.u32(header, 0),
        };
        let port = self.ingress(number, ingress)?;
        let interface = &self.interfaces[number as usize];
        if interface.link_type != ETHERNET {
            return Err(Fault::LinkType { found: interface.link_type });
        }
        let (time, captured, original) = if kind == SIMPLE_PACKET {
            // It has no time of its own: it came when the one before it came.
            let original = order.u32(header, 0);
            let limit = if interface.snap_length == 0 { u32::MAX } else { interface.snap_length };
            (last, original.min(limit), original)
        } else {
            let ticks = u64::from(order.u32(header, 4)) << 32 | u64::from(order.u32(header, 8));
            let time = interface.clock.nanoseconds(ticks).ok_or(Fault::Time)?;
            (time, order.u32(header, 12), order.u32(header, 16))
        };
        let head = Head::new(time, captured, original, port)?;
        let rest = (length - FRAMING - fixed)
            .checked_sub(captured)
            .ok_or(Fault::BlockLength { length, expected: "room for the captured bytes" })?;
        Ok(Head { trailer: Some(Trailer { rest, length }), ..head })
    }

    /// The port that received a frame of this interface.
    fn ingress(&mut self, number: u32, ingress: &Ingress) -> Result<PortId, Fault> {
        let known = self.interfaces.len();
        let interface =
            self.interfaces.get(number as usize).ok_or(Fault::InterfaceNumber { found: number, known })?;
        match (ingress, &self.first) {
            (Ingress::Port(port), None) => {
                self.first = Some((number, interface.name.clone()));
                Ok(*port)
            }
            (Ingress::Port(port), Some((first, name))) => match (&interface.name, name) {
                (Some(found), Some(name)) if number != *first && found != name => {
                    Err(Fault::SeveralInterfaces { found: found.clone(), first: name.clone() })
                }
                _ => Ok(*port),
            },
            (Ingress::ByName(ports), _) => interface.port.ok_or_else(|| match &interface.name {
                Some(name) => Fault::InterfaceName { found: name.clone(), ports: ports.clone() },
                None => Fault::Unnamed { format: "a pcapng interface" },
            }),
        }
    }

    /// Reads an interface description block.
    fn interface<R: Read>(
        &mut self,
        length: u32,
        input: &mut Input<R>,
        ingress: &Ingress,
    ) -> Result<(), Fault> {
        check(length, FRAMING + 8)?;
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(Fault::Interfaces { limit: MAX_INTERFACES });
        }
        let order = self.order;
        let mut header = [0; 8];
        input.fill(&mut header)?;
        let mut interface = Interface {
            link_type: u32::from(order.u16(&header, 0)),
            snap_length: order.u32(&header, 4),
            name: None,
            port: None,
            clock: Clock { rate: 1_000_000, offset: 0 },
        };
        let mut left = length - FRAMING - 8;
        while left >= 4 {
            let mut option = [0; 4];
            input.fill(&mut option)?;
            let (code, size) = (order.u16(&option, 0), order.u16(&option, 2));
            let padded = u32::from(size).next_multiple_of(4);
            left = (left - 4).checked_sub(padded).ok_or(Fault::Option {
                code,
                length: size,
                expected: "one that ends within its block",
            })?;
            if code == 0 {
                left += padded;
                break;
            }
            interface.option(code, size, order, input)?;
        }
        input.skip(u64::from(left))?;
        trailer(self.order, length, input)?;
        if let (Ingress::ByName(ports), Some(name)) = (ingress, &interface.name) {
            interface.port = ports.iter().position(|port| port == name).map(|index| PortId(index as u16));
        }
        self.interfaces.push(interface);
        Ok(())
    }
}

impl Interface {
    /// Reads the value of an option, with what pads it to 32 bits.
    fn option<R: Read>(
        &mut self,
        code: u16,
        size: u16,
        order: Order,
        input: &mut Input<R>,
    ) -> Result<(), Fault> {
        const NAME: u16 = 2;
        const RESOLUTION: u16 = 9;
        const OFFSET: u16 = 14;
        let wrong = |expected| Fault::Option { code, length: size, expected };
        let padded = usize::from(size).next_multiple_of(4);
        let mut value = [0; (MAX_NAME + 1).next_multiple_of(4)];
        match code {
            NAME if usize::from(size) > MAX_NAME => {
                return Err(wrong("an interface name of 255 bytes at most"));
            }
            RESOLUTION if size != 1 => return Err(wrong("1 byte")),
            OFFSET if size != 8 => return Err(wrong("8 bytes")),
            NAME | RESOLUTION | OFFSET => input.fill(&mut value[..padded])?,
            _ => return input.skip(padded as u64),
        }
        match code {
            NAME => {
                let name = String::from_utf8_lossy(&value[..usize::from(size)]);
                self.name = Some(name.trim_end_matches('\0').to_owned());
            }
            RESOLUTION => self.clock.rate = rate(value[0]).ok_or(Fault::Resolution { found: value[0] })?,
            _ => {
                // 64 bits in the order of the section.
                let (first, second) = (order.u32(&value, 0), order.u32(&value, 4));
                let (high, low) = if order == Order::Big { (first, second) } else { (second, first) };
                self.clock.offset = (u64::from(high) << 32 | u64::from(low)).cast_signed();
            }
        }
        Ok(())
    }
}

/// Ticks of a second: a power of 10, or of 2 where the highest bit is set.
fn rate(resolution: u8) -> Option<u64> {
    let exponent = u32::from(resolution & 0x7f);
    if resolution & 0x80 == 0 { 10u64.checked_pow(exponent) } else { 1u64.checked_shl(exponent) }
}

impl Clock {
    /// The time of a timestamp; None where a classic capture could not hold it.
    fn nanoseconds(self, ticks: u64) -> Option<u64> {
        const SECOND: u64 = 1_000_000_000;
        let nanoseconds = if SECOND.is_multiple_of(self.rate) {
            ticks.checked_mul(SECOND / self.rate)?
        } else {
            u64::try_from(u128::from(ticks) * u128::from(SECOND) / u128::from(self.rate)).ok()?
        };
        let offset = i128::from(self.offset) * i128::from(SECOND);
        u64::try_from(i128::from(nanoseconds) + offset).ok().filter(|time| *time <= LATEST)
    }
}

/// What follows a frame in its block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trailer {
    /// Bytes between the frame and the length behind the block.
    rest: u32,
    /// Length of the block.
    length: u32,
}

/// Reads the rest of a section header block, whose length is in the byte order that only its body tells.
fn section<R: Read>(length: [u8; 4], input: &mut Input<R>) -> Result<Order, Fault> {
    let mut body = [0; 16];
    input.fill(&mut body)?;
    let order = match u32::from_be_bytes([body[0], body[1], body[2], body[3]]) {
        0x1a2b_3c4d => Order::Big,
        0x4d3c_2b1a => Order::Little,
        found => return Err(Fault::ByteOrder { found }),
    };
    let (major, minor) = (order.u16(&body, 4), order.u16(&body, 6));
    if major != 1 {
        return Err(Fault::Version { major, minor, expected: "1.0" });
    }
    let length = order.u32(&length, 0);
    check(length, FRAMING + 16)?;
    input.skip(u64::from(length - FRAMING - 16))?;
    trailer(order, length, input)?;
    Ok(order)
}

/// Reads the length behind a block, which repeats the one before.
fn trailer<R: Read>(order: Order, length: u32, input: &mut Input<R>) -> Result<(), Fault> {
    let mut trailer = [0; 4];
    input.fill(&mut trailer)?;
    match order.u32(&trailer, 0) {
        found if found == length => Ok(()),
        found => Err(Fault::BlockLength { length: found, expected: "the same before and behind the block" }),
    }
}

/// Refuses a block length that cannot be.
fn check(length: u32, least: u32) -> Result<(), Fault> {
    if !length.is_multiple_of(4) {
        return Err(Fault::BlockLength { length, expected: "a multiple of 4" });
    }
    if length < least {
        return Err(Fault::BlockLength { length, expected: "room for the fields of its type" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_of_every_kind_give_nanoseconds() {
        let clock = |resolution, offset| Clock { rate: rate(resolution).expect("not too fine"), offset };
        assert_eq!(clock(6, 0).nanoseconds(1_700_000_000_000_001), Some(1_700_000_000_000_001_000));
        assert_eq!(clock(9, 0).nanoseconds(1_700_000_000_000_000_001), Some(1_700_000_000_000_000_001));
        assert_eq!(clock(0, 0).nanoseconds(1_700_000_000), Some(1_700_000_000_000_000_000));
        assert_eq!(clock(12, 0).nanoseconds(5_001), Some(5));
        assert_eq!(clock(0x8a, 0).nanoseconds(1536), Some(1_500_000_000));
        assert_eq!(clock(0, 1_700_000_000).nanoseconds(1), Some(1_700_000_001_000_000_000));
        assert_eq!(clock(0, -2).nanoseconds(1), None, "before 1970");
        assert_eq!(clock(0, 0).nanoseconds(1 << 32), None, "after 2106");
        assert_eq!(clock(0xbf, i64::MIN).nanoseconds(u64::MAX), None);
        assert!(rate(20).is_none() && rate(0xff).is_none());
    }
}
