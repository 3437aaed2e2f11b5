//! Captures of every kind: read as what another implementation wrote, refused with a reason where they are broken, and
//! written so that another implementation reads them.

use packetwalk_port::pcap::{Capture, CaptureError, Ingress, Merge, Recorder, Remark, Writer};
use packetwalk_port::{BUFFER, Buffers, MAX_FRAME};
use packetwalk_walk::tables::PortId;
use packetwalk_walk::{Batch, Sink};
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::simple_packet::SimplePacketBlock;
use pcap_file::{DataLink, Endianness, TsResolution};
use proptest::prelude::*;
use std::path::Path;
use std::time::Duration;

const START: u64 = 1_700_000_000_000_000_000;

type Packets = Vec<(u64, u16, Vec<u8>)>;

fn read(bytes: &[u8], ingress: Ingress) -> Result<Packets, CaptureError> {
    let mut capture = Capture::new(Path::new("test.pcap"), bytes, ingress)?;
    let mut buffer = vec![0; MAX_FRAME];
    let mut packets = Vec::new();
    while let Some(packet) = capture.read(&mut buffer)? {
        packets.push((packet.time, packet.port.0, buffer[..packet.length].to_vec()));
    }
    Ok(packets)
}

fn error(bytes: &[u8]) -> String {
    read(bytes, Ingress::Port(PortId(0))).expect_err("it is broken").to_string()
}

fn classic(packets: &[(u64, &[u8])], endianness: Endianness, ts_resolution: TsResolution) -> Vec<u8> {
    let header = PcapHeader {
        version_major: 2,
        version_minor: 4,
        ts_correction: 0,
        ts_accuracy: 0,
        snaplen: 262_144,
        datalink: DataLink::ETHERNET,
        ts_resolution,
        endianness,
    };
    let mut writer = PcapWriter::with_header(Vec::new(), header).expect("a header");
    for (time, data) in packets {
        let packet = PcapPacket::new(Duration::from_nanos(*time), data.len() as u32, data);
        writer.write_packet(&packet).expect("a packet");
    }
    writer.into_writer()
}

fn interface(name: Option<&str>, linktype: DataLink) -> InterfaceDescriptionBlock<'static> {
    let mut options = vec![InterfaceDescriptionOption::IfTsResol(9)];
    options.extend(name.map(|name| InterfaceDescriptionOption::IfName(name.to_owned().into())));
    InterfaceDescriptionBlock { linktype, snaplen: 0, options }
}

fn enhanced(interface_id: u32, time: u64, data: &[u8]) -> EnhancedPacketBlock<'_> {
    EnhancedPacketBlock {
        interface_id,
        timestamp: Duration::from_nanos(time),
        original_len: data.len() as u32,
        data: data.into(),
        options: Vec::new(),
    }
}

/// Two named interfaces and a packet of each.
fn two_interfaces(endianness: Endianness) -> Vec<u8> {
    let mut writer = PcapNgWriter::with_endianness(Vec::new(), endianness).expect("a section");
    for name in ["cali1", "eth0"] {
        writer.write_pcapng_block(interface(Some(name), DataLink::ETHERNET)).expect("an interface");
    }
    writer.write_pcapng_block(enhanced(1, START + 1, b"from eth0")).expect("a packet");
    writer.write_pcapng_block(enhanced(0, START + 2, b"from cali1")).expect("a packet");
    writer.into_inner()
}

#[test]
fn classic_captures_of_both_orders_and_resolutions_are_read() {
    for endianness in [Endianness::Big, Endianness::Little] {
        for (resolution, tick) in [(TsResolution::MicroSecond, 1000), (TsResolution::NanoSecond, 1)] {
            let bytes =
                classic(&[(START + 7 * tick, b"one"), (START + 8 * tick, b"")], endianness, resolution);
            let expected = vec![(START + 7 * tick, 3, b"one".to_vec()), (START + 8 * tick, 3, vec![])];
            assert_eq!(read(&bytes, Ingress::Port(PortId(3))).expect("whole"), expected);
        }
    }
}

#[test]
fn interfaces_of_a_pcapng_are_matched_to_ports_by_name() {
    for endianness in [Endianness::Big, Endianness::Little] {
        let ports = vec!["eth0".to_owned(), "cali1".to_owned()];
        let packets = read(&two_interfaces(endianness), Ingress::ByName(ports)).expect("whole");
        let expected = vec![(START + 1, 0, b"from eth0".to_vec()), (START + 2, 1, b"from cali1".to_vec())];
        assert_eq!(packets, expected);
    }
}

