//! What the verbs share: connections, locks, the state of the handle, and the way out of damage.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use super::access::{Access, AccessLog};
use super::blob::Blobs;
use super::bound::Bound;
use super::db::{Db, LogEnd};
use super::declared::MetaTable;
use super::durability::Durability;
use super::epoch::EpochTable;
use super::journaling::Journaling;
use super::keeping::Keeping;
use super::log::Log;
use super::open::{Opener, Paths};
use super::options::Options;
use super::owner::Owner;
use super::query::Asker;
use super::reserve::{self, Reserve};
use super::{Wait, lock, not_run, patiently, rules};
use crate::clock::Clock;
use crate::codec::CodecChoice;
use crate::error::{Code, Error, Result};

/// Faults kept for the host to collect; the oldest go first.
const FAULTS_KEPT: usize = 64;
/// Bytes of a changed database that an open reads through; of a larger one, the maintenance thread does.
const EXAMINED_AT_ONCE: u64 = 64 << 20;
/// Readers beyond the primary connection that stay open.
const READERS_KEPT: usize = 4;
/// The most of the page caches of the primary connection and of each other one.
const CACHE_KIB: (u32, u32) = (16 * 1024, 2 * 1024);

/// One open cache directory.
pub(super) struct Engine {
    pub paths: Paths,
    pub clock: Arc<dyn Clock>,
    pub codec: CodecChoice,
    pub durability: Durability,
    pub default_ttl: Option<Duration>,
    pub inline_max: usize,
    pub keeping: Keeping,
    pub lock_timeout: Duration,
    /// Tables of custom metadata that this handle writes to.
    pub declared: Vec<MetaTable>,
    /// Reads and writes of an uncontended handle go here: its page cache stays warm, as no other connection writes.
    primary: Mutex<Db>,
    readers: Mutex<Vec<Db>>,
    /// Connections that can do nothing but read.
    pub queries: Mutex<Vec<Asker>>,
    /// Set when the cache is being closed: queries under way are given up.
    pub closing: Arc<AtomicBool>,
    /// Set when the handle is dropped: what nobody waits for is left to the next open.
    pub dropped: Arc<AtomicBool>,
    pub blobs: Blobs,
    pub epochs: Arc<EpochTable>,
    pub accesses: AccessLog,
    pub owner: Owner,
    pub bound: Bound,
    pub log: Log,
    /// Behind what has connections.
    pub reserve: Reserve,
    pub journaling: Journaling,
    /// Held while the log is copied: two at once are in each other's way.
    copying: Mutex<()>,
    generation: AtomicI64,
    write_ids: AtomicU64,
    /// Files that are unlinked while the database still lists them: forgotten in the next transaction.
    pub unlinked: Mutex<Vec<u64>>,
    faults: Mutex<Vec<Error>>,
    /// A damaged row was met: what is around it on its page may be damaged too, and mislead every search.
    pub suspicion: AtomicBool,
    pub hits: AtomicU64,
    pub misses: AtomicU64,
}

impl Engine {
    /// A disk without a free block must not keep what is there from being read: the reserve has room for what an open makes.
    pub fn open(options: &Options, paths: &Paths) -> Result<Self> {
        let open = || Self::open_once(options, paths.clone());
        match open() {
            Err(why) if why.code() == Code::StorageFull => {
                reserve::lend(&paths.reserve, open).unwrap_or(Err(why))
            }
            outcome => outcome,
        }
    }

    fn open_once(options: &Options, paths: Paths) -> Result<Self> {
        let keeping = rules::settle(&paths, options)?; // before anything in the directory is touched
        let epochs = Arc::new(EpochTable::open(&paths.epochs)?);
        let opener = Opener {
            paths: &paths,
            epochs: &epochs,
            lock_timeout: options.lock_timeout,
            cache_kib: CACHE_KIB.0,
            durability: options.durability,
            keeping: &keeping,
        };
        let opened = opener.open()?;
        rules::expect_none_new(&paths, &keeping)?;
        let log = Log::new(options.max_size);
        opened.db.keep_of_log(log.kept())?;
        let bound = Bound::new(options.max_size, options.max, options.policy);
        let engine = Self {
            blobs: Blobs::new(&paths.dir),
            owner: Owner::new(&paths.dir),
            accesses: bound.access_log(),
            bound,
            log,
            reserve: Reserve::new(paths.reserve.clone(), Arc::clone(&epochs)),
            journaling: Journaling::new(options),
            copying: Mutex::default(),
            generation: AtomicI64::new(opened.generation),
            clock: Arc::clone(&options.clock),
            codec: options.codec,
            durability: options.durability,
            default_ttl: options.ttl,
            inline_max: options.inline_max,
            keeping,
            lock_timeout: options.lock_timeout,
            declared: options.meta.clone(),
            primary: Mutex::new(opened.db),
            readers: Mutex::default(),
            queries: Mutex::default(),
            closing: Arc::default(),
            dropped: Arc::default(),
            write_ids: AtomicU64::new(super::owner::random()),
            unlinked: Mutex::default(),
            faults: Mutex::new(opened.faults),
            suspicion: AtomicBool::new(false),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            epochs,
            paths,
        };
        engine.examine_if_changed()?;
        engine.declare(&*engine.primary(Wait::Yes)?)?;
        engine.recover_journal()?;
        match engine.settle() {
            Err(why) if why.code() == Code::Corrupt => {
                engine.rebuild(&mut *engine.primary(Wait::Yes)?, why)?;
                engine.settle()?;
            }
            Err(why) if why.code() == Code::StorageFull => {} // left to the next open
            outcome => outcome?,
        }
        Ok(engine)
    }

