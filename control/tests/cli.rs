//! The command line: what it says, and how it exits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, Endianness};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

const STATE: &str = r#"{
    "addr": [
        {"ifname": "eth0", "address": "02:00:00:00:00:01", "mtu": 1500, "flags": ["UP", "LOWER_UP"], "link_type": "ether",
         "addr_info": [{"family": "inet", "local": "192.0.2.1", "prefixlen": 24, "scope": "global"}]},
        {"ifname": "cali1", "address": "ee:ee:ee:ee:ee:ee", "mtu": 1500, "flags": ["UP", "LOWER_UP"],
         "link_type": "ether", "linkinfo": {"info_kind": "veth"}}],
    "route": [{"dst": "10.0.0.1", "dev": "cali1", "scope": "link"}, {"dst": "192.0.2.0/24", "dev": "eth0", "scope": "link"}],
    "neigh": [{"dst": "10.0.0.1", "dev": "cali1", "lladdr": "02:00:00:00:00:10", "state": ["REACHABLE"]},
              {"dst": "192.0.2.9", "dev": "eth0", "lladdr": "02:00:00:00:00:09", "state": ["REACHABLE"]}]
}"#;

/// A directory of its own for a test.
struct Sandbox(PathBuf);

impl Sandbox {
    fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli").join(test);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        let sandbox = Self(path);
        sandbox.put("node.json", STATE.as_bytes());
        sandbox
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.join(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap()
    }

