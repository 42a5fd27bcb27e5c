//! Writes that are encoded, and what they bring.

use std::borrow::Cow;

use super::db::PAGE_SIZE;
use super::engine::Engine;
use super::extras::Extras;
use super::number::Number;
use super::restore::Past;
use super::row::{Freshness, weight};
use super::write::{SetWrite, When, Write, Written};
use crate::error::Result;
use crate::frame::{HEADER, Header};
use crate::key::{Digest, Key};

/// The times of an entry, as its row can hold them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub expires: Option<u64>,
    pub freshness: Freshness,
    /// Of an entry that is not new.
    pub past: Option<Past>,
}

impl Times {
    pub fn new(expires: Option<u64>, freshness: Freshness) -> Self {
        let most = |at: u64| at.min(i64::MAX as u64); // the column's last millisecond
        let freshness = Freshness { until: freshness.until.map(most), ..freshness };
        Self { expires: expires.map(most), freshness, past: None }
    }
}

/// A write that is ready for its transaction.
pub(super) enum Ready<'a> {
    Set {
        key: Cow<'a, Key<'a>>,
        digest: Digest,
        header: Header,
        frame: Vec<u8>,
        times: Times,
        extras: Beside<'a>,
        when: When,
    },
    /// A set of a large batch, which is [prepared](Engine::prepare) in its transaction: what is encoded of such a batch is not all in memory.
    Later {
        write: &'a Write<'a>,
        digest: Digest,
        when: When,
    },
    Renew {
        key: &'a Key<'a>,
        digest: Digest,
        times: Times,
        stale: bool,
    },
    Delete {
        key: &'a Key<'a>,
        digest: Digest,
    },
    InvalidateTags {
        tags: &'a [&'a str],
    },
    Clear,
    Increment {
        key: &'a Key<'a>,
        digest: Digest,
        by: Number,
        times: Times,
    },
    Check {
        key: &'a Key<'a>,
        version: Option<u64>,
    },
}

/// What an entry carries beside its value, and its stored form.
pub(super) type Beside<'a> = Option<(Cow<'a, Extras<'a>>, Vec<u8>)>;

impl Ready<'_> {
    /// Whether it is a set that the journal takes: whatever was there, in a row, with nothing beside it.
    pub fn is_plain(&self) -> bool {
        match self {
            Ready::Set { header, times, extras, when, .. } => {
                !header.in_file && times.past.is_none() && extras.is_none() && *when == When::Always
            }
            _ => false,
        }
    }

    /// Key and frame of a set.
    pub fn parts(&self) -> Option<(&Key<'_>, &[u8])> {
        match self {
            Ready::Set { key, frame, .. } => Some((key, frame)),
            _ => None,
        }
    }

    /// The digest of a key whose entry this write changed.
    pub fn changed(&self, outcome: &Written) -> Option<Digest> {
        match self {
            Ready::Set { digest, when, .. } | Ready::Later { digest, when, .. } => {
                when.holds(outcome.existed).then_some(*digest)
            }
            Ready::Delete { digest, .. } | Ready::Increment { digest, .. } => Some(*digest),
            Ready::Renew { digest, .. } => outcome.existed.then_some(*digest),
            Ready::InvalidateTags { .. } | Ready::Clear | Ready::Check { .. } => None,
        }
    }

    /// Whether it is still to be prepared.
    pub fn is_later(&self) -> bool {
        matches!(self, Ready::Later { .. })
    }

    /// Bytes of an encoded value that are in memory, of one that goes to a file and of any other.
    pub fn held(&self) -> (u64, u64) {
        match self {
            Ready::Set { header, frame, .. } if header.in_file => ((frame.len() - HEADER) as u64, 0),
            Ready::Set { frame, .. } => (0, frame.capacity() as u64),
            _ => (0, 0),
        }
    }

    /// Its value is in its file.
    pub fn was_written(&mut self) {
        if let Ready::Set { header, frame, .. } = self
            && header.in_file
        {
            *frame = frame[..HEADER].to_vec(); // shortened in its place, it would leave a gap that is too short for the next one
        }
    }

    /// The header of a value that goes to a file, and its payload.
    pub fn file(&self) -> Option<(Header, &[u8])> {
        match self {
            Ready::Set { header, frame, .. } if header.in_file => Some((*header, &frame[HEADER..])),
            _ => None,
        }
    }
}

