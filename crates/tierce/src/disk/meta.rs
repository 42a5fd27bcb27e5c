//! The metadata database: the only place that does SQL.
//!
//! Nothing here decides anything: rows in, rows out. `docs/on-disk-format.md` explains every column.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[cfg(unix)]
use rusqlite::FileControl;
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, OptionalExtension, Row, ffi, params};

use super::blob::size_on_disk;
use super::row::{Age, EntryRow, Removed, Sums};
use crate::error::{Code, Error, Result};
use crate::frame::Header;

/// `TRCE`: marks the file as ours in the SQLite header.
pub(super) const APPLICATION_ID: i32 = 0x5452_4345;
/// Bytes of a database page. Measured: `docs/design-decisions.md`, D15.
pub(super) const PAGE_SIZE: u64 = 4096;
/// Bytes of the log that stay allocated after a checkpoint.
const WAL_KEPT: u64 = 8 << 20;
/// `hits` is stored with this added, so that its width never changes and an access overwrites its cell in place.
const HITS_BIAS: i64 = 1 << 40;

/// The schema of format version 1, exactly as SQLite stores it: an open compares it.
pub(super) const SCHEMA: [&str; 4] = [
    "CREATE TABLE entries (id INTEGER PRIMARY KEY, seal INTEGER NOT NULL, accessed INTEGER NOT NULL, \
     hits INTEGER NOT NULL, created INTEGER NOT NULL, expires INTEGER, size INTEGER NOT NULL, \
     stored INTEGER NOT NULL, key BLOB NOT NULL, frame BLOB NOT NULL)",
    "CREATE TABLE files (write_id INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, owner INTEGER)",
    "CREATE INDEX files_owner ON files (owner) WHERE owner IS NOT NULL",
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
];

/// How the log is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// A write is acknowledged when other processes see it: it survives a kill of any process.
    #[default]
    Process,
    /// A write is acknowledged when it survives a power cut. Each commit waits for the disk.
    Power,
}

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
    conn: Connection,
    path: PathBuf,
    /// Pages in the log after this connection's last commit.
    wal_pages: Arc<AtomicU32>,
}

/// A value of the header or of the schema, as an open finds it.
pub(super) struct Stamp {
    pub application_id: i32,
    pub user_version: i32,
    pub schema: Vec<String>,
    /// Whether the header still asks for the log.
    pub logged: bool,
    /// Whether SQLite takes the file for one that may not be written.
    pub read_only: bool,
}

impl Db {
    /// Connects without reading the file: also a damaged one can be connected to, to be emptied.
    pub fn connect(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let open = || {
            let conn = Connection::open_with_flags(path, flags)?;
            conn.busy_timeout(Duration::ZERO)?;
            conn.set_prepared_statement_cache_capacity(64);
            // Nothing that a hostile file contains may run.
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
            // The last one to go must not stop for a checkpoint: it may be a garbage collector's thread.
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            Ok(conn)
        };
        let conn = open().map_err(|why| explain(why, path))?;
        Ok(Self { conn, path: path.to_owned(), wal_pages: Arc::default() })
    }

    /// Settings of a connection to a sound file. The page cache takes up to `cache_kib`.
    pub fn tune(&mut self, cache_kib: u32, durability: Durability) -> Result<()> {
        let synchronous = match durability {
            Durability::Process => "NORMAL",
            Durability::Power => "FULL",
        };
        let conn = &mut self.conn;
        let mut tune = || {
            // Checkpoints, and their fsync, belong to the maintenance thread and never to the thread that writes.
            conn.execute_batch(&format!(
                "PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = {WAL_KEPT}; \
                 PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON; PRAGMA cache_size = -{cache_kib}"
            ))?;
            let pages = Arc::clone(&self.wal_pages);
            conn.wal_hook(Some(move |_: &mut _, count: i32| {
                pages.store(count.unsigned_abs(), Ordering::Relaxed);
                Ok(())
            }))
        };
        tune().map_err(|why| explain(why, &self.path))
    }

