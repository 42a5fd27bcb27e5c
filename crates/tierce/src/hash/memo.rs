//! Digests of files that were read, by path. Bounded: two generations, of which the older is dropped as a whole.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use super::file::Stamp;
use super::{Algorithm, ContentDigest};

/// Files of a generation: twice as many at about 250 bytes each are remembered at most.
const GENERATION: usize = 32_768;

#[derive(Clone, Copy, Debug)]
struct Known {
    stamp: Stamp,
    xxh3: Option<ContentDigest>,
    blake3: Option<ContentDigest>,
}

impl Known {
    fn slot(&mut self, algorithm: Algorithm) -> &mut Option<ContentDigest> {
        match algorithm {
            Algorithm::Xxh3 => &mut self.xxh3,
            Algorithm::Blake3 => &mut self.blake3,
        }
    }
}

/// Paths are kept as two seeded hashes, so that an entry has a fixed size: nobody can make two paths meet on purpose.
#[derive(Debug, Default)]
pub(super) struct Memo {
    seeds: [RandomState; 2],
    young: HashMap<[u64; 2], Known>,
    old: HashMap<[u64; 2], Known>,
}

impl Memo {
    fn name(&self, path: &Path) -> [u64; 2] {
        let bytes = path.as_os_str().as_encoded_bytes();
        [self.seeds[0].hash_one(bytes), self.seeds[1].hash_one(bytes)]
    }

    pub fn get(&mut self, path: &Path, stamp: Stamp, algorithm: Algorithm) -> Option<ContentDigest> {
        let name = self.name(path);
        let mut known = match self.young.get(&name) {
            Some(known) => *known,
            None => {
                let known = self.old.remove(&name)?;
                self.insert(name, known);
                known
            }
        };
        if known.stamp == stamp { *known.slot(algorithm) } else { None }
    }

    pub fn put(&mut self, path: &Path, stamp: Stamp, digest: ContentDigest) {
        let name = self.name(path);
        let earlier = self.young.get(&name).or_else(|| self.old.get(&name)).copied();
        let mut known =
            earlier.filter(|known| known.stamp == stamp).unwrap_or(Known { stamp, xxh3: None, blake3: None });
        *known.slot(digest.algorithm) = Some(digest);
        self.old.remove(&name);
        self.insert(name, known);
    }

    fn insert(&mut self, name: [u64; 2], known: Known) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&name) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, known);
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}
