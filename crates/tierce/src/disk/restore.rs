//! Entries that were in another cache, on their way into this one.

use std::borrow::Cow;

use super::engine::Engine;
use super::extras::Extras;
use super::ready::{Ready, Times};
use super::row::weight;
use super::write::When;
use crate::error::Result;
use crate::frame::HEADER;
use crate::key::Key;
use crate::snapshot::Record;

/// What an entry brings from another cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    pub created: u64,
    pub accessed: i64,
    pub hits: u64,
}

impl Engine {
    /// Takes the value as it is coded. What it decodes to is checked when it is read.
    pub fn restored<'a>(&self, record: &Record) -> Result<Ready<'a>> {
        let key = Cow::Owned(Key::from_text(record.key.clone()));
        let frame = [&[0; HEADER][..], &record.payload].concat();
        let past = Past { created: record.created, accessed: record.accessed, hits: record.hits };
        let times = Times { past: Some(past), ..Times::new(record.expires, record.freshness) };
        let extras = match &record.extras[..] {
            [] => None,
            body => Some((Cow::Owned(Extras::parse(body)?.into_owned()), body.to_vec())),
        };
        let about = (record.kind, record.codec, record.size);
        self.framed(key, frame, about, (times, extras, When::Always))
    }

    /// Whether it fits.
    pub fn admits(&self, record: &Record) -> Result<()> {
        self.bound.admit(weight((record.key.len() + record.payload.len() + record.extras.len()) as u64))
    }
}
