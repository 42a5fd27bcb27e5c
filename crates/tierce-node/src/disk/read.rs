//! Reads of one key.

use napi::Env;
use napi::bindgen_prelude::{Buffer, Function, FunctionCallContext, Uint8Array};
use napi_derive::napi;
use tierce::{Entry, Fetched, Key, Result, State};
use tierce_napi::{Work, guard, job};

use super::{NativeDisk, Open};
use crate::on;
use crate::wire::{META, Reader, meta_bytes};

/// `fetch`: no live entry.
const MISS: i32 = -1;
/// `fetch`: the value needs a thread that may wait.
const TOO_LARGE: i32 = -2;
/// `fetch`: no live entry, and something is to be told.
const FAULT: i32 = -4;
/// Bytes of a key that is copied without an allocation.
const SHORT_KEY: usize = 256;

/// `state`.
const MISSING: i32 = 0;
const LIVE: i32 = 1;
const EXPIRED: i32 = 2;

/// A value and the facts of its entry (`wire.rs`).
#[napi(object, object_from_js = false)]
pub struct NativeEntry {
    pub meta: Buffer,
    pub value: Buffer,
    /// Tags, description and metadata, as on disk.
    pub extras: Option<Buffer>,
}

impl Open {
    /// See [`NativeDisk::fetcher`].
    fn fetch(&self, key_length: u32, whole: bool, now: f64) -> Result<i32> {
        self.clock.set(now as u64);
        let tier = self.tier.borrow();
        let Some(tier) = &*tier else { return self.cache().map(|_| MISS) };
        // Files may be far away: the event loop does not wait for them.
        let Some(cache) = tier.sqlite() else { return Ok(TOO_LARGE) };
        self.inbox.with(|bytes| {
            // The value takes the place of its key.
            let mut short = [0; SHORT_KEY];
            let text = Reader(bytes).bytes(key_length as usize)?;
            let key = match short.get_mut(..text.len()) {
                Some(room) => {
                    room.copy_from_slice(text);
                    Key::from_text(&*room)
                }
                None => Key::from_text(text.to_vec()),
            };
            let (facts, room) = bytes.split_at_mut(META);
            Ok(match cache.fetch_into(&key, room, true, whole)? {
                Fetched::Miss if cache.has_faults() => FAULT,
                Fetched::Miss => MISS,
                Fetched::TooLarge(_) => TOO_LARGE,
                Fetched::Filled(meta) => {
                    facts.copy_from_slice(&meta_bytes(&meta));
                    meta.size as i32
                }
            })
        })
    }
}

#[napi]
impl NativeDisk {
    /// Gives the function that reads the entry of the key in `inbox[0, keyLength)`, a stale one too. It gives the length of the
    /// value, which is in the inbox behind its facts, or -1 (miss), -4 (a miss, and there are faults to be told) or -2 (use
    /// `read`): with `whole`, also for an entry with extras. No method, as finding its object takes a method longer than all else
    /// of a call.
    #[napi(ts_return_type = "(keyLength: number, whole: boolean, now: number) => number")]
    pub fn fetcher<'env>(&self, env: &'env Env) -> napi::Result<Function<'env, (u32, bool, f64), i32>> {
        let open = self.open();
        env.create_function_from_closure("fetch", move |call: FunctionCallContext<'_>| {
            let (key_length, whole, now) = (call.get(0)?, call.get(1)?, call.get(2)?);
            guard(call.env, || open.fetch(key_length, whole, now))
        })
    }

    /// Ends the snapshot that `fetch` keeps open for the next one: to be called when the event loop turns.
    #[napi]
    pub fn release(&self, env: &Env) -> napi::Result<()> {
        guard(env, || self.cache()?.sqlite().map_or(Ok(()), |cache| cache.release()))
    }

    /// What there is of the key in `inbox[0, keyLength)`: 0 no entry, 1 a live one, whose facts are in the inbox then, 2 an
    /// expired one. With `touch`, an access of a live one.
    #[napi]
    pub fn state(&self, env: &Env, key_length: u32, touch: bool, now: f64) -> napi::Result<i32> {
        guard(env, || {
            let cache = self.at(now)?;
            let key = Key::from_text(self.open.inbox.head(key_length)?);
            Ok(match on!(&cache, cache => cache.state(key))? {
                State::Live(meta) => {
                    if touch {
                        on!(&cache, cache => cache.note([(meta.id, 1)]));
                    }
                    self.open.inbox.with(|bytes| bytes[..META].copy_from_slice(&meta_bytes(&meta)));
                    LIVE
                }
                State::Expired => EXPIRED,
                _ => MISSING,
            })
        })
    }

    /// Reads an entry of any size, a stale one too, on the calling thread.
    #[napi]
    pub fn read_sync(&self, env: &Env, key: Uint8Array, now: f64) -> napi::Result<Option<NativeEntry>> {
        guard(env, || {
            let key = Key::from_text(&key[..]);
            Ok(on!(self.at(now)?, cache => cache.kept(key))?.map(native_entry))
        })
    }

    /// Reads an entry of any size, a stale one too, on the thread pool.
    #[napi(ts_return_type = "Promise<NativeEntry | null>")]
    pub fn read(
        &self,
        env: &Env,
        key: Uint8Array,
        now: f64,
    ) -> napi::Result<Work<Option<Entry>, Option<NativeEntry>>> {
        let cache = guard(env, || self.at(now))?;
        Ok(job(
            move || on!(cache, cache => cache.kept(Key::from_text(&key[..]))),
            |_, entry| Ok(entry.map(native_entry)),
        ))
    }
}

fn native_entry(entry: Entry) -> NativeEntry {
    let extras = if entry.extras.is_empty() { None } else { entry.extras.to_bytes().ok() };
    NativeEntry {
        meta: meta_bytes(&entry.meta).to_vec().into(),
        value: entry.value.into(),
        extras: extras.map(Buffer::from), // what was read can be written again
    }
}
