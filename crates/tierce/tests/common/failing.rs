//! A disk that fails on demand: the calls of the system with which SQLite and the library change files, seen by this
//! program before the C library gets them. Only files under a directory that [`watch`] was told of are concerned. A test that uses it is
//! alone in its program, and its tests take turns.
#![allow(unsafe_code, reason = "stands in for functions of the C library")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use Ordering::SeqCst;

/// Files that are open under the directory, by descriptor: [`OURS`], and [`KEPT`] where a power cut must not lose them. With the [`ROUND`] in
/// which they were opened: what a handle that was dropped closes behind is no file of the test that has its turn by then.
static FILES: [AtomicI32; 4096] = [const { AtomicI32::new(0) }; 4096];
const OURS: i32 = 1;
const KEPT: i32 = 2;
/// Written since the last sync.
const DIRTY: i32 = 4;
const FLAGS: i32 = OURS | KEPT | DIRTY;

/// Counts in steps that leave the flags alone.
static ROUND: AtomicI32 = AtomicI32::new(0);

/// Part of the paths that are watched.
static WATCHED: Mutex<Option<String>> = Mutex::new(None);
static TURN: Mutex<()> = Mutex::new(());

/// Calls until one fails; negative: none does.
static COUNTDOWN: AtomicI64 = AtomicI64::new(-1);
static ERRNO: AtomicI32 = AtomicI32::new(0);
static LASTS: AtomicBool = AtomicBool::new(false);
static FAILED: AtomicU64 = AtomicU64::new(0);
static CLOSED_DIRTY: AtomicU64 = AtomicU64::new(0);
static SYNCS: AtomicU64 = AtomicU64::new(0);

/// How the disk fails.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// `ENOSPC` or `EIO`.
    pub errno: c_int,
    /// Until it is lifted, or once.
    pub lasts: bool,
}

/// All that a disk does.
pub const FAULTS: [Fault; 3] = [
    Fault { errno: libc::ENOSPC, lasts: true },
    Fault { errno: libc::EIO, lasts: true },
    Fault { errno: libc::EIO, lasts: false },
];

/// Watches what is below a directory, alone among the tests of this program.
pub fn watch(dir: &std::path::Path) -> MutexGuard<'static, ()> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    lift();
    ROUND.fetch_add(FLAGS + 1, SeqCst);
    CLOSED_DIRTY.store(0, SeqCst);
    SYNCS.store(0, SeqCst);
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned());
    *WATCHED.lock().unwrap_or_else(PoisonError::into_inner) = name;
    turn
}

/// From the `nth` call on (the first is 1), or at that one alone, calls fail.
pub fn arm(nth: u64, fault: Fault) {
    FAILED.store(0, SeqCst);
    ERRNO.store(fault.errno, SeqCst);
    LASTS.store(fault.lasts, SeqCst);
    COUNTDOWN.store(nth as i64, SeqCst);
}

/// The disk works again. Gives how many calls failed.
pub fn lift() -> u64 {
    COUNTDOWN.store(-1, SeqCst);
    FAILED.load(SeqCst)
}

/// Files that a power cut could tear: the log and values that were written and not synced since, open or closed.
pub fn unsynced() -> u64 {
    let open = FILES.iter().filter(|file| file.load(SeqCst) == ROUND.load(SeqCst) | FLAGS).count();
    open as u64 + CLOSED_DIRTY.load(SeqCst)
}

/// How often the disk was asked to keep what it has.
#[allow(dead_code, reason = "not every program counts them")]
pub fn syncs() -> u64 {
    SYNCS.load(SeqCst)
}

/// Whether the call that is made now fails. Reads run out of no space.
fn fails(reads: bool) -> bool {
    if COUNTDOWN.load(SeqCst) < 0 || (reads && ERRNO.load(SeqCst) == libc::ENOSPC) {
        return false;
    }
    let left = COUNTDOWN.fetch_sub(1, SeqCst);
    let due = left == 1 || (left <= 1 && left > i64::MIN / 2 && LASTS.load(SeqCst));
    if left <= 1 {
        COUNTDOWN.store(if LASTS.load(SeqCst) { 1 } else { -1 }, SeqCst);
    }
    if due {
        FAILED.fetch_add(1, SeqCst);
        // SAFETY: the place of this thread's error number.
        unsafe { *libc::__errno_location() = ERRNO.load(SeqCst) };
    }
    due
}

fn file(fd: c_int) -> Option<&'static AtomicI32> {
    let is_ours = |state: i32| state & OURS != 0 && state & !FLAGS == ROUND.load(SeqCst);
    FILES.get(usize::try_from(fd).ok()?).filter(|file| is_ours(file.load(SeqCst)))
}

fn dirty(fd: c_int) {
    if let Some(file) = file(fd) {
        file.fetch_or(DIRTY, SeqCst);
    }
}

