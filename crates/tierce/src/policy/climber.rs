//! How wide the window of W-TinyLFU should be.
//!
//! G. Einziger, O. Eytan, R. Friedman, B. Manes: Adaptive software cache management, Middleware 2018.

/// The share of the entries by which the window moves at first.
const FIRST_STEP: f64 = 0.0625;
/// Each step is this much shorter than the one before ...
const DECAY: f64 = 0.98;
/// ... until the hit ratio jumps by as much as this, which starts it again.
const RESTART: f64 = 0.05;
/// Requests to each entry, between two steps.
const SAMPLE: f64 = 5.0;
/// Caches up to this many entries sample with more noise: they decay slower, and sample longer the shorter the step.
const SMALL_CACHE: f64 = 512.0;
const SMALL_SAMPLE: f64 = 10.0;
const SMALL_DECAY: f64 = 0.995;
const SMALL_LONGEST: f64 = 4.0;

/// Moves the window while the hit ratio grows, and turns round when it falls.
///
/// It starts by widening, because a window of 1 % has next to nothing to give. A change of the hit ratio that chance
/// explains (one standard deviation) counts as none, and then the window narrows: where the curve is flat, a sketch
/// makes better use of the space than a window.
#[derive(Clone)]
pub(crate) struct Climber {
    hits: u32,
    misses: u32,
    before: f64,
    step: f64,
    widen: bool,
    stretch: f64,
    started: bool,
}

impl Climber {
    pub(crate) fn new() -> Self {
        Self { hits: 0, misses: 0, before: 0.0, step: 0.0, widen: false, stretch: 1.0, started: false }
    }

    #[inline]
    pub(crate) fn hit(&mut self) {
        self.hits += 1;
    }

    #[inline]
    pub(crate) fn miss(&mut self) {
        self.misses += 1;
    }

    /// After each request to a full cache of `entries`: by how many entries to widen (or narrow) the window.
    #[inline]
    pub(crate) fn step(&mut self, entries: usize) -> Option<f64> {
        let requests = f64::from(self.hits + self.misses);
        let entries = entries as f64;
        let sample = if entries <= SMALL_CACHE { SMALL_SAMPLE } else { SAMPLE };
        if requests < entries * sample * self.stretch {
            return None;
        }
        Some(self.turn(entries, requests))
    }

    fn turn(&mut self, entries: f64, requests: f64) -> f64 {
        let first = (entries * FIRST_STEP).max(2.0);
        let is_small = entries <= SMALL_CACHE;
        if !self.started {
            (self.started, self.step, self.widen) = (true, first, true);
        }
        let ratio = f64::from(self.hits) / requests;
        let chance = (2.0 * ratio * (1.0 - ratio) / requests).sqrt();
        if ratio < self.before - chance || (self.widen && ratio <= self.before + chance) {
            self.widen = !self.widen;
        }
        if (ratio - self.before).abs() >= RESTART {
            (self.step, self.stretch) = (first, 1.0);
        }
        let by = if self.widen { self.step } else { -self.step };
        self.step *= if is_small { SMALL_DECAY } else { DECAY };
        if is_small {
            self.stretch = (first / self.step).clamp(1.0, SMALL_LONGEST);
        }
        (self.before, self.hits, self.misses) = (ratio, 0, 0);
        by
    }
}
