//! Where a directory keeps what it knows of its entries, and how that is chosen once for all who open it.
//!
//! The choice stands in a file that is made in one step, so that of two who open an empty directory at the same moment one
//! chooses and the other obeys. A directory with a database and no such file is of an older release, and has one.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use super::blob::{new_file, owner_only};
use super::owner::random;
use super::{patiently, rules};
use crate::error::{Code, Error, Result};

pub(super) const NAME: &str = "tierce.metadata";
/// How long a record that is empty may still be on its way.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where what is known of entries is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metadata {
    /// In a database: fast, and everything works. Needs locks and shared memory.
    #[default]
    Sqlite,
    /// In a file for each entry, as JSON: for directories without a working lock manager.
    Json,
    /// As [`Metadata::Json`] where a probe finds that locks do not work in the directory, else as [`Metadata::Sqlite`]. The
    /// probe sees one machine: where several share a directory, and their locks do not reach each other, name
    /// [`Metadata::Json`].
    Auto,
}

/// What a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Json,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Json => "json",
        }
    }
}

/// Finds out what a directory is, and says what it is from now on where nobody has. `asked` is `None` for who takes it as it is;
/// `fits` refuses options before a directory becomes what they cannot be used with. With it goes what the record of a directory
/// without a database says of rules, which `rules` makes for a new one.
///
/// # Errors
/// [`Code::InvalidOption`] where it is another one than was asked for; [`Code::Format`] where its record is none; what the disk
/// says.
pub(super) fn choose(
    dir: &Path,
    asked: Option<Metadata>,
    fits: impl Fn(Kind) -> Result<()>,
    rules: impl Fn() -> Result<Vec<u8>>,
) -> Result<(Kind, Vec<u8>)> {
    let (is, recorded) = match known(dir)? {
        Some(known) => known,
        None => {
            let wanted = match asked {
                None | Some(Metadata::Sqlite) => Kind::Sqlite,
                Some(Metadata::Auto) if locks_work(dir)? => Kind::Sqlite,
                Some(Metadata::Json | Metadata::Auto) => Kind::Json,
            };
            fits(wanted)?;
            let recorded = if wanted == Kind::Json { rules()? } else { Vec::new() };
            record(dir, wanted, recorded)?
        }
    };
    match (asked, is) {
        (Some(Metadata::Sqlite), Kind::Json) | (Some(Metadata::Json), Kind::Sqlite) => {
            let (given, is) = (if is == Kind::Json { "sqlite" } else { "json" }, is.name());
            let message = format!(
                "metadata is '{given}', and {} is a directory with metadata '{is}': give '{is}' or 'auto', or another directory",
                dir.display()
            );
            Err(Error::new(Code::InvalidOption, message).with("name", "metadata").at(dir))
        }
        _ => fits(is).map(|()| (is, recorded)),
    }
}

/// What a directory was chosen to be, and its rules.
fn known(dir: &Path) -> Result<Option<(Kind, Vec<u8>)>> {
    let path = dir.join(NAME);
    let failed = |why| Error::io("read", &path, why);
    let unreadable = |code, text: &str| {
        let message = format!(
            "{} says {text:?}, and this release knows 'sqlite' and 'json': it is damaged or of a newer release. Remove the directory to start again",
            path.display()
        );
        Error::new(code, message).at(&path)
    };
    let read = || {
        let mut text = Vec::new();
        match File::open(&path)
            .and_then(|file| file.take(1 + (b"json\n".len() + rules::BOTH) as u64).read_to_end(&mut text))
        {
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
            outcome => outcome.map_err(failed)?,
        };
        // One byte that was damaged must not cost a cache.
        let is = |known: &[u8], rest: usize| {
            text.len() == known.len() + rest
                && text.iter().zip(known).filter(|(is, was)| is != was).count() <= 1
        };
        match &text[..] {
            _ if is(b"sqlite\n", 0) => Ok(Some((Kind::Sqlite, Vec::new()))),
            _ if is(b"json\n", 0) || is(b"json\n", rules::BOTH) => {
                Ok(Some((Kind::Json, text[b"json\n".len()..].to_vec())))
            }
            // Where there are no links, it is made before it is written.
            [] => Err(unreadable(Code::LockTimeout, "nothing")),
            text => Err(unreadable(Code::Format, &String::from_utf8_lossy(text))),
        }
    };
    let recorded = patiently(PATIENCE, read).map_err(|why| {
        let is_late = why.code() == Code::LockTimeout;
        if is_late { unreadable(Code::Format, "nothing") } else { why }
    })?;
    Ok(recorded.or_else(|| dir.join("tierce.db").exists().then_some((Kind::Sqlite, Vec::new()))))
}

