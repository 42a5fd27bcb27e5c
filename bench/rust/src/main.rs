//! A table of all caches.
//!
//! They take turns in one process, a slice of the requests at a time, so that what else the machine does falls on each of
//! them alike. Printed are the medians over the rounds, and their ratios to the best of ours.

use tierce_bench::{SLICE, peers, run, zipf};

const ROUNDS: usize = 15;

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() {
    let requests = zipf(SLICE * (ROUNDS + 2) * 2);
    for threads in [1, 2] {
        let peers = peers();
        let mut times = vec![Vec::new(); peers.len()];
        let mut ratios = vec![Vec::new(); peers.len()];
        for round in 0..ROUNDS + 2 {
            for (number, (_, peer)) in peers.iter().enumerate() {
                let part = &requests[round * 2 * SLICE..][..threads * SLICE];
                let slices: Vec<&[u64]> = part.chunks(SLICE).collect();
                let (time, ratio) = run(peer, &slices);
                // The first rounds fill the cache.
                if round >= 2 {
                    times[number].push(time);
                    ratios[number].push(ratio);
                }
            }
        }
        let times: Vec<f64> = times.into_iter().map(median).collect();
        let best = times[0].min(times[1]);
        println!(
            "\n| {threads} thread(s) | ns an operation | to the best of sieve and s3-fifo | hit ratio |\n|---|---:|---:|---:|"
        );
        for ((name, _), (time, ratio)) in peers.iter().zip(times.iter().zip(ratios)) {
            println!("| {name} | {time:.0} | {:.2} | {:.4} |", time / best, median(ratio));
        }
    }
}
