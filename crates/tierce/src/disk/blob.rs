//! Value files: one a large value, named by its write id, never changed once an entry points to it.
//!
//! A file is announced in the database before it is created, and no name is ever used twice. So a file under its final
//! name is either referenced by an entry, or listed as its owner's: the rename of the usual temp-and-rename is the
//! commit of the row that points to it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use memmap2::{MmapMut, MmapOptions};

use super::db::Db;
use super::patiently;
use crate::error::{Code, Error, Result};
use crate::frame::{FILE_PAYLOAD, HEADER, Header};
use crate::key::Digest;

/// Bytes that are read at once where a file is not needed whole.
const PIECE: usize = 256 * 1024;

/// Times that a rename is tried, 10 ms apart.
const LOOKS: u32 = 50;

/// New files are for their owner alone.
pub(super) fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Makes a file longer by so many zeros, of which the disk has every block: a store to a hole in a map of a file, on a disk that is
/// full by then, would be a fatal signal.
pub(super) fn lengthen(file: &mut File, bytes: u64) -> std::io::Result<()> {
    let length = file.metadata()?.len();
    if bytes == 0 || allocate(file, length, bytes)? {
        return Ok(());
    }
    file.seek(SeekFrom::Start(length))?;
    std::io::copy(&mut std::io::repeat(0).take(bytes), file).map(|_| ())
}

