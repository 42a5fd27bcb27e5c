use std::fs;
use std::time::{Duration, SystemTime};

use super::*;
use crate::clock::ManualClock;
use crate::key::Key;

/// A hasher for which every file here is long settled.
fn hasher() -> Hasher {
    Hasher::new(Arc::new(ManualClock::new(u64::MAX / 2_000_000)))
}

fn file(path: &Path, algorithm: Algorithm) -> Content {
    Content { path: path.to_owned(), is_directory: false, algorithm }
}

fn folder(path: &Path) -> Content {
    Content { path: path.to_owned(), is_directory: true, algorithm: Algorithm::Xxh3 }
}

fn digest(content: &Content) -> String {
    hasher().hash(std::slice::from_ref(content)).unwrap()[0].to_hex()
}

fn fault(content: Content) -> Error {
    hasher().hash(&[content]).unwrap_err()
}

fn remembered(hasher: &Hasher) -> usize {
    hasher.memo.lock().unwrap().len()
}

#[test]
fn a_file_is_the_standard_digest_of_its_bytes() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a");
    fs::write(&path, b"abc").unwrap();
    let known = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
    assert_eq!(digest(&file(&path, Algorithm::Blake3)), known);
    assert_eq!(digest(&file(&path, Algorithm::Xxh3)), "06b05ab6733a618578af5f94892f3950");
    let large: Vec<u8> = (0..3_000_000u32).map(|at| ((at * at) >> 7) as u8).collect();
    fs::write(&path, &large).unwrap();
    assert_eq!(
        digest(&file(&path, Algorithm::Xxh3)),
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&large))
    );
}

#[test]
fn a_key_holds_kind_algorithm_and_digest_and_no_path() {
    let temp = tempfile::tempdir().unwrap();
    let (a, b) = (temp.path().join("a"), temp.path().join("b"));
    fs::write(&a, b"abc").unwrap();
    fs::write(&b, b"abc").unwrap();
    let items = hasher()
        .items(&[file(&a, Algorithm::Xxh3), file(&b, Algorithm::Xxh3), file(&a, Algorithm::Blake3)])
        .unwrap();
    assert_eq!(Key::of(&items[0]), Key::of(&items[1]), "the same content under another name");
    assert_ne!(Key::of(&items[0]), Key::of(&items[2]));
    assert_eq!(Key::of(&items[0]).as_bytes(), b"\0Fx06b05ab6733a618578af5f94892f3950");
}

#[test]
fn names_structure_and_content_of_a_folder_count_and_nothing_else() {
    let temp = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let root = temp.path().join(name);
        fs::create_dir_all(root.join("sub/empty")).unwrap();
        fs::write(root.join("x"), name.len().to_string()).unwrap();
        fs::write(root.join("x"), b"1").unwrap();
        fs::write(root.join("sub/y"), b"2").unwrap();
        root
    };
    let (one, two) = (make("one"), make("two-with-another-name"));
    let first = digest(&folder(&one));
    let y = fs::OpenOptions::new().append(true).open(two.join("sub/y")).unwrap();
    y.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    assert_eq!(digest(&folder(&two)), first, "neither the path nor a time counts");
    let changes: [&dyn Fn(); 5] = [
        &|| fs::write(two.join("sub/y"), b"3").unwrap(),
        &|| fs::rename(two.join("sub/y"), two.join("sub/z")).unwrap(),
        &|| fs::rename(two.join("sub/z"), two.join("z")).unwrap(),
        &|| fs::remove_dir(two.join("sub/empty")).unwrap(),
        &|| fs::write(two.join("new"), b"").unwrap(),
    ];
    let mut seen = vec![first];
    for change in changes {
        change();
        let now = digest(&folder(&two));
        assert!(!seen.contains(&now));
        seen.push(now);
    }
}

#[test]
fn an_unchanged_file_is_not_read_twice_and_a_changed_one_is() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a");
    fs::write(&path, b"one").unwrap();
    let hasher = hasher();
    let content = [file(&path, Algorithm::Xxh3)];
    assert_eq!(hasher.known(&path, Algorithm::Xxh3), None);
    let first = hasher.hash(&content).unwrap()[0];
    assert_eq!(hasher.known(&path, Algorithm::Xxh3), Some(first));
    assert_eq!(hasher.known(&path, Algorithm::Blake3), None);
    fs::write(&path, b"longer").unwrap();
    assert_eq!(hasher.known(&path, Algorithm::Xxh3), None);
    let second = hasher.hash(&content).unwrap()[0];
    assert_ne!(first, second);
    // Another file under the name, with the same size and time of change.
    let other = temp.path().join("b");
    fs::write(&other, b"LONGER").unwrap();
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    fs::File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
    fs::rename(&other, &path).unwrap();
    assert_ne!(hasher.hash(&content).unwrap()[0], second);
}

