//! One engine a file: two DuckDB engines in one process on one file corrupt it without a word, because POSIX locks
//! hold between processes only. So a registry of the process, keyed by device and inode, shares them between threads.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::sleep;
use std::time::Duration;

use arrow_array::cast::AsArray as _;
use libduckdb_sys as ffi;

use super::Connection;
use super::failure::failure;
use super::ingest::STREAM;
use super::text::{c_text, taken};
use crate::tables::State;
use crate::{Error, Kind, Result};

/// How a database is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Made if it is not there.
    #[default]
    ReadWrite,
    /// Must be there; other processes may read it too, none may write.
    ReadOnly,
}

/// Options of an engine. Those of the first one to open a file count.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Reading only, or writing too.
    pub access: Access,
    /// Threads of DuckDB. Default: one a core.
    pub threads: Option<u32>,
    /// Bytes of memory that DuckDB may use before it spills to disk. Default: 80 % of the machine's.
    pub memory_limit: Option<u64>,
    /// How long to wait for a process that has the file open.
    pub lock_timeout: Duration,
}

/// Between two looks at a lock.
const RETRY: Duration = Duration::from_millis(20);

/// Which file, whatever its path is.
type FileId = (u64, u64);

struct Raw(ffi::duckdb_database);

// DuckDB's database handle may be used by any thread; it is only opened, connected to and closed.
unsafe impl Send for Raw {}
unsafe impl Sync for Raw {}

impl Drop for Raw {
    fn drop(&mut self) {
        unsafe { ffi::duckdb_close(&raw mut self.0) };
    }
}

struct Shared {
    raw: Raw,
    path: PathBuf,
    access: Access,
    /// Held by those who replace tables, so that they need not conflict.
    writing: Mutex<()>,
    state: State,
}

/// An open database. Clones share it; the last one to go closes it.
#[derive(Clone)]
pub struct Engine {
    // An option only so that `drop` can let go of it with the registry locked.
    shared: Option<Arc<Shared>>,
    id: Option<FileId>,
}

static OPEN: Mutex<Option<HashMap<FileId, Weak<Shared>>>> = Mutex::new(None);

