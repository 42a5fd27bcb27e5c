//! The command line.

use std::path::PathBuf;

use tierce::policy::{POLICIES, PolicyKind, UnknownPolicy};

/// What `--help` prints.
pub const HELP: &str = "\
Replays access traces against eviction policies, and prints the miss ratios.

usage: tierce-sim [options] TRACE...

A TRACE is gzip text, one request a line: `key` or `key<TAB>size in bytes`.

  -p, --policies LIST  names, separated by commas; `all` is the default
  -s, --sizes LIST     capacities, separated by commas: a whole number of entries
                       (of bytes with --bytes), or a fraction of the distinct keys
                       (bytes) such as 0.01 or 1%; the default is 0.1%,1%,10%,30%
  -b, --bytes          the capacity counts bytes, by the sizes in the trace
  -f, --format FORMAT  markdown (the default) or csv
  -o, --chart FILE     also draws the miss-ratio curves of each trace, as SVG; with
                       several traces their names are added to FILE's
  -h, --help           prints this
";

/// What is wrong with the command line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// No trace was named.
    #[error("no trace given")]
    NoTrace,
    /// There is no such option.
    #[error("unknown option {0}")]
    UnknownOption(String),
    /// An option's value is not there.
    #[error("{0} needs a value")]
    NoValue(String),
    /// There is no such policy.
    #[error(transparent)]
    Policy(#[from] UnknownPolicy),
    /// A size is no number above zero.
    #[error("{0:?} is not a size: expected a whole number above 0, a fraction below 1, or a percentage")]
    Size(String),
    /// There is no such format.
    #[error("unknown format {0:?}: expected one of markdown, csv")]
    Format(String),
}

/// A capacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size {
    /// In entries or bytes.
    Absolute(u64),
    /// Of the distinct keys or their bytes.
    Fraction(f64),
}

impl Size {
    /// The capacity for a whole of `distinct` entries or bytes: at least 1.
    #[must_use]
    pub fn of(self, distinct: u64) -> u64 {
        match self {
            Self::Absolute(size) => size,
            Self::Fraction(part) => ((part * distinct as f64) as u64).max(1),
        }
    }
}

impl std::str::FromStr for Size {
    type Err = UsageError;

    fn from_str(text: &str) -> Result<Self, UsageError> {
        let bad = || UsageError::Size(text.to_owned());
        if let Ok(size) = text.parse::<u64>() {
            return if size > 0 { Ok(Self::Absolute(size)) } else { Err(bad()) };
        }
        let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 0.01));
        let part = number.parse::<f64>().map_err(|_| bad())? * scale;
        if part > 0.0 && part <= 1.0 { Ok(Self::Fraction(part)) } else { Err(bad()) }
    }
}

/// How the table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A Markdown table.
    Markdown,
    /// Comma-separated values.
    Csv,
}

/// A command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The files to replay.
    pub traces: Vec<PathBuf>,
    /// The policies to compare.
    pub policies: Vec<PolicyKind>,
    /// The capacities.
    pub sizes: Vec<Size>,
    /// Capacities count bytes.
    pub bytes: bool,
    /// How the table is written.
    pub format: Format,
    /// Where the picture goes.
    pub chart: Option<PathBuf>,
}

impl Options {
    /// Reads the arguments, without the program's name; none if help was asked for.
    ///
    /// # Errors
    /// [`UsageError`]
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Option<Self>, UsageError> {
        let mut options = Self {
            traces: Vec::new(),
            policies: POLICIES.iter().map(|row| row.0).collect(),
            sizes: [0.001, 0.01, 0.1, 0.3].map(Size::Fraction).to_vec(),
            bytes: false,
            format: Format::Markdown,
            chart: None,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| UsageError::NoValue(argument.clone()));
            match argument.as_str() {
                "-h" | "--help" => return Ok(None),
                "-b" | "--bytes" => options.bytes = true,
                "-p" | "--policies" => options.policies = policies(&value()?)?,
                "-s" | "--sizes" => {
                    options.sizes = value()?.split(',').map(str::parse).collect::<Result<_, _>>()?;
                }
                "-f" | "--format" => options.format = format(&value()?)?,
                "-o" | "--chart" => options.chart = Some(value()?.into()),
                option if option.starts_with('-') => return Err(UsageError::UnknownOption(argument)),
                _ => options.traces.push(argument.into()),
            }
        }
        if options.traces.is_empty() { Err(UsageError::NoTrace) } else { Ok(Some(options)) }
    }
}

fn policies(list: &str) -> Result<Vec<PolicyKind>, UsageError> {
    if list == "all" {
        return Ok(POLICIES.iter().map(|row| row.0).collect());
    }
    list.split(',').map(|name| Ok(name.parse()?)).collect()
}

fn format(name: &str) -> Result<Format, UsageError> {
    match name {
        "markdown" => Ok(Format::Markdown),
        "csv" => Ok(Format::Csv),
        _ => Err(UsageError::Format(name.to_owned())),
    }
}
