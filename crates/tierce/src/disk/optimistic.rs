//! Transactions without locks (optimistic concurrency control, Kung and Robinson 1981): reads note the version that they
//! saw, writes are kept, and the commit applies them in one step if every version is still the same.

use std::collections::HashMap;
use std::time::Duration;

use super::cache::Cache;
use super::epoch;
use super::number::Number;
use super::verbs::State;
use super::write::{SetWrite, Write};
use super::{Wait, owner};
use crate::error::{Code, Error, Result};
use crate::key::Key;

/// The longest pause before another try.
const LONGEST_PAUSE_MS: u64 = 64;
/// How often a read looks again while others write.
const LOOKS: usize = 16;

/// Reads and writes that commit together: see [`Cache::transaction`].
#[derive(Debug)]
pub struct Transaction<'c> {
    cache: &'c Cache,
    reads: Vec<Read>,
    /// By stored key.
    known: HashMap<Vec<u8>, Known>,
    in_conflict: bool,
}

/// What was read, and where it is seen that it may have changed.
#[derive(Debug)]
struct Read {
    key: Key<'static>,
    version: Option<u64>,
    slot: u32,
    epoch: u32,
}

#[derive(Debug)]
struct Known {
    /// As the transaction sees it.
    value: Option<Vec<u8>>,
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Set { value: Vec<u8>, expires_at: Option<u64> },
    Delete,
    Increment { by: i64, expires_at: Option<u64> },
}