#[test]
fn a_file_changed_within_the_clocks_grain_is_not_remembered() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a");
    fs::write(&path, b"one").unwrap();
    let changed_ms = fs::metadata(&path)
        .unwrap()
        .modified()
        .unwrap()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64;
    let clock = Arc::new(ManualClock::new(changed_ms));
    let hasher = Hasher::new(Arc::clone(&clock) as Arc<dyn Clock>);
    hasher.hash(&[file(&path, Algorithm::Xxh3)]).unwrap();
    assert_eq!(remembered(&hasher), 0);
    clock.advance(10_000);
    hasher.hash(&[file(&path, Algorithm::Xxh3)]).unwrap();
    assert_eq!(remembered(&hasher), 1);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut memo = Memo::default();
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a");
    fs::write(&path, b"one").unwrap();
    let stamp = Stamp::of_path(&path).unwrap();
    let digest = Algorithm::Xxh3.of(b"one");
    for at in 0..200_000 {
        memo.put(Path::new(&format!("/{at}")), stamp, digest);
    }
    assert!(memo.len() <= 65_536);
    assert_eq!(memo.get(Path::new("/199999"), stamp, Algorithm::Xxh3), Some(digest));
    assert_eq!(memo.get(Path::new("/0"), stamp, Algorithm::Xxh3), None);
}

#[test]
fn many_files_give_on_many_threads_what_they_give_on_one() {
    let temp = tempfile::tempdir().unwrap();
    let contents: Vec<Content> = (0..100)
        .map(|at| {
            let path = temp.path().join(at.to_string());
            fs::write(&path, vec![at as u8; at * 37]).unwrap();
            file(&path, Algorithm::Xxh3)
        })
        .collect();
    let together = hasher().hash(&contents).unwrap();
    let apart: Vec<_> =
        contents.iter().map(|one| hasher().hash(std::slice::from_ref(one)).unwrap()[0]).collect();
    assert_eq!(together, apart);
    assert_eq!(digest(&folder(temp.path())), digest(&folder(temp.path())));
    for missing in [70, 50] {
        fs::remove_file(&contents[missing].path).unwrap();
    }
    assert_eq!(hasher().hash(&contents).unwrap_err().context()[0].1, contents[50].path.display().to_string());
}

#[test]
fn what_cannot_be_hashed_is_an_invalid_key_with_its_path() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a");
    let missing = fault(file(&path, Algorithm::Xxh3));
    assert_eq!(missing.code(), Code::InvalidKey);
    assert_eq!(missing.context(), [("path", path.display().to_string())]);
    assert!(missing.to_string().contains("does not exist"));
    assert!(fault(folder(&path)).to_string().contains("does not exist"));
    fs::write(&path, b"").unwrap();
    assert!(fault(folder(&path)).to_string().contains("file()"));
    assert!(fault(file(temp.path(), Algorithm::Xxh3)).to_string().contains("directory()"));
}

#[cfg(unix)]
mod links {
    use std::fs::File;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn loops_of_links_end() {
        let temp = tempfile::tempdir().unwrap();
        // Twelve folders, each with a link to every other: 12! ways through them.
        for from in 0..12 {
            fs::create_dir(temp.path().join(from.to_string())).unwrap();
        }
        for from in 0..12 {
            for to in 0..12 {
                symlink(format!("../{to}"), temp.path().join(format!("{from}/to-{to}"))).unwrap();
            }
        }
        symlink(".", temp.path().join("self")).unwrap();
        let first = digest(&folder(temp.path()));
        assert_eq!(digest(&folder(temp.path())), first);
        fs::remove_file(temp.path().join("7/to-3")).unwrap();
        assert_ne!(digest(&folder(temp.path())), first);
    }

    #[test]
    fn a_link_counts_as_what_it_points_to() {
        let temp = tempfile::tempdir().unwrap();
        let (real, linked) = (temp.path().join("real"), temp.path().join("linked"));
        fs::create_dir_all(real.join("sub")).unwrap();
        fs::write(real.join("a"), b"1").unwrap();
        fs::write(real.join("sub/b"), b"2").unwrap();
        fs::create_dir(&linked).unwrap();
        symlink(real.join("a"), linked.join("a")).unwrap();
        symlink(real.join("sub"), linked.join("sub")).unwrap();
        assert_eq!(digest(&folder(&linked)), digest(&folder(&real)));
        symlink("nowhere", linked.join("broken")).unwrap();
        let broken = fault(folder(&linked));
        assert_eq!(broken.context(), [("path", linked.join("broken").display().to_string())]);
    }

    #[test]
    fn a_pipe_or_a_socket_is_refused_and_not_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        assert!(fault(file(&path, Algorithm::Xxh3)).to_string().contains("neither a file nor a directory"));
        assert!(fault(folder(temp.path())).to_string().contains("neither a file nor a directory"));
    }

    #[test]
    fn what_is_no_file_any_more_when_it_is_opened_is_neither_waited_for_nor_read_without_end() {
        let temp = tempfile::tempdir().unwrap();
        let (path, pipe) = (temp.path().join("a"), temp.path().join("pipe"));
        fs::write(&path, b"abc").unwrap();
        let stamp = file::Stamp::of_path(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let read = |path: &Path| {
            file::digest(&hasher(), path, stamp, Algorithm::Xxh3, &mut Vec::new()).unwrap_err().to_string()
        };
        assert!(read(&pipe).contains("neither a file nor a directory"));
        let _writer = File::options().read(true).write(true).open(&pipe).unwrap();
        assert!(read(&pipe).contains("cannot make a key"));
        assert!(read(Path::new("/dev/zero")).contains("grows"));
    }
}
