//! What a directory is chosen to be: once, for all who open it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a failure is a panic")]

mod common;

use std::fs;
use std::path::Path;

use common::temp;
use tierce::{Cache, Code, Metadata, Result, Tier};

fn open(dir: &Path, metadata: Option<Metadata>) -> Result<&'static str> {
    Cache::builder().open_as(dir, metadata).map(|tier| match tier {
        Tier::Sqlite(_) => "sqlite",
        Tier::Json(_) => "json",
    })
}

#[test]
fn the_first_chooses_and_all_others_obey() {
    for (first, kind, other) in
        [(Metadata::Json, "json", Metadata::Sqlite), (Metadata::Sqlite, "sqlite", Metadata::Json)]
    {
        let dir = temp();
        assert_eq!(open(dir.path(), Some(first)).unwrap(), kind);
        for asked in [Some(first), Some(Metadata::Auto), None] {
            assert_eq!(open(dir.path(), asked).unwrap(), kind);
        }
        let why = open(dir.path(), Some(other)).unwrap_err();
        assert_eq!(why.code(), Code::InvalidOption);
        assert!(why.to_string().contains(&format!("a directory with metadata '{kind}'")), "{why}");
        assert_eq!(open(dir.path(), None).unwrap(), kind, "who was refused changed nothing");
    }
}

#[test]
fn a_directory_of_an_older_release_has_a_database() {
    let dir = temp();
    open(dir.path(), None).unwrap();
    fs::remove_file(dir.path().join("tierce.metadata")).unwrap();
    assert_eq!(open(dir.path(), None).unwrap(), "sqlite");
    assert_eq!(open(dir.path(), Some(Metadata::Auto)).unwrap(), "sqlite");
    assert_eq!(open(dir.path(), Some(Metadata::Json)).unwrap_err().code(), Code::InvalidOption);
}

