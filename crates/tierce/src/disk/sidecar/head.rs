//! The head of an entry's file (`docs/on-disk-format.md`, "Entry files").
//!
//! Two lines of JSON stand before the payload. The first, of [`LINE`] bytes, has the length of both and the checksum of the
//! second, which has everything else that is known of the entry; spaces fill it up, so that the payload starts at a multiple of
//! 64. The payload's own checksum is a frame's, which binds it to the key and to the write. In an encrypted directory the
//! second line is an object whose only member is the one that would stand there, sealed.

use std::fs::File;
use std::io::Read as _;

use xxhash_rust::xxh3::xxh3_64;

use super::super::extras::{Extras, MetaRow};
use super::super::keeping::Keeping;
use super::super::row::Freshness;
use super::json::Json;
use crate::error::{Code, Error, Result};
use crate::frame::Header;

/// Bytes of the first line.
pub(super) const LINE: usize = 64;
/// The most bytes of a head.
const LONGEST: usize = 64 << 20;
/// Bytes that are read at first: most heads, and small values behind them.
const FIRST: usize = 4096;
/// Payloads start at a multiple of this.
const ALIGNED: usize = 64;
/// The only member of a head that is encrypted.
const SEALED: &str = "sealed";

/// What stands before the payload.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    pub key: Vec<u8>,
    /// As of the frame that the payload would have in a file.
    pub header: Header,
    /// Milliseconds since the Unix epoch.
    pub created: u64,
    pub expires: Option<u64>,
    pub freshness: Freshness,
    pub extras: Extras<'static>,
}

/// A head as it is in a file: its bytes, and the checksum that tells it from any other of the key.
pub(super) struct Written {
    pub bytes: Vec<u8>,
    pub stamp: u64,
}

/// A head that was read, and as much of the payload as came with it.
pub(super) struct Opened {
    pub file: File,
    pub head: Head,
    pub stamp: u64,
    /// Where the payload starts.
    pub start: u64,
    /// Its first bytes.
    pub first: Vec<u8>,
}

fn line(length: usize, stamp: u64) -> String {
    format!("{:<63}\n", format!("{{\"tierce\":1,\"head\":\"{length:08x}\",\"xxh3\":\"{stamp:016x}\"}}"))
}

impl Head {
    pub fn is_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// Neither expired nor stale.
    pub fn is_live(&self, now: u64) -> bool {
        !self.is_expired(now) && !self.freshness.is_stale(now)
    }

    /// Its bytes in the file of an id; padded to `room` bytes at least.
    ///
    /// # Errors
    /// [`Code::InvalidOption`] when it is too long.
    pub fn to_bytes(&self, keeping: &Keeping, id: i64, room: usize) -> Result<Written> {
        self.extras.meta.iter().try_for_each(MetaRow::check)?;
        let (mut head, mut text) = (String::new(), " ".repeat(LINE));
        self.to_json().write(&mut head);
        match keeping.seal_head(id, &head)? {
            Some(sealed) => Json::Object(vec![(SEALED.to_owned(), Json::Text(sealed))]).write(&mut text),
            None => text.push_str(&head),
        }
        let length = (text.len() + 1).max(room).next_multiple_of(ALIGNED);
        if length > LONGEST {
            let message = format!(
                "tags, description and metadata of an entry take {length} bytes; accepted are up to {LONGEST}"
            );
            return Err(Error::new(Code::InvalidOption, message));
        }
        let mut bytes = text.into_bytes();
        bytes.resize(length - 1, b' ');
        bytes.push(b'\n');
        let stamp = xxh3_64(&bytes[LINE..]);
        bytes[..LINE].copy_from_slice(line(length, stamp).as_bytes());
        Ok(Written { bytes, stamp })
    }
}