/// Without writing them, where the file system can do that.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[allow(unsafe_code, reason = "the standard library has no call for it")]
fn allocate(file: &File, from: u64, bytes: u64) -> std::io::Result<bool> {
    let (Ok(from), Ok(bytes)) = (from.try_into(), bytes.try_into()) else { return Ok(false) };
    // SAFETY: the descriptor is open as long as `file` is; nothing else is handed over.
    if unsafe { libc::fallocate(std::os::fd::AsRawFd::as_raw_fd(file), 0, from, bytes) == 0 } {
        return Ok(true);
    }
    let why = std::io::Error::last_os_error();
    // To write what there is no room for would take, for a moment, all that others have.
    if why.kind() == ErrorKind::StorageFull { Err(why) } else { Ok(false) }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn allocate(_: &File, _: u64, _: u64) -> std::io::Result<bool> {
    Ok(false)
}

/// Creates a file for its owner alone, where none is.
pub(super) fn new_file(path: &Path) -> std::io::Result<File> {
    owner_only(&mut OpenOptions::new()).write(true).create_new(true).open(path)
}

/// Gives a file another name, in the place of whatever has it. On Windows, a scanner for viruses or an indexer that looks at either
/// just then is in the way for a moment.
pub(super) fn rename(from: &Path, to: &Path) -> std::io::Result<()> {
    const ACCESS_DENIED: i32 = 5;
    const SHARING_VIOLATION: i32 = 32;
    let mut looks = 0;
    loop {
        match fs::rename(from, to) {
            Err(why)
                if cfg!(windows)
                    && looks < LOOKS
                    && matches!(why.raw_os_error(), Some(ACCESS_DENIED | SHARING_VIOLATION)) =>
            {
                looks += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            outcome => return outcome,
        }
    }
}

/// Makes a directory for its owner alone. Its parent must exist; it may exist itself.
pub(super) fn make_dir(path: &Path) -> Result<()> {
    #[cfg_attr(not(unix), allow(unused_mut, reason = "only Unix has a mode to set"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(why) if why.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        outcome => outcome.map_err(|why| Error::io("create the directory", path, why)),
    }
}

/// The folder of value files.
#[derive(Debug)]
pub(super) struct Blobs {
    root: PathBuf,
}

impl Blobs {
    pub fn new(cache_dir: &Path) -> Self {
        Self { root: cache_dir.join("values") }
    }

    /// Where the value of a write is.
    pub fn path(&self, write_id: u64) -> PathBuf {
        let name = format!("{write_id:016x}");
        self.root.join(&name[..2]).join(name)
    }

    /// The folder of all files, which are in folders named by the first two digits of their names.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes an announced file. With `sync`, it is on the disk when this returns.
    pub fn write(&self, header: Header, payload: &[u8], sync: bool) -> Result<()> {
        let path = self.path(header.write_id);
        let mut file = self.create(&path)?;
        let mut fill = || {
            let mut start = [0; FILE_PAYLOAD];
            start[..HEADER].copy_from_slice(&header.to_bytes());
            file.write_all(&start)?;
            file.write_all(payload)?;
            if sync { file.sync_all() } else { Ok(()) }
        };
        fill().map_err(|why| {
            let _ = fs::remove_file(&path); // it stays announced, so an open would settle it too
            Error::io("write the value file", &path, why)
        })
    }

    /// Makes the folder that the file of a write belongs into.
    pub fn make_folder(&self, write_id: u64) -> Result<()> {
        make_dir(&self.root)?;
        self.path(write_id).parent().map_or(Ok(()), make_dir)
    }

    /// Creates the file of a write that was announced.
    pub fn create(&self, path: &Path) -> Result<File> {
        let mut outcome = new_file(path);
        if outcome.as_ref().is_err_and(|why| why.kind() == ErrorKind::NotFound) {
            make_dir(&self.root)?;
            path.parent().map_or(Ok(()), make_dir)?;
            outcome = new_file(path);
        }
        outcome.map_err(|why| Error::io("create the value file", path, why))
    }

    /// Reads the payload of a file whose row has `header`. `None` when there is no such file.
    ///
    /// # Errors
    /// [`Code::Corrupt`] when the file is not the one that the row points to, or is not as long as it says.
    pub fn read(&self, header: Header) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.open(header)? else { return Ok(None) };
        let path = self.path(header.write_id);
        let mut payload = Vec::new();
        payload.try_reserve_exact(header.stored_size as usize).map_err(|why| {
            let length = header.stored_size;
            let message = format!("no memory for the {length} bytes of the value file {}", path.display());
            Error::new(Code::ValueTooLarge, message).at(&path).because(why)
        })?;
        let mut file = file.take(header.stored_size);
        file.read_to_end(&mut payload).map_err(|why| Error::io("read the value file", &path, why))?;
        Ok(Some(payload))
    }

    /// Maps the payload of a file, privately: writes to the memory do not reach it. As [`Blobs::read`] otherwise.
    #[allow(unsafe_code, reason = "a map of a file that is never written again once it is an entry's")]
    pub fn map(&self, header: Header) -> Result<Option<MmapMut>> {
        let Some(file) = self.open(header)? else { return Ok(None) };
        let path = self.path(header.write_id);
        let failed = |why| Error::io("map the value file", &path, why);
        let length = usize::try_from(header.stored_size).map_err(|why| failed(std::io::Error::other(why)))?;
        // SAFETY: this library never changes a value file once an entry points to it, and only unlinks it, which leaves a
        // map as it is. Who cuts one from outside kills the process: the caller was told.
        let map = unsafe { MmapOptions::new().offset(FILE_PAYLOAD as u64).len(length).map_copy(&file) };
        map.map(Some).map_err(failed)
    }

    /// Reads the file in pieces, and compares all of it with what the row says. False when there is no such file.
    ///
    /// # Errors
    /// As [`Blobs::read`].
    pub fn verify(&self, header: Header, digest: Digest) -> Result<bool> {
        let Some(mut file) = self.open(header)? else { return Ok(false) };
        verify_rest(&mut file, &self.path(header.write_id), header, digest)?;
        Ok(true)
    }

    /// Opens the file of a row at its payload, and compares its length and its header. `None` when there is no such file.
    pub fn open(&self, header: Header) -> Result<Option<File>> {
        let path = self.path(header.write_id);
        let failed = |why| Error::io("read the value file", &path, why);
        let mut file = match File::open(&path) {
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
            outcome => outcome.map_err(failed)?,
        };
        let damaged = |why: &str| {
            Error::new(Code::Corrupt, format!("the value file {} {why}", path.display())).at(&path)
        };
        // The length is compared before anything is allocated for it.
        let length = file.metadata().map_err(failed)?.len();
        if length.checked_sub(FILE_PAYLOAD as u64) != Some(header.stored_size) {
            return Err(damaged("is cut or too long"));
        }
        let mut start = [0; FILE_PAYLOAD];
        file.read_exact(&mut start).map_err(failed)?;
        if start[..HEADER] != header.to_bytes() {
            return Err(damaged("belongs to another write"));
        }
        Ok(Some(file))
    }

    /// Removes files that no entry points to any more; those that cannot be removed now are left to a later open.
    pub fn remove(&self, write_ids: &[u64]) -> Vec<u64> {
        let gone = |write_id: &u64| match fs::remove_file(self.path(*write_id)) {
            Ok(()) => true,
            Err(why) => why.kind() == ErrorKind::NotFound,
        };
        write_ids.iter().copied().filter(gone).collect()
    }

    /// Whether the file that a row points to is there, as long as it should be.
    pub fn has(&self, header: Header) -> bool {
        let length = fs::metadata(self.path(header.write_id)).map(|file| file.len());
        length.is_ok_and(|length| length.checked_sub(FILE_PAYLOAD as u64) == Some(header.stored_size))
    }

    /// Removes the value files that a database which was made anew does not list, and no file of another name. Each is looked
    /// up while nobody writes, so that none is taken from a writer who announces it just then.
    pub fn sweep(&self, db: &Db, lock_timeout: Duration) -> Result<()> {
        let Ok(folders) = fs::read_dir(&self.root) else { return Ok(()) };
        for folder in folders.flatten() {
            let Ok(files) = fs::read_dir(folder.path()) else { continue };
            let files: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
            let transaction = patiently(lock_timeout, || db.begin())?;
            for path in files {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let Ok(write_id) = u64::from_str_radix(name, 16) else { continue };
                if path == self.path(write_id) && !transaction.lists(write_id).unwrap_or(true) {
                    let _ = fs::remove_file(path); // unreferenced: a read of it cannot verify
                }
            }
        }
        Ok(())
    }
}

/// Reads a file to its end in pieces, and compares what comes with the header of a payload.
///
/// # Errors
/// [`Code::Corrupt`] when it is another payload; what the disk says.
pub(super) fn verify_rest(file: &mut File, path: &Path, header: Header, digest: Digest) -> Result<()> {
    let mut piece = vec![0; PIECE];
    header.verify_pieces(digest, |hasher| {
        let bytes = file.read(&mut piece).map_err(|why| Error::io("read the value file", path, why))?;
        hasher.update(&piece[..bytes]);
        Ok(bytes as u64)
    })
}

#[cfg(all(test, windows))]
#[allow(clippy::unwrap_used, reason = "in a test, a failure is a panic")]
mod tests {
    use super::*;

    #[test]
    fn a_rename_waits_for_who_looks_at_the_file_it_replaces() {
        use std::os::windows::fs::OpenOptionsExt as _;
        let temp = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| temp.path().join(name));
        fs::write(&from, b"new").unwrap();
        fs::write(&to, b"old").unwrap();
        let looking = OpenOptions::new().read(true).share_mode(0).open(&to).unwrap();
        let looker = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(looking);
        });
        rename(&from, &to).unwrap();
        looker.join().unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
    }
}