impl Cache {
    /// Runs `run` and commits what it did through its argument: all of it, or nothing where it fails. Its reads see one state
    /// of the cache and its own writes. No lock is held meanwhile: where somebody else changed what it read, it is run
    /// again, up to `retries` times.
    ///
    /// ```
    /// # fn main() -> tierce::Result<()> {
    /// # let temp = tempfile::tempdir().unwrap();
    /// # let cache = tierce::Cache::builder().open(temp.path().join("cache"))?;
    /// # cache.set("from", b"5")?;
    /// cache.transaction(10, |tx| {
    ///     tx.increment("from", -1)?;
    ///     tx.increment("to", 1)
    /// })?;
    /// # assert_eq!(cache.get("to")?.as_deref(), Some(&b"1"[..]));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What `run` returns; [`Code::Transaction`] after the last conflict; as [`Cache::set`].
    pub fn transaction<T, E: From<Error>>(
        &self,
        retries: u32,
        mut run: impl FnMut(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut tries = 0;
        loop {
            let mut tx =
                Transaction { cache: self, reads: Vec::new(), known: HashMap::new(), in_conflict: false };
            let outcome = run(&mut tx).and_then(|value| tx.commit().map(|()| value).map_err(E::from));
            if outcome.is_ok() || !tx.in_conflict || tries == retries {
                return outcome;
            }
            let longest = LONGEST_PAUSE_MS.min(1 << tries.min(6)) * 1_000;
            std::thread::sleep(Duration::from_micros(owner::random() % longest));
            tries += 1;
        }
    }
}

impl Transaction<'_> {
    /// As [`Cache::get`].
    ///
    /// # Errors
    /// As [`Cache::get`]; [`Code::Transaction`] where what was read before was changed by others meanwhile.
    pub fn get<'a>(&mut self, key: impl Into<Key<'a>>) -> Result<Option<Vec<u8>>> {
        Ok(self.look(&key.into())?.value.clone())
    }

    /// As [`Cache::has`].
    ///
    /// # Errors
    /// As [`Transaction::get`].
    pub fn has<'a>(&mut self, key: impl Into<Key<'a>>) -> Result<bool> {
        Ok(self.look(&key.into())?.value.is_some())
    }

    /// As [`Cache::set`], at the end.
    ///
    /// # Errors
    /// None yet: the commit tells.
    pub fn set<'a>(&mut self, key: impl Into<Key<'a>>, value: impl AsRef<[u8]>) -> Result<()> {
        self.set_until(&key.into(), value.as_ref(), self.cache.engine.default_ttl)
    }

    /// As [`Cache::set_for`], at the end.
    ///
    /// # Errors
    /// [`Code::InvalidTtl`] when it is zero.
    pub fn set_for<'a>(
        &mut self,
        key: impl Into<Key<'a>>,
        value: impl AsRef<[u8]>,
        ttl: Duration,
    ) -> Result<()> {
        self.set_until(&key.into(), value.as_ref(), Some(ttl))
    }

    fn set_until(&mut self, key: &Key<'_>, value: &[u8], ttl: Option<Duration>) -> Result<()> {
        let change = Change::Set { value: value.to_vec(), expires_at: self.cache.expiry(ttl)? };
        let known = Known { value: Some(value.to_vec()), changes: vec![change] };
        self.known.insert(key.as_bytes().to_vec(), known);
        Ok(())
    }

    /// As [`Cache::delete`], at the end.
    ///
    /// # Errors
    /// As [`Transaction::get`].
    pub fn delete<'a>(&mut self, key: impl Into<Key<'a>>) -> Result<bool> {
        let known = self.look(&key.into())?;
        let existed = known.value.take().is_some();
        if existed {
            known.changes = vec![Change::Delete];
        }
        Ok(existed)
    }

    /// As [`Cache::increment`], at the end.
    ///
    /// # Errors
    /// As [`Transaction::get`] and [`Cache::increment`].
    pub fn increment<'a>(&mut self, key: impl Into<Key<'a>>, by: i64) -> Result<i64> {
        let expires_at = self.cache.expiry(self.cache.engine.default_ttl)?;
        let known = self.look(&key.into())?;
        let added = Number::Integer(by);
        let held = match &known.value {
            Some(bytes) => Number::read(0, bytes).ok_or_else(|| added.none())?,
            None => added.zero(),
        };
        let Number::Integer(sum) = held.plus(added)? else { return Err(added.none()) };
        known.value = Some(Number::Integer(sum).to_bytes());
        known.changes.push(Change::Increment { by, expires_at });
        Ok(sum)
    }

    /// What the transaction knows of a key, read where it did not.
    fn look(&mut self, key: &Key<'_>) -> Result<&mut Known> {
        let id = key.as_bytes().to_vec();
        if !self.known.contains_key(&id) {
            let slot = self.cache.digest(key).slot(epoch::BITS);
            let epoch = self.cache.epochs().load(slot); // before the read, or a change beside it would not be seen
            let entry = self.cache.entry(key.clone())?;
            let version = entry.as_ref().map(|entry| entry.meta.version);
            self.reads.push(Read { key: Key::from_text(id.clone()), version, slot, epoch });
            self.validate()?;
            let known = Known { value: entry.map(|entry| entry.value), changes: Vec::new() };
            self.known.insert(id.clone(), known);
        }
        self.known.get_mut(&id).ok_or_else(|| Error::new(Code::Internal, "a key that was read is not known"))
    }

    /// All that was read must still be as it was, or the program would see two states at once.
    fn validate(&mut self) -> Result<()> {
        for _ in 0..LOOKS {
            let mut moved = false;
            for read in &mut self.reads {
                let now = self.cache.epochs().load(read.slot);
                if now == read.epoch {
                    continue;
                }
                // Another key of the slot may have done that.
                moved = true;
                let version = match self.cache.state(read.key.clone())? {
                    State::Live(meta) => Some(meta.version),
                    _ => None,
                };
                if version != read.version {
                    self.in_conflict = true;
                    return Err(conflict());
                }
                read.epoch = now;
            }
            if !moved {
                return Ok(());
            }
        }
        self.in_conflict = true;
        Err(conflict())
    }

    fn commit(&mut self) -> Result<()> {
        if self.in_conflict {
            return Err(conflict());
        }
        let keyed: Vec<(Key<'_>, &Known)> =
            self.known.iter().map(|(id, known)| (Key::from_text(&id[..]), known)).collect();
        let changes = keyed
            .iter()
            .flat_map(|(key, known)| known.changes.iter().map(move |change| write_of(key.clone(), change)));
        let mut writes: Vec<Write<'_>> = changes.collect();
        if writes.is_empty() {
            return Ok(()); // it saw one state, and leaves it as it is
        }
        let check = |read: &Read| Write::Check { key: read.key.clone(), version: read.version };
        writes.splice(0..0, self.reads.iter().map(check));
        let outcome = self.cache.apply(&writes, Wait::Yes).map(|_| ());
        self.in_conflict = outcome.as_ref().is_err_and(|why| why.code() == Code::Transaction);
        outcome
    }
}

fn write_of<'a>(key: Key<'a>, change: &'a Change) -> Write<'a> {
    match change {
        Change::Set { value, expires_at } => {
            Write::Set(SetWrite { expires_at: *expires_at, ..SetWrite::new(key, value) })
        }
        Change::Delete => Write::Delete { key },
        Change::Increment { by, expires_at } => {
            Write::Increment { key, by: Number::Integer(*by), expires_at: *expires_at }
        }
    }
}

fn conflict() -> Error {
    Error::new(Code::Transaction, "a key that the transaction read was written since: run it again")
}
