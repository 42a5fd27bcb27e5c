//! Listings, page by page: no read transaction stays open between two pages.

use super::cache::Cache;
use super::db::Db;
use super::extras::Extras;
use super::read::Meta;
use super::row::EntryRow;
use crate::error::Result;
use crate::frame::Header;

/// Entries of a page of [`Cache::entries`].
const PAGE: u32 = 1000;

/// Which entries a page has.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// Where the page starts: the [`KeyPage::next`] of the last one, or the id of a key's [`Digest`](crate::Digest), as [`Cache::digest`] has it, to go on behind
    /// that key, whether it still has an entry or not. `i64::MIN` starts at the beginning.
    pub after: i64,
    /// At most so many.
    pub limit: u32,
    /// Keys whose stored bytes start with one of these; `None` for all.
    pub prefixes: Option<[&'a [u8]; 2]>,
    /// Only entries that expire.
    pub expiring: bool,
}

impl Default for Listing<'_> {
    fn default() -> Self {
        Self { after: i64::MIN, limit: PAGE, prefixes: None, expiring: false }
    }
}

/// An entry of a listing: all but its value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Listed {
    /// Stored key bytes: the text of a string key.
    pub key: Vec<u8>,
    /// What is known of the entry.
    pub meta: Meta,
    /// What it carries beside its value.
    pub extras: Extras<'static>,
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct KeyPage {
    /// In the order of their digests.
    pub entries: Vec<Listed>,
    /// Where the next page starts; `None` after the last.
    pub next: Option<i64>,
}

/// Takes the entries of a page as they are found. A page that is read again begins again.
pub trait ListingSink {
    /// What was handed over before does not count.
    fn begin(&mut self);
    /// The next entry: its stored key, what is known of it, and what it carries beside its value.
    fn entry(&mut self, key: &[u8], meta: &Meta, extras: &Extras<'_>);
}

impl ListingSink for Vec<Listed> {
    fn begin(&mut self) {
        self.clear();
    }

    fn entry(&mut self, key: &[u8], meta: &Meta, extras: &Extras<'_>) {
        self.push(Listed { key: key.to_vec(), meta: *meta, extras: extras.clone().into_owned() });
    }
}

impl Cache {
    /// A page of live entries, in the order of their digests, which is any order but always the same: entries that are
    /// added meanwhile may or may not be seen, others are seen once. A key that is looked for by its prefix costs a look at
    /// every row, but no more than one call a page.
    ///
    /// # Errors
    /// [`Code::InvalidOption`](crate::Code::InvalidOption) for a prefix where the texts of keys are not stored; as [`Cache::get`].
    pub fn page(&self, listing: &Listing<'_>) -> Result<KeyPage> {
        if listing.prefixes.is_some() {
            self.engine.keeping.expect_texts()?;
        }
        match listing.prefixes {
            Some(prefixes) if self.engine.keeping.is_encrypted() => self.filtered(listing, prefixes),
            _ => self.plain_page(listing),
        }
    }

    /// Where SQL cannot tell by the key, which is encrypted.
    fn filtered(&self, listing: &Listing<'_>, prefixes: [&[u8]; 2]) -> Result<KeyPage> {
        let mut page = KeyPage::default();
        let mut rows = Listing { prefixes: None, limit: PAGE, ..*listing };
        loop {
            let KeyPage { entries, next } = self.plain_page(&rows)?;
            for listed in entries {
                if prefixes.iter().any(|prefix| listed.key.starts_with(prefix)) {
                    let id = listed.meta.id;
                    page.entries.push(listed);
                    if page.entries.len() >= listing.limit as usize {
                        page.next = Some(id);
                        return Ok(page);
                    }
                }
            }
            let Some(after) = next else { return Ok(page) };
            rows.after = after;
        }
    }

    fn plain_page(&self, listing: &Listing<'_>) -> Result<KeyPage> {
        let mut page = KeyPage::default();
        page.next = self.rows(listing, &mut page.entries)?;
        Ok(page)
    }

