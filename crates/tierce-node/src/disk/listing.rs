//! Pages of entries.

use napi::Env;
use napi::bindgen_prelude::{Buffer, Uint8Array};
use napi_derive::napi;
use tierce::{Extras, Key, Listing, ListingSink, Meta, Result};
use tierce_napi::{Work, guard, job};

use super::NativeDisk;
use crate::on;
use crate::tier::Tier;
use crate::wire::{META, Reader, meta_bytes};

/// Which entries a page has.
#[napi(object, object_to_js = false)]
pub struct NativeListing {
    /// Where the last page ended.
    pub cursor: Option<Uint8Array>,
    /// The key that the first page starts behind.
    pub after: Option<Uint8Array>,
    pub limit: u32,
    /// Two beginnings of keys, of which an entry has one.
    pub prefixes: Option<Vec<Uint8Array>>,
    /// Only entries that expire.
    pub expiring: bool,
}

/// Bytes before the entries of a page.
const PAGE_HEAD: usize = 12;
/// Room for a key and the lengths before it.
const USUAL_KEY: usize = 64;
/// Entries that room is made for before they are known.
const MOST_ROOM: u32 = 1000;
/// Entries of a page that takes less time than the way over the thread pool.
const SHORT_PAGE: u32 = 100;

#[napi]
impl NativeDisk {
    /// A page of live entries: the cursor of the next page as `i64` and whether there is one as `u32`, then of each
    /// entry its facts, the lengths of its key and extras as `u32`, key and extras.
    #[napi(ts_return_type = "Promise<Buffer>")]
    pub fn page(&self, env: &Env, listing: NativeListing, now: f64) -> napi::Result<Work<Vec<u8>, Buffer>> {
        let cache = guard(env, || self.at(now))?;
        Ok(job(move || page(&cache, &listing), |_, page| Ok(page.into())))
    }

    /// The same on the calling thread; null where that would take long.
    #[napi]
    pub fn page_now(&self, env: &Env, listing: NativeListing, now: f64) -> napi::Result<Option<Buffer>> {
        guard(env, || {
            let tier = self.at(now)?;
            // A prefix, and a time that not every entry has, may take a look at every row.
            let is_short = listing.limit <= SHORT_PAGE && listing.prefixes.is_none() && !listing.expiring;
            if tier.is_small(is_short)? { page(&tier, &listing).map(Some) } else { Ok(None) }
        })
        .map(|page| page.map(Buffer::from))
    }
}

fn page(tier: &Tier, listing: &NativeListing) -> Result<Vec<u8>> {
    let after = match (&listing.cursor, &listing.after) {
        (Some(cursor), _) => Reader(cursor).i64()?,
        (None, Some(key)) => on!(tier, cache => cache.digest(&Key::from_text(&key[..]))).id(),
        (None, None) => i64::MIN,
    };
    let prefixes = match listing.prefixes.as_deref() {
        Some([first, second]) => Some([&first[..], &second[..]]),
        _ => None,
    };
    let listing = Listing { after, limit: listing.limit, prefixes, expiring: listing.expiring };
    let most = listing.limit.min(MOST_ROOM) as usize;
    let mut page = Page(Vec::with_capacity(PAGE_HEAD + most * (META + USUAL_KEY)));
    let next = tier.page_into(&listing, &mut page)?;
    page.0[..8].copy_from_slice(&next.unwrap_or(0).to_le_bytes());
    page.0[8] = next.is_some().into();
    Ok(page.0)
}

/// A page as it crosses: see [`NativeDisk::page`].
struct Page(Vec<u8>);

impl ListingSink for Page {
    fn begin(&mut self) {
        self.0.clear();
        self.0.resize(PAGE_HEAD, 0);
    }

    fn entry(&mut self, key: &[u8], meta: &Meta, extras: &Extras<'_>) {
        let extras = if extras.is_empty() { Vec::new() } else { extras.to_bytes().unwrap_or_default() };
        self.0.extend_from_slice(&meta_bytes(meta));
        self.0.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.0.extend_from_slice(&(extras.len() as u32).to_le_bytes());
        self.0.extend_from_slice(key);
        self.0.extend_from_slice(&extras);
    }
}