    fn wrap<T>(&self, outcome: rusqlite::Result<T>) -> Result<T> {
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
    fn check_place(&self) -> Result<()> {
        let mut moved = 0;
        self.wrap(self.conn.file_control(Some(MAIN_DB), FileControl::HasMoved(&mut moved)))?;
        if moved == 0 {
            return Ok(());
        }
        let message =
            format!("{} was deleted or replaced while it was open: open it again", self.path.display());
        Err(Error::new(Code::Unavailable, message).at(&self.path))
    }

    /// Reads what identifies the file.
    pub fn stamp(&self) -> Result<Stamp> {
        let pragma = |name| self.conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
        let read = || {
            let mut statement =
                self.conn.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")?;
            let schema = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            let mode = self.conn.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0))?;
            Ok(Stamp {
                application_id: pragma("application_id")?,
                user_version: pragma("user_version")?,
                schema,
                logged: mode == "wal",
                read_only: self.conn.is_readonly(MAIN_DB)?,
            })
        };
        self.wrap(read())
    }

    /// Makes an empty database: settings that only an empty file takes, then schema, stamps and what `fill` puts
    /// into it in one transaction.
    pub fn create(
        &self,
        user_version: i32,
        generation: i64,
        fill: impl FnOnce(&Transaction<'_>) -> Result<()>,
    ) -> Result<()> {
        self.wrap(self.conn.execute_batch(&settings()))?;
        self.log_writes()?;
        self.run("BEGIN EXCLUSIVE")?;
        let transaction = Transaction { db: self, open: true };
        self.wrap(self.conn.execute_batch(&format!(
            "{}; INSERT INTO facts VALUES ('generation', {generation}), ('file_bytes', 0)",
            SCHEMA.join("; ")
        )))?;
        self.restamp(user_version)?;
        fill(&transaction)?;
        transaction.commit()
    }

    /// A private database on the disk that goes when it is closed, for rows that memory may not hold.
    pub fn scratch() -> Result<Self> {
        let path = PathBuf::from("the temporary folder");
        let open = || {
            let conn = Connection::open("")?; // SQLite's name for it
            conn.execute_batch(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8192",
            )?;
            conn.execute_batch(SCHEMA[0])?;
            Ok(conn)
        };
        let conn = open().map_err(|why| explain(why, &path))?;
        Ok(Self { conn, path, wal_pages: Arc::default() })
    }

    /// Turns the log on; it stays on.
    pub fn log_writes(&self) -> Result<()> {
        self.wrap(self.conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())))
    }

    /// Writes the stamps, also again where only they were damaged.
    pub fn restamp(&self, user_version: i32) -> Result<()> {
        let sql = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {user_version}");
        self.wrap(self.conn.execute_batch(&sql))
    }

    /// Empties a damaged database in place, under its own locks, so that other processes see it happen.
    pub fn reset(&self) -> Result<()> {
        let flag = |on| self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_RESET_DATABASE, on);
        let empty = || {
            flag(true)?;
            let outcome = self.conn.execute_batch(&format!("{}; VACUUM", settings()));
            flag(false)?;
            outcome
        };
        self.wrap(empty())
    }

    /// Pages in the log after this connection's last commit.
    pub fn wal_pages(&self) -> u32 {
        self.wal_pages.load(Ordering::Relaxed)
    }

    /// Copies the log into the database beside readers and writers, then, with `end`, does what ends the log, which
    /// keeps writers out for the short rest.
    pub fn checkpoint(&self, end: Option<LogEnd>) -> Result<()> {
        let copy =
            |mode| self.wrap(self.conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())));
        copy("PASSIVE")?;
        match end {
            Some(LogEnd::Restart) => copy("RESTART"),
            Some(LogEnd::Cut) => copy("TRUNCATE"),
            None => Ok(()),
        }
    }

    /// Starts a write transaction, or fails at once with [`Code::LockTimeout`].
    pub fn begin(&self) -> Result<Transaction<'_>> {
        self.run("BEGIN IMMEDIATE")?;
        Ok(Transaction { db: self, open: true })
    }

    fn run(&self, sql: &str) -> Result<()> {
        let execute = || self.conn.prepare_cached(sql)?.execute([]);
        self.wrap(execute()).map(|_| ())
    }

    fn change(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize> {
        let execute = || self.conn.prepare_cached(sql)?.execute(params);
        self.wrap(execute())
    }

    fn one<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let query = || self.conn.prepare_cached(sql)?.query_row(params, map).optional();
        self.wrap(query())
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let query = || self.conn.prepare_cached(sql)?.query_map(params, map)?.collect();
        self.wrap(query())
    }

    /// Writes a row, in place of any other with its id.
    pub fn insert(&self, row: &EntryRow<'_>, size: u64, stored: u64) -> Result<()> {
        self.change(
            "INSERT OR REPLACE INTO entries (id, seal, accessed, hits, created, expires, size, stored, key, frame) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                row.id,
                row.seal as i64,
                row.accessed,
                row.hits as i64 + HITS_BIAS,
                row.created as i64,
                row.expires.map(|ms| ms as i64),
                size as i64,
                stored as i64,
                row.key,
                row.frame
            ],
        )
        .map(|_| ())
    }

    /// Hands the row with this id to `read`, borrowed from the page it is on.
    pub fn find<T>(&self, id: i64, read: impl FnOnce(EntryRow<'_>) -> T) -> Result<Option<T>> {
        self.one(
            "SELECT id, seal, accessed, hits, created, expires, key, frame FROM entries WHERE id = ?1",
            [id],
            |row| Ok(read(entry_row(row)?)),
        )
    }

    /// Up to `limit` rows with an id above `after`, in the order of ids.
    pub fn page<T>(&self, after: i64, limit: u32, mut read: impl FnMut(EntryRow<'_>) -> T) -> Result<Vec<T>> {
        self.all(
            "SELECT id, seal, accessed, hits, created, expires, key, substr(frame, 1, 40) FROM entries \
             WHERE id > ?1 ORDER BY id LIMIT ?2",
            params![after, limit],
            |row| Ok(read(entry_row(row)?)),
        )
    }

    /// Hands the rows with ids from `low` to `high` to `each`, in the order of ids, until it is false.
    pub fn range(&self, low: i64, high: i64, mut each: impl FnMut(EntryRow<'_>) -> bool) -> Result<()> {
        let mut walk = || {
            let mut statement = self.conn.prepare_cached(
                "SELECT id, seal, accessed, hits, created, expires, key, frame FROM entries \
                 WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
            )?;
            let mut rows = statement.query([low, high])?;
            while let Some(row) = rows.next()? {
                if !each(entry_row(row)?) {
                    break;
                }
            }
            Ok(())
        };
        self.wrap(walk())
    }

    /// Whether the trees of the database are in order. Reads all of it.
    pub fn is_whole(&self) -> Result<bool> {
        match self.one("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)) {
            Ok(verdict) => Ok(verdict.is_some_and(|verdict| verdict == "ok")),
            Err(why) if why.code() == Code::Corrupt => Ok(false),
            Err(why) => Err(why),
        }
    }

    /// Pages of the file.
    pub fn pages(&self) -> Result<u64> {
        self.one("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).map(|count| count.unwrap_or(0) as u64)
    }

    /// What is stored, expired entries included.
    pub fn sums(&self) -> Result<Sums> {
        let row = self.one("SELECT count(*), total(size), total(stored) FROM entries", [], |row| {
            Ok(Sums {
                entries: row.get::<_, i64>(0)? as u64,
                size: row.get::<_, f64>(1)? as u64,
                stored: row.get::<_, f64>(2)? as u64,
            })
        })?;
        row.ok_or_else(|| damaged(&self.path, "a count gave no row"))
    }

    /// Bytes of the pages that hold something and of the value files.
    pub fn bytes_in_use(&self) -> Result<u64> {
        let free = self.one("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0))?.unwrap_or(0) as u64;
        let files = self.fact("file_bytes")?.max(0) as u64;
        Ok((self.pages()?.saturating_sub(free) * PAGE_SIZE).saturating_add(files))
    }

    /// Runs several reads on one snapshot.
    pub fn snapshot<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        self.run("BEGIN")?;
        let _ends = Transaction { db: self, open: true }; // also when `run` panics
        run()
    }

    /// A number kept for the whole cache: `generation` or `file_bytes`.
    pub fn fact(&self, name: &str) -> Result<i64> {
        let value = self.one("SELECT value FROM facts WHERE name = ?1", [name], |row| row.get(0))?;
        value.ok_or_else(|| damaged(&self.path, "a fact is missing"))
    }

    /// Owners of files that are announced or condemned.
    pub fn file_owners(&self) -> Result<Vec<i64>> {
        self.all("SELECT DISTINCT owner FROM files WHERE owner IS NOT NULL", [], |row| row.get(0))
    }

    /// The announced and condemned files of one owner.
    pub fn files_of(&self, owner: i64) -> Result<Vec<u64>> {
        self.all("SELECT write_id FROM files WHERE owner = ?1", [owner], |row| {
            Ok(row.get::<_, i64>(0)? as u64)
        })
    }
}

/// An open write transaction: rolled back unless committed, also when a panic unwinds through it.
pub(super) struct Transaction<'db> {
    db: &'db Db,
    open: bool,
}

impl Transaction<'_> {
    /// Makes everything visible at once.
    pub fn commit(mut self) -> Result<()> {
        #[cfg(unix)] // elsewhere an open file cannot be removed
        self.db.check_place()?;
        self.db.run("COMMIT")?;
        self.open = false;
        Ok(())
    }

    /// Writes a row and gives what stood there before.
    pub fn put(&self, row: &EntryRow<'_>, size: u64, stored: u64) -> Result<Option<Removed>> {
        let before = self.look(row.id)?;
        self.db.insert(row, size, stored)?;
        Ok(before)
    }

    /// Puts an entry back that was salvaged, with its file.
    pub fn restore(&self, row: &EntryRow<'_>, header: Header) -> Result<()> {
        self.db.insert(row, header.raw_size, header.stored_size)?;
        if header.in_file {
            let bytes = size_on_disk(header.stored_size);
            let sql = "INSERT INTO files (write_id, bytes, owner) VALUES (?1, ?2, NULL)";
            self.db.change(sql, [header.write_id as i64, bytes as i64])?;
            self.add_file_bytes(bytes as i64)?;
        }
        Ok(())
    }

    /// Whether the database knows a value file, whoever answers for it.
    pub fn lists(&self, write_id: u64) -> Result<bool> {
        let listed = self.db.one("SELECT 1 FROM files WHERE write_id = ?1", [write_id as i64], |_| Ok(()))?;
        Ok(listed.is_some())
    }

    /// What is known of a row before it goes.
    pub fn look(&self, id: i64) -> Result<Option<Removed>> {
        self.db.one(
            "SELECT id, length(key) + length(frame), substr(frame, 1, 40) FROM entries WHERE id = ?1",
            [id],
            removed,
        )
    }

    /// Deletes a victim's row, unless it was written or read since `accessed`.
    pub fn evict(&self, id: i64, accessed: i64) -> Result<Option<Removed>> {
        self.db.one(
            "DELETE FROM entries WHERE id = ?1 AND accessed = ?2 \
             RETURNING id, length(key) + length(frame), substr(frame, 1, 40)",
            params![id, accessed],
            removed,
        )
    }

    /// Deletes the row of a key; gives what left, and whether it had not expired at `now`.
    pub fn delete(&self, id: i64, key: &[u8], now: u64) -> Result<Option<(Removed, bool)>> {
        self.db.one(
            "DELETE FROM entries WHERE id = ?1 AND key = ?2 \
             RETURNING id, length(key) + length(frame), substr(frame, 1, 40), expires IS NULL OR expires > ?3",
            params![id, key, now as i64],
            |row| Ok((removed(row)?, row.get(3)?)),
        )
    }

    /// Deletes a damaged row, unless it was written again since.
    pub fn discard(&self, id: i64, seal: u64) -> Result<Option<Removed>> {
        self.db.one(
            "DELETE FROM entries WHERE id = ?1 AND seal = ?2 \
             RETURNING id, length(key) + length(frame), substr(frame, 1, 40)",
            params![id, seal as i64],
            removed,
        )
    }

    /// Bytes of the pages that hold something and of the value files.
    pub fn bytes_in_use(&self) -> Result<u64> {
        self.db.bytes_in_use()
    }

    /// Deletes every entry, condemns every file to `owner`, and names the files.
    pub fn clear(&self, owner: i64) -> Result<Vec<u64>> {
        let files = self.db.all("SELECT write_id FROM files WHERE owner IS NULL", [], |row| {
            Ok(row.get::<_, i64>(0)? as u64)
        })?;
        self.db.change("DELETE FROM entries", [])?;
        self.db.change("UPDATE files SET owner = ?1 WHERE owner IS NULL", [owner])?;
        self.db.change("UPDATE facts SET value = 0 WHERE name = 'file_bytes'", [])?;
        Ok(files)
    }

    /// Shows every row's age to `look`.
    pub fn ages(&self, mut look: impl FnMut(Age)) -> Result<()> {
        let mut scan = || {
            let mut statement = self.db.conn.prepare_cached("SELECT id, accessed, expires FROM entries")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                look(Age {
                    id: row.get(0)?,
                    accessed: integer(row, 1)?,
                    expires: row.get::<_, Option<i64>>(2)?.map(|ms| ms as u64),
                });
            }
            Ok(())
        };
        self.db.wrap(scan())
    }

    /// Records accesses: the tick of the newest, and how many there were.
    pub fn touch(&self, id: i64, accessed: i64, hits: u32) -> Result<()> {
        self.db
            .change(
                "UPDATE entries SET accessed = ?2, hits = hits + ?3 WHERE id = ?1 AND accessed < ?2",
                params![id, accessed, hits],
            )
            .map(|_| ())
    }

    /// Announces a file that is going to be written by `owner`.
    pub fn announce(&self, write_id: u64, bytes: u64, owner: i64) -> Result<()> {
        self.db
            .change(
                "INSERT INTO files (write_id, bytes, owner) VALUES (?1, ?2, ?3)",
                params![write_id as i64, bytes as i64, owner],
            )
            .map(|_| ())
    }

    /// The announced file belongs to an entry from now on.
    pub fn adopt(&self, write_id: u64, bytes: u64) -> Result<()> {
        if self.db.change("UPDATE files SET owner = NULL WHERE write_id = ?1", [write_id as i64])? != 1 {
            let why = "the database was rebuilt since a value file was announced: try again";
            return Err(Error::new(Code::Transaction, why).at(&self.db.path));
        }
        self.add_file_bytes(bytes as i64)
    }

    /// The file's entry is gone: `owner` will unlink it after the commit.
    pub fn condemn(&self, write_id: u64, owner: i64) -> Result<()> {
        let sql = "UPDATE files SET owner = ?2 WHERE write_id = ?1 AND owner IS NULL RETURNING bytes";
        match self.db.one(sql, params![write_id as i64, owner], |row| row.get::<_, i64>(0))? {
            Some(bytes) => self.add_file_bytes(-bytes),
            None => Ok(()),
        }
    }

    /// Forgets files that are unlinked.
    pub fn forget(&self, write_ids: &[u64]) -> Result<()> {
        for write_id in write_ids {
            self.db
                .change("DELETE FROM files WHERE write_id = ?1 AND owner IS NOT NULL", [*write_id as i64])?;
        }
        Ok(())
    }

    /// Counts the files that belong to entries anew.
    pub fn recount_files(&self) -> Result<()> {
        let sql = "UPDATE facts SET value = (SELECT CAST(total(bytes) AS INTEGER) FROM files WHERE owner IS NULL) \
                   WHERE name = 'file_bytes'";
        self.db.change(sql, []).map(|_| ())
    }

    fn add_file_bytes(&self, bytes: i64) -> Result<()> {
        self.db
            .change("UPDATE facts SET value = max(0, value + ?1) WHERE name = 'file_bytes'", [bytes])
            .map(|_| ())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open && !self.db.conn.is_autocommit() {
            let _ = self.db.run("ROLLBACK"); // nothing was acknowledged
        }
    }
}