/// The length of a head and its checksum, from the first line.
///
/// # Errors
/// [`Code::Corrupt`]; [`Code::Format`] when a newer release wrote it.
pub(super) fn parse_line(bytes: &[u8]) -> Result<(usize, u64)> {
    let damaged = |why: &str| Err(Error::new(Code::Corrupt, format!("an entry file is damaged: {why}")));
    let Some(text) = bytes.get(..LINE).and_then(|bytes| std::str::from_utf8(bytes).ok()) else {
        return damaged("it has no first line");
    };
    let version = text.strip_prefix("{\"tierce\":").and_then(|rest| rest.split(',').next());
    let parsed = Json::parse(text).ok();
    let known = parsed.as_ref().and_then(|json| {
        let length = u32::from_str_radix(json.get("head")?.text()?, 16).ok()?;
        Some((length as usize, json.get("xxh3")?.as_hex()?))
    });
    match known {
        // Written again it must be the same: no byte of it means nothing.
        Some((length, stamp)) if line(length, stamp) == text && (LINE + 1..=LONGEST).contains(&length) => {
            Ok((length, stamp))
        }
        _ if version
            .is_some_and(|version| version != "1" && version.bytes().all(|byte| byte.is_ascii_digit())) =>
        {
            let message = format!(
                "an entry file has format version {}; this release reads 1",
                version.unwrap_or_default()
            );
            Err(Error::new(Code::Format, message))
        }
        _ => damaged("its first line is none"),
    }
}

/// Reads the head of an id, and no more than its file has.
///
/// # Errors
/// [`Code::Corrupt`] and [`Code::Format`] as of [`parse_line`]; [`Code::Encryption`] for one that is encrypted, where nothing else
/// is; what the disk says.
pub(super) fn read(
    mut file: File,
    keeping: &Keeping,
    id: i64,
) -> Result<std::result::Result<Opened, Error>, std::io::Error> {
    let about = file.metadata()?;
    let mut first = Vec::with_capacity(FIRST.min(about.len() as usize));
    (&mut file).take(FIRST as u64).read_to_end(&mut first)?;
    let (length, stamp) = match parse_line(&first) {
        Ok((length, _)) if length as u64 > about.len() => {
            return Ok(Err(Error::new(Code::Corrupt, "an entry file is damaged: it is cut")));
        }
        Ok(known) => known,
        Err(why) => return Ok(Err(why)),
    };
    if length > first.len() {
        (&mut file).take((length - first.len()) as u64).read_to_end(&mut first)?;
    }
    let Some(head) = first.get(LINE..length) else {
        return Ok(Err(Error::new(Code::Corrupt, "an entry file is damaged: it is cut")));
    };
    Ok(parse_head(head, stamp, about.len() - length as u64, keeping, id).map(|head| {
        let start = length as u64;
        Opened { file, head, stamp, start, first: first.split_off(length) }
    }))
}

