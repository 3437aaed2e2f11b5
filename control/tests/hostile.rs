//! Mutilated frames of every golden folder, replayed by the binary: it runs to the end, accounts for every frame, and tshark
//! finds nothing wrong with the headers that it wrote.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Frame, own_addresses, read};
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, TsResolution};
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Mutilated copies of each frame.
const COPIES: u32 = 40;

/// Numbers that look random and are the same on every run (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound.max(1) as u64).unwrap()
    }

    /// Changes a few bytes, mostly of the headers; cuts or pads; and half of the time makes the first IPv4 header's
    /// checksum right again, so that the lie is believed.
    fn mutilate(&mut self, frame: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let reach = if self.below(4) > 0 { frame.len().min(80) } else { frame.len() };
            let at = self.below(reach);
            frame[at] = u8::try_from(self.below(256)).unwrap();
        }
        match self.below(6) {
            0 => frame.truncate(1 + self.below(frame.len())),
            1 => frame.resize(frame.len() + self.below(64), 0xcc),
            _ => {}
        }
        if self.below(2) == 0 && frame.len() >= 34 && frame[14] >> 4 == 4 {
            mend(&mut frame[14..]);
        }
    }
}

fn mend(header: &mut [u8]) {
    let length = usize::from(header[0] & 0xf) * 4;
    if !(20..=header.len()).contains(&length) {
        return;
    }
    header[10..12].fill(0);
    let words = header[..length].chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    header[10..12].copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
}

fn write(path: &Path, frames: &[Frame]) {
    let header = PcapHeader {
        datalink: DataLink::ETHERNET,
        ts_resolution: TsResolution::NanoSecond,
        ..Default::default()
    };
    let mut writer = PcapWriter::with_header(fs::File::create(path).unwrap(), header).unwrap();
    for frame in frames {
        let length = u32::try_from(frame.bytes.len()).unwrap();
        writer.write_packet(&PcapPacket::new(frame.time, length, &frame.bytes)).unwrap();
    }
}

/// The golden folders.
fn folders(root: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.join("report.json").exists() {
            found.push(path);
        } else if path.is_dir() {
            folders(&path, found);
        }
    }
    found.sort();
}

#[test]
fn mutilated_frames_are_accounted_for_and_what_is_sent_is_well_formed() {
    let mut found = Vec::new();
    folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcap-fixtures"), &mut found);
    assert!(found.len() > 5);
    for (number, folder) in found.iter().enumerate() {
        let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile").join(number.to_string());
        let _ = fs::remove_dir_all(&work);
        fs::create_dir_all(work.join("rx")).unwrap();
        let received = replay(folder, &work, &mut Numbers(number as u64));
        let state = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let state =
            state.into_iter().find(|path| path.file_stem().is_some_and(|stem| stem == "state")).unwrap();
        let own: HashSet<String> = own_addresses(&state).iter().map(ToString::to_string).collect();
        for entry in fs::read_dir(work.join("tx")).unwrap() {
            judge(&entry.unwrap().path(), &own, &received);
        }
    }
}

/// Replays mutilated copies of the folder's frames; returns their bytes.
fn replay(folder: &Path, work: &Path, numbers: &mut Numbers) -> HashSet<Vec<u8>> {
    let mut received = HashSet::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_packetwalk"));
    let state = ["state.json", "state.toml"].map(|name| folder.join(name));
    command.arg("replay").arg("--state").arg(state.iter().find(|path| path.exists()).unwrap());
    if folder.join("config.toml").exists() {
        command.arg("--config").arg(folder.join("config.toml"));
    }
    for entry in fs::read_dir(folder.join("rx")).unwrap() {
        let path = entry.unwrap().path();
        let mut frames = Vec::new();
        for copy in 0..COPIES {
            for frame in read(&path) {
                let mut frame = Frame { time: frame.time + Duration::from_secs(copy.into()), ..frame };
                numbers.mutilate(&mut frame.bytes);
                received.insert(frame.bytes.clone());
                frames.push(frame);
            }
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let mutilated = work.join("rx").join(name);
        write(&mutilated, &frames);
        let port = name.strip_suffix(".pcap").unwrap();
        command.arg("--rx").arg(format!("{port}={}", mutilated.display()));
    }
    let report = work.join("report.json");
    command.arg("--tx").arg(work.join("tx")).arg("--json").arg(&report);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}: {}", folder.display(), String::from_utf8_lossy(&done.stderr));
    let report: Value = serde_json::from_str(&fs::read_to_string(report).unwrap()).unwrap();
    let count = |key: &str| report["outcome"][key].as_u64().unwrap();
    assert_eq!(count("rx"), count("forwarded") + count("answered") + count("punted") + count("dropped"));
    received
}

