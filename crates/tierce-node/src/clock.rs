//! The time in memory that JavaScript reads without a call.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::Float64Array;
use napi_derive::napi;
use tierce::{Clock as _, SystemClock};
use tierce_napi::guard;

use crate::scratch::{clock_view, is_clock_view};

/// The time in milliseconds since the Unix epoch, 0 while the thread sleeps, and whether it was read of late: bits of
/// `f64`, as JavaScript sees them.
pub static PAGE: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

const TICK: Duration = Duration::from_millis(1);
/// Ticks in which nobody reads, after which the thread sleeps.
const IDLE_TICKS: u32 = 100;

static STARTED: AtomicBool = AtomicBool::new(false);
static WANTED: Mutex<bool> = Mutex::new(false);
static WAKE: Condvar = Condvar::new();

fn show() {
    PAGE[0].store((SystemClock.now_ms() as f64).to_bits(), Ordering::Relaxed);
}

fn run() {
    loop {
        let mut idle = 0;
        while idle < IDLE_TICKS {
            std::thread::sleep(TICK);
            show();
            let was_read = PAGE[1].swap(0, Ordering::Relaxed) != 0;
            idle = if was_read { 0 } else { idle + 1 };
        }
        PAGE[0].store(0, Ordering::Relaxed);
        let mut wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
        while !*wanted {
            wanted = WAKE.wait(wanted).unwrap_or_else(PoisonError::into_inner);
        }
        *wanted = false;
        show();
    }
}

/// The clock's page; `null` where no thread can be had.
#[napi]
pub fn coarse_clock(env: &Env) -> napi::Result<Option<Float64Array>> {
    guard(env, || {
        if !STARTED.swap(true, Ordering::SeqCst) {
            let thread = std::thread::Builder::new().name("tierce-clock".into()).stack_size(64 * 1024);
            if thread.spawn(run).is_err() {
                STARTED.store(false, Ordering::SeqCst);
                return Ok(None);
            }
        }
        Ok(Some(clock_view(&PAGE)))
    })
}

/// Whether the array is the page itself: where external memory is forbidden it is a copy.
#[napi]
pub fn is_clock(env: &Env, view: Float64Array) -> napi::Result<bool> {
    guard(env, || Ok(is_clock_view(&view, &PAGE)))
}

/// Writes the time, and has the thread write it from here on.
#[napi]
pub fn wake_clock(env: &Env) -> napi::Result<()> {
    guard(env, || {
        show();
        *WANTED.lock().unwrap_or_else(PoisonError::into_inner) = true;
        WAKE.notify_one();
        Ok(())
    })
}
