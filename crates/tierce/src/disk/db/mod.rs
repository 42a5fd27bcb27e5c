//! A connection to the metadata database, and in this folder everything that is said to it: all SQL of the disk tier but the
//! queries that users give (`query.rs`). `docs/on-disk-format.md` explains every column.

mod audit;
mod columns;
mod entries;
mod error;
mod finder;
mod honest;
mod journal;
mod key_rows;
mod meta_rows;
mod schema;
mod side;
mod standing;
mod transaction;
mod wal_file;

use std::cell::{Cell, OnceCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, ffi};
#[cfg(unix)]
use rusqlite::{FileControl, MAIN_DB};

use super::durability::Durability;
use super::row::Sums;
use crate::error::{Code, Error, Result};
use error::full;
use finder::Finder;

pub(super) use audit::Sizes;
pub(super) use error::explain;
pub(super) use key_rows::join_by_keys;
pub(super) use meta_rows::Holder;
pub(crate) use schema::APPLICATION_ID;
pub(super) use schema::{PAGE_SIZE, SCHEMA, Stamp};
pub(super) use side::{Body, Untagged};
pub(super) use transaction::Transaction;

/// The page cache of a connection to a database that is larger than its page cache may be. Measured: E13.
const CACHE_KIB: u32 = 4 * 1024;
/// Pages of a connection's cache beyond which a large transaction writes what it has changed into the log before it commits, and beyond
/// which any other does: never.
const SPILL: (u32, u32) = (2048, i32::MAX as u32);
/// Texts of their own: a query that somebody gives must not find these statements prepared.
const HOLD: &str = "BEGIN /* held */";
const LET_GO: &str = "COMMIT /* held */";

/// What happens to a log that is copied. Either makes other connections throw their page caches away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogEnd {
    /// It is written from its beginning again.
    Restart,
    /// Its file is cut to nothing.
    Cut,
}

/// One connection to the metadata database.
#[derive(Debug)]
pub(super) struct Db {
    /// Made by the first look. Before `conn`, so that it goes first.
    pub(super) finder: OnceCell<Option<Finder>>,
    pub(super) conn: Connection,
    pub(super) path: PathBuf,
    /// Pages in the log after this connection's last commit.
    wal_pages: Arc<AtomicU32>,
    /// The same at the commit before, and how large the page cache may be and is.
    wal_pages_before: Cell<u32>,
    cache_kib: Cell<(u32, u32)>,
    /// The state of the cache, as [`Db::hold`] was told, whose snapshot is kept open.
    held: Cell<Option<u64>>,
    /// What is stored, as this connection knows it, at the version (`PRAGMA data_version`) that others left.
    pub(super) sums: Cell<Option<(i64, Sums)>>,
}

impl Db {
    fn new(conn: Connection, path: PathBuf) -> Self {
        Self {
            finder: OnceCell::new(),
            conn,
            path,
            wal_pages: Arc::default(),
            wal_pages_before: Cell::new(0),
            cache_kib: Cell::new((0, 0)),
            held: Cell::new(None),
            sums: Cell::new(None),
        }
    }

    /// Connects without reading the file: also a damaged one can be connected to, to be emptied.
    pub fn connect(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let open = || {
            let conn = if wal_file::register() {
                Connection::open_with_flags_and_vfs(path, flags, wal_file::NAME)?
            } else {
                Connection::open_with_flags(path, flags)?
            };
            conn.busy_timeout(Duration::ZERO)?;
            conn.set_prepared_statement_cache_capacity(64);
            // Nothing that a hostile file contains may run.
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
            // A bound value must not make SQLite plan again: that takes longer than most queries.
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
            // A name that is unknown is an error, not a text.
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
            // The last one to go must not stop for a checkpoint: it may be a garbage collector's thread.
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            Ok(conn)
        };
        let conn = open().map_err(|why| explain(why, path))?;
        Ok(Self::new(conn, path.to_owned()))
    }

    /// Settings of a connection to a sound file. The page cache takes up to `cache_kib`: see [`Db::fit_cache`].
    pub fn tune(&mut self, cache_kib: u32, durability: Durability) -> Result<()> {
        let (synchronous, fully) = match durability {
            Durability::Process => ("NORMAL", "OFF"),
            Durability::Power => ("FULL", "ON"),
        };
        let conn = &mut self.conn;
        let mut tune = || {
            // Checkpoints, and their fsync, belong to the maintenance thread and never to the thread that writes. The `fsync` of macOS
            // leaves pages in the memory of the disk, in any order: the log must be out of it before the database changes.
            conn.execute_batch(&format!(
                "PRAGMA synchronous = {synchronous}; PRAGMA fullfsync = {fully}; PRAGMA checkpoint_fullfsync = ON; \
                 PRAGMA wal_autocheckpoint = 0; \
                 PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON; PRAGMA cache_spill = {}; \
                 PRAGMA cache_size = -{cache_kib}; SELECT count(*) FROM sqlite_schema",
                SPILL.1
            ))?;
            wal_file::gather(conn);
            let pages = Arc::clone(&self.wal_pages);
            conn.wal_hook(Some(move |_: &mut _, count: i32| {
                pages.store(count.unsigned_abs(), Ordering::Relaxed);
                Ok(())
            }))
        };
        tune().map_err(|why| explain(why, &self.path))?;
        self.cache_kib.set((cache_kib, cache_kib));
        self.fit_cache()
    }