fn entry_row<'r>(row: &'r Row<'_>) -> rusqlite::Result<EntryRow<'r>> {
    Ok(EntryRow {
        id: row.get(0)?,
        seal: integer(row, 1)? as u64,
        accessed: integer(row, 2)?,
        hits: integer(row, 3)?.saturating_sub(HITS_BIAS).max(0) as u64,
        created: integer(row, 4)? as u64,
        expires: match row.get_ref(5)? {
            ValueRef::Null => None,
            _ => Some(integer(row, 5)? as u64),
        },
        key: blob(row, 6)?,
        frame: blob(row, 7)?,
    })
}

fn removed(row: &Row<'_>) -> rusqlite::Result<Removed> {
    let header = Header::parse(blob(row, 2)?).ok();
    Ok(Removed {
        id: row.get(0)?,
        bytes: integer(row, 1)? as u64,
        file: header.filter(|header| header.in_file).map(|header| header.write_id),
        file_bytes: header
            .filter(|header| header.in_file)
            .map_or(0, |header| size_on_disk(header.stored_size)),
    })
}

/// A damaged row can hold any type in any column: its seal tells.
fn integer(row: &Row<'_>, column: usize) -> rusqlite::Result<i64> {
    match row.get_ref(column)? {
        ValueRef::Integer(number) => Ok(number),
        _ => Ok(0),
    }
}

