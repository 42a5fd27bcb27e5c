//! Counts what is under way on the thread pool, so that a call on the JavaScript thread can come after it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

#[derive(Default)]
struct Inner {
    count: Mutex<usize>,
    none: Condvar,
}

/// See the module.
#[derive(Default)]
pub struct Gate(Arc<Inner>);

/// One that is under way, until it is dropped: also by a panic, and where a task is never run.
pub struct Pass(Arc<Inner>);

impl Gate {
    /// Counts one more.
    pub fn enter(&self) -> Pass {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Pass(Arc::clone(&self.0))
    }

    /// Waits until none is under way. Only for the thread that lets them in: others could come for ever.
    pub fn wait(&self) {
        let mut count = self.0.count.lock().unwrap_or_else(PoisonError::into_inner);
        while *count > 0 {
            count = self.0.none.wait(count).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.none.notify_all();
    }
}
