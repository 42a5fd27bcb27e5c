//! Values as streams: each piece is a call that the thread pool answers, so that one is in memory at a time.

use std::sync::{Arc, Mutex, PoisonError};

use napi::Env;
use napi::bindgen_prelude::{Buffer, BufferSlice, Uint8Array};
use napi_derive::napi;
use tierce::{
    Cache, Code, Error, Key, Result, SetWrite, SidecarCache, SidecarReader, SidecarWriter, StreamOptions,
    ValueReader, ValueWriter, Write,
};
use tierce_napi::{Work, guard, job};

use super::NativeDisk;
use crate::tier::Tier;
use crate::wire::Reader;

/// A value on its way in. What is not finished leaves nothing.
#[napi]
pub struct NativeWriter {
    writer: Arc<Mutex<Option<Writer>>>,
}

/// A value on its way out. It holds the directory until its end, or until it is closed.
#[napi]
pub struct NativeReader {
    reader: Arc<Mutex<Option<Reading>>>,
    kind: u8,
}

enum Writer {
    Sqlite(Arc<Cache>, ValueWriter),
    Json(Arc<SidecarCache>, SidecarWriter),
}

enum Reading {
    Sqlite(Arc<Cache>, ValueReader),
    Json(Arc<SidecarCache>, SidecarReader),
}

impl Writer {
    fn begin(tier: Tier, key: Key<'_>, options: StreamOptions) -> Self {
        match tier {
            Tier::Sqlite(cache) => {
                let writer = cache.write_stream(key, options);
                Self::Sqlite(cache, writer)
            }
            Tier::Json(cache) => {
                let writer = cache.write_stream(key, options);
                Self::Json(cache, writer)
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Sqlite(_, writer) => writer.write(bytes),
            Self::Json(_, writer) => writer.write(bytes),
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Sqlite(cache, writer) => cache.finish_stream(writer).map(|_| ()),
            Self::Json(cache, writer) => cache.finish_stream(writer).map(|_| ()),
        }
    }
}

impl Reading {
    fn open(tier: Tier, key: Key<'_>) -> Result<Option<Self>> {
        Ok(match tier {
            Tier::Sqlite(cache) => cache.read_stream(key)?.map(|reader| Self::Sqlite(cache, reader)),
            Tier::Json(cache) => cache.read_stream(key)?.map(|reader| Self::Json(cache, reader)),
        })
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Sqlite(_, reader) => reader.meta().kind,
            Self::Json(_, reader) => reader.meta().kind,
        }
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Sqlite(cache, reader) => cache.next_piece(reader),
            Self::Json(cache, reader) => cache.next_piece(reader),
        }
    }
}

fn options(write: Write<'_>) -> Result<(Key<'_>, StreamOptions)> {
    match write {
        Write::Set(SetWrite { key, kind, expires_at, freshness, codec, extras, .. }) => {
            let extras = extras.map(tierce::Extras::into_owned);
            Ok((key, StreamOptions { kind, expires_at, freshness, codec, extras }))
        }
        _ => Err(Error::new(Code::Internal, "a stream begins with a set")),
    }
}

#[napi]
impl NativeDisk {
    /// Begins a value that comes in pieces. `write` is one packed write, whose value does not count.
    #[napi]
    pub fn write_stream(&self, env: &Env, write: Uint8Array, now: f64) -> napi::Result<NativeWriter> {
        guard(env, || {
            let cache = self.at(now)?;
            let mut writes = Reader(&write).writes(&[] as &[&[u8]])?;
            let write = writes.pop().ok_or_else(|| Error::new(Code::Internal, "a stream needs a key"))?;
            let (key, options) = options(write)?;
            let writer = Writer::begin(cache, key, options);
            Ok(NativeWriter { writer: Arc::new(Mutex::new(Some(writer))) })
        })
    }

    /// Opens a value for reading in pieces; null on a miss.
    #[napi(ts_return_type = "Promise<NativeReader | null>")]
    pub fn read_stream(
        &self,
        env: &Env,
        key: Uint8Array,
        now: f64,
    ) -> napi::Result<Work<Option<NativeReader>, Option<NativeReader>>> {
        let cache = guard(env, || self.at(now))?;
        let open = move || {
            let reader = Reading::open(cache, Key::from_text(&key[..]))?;
            Ok(reader.map(|reader| NativeReader {
                kind: reader.kind(),
                reader: Arc::new(Mutex::new(Some(reader))),
            }))
        };
        Ok(job(open, |_, reader| Ok(reader)))
    }
}

#[napi]
impl NativeWriter {
    /// Appends bytes, which must not change before the promise resolves.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn write(&self, bytes: Uint8Array) -> Work<(), ()> {
        let writer = Arc::clone(&self.writer);
        let write = move || match &mut *writer.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(writer) => writer.write(&bytes),
            None => Err(ended()),
        };
        job(write, |_, ()| Ok(()))
    }

    /// Stores what was written.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn finish(&self) -> Work<(), ()> {
        let writer = Arc::clone(&self.writer);
        let finish =
            move || writer.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(ended)?.finish();
        job(finish, |_, ()| Ok(()))
    }

    /// Drops what was written.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn abort(&self) -> Work<(), ()> {
        let writer = Arc::clone(&self.writer);
        let abort = move || {
            drop(writer.lock().unwrap_or_else(PoisonError::into_inner).take());
            Ok(())
        };
        job(abort, |_, ()| Ok(()))
    }
}

fn ended() -> Error {
    Error::new(Code::Internal, "a stream was written to after its end")
}

#[napi]
impl NativeReader {
    /// What the value is.
    #[napi(getter)]
    pub fn kind(&self, env: &Env) -> napi::Result<u32> {
        guard(env, || Ok(self.kind.into()))
    }

    /// The next piece; null at the end.
    #[napi(ts_return_type = "Promise<Buffer | null>")]
    pub fn next(&self) -> Work<Option<Vec<u8>>, Option<Buffer>> {
        let reader = Arc::clone(&self.reader);
        let next = move || {
            let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            let piece = reader.as_mut().map_or(Ok(None), Reading::next);
            if !matches!(piece, Ok(Some(_))) {
                *reader = None;
            }
            piece
        };
        // A copy in memory of the engine's: what is handed over from outside is garbage that it hardly sees.
        job(next, |env, piece| {
            piece.map(|piece| BufferSlice::copy_from(env, piece)?.into_buffer(env)).transpose()
        })
    }

    /// Lets go of the directory. What is asked for later is the end.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self) -> Work<(), ()> {
        let reader = Arc::clone(&self.reader);
        let close = move || {
            drop(reader.lock().unwrap_or_else(PoisonError::into_inner).take());
            Ok(())
        };
        job(close, |_, ()| Ok(()))
    }
}
