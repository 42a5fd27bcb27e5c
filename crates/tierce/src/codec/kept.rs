//! What is costly to make and is used by one at a time: kept by each thread, and handed on when a thread ends, as those that
//! code the chunks of an array do. Fresh memory for each would cost more than the coding.

use std::sync::{Mutex, PoisonError};

/// As many are kept for threads to come.
const MOST: usize = 8;

/// Those whose threads have ended.
pub(super) type Stash<T> = Mutex<Vec<T>>;

/// The one of this thread.
pub(super) struct Kept<T: 'static> {
    own: Option<T>,
    stash: &'static Stash<T>,
}

impl<T> Kept<T> {
    pub const fn new(stash: &'static Stash<T>) -> Self {
        Self { own: None, stash }
    }

    /// That of this thread, or of one that has ended, or a new one.
    pub fn get<E>(&mut self, make: impl FnOnce() -> Result<T, E>) -> Result<&mut T, E> {
        let own = match self.own.take() {
            Some(own) => own,
            None => {
                let handed_on = self.stash.lock().unwrap_or_else(PoisonError::into_inner).pop();
                handed_on.map_or_else(make, Ok)?
            }
        };
        Ok(self.own.insert(own))
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        let mut stash = self.stash.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(own), true) = (self.own.take(), stash.len() < MOST) {
            stash.push(own);
        }
    }
}
