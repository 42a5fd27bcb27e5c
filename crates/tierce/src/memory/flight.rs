//! Single flight: of all callers that miss a key, one makes the value and the others wait for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

enum State<V> {
    Under,
    Landed(V),
    /// Whoever made the value panicked: the waiting start again.
    Lost,
}

struct Shared<V> {
    state: Mutex<State<V>>,
    ended: Condvar,
    /// Beside the state, whose lock is held while the user's code clones a value.
    is_over: AtomicBool,
}

pub(super) struct Flight<V>(Arc<Shared<V>>);

impl<V> Clone for Flight<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: Clone> Flight<V> {
    pub(super) fn new() -> Self {
        let is_over = AtomicBool::new(false);
        Self(Arc::new(Shared { state: Mutex::new(State::Under), ended: Condvar::new(), is_over }))
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_over.load(Ordering::Acquire)
    }

    /// Hands the value to all who wait, or none if it was lost.
    pub(super) fn end(&self, value: Option<V>) {
        let state = value.map_or(State::Lost, State::Landed);
        *self.0.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.0.is_over.store(true, Ordering::Release);
        self.0.ended.notify_all();
    }

    /// Waits for the value; none if it was lost.
    pub(super) fn wait(&self) -> Option<V> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*state {
                State::Under => state = self.0.ended.wait(state).unwrap_or_else(PoisonError::into_inner),
                State::Landed(value) => return Some(value.clone()),
                State::Lost => return None,
            }
        }
    }
}
