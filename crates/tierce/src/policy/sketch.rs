//! How often a key was used of late, in four bits.
//!
//! G. Cormode, S. Muthukrishnan: An improved data stream summary: the count-min sketch and its applications, Journal
//! of Algorithms 55(1), 2005. Aging by halving, and its period: G. Einziger, R. Friedman, B. Manes: TinyLFU: a highly
//! efficient cache admission policy, ACM Transactions on Storage 13(4), 2017.

/// Odd numbers with mixed bits (the primes of XXH64).
const SEEDS: [u64; 4] =
    [0x9e37_79b1_85eb_ca87, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9, 0x85eb_ca77_c2b2_ae63];
const ODD: u64 = 0x1111_1111_1111_1111;
const HALVES: u64 = 0x7777_7777_7777_7777;
const SMALLEST: usize = 16;

/// A count-min sketch of 4-bit counters that are halved once ten times as many uses were counted as it has words.
///
/// It grows with the number of entries.
#[derive(Clone)]
pub(crate) struct Sketch {
    words: Vec<u64>,
    counted: u32,
}

impl Sketch {
    pub(crate) fn new() -> Self {
        Self { words: vec![0; SMALLEST], counted: 0 }
    }

    /// Whether there are fewer words than entries.
    #[inline]
    pub(crate) fn is_small_for(&self, entries: usize) -> bool {
        entries > self.words.len()
    }

    /// Doubles the words, and keeps what is known of `prints`. (To copy the table would keep every key's estimate, and
    /// every collision of the small table with it.)
    #[cold]
    pub(crate) fn grow(&mut self, prints: impl Iterator<Item = u32>) {
        let mut grown = Self { words: vec![0; 2 * self.words.len()], counted: self.counted };
        for print in prints {
            let estimate = u64::from(self.estimate(print));
            for row in 0..4 {
                let (word, shift) = grown.place(print, row);
                let known = (grown.words[word] >> shift) & 15;
                grown.words[word] += estimate.saturating_sub(known) << shift;
            }
        }
        *self = grown;
    }

    #[inline]
    fn place(&self, print: u32, row: usize) -> (usize, u32) {
        let mixed = u64::from(print).wrapping_add(SEEDS[row]).wrapping_mul(SEEDS[row]);
        let word = (mixed >> 32) as usize & (self.words.len() - 1);
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
        self.counted = self.counted.saturating_add(u32::from(added));
    }

    /// Whether it is time to [`Sketch::age`].
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        self.counted as usize >= 10 * self.words.len()
    }

    /// Halves every counter, and the tally by what that took.
    #[cold]
    pub(crate) fn age(&mut self) {
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