fn registry() -> MutexGuard<'static, Option<HashMap<FileId, Weak<Shared>>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// Opens a file, or shares the engine that this process has for it.
    ///
    /// # Errors
    /// `Locked`: another process writes it, or reads what is to be written, for longer than `lock_timeout`; or something
    /// else in this process has it open. `Corrupt`, `Format`: it is no database of this release. `ReadOnly`,
    /// `Unavailable`, `StorageFull`: what the disk says
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Self> {
        let path =
            std::path::absolute(path.as_ref()).map_err(|error| Error::io("find", path.as_ref(), error))?;
        let mut waited = Duration::ZERO;
        loop {
            match Self::attempt(&path, options) {
                Err(error) if error.kind() == Kind::Locked && waited < options.lock_timeout => {
                    sleep(RETRY);
                    waited += RETRY;
                }
                outcome => return outcome,
            }
        }
    }

    /// A database in memory, for this handle and its clones alone.
    ///
    /// # Errors
    /// `OutOfMemory`
    pub fn in_memory(options: &Options) -> Result<Self> {
        let path = Path::new(":memory:");
        let shared = Shared::new(open(path, options)?, path, Access::ReadWrite);
        Ok(Self { shared: Some(Arc::new(shared)), id: None })
    }

    fn attempt(path: &Path, options: &Options) -> Result<Self> {
        // Held while opening and while closing: an engine about to close still counts.
        let mut registry = registry();
        let engines = registry.get_or_insert_default();
        let known = file_id(path);
        if let Some(shared) = known.and_then(|id| engines.get(&id)?.upgrade()) {
            if shared.access != options.access {
                return Err(other_access(path, shared.access));
            }
            return Ok(Self { shared: Some(shared), id: known });
        }
        if known.is_some_and(is_open_here) {
            return Err(foreign(path));
        }
        let raw = open(path, options)?;
        if options.access == Access::ReadWrite {
            remove_spilled(path);
        }
        let id = file_id(path);
        let shared = Arc::new(Shared::new(raw, path, options.access));
        if let Some(id) = id {
            engines.insert(id, Arc::downgrade(&shared));
        }
        drop(registry);
        let engine = Self { shared: Some(shared), id };
        if options.access == Access::ReadWrite {
            engine.drop_streams()?;
        }
        Ok(engine)
    }

    /// Views of streams that a killed process left: what they would read is gone.
    fn drop_streams(&self) -> Result<()> {
        let connection = self.connect()?;
        let found = connection.query(
            &format!(
                "SELECT '\"' || replace(schema_name, '\"', '\"\"') || '\".' || view_name FROM duckdb_views()
                 WHERE database_name = current_database() AND starts_with(view_name, '{STREAM}')"
            ),
            None,
        )?;
        for batch in &found.batches {
            for name in batch.column(0).as_string::<i32>().iter().flatten() {
                connection.run(&format!("DROP VIEW IF EXISTS {name}"))?;
            }
        }
        Ok(())
    }

    fn shared(&self) -> Result<&Arc<Shared>> {
        self.shared.as_ref().ok_or_else(|| Error::new(Kind::Closed, "The database is closed: open it again."))
    }

    /// A new connection: transactions and temporary tables of its own.
    ///
    /// # Errors
    /// `Closed`, `OutOfMemory`
    pub fn connect(&self) -> Result<Connection> {
        let mut raw = ptr::null_mut();
        let state = unsafe { ffi::duckdb_connect(self.shared()?.raw.0, &raw mut raw) };
        if state != ffi::DuckDBSuccess {
            return Err(Error::new(Kind::OutOfMemory, "DuckDB gave no connection."));
        }
        Connection::new(raw, self.clone())
    }

    /// The file; `:memory:` for one in memory.
    ///
    /// # Errors
    /// `Closed`
    pub fn path(&self) -> Result<&Path> {
        Ok(&self.shared()?.path)
    }

    /// How it was opened.
    ///
    /// # Errors
    /// `Closed`
    pub fn access(&self) -> Result<Access> {
        Ok(self.shared()?.access)
    }

    /// How many hold this engine: handles and connections.
    pub fn holders(&self) -> usize {
        self.shared.as_ref().map_or(0, Arc::strong_count)
    }

    /// What the cache of tables keeps of this database in memory.
    pub(crate) fn state(&self) -> Result<&State> {
        Ok(&self.shared()?.state)
    }

    /// Removes a database's files, while no engine of this process has them open.
    pub(crate) fn remove(path: &Path) -> Result<()> {
        let registry = registry();
        let is_ours = |id| {
            registry
                .as_ref()
                .is_some_and(|engines| engines.get(&id).is_some_and(|shared| shared.strong_count() > 0))
        };
        if file_id(path).is_some_and(|id| is_ours(id) || is_open_here(id)) {
            let shown = path.display();
            let text = format!("{shown} is in use in this process: close it everywhere first.");
            return Err(Error::new(Kind::Locked, text).with("path", shown).with("pid", std::process::id()));
        }
        // Nor may another process: DuckDB's own lock says so.
        if path.is_file()
            && let Err(error) = open(path, &Options::default())
            && error.kind() == Kind::Locked
        {
            return Err(error);
        }
        // DuckDB's log has another name while it is merged into the file, or mended.
        for end in ["", ".wal", ".wal.checkpoint", ".wal.recovery"] {
            let file = beside(path, end);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &file, error));
                }
                _ => {}
            }
        }
        remove_spilled(path);
        Ok(())
    }

    /// Runs `work` while no one else of this process does so: replacing one table in two transactions at once is a
    /// conflict to DuckDB.
    pub(crate) fn alone<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let shared = Arc::clone(self.shared()?);
        let _guard = shared.writing.lock().unwrap_or_else(PoisonError::into_inner);
        work()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let mut registry = registry();
        let last = self.shared.take().is_some_and(|shared| Arc::into_inner(shared).is_some());
        if let (true, Some(id), Some(engines)) = (last, self.id, registry.as_mut()) {
            engines.remove(&id);
        }
    }
}

impl Shared {
    fn new(raw: Raw, path: &Path, access: Access) -> Self {
        Self { raw, path: path.to_owned(), access, writing: Mutex::new(()), state: State::default() }
    }
}