#[test]
fn an_interface_that_is_no_port_is_named() {
    let bytes = two_interfaces(Endianness::Little);
    let error = read(&bytes, Ingress::ByName(vec!["eth0".into(), "eth1".into()])).expect_err("no cali1");
    assert_eq!(
        error.to_string(),
        "test.pcap: packet 2: a packet of interface cali1, which is no port of this node: expected one of eth0, eth1"
    );
}

#[test]
fn one_port_does_not_get_the_frames_of_two_interfaces() {
    let message = error(&two_interfaces(Endianness::Little));
    assert!(
        message.starts_with("test.pcap: packet 2: a packet of interface cali1 after packets of eth0"),
        "{message}"
    );
}

#[test]
fn names_are_needed_to_match_by_name() {
    let ports = || Ingress::ByName(vec!["eth0".into()]);
    let bytes = classic(&[(START, b"x")], Endianness::Little, TsResolution::MicroSecond);
    assert!(read(&bytes, ports()).expect_err("classic").to_string().contains("expected --rx PORT=FILE"));
    let mut writer = PcapNgWriter::new(Vec::new()).expect("a section");
    writer.write_pcapng_block(interface(None, DataLink::ETHERNET)).expect("an interface");
    writer.write_pcapng_block(enhanced(0, START, b"x")).expect("a packet");
    let bytes = writer.into_inner();
    assert!(
        read(&bytes, ports())
            .expect_err("no name")
            .to_string()
            .contains("packet 1: a pcapng interface without")
    );
    assert_eq!(read(&bytes, Ingress::Port(PortId(0))).expect("one port needs no names").len(), 1);
}

#[test]
fn simple_packets_come_when_the_packet_before_came() {
    let mut writer = PcapNgWriter::new(Vec::new()).expect("a section");
    writer.write_pcapng_block(interface(Some("eth0"), DataLink::ETHERNET)).expect("an interface");
    writer.write_pcapng_block(enhanced(0, START, b"first")).expect("a packet");
    let simple = SimplePacketBlock { original_len: 6, data: b"second"[..].into() };
    writer.write_pcapng_block(simple).expect("a packet");
    let packets = read(&writer.into_inner(), Ingress::Port(PortId(0))).expect("whole");
    assert_eq!(packets[1], (START, 0, b"second".to_vec()));
}

#[test]
fn a_new_section_forgets_the_interfaces_and_may_change_the_order() {
    let mut bytes = two_interfaces(Endianness::Little);
    bytes.extend(two_interfaces(Endianness::Big));
    let ports = vec!["eth0".to_owned(), "cali1".to_owned()];
    assert_eq!(read(&bytes, Ingress::ByName(ports)).expect("whole").len(), 4);
    let little = Endianness::Little;
    let mut writer = PcapNgWriter::with_endianness(Vec::new(), little).expect("a section");
    writer.write_pcapng_block(interface(Some("eth0"), DataLink::ETHERNET)).expect("an interface");
    let mut bytes = writer.into_inner();
    bytes.extend(PcapNgWriter::with_endianness(Vec::new(), little).expect("a section").into_inner());
    bytes.extend([6u32, 32, 0, 0, 0, 0, 0, 32].iter().flat_map(|word| word.to_le_bytes()));
    assert_eq!(
        error(&bytes),
        "test.pcap: packet 1: a packet of interface 0: expected one of the 0 that the section describes before it"
    );
}

#[test]
fn errors_name_file_packet_and_what_was_expected() {
    let whole = classic(&[(START, b"one"), (START, b"two")], Endianness::Little, TsResolution::MicroSecond);
    let with = |at: usize, word: u32| {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        bytes
    };
    let second = 24 + 16 + 3;
    for (bytes, message) in [
        (vec![], "an empty file: expected pcap (magic a1b2c3d4 or a1b23c4d) or pcapng (0a0d0d0a)"),
        (
            vec![1, 2],
            "a file of less than 4 bytes: expected pcap (magic a1b2c3d4 or a1b23c4d) or pcapng (0a0d0d0a)",
        ),
        (
            b"{\"addr\":[]}".to_vec(),
            "magic 7b226164: expected pcap (magic a1b2c3d4 or a1b23c4d) or pcapng (0a0d0d0a)",
        ),
        (whole[..20].to_vec(), "the file ends within its record: expected 4 more bytes"),
        (whole[..second + 10].to_vec(), "packet 2: the file ends within its record: expected 6 more bytes"),
        (
            whole[..whole.len() - 1].to_vec(),
            "packet 2: the file ends within its record: expected 1 more byte",
        ),
        (with(4, 0x0004_0003), "version 3.4: expected 2.4"),
        (with(20, 113), "link type 113 (Linux cooked, as `tcpdump -i any` writes it): expected 1 (Ethernet)"),
        (
            with(second + 8, u32::MAX),
            "packet 2: a captured length of 4294967295 bytes: expected 65553 at most",
        ),
        (with(second + 12, 2), "packet 2: a captured length of 3 bytes: expected no more than the frame's 2"),
        (
            with(24 + 4, 1_000_000),
            "packet 1: a timestamp with 1000000 microseconds in its second: expected fewer than 1000000",
        ),
    ] {
        assert_eq!(error(&bytes), format!("test.pcap: {message}"));
    }
}

