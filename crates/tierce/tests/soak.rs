//! Long random programs by several threads on two handles of one directory, over the product of the options. For what only length, several
//! threads and options together bring out: accounts that drift, victims that come back, files that nobody answers for.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::collections::HashMap;
use std::path::Path;

use common::{Dice, ON_DISK, telling, temp, uncoded, version_in, with_key};
use tierce::{Cache, Durability, Key, Listing, SetOptions};

/// Around the border between rows and files.
const LENGTHS: [usize; 7] = [0, 10, 500, 4000, 32_000, 33_000, 70_000];
const THREADS: u64 = 4;
/// Keys of a thread. The rounds of a program end with all threads.
const KEYS: u64 = 120;
const ROUNDS: usize = 3;
const STEPS: usize = 150;

/// What one thread stored last under its keys.
type Known = HashMap<u64, u64>;

struct Program {
    seed: u64,
    fits: bool,
}

impl Program {
    fn open(&self, dir: &Path) -> Cache {
        let mut dice = Dice::new(self.seed * 7 + 1);
        let mut builder = Cache::builder()
            .policy(ON_DISK[dice.below(7) as usize])
            .codec(uncoded(["auto", "none", "zstd", "lz4"][dice.below(4) as usize]))
            .durability([Durability::Process, Durability::Power][usize::from(dice.below(5) == 0)])
            .integrity(dice.below(4) > 0)
            .store_keys(dice.below(4) > 0);
        if dice.below(4) == 0 {
            builder = with_key(builder);
        }
        if !self.fits {
            builder = match dice.below(3) {
                0 => builder.max(30),
                1 => builder.max_size(2 << 20),
                _ => builder.max(200).max_size(1 << 20),
            };
        }
        builder.open(dir).unwrap()
    }

    /// A round of one thread: each value that comes is the last of its key, and all come where there is room.
    fn round(&self, caches: &[Cache; 2], thread: u64, round: usize, known: &mut Known) {
        let mut dice = Dice::new(self.seed * 1000 + thread * 10 + round as u64);
        let name = |number: u64| format!("{thread} {number} {}", "long ".repeat((number % 40) as usize * 6));
        let mut version = (round as u64 + 1) << 32;
        for _ in 0..STEPS {
            let cache = &caches[dice.below(2) as usize];
            let number = dice.below(KEYS);
            let (key, id) = (name(number), thread * KEYS + number);
            match dice.below(10) {
                0..4 => {
                    version += 1;
                    let value = telling(id, version, LENGTHS[dice.below(7) as usize]);
                    let tag = format!("of {thread}");
                    let tags = [tag.as_str()];
                    let tags = if dice.below(3) == 0 { &tags[..] } else { &[] };
                    cache.set_with(&key, &value, &SetOptions { tags, ..SetOptions::default() }).unwrap();
                    known.insert(number, version);
                }
                4..7 => self.seen(id, cache.get(&key).unwrap().as_deref(), known.get(&number)),
                7 => {
                    let was = cache.delete(&key).unwrap();
                    let expected = known.remove(&number).is_some();
                    assert!(was == expected || !self.fits && !was, "{key}: deleted: {was}");
                }
                8 => {
                    let names: Vec<String> = (0..20).map(|_| name(dice.below(KEYS))).collect();
                    let keys: Vec<Key<'_>> = names.iter().map(Key::from).collect();
                    for (name, entry) in names.iter().zip(cache.get_many(&keys).unwrap()) {
                        let number: u64 = name.split(' ').nth(1).unwrap().parse().unwrap();
                        let value = entry.as_ref().map(|entry| &entry.value[..]);
                        self.seen(thread * KEYS + number, value, known.get(&number));
                    }
                }
                _ => assert!(!cache.has(&key).unwrap() || known.contains_key(&number), "{key} came back"),
            }
        }
        for number in 0..KEYS {
            let value = caches[1].get(name(number)).unwrap();
            self.seen(thread * KEYS + number, value.as_deref(), known.get(&number));
        }
    }

    fn seen(&self, id: u64, value: Option<&[u8]>, known: Option<&u64>) {
        let seen = value.map(|value| version_in(id, value));
        assert!(seen == known.copied() || !self.fits && seen.is_none(), "{id}: {seen:?}, not {known:?}");
    }

    fn run(&self) {
        let temp = temp();
        let dir = temp.path().join("cache");
        let mut known: Vec<Known> = (0..THREADS).map(|_| Known::new()).collect();
        for round in 0..ROUNDS {
            let caches = [self.open(&dir), self.open(&dir)];
            std::thread::scope(|scope| {
                for (thread, known) in known.iter_mut().enumerate() {
                    let caches = &caches;
                    scope.spawn(move || self.round(caches, thread as u64, round, known));
                }
            });
            self.settled(&caches[0], known.iter().map(Known::len).sum());
            if (self.seed as usize + round).is_multiple_of(3) {
                caches[1].clear().unwrap();
                known.iter_mut().for_each(Known::clear);
                self.settled(&caches[0], 0);
            }
            for cache in caches {
                assert!(cache.take_faults().is_empty());
                cache.close().unwrap();
            }
        }
    }

    /// Listings, counts and sizes are of what is there, and the check finds nothing wrong.
    fn settled(&self, cache: &Cache, known: usize) {
        let listing = Listing { limit: 10_000, ..Listing::default() };
        let listed = cache.page(&listing).unwrap().entries;
        let stats = cache.stats().unwrap();
        assert_eq!(stats.entries, listed.len() as u64);
        assert!(listed.len() == known || !self.fits && listed.len() < known, "{} of {known}", listed.len());
        assert_eq!(stats.size, listed.iter().map(|entry| entry.meta.size).sum::<u64>());
        assert_eq!(cache.check(false).unwrap().problems, []);
    }
}

#[test]
fn random_programs_of_several_threads_do_what_maps_do_under_all_options() {
    let programs = std::env::var("TIERCE_SEEDS").map_or(6, |seeds| seeds.parse().unwrap());
    for seed in 0..programs {
        println!("seed {seed}"); // shown where it fails
        Program { seed, fits: seed % 2 == 0 }.run();
    }
}
