//! What is stored is counted once and kept by each connection: it must be what a count says, whoever wrote what.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tierce::{Cache, Durability, ManualClock, SetOptions};

const START: u64 = 1_800_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    Set(u8, u16, bool),
    Tagged(u8),
    Batch(Vec<u8>),
    Delete(u8),
    Increment(u8),
    Invalidate,
    Expire(u8),
    Clear,
    Wait,
    Cleanup,
    Check,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let key = 0u8..12;
    let step = prop_oneof![
        6 => (key.clone(), 0u16..60_000, any::<bool>()).prop_map(|(key, size, short)| Step::Set(key, size, short)),
        2 => key.clone().prop_map(Step::Tagged),
        2 => proptest::collection::vec(key.clone(), 1..8).prop_map(Step::Batch),
        3 => key.clone().prop_map(Step::Delete),
        1 => (100u8..103).prop_map(Step::Increment),
        1 => Just(Step::Invalidate),
        1 => key.prop_map(Step::Expire),
        1 => Just(Step::Clear),
        1 => Just(Step::Wait),
        1 => Just(Step::Cleanup),
        1 => Just(Step::Check),
    ];
    proptest::collection::vec((0usize..2, step), 1..40)
}

fn take(cache: &Cache, clock: &ManualClock, step: &Step) -> tierce::Result<()> {
    let name = |key: &u8| format!("k{key}");
    match step {
        Step::Set(key, size, short) => {
            let ttl = short.then_some(Duration::from_secs(1));
            let options = SetOptions { ttl, ..SetOptions::default() };
            cache.set_with(name(key), &vec![*key; usize::from(*size)], &options)?;
        }
        Step::Tagged(key) => {
            cache.set_with(name(key), b"tagged", &SetOptions { tags: &["t"], ..SetOptions::default() })?;
        }
        Step::Batch(keys) => {
            for key in keys {
                cache.set(name(key), name(key).as_bytes())?;
            }
        }
        Step::Delete(key) => drop(cache.delete(name(key))?),
        Step::Increment(key) => drop(cache.increment(name(key), 1)?),
        Step::Invalidate => drop(cache.invalidate_tags(&["t"])?),
        Step::Expire(key) => drop(cache.expire(name(key), Some(Duration::from_secs(2)))?),
        Step::Clear => cache.clear()?,
        Step::Wait => clock.advance(1500),
        Step::Cleanup => drop(cache.cleanup(u64::MAX)?),
        Step::Check => drop(cache.check(true)?),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_two_handles_know_is_what_a_third_counts(steps in steps(), max in prop_oneof![Just(None), Just(Some(6u64))]) {
        let temp = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let open = || {
            let clock: Arc<ManualClock> = Arc::clone(&clock);
            let mut builder = Cache::builder().clock(clock).durability(Durability::Process);
            if let Some(max) = max {
                builder = builder.max(max);
            }
            builder.open(temp.path().join("cache")).unwrap()
        };
        let handles = [open(), open()];
        for (who, step) in steps {
            take(&handles[who], &clock, &step).unwrap();
            let counted = open().stats().unwrap();
            for cache in &handles {
                let known = cache.stats().unwrap();
                prop_assert_eq!(
                    (known.entries, known.size, known.stored_size),
                    (counted.entries, counted.size, counted.stored_size),
                    "after {:?}", &step
                );
            }
        }
    }
}
