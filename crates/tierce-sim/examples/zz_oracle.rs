//! scratch
use std::collections::BTreeMap;
use tierce::policy::PolicyKind;
use tierce_sim::{Trace, replay};
fn main() {
    let which: Vec<String> = std::env::args().skip(1).collect();
    let (kind, refs) = if which[0] == "s3" {
        (PolicyKind::S3Fifo, ["lcs:S3FIFO-mtm1", "caffeine:S3FIFO-mtm1"])
    } else {
        (PolicyKind::WTinyLfu, ["caffeine:HillClimberWTinyLFU-simple", "caffeine:WTinyLFU-w1-sketch"])
    };
    let table = std::fs::read_to_string("/work/shared/data/oracle.csv").unwrap();
    let mut m: BTreeMap<(String, u64), BTreeMap<String, u64>> = BTreeMap::new();
    for row in table.lines().skip(1) {
        let c: Vec<&str> = row.split(',').collect();
        if c[6] == "0" {
            m.entry((c[0].into(), c[2].parse().unwrap()))
                .or_default()
                .insert(c[1].into(), c[4].parse().unwrap());
        }
    }
    let mut trace = Trace::default();
    let mut sums = [0.0; 3];
    let mut n = 0.0;
    for ((name, cap), mm) in &m {
        if *cap < 100 || (which.len() > 1 && !which[1..].contains(name)) {
            continue;
        }
        let (Some(a), Some(b)) = (mm.get(refs[0]), mm.get(refs[1])) else { continue };
        if trace.name != *name {
            trace = Trace::read(format!("/work/shared/data/traces/{name}.tsv.gz").as_ref()).unwrap();
        }
        let o = replay(&trace, kind, *cap, false);
        let p = |x: u64| 100.0 * x as f64 / o.requests as f64;
        let (x, a, b) = (p(o.misses), p(*a), p(*b));
        println!(
            "{name:18} {cap:7} ours {x:6.2} refs {a:6.2} {b:6.2}  vs worse {:+.2} vs better {:+.2}{}",
            x - a.max(b),
            x - a.min(b),
            if x > a.max(b) + 0.5 { " FAIL" } else { "" }
        );
        for (s, v) in sums.iter_mut().zip([x, a, b]) {
            *s += v;
        }
        n += 1.0;
    }
    println!("n {n} means {:.4} {:.4} {:.4}", sums[0] / n, sums[1] / n, sums[2] / n);
}