    pub fn now(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Notes hits of an entry, now. Gives what was noted before, and whether a batch is due.
    pub fn note(&self, id: i64, hits: u32) -> (Option<Access>, bool) {
        self.accesses.hit(id, hits, self.epochs.tick(self.now()))
    }

    /// Unique for each write: a random start and a counter, mixed so that files spread over folders.
    pub fn next_write_id(&self) -> u64 {
        let count = self.write_ids.fetch_add(1, Ordering::Relaxed);
        xxhash_rust::xxh3::xxh3_64_with_seed(&count.to_le_bytes(), self.owner.seed())
    }

    /// Keeps a fault that no caller is told of otherwise.
    pub fn report(&self, fault: Error) {
        let mut faults = lock(&self.faults);
        if faults.len() == FAULTS_KEPT {
            faults.remove(0);
        }
        faults.push(fault);
    }

    /// Whether faults are kept.
    pub fn has_faults(&self) -> bool {
        !lock(&self.faults).is_empty()
    }

    /// Takes the faults that were kept.
    pub fn take_faults(&self) -> Vec<Error> {
        std::mem::take(&mut lock(&self.faults))
    }

    /// Runs a read of everything on a connection that is free: what is in the journal goes into the database first. Waits out a
    /// database that is recovering its log.
    pub fn read<T>(&self, run: impl FnMut(&Db) -> Result<T>) -> Result<T> {
        self.reading(run, |run| self.read_holding(false, run))
    }

    /// As [`Engine::read`]; with `hold`, `run` may leave a snapshot open on the primary connection.
    pub fn read_holding<T>(&self, hold: bool, mut run: impl FnMut(&Db) -> Result<T>) -> Result<T> {
        let mut given = None;
        self.read_free(hold, &mut |db| {
            given = Some(run(db)?);
            Ok(())
        })?;
        given.ok_or_else(not_run)
    }

    /// On a connection that is free. Not generic, as `run` stands here three times.
    fn read_free(&self, hold: bool, run: &mut dyn FnMut(&Db) -> Result<()>) -> Result<()> {
        let mut run_on = |db: &Db| if hold { run(db) } else { db.release().and_then(|()| run(db)) };
        patiently(self.lock_timeout, || match self.primary.try_lock() {
            Ok(db) => run_on(&db),
            Err(TryLockError::Poisoned(poisoned)) => run_on(&poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                let pooled = lock(&self.readers).pop();
                let db = match pooled {
                    Some(db) => db,
                    None => self.connect()?,
                };
                let outcome = run_on(&db);
                let mut readers = lock(&self.readers);
                if readers.len() < READERS_KEPT && outcome.is_ok() && db.release().is_ok() {
                    readers.push(db);
                }
                outcome
            }
        })
    }

    /// Ends the snapshot that is held. Whoever is reading on the primary connection just now has ended it.
    pub fn release(&self) -> Result<()> {
        match self.primary.try_lock() {
            Ok(db) => db.release(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().release(),
            Err(TryLockError::WouldBlock) => Ok(()),
        }
    }

    /// Another connection, with a small page cache.
    pub fn connect(&self) -> Result<Db> {
        let mut db = Db::connect(&self.paths.database)?;
        db.tune(CACHE_KIB.1, self.durability)?;
        db.keep_of_log(self.log.kept())?;
        Ok(db)
    }

    /// The connection that writes.
    pub fn primary(&self, wait: Wait) -> Result<MutexGuard<'_, Db>> {
        match (wait, self.primary.try_lock()) {
            (_, Ok(db)) => Ok(db),
            (_, Err(TryLockError::Poisoned(poisoned))) => Ok(poisoned.into_inner()),
            (Wait::Yes, Err(TryLockError::WouldBlock)) => Ok(lock(&self.primary)),
            (Wait::No, Err(TryLockError::WouldBlock)) => {
                Err(Error::new(Code::LockTimeout, "another thread is writing to this cache")
                    .at(&self.paths.database))
            }
        }
    }

    /// Whether the database is not the one that was opened any more, or there is none.
    pub fn is_gone(&self) -> bool {
        #[cfg(unix)]
        if self.primary(Wait::Yes).is_ok_and(|db| db.check_place().is_err()) {
            return true;
        }
        self.paths.database.try_exists().is_ok_and(|exists| !exists)
    }

    /// Replaces a damaged database by one with what can be saved of it. The rest is a miss from now on, and the fault
    /// is reported.
    pub fn rebuild(&self, db: &mut Db, fault: Error) -> Result<()> {
        let known = self.generation.load(Ordering::Relaxed);
        let opener = Opener {
            paths: &self.paths,
            epochs: &self.epochs,
            lock_timeout: self.lock_timeout,
            cache_kib: CACHE_KIB.0,
            durability: self.durability,
            keeping: &self.keeping,
        };
        db.release()?; // a snapshot of ours would be in the way
        lock(&self.queries).clear();
        let opened = opener.rebuild(known)?;
        opened.db.keep_of_log(self.log.kept())?;
        *db = opened.db;
        lock(&self.readers).clear();
        self.generation.store(opened.generation, Ordering::Relaxed);
        self.declare(db)?; // what could not be read of it is gone
        self.accesses.clear();
        self.report(fault);
        Ok(())
    }

    /// Makes the database have the tables that this handle declares.
    fn declare(&self, db: &Db) -> Result<()> {
        if self.declared.is_empty() || db.has_declared(&self.declared)? {
            return Ok(());
        }
        patiently(self.lock_timeout, || {
            let transaction = db.begin()?;
            transaction.declare(&self.declared)?;
            transaction.commit()
        })
    }

    /// Runs something on a connection, or where there is none on the one that writes.
    pub fn on<T>(&self, db: Option<&Db>, run: impl FnOnce(&Db) -> Result<T>) -> Result<T> {
        match db {
            Some(db) => run(db),
            None => run(&*self.primary(Wait::Yes)?),
        }
    }

    /// Copies the log into the database over this connection, or the one that writes; gives whether it could be ended as it was asked for.
    /// Keeps what its file is like then.
    pub fn copy_log(&self, db: Option<&Db>, end: Option<LogEnd>) -> Result<bool> {
        let copy = || self.on(db, |db| self.copy_log_as_is(db, end));
        let shared = self.reserve.share();
        let copied = copy();
        drop(shared);
        let copied = match copied {
            Err(why) if why.code() == Code::StorageFull => {
                self.copy_in_reserve(&self.reserve.room())?;
                copy()?
            }
            outcome => outcome?,
        };
        self.on(db, |db| {
            self.uncover(db);
            Ok(copied)
        })
    }

    /// As [`Engine::copy_log`], with the room that there is.
    pub fn copy_log_as_is(&self, db: &Db, end: Option<LogEnd>) -> Result<bool> {
        let _turn = lock(&self.copying);
        if end.is_some() {
            self.release_queries()?;
        }
        let (ended, pages) = db.checkpoint(end)?;
        self.log.was_copied(if ended && end.is_some() { Some(0) } else { pages });
        self.epochs.leave(self.paths.fingerprint()?.0);
        Ok(ended)
    }

    /// A file that is not as it was left was restored, copied or damaged: rows verify one by one, but a tree out of
    /// order can hold an old row beside the new one. A large file is examined in the background.
    fn examine_if_changed(&self) -> Result<()> {
        let (fingerprint, bytes) = self.paths.fingerprint()?;
        if fingerprint == self.epochs.left() {
            return Ok(());
        }
        if bytes > EXAMINED_AT_ONCE {
            self.suspicion.store(true, Ordering::Release);
            return Ok(());
        }
        self.examine()
    }

    /// Reads the whole database, and mends it where its trees are out of order.
    pub fn examine(&self) -> Result<()> {
        let mut db = self.connect()?;
        db.give_up_when(&self.dropped)?;
        if db.is_whole()? {
            self.epochs.leave(self.paths.fingerprint()?.0);
            return Ok(());
        }
        let message = "the database is damaged: its trees are out of order";
        let fault = Error::new(Code::Corrupt, message).at(&self.paths.database);
        self.rebuild(&mut *self.primary(Wait::Yes)?, fault)
    }

    /// Removes the files that dead owners announced or condemned. Costs nothing where there are none.
    pub fn settle(&self) -> Result<()> {
        let mut owners = self.read_holding(false, Db::file_owners)?; // what is pending has no files
        owners.extend(self.owner.all());
        owners.sort_unstable();
        owners.dedup();
        for owner in owners {
            self.owner.settle_if_dead(owner, || {
                let files = self.read_holding(false, |db| db.files_of(owner))?;
                if files.is_empty() {
                    return Ok(());
                }
                let gone = self.blobs.remove(&files);
                self.write(Wait::Yes, |transaction| transaction.forget(&gone)).map(|_| ())
            })?;
        }
        Ok(())
    }
}
