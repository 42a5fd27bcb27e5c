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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::convert::Infallible;
    use std::thread;

    use super::*;

    static NUMBERS: Stash<u32> = Stash::new(Vec::new());

    thread_local! {
        static NUMBER: RefCell<Kept<u32>> = const { RefCell::new(Kept::new(&NUMBERS)) };
    }

    fn number_of_a_thread(make: u32) -> u32 {
        let get = move || NUMBER.with_borrow_mut(|kept| *kept.get(|| Ok::<_, Infallible>(make)).unwrap());
        thread::spawn(get).join().unwrap()
    }

    #[test]
    fn what_a_thread_made_is_that_of_the_next_and_no_more_than_a_few_are_kept() {
        assert_eq!((number_of_a_thread(1), number_of_a_thread(2)), (1, 1));
        for number in 0..20 {
            drop(Kept { own: Some(number), stash: &NUMBERS });
        }
        assert_eq!(NUMBERS.lock().unwrap().len(), MOST);
    }
}
