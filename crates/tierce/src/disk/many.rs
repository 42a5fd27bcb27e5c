//! Reads of many keys on one state of the cache.

use super::cache::Cache;
use super::db::Db;
use super::engine::Engine;
use super::get::Entry;
use super::journal::Journal;
use super::read::{Asked, Lookup, Meta};
use crate::error::Result;
use crate::frame::Header;
use crate::key::Key;

/// Looks at a state that others change meanwhile, before what is in the journal is moved out of the way.
const LOOKS: usize = 2;
/// Values after which it shows whether there is room for all.
const SAMPLE: usize = 8;

/// The cache as it was at one moment.
pub(super) struct Still<'a> {
    engine: &'a Engine,
    db: &'a Db,
    journal: Option<&'a Journal>,
    hold: bool,
}

impl Still<'_> {
    /// As [`Engine::lookup`].
    pub fn look<T>(
        &self,
        asked: &Asked<'_>,
        mut take: impl FnMut(Header, &Meta, &[u8]) -> Result<T>,
    ) -> Result<Lookup<T>> {
        if let Some(journal) = self.journal {
            let is_gone = |id, at| self.engine.is_called_off(self.db, journal, id, at);
            if let Some(found) = self.engine.pending(journal, asked, self.hold, is_gone, &mut take)? {
                return Ok(found);
            }
        }
        self.engine.lookup(self.db, asked, self.hold, take)
    }
}

impl Engine {
    /// Hands one state of the cache to `run`, maybe more than once. With `hold`, the snapshot stays for the next read, and `None` says
    /// that others keep changing it: settling that takes a thread that may wait.
    fn at_one_time<T>(&self, hold: bool, mut run: impl FnMut(&Still<'_>) -> Result<T>) -> Result<Option<T>> {
        let mut given = None;
        let is_given = self.seen_at_one_time(hold, &mut |still| {
            given = Some(run(still)?);
            Ok(())
        })?;
        Ok(given.filter(|_| is_given))
    }

    /// Not generic, or it would be compiled for each caller, with `run` in three places.
    fn seen_at_one_time(&self, hold: bool, run: &mut dyn FnMut(&Still<'_>) -> Result<()>) -> Result<bool> {
        let mut look = |db: &Db, journal| {
            let still = Still { engine: self, db, journal, hold };
            if !hold {
                return db.snapshot(|| run(&still));
            }
            db.hold(self.epochs.moves())?;
            run(&still)
        };
        let Some(journal) = self.journal()? else {
            return self.mending(hold, |db| look(db, None)).map(|()| true);
        };
        // Where these stand still, no record came, and none went from the journal into the database.
        let state = || journal.tail().map(|tail| (self.epochs.moves(), tail));
        for _ in 0..LOOKS {
            let Ok(before) = state() else { break }; // it has to be mended, which moves it
            self.mending(hold, |db| look(db, Some(journal)))?;
            if state().is_ok_and(|now| now == before) {
                return Ok(true);
            }
        }
        if hold { Ok(false) } else { self.read_mending(false, |db| look(db, None)).map(|()| true) }
    }
}

impl Cache {
    /// As [`Cache::entry`] for many keys, on one snapshot, in their order. [`Entry::extras`] stay empty.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry>>> {
        let asked: Vec<_> = keys.iter().map(|key| self.engine.asked(key)).collect();
        let look = |asked: &Asked<'_>, still: &Still<'_>| {
            still.look(asked, |header, _, payload| header.decode(payload))
        };
        let found = self.engine.at_one_time(false, |still| {
            asked.iter().map(|asked| look(asked, still)).collect::<Result<Vec<_>>>()
        })?;
        let found = keys.iter().zip(found.into_iter().flatten());
        found.map(|(key, found)| self.finish(key, self.live(found))).collect()
    }

    /// As [`Cache::get_many`], for values that are small: into a buffer of the caller's, one behind the other in the order of their keys,
    /// with `gap` bytes before each that are left as they are, also where a key has none. `None` where they do not fit, one is in a file, or
    /// others write all the time: use [`Cache::get_many`]. The snapshot stays open as of [`Cache::fetch_into`].
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn fetch_many_into(
        &self,
        keys: &[Key<'_>],
        buffer: &mut [u8],
        gap: usize,
    ) -> Result<Option<Vec<Option<Meta>>>> {
        let asked: Vec<_> = keys.iter().map(|key| self.engine.asked(key)).collect();
        let now = self.engine.now();
        let found = self.engine.at_one_time(true, |still| {
            let mut room = Room { buffer: &mut *buffer, at: 0 };
            let mut found = Vec::with_capacity(keys.len());
            for asked in &asked {
                room.at += gap;
                found.push(still.look(asked, |header, meta, payload| {
                    if meta.freshness.is_stale(now) { Ok(true) } else { room.put(header, meta, payload) }
                })?);
                let is_put = !matches!(found.last(), Some(Lookup::Inline(false, _) | Lookup::File(..)));
                if !is_put || !room.may_hold(keys.len(), found.len()) {
                    return Ok(None);
                }
            }
            Ok(Some(found))
        })?;
        let Some(found) = found.flatten() else { return Ok(None) };
        let counted =
            keys.iter().zip(found).map(|(key, found)| match self.live(self.engine.sound(key, found)) {
                Lookup::Inline(_, meta) => Some(meta.with(self.count(Some(&meta)))),
                _ => {
                    self.count(None);
                    None
                }
            });
        Ok(Some(counted.collect()))
    }
}

/// A buffer that fills.
struct Room<'a> {
    buffer: &'a mut [u8],
    at: usize,
}

impl Room<'_> {
    /// Decodes a value into it. False where it does not fit.
    fn put(&mut self, header: Header, meta: &Meta, payload: &[u8]) -> Result<bool> {
        let rest = self.buffer.get_mut(self.at..);
        let Some(room) = rest.and_then(|rest| rest.get_mut(..meta.size as usize)) else { return Ok(false) };
        header.decode_into(payload, room)?;
        self.at += room.len();
        Ok(true)
    }

