//! Listings, counts and cleanups: each reads the heads of entries, one after the other.

use std::sync::atomic::Ordering;

use super::super::Stats;
use super::super::cleanup::Validity;
use super::super::listing::{KeyPage, Listed, Listing};
use super::SidecarCache;
use super::folder::Found;
use super::head::Head;
use super::shared::meta_of;
use crate::error::{Code, Result};

impl SidecarCache {
    /// A page of live entries, as [`Cache::page`](crate::Cache::page).
    ///
    /// # Errors
    /// [`Code::InvalidOption`] for a prefix where the texts of keys are not stored; as [`SidecarCache::get`].
    pub fn page(&self, listing: &Listing<'_>) -> Result<KeyPage> {
        if listing.prefixes.is_some() {
            self.shared.keeping().expect_texts()?;
        }
        let now = self.shared.now();
        let after = Some(listing.after).filter(|after| *after != i64::MIN);
        let mut page = KeyPage::default();
        let is_asked = |head: &Head| {
            let starts = |prefixes: [&[u8]; 2]| prefixes.iter().any(|prefix| head.key.starts_with(prefix));
            head.is_live(now)
                && (!listing.expiring || head.expires.or(head.freshness.until).is_some())
                && listing.prefixes.is_none_or(starts)
        };
        self.shared.folder.walk(after, |id| {
            let Found::Read(opened) = self.shared.folder.open(id)? else { return Ok(true) };
            if !is_asked(&opened.head) {
                return Ok(true);
            }
            let used = self.shared.bound.used(id).or_else(|| self.shared.folder.used(id)).unwrap_or_default();
            let meta = meta_of(&opened.head, id, opened.stamp, used);
            page.entries.push(Listed { key: opened.head.key, meta, extras: opened.head.extras });
            if page.entries.len() >= listing.limit as usize {
                page.next = Some(id);
            }
            Ok(page.next.is_none())
        })?;
        Ok(page)
    }

    /// Entries, expired ones included until they are removed.
    ///
    /// # Errors
    /// As [`SidecarCache::get`].
    pub fn len(&self) -> Result<u64> {
        Ok(self.shared.folder.all()?.len() as u64)
    }

    /// Whether there is no entry.
    ///
    /// # Errors
    /// As [`SidecarCache::get`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// What is stored and how this handle's reads fared. Reads the head of every entry.
    ///
    /// # Errors
    /// As [`SidecarCache::get`].
    pub fn stats(&self) -> Result<Stats> {
        let mut stats = Stats {
            hits: self.shared.hits.load(Ordering::Relaxed),
            misses: self.shared.misses.load(Ordering::Relaxed),
            ..Stats::default()
        };
        self.heads(|_, head, length| {
            stats.entries += 1;
            stats.size += head.header.raw_size;
            stats.stored_size += head.header.stored_size;
            stats.disk_size += length.next_multiple_of(4096);
        })?;
        Ok(stats)
    }

    /// How much has expired, and how much has not.
    ///
    /// # Errors
    /// As [`SidecarCache::get`].
    pub fn validity(&self) -> Result<Validity> {
        let now = self.shared.now();
        let mut validity = Validity::default();
        self.heads(|_, head, _| {
            if head.is_expired(now) {
                validity.expired += 1;
            } else if head.is_live(now) {
                validity.valid += 1;
                validity.valid_size += head.header.raw_size;
            }
        })?;
        Ok(validity)
    }

    /// Every entry that can be read, with the length of its file.
    fn heads(&self, mut see: impl FnMut(i64, &Head, u64)) -> Result<()> {
        self.shared.folder.walk(None, |id| {
            if let Found::Read(opened) = self.shared.folder.open(id)? {
                see(id, &opened.head, opened.start + opened.head.header.stored_size);
            }
            Ok(true)
        })
    }

    /// Removes up to `limit` entries that have expired or are damaged, and what dead processes left. Gives how many had expired.
    ///
    /// # Errors
    /// As [`SidecarCache::set`]; what was removed by then is gone.
    pub fn cleanup(&self, limit: u64) -> Result<u64> {
        let now = self.shared.now();
        let mut removed = 0;
        for path in self.shared.folder.leftovers() {
            let _ = std::fs::remove_file(path); // gone already, or there next time
        }
        self.shared.folder.walk(None, |id| {
            match self.shared.folder.open(id)? {
                Found::Read(opened) if opened.head.is_expired(now) => {
                    let is_due = |found: &_| matches!(found, Found::Read(opened) if is_over(opened, now));
                    removed += u64::from(self.shared.removed(id, &is_due));
                }
                Found::Bad(fault) if fault.code() == Code::Corrupt => {
                    self.shared.removed(
                        id,
                        &|found| matches!(found, Found::Bad(why) if why.code() == Code::Corrupt),
                    );
                    self.shared.report(fault);
                }
                _ => {}
            }
            Ok(removed < limit)
        })?;
        Ok(removed)
    }
}

fn is_over(opened: &super::head::Opened, now: u64) -> bool {
    opened.head.is_expired(now)
}