#[test]
fn broken_blocks_are_refused() {
    let whole = two_interfaces(Endianness::Little);
    // A section of 28 bytes, then the first interface.
    let with = |at: usize, word: u32| {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        bytes
    };
    for (bytes, message) in [
        (with(8, 7), "a section with byte order magic 07000000: expected 1a2b3c4d"),
        (with(12, 2), "version 2.0: expected 1.0"),
        (with(4, 8), "a block length of 8: expected room for the fields of its type"),
        (with(32, 21), "block 2: a block length of 21: expected a multiple of 4"),
        (with(32, u32::MAX - 3), "block 2: the file ends"),
        (
            with(44, 0xfff0_0009),
            "block 2: an option 9 of 65520 bytes: expected one that ends within its block",
        ),
        (with(44, 0x0004_0009), "block 2: an option 9 of 4 bytes: expected 1 byte"),
        (with(48, 20), "block 2: a timestamp resolution (if_tsresol) of 0x14"),
    ] {
        let message =
            if message.starts_with("link") { format!("packet 2: {message}") } else { message.into() };
        let found = error(&bytes);
        assert!(found.starts_with(&format!("test.pcap: {message}")), "{found}, expected {message}");
    }
    let mut writer = PcapNgWriter::new(Vec::new()).expect("a section");
    writer.write_pcapng_block(interface(Some("any"), DataLink::LINUX_SLL)).expect("an interface");
    writer.write_pcapng_block(enhanced(0, START, b"x")).expect("a packet");
    assert!(error(&writer.into_inner()).starts_with("test.pcap: packet 1: link type 113 (Linux cooked"));
    let mut trailer = whole[..whole.len() - 44].to_vec();
    let last = trailer.len() - 4;
    trailer[last] ^= 4;
    assert!(error(&trailer).contains("packet 1: a block length of"), "{}", error(&trailer));
}

#[test]
fn odd_captures_are_read_with_a_remark() {
    let mut bytes =
        classic(&[(START, b"cut"), (START - 1, b"whole")], Endianness::Big, TsResolution::NanoSecond);
    bytes[24 + 12..24 + 16].copy_from_slice(&1500u32.to_be_bytes());
    let mut capture = Capture::new(Path::new("x"), &bytes[..], Ingress::Port(PortId(0))).expect("a header");
    let mut buffer = [0; 64];
    while capture.read(&mut buffer).expect("whole").is_some() {}
    let remarks: Vec<_> = capture.remarks().map(|remark: Remark| remark.to_string()).collect();
    assert_eq!(remarks.len(), 2);
    assert!(remarks[0].starts_with("1 of its frames are cut short (packet 1 is the first: 3 of 1500 bytes)"));
    assert!(remarks[1].starts_with("1 of its packets are older than the one before (packet 2 is the first)"));
}

#[test]
fn captures_are_merged_by_time_and_ties_in_the_order_of_the_options() {
    let capture = |times: &[u64], port| {
        let packets: Vec<_> = times.iter().map(|time| (START + time, &b"frame"[..])).collect();
        (classic(&packets, Endianness::Little, TsResolution::NanoSecond), port)
    };
    let files = [capture(&[5, 5, 9], 0), capture(&[1, 5], 1), capture(&[], 2), capture(&[5, 3], 3)];
    let captures = files
        .iter()
        .map(|(bytes, port)| {
            Capture::new(Path::new("x"), &bytes[..], Ingress::Port(PortId(*port))).expect("a header")
        })
        .collect();
    let mut merge = Merge::new(captures).expect("whole");
    let mut buffers = Buffers::new(64, BUFFER);
    let mut pool = buffers.pool();
    let mut bursts = Vec::new();
    let mut batch = Batch::new();
    while let Some(burst) = merge.fill(&mut pool, &mut batch).expect("whole") {
        let ports: Vec<_> = batch.iter().map(|frame| frame.ingress().0).collect();
        bursts.push((burst.now.0 - START, burst.first, ports));
        batch.drain(..).for_each(|frame| pool.give(frame.into_buffer()));
    }
    // The last capture's second frame is older than its first: it follows it.
    assert_eq!(bursts, [(1, 1, vec![1]), (5, 2, vec![0, 0, 1, 3]), (3, 6, vec![3]), (9, 7, vec![0])]);
    assert_eq!(pool.free(), 64);
}

