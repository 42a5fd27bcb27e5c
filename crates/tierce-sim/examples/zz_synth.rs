//! scratch
use std::io::Write;
use tierce::policy::PolicyKind;
use tierce_sim::synthetic::{SHAPES, shape};
use tierce_sim::{Trace, replay};
fn main() {
    let dump = std::env::args().nth(1);
    let mut traces: Vec<Trace> = vec![];
    for name in SHAPES {
        for seed in [1, 2] {
            traces.push(shape(name, seed, 150_000));
        }
    }
    for n in [130u64, 200, 330, 700, 1100, 2000, 5000] {
        traces.push(Trace::of_keys(&format!("loop{n}"), (0..150_000u64).map(|i| i % n).collect::<Vec<_>>()));
    }
    for t in &traces {
        if let Some(d) = &dump {
            let mut f = std::fs::File::create(format!("{d}/{}", t.name)).unwrap();
            let mut s = String::new();
            for r in &t.requests {
                s.push_str(&r.to_string());
                s.push('\n');
            }
            f.write_all(s.as_bytes()).unwrap();
        }
        for cap in [101, 150, 300, 600, 1500, 6000] {
            let r = |k| 100.0 * replay(t, k, cap, false).miss_ratio();
            println!("{} {cap} {:.3} {:.3}", t.name, r(PolicyKind::WTinyLfu), r(PolicyKind::S3Fifo));
        }
    }
}
