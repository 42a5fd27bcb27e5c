#![doc = include_str!("../README.md")]

mod cipher;
mod clock;
mod codec;
pub mod coverage;
mod disk;
mod error;
mod frame;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod hash;
pub mod key;
pub mod memory;
pub mod policy;
mod snapshot;
pub mod sql;
mod xxh3;

pub use cipher::EncryptionKey;
pub use clock::{Clock, ManualClock, SystemClock};
pub use codec::{CodecChoice, Element, Numbers, codec_names, decode};
pub use disk::{
    Answer, AnswerColumn, AnswerSink, AtomicFile, Backup, Builder, Cache, Cell, CheckReport, ColumnType,
    Durability, EPOCH_BITS, Entry, EpochTable, Extras, Fetched, Freshness, KeyPage, Listed, Listing,
    ListingSink, Loaded, Mapped, MappedValue, Meta, MetaColumn, MetaRow, MetaTable, Metadata, Number,
    Problem, ProblemKind, SetOptions, SetWrite, SidecarCache, SidecarReader, SidecarWriter, State, Stats,
    StreamOptions, Tier, Transaction, Turns, Validity, ValueReader, ValueWriter, Wait, When, Write, Written,
    open_snapshot,
};
pub use error::{Code, Error, Result};
pub use hash::{Algorithm, Content, ContentDigest, ContentItem, Hasher};
pub use key::{Digest, Key, KeyItem};
pub use memory::MemoryCache;
pub use snapshot::{Record, SnapshotReader, SnapshotWriter};
