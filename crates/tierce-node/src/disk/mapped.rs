//! Reading by a map of the file.

use napi::Env;
use napi::bindgen_prelude::{Buffer, Uint8Array};
use napi_derive::napi;
use tierce::{Key, Mapped};
use tierce_napi::{Work, guard, job};

use super::NativeDisk;
use crate::on;
use crate::scratch::value_view;
use crate::wire::meta_bytes;

/// A value and the facts of its entry (`wire.rs`).
#[napi(object, object_from_js = false)]
pub struct NativeMapped {
    pub meta: Buffer,
    pub value: Uint8Array,
}

#[napi]
impl NativeDisk {
    /// Reads an entry on the thread pool; a value that is stored as it is in a file is mapped, privately.
    #[napi(ts_return_type = "Promise<NativeMapped | null>")]
    pub fn map(
        &self,
        env: &Env,
        key: Uint8Array,
        now: f64,
    ) -> napi::Result<Work<Option<Mapped>, Option<NativeMapped>>> {
        let cache = guard(env, || self.at(now))?;
        Ok(job(
            move || on!(cache, cache => cache.mapped(Key::from_text(&key[..]))),
            |_, entry| Ok(entry.map(native_mapped)),
        ))
    }
}

fn native_mapped(entry: Mapped) -> NativeMapped {
    NativeMapped { meta: meta_bytes(&entry.meta).to_vec().into(), value: value_view(entry.value) }
}