/// A file of a database: its name with something after it.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Removes what queries of a process that was killed had spilled to disk. Nobody else may have the database open.
pub(crate) fn remove_spilled(path: &Path) {
    let folder = beside(path, ".tmp");
    let Ok(entries) = std::fs::read_dir(&folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with("duckdb_temp_") {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    let _ = std::fs::remove_dir(&folder); // it has other files
}

struct Config(ffi::duckdb_config);

impl Config {
    fn new() -> Result<Self> {
        let mut raw = ptr::null_mut();
        if unsafe { ffi::duckdb_create_config(&raw mut raw) } != ffi::DuckDBSuccess {
            return Err(Error::new(Kind::OutOfMemory, "DuckDB gave no configuration."));
        }
        Ok(Self(raw))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let (key, text) = (c_text(name)?, c_text(value)?);
        if unsafe { ffi::duckdb_set_config(self.0, key.as_ptr(), text.as_ptr()) } != ffi::DuckDBSuccess {
            return Err(Error::new(Kind::Invalid, format!("DuckDB does not accept {name} = {value}.")));
        }
        Ok(())
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        unsafe { ffi::duckdb_destroy_config(&raw mut self.0) };
    }
}

fn open(path: &Path, options: &Options) -> Result<Raw> {
    let mut config = Config::new()?;
    // A query must never fetch and run code: json, parquet and icu are built in.
    for setting in ["autoinstall_known_extensions", "autoload_known_extensions", "allow_unsigned_extensions"]
    {
        config.set(setting, "false")?;
    }
    config.set("allow_community_extensions", "false")?;
    if options.access == Access::ReadOnly {
        config.set("access_mode", "READ_ONLY")?;
    }
    if let Some(threads) = options.threads {
        config.set("threads", &threads.to_string())?;
    }
    if let Some(bytes) = options.memory_limit {
        config.set("memory_limit", &format!("{bytes}B"))?;
    }
    let text = path.to_str().ok_or_else(|| {
        Error::new(Kind::Invalid, format!("The path {} is not UTF-8: choose another one.", path.display()))
    })?;
    let (mut raw, mut message) = (ptr::null_mut(), ptr::null_mut());
    let state =
        unsafe { ffi::duckdb_open_ext(c_text(text)?.as_ptr(), &raw mut raw, config.0, &raw mut message) };
    let why = unsafe { taken(message) };
    if state != ffi::DuckDBSuccess {
        return Err(failure(&why).with("path", path.display()));
    }
    Ok(Raw(raw))
}

fn other_access(path: &Path, access: Access) -> Error {
    let (has, wanted) = match access {
        Access::ReadWrite => ("writing", "readOnly: false"),
        Access::ReadOnly => ("reading only", "readOnly: true"),
    };
    let shown = path.display();
    let text =
        format!("{shown} is open for {has} in this process: open it with {wanted}, or close it first.");
    Error::new(Kind::Locked, text).with("path", shown).with("pid", std::process::id())
}

fn foreign(path: &Path) -> Error {
    let shown = path.display();
    let text = format!(
        "Something else in this process has {shown} open, perhaps another DuckDB: two engines on one file destroy it. Close it there first."
    );
    Error::new(Kind::Locked, text).with("path", shown).with("pid", std::process::id())
}

#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn file_id(path: &Path) -> Option<FileId> {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let found = std::fs::canonicalize(path).ok()?;
    let mut hasher = DefaultHasher::new();
    found.hash(&mut hasher);
    Some((hasher.finish(), 0))
}

/// Whether something in this process has the file open and locked. Looked up without opening it: closing any descriptor of
/// a file drops every POSIX lock that the process has on it. A descriptor alone says nothing, as a child process inherits
/// those of its parent, without the locks.
#[cfg(target_os = "linux")]
fn is_open_here(id: FileId) -> bool {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return false };
    open.flatten().any(|descriptor| file_id(&descriptor.path()) == Some(id)) && is_locked_here(id.1)
}

/// `1: POSIX  ADVISORY  WRITE 4711 fe:00:10051764 0 EOF`: the process, and the file by device and inode. Some file systems
/// show another device than `stat` does.
#[cfg(target_os = "linux")]
fn is_locked_here(inode: u64) -> bool {
    let Ok(locks) = std::fs::read_to_string("/proc/locks") else { return false };
    let (pid, inode) = (std::process::id().to_string(), inode.to_string());
    locks.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(4);
        fields.next() == Some(&pid) && fields.next().and_then(|file| file.rsplit(':').next()) == Some(&inode)
    })
}

#[cfg(not(target_os = "linux"))]
fn is_open_here(_: FileId) -> bool {
    false
}
