//! How often keys that have left were used, in four bits. The same, number by number, is in `src/memory/sketch.ts`.
//!
//! G. Cormode, S. Muthukrishnan: An improved data stream summary: the count-min sketch and its applications, Journal
//! of Algorithms 55(1), 2005. A key's counters in one cache line: Caffeine's `FrequencySketch`.

/// Odd numbers with mixed bits.
const BLOCK_SEED: u32 = 0x9e37_79b1;
const ROW_SEED: u32 = 0x85eb_ca77;
/// Words of a block: 64 bytes.
const BLOCK: usize = 16;
const COUNT: u32 = 15;
const HALVES: u32 = 0x7777_7777;
/// Up to here it is twice as large. Keys that share counters seem warmer than those that are held, whose uses are exact;
/// in a small cache the keys of one period are enough to give all of a long loop such an advantage over what is held of
/// it.
const SMALL: usize = 4096;

/// Each key has four counters in one block, and what is known of it is the lowest of them. Eight counters a word; the
/// rows have two of them each. 8 to 16 bytes an entry, twice that for a small cache.
#[derive(Clone)]
pub(crate) struct Sketch {
    words: Vec<u32>,
    /// 32 less the bits of the number of blocks.
    shift: u32,
    /// Words for each entry.
    width: usize,
}

/// Where the four counters of a key are: words, and bits in them.
#[inline]
fn places(print: u32, shift: u32) -> [(usize, u32); 4] {
    let block = (print.wrapping_mul(BLOCK_SEED) >> shift) as usize * BLOCK;
    let rows = (print ^ (print >> 15)).wrapping_mul(ROW_SEED);
    let place = |row: u32| {
        let bits = rows >> (25 - 5 * row);
        (block + (bits >> 3 & 15) as usize, 8 * row + (bits & 4))
    };
    [place(0), place(1), place(2), place(3)]
}

impl Sketch {
    pub(crate) fn new(entries: usize) -> Self {
        let width = if entries <= SMALL { 4 } else { 2 };
        let bits = (width * entries).div_ceil(BLOCK).next_power_of_two().trailing_zeros().max(1);
        Self { words: vec![0; BLOCK << bits], shift: 32 - bits, width }
    }

    /// Entries that it is made for.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        self.words.len() / self.width
    }

    /// Makes it for twice the entries, and keeps all that is known.
    #[cold]
    pub(crate) fn grow(&mut self) {
        if self.width > 2 && self.room() >= SMALL {
            self.width = 2;
            return;
        }
        // One more bit chooses the block: it is in the one or the other.
        self.words = self.words.chunks(BLOCK).flat_map(|block| [block, block].concat()).collect();
        self.shift -= 1;
    }

    /// The uses of a key: 0 to 15, never too low but for aging.
    #[inline]
    pub(crate) fn estimate(&self, print: u32) -> u8 {
        let counts = places(print, self.shift).map(|(word, bits)| self.words[word] >> bits & COUNT);
        counts[0].min(counts[1]).min(counts[2]).min(counts[3]) as u8
    }

    /// Notes that a key was used at least so often.
    #[inline]
    pub(crate) fn raise(&mut self, print: u32, count: u8) {
        for (word, bits) in places(print, self.shift) {
            let known = self.words[word] >> bits & COUNT;
            self.words[word] += u32::from(count).saturating_sub(known) << bits;
        }
    }

    /// Halves every counter.
    #[cold]
    pub(crate) fn age(&mut self) {
        for word in &mut self.words {
            *word = *word >> 1 & HALVES;
        }
    }

    pub(crate) fn memory(&self) -> usize {
        self.words.capacity() * size_of::<u32>()
    }
}
