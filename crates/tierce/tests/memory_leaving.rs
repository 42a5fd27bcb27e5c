//! Loading that may fail or be given up, tasks that wait, and who is told of what leaves.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use tierce::ManualClock;
use tierce::memory::{Cause, MemoryCache};

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>, woken: &Arc<Woken>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(woken))))
}

type Told = Receiver<(String, u32, Cause)>;

fn telling(max: u64) -> (MemoryCache<String, u32>, Told, Arc<ManualClock>) {
    let (tell, told) = channel();
    let clock = Arc::new(ManualClock::new(1000));
    let builder = MemoryCache::with_max_entries(max)
        .policy("lru".parse().unwrap())
        .clock(clock.clone())
        .on_remove(move |key, value, cause| tell.send((key, value, cause)).unwrap());
    (builder.build(), told, clock)
}

fn said(told: &Told) -> Vec<(String, u32, Cause)> {
    told.try_iter().collect()
}

#[test]
fn the_listener_is_told_once_of_each_entry_that_leaves_and_why() {
    let (cache, told, clock) = telling(2);
    let one = |key: &str, value, cause| vec![(key.to_owned(), value, cause)];
    cache.insert("a".into(), 1);
    cache.insert("a".into(), 2);
    assert_eq!(said(&told), one("a", 1, Cause::Replaced));
    cache.insert("b".into(), 3);
    cache.insert("c".into(), 4);
    assert_eq!(said(&told), one("a", 2, Cause::Evicted));
    assert_eq!(cache.remove("b"), Some(3));
    assert_eq!(said(&told), one("b", 3, Cause::Removed));

    cache.insert_for("d".into(), 5, Duration::from_millis(10));
    clock.advance(10);
    assert_eq!(said(&told), [], "nobody has looked");
    assert_eq!(cache.get("d"), None);
    assert_eq!(said(&told), one("d", 5, Cause::Expired));
    for take in ["insert", "remove", "load", "cleanup"] {
        cache.insert_for("e".into(), 6, Duration::from_millis(10));
        clock.advance(10);
        match take {
            "insert" => cache.insert("e".into(), 7),
            "remove" => assert_eq!(cache.remove("e"), None),
            "load" => assert_eq!(cache.get_or_insert_with("e", || 7), 7),
            _ => assert_eq!(cache.cleanup(), 1),
        }
        assert_eq!(said(&told), one("e", 6, Cause::Expired), "{take}");
        cache.remove("e");
        said(&told);
    }
    assert_eq!(cache.retain(|key, _| key != "c"), 1);
    assert_eq!(said(&told), one("c", 4, Cause::Removed));
    cache.insert("f".into(), 8);
    cache.clear();
    assert_eq!(said(&told), one("f", 8, Cause::Removed));
    cache.insert("g".into(), 9);
    drop(cache);
    assert_eq!(said(&told), [], "what is dropped with the cache is nobody's news");
    assert_eq!(told.recv().map_err(|_| "gone"), Err("gone"));
}

#[test]
fn a_listener_may_use_the_cache() {
    let cache: Arc<std::sync::OnceLock<MemoryCache<u32, u32>>> = Arc::default();
    let seen = Arc::clone(&cache);
    let listener = move |key: u32, value, cause| {
        if cause == Cause::Removed {
            seen.get().unwrap().insert(key + 1, value); // does what it is told of again
        }
    };
    let built = MemoryCache::with_max_entries(10).on_remove(listener).build();
    let cache = cache.get_or_init(|| built);
    cache.insert(1, 1);
    assert_eq!((cache.remove(&1), cache.get(&2)), (Some(1), Some(1)));
    cache.clear();
    assert_eq!(cache.get(&3), Some(1));
}

#[test]
fn what_is_retained_stays_and_the_rest_goes_from_the_account_too() {
    let cache = MemoryCache::with_max_weight(10_000, |_: &u32, weight: &u32| *weight).build();
    (1..=100).for_each(|key| cache.insert(key, key));
    assert_eq!(cache.retain(|key, _| key % 2 == 0), 50);
    assert_eq!(
        (cache.len(), cache.weight(), cache.check()),
        (50, (1..=50).map(|half| 2 * half).sum(), Ok(()))
    );
    assert!(cache.contains_key(&2) && !cache.contains_key(&3));
    assert_eq!(cache.capacity(), 10_000);
}