/// What a path is to us.
fn concerns(path: *const c_char) -> i32 {
    // SAFETY: callers hand over a path that ends with a zero.
    let path = unsafe { CStr::from_ptr(path) }.to_string_lossy();
    let Ok(watched) = WATCHED.try_lock() else { return 0 };
    match watched.as_deref() {
        Some(watched) if path.contains(watched) => {
            if path.contains("/values/") || path.contains("/temp/") || path.ends_with("-wal") {
                OURS | KEPT
            } else {
                OURS
            }
        }
        _ => 0,
    }
}

/// The C library's own function of this name.
fn real(cell: &OnceLock<AtomicPtr<c_void>>, name: &CStr) -> *mut c_void {
    // SAFETY: the name ends with a zero; what follows this program in the order of the linker has these functions.
    let find = || AtomicPtr::new(unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) });
    cell.get_or_init(find).load(SeqCst)
}

/// Stands in for a function: `$fails` tells whether it fails now, with `$failure`; `$then` sees the outcome.
macro_rules! stand_in {
    ($name:ident($($argument:ident: $type:ty),*) -> $out:ty, $fails:expr, $failure:expr, |$outcome:ident| $then:expr) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> $out {
            static REAL: OnceLock<AtomicPtr<c_void>> = OnceLock::new();
            if $fails {
                return $failure;
            }
            let name = concat!(stringify!($name), "\0");
            // SAFETY: a name with its zero; the function of the C library has this signature, but for the variable
            // arguments of `open`, which are passed as others are.
            let $outcome = unsafe {
                let name = CStr::from_ptr(name.as_ptr().cast());
                let real: unsafe extern "C" fn($($type),*) -> $out = std::mem::transmute(real(&REAL, name));
                real($($argument),*)
            };
            let () = $then;
            $outcome
        }
    };
}

fn opened(fd: c_int, path: *const c_char) {
    if let Some(file) = usize::try_from(fd).ok().and_then(|fd| FILES.get(fd)) {
        file.store(ROUND.load(SeqCst) | concerns(path), SeqCst);
    }
}

fn closing(fd: c_int) -> bool {
    if let Some(file) = file(fd)
        && file.swap(0, SeqCst) & FLAGS == FLAGS
    {
        CLOSED_DIRTY.fetch_add(1, SeqCst);
    }
    false // a close gives nothing that could be acted on
}

/// Syncs, or fails. No test has the power cut, so the disk itself is not asked to: that would be most of the time.
fn synced(fd: c_int) -> c_int {
    if fails(false) {
        return -1;
    }
    SYNCS.fetch_add(1, SeqCst);
    if let Some(file) = file(fd) {
        file.fetch_and(!DIRTY, SeqCst);
    }
    0
}

type Path = *const c_char;
type Bytes = *const c_void;

stand_in!(open(path: Path, flags: c_int, mode: c_uint) -> c_int, concerns(path) != 0 && fails(false), -1, |fd| opened(fd, path));
stand_in!(open64(path: Path, flags: c_int, mode: c_uint) -> c_int, concerns(path) != 0 && fails(false), -1, |fd| opened(fd, path));
stand_in!(close(fd: c_int) -> c_int, closing(fd), -1, |_outcome| ());
stand_in!(write(fd: c_int, bytes: Bytes, count: usize) -> isize, file(fd).is_some() && fails(false), -1, |_count| dirty(fd));
stand_in!(writev(fd: c_int, parts: Bytes, count: c_int) -> isize, file(fd).is_some() && fails(false), -1, |_count| dirty(fd));
stand_in!(pwrite64(fd: c_int, bytes: Bytes, count: usize, at: i64) -> isize, file(fd).is_some() && fails(false), -1, |_count| dirty(fd));
stand_in!(read(fd: c_int, bytes: *mut c_void, count: usize) -> isize, file(fd).is_some() && fails(true), -1, |_count| ());
stand_in!(pread64(fd: c_int, bytes: *mut c_void, count: usize, at: i64) -> isize, file(fd).is_some() && fails(true), -1, |_count| ());
stand_in!(ftruncate64(fd: c_int, size: i64) -> c_int, file(fd).is_some() && fails(false), -1, |_outcome| ());
stand_in!(fsync(fd: c_int) -> c_int, file(fd).is_some(), synced(fd), |_outcome| ());
stand_in!(fdatasync(fd: c_int) -> c_int, file(fd).is_some(), synced(fd), |_outcome| ());
stand_in!(mkdir(path: Path, mode: c_uint) -> c_int, concerns(path) != 0 && fails(false), -1, |_outcome| ());
stand_in!(unlink(path: Path) -> c_int, concerns(path) != 0 && fails(false), -1, |_outcome| ());
stand_in!(rename(from: Path, to: Path) -> c_int, concerns(from) != 0 && fails(false), -1, |_outcome| ());
stand_in!(mmap64(at: *mut c_void, count: usize, protection: c_int, flags: c_int, fd: c_int, offset: i64) -> *mut c_void, file(fd).is_some() && fails(false), libc::MAP_FAILED, |_map| ());
