//! Turns among the threads of one process: what looks at an entry and then changes it is one step between them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Weak};

use super::super::lock;

const STRIPES: usize = 64;

/// Locks that the entries of one directory share.
#[derive(Debug)]
pub(super) struct Turns([Mutex<()>; STRIPES]);

/// Of every directory that is open in this process.
static OPEN: LazyLock<Mutex<HashMap<PathBuf, Weak<Turns>>>> = LazyLock::new(Mutex::default);

impl Turns {
    /// Those of a directory: the same for each handle.
    pub fn of(dir: &Path) -> Arc<Self> {
        let mut open = lock(&OPEN);
        if let Some(turns) = open.get(dir).and_then(Weak::upgrade) {
            return turns;
        }
        open.retain(|_, turns| turns.strong_count() > 0);
        let turns = Arc::new(Self(std::array::from_fn(|_| Mutex::new(()))));
        open.insert(dir.to_owned(), Arc::downgrade(&turns));
        turns
    }

    /// Waits for the turn of an entry.
    pub fn take(&self, id: i64) -> MutexGuard<'_, ()> {
        lock(&self.0[id as usize % STRIPES])
    }
}
