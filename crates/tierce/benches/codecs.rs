//! Sizes and speeds of the codecs on files of numbers: `bench/arrays.mjs` makes the files and the table.
//!
//! `cargo bench -p tierce --bench codecs -- f64 FILE...` prints a line a file and codec: name, codec, level, bytes, and
//! the seconds of the quickest run of coding and of decoding; with `cpu` before `f64` those of the processor, over
//! all threads: other work on the machine counts for less in them.
#![allow(missing_docs, reason = "a program")]
#![allow(unsafe_code, reason = "asks the system for processor time")]

use std::time::Instant;

use tierce::{CodecChoice, Element, Numbers, Result};

const RUNS: u32 = 7;
const CHOICES: [(&str, Option<i32>); 9] = [
    ("auto", None),
    ("fast", None),
    ("none", None),
    ("lz4", None),
    ("zstd", None),
    ("zstd", Some(9)),
    ("pco", Some(4)),
    ("pco", None),
    ("pco", Some(12)),
];

/// Seconds of the processor that this process took; nothing where the system does not tell.
#[cfg(unix)]
fn processor_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the system fills the structure that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(not(unix))]
fn processor_time() -> f64 {
    f64::NAN
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn quickest(cpu: bool, mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = f64::MAX;
    for _ in 0..RUNS {
        let (start, processor) = (Instant::now(), processor_time());
        run()?;
        best = best.min(if cpu { processor_time() - processor } else { start.elapsed().as_secs_f64() });
    }
    Ok(best)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench").peekable();
    let cpu = arguments.next_if(|argument| argument == "cpu").is_some();
    let element = match arguments.next().as_deref() {
        Some("f32") => Element::F32,
        Some("i32") => Element::I32,
        _ => Element::F64,
    };
    for path in arguments {
        let raw = std::fs::read(&path)?;
        for (name, level) in CHOICES {
            let choice = CodecChoice::named(name, level)?.numbers(Numbers { element, tail: 0 });
            let (mut id, mut coded, mut back) = (0, Vec::new(), vec![0; raw.len()]);
            let encode = quickest(cpu, || {
                coded.clear();
                id = choice.encode(&raw, &mut coded)?;
                Ok(())
            })?;
            let decode = quickest(cpu, || tierce::decode(id, &coded, &mut back))?;
            assert!(back == raw, "{name} changed {path}");
            let level = level.map_or(String::new(), |level| level.to_string());
            println!("{path}\t{name}\t{level}\t{}\t{encode}\t{decode}", coded.len());
        }
    }
    Ok(())
}
