//! Plain data between the verbs and the database.

use xxhash_rust::xxh3::xxh3_64;

use crate::key::Digest;

/// One row of `entries`. `frame` is the whole frame, or only its header when the payload is in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryRow<'a> {
    pub id: i64,
    /// XXH3-64 of what is outside the frame and must not change unseen.
    pub seal: u64,
    /// Tick of the last access: milliseconds × 4096 plus a counter, strictly increasing in one process.
    pub accessed: i64,
    pub hits: u64,
    /// Milliseconds since the Unix epoch.
    pub created: u64,
    /// Milliseconds since the Unix epoch; `None` never expires.
    pub expires: Option<u64>,
    pub freshness: Freshness,
    pub place: Place,
    pub key: &'a [u8],
    pub frame: &'a [u8],
}

/// What eviction policies keep of a row beside its accesses. No checksum covers it: it decides only who goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Tick at which the key came in, or at which its policy put it at the end of a queue.
    pub entered: i64,
    /// Uses of the key before this value was written.
    pub earlier: i64,
    /// Uses that its policy has taken into account.
    pub counted: i64,
    /// Whether it is in the main queue of `s3-fifo`.
    pub main: bool,
}

impl Place {
    /// `counted` and `main` in one column.
    pub fn mark(self) -> i64 {
        self.counted << 1 | i64::from(self.main)
    }

    pub fn with_mark(self, mark: i64) -> Self {
        Self { counted: mark >> 1, main: mark & 1 == 1, ..self }
    }
}

/// When a value is due to be made anew, where that is before its entry expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Milliseconds since the Unix epoch. From then on the entry is stale: it counts as expired for every read but
    /// [`Cache::kept`](super::Cache::kept), until it expires. `None`: fresh as long as it lives.
    pub until: Option<u64>,
    /// Milliseconds that making the value took; 0 where that is not known.
    pub cost: u32,
}

impl Freshness {
    /// Whether the time has passed.
    pub fn is_stale(self, now: u64) -> bool {
        self.until.is_some_and(|at| at <= now)
    }
}

impl EntryRow<'_> {
    /// The seal that the row should have, where nothing is encrypted: over the key's digest, the times and the frame's checksum.
    pub fn expected_seal(&self, digest: Digest, checksum: u64) -> u64 {
        xxh3_64(&self.sealed_part(digest, checksum))
    }

    /// What a seal is over.
    pub fn sealed_part(&self, digest: Digest, checksum: u64) -> [u8; 48] {
        let mut sealed = [0; 16 + 8 * 4];
        sealed[..16].copy_from_slice(&digest.to_bytes());
        sealed[16..24].copy_from_slice(&self.created.to_le_bytes());
        sealed[24..32].copy_from_slice(&self.expires.unwrap_or(u64::MAX).to_le_bytes());
        sealed[32..40].copy_from_slice(&self.freshness.until.unwrap_or(u64::MAX).to_le_bytes());
        sealed[40..].copy_from_slice(&checksum.to_le_bytes());
        sealed
    }

    /// Whether the entry's time has passed. A stale entry is not expired yet.
    pub fn is_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// Whether plain reads find the entry: neither expired nor stale.
    pub fn is_live(&self, now: u64) -> bool {
        !self.is_expired(now) && !self.freshness.is_stale(now)
    }
}

/// What decides when a row has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub id: i64,
    pub accessed: i64,
    /// Reads of this value.
    pub hits: i64,
    pub expires: Option<u64>,
    pub place: Place,
    /// Bytes of its row and of its file.
    pub weight: u64,
}

impl Standing {
    /// Uses since the key came in, that one left out.
    pub fn uses(&self) -> i64 {
        self.place.earlier.saturating_add(self.hits)
    }

    /// Uses that its policy has not taken into account.
    pub fn fresh_uses(&self) -> i64 {
        self.uses().saturating_sub(self.place.counted)
    }

    /// Whether the entry's time has passed.
    pub fn is_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

/// What leaves with a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Removed {
    pub id: i64,
    /// Bytes of key and frame in the row, and of what the side tables had of it.
    pub bytes: u64,
    /// Whether the side tables have something of it, as far as the row can tell.
    pub has_extras: bool,
    /// The write id of the value's file.
    pub file: Option<u64>,
    /// Bytes of that file, rounded to blocks.
    pub file_bytes: u64,
    /// Whether it was in the main queue of `s3-fifo`.
    pub main: bool,
    /// Bytes of its value, and of its payload; `None` where damage took them.
    pub sizes: Option<(u64, u64)>,
}

impl Removed {
    /// What the row counted for, its file included.
    pub fn weight(&self) -> u64 {
        weight(self.bytes) + self.file_bytes
    }
}

/// What a row takes beside its key and frame: record header, columns, its cell on the page.
const ROW_OVERHEAD: u64 = 80;

/// What a row counts for.
pub(super) fn weight(row_bytes: u64) -> u64 {
    row_bytes + ROW_OVERHEAD
}

/// Totals over all entries.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub entries: u64,
    pub size: u64,
    pub stored: u64,
}

impl Sums {
    /// With rows that came, or with rows that went.
    pub fn and(self, grown: Growth) -> Self {
        Self {
            entries: self.entries.saturating_add_signed(grown.entries),
            size: self.size.saturating_add_signed(grown.size),
            stored: self.stored.saturating_add_signed(grown.stored),
        }
    }

    /// What is left of the account when all these go.
    pub fn gone(self) -> Growth {
        Growth { entries: -(self.entries as i64), size: -(self.size as i64), stored: -(self.stored as i64) }
    }
}

/// What rows that came and went add to [`Sums`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Growth {
    pub entries: i64,
    pub size: i64,
    pub stored: i64,
}

impl Growth {
    /// One row of these sizes; one that goes where `by` is -1.
    pub fn row(by: i64, (size, stored): (u64, u64)) -> Self {
        Self { entries: by, size: by.wrapping_mul(size as i64), stored: by.wrapping_mul(stored as i64) }
    }

    /// Both.
    pub fn and(self, more: Self) -> Self {
        Self {
            entries: self.entries.wrapping_add(more.entries),
            size: self.size.wrapping_add(more.size),
            stored: self.stored.wrapping_add(more.stored),
        }
    }
}
