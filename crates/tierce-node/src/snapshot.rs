//! Snapshot files of a cache that is in memory only: the values cross as writes, and come back as entries.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use napi::Env;
use napi::bindgen_prelude::{Buffer, Uint8Array};
use napi_derive::napi;
use tierce::{
    AtomicFile, CodecChoice, EncryptionKey, Record, Result, SetWrite, SnapshotReader, SnapshotWriter, Write,
    open_snapshot,
};
use tierce_napi::{Work, guard, job};

use crate::disk::encryption_key;
use crate::wire::Reader;

/// Writes the packed writes into a file. Gives its bytes.
#[napi(ts_return_type = "Promise<number>")]
pub fn save_writes(path: String, writes: Uint8Array, blobs: Vec<Uint8Array>, now: f64) -> Work<u64, f64> {
    job(move || save(Path::new(&path), &writes, &blobs, now as u64), |_, bytes| Ok(bytes as f64))
}

fn save(path: &Path, writes: &[u8], blobs: &[Uint8Array], now: u64) -> Result<u64> {
    let mut writer = SnapshotWriter::new(AtomicFile::create(path)?, path, now, None)?;
    for write in Reader(writes).writes(blobs)? {
        writer.add(&record(&write, now)?)?;
    }
    writer.finish()?.0.commit()
}

fn record(write: &Write<'_>, now: u64) -> Result<Record> {
    let mut record = Record::default();
    if let Write::Set(SetWrite { key, value, kind, expires_at, freshness, codec, numbers, extras, .. }) =
        write
    {
        let codec = codec.unwrap_or(CodecChoice::AUTO);
        let codec = numbers.map_or(codec, |numbers| codec.numbers(numbers));
        record.key = key.as_bytes().to_vec();
        record.kind = *kind;
        record.codec = codec.encode(value, &mut record.payload)?;
        record.size = value.len() as u64;
        record.created = now;
        record.expires = *expires_at;
        record.freshness = *freshness;
        record.extras = extras.as_ref().map_or(Ok(Vec::new()), |extras| extras.to_bytes())?;
    }
    Ok(record)
}

/// An entry of a file, with its value decoded.
#[napi(object, object_from_js = false)]
pub struct NativeRecord {
    /// The stored text.
    pub key: Buffer,
    /// Of the value.
    pub kind: u32,
    /// `Infinity` never expires.
    pub expires_at: f64,
    /// `Infinity` for as long as it lives.
    pub fresh_until: f64,
    /// Milliseconds that making the value took.
    pub cost: u32,
    /// The body of what the entry carries, where that is something.
    pub extras: Option<Buffer>,
    /// Its bytes.
    pub value: Buffer,
}

type Decoded = Vec<(Record, Vec<u8>)>;

/// A file that is being read.
#[napi]
pub struct NativeSnapshot {
    path: String,
    key: Option<EncryptionKey>,
    reader: Arc<Mutex<SnapshotReader<BufReader<File>>>>,
}

#[napi]
impl NativeSnapshot {
    /// Opens the file and checks its header. `key` is that of an encrypted file.
    #[napi(constructor)]
    pub fn new(env: &Env, path: String, key: Option<Uint8Array>) -> napi::Result<Self> {
        let (key, reader) = guard(env, || {
            let key = encryption_key(key.as_ref())?;
            let reader = open_snapshot(Path::new(&path), key.as_ref())?;
            Ok((key, reader))
        })?;
        Ok(Self { path, key, reader: Arc::new(Mutex::new(reader)) })
    }

    /// Reads the whole file once, so that what `next` gives is sound to the end. Gives how many entries there are.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn verify(&self) -> Work<u32, u32> {
        let (path, key) = (self.path.clone(), self.key.clone());
        let verify = move || {
            let mut reader = open_snapshot(Path::new(&path), key.as_ref())?;
            let mut entries = 0;
            while reader.next()?.is_some() {
                entries += 1;
            }
            Ok(entries)
        };
        job(verify, |_, entries| Ok(entries))
    }

    /// The next entries, with about so many bytes of values; none at the end.
    #[napi(ts_return_type = "Promise<Array<NativeRecord>>")]
    pub fn next(&self, bytes: u32) -> Work<Decoded, Vec<NativeRecord>> {
        let reader = Arc::clone(&self.reader);
        let next = move || {
            let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            let (mut records, mut room) = (Vec::new(), u64::from(bytes));
            while room > 0 {
                let Some(record) = reader.next()? else { break };
                room = room.saturating_sub(record.size.max(100));
                let value = record.decode()?;
                records.push((record, value));
            }
            Ok(records)
        };
        job(next, |_, records| Ok(records.into_iter().map(native_record).collect()))
    }
}

fn native_record((record, value): (Record, Vec<u8>)) -> NativeRecord {
    let time = |at: Option<u64>| at.map_or(f64::INFINITY, |at| at as f64);
    NativeRecord {
        key: record.key.into(),
        kind: record.kind.into(),
        expires_at: time(record.expires),
        fresh_until: time(record.freshness.until),
        cost: record.freshness.cost,
        extras: (!record.extras.is_empty()).then(|| record.extras.into()),
        value: value.into(),
    }
}
