#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
pub mod coverage;
mod error;
pub mod memory;
pub mod policy;

#[cfg(feature = "disk")]
mod cipher;
#[cfg(feature = "disk")]
mod codec;
#[cfg(feature = "disk")]
mod disk;
#[cfg(feature = "disk")]
mod frame;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "disk")]
mod hash;
#[cfg(feature = "disk")]
pub mod key;
#[cfg(feature = "disk")]
mod snapshot;
#[cfg(feature = "disk")]
pub mod sql;
#[cfg(feature = "disk")]
mod xxh3;

pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{Code, Error, Result};
pub use memory::MemoryCache;

#[cfg(feature = "disk")]
pub use self::{
    cipher::EncryptionKey,
    codec::{CodecChoice, Element, Numbers, codec_names, decode},
    disk::{
        Answer, AnswerColumn, AnswerSink, AtomicFile, Backup, Builder, Cache, Cell, CheckReport, ColumnType,
        Durability, EPOCH_BITS, Entry, EpochTable, Extras, Fetched, Freshness, KeyPage, Listed, Listing,
        ListingSink, Loaded, Mapped, MappedValue, Meta, MetaColumn, MetaRow, MetaTable, Metadata, Number,
        Problem, ProblemKind, SetOptions, SetWrite, SidecarCache, SidecarReader, SidecarWriter, State, Stats,
        StreamOptions, Tier, Transaction, Turns, Validity, ValueReader, ValueWriter, Wait, When, Write,
        Written, open_snapshot,
    },
    hash::{Algorithm, Content, ContentDigest, ContentItem, Hasher},
    key::{Digest, Key, KeyItem},
    snapshot::{Record, SnapshotReader, SnapshotWriter},
};
