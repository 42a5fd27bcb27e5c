//! The disk tier as a class: a handful of lines a method.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{ArrayBuffer, Buffer, Function, FunctionCallContext, Uint8Array, Uint32Array};
use napi_derive::napi;
use tierce::policy::UnknownPolicy;
use tierce::{
    Cache, Code, CodecChoice, ColumnType, Durability, EPOCH_BITS, EncryptionKey, Entry, Error, Extras,
    Fetched, Key, Listing, ListingSink, ManualClock, Meta, MetaColumn, MetaTable, Metadata, Result, State,
    Wait,
};
use tierce_napi::{Work, guard, job};

use crate::gate::Gate;
use crate::on;
use crate::scratch::{Scratch, epochs_view, is_view_of};
use crate::tier::Tier;
use crate::wire::{META, Reader, meta_bytes, outcomes, put_outcomes};

/// Options of the disk tier, checked by the TypeScript layer.
#[napi(object, object_to_js = false)]
pub struct NativeOptions {
    /// Bytes; `undefined` for no bound.
    pub max_size: Option<f64>,
    /// Entries; `undefined` for no bound.
    pub max: Option<f64>,
    /// A name of a policy; `lru` where it is left out.
    pub policy: Option<String>,
    /// `auto`, `fast`, `none`, `lz4`, `zstd` or `pco`.
    pub codec: Option<String>,
    /// The codec's level.
    pub level: Option<i32>,
    /// `process` or `power`.
    pub durability: Option<String>,
    /// Milliseconds.
    pub lock_timeout: Option<f64>,
    /// Tables of custom metadata.
    pub meta: Option<Vec<NativeMetaTable>>,
    /// `sqlite`, `json` or `auto`; as the directory is where it is left out.
    pub metadata: Option<String>,
    /// 32 bytes of a key; `undefined` for no encryption.
    pub encryption: Option<Uint8Array>,
    /// True where it is left out.
    pub store_keys: Option<bool>,
    /// True where it is left out.
    pub integrity: Option<bool>,
    /// True where it is left out.
    pub journal: Option<bool>,
}

/// A declared table.
#[napi(object, object_to_js = false)]
pub struct NativeMetaTable {
    pub name: String,
    pub columns: Vec<NativeMetaColumn>,
}

/// A column of a declared table.
#[napi(object, object_to_js = false)]
pub struct NativeMetaColumn {
    pub name: String,
    /// The name of a type: `text`, `integer` and so on.
    #[napi(js_name = "type")]
    pub column_type: String,
    pub is_not_null: bool,
    pub is_unique: bool,
    pub is_indexed: bool,
}

/// What is stored. Sizes in bytes.
#[napi(object, object_from_js = false)]
pub struct NativeStats {
    pub entries: f64,
    pub size: f64,
    pub stored_size: f64,
    pub disk_size: f64,
    pub log_size: f64,
    pub log_is_pinned: bool,
}

/// Entries that have expired, and those that plain reads find, with the bytes of their values.
#[napi(object, object_from_js = false)]
pub struct NativeValidity {
    pub expired: f64,
    pub valid: f64,
    pub valid_size: f64,
}

/// A value and the facts of its entry (`wire.rs`).
#[napi(object, object_from_js = false)]
pub struct NativeEntry {
    pub meta: Buffer,
    pub value: Buffer,
    /// Tags, description and metadata, as on disk.
    pub extras: Option<Buffer>,
}

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

/// A fault that no call was told of.
#[napi(object, object_from_js = false)]
pub struct NativeFault {
    pub code: String,
    pub message: String,
}

/// `fetch`: no live entry.
const MISS: i32 = -1;
/// `fetch`: the value needs a thread that may wait.
const TOO_LARGE: i32 = -2;
/// `fetch`: no live entry, and something is to be told.
const FAULT: i32 = -4;
/// Bytes of a key that is copied without an allocation.
const SHORT_KEY: usize = 256;
/// `apply`: another writer is at work.
const BUSY: i32 = -3;

/// `state`.
const MISSING: i32 = 0;
const LIVE: i32 = 1;
const EXPIRED: i32 = 2;

