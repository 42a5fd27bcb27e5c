//! How often a key was used of late, in four bits.
//!
//! G. Cormode, S. Muthukrishnan: An improved data stream summary: the count-min sketch and its applications, Journal
//! of Algorithms 55(1), 2005. Aging by halving, and its period: G. Einziger, R. Friedman, B. Manes: TinyLFU: a highly
//! efficient cache admission policy, ACM Transactions on Storage 13(4), 2017.

const SEEDS: [u32; 4] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f];
const ODD: u64 = 0x1111_1111_1111_1111;
const HALVES: u64 = 0x7777_7777_7777_7777;
const SMALLEST: usize = 16;

/// A count-min sketch of 4-bit counters that are halved once ten times as many uses were counted as it has words.
///
/// It grows with the number of entries. A word is found by the low bits of a hash, so that a table twice as large, both
/// halves alike, answers as before.
#[derive(Clone)]
pub(crate) struct Sketch {
    words: Vec<u64>,
    counted: u32,
}

impl Sketch {
    pub(crate) fn new() -> Self {
        Self { words: vec![0; SMALLEST], counted: 0 }
    }

    /// Grows to a word an entry, at least.
    #[inline]
    pub(crate) fn serve(&mut self, entries: usize) {
        if entries > self.words.len() {
            self.words.extend_from_within(..);
        }
    }

    #[inline]
    fn place(&self, print: u32, row: usize) -> (usize, u32) {
        let mixed = (print.wrapping_add(row as u32)).wrapping_mul(SEEDS[row]);
        let word = (mixed ^ (mixed >> 15)) as usize & (self.words.len() - 1);
        // Each row has its own four counters of the sixteen in a word.
        let counter = ((print >> 30) << 2) + row as u32;
        (word, counter << 2)
    }

    /// The estimated number of recent uses: 0 to 15, never too low but for aging.
    #[inline]
    pub(crate) fn estimate(&self, print: u32) -> u8 {
        let count = |row| {
            let (word, shift) = self.place(print, row);
            (self.words[word] >> shift) as u8 & 15
        };
        count(0).min(count(1)).min(count(2)).min(count(3))
    }

    /// Counts a use.
    #[inline]
    pub(crate) fn count(&mut self, print: u32) {
        let mut added = false;
        for row in 0..4 {
            let (word, shift) = self.place(print, row);
            let room = (self.words[word] >> shift) & 15 != 15;
            self.words[word] += u64::from(room) << shift;
            added |= room;
        }
        self.counted += u32::from(added);
        if self.counted as usize >= 10 * self.words.len() {
            self.age();
        }
    }

    /// Halves every counter, and the tally by what that took.
    #[cold]
    fn age(&mut self) {
        let mut odd = 0;
        for word in &mut self.words {
            odd += (*word & ODD).count_ones();
            *word = (*word >> 1) & HALVES;
        }
        self.counted = (self.counted - odd / 4) / 2;
    }

    pub(crate) fn memory(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }
}
