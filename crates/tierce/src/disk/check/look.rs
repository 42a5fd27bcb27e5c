//! The first look at a row: whether it is sound by itself.

use std::borrow::Cow;

use crate::disk::db::Sizes;
use crate::disk::keeping::Keeping;
use crate::disk::row::EntryRow;
use crate::error::{Code, Error};
use crate::frame::{HEADER, Header};
use crate::key::Digest;

/// A row that needs a second look: not all of its entry is in it, or something is wrong with it.
pub(super) struct Noticed {
    pub id: i64,
    pub seal: u64,
    pub key: Vec<u8>,
    pub digest: Digest,
    pub finding: Finding,
}

pub(super) enum Finding {
    /// With what the row should say of its sizes, where it says something else.
    Apart(Header, Option<Sizes>),
    Sizes(Sizes),
    Damage(Error),
}

/// Verifies a row as a read would. Nothing for one that is sound and whole by itself; a frame of a newer release is sound.
pub(super) fn look(keeping: &Keeping, row: &EntryRow<'_>, listed: Sizes) -> Option<Noticed> {
    let digest = keeping.digest_of(row.key);
    let key = keeping.open_key(row.key).map(Cow::into_owned);
    let readable = key.is_ok();
    let key = key.unwrap_or_default();
    let noticed = |finding| Some(Noticed { id: row.id, seal: row.seal, key: key.clone(), digest, finding });
    let header = match Header::parse(row.frame) {
        Ok(header) => header,
        Err(newer) if newer.code() == Code::Format => return None,
        Err(fault) => return noticed(Finding::Damage(fault)),
    };
    let damage = |why: &str| noticed(Finding::Damage(Error::new(Code::Corrupt, why)));
    if digest.id() != row.id || !readable {
        return damage("an entry is not where its key belongs");
    }
    if row.seal != keeping.seal(row, digest, header.checksum) {
        return damage("the seal of an entry differs");
    }
    let sizes = Sizes { size: header.raw_size, stored: header.stored_size };
    let payload = &row.frame[HEADER..];
    let apart = || noticed(Finding::Apart(header, (sizes != listed).then_some(sizes)));
    if header.in_file {
        return if payload.is_empty() { apart() } else { damage("an entry has its value twice") };
    }
    let opened = match keeping.payload(header, digest, payload) {
        Ok(opened) => opened,
        Err(fault) => return noticed(Finding::Damage(fault)),
    };
    if !header.is_plausible(&opened) {
        return damage("an entry announces more than its payload can hold, or an unknown codec");
    }
    if header.has_extras {
        return apart();
    }
    if sizes == listed { None } else { noticed(Finding::Sizes(sizes)) }
}