/// An open cache directory. Times are milliseconds since the Unix epoch, from the caller's clock.
#[napi]
pub struct NativeDisk {
    open: Rc<Open>,
    outbox: Scratch,
    /// Batches on the thread pool.
    under_way: Gate,
}

/// What a read needs.
pub(crate) struct Open {
    tier: RefCell<Option<Tier>>,
    clock: Arc<ManualClock>,
    inbox: Scratch,
}

impl Open {
    fn cache(&self) -> Result<Tier> {
        self.tier
            .borrow()
            .clone()
            .ok_or_else(|| Error::new(Code::Closed, "the cache is closed: open a new one"))
    }

    /// The cache, with its clock set.
    pub(crate) fn at(&self, now: f64) -> Result<Tier> {
        self.clock.set(now as u64);
        self.cache()
    }

    pub(crate) fn inbox(&self) -> &Scratch {
        &self.inbox
    }

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

fn builder(options: &NativeOptions, clock: Arc<ManualClock>) -> Result<tierce::Builder> {
    let codec = CodecChoice::named(options.codec.as_deref().unwrap_or("auto"), options.level)?;
    let durability = match options.durability.as_deref() {
        Some("power") => Durability::Power,
        _ => Durability::Process,
    };
    let mut builder = Cache::builder().codec(codec).durability(durability).clock(clock);
    if let Some(bytes) = options.max_size {
        builder = builder.max_size(bytes as u64);
    }
    if let Some(entries) = options.max {
        builder = builder.max(entries as u64);
    }
    if let Some(name) = &options.policy {
        let policy =
            name.parse().map_err(|why: UnknownPolicy| Error::new(Code::InvalidOption, why.to_string()))?;
        builder = builder.policy(policy);
    }
    if let Some(ms) = options.lock_timeout {
        builder = builder.lock_timeout(Duration::from_millis(ms as u64));
    }
    if let Some(key) = &options.encryption {
        builder = builder.encryption(EncryptionKey::try_from(&key[..])?);
    }
    builder =
        builder.store_keys(options.store_keys.unwrap_or(true)).integrity(options.integrity.unwrap_or(true));
    builder = builder.journal(options.journal.unwrap_or(true));
    let tables = options.meta.iter().flatten().map(meta_table).collect::<Result<Vec<_>>>()?;
    Ok(builder.meta(tables))
}

fn meta_table(table: &NativeMetaTable) -> Result<MetaTable> {
    let column = |column: &NativeMetaColumn| {
        let unknown = || Error::new(Code::Internal, format!("no column type {:?}", column.column_type));
        Ok(MetaColumn {
            name: column.name.clone(),
            column_type: ColumnType::named(&column.column_type).ok_or_else(unknown)?,
            is_not_null: column.is_not_null,
            is_unique: column.is_unique,
            is_indexed: column.is_indexed,
        })
    };
    let columns = table.columns.iter().map(column).collect::<Result<_>>()?;
    Ok(MetaTable { name: table.name.clone(), columns })
}

#[napi]
impl NativeDisk {
    /// Opens the directory. JavaScript puts keys into `inbox` and writes into `outbox`; what comes back is in `inbox`.
    #[napi(constructor)]
    pub fn new(
        env: &Env,
        dir: String,
        options: NativeOptions,
        inbox: Uint8Array,
        outbox: Uint8Array,
        now: f64,
    ) -> napi::Result<Self> {
        let clock = Arc::new(ManualClock::new(now as u64));
        let open = || {
            let metadata = match options.metadata.as_deref() {
                Some("sqlite") => Some(Metadata::Sqlite),
                Some("json") => Some(Metadata::Json),
                Some("auto") => Some(Metadata::Auto),
                _ => None,
            };
            builder(&options, Arc::clone(&clock))?.open_as(PathBuf::from(dir), metadata)
        };
        let tier = guard(env, open)?.into();
        let open = Open { tier: RefCell::new(Some(tier)), clock, inbox: Scratch::new(inbox) };
        Ok(Self { open: Rc::new(open), outbox: Scratch::new(outbox), under_way: Gate::default() })
    }

    pub(crate) fn cache(&self) -> Result<Tier> {
        self.open.cache()
    }

