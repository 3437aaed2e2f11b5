//! The judge judged: the comparison that the golden captures rest on finds what it must find, and
//! overlooks only what is free.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::{Comparison, Frame, own_addresses, read};

/// Offsets in an Ethernet frame that carries VXLAN in IPv4 without options.
const OUTER_ID: usize = 18;
const OUTER_TTL: usize = 22;
const OUTER_CHECKSUM: usize = 24;
const SOURCE_PORT: usize = 34;

fn flannel() -> (Comparison, Vec<Frame>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcap-fixtures/flannel-vxlan");
    let comparison = Comparison::of_node(own_addresses(&folder.join("state.json")));
    let vxlan: Vec<Frame> =
        read(&folder.join("tx/bond0.pcap")).into_iter().filter(|frame| is_vxlan(&frame.bytes)).collect();
    assert!(vxlan.len() > 3, "too few VXLAN frames to try this on");
    (comparison, vxlan)
}

fn is_vxlan(frame: &[u8]) -> bool {
    frame.len() > 50
        && frame[12..14] == [0x08, 0x00]
        && frame[23] == 17
        && frame[36..38] == 8472_u16.to_be_bytes()
}

/// The frames with the first one changed.
fn with_first(frames: &[Frame], change: impl FnOnce(&mut Vec<u8>)) -> Vec<Frame> {
    let mut frames = frames.to_vec();
    change(&mut frames[0].bytes);
    frames
}

/// Adds one to a header field and takes it from the checksum, which then still holds.
fn renumber(frame: &mut [u8]) {
    let id = u16::from_be_bytes([frame[OUTER_ID], frame[OUTER_ID + 1]]);
    let sum = u16::from_be_bytes([frame[OUTER_CHECKSUM], frame[OUTER_CHECKSUM + 1]]);
    frame[OUTER_ID..OUTER_ID + 2].copy_from_slice(&(id + 1).to_be_bytes());
    frame[OUTER_CHECKSUM..OUTER_CHECKSUM + 2].copy_from_slice(&(sum - 1).to_be_bytes());
}

#[test]
fn equal_lists_are_equal() {
    let (comparison, frames) = flannel();
    comparison.in_order(&frames, &frames).unwrap();
    comparison.per_flow(&frames, &frames).unwrap();
}

#[test]
fn another_outer_id_is_free_if_its_checksum_holds() {
    let (comparison, frames) = flannel();
    comparison.in_order(&frames, &with_first(&frames, |frame| renumber(frame))).unwrap();

    let broken = with_first(&frames, |frame| frame[OUTER_ID] ^= 1);
    let text = comparison.in_order(&frames, &broken).unwrap_err();
    assert!(text.contains("checksum"), "{text}");
}

#[test]
fn any_other_byte_is_a_difference_that_is_shown() {
    let (comparison, frames) = flannel();
    for at in [0, OUTER_TTL, 60, frames[0].bytes.len() - 1] {
        let changed = with_first(&frames, |frame| frame[at] ^= 0x80);
        let text = comparison.in_order(&frames, &changed).unwrap_err();
        assert!(text.contains("frame 1 differs") && text.contains("^^"), "offset {at}: {text}");
        comparison.per_flow(&frames, &changed).unwrap_err();
    }
}

#[test]
fn a_vxlan_source_port_is_free_within_its_range_and_its_flow() {
    let (comparison, frames) = flannel();
    let set_port = |frame: &mut [u8], port: u16| {
        frame[SOURCE_PORT..SOURCE_PORT + 2].copy_from_slice(&port.to_be_bytes());
    };
    let outside = with_first(&frames, |frame| set_port(frame, 49151));
    assert!(comparison.in_order(&frames, &outside).unwrap_err().contains("49151"));

    let twice = [frames[0].clone(), frames[0].clone()];
    let both_moved = twice.clone().map(|mut frame| {
        set_port(&mut frame.bytes, 50000);
        frame
    });
    comparison.in_order(&twice, &both_moved).unwrap();
    let one_moved = with_first(&twice, |frame| set_port(frame, 50000));
    assert!(comparison.in_order(&twice, &one_moved).unwrap_err().contains("50000 before"));
}

#[test]
fn lost_surplus_and_reordered_frames_are_differences() {
    let (comparison, frames) = flannel();
    let shorter = &frames[..frames.len() - 1];
    assert!(comparison.in_order(&frames, shorter).unwrap_err().contains("was not sent"));
    assert!(comparison.in_order(shorter, &frames).unwrap_err().contains("is not expected"));

    let mut swapped = frames.clone();
    swapped.swap(0, 1);
    comparison.in_order(&frames, &swapped).unwrap_err();
    // The first two are of different flows, which may interleave.
    comparison.per_flow(&frames, &swapped).unwrap();
}