    /// Whether it looks as if all of `total` will fit, after `done`.
    fn may_hold(&self, total: usize, done: usize) -> bool {
        self.at <= self.buffer.len() && (done < SAMPLE || self.at / done * total <= self.buffer.len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a failure is a panic")]
    use super::*;

    fn read(still: &Still<'_>, asked: &Asked<'_>) -> (Vec<u8>, Meta) {
        match still.look(asked, |header, _, payload| header.decode(payload)).unwrap() {
            Lookup::Inline(value, meta) => (value, meta),
            _ => panic!("a miss"),
        }
    }

    /// What a memory tier keeps of an old value, it keeps under an epoch that has passed.
    #[test]
    fn a_value_that_is_replaced_while_others_are_read_is_not_current() {
        for journal in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let open = || Cache::builder().journal(journal).open(dir.path()).unwrap();
            let (cache, other) = (open(), open());
            cache.set("a", b"old").unwrap();
            cache.set("b", b"old").unwrap();
            let keys = ["a", "b"].map(Key::from);
            let asked = keys.each_ref().map(|key| cache.engine.asked(key));
            let mut looks = 0;
            let found = cache.engine.at_one_time(false, |still| {
                let first = read(still, &asked[0]).0;
                if looks == 0 {
                    other.set("a", b"new").unwrap();
                    other.set("b", b"new").unwrap();
                }
                looks += 1;
                Ok((first, read(still, &asked[1])))
            });
            let (first, (second, meta)) = found.unwrap().unwrap();
            assert_eq!(first, second, "all are of one time");
            assert_ne!(cache.epochs().load(meta.slot), meta.epoch);
            assert_eq!(looks > 1, journal, "the journal shows a record, a snapshot does not");
        }
    }
}