#[test]
fn of_many_who_open_an_empty_directory_at_once_one_chooses() {
    for _ in 0..30 {
        let dir = temp();
        let start = std::sync::Barrier::new(8);
        let opened: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    let (start, dir) = (&start, dir.path());
                    scope.spawn(move || {
                        start.wait();
                        open(dir, Some(if thread % 2 == 0 { Metadata::Json } else { Metadata::Sqlite }))
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let is = open(dir.path(), None).unwrap();
        let won = opened.iter().flatten().count();
        assert!(won == 4 && opened.iter().flatten().all(|kind| *kind == is), "{opened:?}");
        assert_eq!(dir.path().join("tierce.db").exists(), is == "sqlite");
        assert_eq!(dir.path().join("entries").exists(), is == "json");
        assert!(
            opened.iter().filter_map(|one| one.as_ref().err()).all(|why| why.code() == Code::InvalidOption)
        );
        let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> =
            names.filter(|name| name.to_string_lossy().starts_with("tierce.metadata.")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_record_that_is_none_is_told() {
    for text in ["xml\n", "json", "sqlite\njson\n", "\u{ff}", &"j".repeat(10_000)] {
        let dir = temp();
        fs::write(dir.path().join("tierce.metadata"), text).unwrap();
        let why = open(dir.path(), None).unwrap_err();
        assert_eq!(why.code(), Code::Format, "{text}");
        assert!(why.to_string().contains("Remove the directory"), "{why}");
    }
    let dir = temp();
    fs::write(dir.path().join("tierce.metadata"), [0xff, 0xfe]).unwrap();
    assert_eq!(open(dir.path(), None).unwrap_err().code(), Code::Format);
}

#[test]
fn a_flipped_bit_of_the_record_costs_nothing() {
    for (metadata, kind) in [(Metadata::Json, "json"), (Metadata::Sqlite, "sqlite")] {
        let dir = temp();
        open(dir.path(), Some(metadata)).unwrap();
        let path = dir.path().join("tierce.metadata");
        let sound = fs::read(&path).unwrap();
        for bit in 0..8 * sound.len() {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bytes).unwrap();
            assert_eq!(open(dir.path(), None).unwrap(), kind);
        }
    }
}

#[test]
fn options_that_take_a_database_are_refused_before_the_directory_is_one() {
    let dir = temp();
    let builder = || Cache::builder().policy(tierce::policy::PolicyKind::Lfu);
    assert_eq!(builder().open_sidecar(dir.path()).unwrap_err().code(), Code::InvalidOption);
    assert!(!dir.path().join("tierce.metadata").exists());
    builder().open(dir.path()).unwrap();
}

#[test]
fn auto_takes_a_database_where_locks_work() {
    let dir = temp();
    assert_eq!(open(dir.path(), Some(Metadata::Auto)).unwrap(), "sqlite");
    let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().contains("probe")));
}

/// Locks that fail as they do on a mount without a lock manager: the program's own `fcntl`, before the C library's.
#[cfg(target_os = "linux")]
mod without_locks {
    #![allow(unsafe_code, reason = "stands in for a function of the C library")]

    use std::cell::Cell;
    use std::ffi::{c_int, c_void};

    use super::*;

    thread_local! {
        /// What a lock fails with on this thread: 0, it does not; -1, it is granted to everybody.
        static ERRNO: Cell<c_int> = const { Cell::new(0) };
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn fcntl(fd: c_int, what: c_int, argument: *mut c_void) -> c_int {
        let errno = ERRNO.get();
        if errno != 0 && matches!(what, libc::F_OFD_SETLK | libc::F_SETLK) {
            // SAFETY: the place of this thread's error number.
            unsafe { *libc::__errno_location() = errno };
            return if errno > 0 { -1 } else { 0 };
        }
        // SAFETY: the C library's own function of this name, with what it was given.
        unsafe {
            let real = libc::dlsym(libc::RTLD_NEXT, c"fcntl".as_ptr());
            let real: unsafe extern "C" fn(c_int, c_int, *mut c_void) -> c_int = std::mem::transmute(real);
            real(fd, what, argument)
        }
    }

    #[test]
    fn auto_takes_files_and_later_openers_obey() {
        for errno in [libc::ENOLCK, libc::EOPNOTSUPP, libc::EINVAL, libc::ENOSYS, -1] {
            let dir = temp();
            ERRNO.set(errno);
            assert_eq!(open(dir.path(), Some(Metadata::Auto)).unwrap(), "json", "errno {errno}");
            let Tier::Json(cache) = Cache::builder().open_as(dir.path(), None).unwrap() else {
                panic!("it obeys")
            };
            cache.set("k", b"v").unwrap();
            assert_eq!(cache.get("k").unwrap().unwrap(), b"v");
            ERRNO.set(0);
            assert_eq!(
                open(dir.path(), Some(Metadata::Auto)).unwrap(),
                "json",
                "also where locks work again"
            );
            assert_eq!(open(dir.path(), Some(Metadata::Sqlite)).unwrap_err().code(), Code::InvalidOption);
        }
    }

    #[test]
    fn auto_does_not_take_files_for_what_needs_a_database() {
        let builder = || Cache::builder().policy(tierce::policy::PolicyKind::Lfu);
        let dir = temp();
        assert_eq!(builder().open_sidecar(dir.path()).unwrap_err().code(), Code::InvalidOption);
        ERRNO.set(libc::ENOLCK);
        let why = builder().open_as(dir.path(), Some(Metadata::Auto)).unwrap_err();
        ERRNO.set(0);
        assert_eq!(why.code(), Code::InvalidOption);
        assert!(why.to_string().contains("policy"), "{why}");
        assert!(!dir.path().join("tierce.metadata").exists());
    }

    #[test]
    fn auto_with_a_key_is_encrypted_whatever_it_takes() {
        let builder = || Cache::builder().encryption(tierce::EncryptionKey::from([7; 32]));
        for errno in [0, libc::ENOLCK] {
            let dir = temp();
            ERRNO.set(errno);
            drop(builder().open_as(dir.path(), Some(Metadata::Auto)).unwrap());
            ERRNO.set(0);
            let refused = Cache::builder().open_as(dir.path(), Some(Metadata::Auto)).unwrap_err();
            assert_eq!(refused.code(), Code::Encryption);
        }
    }

    #[test]
    fn auto_asks_nobody_where_the_choice_is_made() {
        let dir = temp();
        open(dir.path(), Some(Metadata::Json)).unwrap();
        ERRNO.set(libc::ENOLCK);
        assert_eq!(open(dir.path(), Some(Metadata::Auto)).unwrap(), "json");
        ERRNO.set(0);
    }
}
