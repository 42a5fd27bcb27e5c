//! Single flight: of all callers that miss a key, one makes the value and the others wait for it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

enum State<V> {
    Under,
    Landed(V),
    /// Whoever made the value panicked: the waiting start again.
    Lost,
}

pub(super) struct Flight<V>(Arc<(Mutex<State<V>>, Condvar)>);

impl<V> Clone for Flight<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: Clone> Flight<V> {
    pub(super) fn new() -> Self {
        Self(Arc::new((Mutex::new(State::Under), Condvar::new())))
    }

    /// Hands the value to all who wait, or none if it was lost.
    pub(super) fn end(&self, value: Option<V>) {
        let (state, ended) = &*self.0;
        *state.lock().unwrap_or_else(PoisonError::into_inner) = value.map_or(State::Lost, State::Landed);
        ended.notify_all();
    }

    /// Waits for the value; none if it was lost.
    pub(super) fn wait(&self) -> Option<V> {
        let (state, ended) = &*self.0;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*state {
                State::Under => state = ended.wait(state).unwrap_or_else(PoisonError::into_inner),
                State::Landed(value) => return Some(value.clone()),
                State::Lost => return None,
            }
        }
    }
}
