#![doc = include_str!("../README.md")]

mod clock;
mod codec;
mod disk;
mod error;
mod frame;
pub mod key;
pub mod memory;
pub mod policy;

pub use clock::{Clock, ManualClock, SystemClock};
pub use codec::{CodecChoice, codec_names};
pub use disk::{
    Builder, Cache, Durability, EPOCH_BITS, Entry, EpochTable, Fetched, KeyPage, Meta, Stats, Wait, Write,
    Written,
};
pub use error::{Code, Error, Result};
pub use key::{Digest, Key, KeyItem};
