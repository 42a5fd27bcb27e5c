//! Who is told of entries that leave.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use super::cache::MemoryCache;
use super::shard::{Dropped, Entry};

/// Why an entry left a [`MemoryCache`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Its time was over.
    Expired,
    /// It had to go for others, or was too heavy.
    Evicted,
    /// Another value came in its place.
    Replaced,
    /// A caller took it out.
    Removed,
}

pub(super) type Listener<K, V> = Arc<dyn Fn(K, V, Cause) + Send + Sync>;

impl<K: Hash + Eq, V: Clone, S: BuildHasher> MemoryCache<K, V, S> {
    /// Drops an entry, or hands it to the listener. No lock is held: both are the user's code.
    #[inline]
    pub(super) fn gone(&self, entry: Option<Entry<K, V>>, cause: Cause) {
        if let (Some(listener), Some(entry)) = (&self.listener, entry) {
            let is_over = cause == Cause::Replaced && !entry.is_live(|| self.clock.now_ms());
            listener(entry.key, entry.value, if is_over { Cause::Expired } else { cause });
        }
    }

    #[inline]
    pub(super) fn dropped(&self, dropped: Dropped<K, V>) {
        self.gone(dropped.replaced, Cause::Replaced);
        self.gone(dropped.first, Cause::Evicted);
        for entry in dropped.rest {
            self.gone(Some(entry), Cause::Evicted);
        }
    }
}