impl When {
    pub(super) fn holds(self, existed: bool) -> bool {
        match self {
            When::Always => true,
            When::Absent => !existed,
            When::Present => existed,
        }
    }
}

impl Engine {
    pub fn prepare<'a>(&self, write: &'a Write<'a>) -> Result<Ready<'a>> {
        let (key, value, kind, times, codec, extras, when) = match write {
            Write::Set(SetWrite {
                key,
                value,
                kind,
                expires_at,
                freshness,
                codec,
                numbers,
                extras,
                when,
            }) => {
                let codec = codec.unwrap_or(self.codec);
                let codec = numbers.map_or(codec, |numbers| codec.numbers(numbers));
                let extras = extras.as_ref().filter(|extras| !extras.is_empty());
                (key, *value, *kind, Times::new(*expires_at, *freshness), codec, extras, *when)
            }
            Write::Renew { key, expires_at, fresh_until, stale } => {
                let times = Times::new(*expires_at, Freshness { until: *fresh_until, cost: 0 });
                return Ok(Ready::Renew { key, digest: self.keeping.digest(key), times, stale: *stale });
            }
            Write::Delete { key } => return Ok(Ready::Delete { key, digest: self.keeping.digest(key) }),
            Write::InvalidateTags { tags } => return Ok(Ready::InvalidateTags { tags }),
            Write::Clear => return Ok(Ready::Clear),
            Write::Increment { key, by, expires_at } => {
                let times = Times::new(*expires_at, Freshness::default());
                return Ok(Ready::Increment { key, digest: self.keeping.digest(key), by: *by, times });
            }
            Write::Check { key, version } => return Ok(Ready::Check { key, version: *version }),
            Write::Restore(record) => return self.restored(record),
        };
        let extras = extras.map(|extras| Ok((Cow::Borrowed(extras), extras.to_bytes()?))).transpose()?;
        let mut frame = Vec::with_capacity(HEADER + value.len());
        frame.resize(HEADER, 0);
        let codec = codec.encode(value, &mut frame)?;
        if frame.capacity() > PAGE_SIZE as usize && frame.len() < frame.capacity() / 2 {
            frame = frame.as_slice().to_vec(); // of many, what compression has spared is not in memory
        }
        let about = (kind, codec, value.len() as u64);
        self.framed(Cow::Borrowed(key), frame, about, (times, extras, when))
    }

    /// An entry whose value is in a file that is written already.
    pub fn streamed<'a>(
        &self,
        key: &'a Key<'a>,
        header: Header,
        frame: Vec<u8>,
        times: Times,
        extras: Option<&'a Extras<'a>>,
    ) -> Result<Ready<'a>> {
        let carried = extras.filter(|extras| !extras.is_empty());
        let extras = carried.map(|extras| Ok((Cow::Borrowed(extras), extras.to_bytes()?))).transpose()?;
        let digest = self.keeping.digest(key);
        let extras = self.keeping.extras(extras, digest, header.write_id)?;
        let when = When::Always;
        Ok(Ready::Set { key: Cow::Borrowed(key), digest, header, frame, times, extras, when })
    }

    /// Puts the header before a payload: kind, codec and size of the value are given.
    pub fn framed<'a>(
        &self,
        key: Cow<'a, Key<'a>>,
        frame: Vec<u8>,
        (kind, codec, raw_size): (u8, u8, u64),
        (times, extras, when): (Times, Beside<'a>, When),
    ) -> Result<Ready<'a>> {
        let digest = self.keeping.digest(&key);
        let header = Header { kind, codec, has_extras: extras.is_some(), raw_size, ..self.fresh_header() };
        let (header, frame) = self.keeping.frame(header, digest, self.inline_max, frame)?;
        let extras = self.keeping.extras(extras, digest, header.write_id)?;
        let beside = extras.as_ref().map_or(0, |(_, body)| body.len() as u64);
        self.bound.admit(weight(key.as_bytes().len() as u64 + header.stored_size + beside))?;
        Ok(Ready::Set { key, digest, header, frame, times, extras, when })
    }
}
