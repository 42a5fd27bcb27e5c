//! The one error type of the crate and the table of its codes.
//!
//! The [`Code`] is the contract: callers match on it. The message says what was given, what is accepted and what to
//! do; `context` carries the same facts as data.

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What went wrong, as a stable code. The same names are the classes of the TypeScript layer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The code as users see it, for example `E_CORRUPT`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }
        }
    };
}

codes! {
    /// The key has no entry.
    KeyNotFound = "E_KEY_NOT_FOUND",
    /// The key had an entry whose time to live has passed.
    KeyExpired = "E_KEY_EXPIRED",
    /// The key cannot be encoded.
    InvalidKey = "E_INVALID_KEY",
    /// The time to live is zero, negative or not a number.
    InvalidTtl = "E_INVALID_TTL",
    /// An option has a value that is not accepted.
    InvalidOption = "E_INVALID_OPTION",
    /// The value has no stored form.
    Unserializable = "E_UNSERIALIZABLE",
    /// A row does not fit its table, or what was asked.
    InvalidRow = "E_INVALID_ROW",
    /// The value does not fit into the cache at all.
    ValueTooLarge = "E_VALUE_TOO_LARGE",
    /// Stored bytes do not pass their checks.
    Corrupt = "E_CORRUPT",
    /// The disk or its quota is full.
    StorageFull = "E_STORAGE_FULL",
    /// The directory or its files may not be written.
    ReadOnly = "E_READ_ONLY",
    /// The directory was written by a newer version of this library.
    Format = "E_FORMAT",
    /// The directory or file is encrypted with another key, or with one where none was given, or not at all where one was.
    Encryption = "E_ENCRYPTION",
    /// Another process or thread held the lock for longer than the timeout.
    LockTimeout = "E_LOCK_TIMEOUT",
    /// A load took longer than its timeout.
    Timeout = "E_TIMEOUT",
    /// A unique column has the value already, or one that needs a value has none.
    Constraint = "E_CONSTRAINT",
    /// A transaction met a conflicting write.
    Transaction = "E_TRANSACTION",
    /// A statement of the caller's failed.
    Query = "E_QUERY",
    /// The cache was closed.
    Closed = "E_CLOSED",
    /// The directory or service cannot be reached.
    Unavailable = "E_UNAVAILABLE",
    /// Tables need a package that is not installed.
    ColumnarMissing = "E_COLUMNAR_MISSING",
    /// A defect of this library: please report it.
    Internal = "E_INTERNAL",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error of the cache: a [`Code`], a message for people, facts for programs and the cause.
#[derive(Debug)]
pub struct Error {
    code: Code,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// For functions that return [`std::io::Result`]; the error is in the new one.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        use std::io::ErrorKind as K;
        let kind = match error.code() {
            Code::KeyNotFound | Code::KeyExpired => K::NotFound,
            Code::InvalidKey | Code::InvalidTtl | Code::InvalidOption => K::InvalidInput,
            Code::Corrupt | Code::Format => K::InvalidData,
            Code::StorageFull => K::StorageFull,
            Code::ReadOnly => K::PermissionDenied,
            Code::LockTimeout | Code::Timeout => K::TimedOut,
            _ => K::Other,
        };
        Self::new(kind, error)
    }
}

impl Error {
    /// An error with a code and a message that says what was given, what is accepted and what to do.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), context: Vec::new(), source: None }
    }

    /// Adds a fact, for example `("path", "/var/cache")`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.context.push((name, value.to_string()));
        self
    }

    /// Adds the path that the error is about.
    #[must_use]
    pub fn at(self, path: &Path) -> Self {
        self.with("path", path.display())
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The code: what callers match on.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The facts of the error by name.
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.context
    }

    /// An error of the file system, with the operation and the path it was about.
    pub fn io(doing: &str, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let shown = path.display();
        let (code, advice) = match source.kind() {
            K::StorageFull | K::QuotaExceeded | K::FileTooLarge => (
                Code::StorageFull,
                "free some space, or give the cache a smaller max size or another directory",
            ),
            K::PermissionDenied | K::ReadOnlyFilesystem => {
                (Code::ReadOnly, "make it writable for this user, or give the cache another directory")
            }
            K::NotFound => {
                (Code::Unavailable, "create the parent directory first, or give the cache another one")
            }
            K::NotADirectory | K::AlreadyExists => (
                Code::Unavailable,
                "a file stands where a directory is needed: give the cache another directory",
            ),
            K::IsADirectory => (
                Code::Unavailable,
                "a directory stands where a file is needed: give the cache another directory",
            ),
            _ => (Code::Unavailable, "check the disk and the path"),
        };
        Self::new(code, format!("cannot {doing} {shown}: {source}; {advice}")).at(path).because(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_spelled_like_its_class() {
        for code in Code::ALL {
            let text = code.as_str();
            assert!(
                text.starts_with("E_") && text.chars().all(|c| c.is_ascii_uppercase() || c == '_'),
                "{text}"
            );
        }
    }

    #[test]
    fn an_io_error_has_the_kind_the_text_and_the_error() {
        let error = Error::new(Code::StorageFull, "no room").because("a quota");
        let io = std::io::Error::from(error);
        assert_eq!((io.kind(), io.to_string().as_str()), (std::io::ErrorKind::StorageFull, "no room"));
        let inner = io.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).unwrap();
        assert_eq!(inner.code(), Code::StorageFull);
        assert_eq!(StdError::source(inner).unwrap().to_string(), "a quota");
    }

    #[test]
    fn a_full_disk_is_told_apart_from_a_read_only_one() {
        let path = Path::new("/somewhere");
        let full = Error::io("write", path, std::io::ErrorKind::StorageFull.into());
        let denied = Error::io("write", path, std::io::ErrorKind::PermissionDenied.into());
        assert_eq!((full.code(), denied.code()), (Code::StorageFull, Code::ReadOnly));
        assert!(full.to_string().contains("/somewhere"));
        assert_eq!(full.context(), [("path", "/somewhere".to_owned())]);
    }
}