fn parse_head(line: &[u8], stamp: u64, payload: u64, keeping: &Keeping, id: i64) -> Result<Head> {
    let damaged = |why: &str| Error::new(Code::Corrupt, format!("an entry file is damaged: {why}"));
    if xxh3_64(line) != stamp {
        return Err(damaged("the checksum of its head differs"));
    }
    let text = |line| std::str::from_utf8(line).map_err(|_| damaged("its head is no text"));
    let mut json = Json::parse(text(line)?)?;
    match (json.get(SEALED).and_then(Json::text), keeping.is_encrypted()) {
        (None, false) => {}
        (sealed, true) => json = Json::parse(text(&keeping.open_head(id, sealed.unwrap_or_default())?)?)?,
        (Some(_), false) => {
            let message = "an entry file is encrypted, as nothing else in the directory";
            return Err(Error::new(Code::Encryption, message));
        }
    }
    let head =
        Head::from_json(&json, keeping.is_encrypted()).ok_or_else(|| damaged("its head lacks something"))?;
    if head.header.stored_size != payload {
        return Err(damaged("its payload is cut or too long"));
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::extras::{Cell, MetaRow};
    use super::*;
    use crate::cipher::{Cipher, EncryptionKey, SALT};

    const ID: i64 = -7;

    fn head() -> Head {
        let cells = vec![
            ("n".into(), Cell::Integer(i64::MIN)),
            ("r".into(), Cell::Real(3.0)),
            ("tiny".into(), Cell::Real(5e-324)),
            ("inf".into(), Cell::Real(f64::NEG_INFINITY)),
            ("t".into(), Cell::Text("a\"\u{1f600}\0".into())),
        ];
        Head {
            key: b"k\0\n".to_vec(),
            header: Header {
                kind: 3,
                codec: 2,
                in_file: true,
                has_extras: true,
                encrypted: false,
                raw_size: u64::MAX,
                stored_size: 5,
                write_id: 7,
                checksum: u64::MAX,
            },
            created: 1,
            expires: Some(u64::MAX),
            freshness: Freshness { until: Some(2), cost: 3 },
            extras: Extras {
                tags: vec!["a".into(), "ü".into()],
                description: Some(String::new().into()),
                meta: vec![MetaRow { table: "runs".into(), cells }],
            },
        }
    }

    /// In the clear, and encrypted.
    fn keepings() -> [Keeping; 2] {
        let plain = Keeping { cipher: None, key: None, keys: true, verifies: true };
        let cipher = Cipher::new(&EncryptionKey::from([7; 32]), &[8; SALT]);
        [plain.clone(), Keeping { cipher: Some(Arc::new(cipher)), ..plain }]
    }

    fn read_bytes(keeping: &Keeping, bytes: &[u8]) -> Result<Head> {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), bytes).unwrap();
        read(File::open(path.path()).unwrap(), keeping, ID).unwrap().map(|opened| opened.head)
    }

    fn written(keeping: &Keeping, head: &Head) -> Vec<u8> {
        let header = Header { encrypted: keeping.is_encrypted(), ..head.header };
        let mut bytes = Head { header, ..head.clone() }.to_bytes(keeping, ID, 0).unwrap().bytes;
        bytes.extend(b"12345");
        bytes
    }

    /// With the checksum that belongs to what was changed.
    fn mended(mut bytes: Vec<u8>) -> Vec<u8> {
        let end = bytes.len() - 5;
        let first = line(end, xxh3_64(&bytes[LINE..end]));
        bytes[..LINE].copy_from_slice(first.as_bytes());
        bytes
    }

    #[test]
    fn a_head_comes_back_as_it_went_in() {
        for keeping in keepings() {
            for (key, expires) in [(b"k\0\n".to_vec(), None), (vec![0xff, 0, 1], Some(9))] {
                let mut head = Head { key, expires, ..head() };
                let bytes = written(&keeping, &head);
                assert_eq!((bytes.len() - 5) % 64, 0);
                assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 2);
                head.header.encrypted = keeping.is_encrypted();
                assert_eq!(read_bytes(&keeping, &bytes).unwrap(), head);
            }
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_of_a_head_is_noticed() {
        for keeping in keepings() {
            let mut bytes = written(&keeping, &head());
            let end = bytes.len() - 5;
            for at in 0..end * 8 {
                bytes[at / 8] ^= 1 << (at % 8);
                let why = read_bytes(&keeping, &bytes).unwrap_err();
                assert!(matches!(why.code(), Code::Corrupt | Code::Format), "bit {at}: {why}");
                bytes[at / 8] ^= 1 << (at % 8);
            }
            for length in 0..end {
                assert_eq!(read_bytes(&keeping, &bytes[..length]).unwrap_err().code(), Code::Corrupt);
            }
        }
    }

    #[test]
    fn an_encrypted_head_cannot_be_forged_nor_moved_nor_left_in_the_clear() {
        let [plain, encrypted] = keepings();
        let bytes = written(&encrypted, &head());
        let digits = LINE + "{\"sealed\":\"".len();
        let end = digits + bytes[digits..].iter().position(|byte| *byte == b'"').unwrap();
        for at in digits..end {
            let mut forged = bytes.clone();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(read_bytes(&encrypted, &mended(forged)).unwrap_err().code(), Code::Corrupt, "{at}");
        }
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), &bytes).unwrap();
        let elsewhere = read(File::open(path.path()).unwrap(), &encrypted, ID + 1).unwrap();
        assert_eq!(elsewhere.err().unwrap().code(), Code::Corrupt);
        assert_eq!(read_bytes(&encrypted, &written(&plain, &head())).unwrap_err().code(), Code::Corrupt);
        assert_eq!(read_bytes(&plain, &bytes).unwrap_err().code(), Code::Encryption, "it is not removed");
    }

    #[test]
    fn a_newer_file_is_told_apart_from_a_damaged_one() {
        let [plain, _] = keepings();
        let mut bytes = written(&plain, &head());
        bytes[10] = b'2';
        assert_eq!(read_bytes(&plain, &bytes).unwrap_err().code(), Code::Format);
    }
}
