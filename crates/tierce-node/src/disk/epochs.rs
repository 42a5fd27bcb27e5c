//! How the writes of other processes are noticed: counters in memory that all of them map, and without a database a look at the entry.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{ArrayBuffer, Uint8Array, Uint32Array};
use napi_derive::napi;
use tierce::{Cache, Code, EPOCH_BITS, Error, Key, Result};
use tierce_napi::guard;

use super::NativeDisk;
use crate::scratch::{epochs_view, is_view_of};
use crate::tier::Tier;

#[napi]
impl NativeDisk {
    /// Whether the entry of the key in `inbox[0, keyLength)` is still the one that these numbers were of. Without a database.
    #[napi]
    pub fn is_current(&self, env: &Env, key_length: u32, slot: u32, epoch: u32) -> napi::Result<bool> {
        guard(env, || {
            let key = Key::from_text(self.open.inbox.head(key_length)?);
            Ok(match self.cache()? {
                Tier::Json(cache) => cache.is_current(key, slot, epoch),
                Tier::Sqlite(cache) => cache.epochs().load(slot) == epoch,
            })
        })
    }

    /// The counters by which the writes of other processes are noticed, mapped.
    #[napi]
    pub fn epochs(&self, env: &Env) -> napi::Result<Uint32Array> {
        guard(env, || Ok(epochs_view(Arc::clone(self.database()?.epochs()))))
    }

    /// The slot of a key among them.
    #[napi]
    pub fn slot_of(&self, env: &Env, key: Uint8Array) -> napi::Result<u32> {
        guard(env, || Ok(self.database()?.digest(&Key::from_text(&key[..])).slot(EPOCH_BITS)))
    }

    /// Whether `view` is the mapping and not a copy.
    #[napi]
    pub fn shares_epochs(&self, env: &Env, view: Uint32Array) -> napi::Result<bool> {
        guard(env, || Ok(is_view_of(&view, self.database()?.epochs())))
    }

    /// One counter, where the mapping cannot be shared.
    #[napi]
    pub fn epoch_at(&self, env: &Env, slot: u32) -> napi::Result<u32> {
        guard(env, || Ok(self.database()?.epochs().load(slot)))
    }

    /// Takes memory from JavaScript, which would have it until the next collection: views of it are empty from then on, and what it
    /// was of goes. No call may be using it.
    #[napi]
    pub fn detach(&self, env: &Env, memory: ArrayBuffer<'_>) -> napi::Result<()> {
        guard(env, || Ok(()))?;
        memory.detach()
    }
}

impl NativeDisk {
    fn database(&self) -> Result<Arc<Cache>> {
        let tier = self.cache()?;
        tier.sqlite()
            .cloned()
            .ok_or_else(|| Error::new(Code::Internal, "a directory without a database has no epochs"))
    }
}