    /// As [`Cache::page`], but hands each entry to `sink`, and gives where the next page starts.
    ///
    /// # Errors
    /// As [`Cache::page`].
    pub fn page_into(&self, listing: &Listing<'_>, sink: &mut dyn ListingSink) -> Result<Option<i64>> {
        if listing.prefixes.is_none() || self.engine.keeping.keys && !self.engine.keeping.is_encrypted() {
            return self.rows(listing, sink);
        }
        let page = self.page(listing)?;
        sink.begin();
        for Listed { key, meta, extras } in &page.entries {
            sink.entry(key, meta, extras);
        }
        Ok(page.next)
    }

    fn rows(&self, listing: &Listing<'_>, sink: &mut dyn ListingSink) -> Result<Option<i64>> {
        let now = self.engine.now();
        self.engine.read_mending(false, |db| {
            sink.begin();
            let (mut count, mut last) = (0, 0);
            let mut outcome = Ok(());
            db.page(listing, |row| {
                (count, last) = (count + 1, row.id);
                if outcome.is_ok() {
                    outcome = self.listed(db, &row, now, sink);
                }
            })?;
            outcome.map(|()| (count >= listing.limit).then_some(last))
        })
    }

    /// Every live entry whose key starts with `prefix`, read page by page.
    ///
    /// ```
    /// # fn main() -> tierce::Result<()> {
    /// # let temp = tempfile::tempdir().unwrap();
    /// # let cache = tierce::Cache::builder().open(temp.path().join("cache"))?;
    /// cache.set("user:1", b"Ada")?;
    /// cache.set("page:1", b"<html>")?;
    /// let users = cache.entries("user:").collect::<tierce::Result<Vec<_>>>()?;
    /// assert_eq!(users[0].key, b"user:1");
    /// # assert_eq!(users.len(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Each item may be an error as of [`Cache::get`]; nothing follows it.
    pub fn entries<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = Result<Listed>> + 'a {
        let mut next = Some(i64::MIN);
        let prefixes = (!prefix.is_empty()).then_some([prefix.as_bytes(), prefix.as_bytes()]);
        let pages = std::iter::from_fn(move || {
            let page = self.page(&Listing { after: next?, prefixes, ..Listing::default() });
            next = page.as_ref().ok().and_then(|page| page.next);
            Some(page)
        });
        pages.flat_map(|page| {
            let (listed, fault) = match page {
                Ok(page) => (page.entries, None),
                Err(fault) => (Vec::new(), Some(Err(fault))),
            };
            listed.into_iter().map(Ok).chain(fault)
        })
    }

    /// Hands on a row as a listing shows it; nothing of one that is expired, damaged or newer.
    fn listed(&self, db: &Db, row: &EntryRow<'_>, now: u64, sink: &mut dyn ListingSink) -> Result<()> {
        let keeping = &self.engine.keeping;
        let digest = keeping.digest_of(row.key);
        let Ok(header) = Header::parse(row.frame) else { return Ok(()) };
        let sound = digest.id() == row.id && row.seal == keeping.seal(row, digest, header.checksum);
        if !sound || !row.is_live(now) {
            return Ok(());
        }
        let Ok(key) = keeping.open_key(row.key) else { return Ok(()) };
        let meta = self.engine.meta_of(row, header, digest.slot(super::epoch::BITS), 0);
        let body = if meta.has_extras { db.body(meta.id)? } else { None };
        let known = body.as_ref().and_then(|body| keeping.open_extras(body, meta.id, meta.write_id));
        sink.entry(&key, &meta, &known.unwrap_or_default());
        Ok(())
    }
}

/// The first bytes behind all that start with `prefix`; `None` where there are none.
pub(super) fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::end_of;

    #[test]
    fn the_end_of_a_prefix_is_behind_all_that_start_with_it() {
        assert_eq!(end_of(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(end_of(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(end_of(b"\xff"), None);
        assert_eq!(end_of(b""), None);
    }
}