    /// What the functions share with this object that it gives.
    pub(crate) fn open(&self) -> Rc<Open> {
        Rc::clone(&self.open)
    }

    /// The cache, with its clock set.
    pub(crate) fn at(&self, now: f64) -> Result<Tier> {
        self.open.at(now)
    }

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

    /// Applies the writes in `outbox[0, length)` in one transaction without waiting. Gives 0, with their outcomes in
    /// the inbox, or -3 when it would have to wait: use `write`.
    #[napi]
    pub fn apply(&self, env: &Env, length: u32, now: f64) -> napi::Result<i32> {
        guard(env, || {
            let cache = self.at(now)?;
            let applied = self.outbox.with(|bytes| {
                let writes = Reader(Reader(bytes).bytes(length as usize)?).writes(&[] as &[&[u8]])?;
                on!(&cache, cache => cache.apply(&writes, Wait::No))
            });
            let written = match applied {
                Err(busy) if busy.code() == Code::LockTimeout => return Ok(BUSY),
                applied => applied?,
            };
            self.open.inbox.with(|bytes| put_outcomes(&written, bytes));
            Ok(0)
        })
    }

    /// Applies writes in one transaction on the thread pool, waiting for other writers. Gives the outcomes.
    #[napi(ts_return_type = "Promise<Buffer>")]
    pub fn write(
        &self,
        env: &Env,
        writes: Uint8Array,
        blobs: Vec<Uint8Array>,
        now: f64,
    ) -> napi::Result<Work<Vec<u8>, Buffer>> {
        let cache = guard(env, || self.at(now))?;
        let under_way = self.under_way.enter();
        let write = move || {
            let _ends = under_way;
            write(&cache, &writes, &blobs)
        };
        Ok(job(write, |_, outcomes| Ok(outcomes.into())))
    }

    /// As `write`, on the calling thread, after the batches that are under way.
    #[napi]
    pub fn write_sync(
        &self,
        env: &Env,
        writes: Uint8Array,
        blobs: Vec<Uint8Array>,
        now: f64,
    ) -> napi::Result<Buffer> {
        guard(env, || {
            let cache = self.at(now)?;
            self.under_way.wait();
            write(&cache, &writes, &blobs)
        })
        .map(Buffer::from)
    }

    /// Notes accesses of the memory tier: `count` row ids as `i64` with their hits as `u32` in the
    /// inbox, the least recent first.
    #[napi]
    pub fn touch(&self, env: &Env, count: u32, now: f64) -> napi::Result<()> {
        guard(env, || {
            let cache = self.at(now)?;
            let accesses = self.open.inbox.with(|bytes| {
                let mut accesses = Reader(bytes);
                (0..count).map(|_| Ok((accesses.i64()?, accesses.u32()?))).collect::<Result<Vec<_>>>()
            });
            let accesses = accesses?;
            on!(cache, cache => cache.note(accesses));
            Ok(())
        })
    }

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

    /// Counts what is stored, on the calling thread; null where that would take long.
    #[napi]
    pub fn stats_now(&self, env: &Env, now: f64) -> napi::Result<Option<NativeStats>> {
        guard(env, || match self.at(now)?.sqlite() {
            Some(cache) => Ok(cache.stats_if_small()?.map(native_stats)),
            None => Ok(None),
        })
    }

    /// Counts what is stored, on the thread pool.
    #[napi(ts_return_type = "Promise<NativeStats>")]
    pub fn stats(&self, env: &Env, now: f64) -> napi::Result<Work<tierce::Stats, NativeStats>> {
        let cache = guard(env, || self.at(now))?;
        Ok(job(move || on!(cache, cache => cache.stats()), |_, stats| Ok(native_stats(stats))))
    }

    /// Removes up to `limit` entries that have expired, on the thread pool. Gives how many.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn cleanup(&self, env: &Env, limit: f64, now: f64) -> napi::Result<Work<u64, f64>> {
        let cache = guard(env, || self.at(now))?;
        Ok(job(move || on!(cache, cache => cache.cleanup(limit as u64)), |_, removed| Ok(removed as f64)))
    }

