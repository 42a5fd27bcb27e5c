//! Who makes a file that is on its way to be an entry: it stands in its name.
//!
//! Without locks nobody can be asked whether he lives. On this machine the process table tells. What another machine, or a
//! system without such a table, has left is taken for left when nobody wrote to it for an hour: if its maker lives all the
//! same, his step fails and he begins again, and nothing wrong is stored.

use std::path::Path;
use std::time::{Duration, SystemTime};

use xxhash_rust::xxh3::xxh3_64;

const SUFFIX: &str = ".tmp";
/// After this time a file that nobody wrote to has no maker.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// This process, as others know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Maker {
    /// The machine since its start, and its table of processes.
    table: u64,
    process: u32,
    /// When the process started, as the table has it.
    started: u64,
}

impl Maker {
    pub fn new() -> Self {
        let process = std::process::id();
        let started = started(process);
        // Where nothing tells about processes, nobody is known to anybody.
        let table = started.and_then(|_| table()).unwrap_or_else(super::super::owner::random);
        Self { table, process, started: started.unwrap_or(0) }
    }

    /// A name for a file that this process makes.
    pub fn name(self, random: u64) -> String {
        let Self { table, process, started } = self;
        format!("{table:016x}-{process:08x}-{started:016x}-{random:016x}{SUFFIX}")
    }

    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
        let parts: Vec<&str> = name.split('-').collect();
        let [table, process, started, random] = parts[..] else { return None };
        let number = |part: &str| u64::from_str_radix(part, 16).ok().filter(|_| part.len() == 16);
        number(random)?;
        let process = u32::from_str_radix(process, 16).ok().filter(|_| process.len() == 8)?;
        Some(Self { table: number(table)?, process, started: number(started)? })
    }

    /// Whether a file has the name of one on its way.
    pub fn made(path: &Path) -> bool {
        Self::of(path).is_some()
    }

    /// Whether whoever made a file cannot finish it any more. `now` is the time of the file system.
    pub fn is_gone(self, path: &Path, now: Option<SystemTime>) -> bool {
        let Some(maker) = Self::of(path) else { return false };
        if maker.table == self.table {
            return started(maker.process) != Some(maker.started);
        }
        let changed = std::fs::metadata(path).and_then(|about| about.modified());
        match (changed, now) {
            (Ok(changed), Some(now)) => now.duration_since(changed).is_ok_and(|age| age >= FORGOTTEN),
            _ => false,
        }
    }
}

/// When a process of this machine started; `None` where there is none, or nothing tells.
fn started(process: u32) -> Option<u64> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace();
    let state = fields.next()?;
    // A dead process that nobody has waited for yet stands in the table all the same.
    if matches!(state, "Z" | "X") { None } else { fields.nth(18)?.parse().ok() }
}

/// A table of processes, told from that of any other machine, container and start.
fn table() -> Option<u64> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(xxh3_64(format!("{boot}{}", space.display()).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_maker_and_a_living_one_is_not_gone() {
        let maker = Maker::new();
        let name = maker.name(7);
        assert_eq!(Maker::of(Path::new(&name)), Some(maker));
        assert!(!maker.is_gone(Path::new(&name), None));
        for foreign in ["x.tmp", "notes.txt", ".tmp", "0-1-2-3.tmp", &name[1..]] {
            assert!(!Maker::made(Path::new(foreign)), "{foreign}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_maker_is_gone_when_its_process_is() {
        let maker = Maker::new();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let its = Maker { process: child.id(), started: started(child.id()).unwrap(), ..maker };
        let path = std::path::PathBuf::from(its.name(1));
        assert!(!maker.is_gone(&path, None));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(maker.is_gone(&path, None));
        let reused = Maker { process: std::process::id(), started: 1, ..maker };
        assert!(
            maker.is_gone(Path::new(&reused.name(1)), None),
            "the number of the process was given to another"
        );
    }

    #[test]
    fn what_another_machine_left_is_forgotten_after_an_hour() {
        let folder = tempfile::tempdir().unwrap();
        let maker = Maker::new();
        let other = Maker { table: maker.table ^ 1, ..maker };
        let path = folder.path().join(other.name(1));
        std::fs::write(&path, b"").unwrap();
        let now = std::fs::metadata(&path).unwrap().modified().unwrap();
        assert!(!maker.is_gone(&path, Some(now)));
        assert!(!maker.is_gone(&path, Some(now + FORGOTTEN - Duration::from_secs(1))));
        assert!(maker.is_gone(&path, Some(now + FORGOTTEN)));
        assert!(!maker.is_gone(&path, None));
    }
}