    fn spill(&self, pages: u32) -> Result<()> {
        self.run_once(&format!("PRAGMA cache_spill = {pages}"))
    }

    /// A page cache that holds the whole database spares a tenth of a read; one that holds a part of it nothing that can be
    /// measured. So it is as large as it may be, or small.
    pub(super) fn fit_cache(&self) -> Result<()> {
        let (most, known) = self.cache_kib.get();
        let whole = self.pages()? * (PAGE_SIZE / 1024) <= u64::from(most);
        let kib = if whole { most } else { most.min(CACHE_KIB) };
        if kib != known {
            self.run_once(&format!("PRAGMA cache_size = -{kib}"))?; // frees what is beyond it
            self.cache_kib.set((most, kib));
        }
        Ok(())
    }

    /// After a commit: whenever the log begins anew, the page cache is fitted to what the database has grown to.
    pub(super) fn grew(&self) -> Result<()> {
        let pages = self.wal_pages();
        if pages < self.wal_pages_before.replace(pages) { self.fit_cache() } else { Ok(()) }
    }

    pub(super) fn wrap<T>(&self, outcome: rusqlite::Result<T>) -> Result<T> {
        outcome.map_err(|why| {
            let failed = why.sqlite_error_code() == Some(ErrorCode::SystemIoFailure);
            // SQLite tells a full disk, but not a quota or a limit.
            if failed && Error::io("write", &self.path, self.system_error()).code() == Code::StorageFull {
                return full(&self.path).at(&self.path).because(why);
            }
            explain(why, &self.path)
        })
    }

    /// What the system said to the last call that failed.
    #[allow(unsafe_code, reason = "rusqlite has no call for it")]
    fn system_error(&self) -> std::io::Error {
        // SAFETY: the handle is open as long as `conn` is, and no other thread uses it meanwhile.
        let number = unsafe { ffi::sqlite3_system_errno(self.conn.handle()) };
        std::io::Error::from_raw_os_error(number)
    }

    /// Fails when the file under the path is no longer the one that is open: writes to it would go nowhere.
    #[cfg(unix)]
    pub(super) fn check_place(&self) -> Result<()> {
        let mut moved = 0;
        self.wrap(self.conn.file_control(Some(MAIN_DB), FileControl::HasMoved(&mut moved)))?;
        if moved == 0 {
            return Ok(());
        }
        let message =
            format!("{} was deleted or replaced while it was open: open it again", self.path.display());
        Err(Error::new(Code::Unavailable, message).at(&self.path))
    }

    /// Reads from one snapshot for as long as `state` is the same: taking one costs two locks of the file, a third of
    /// a small read. [`Db::release`] ends it, and so does every write.
    pub fn hold(&self, state: u64) -> Result<()> {
        if self.held.get() != Some(state) {
            self.release()?;
            self.run(HOLD)?;
            self.held.set(Some(state));
        }
        Ok(())
    }

    /// Ends the snapshot that is held, if there is one.
    pub fn release(&self) -> Result<()> {
        if self.held.take().is_some() { self.run(LET_GO) } else { Ok(()) }
    }

    /// Pages in the log after this connection's last commit.
    pub fn wal_pages(&self) -> u32 {
        self.wal_pages.load(Ordering::Relaxed)
    }

    /// Copies the log into the database beside readers and writers, then, with `end`, does what ends the log, which
    /// keeps writers out for the short rest. False where a reader or a writer was in the way of that. Also gives the pages that
    /// were in it; `None` where another process is at it.
    pub fn checkpoint(&self, end: Option<LogEnd>) -> Result<(bool, Option<u32>)> {
        self.release()?;
        let copy = |mode| {
            let sql = format!("PRAGMA wal_checkpoint({mode})");
            let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)? == 0, row.get::<_, i64>(1)?));
            self.wrap(self.conn.query_row(&sql, [], read))
        };
        let (_, pages) = copy("PASSIVE")?;
        let ended = match end {
            Some(LogEnd::Restart) => copy("RESTART")?.0,
            Some(LogEnd::Cut) => copy("TRUNCATE")?.0,
            None => true,
        };
        Ok((ended, u32::try_from(pages).ok()))
    }

    /// Bytes of the log that stay allocated when it starts again.
    pub fn keep_of_log(&self, bytes: u64) -> Result<()> {
        let sql = format!("PRAGMA journal_size_limit = {bytes}");
        self.wrap(self.conn.query_row(&sql, [], |_| Ok(())))
    }

    pub(super) fn run(&self, sql: &str) -> Result<()> {
        let execute = || self.conn.prepare_cached(sql)?.execute([]);
        self.wrap(execute()).map(|_| ())
    }

    /// Runs a statement that is not needed again.
    pub(super) fn run_once(&self, sql: &str) -> Result<()> {
        self.wrap(self.conn.execute_batch(sql))
    }

    pub(super) fn change(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize> {
        let execute = || self.conn.prepare_cached(sql)?.execute(params);
        self.wrap(execute())
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let query = || self.conn.prepare_cached(sql)?.query_row(params, map).optional();
        self.wrap(query())
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let query = || self.conn.prepare_cached(sql)?.query_map(params, map)?.collect();
        self.wrap(query())
    }
}