#[test]
fn a_burst_is_no_longer_than_a_batch() {
    let packets = vec![(START, &b"frame"[..]); 150];
    let bytes = classic(&packets, Endianness::Little, TsResolution::NanoSecond);
    let capture = Capture::new(Path::new("x"), &bytes[..], Ingress::Port(PortId(0))).expect("a header");
    let mut merge = Merge::new(vec![capture]).expect("whole");
    let mut buffers = Buffers::new(64, BUFFER);
    let mut pool = buffers.pool();
    let mut batch = Batch::new();
    let mut sizes = Vec::new();
    while let Some(burst) = merge.fill(&mut pool, &mut batch).expect("whole") {
        sizes.push((burst.first, batch.len()));
        batch.drain(..).for_each(|frame| pool.give(frame.into_buffer()));
    }
    assert_eq!(sizes, [(1, 64), (65, 64), (129, 22)]);
}

#[test]
fn what_is_written_is_read_by_another_implementation() {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(Path::new("x"), &mut bytes).expect("a header");
    writer.write(START + 123_456_789, b"a frame").expect("a frame");
    writer.finish().expect("flushed");
    let mut reader = PcapReader::new(&bytes[..]).expect("a header");
    assert_eq!(reader.header().datalink, DataLink::ETHERNET);
    let packet = reader.next_packet().expect("one").expect("whole");
    assert_eq!(packet.timestamp, Duration::from_nanos(START + 123_456_789));
    assert_eq!((&packet.data[..], packet.orig_len), (&b"a frame"[..], 7));
    assert!(reader.next_packet().is_none());
}

#[test]
fn a_directory_shows_the_last_run_only() {
    let directory = std::env::temp_dir().join(format!("packetwalk-recorder-{}", std::process::id()));
    let names = ["eth0", "eth1"].map(str::to_owned);
    let files = || {
        let mut files: Vec<_> = std::fs::read_dir(&directory)
            .expect("it was made")
            .map(|entry| entry.expect("readable").file_name().into_string().expect("a name"))
            .collect();
        files.sort();
        files
    };
    for (port, expected) in [(1, "eth1.pcap"), (0, "eth0.pcap")] {
        let mut buffers = Buffers::new(1, BUFFER);
        let mut recorder =
            Recorder::create(buffers.pool(), &directory, &names, Some(&directory.join("punt")))
                .expect("writable");
        std::fs::write(directory.join("other.pcap"), "somebody else's").expect("writable");
        let spare = recorder.spare().expect("one");
        assert!(recorder.spare().is_none());
        recorder.transmit(PortId(port), spare);
        recorder.check().and_then(|()| recorder.finish()).expect("writable");
        assert_eq!(files(), [expected, "other.pcap", "punt"]);
    }
    let mut buffers = Buffers::new(1, BUFFER);
    let escape = Recorder::create(buffers.pool(), &directory, &["../x".into()], None).expect_err("a path");
    assert!(escape.to_string().contains("a port name that cannot be a file name"), "{escape}");
    std::fs::remove_dir_all(&directory).expect("removable");
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0..4usize) {
        let start = [
            &[][..],
            &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0],
            &[10, 13, 13, 10, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 28, 0, 0, 0],
            &[10, 13, 13, 10],
        ][kind];
        let bytes: Vec<_> = start.iter().chain(&bytes).copied().collect();
        let _ = read(&bytes, Ingress::Port(PortId(0)));
        let _ = read(&bytes, Ingress::ByName(vec!["eth0".into()]));
    }

    #[test]
    fn damaged_captures_do_not_make_the_reader_panic(at in 0..400usize, byte: u8, end in 0..400usize) {
        let mut bytes = two_interfaces(Endianness::Little);
        let length = bytes.len();
        bytes[at % length] = byte;
        let _ = read(&bytes, Ingress::Port(PortId(0)));
        let _ = read(&bytes[..end % length], Ingress::ByName(vec!["eth0".into(), "cali1".into()]));
    }
}
