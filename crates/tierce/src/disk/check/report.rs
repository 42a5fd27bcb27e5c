//! What a check tells of.

use std::path::PathBuf;

/// Problems that a report describes; of more it has the count.
const DESCRIBED: usize = 1000;

/// What sort of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The trees of the database are out of order, or pages of it cannot be read.
    DamagedDatabase,
    /// A row does not verify: it is a miss.
    DamagedEntry,
    /// The file of an entry is not the one that was written: the entry is a miss.
    DamagedFile,
    /// The file of an entry is gone: the entry is a miss.
    MissingFile,
    /// A value file that no entry points to and no living process answers for.
    OrphanFile,
    /// Something in the folder of values that this library did not put there. It is left alone.
    ForeignFile,
    /// An account differs from what it is of: sizes that are shown, or that the bound counts.
    WrongAccount,
}

impl ProblemKind {
    /// The name that users see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DamagedDatabase => "damaged-database",
            Self::DamagedEntry => "damaged-entry",
            Self::DamagedFile => "damaged-file",
            Self::MissingFile => "missing-file",
            Self::OrphanFile => "orphan-file",
            Self::ForeignFile => "foreign-file",
            Self::WrongAccount => "wrong-account",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// What sort of thing.
    pub kind: ProblemKind,
    /// What was found.
    pub message: String,
    /// The stored key of the entry, where it is about one whose key can be read.
    pub key: Option<Vec<u8>>,
    /// The file.
    pub path: Option<PathBuf>,
    /// Whether it is set right.
    pub fixed: bool,
}

/// What [`Cache::check`](crate::Cache::check) found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Entries that were looked at, expired ones included.
    pub entries: u64,
    /// Of these, those that have expired.
    pub expired: u64,
    /// Entries that cannot be reached any more, about: of those on pages that cannot be read nobody knows more than how many there are
    /// elsewhere. Where nothing can be reached, 1.
    pub unreachable: u64,
    /// Value files of entries that were read.
    pub files: u64,
    /// Bytes of values as stored that were read.
    pub bytes: u64,
    /// Problems.
    pub found: u64,
    /// Of these, those that are set right.
    pub fixed: u64,
    /// Descriptions of the first 1000.
    pub problems: Vec<Problem>,
}

impl CheckReport {
    /// Counts a problem, and describes it where there are not too many.
    pub(in crate::disk) fn add(&mut self, problem: Problem) {
        self.found += 1;
        self.fixed += u64::from(problem.fixed);
        if self.problems.len() < DESCRIBED {
            self.problems.push(problem);
        }
    }
}