    /// Counts what has expired, on the thread pool.
    #[napi(ts_return_type = "Promise<NativeValidity>")]
    pub fn validity(&self, env: &Env, now: f64) -> napi::Result<Work<tierce::Validity, NativeValidity>> {
        let cache = guard(env, || self.at(now))?;
        Ok(job(
            move || on!(cache, cache => cache.validity()),
            |_, found| {
                let [expired, valid, valid_size] =
                    [found.expired, found.valid, found.valid_size].map(|n| n as f64);
                Ok(NativeValidity { expired, valid, valid_size })
            },
        ))
    }

    /// Whether the directory has no database: metadata `json`.
    #[napi]
    pub fn is_json(&self, env: &Env) -> napi::Result<bool> {
        guard(env, || Ok(self.cache()?.sqlite().is_none()))
    }

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

    /// Takes memory from JavaScript, which would have it until the next collection: views of it are empty from then on, and what it
    /// was of goes. No call may be using it.
    #[napi]
    pub fn detach(&self, env: &Env, memory: ArrayBuffer<'_>) -> napi::Result<()> {
        guard(env, || Ok(()))?;
        memory.detach()
    }

    /// One counter, where the mapping cannot be shared.
    #[napi]
    pub fn epoch_at(&self, env: &Env, slot: u32) -> napi::Result<u32> {
        guard(env, || Ok(self.database()?.epochs().load(slot)))
    }

    fn database(&self) -> Result<Arc<Cache>> {
        let tier = self.cache()?;
        tier.sqlite()
            .cloned()
            .ok_or_else(|| Error::new(Code::Internal, "a directory without a database has no epochs"))
    }

    /// Faults since the last call that no call was told of.
    #[napi]
    pub fn take_faults(&self, env: &Env) -> napi::Result<Vec<NativeFault>> {
        guard(env, || {
            let faults = on!(self.cache()?, cache => cache.take_faults());
            Ok(faults.into_iter().map(native_fault).collect())
        })
    }

    /// Lets go of the directory; on the thread pool, flushes what is still in memory and copies the log into the
    /// database. Calls that are under way finish. Gives the faults that nobody can be told of any more.
    #[napi(ts_return_type = "Promise<Array<NativeFault>>")]
    pub fn close(&self, env: &Env) -> napi::Result<Work<Vec<Error>, Vec<NativeFault>>> {
        let cache = guard(env, || Ok(self.open.tier.borrow_mut().take()))?;
        let close = |tier| on!(tier, cache => cache.settle_down().map(|()| cache.take_faults()));
        let close = move || cache.map_or(Ok(Vec::new()), close);
        Ok(job(close, |_, faults| Ok(faults.into_iter().map(native_fault).collect())))
    }
}

fn native_fault(fault: Error) -> NativeFault {
    NativeFault { code: fault.code().as_str().into(), message: fault.to_string() }
}

fn native_entry(entry: Entry) -> NativeEntry {
    let extras = if entry.extras.is_empty() { None } else { entry.extras.to_bytes().ok() };
    NativeEntry {
        meta: meta_bytes(&entry.meta).to_vec().into(),
        value: entry.value.into(),
        extras: extras.map(Buffer::from), // what was read can be written again
    }
}

fn native_stats(stats: tierce::Stats) -> NativeStats {
    NativeStats {
        entries: stats.entries as f64,
        size: stats.size as f64,
        stored_size: stats.stored_size as f64,
        disk_size: stats.disk_size as f64,
        log_size: stats.log_size as f64,
        log_is_pinned: stats.log_is_pinned,
    }
}

fn write(tier: &Tier, writes: &[u8], blobs: &[Uint8Array]) -> Result<Vec<u8>> {
    let writes = Reader(writes).writes(blobs)?;
    Ok(outcomes(&on!(tier, cache => cache.apply(&writes, Wait::Yes))?))
}

/// Bytes before the entries of a page.
const PAGE_HEAD: usize = 12;
/// Room for a key and the lengths before it.
const USUAL_KEY: usize = 64;

/// Entries that room is made for before they are known.
const MOST_ROOM: u32 = 1000;
/// Entries of a page that takes less time than the way over the thread pool.
const SHORT_PAGE: u32 = 100;

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