/// As [`integer`].
fn blob<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r [u8]> {
    match row.get_ref(column)? {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(bytes),
        _ => Ok(&[]),
    }
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::new(Code::Corrupt, format!("the database {} is damaged: {why}", path.display())).at(path)
}

/// What only an empty file takes.
fn settings() -> String {
    format!("PRAGMA page_size = {PAGE_SIZE}; PRAGMA auto_vacuum = INCREMENTAL")
}

/// Turns an error of SQLite into ours. Whatever a healthy file cannot cause counts as damage.
fn explain(why: rusqlite::Error, path: &Path) -> Error {
    let shown = path.display();
    let extended = why.sqlite_error().map_or(0, |error| error.extended_code);
    let error = match why.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            Error::new(
                Code::LockTimeout,
                format!("another process is writing to {shown}: try again, or raise the lock timeout"),
            )
        }
        Some(ErrorCode::DiskFull) => full(path),
        Some(ErrorCode::SystemIoFailure) if extended == ffi::SQLITE_IOERR_SHMSIZE => full(path),
        Some(ErrorCode::SystemIoFailure) if extended == ffi::SQLITE_IOERR_SHORT_READ => {
            damaged(path, "it is shorter than it should be")
        }
        Some(ErrorCode::SystemIoFailure) => Error::new(
            Code::Unavailable,
            format!("the disk failed while using {shown} ({why}): check the disk and its file system"),
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => read_only(path),
        Some(ErrorCode::CannotOpen) => Error::new(
            Code::Unavailable,
            format!(
                "cannot open {shown}: check that it is a file and that this user may write to it, or give the cache another directory"
            ),
        ),
        // Nothing that a file can be the cause of: it must not be given up for them.
        Some(
            ErrorCode::OutOfMemory
            | ErrorCode::ApiMisuse
            | ErrorCode::OperationInterrupted
            | ErrorCode::OperationAborted
            | ErrorCode::TooBig
            | ErrorCode::NoLargeFileSupport
            | ErrorCode::AuthorizationForStatementDenied,
        ) => Error::new(Code::Internal, format!("SQLite failed while using {shown}: {why}")),
        _ => damaged(path, &why.to_string()),
    };
    error.at(path).because(why)
}

fn full(path: &Path) -> Error {
    Error::new(
        Code::StorageFull,
        format!(
            "the disk is full while writing {}: free some space, or give the cache a smaller max size",
            path.display()
        ),
    )
}

fn read_only(path: &Path) -> Error {
    Error::new(
        Code::ReadOnly,
        format!(
            "{} may not be written: make it writable for this user, or give the cache another directory",
            path.display()
        ),
    )
}