/// Says what a directory is, unless somebody has: gives what it is then.
pub(super) fn record(dir: &Path, kind: Kind, rules: Vec<u8>) -> Result<(Kind, Vec<u8>)> {
    let path = dir.join(NAME);
    let failed = |why| Error::io("write", &path, why);
    let text = [kind.name().as_bytes(), b"\n", &rules].concat();
    let early = dir.join(format!("{NAME}.{:016x}", random()));
    let written = new_file(&early).and_then(|mut file| {
        file.write_all(&text)?;
        file.sync_all()
    });
    let linked = written.and_then(|()| fs::hard_link(&early, &path));
    let _ = fs::remove_file(&early);
    let made = match linked {
        Err(why) if why.kind() == ErrorKind::AlreadyExists => false,
        Err(why) if is_refused(&why) => match new_file(&path) {
            Err(why) if why.kind() == ErrorKind::AlreadyExists => false,
            outcome => {
                let filled = outcome.and_then(|mut file| file.write_all(&text));
                if filled.is_err() {
                    let _ = fs::remove_file(&path); // ours, and not whole
                }
                filled.map_err(failed)?;
                true
            }
        },
        outcome => outcome.map(|()| true).map_err(failed)?,
    };
    if made { Ok((kind, rules)) } else { Ok(known(dir)?.unwrap_or((kind, rules))) }
}

/// Whether a file system has no links, rather than no room.
fn is_refused(why: &std::io::Error) -> bool {
    !matches!(
        why.kind(),
        ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::NotFound
    )
}

/// Whether two who open a file in this directory see each other's locks, and each other's writes to shared memory: what a
/// database needs.
fn locks_work(dir: &Path) -> Result<bool> {
    let path = dir.join(format!("tierce.probe.{:016x}", random()));
    let failed = |why| Error::io("write", &path, why);
    let first = owner_only(fs::OpenOptions::new().read(true).write(true).create_new(true))
        .open(&path)
        .map_err(failed)?;
    let second = fs::OpenOptions::new().read(true).write(true).open(&path);
    let works = second.and_then(|second| {
        first.set_len(32 * 1024)?;
        Ok(exclude_each_other(&first, &second) && share_memory(&first, &second)?)
    });
    let _ = fs::remove_file(&path);
    match works {
        Err(why) if !is_refused(&why) => Err(failed(why)),
        works => Ok(works.unwrap_or(false)),
    }
}

/// A lock of one of them keeps the other out, and no longer than it is held.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[allow(
    unsafe_code,
    reason = "asks for locks as SQLite does, but for each open file instead of each process"
)]
fn exclude_each_other(first: &File, second: &File) -> bool {
    use std::os::fd::AsRawFd as _;
    let ask = |file: &File, kind: libc::c_int| {
        // SAFETY: a structure of numbers, for which zero is a value; and a descriptor that is open.
        unsafe {
            let mut lock: libc::flock = std::mem::zeroed();
            lock.l_type = kind as libc::c_short;
            lock.l_whence = libc::SEEK_SET as libc::c_short;
            lock.l_len = 1;
            libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) == 0
        }
    };
    let (write, none) = (libc::F_WRLCK, libc::F_UNLCK);
    ask(first, write) && !ask(second, write) && ask(first, none) && ask(second, write) && ask(second, none)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn exclude_each_other(first: &File, second: &File) -> bool {
    let out = |file: &File| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock));
    first.try_lock().is_ok()
        && out(second)
        && first.unlock().is_ok()
        && second.try_lock().is_ok()
        && second.unlock().is_ok()
}

#[allow(unsafe_code, reason = "maps a file of this function's own")]
fn share_memory(first: &File, second: &File) -> std::io::Result<bool> {
    // SAFETY: the file was made by the caller under a name that nobody knows, and has the length that is mapped.
    let (mut one, other) = unsafe { (memmap2::MmapMut::map_mut(first)?, memmap2::MmapMut::map_mut(second)?) };
    one[17] = 0xa5;
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    // SAFETY: a byte inside the map; read as one that may change at any time, since the other map is the same memory.
    let seen = unsafe { std::ptr::read_volatile(other.as_ptr().add(17)) };
    Ok(seen == 0xa5)
}
