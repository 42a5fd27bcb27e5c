#![doc = include_str!("../README.md")]

mod clock;
mod codec;
mod disk;
mod error;
mod frame;
mod hash;
pub mod key;
pub mod memory;
pub mod policy;

pub use clock::{Clock, ManualClock, SystemClock};
pub use codec::{CodecChoice, Element, Numbers, codec_names, decode};
pub use disk::{
    Answer, AnswerColumn, Builder, Cache, Cell, CheckReport, ColumnType, Durability, EPOCH_BITS, Entry,
    EpochTable, Extras, Fetched, Freshness, KeyPage, Meta, MetaColumn, MetaRow, MetaTable, Problem,
    ProblemKind, SetOptions, Stats, Wait, Write, Written,
};
pub use error::{Code, Error, Result};
pub use hash::{Algorithm, Content, ContentDigest, ContentItem, Hasher};
pub use key::{Digest, Key, KeyItem};
pub use memory::MemoryCache;