/// What tshark makes of one frame.
struct Seen<'a> {
    length: usize,
    sources: Vec<&'a str>,
    lengths: Vec<usize>,
    protocols: Vec<&'a str>,
    /// 0: bad, 1: good, 2: not checked, for each IPv4 header.
    checksums: Vec<&'a str>,
    icmp: Vec<&'a str>,
    vxlan: bool,
}

fn judge(capture: &Path, own: &HashSet<String>, received: &HashSet<Vec<u8>>) {
    let frames = read(capture);
    let fields = [
        "frame.len",
        "ip.src",
        "ip.len",
        "ip.proto",
        "ip.checksum.status",
        "icmp.checksum.status",
        "vxlan.vni",
        "eth.type",
    ];
    let done = Command::new("tshark")
        .arg("-r")
        .arg(capture)
        .args([
            "-n",
            "-o",
            "ip.check_checksum:TRUE",
            "-d",
            "udp.port==8472,vxlan",
            "-d",
            "udp.port==4789,vxlan",
        ])
        .args(["-T", "fields", "-E", "occurrence=a"])
        .args(fields.iter().flat_map(|field| ["-e", field]))
        .output()
        .expect("tshark runs: apt-get install tshark");
    let text = String::from_utf8(done.stdout).unwrap();
    assert_eq!(text.lines().count(), frames.len(), "{}", String::from_utf8_lossy(&done.stderr));
    for (number, (line, frame)) in text.lines().zip(&frames).enumerate() {
        // Switched between members of a bridge, it is what somebody else wrote.
        if received.contains(&frame.bytes) {
            continue;
        }
        let columns: Vec<Vec<&str>> = line
            .split('\t')
            .map(|cell| cell.split(',').filter(|value| !value.is_empty()).collect())
            .collect();
        if columns[7].first() == Some(&"0x0806") {
            assert_eq!(frame.bytes.len(), 42, "{}: frame {}: ARP, unpadded", capture.display(), number + 1);
            continue;
        }
        let seen = Seen {
            length: columns[0][0].parse().unwrap(),
            sources: columns[1].clone(),
            lengths: columns[2].iter().map(|value| value.parse().unwrap()).collect(),
            protocols: columns[3].clone(),
            checksums: columns[4].clone(),
            icmp: columns[5].clone(),
            vxlan: !columns[6].is_empty(),
        };
        if let Err(fault) = seen.is_well_formed(own) {
            panic!("{}: frame {}: {fault}\n{line}\n{:02x?}", capture.display(), number + 1, frame.bytes);
        }
    }
}

impl Seen<'_> {
    fn is_well_formed(&self, own: &HashSet<String>) -> Result<(), String> {
        let ensure = |holds: bool, fault: &str| if holds { Ok(()) } else { Err(fault.to_owned()) };
        ensure(self.checksums.first() == Some(&"1"), "the IPv4 checksum is wrong")?;
        ensure(self.lengths[0] + 14 == self.length, "the frame is not as long as its packet")?;
        // What this node wrote itself: every header of it.
        if !own.contains(self.sources[0]) {
            return Ok(());
        }
        let headers = match (self.protocols[0], self.vxlan) {
            ("4", _) => 14 + 20,
            ("17", true) => 14 + 20 + 8 + 8 + 14,
            ("1", _) => {
                ensure(self.icmp.first() == Some(&"1"), "the ICMP checksum is wrong")?;
                return ensure(self.lengths[0] <= 576, "an ICMP error of more than 576 bytes");
            }
            other => return Err(format!("from an own address, and neither tunnel nor ICMP: {other:?}")),
        };
        ensure(self.checksums.get(1) == Some(&"1"), "the inner IPv4 checksum is wrong")?;
        ensure(self.lengths[1] + headers == self.length, "the inner packet does not fill its tunnel packet")
    }
}
