//! Single flight: of all callers that miss a key, one makes the value and the others wait for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

enum State<V> {
    /// With the tasks that wait: each has a place, so that one that is polled again is there once.
    Under(Vec<Waker>),
    Landed(V),
    /// Whoever made the value panicked, failed or gave up: the waiting start again.
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
        Self(Arc::new(Shared { state: Mutex::new(State::Under(Vec::new())), ended: Condvar::new(), is_over }))
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
        let before =
            std::mem::replace(&mut *self.0.state.lock().unwrap_or_else(PoisonError::into_inner), state);
        self.0.is_over.store(true, Ordering::Release);
        self.0.ended.notify_all();
        if let State::Under(tasks) = before {
            tasks.into_iter().for_each(Waker::wake);
        }
    }

    /// Waits for the value; none if it was lost.
    pub(super) fn wait(&self) -> Option<V> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*state {
                State::Under(_) => state = self.0.ended.wait(state).unwrap_or_else(PoisonError::into_inner),
                State::Landed(value) => return Some(value.clone()),
                State::Lost => return None,
            }
        }
    }

    /// As [`Flight::wait`], for a task.
    pub(super) async fn landed(&self) -> Option<V> {
        let mut place = None;
        std::future::poll_fn(|context| self.poll(&mut place, context)).await
    }

    fn poll(&self, place: &mut Option<usize>, context: &Context<'_>) -> Poll<Option<V>> {
        let waker = context.waker().clone(); // code of the executor's: before the lock
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            State::Under(tasks) => {
                let before = match place.and_then(|place| tasks.get_mut(place)) {
                    Some(old) => Some(std::mem::replace(old, waker)),
                    None => {
                        *place = Some(tasks.len());
                        tasks.push(waker);
                        None
                    }
                };
                drop(state);
                drop(before);
                Poll::Pending
            }
            State::Landed(value) => Poll::Ready(Some(value.clone())),
            State::Lost => Poll::Ready(None),
        }
    }
}
