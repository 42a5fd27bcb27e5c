//! The same by Criterion, a cache after the other: `cargo bench`, with what it says about noise and about the run before.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tierce_bench::{SLICE, peers, run, zipf};

/// Turns' worth of requests, that are gone through round and round.
const TURNS: usize = 16;

fn get_or_insert(criterion: &mut Criterion) {
    let requests = zipf(SLICE * TURNS);
    for threads in [1, 2] {
        let mut group = criterion.benchmark_group(format!("zipf 0.9, {threads} thread(s)"));
        let each = threads * SLICE;
        group.throughput(Throughput::Elements(each as u64)).sample_size(20);
        for (name, peer) in peers() {
            let mut turns = requests.chunks(each).cycle();
            let mut turn =
                || run(&peer, &turns.next().map_or(Vec::new(), |part| part.chunks(SLICE).collect())).0;
            // The first turns fill the cache.
            for _ in 0..4 {
                turn();
            }
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|turns| {
                    let nanoseconds: f64 = (0..turns).map(|_| turn() * each as f64).sum();
                    Duration::from_nanos(nanoseconds as u64)
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, get_or_insert);
criterion_main!(benches);
