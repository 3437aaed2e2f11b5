//! Writes the seeds of `frame_walk`: one file for each way through the walk, and one with all of them.
//!
//! `cargo run --example seeds` in control/fuzz, after the samples of the walk's tests or the form of the input have changed.

use packetwalk_fuzz::common::OnPort;
use packetwalk_fuzz::common::traffic::samples;
use packetwalk_fuzz::frames::write;
use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/frame_walk");
    fs::create_dir_all(&folder)?;
    let samples: Vec<(&str, OnPort)> =
        samples().into_iter().map(|sample| (sample.name, (sample.port, sample.frame))).collect();
    // A kilobyte of payload teaches a fuzzer nothing: the long samples are for the node whose links are narrow.
    let short = samples.iter().filter(|(_, (_, frame))| frame.len() < 300);
    for (name, frame) in short.clone() {
        let file: String =
            name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
        fs::write(folder.join(file), write(0, std::slice::from_ref(frame)))?;
    }
    for node in 0..4 {
        let frames: Vec<OnPort> =
            short.clone().skip(node).step_by(4).map(|(_, frame)| frame.clone()).collect();
        fs::write(folder.join(format!("many_{node}")), write(node as u8, &frames))?;
    }
    Ok(())
}