    fn files(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.join(name)).unwrap();
        let mut files: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        files
    }

    fn run(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_packetwalk"));
        command.current_dir(&self.0).args(arguments.split_whitespace()).output().unwrap()
    }

    /// Runs what must fail with exit code 2 and without output, and returns what it says.
    fn refused(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {message}");
        assert!(output.stdout.is_empty(), "{arguments}: {}", String::from_utf8_lossy(&output.stdout));
        message
    }

    fn stdout(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// An echo request in Ethernet, to the port's own MAC address.
fn ping(mac: [u8; 6], source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
    let mut frame = [&mac[..], &[2, 0, 0, 0, 0, 0x99], &[8, 0]].concat();
    let mut header = [0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    header[12..16].copy_from_slice(&source);
    header[16..].copy_from_slice(&destination);
    let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(header);
    frame.extend([8, 0, 0xf7, 0xff, 0, 0, 0, 0]);
    frame
}

fn to_world() -> Vec<u8> {
    ping([0xee; 6], [10, 0, 0, 1], [192, 0, 2, 9])
}

fn to_pod() -> Vec<u8> {
    ping([2, 0, 0, 0, 0, 1], [192, 0, 2, 9], [10, 0, 0, 1])
}

fn pcap(frames: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for (time, frame) in frames {
        for word in [*time, 0, frame.len() as u32, frame.len() as u32] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    bytes
}

/// The frames of a classic capture with nanoseconds.
fn frames_of(capture: &[u8]) -> Vec<Vec<u8>> {
    assert_eq!(capture[..4], 0xa1b2_3c4du32.to_le_bytes());
    let mut rest = &capture[24..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        frames.push(rest[16..16 + length].to_vec());
        rest = &rest[16 + length..];
    }
    frames
}

#[test]
fn versions_and_help_are_given() {
    let sandbox = Sandbox::new("help");
    assert_eq!(sandbox.stdout("--version"), format!("packetwalk {}\n", env!("CARGO_PKG_VERSION")));
    for verb in ["replay", "explain", "route get"] {
        let help = sandbox.stdout(&format!("{verb} --help"));
        assert!(help.contains("Examples:") && help.contains(&format!("packetwalk {verb}")), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 120), "{help}");
    }
}

#[test]
fn a_bad_command_line_is_refused() {
    let sandbox = Sandbox::new("usage");
    sandbox.put("a.pcap", &pcap(&[]));
    for (arguments, message) in [
        ("", "Usage:"),
        ("forward", "unrecognized subcommand 'forward'"),
        ("run", "this release takes no interface yet: expected --shadow"),
        ("replay --state node.json --tx out", "--rx <[PORT=]FILE>"),
        ("replay --state node.json --rx =a.pcap --tx out", "expected PORT=FILE, or FILE for a pcapng"),
        (
            "replay --state node.json --rx eth7=a.pcap --tx out",
            "--rx eth7: the node has no such port: expected one of eth0, cali1",
        ),
        ("explain --rx eth0=a.pcap --frame 0 --state node.json", "invalid value '0' for '--frame <N>'"),
        ("explain --rx eth0=a.pcap --frame 1 --socket nobody", "nobody: nobody answers there"),
        ("explain --rx eth0=a.pcap --frame 1 --state node.json", "--frame 1: the captures hold 0 frames"),
        ("route get 10.0.0.1 --socket nobody", "expected a running `packetwalk run`"),
        ("route get here --state node.json", "invalid value 'here' for '<ADDR>'"),
        ("route get 10.0.0.1 --iif eth7 --state node.json", "Cannot find device \"eth7\""),
        ("route get 203.0.113.1 --state node.json", "Network is unreachable"),
    ] {
        let said = sandbox.refused(arguments);
        assert!(said.contains(message), "{arguments}: {said}");
    }
    assert!(!sandbox.0.join("out").exists(), "a refused replay writes nothing");
}

#[test]
fn a_bad_state_or_configuration_is_named() {
    let sandbox = Sandbox::new("files");
    sandbox.put("a.pcap", &pcap(&[]));
    sandbox.put("bad.json", br#"{"addr": [{"ifname": "eth0", "mtu": "big"}]}"#);
    sandbox.put("broken.json", b"{\n  \"addr\": [\n");
    sandbox.put("bad.toml", b"[tunnel]\naccept = \"nobody\"\n");
    let replay = |state: &str, more: &str| {
        sandbox.refused(&format!("replay --state {state} --rx eth0=a.pcap --tx out {more}"))
    };
    for (said, message) in [
        (replay("none.json", ""), "error: none.json: cannot read the state: No such file"),
        (replay("bad.json", ""), "error: bad.json: addr[0].mtu: "),
        (replay("broken.json", ""), "error: broken.json:3:0: "),
        (
            replay("node.json", "--config bad.toml"),
            "error: bad.toml:2: tunnel.accept: unknown variant `nobody`, expected `known` or `any`",
        ),
        (replay("node.json", "--config none.toml"), "error: none.toml: No such file"),
    ] {
        assert!(said.starts_with(message), "{said}, expected {message}");
    }
}

#[test]
fn a_bad_capture_is_named_with_the_packet() {
    let sandbox = Sandbox::new("captures");
    let whole = pcap(&[(1, to_world()), (2, to_world())]);
    sandbox.put("cut.pcap", &whole[..whole.len() - 3]);
    let mut cooked = whole.clone();
    cooked[20] = 113;
    sandbox.put("cooked.pcap", &cooked);
    sandbox.put("text.pcap", b"no capture");
    for (file, message) in [
        (
            "cali1=cut.pcap",
            "error: cut.pcap: packet 2: the file ends within its record: expected 3 more bytes",
        ),
        ("cali1=cooked.pcap", "error: cooked.pcap: link type 113 (Linux cooked"),
        ("cali1=text.pcap", "error: text.pcap: magic 6e6f2063: expected pcap"),
        ("cali1=none.pcap", "error: none.pcap: No such file"),
        ("cut.pcap", "error: cut.pcap: classic pcap without interface names: expected --rx PORT=FILE"),
    ] {
        let said = sandbox.refused(&format!("replay --state node.json --rx {file} --tx out"));
        assert!(said.starts_with(message), "{said}, expected {message}");
        let said = sandbox.refused(&format!("explain --state node.json --rx {file} --frame 2"));
        assert!(said.starts_with(message), "{said}, expected {message}");
    }
}

#[test]
fn no_file_is_read_and_written() {
    let sandbox = Sandbox::new("same");
    let capture = pcap(&[(1, to_pod())]);
    sandbox.put("eth0.pcap", &capture);
    for (arguments, message) in [
        ("--tx .", "--tx ./eth0.pcap: it is also given as --rx"),
        ("--tx out --punt ./eth0.pcap", "--punt ./eth0.pcap: it is also given as --rx"),
        ("--tx out --json node.json", "--json node.json: it is also given as --state"),
        ("--tx out --punt report --json ./report", "--json ./report: it is also given as --punt"),
    ] {
        let said = sandbox.refused(&format!("replay --state node.json --rx eth0=eth0.pcap {arguments}"));
        assert!(said.contains(message), "{said}");
    }
    assert_eq!(sandbox.read("eth0.pcap"), capture);
    assert_eq!(sandbox.read("node.json"), STATE.as_bytes());
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let sandbox = Sandbox::new("unwritable");
    sandbox.put("a.pcap", &pcap(&[(1, to_pod())]));
    sandbox.put("out", b"a file");
    let said = sandbox.refused("replay --state node.json --rx eth0=a.pcap --tx out");
    assert!(said.starts_with("error: out: File exists"), "{said}");
}

#[test]
fn a_replay_writes_ports_punts_and_report() {
    let sandbox = Sandbox::new("replay");
    let to_us = ping([2, 0, 0, 0, 0, 1], [192, 0, 2, 9], [192, 0, 2, 1]);
    sandbox.put("eth0.pcap", &pcap(&[(1, to_pod()), (3, to_us.clone())]));
    sandbox.put("cali1.pcap", &pcap(&[(2, to_world())]));
    let arguments =
        "replay --state node.json --rx eth0=eth0.pcap --rx cali1=cali1.pcap --tx out --punt punted.pcap";
    let text = sandbox.stdout(arguments);
    assert!(text.starts_with("frames\n  received                        3  100.0 %\n"), "{text}");
    assert!(!text.contains('\x1b'), "no colours but on a terminal: {text}");
    assert_eq!(sandbox.files("out"), ["cali1.pcap", "eth0.pcap"]);
    assert_eq!(frames_of(&sandbox.read("punted.pcap")), [to_us]);
    let sent = frames_of(&sandbox.read("out/cali1.pcap"));
    assert_eq!((sent.len(), sent[0][..6].to_vec(), sent[0][22]), (1, vec![2, 0, 0, 0, 0, 0x10], 63));

    let report: Value = serde_json::from_str(&sandbox.stdout(&format!("{arguments} --json -"))).unwrap();
    assert_eq!(
        report,
        json!({
            "outcome": {"rx": 3, "forwarded": 2, "answered": 0, "punted": 1, "dropped": 0},
            "drop": {},
            "punt": {"local": 1},
            "originated": {"icmp_error": 0, "fragment": 0, "arp_request": 0},
            "note": {"ecn_anomaly": 0},
            "ports": {"eth0": {"rx_packets": 2, "rx_bytes": 84, "tx_packets": 1, "tx_bytes": 42},
                      "cali1": {"rx_packets": 1, "rx_bytes": 42, "tx_packets": 1, "tx_bytes": 42}},
        })
    );
    assert_eq!(sandbox.stdout(&format!("{arguments} --json report.json")), "");
    assert_eq!(serde_json::from_slice::<Value>(&sandbox.read("report.json")).unwrap(), report);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let sandbox = Sandbox::new("same-bytes");
    let frames: Vec<_> = (0..300).map(|n| (n / 7, if n % 3 == 0 { to_world() } else { to_pod() })).collect();
    sandbox.put("a.pcap", &pcap(&frames));
    let run = |out: &str| {
        let replay = "replay --state node.json --rx eth0=a.pcap --rx cali1=a.pcap --json - --punt";
        let report = sandbox.stdout(&format!("{replay} {out}.punted --tx {out}"));
        let files = sandbox.files(out);
        let bytes: Vec<_> = files.iter().map(|file| sandbox.read(&format!("{out}/{file}"))).collect();
        (report, files, bytes, sandbox.read(&format!("{out}.punted")))
    };
    assert_eq!(run("first"), run("second"));
    // Ports of this node that send nothing this time have no file of last time.
    sandbox.put("first/other.pcap", b"somebody else's");
    sandbox.put("none.pcap", &pcap(&[]));
    sandbox.stdout("replay --state node.json --rx eth0=none.pcap --tx first");
    assert_eq!(sandbox.files("first"), ["other.pcap"]);
}

#[test]
fn interfaces_of_a_pcapng_are_ports_by_name() {
    let sandbox = Sandbox::new("pcapng");
    let mut writer = PcapNgWriter::with_endianness(Vec::new(), Endianness::Big).unwrap();
    for name in ["cali1", "eth0"] {
        let options =
            vec![InterfaceDescriptionOption::IfName(name.into()), InterfaceDescriptionOption::IfTsResol(9)];
        let interface = InterfaceDescriptionBlock { linktype: DataLink::ETHERNET, snaplen: 0, options };
        writer.write_pcapng_block(interface).unwrap();
    }
    for (interface_id, frame) in [(0, to_world()), (1, to_pod()), (1, to_pod())] {
        let timestamp = Duration::from_nanos(1_700_000_000_000_000_001);
        let original_len = frame.len() as u32;
        let data = frame.into();
        let packet = EnhancedPacketBlock { interface_id, timestamp, original_len, data, options: Vec::new() };
        writer.write_pcapng_block(packet).unwrap();
    }
    sandbox.put("all.pcapng", &writer.into_inner());
    let report = sandbox.stdout("replay --state node.json --rx all.pcapng --tx out --json -");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["ports"]["eth0"]["rx_packets"], 2);
    assert_eq!(report["ports"]["cali1"]["rx_packets"], 1);
    assert_eq!(report["outcome"]["forwarded"], 3);
    // Stamped with the virtual time, to the nanosecond.
    assert_eq!(sandbox.read("out/eth0.pcap")[24..32], [0x00, 0xf1, 0x53, 0x65, 1, 0, 0, 0]);
}

#[test]
fn what_is_odd_is_said_once() {
    let sandbox = Sandbox::new("odd");
    let mut capture = pcap(&[(5, to_pod()), (4, to_pod())]);
    capture[24 + 12..24 + 16].copy_from_slice(&1514u32.to_le_bytes());
    sandbox.put("odd.pcap", &capture);
    sandbox.put("odd.toml", b"[[port]]\ndevice = \"wlan*\"\nrole = \"uplink\"\n");
    let state = STATE.replace(r#""neigh": ["#, r#""neigh_unknown": ["#);
    sandbox.put("silent.json", state.as_bytes());
    let output = sandbox.run("replay --state silent.json --config odd.toml --rx eth0=odd.pcap --tx out");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    for part in [
        "warning: odd.pcap: 1 of its frames are cut short (packet 1 is the first: 42 of 1514 bytes)",
        "warning: odd.pcap: 1 of its packets are older than the one before (packet 2 is the first)",
        "warning: configuration: [[port]] device = \"wlan*\" matches no port of the node",
        "route 10.0.0.1",
    ] {
        assert_eq!(said.matches(part).count(), 1, "{part} in {said}");
    }
}

#[test]
fn one_frame_of_several_captures_is_explained() {
    let sandbox = Sandbox::new("explain");
    sandbox.put("eth0.pcap", &pcap(&[(1, to_pod()), (3, to_pod())]));
    sandbox.put("cali1.pcap", &pcap(&[(2, to_world())]));
    let arguments = "explain --state node.json --rx eth0=eth0.pcap --rx cali1=cali1.pcap --frame";
    let text = sandbox.stdout(&format!("{arguments} 2"));
    assert!(
        text.starts_with("frame       2 at 2.000000000 s\nreceived    by cali1 (workload), 42 bytes\n"),
        "{text}"
    );
    assert!(text.ends_with("outcome     forwarded by eth0\n"), "{text}");
    let json: Value = serde_json::from_str(&sandbox.stdout(&format!("{arguments} 3 --json"))).unwrap();
    assert_eq!((&json["frame"], &json["time"]), (&json!(3), &json!(3_000_000_000u64)));
    assert_eq!(json["outcome"], json!({"result": "forwarded", "port": "cali1"}));
    let said = sandbox.refused(&format!("{arguments} 4"));
    assert!(said.contains("--frame 4: the captures hold 3 frames: expected a number from 1 to 3"), "{said}");
}

#[test]
fn routes_are_printed_as_ip_prints_them() {
    let sandbox = Sandbox::new("route");
    assert_eq!(sandbox.stdout("route get 10.0.0.1 --state node.json"), "10.0.0.1 dev cali1 scope link\n");
    let json: Value =
        serde_json::from_str(&sandbox.stdout("route get 10.0.0.1 --state node.json --json")).unwrap();
    assert_eq!(json, json!([{"dst": "10.0.0.1", "dev": "cali1", "scope": "link", "flags": []}]));
}
