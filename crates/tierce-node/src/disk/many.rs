//! Reads of many keys: one call, and one buffer for what is small.
//!
//! An answer, for each key in order: length of the value as `u32`, or [`MISSING`]; kind as `u32`, with [`APART`] where the value is a
//! buffer of its own; with `whole` the facts of the entry, of which a miss has none that count; then the value.

use napi::Env;
use napi::bindgen_prelude::{Buffer, Uint8Array};
use napi_derive::napi;
use tierce::{Entry, Meta, Result};
use tierce_napi::{Work, guard, job};

use super::NativeDisk;
use crate::on;
use crate::wire::{META, Reader, meta_bytes};

const HEAD: usize = 8;
const MISSING: u32 = u32::MAX;
const APART: u32 = 1 << 8;
/// From here on, a copy of a value takes longer than a buffer of its own.
const LONG: usize = 4096;
/// `fetchMany`: use `readMany`.
const TOO_LARGE: i32 = -2;

type Answer = (Vec<u8>, Vec<Vec<u8>>, bool);

/// What many keys hold: see `many.rs`.
#[napi(object, object_from_js = false)]
pub struct NativeEntries {
    pub answer: Buffer,
    /// The values that are apart, in order.
    pub apart: Vec<Buffer>,
    /// Whether there are faults to be told.
    pub has_faults: bool,
}

fn head_length(whole: bool) -> usize {
    if whole { HEAD + META } else { HEAD }
}

/// Fills in the first bytes of an answer.
fn put_head(bytes: &mut [u8], meta: Option<&Meta>, flags: u32) {
    let length = meta.map_or(MISSING, |meta| meta.size as u32);
    let kind = meta.map_or(0, |meta| u32::from(meta.kind)) | flags;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..HEAD].copy_from_slice(&kind.to_le_bytes());
    if let (Some(meta), Some(facts)) = (meta, bytes.get_mut(HEAD..HEAD + META)) {
        facts.copy_from_slice(&meta_bytes(meta));
    }
}

/// The answer of entries, with the values that are apart.
fn packed(entries: Vec<Option<Entry>>, whole: bool) -> (Vec<u8>, Vec<Vec<u8>>) {
    let head = head_length(whole);
    let short = entries.iter().flatten().map(|entry| entry.value.len()).filter(|length| *length < LONG);
    let mut answer = Vec::with_capacity(entries.len() * head + short.sum::<usize>());
    let mut apart = Vec::new();
    for entry in entries {
        let (meta, value) = entry.map_or((None, Vec::new()), |entry| (Some(entry.meta), entry.value));
        let is_apart = value.len() >= LONG;
        let start = answer.len();
        answer.resize(start + head, 0);
        put_head(&mut answer[start..], meta.as_ref(), if is_apart { APART } else { 0 });
        if is_apart {
            apart.push(value);
        } else {
            answer.extend_from_slice(&value);
        }
    }
    (answer, apart)
}

#[napi]
impl NativeDisk {
    /// Reads live entries of many keys, of `inbox[0, keysLength)`, where each stands behind its length. Gives 0 with the answer in the
    /// inbox, 1 where there are faults to be told besides, or -2: use `readMany`. With `whole`, the answer has the facts of entries.
    #[napi]
    pub fn fetch_many(&self, env: &Env, keys_length: u32, whole: bool, now: f64) -> napi::Result<i32> {
        guard(env, || {
            let tier = self.at(now)?;
            let Some(cache) = tier.sqlite() else { return Ok(TOO_LARGE) };
            let open = self.open();
            let texts = open.inbox().head(keys_length)?; // the answer takes their place
            let keys = Reader(&texts).keys()?;
            let head = head_length(whole);
            open.inbox().with(|bytes| {
                let Some(entries) = cache.fetch_many_into(&keys, bytes, head)? else { return Ok(TOO_LARGE) };
                let mut at = 0;
                for meta in &entries {
                    put_head(&mut bytes[at..at + head], meta.as_ref(), 0);
                    at += head + meta.map_or(0, |meta| meta.size as usize);
                }
                Ok(cache.has_faults().into())
            })
        })
    }

    /// The same of any values, on the thread pool. `keys` holds each key behind its length.
    #[napi(ts_return_type = "Promise<NativeEntries>")]
    pub fn read_many(
        &self,
        env: &Env,
        keys: Uint8Array,
        whole: bool,
        now: f64,
    ) -> napi::Result<Work<Answer, NativeEntries>> {
        let tier = guard(env, || self.at(now))?;
        let read = move || -> Result<Answer> {
            let keys = Reader(&keys).keys()?;
            let (entries, has_faults) =
                on!(&tier, cache => cache.get_many(&keys).map(|found| (found, cache.has_faults())))?;
            let (answer, apart) = packed(entries, whole);
            Ok((answer, apart, has_faults))
        };
        Ok(job(read, |_, (answer, apart, has_faults)| {
            let apart = apart.into_iter().map(Buffer::from).collect();
            Ok(NativeEntries { answer: answer.into(), apart, has_faults })
        }))
    }
}