#[test]
fn an_error_goes_to_its_own_caller_and_the_next_one_tries() {
    let cache = Arc::new(MemoryCache::<String, usize>::with_max_entries(10).build());
    let (tries, together) = (AtomicUsize::new(0), Barrier::new(4));
    let ask = || {
        together.wait();
        cache.try_get_or_insert_with("key", || match tries.fetch_add(1, Ordering::SeqCst) {
            number @ 0..2 => Err(number),
            number => Ok(number),
        })
    };
    let mut answers: Vec<_> = thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (made, failed): (Vec<_>, Vec<_>) = answers.drain(..).partition(Result::is_ok);
    assert_eq!((made, failed.len()), (vec![Ok(2); 2], 2));
    assert_eq!(tries.into_inner(), 3);
}

#[test]
fn tasks_wait_for_one_of_them_and_are_woken_once_it_lands() {
    let cache = MemoryCache::<String, u32>::with_max_entries(10).build();
    let (land, landed) = channel();
    let woken = Arc::new(Woken::default());
    let polled = AtomicUsize::new(0);
    let mut first = pin!(cache.get_or_insert_async(
        "key",
        std::future::poll_fn(|_| {
            polled.fetch_add(1, Ordering::SeqCst);
            landed.try_recv().map_or(Poll::Pending, Poll::Ready)
        })
    ));
    let mut second = pin!(cache.get_or_insert_async("key", async { unreachable!("one makes it") }));
    assert!(poll(first.as_mut(), &woken).is_pending());
    for _ in 0..3 {
        assert!(poll(second.as_mut(), &woken).is_pending(), "polled again, it still waits");
    }
    land.send(7).unwrap();
    assert_eq!((poll(first, &woken), woken.0.load(Ordering::SeqCst)), (Poll::Ready(7), 1));
    assert_eq!(poll(second, &woken), Poll::Ready(7));
    assert_eq!((polled.load(Ordering::SeqCst), cache.get("key")), (2, Some(7)));
}

#[test]
fn a_task_that_is_given_up_or_fails_wakes_the_next_which_makes_the_value() {
    let cache = MemoryCache::<String, u32>::with_max_entries(10).build();
    let woken = Arc::new(Woken::default());
    let mut first = Box::pin(cache.get_or_insert_async("key", std::future::pending()));
    let mut second = pin!(cache.try_get_or_insert_async("key", async { Err("no") }));
    let mut third = pin!(cache.get_or_insert_async("key", async { 3 }));
    assert!(poll(first.as_mut(), &woken).is_pending());
    assert!(poll(second.as_mut(), &woken).is_pending());
    assert!(poll(third.as_mut(), &woken).is_pending());
    drop(first);
    assert_eq!(woken.0.load(Ordering::SeqCst), 2, "all that wait");
    assert_eq!(poll(second, &woken), Poll::Ready(Err("no")));
    assert_eq!(poll(third, &woken), Poll::Ready(3));
}

#[test]
fn threads_and_tasks_wait_for_each_other() {
    let cache = MemoryCache::<String, u32>::with_max_entries(10).build();
    let woken = Arc::new(Woken::default());
    let (started, start) = channel();
    let (go, gone) = channel::<()>();
    thread::scope(|scope| {
        let cache = &cache;
        let making = scope.spawn(move || {
            cache.get_or_insert_with("key", || {
                started.send(()).unwrap();
                gone.recv().unwrap();
                5
            })
        });
        start.recv().unwrap();
        let mut task = pin!(cache.get_or_insert_async("key", async { 6 }));
        assert!(poll(task.as_mut(), &woken).is_pending());
        go.send(()).unwrap();
        assert_eq!(making.join().unwrap(), 5);
        assert_eq!((poll(task, &woken), woken.0.load(Ordering::SeqCst)), (Poll::Ready(5), 1));
    });
}

#[test]
fn the_futures_of_a_cache_can_be_sent() {
    fn is_send<T: Send>(_: &T) {}
    let cache = MemoryCache::<String, u32>::with_max_entries(10).build();
    is_send(&cache.get_or_insert_async("key", async { 1 }));
    is_send(&cache.try_get_or_insert_async("key", async { Err::<u32, _>("no") }));
}

#[test]
fn a_time_that_slides_starts_again_with_each_use() {
    let clock = Arc::new(ManualClock::new(0));
    let builder = MemoryCache::with_max_entries(10).ttl(Duration::from_millis(10)).sliding(true);
    let cache = builder.clock(clock.clone()).build();
    cache.insert(1, ());
    for _ in 0..5 {
        clock.advance(9);
        assert_eq!(cache.get(&1), Some(()));
    }
    clock.advance(10);
    assert_eq!(cache.get(&1), None);
}
