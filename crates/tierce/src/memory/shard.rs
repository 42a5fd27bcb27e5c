//! One part of the cache, behind one lock.

use std::borrow::Borrow;

use hashbrown::{HashMap, HashTable};

use super::flight::Flight;
use crate::policy::{AnyPolicy, Policy, PolicyKind};

/// An entry that never expires has this time.
pub(super) const NEVER: u64 = u64::MAX;

/// What happened to a cache since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Gets that found a value.
    pub hits: u64,
    /// Gets that found none, or one that had expired.
    pub misses: u64,
    /// Entries that went because their time was over.
    pub expired: u64,
    /// Entries that had to go for others, or were too heavy.
    pub evicted: u64,
    /// Values that were put in.
    pub inserts: u64,
}

impl Stats {
    /// The part of the gets that found a value: 0 to 1, and 0 before the first.
    pub fn hit_ratio(&self) -> f64 {
        self.hits as f64 / ((self.hits + self.misses) as f64).max(1.0)
    }
}

impl std::ops::AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.expired += other.expired;
        self.evicted += other.evicted;
        self.inserts += other.inserts;
    }
}

pub(super) struct Entry<K, V> {
    hash: u64,
    pub(super) key: K,
    pub(super) value: V,
    pub(super) expires_ms: u64,
    /// What each use starts again; 0 for nothing.
    slide_ms: u64,
}

impl<K, V> Entry<K, V> {
    /// A use at that time: whether the entry was live, and where its time slides, it starts again.
    fn used(&mut self, now_ms: impl FnOnce() -> u64) -> bool {
        if self.expires_ms == NEVER {
            return true;
        }
        let now_ms = now_ms();
        let live = self.expires_ms > now_ms;
        if live && self.slide_ms > 0 {
            self.expires_ms = now_ms.saturating_add(self.slide_ms);
        }
        live
    }

    pub(super) fn is_live(&self, now_ms: impl FnOnce() -> u64) -> bool {
        self.expires_ms == NEVER || self.expires_ms > now_ms()
    }
}

/// What an insert takes out of the shard, to be dropped once its lock is free: a `drop` is the user's code.
pub(super) struct Dropped<K, V> {
    pub(super) replaced: Option<Entry<K, V>>,
    pub(super) first: Option<Entry<K, V>>,
    pub(super) rest: Vec<Entry<K, V>>,
}

/// The table and the policy know entries by their slots in `entries`.
pub(super) struct Shard<K, V> {
    table: HashTable<u32>,
    entries: Vec<Option<Entry<K, V>>>,
    free: Vec<u32>,
    policy: AnyPolicy,
    victims: Vec<u32>,
    pub(super) stats: Stats,
    pub(super) flights: HashMap<K, Flight<V>>,
}

impl<K: Eq, V> Shard<K, V> {
    pub(super) fn new(kind: PolicyKind, capacity: u64) -> Self {
        Self {
            table: HashTable::new(),
            entries: Vec::new(),
            free: Vec::new(),
            policy: AnyPolicy::new(kind, capacity),
            victims: Vec::new(),
            stats: Stats::default(),
            flights: HashMap::new(),
        }
    }

    #[inline]
    fn find<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<u32>
    where
        K: Borrow<Q>,
    {
        let is_it = |&slot: &u32| matches!(&self.entries[slot as usize], Some(e) if e.key.borrow() == key);
        self.table.find(hash, is_it).copied()
    }

    /// The value of a key, which counts as a use of it. An entry whose time is over is returned second, to be dropped.
    #[inline]
    pub(super) fn get<Q: Eq + ?Sized>(
        &mut self,
        hash: u64,
        key: &Q,
        now_ms: impl FnOnce() -> u64,
    ) -> (Option<&V>, Option<Entry<K, V>>)
    where
        K: Borrow<Q>,
    {
        let Some(slot) = self.find(hash, key) else {
            self.stats.misses += 1;
            return (None, None);
        };
        if !self.entries[slot as usize].as_mut().is_some_and(|entry| entry.used(now_ms)) {
            self.stats.misses += 1;
            self.stats.expired += 1;
            self.policy.remove(slot);
            return (None, self.take(slot));
        }
        self.stats.hits += 1;
        self.policy.hit(slot);
        (self.entries[slot as usize].as_ref().map(|entry| &entry.value), None)
    }

    /// A use of a live entry that nobody reads; whether there is one.
    pub(super) fn touch<Q: Eq + ?Sized>(&mut self, hash: u64, key: &Q, now_ms: impl FnOnce() -> u64) -> bool
    where
        K: Borrow<Q>,
    {
        let Some(slot) = self.find(hash, key) else { return false };
        let live = self.entries[slot as usize].as_mut().is_some_and(|entry| entry.used(now_ms));
        if live {
            self.policy.hit(slot);
        }
        live
    }

    /// The live entry of a key, without a use.
    pub(super) fn peek<Q: Eq + ?Sized>(
        &self,
        hash: u64,
        key: &Q,
        now_ms: impl FnOnce() -> u64,
    ) -> Option<&Entry<K, V>>
    where
        K: Borrow<Q>,
    {
        let slot = self.find(hash, key)?;
        self.entries[slot as usize].as_ref().filter(|entry| entry.is_live(now_ms))
    }

    /// Gives a live entry another time, which slides where the old one did; whether there is one.
    pub(super) fn expire<Q: Eq + ?Sized>(
        &mut self,
        hash: u64,
        key: &Q,
        ttl_ms: Option<u64>,
        now_ms: u64,
    ) -> bool
    where
        K: Borrow<Q>,
    {
        let Some(slot) = self.find(hash, key) else { return false };
        match &mut self.entries[slot as usize] {
            Some(entry) if entry.is_live(|| now_ms) => {
                entry.expires_ms = ttl_ms.map_or(NEVER, |ttl| now_ms.saturating_add(ttl));
                if entry.slide_ms > 0 {
                    entry.slide_ms = ttl_ms.unwrap_or(0);
                }
                true
            }
            _ => false,
        }
    }

    /// Takes out the entries whose time is over.
    pub(super) fn cleanup(&mut self, now_ms: u64) -> Vec<Entry<K, V>> {
        let is_over = |entry: &Entry<K, V>| !entry.is_live(|| now_ms);
        let over = self.take_where(is_over);
        self.stats.expired += over.len() as u64;
        over
    }

    /// Takes out the entries that are not to be kept.
    pub(super) fn retain(&mut self, keeps: &mut impl FnMut(&K, &V) -> bool) -> Vec<Entry<K, V>> {
        self.take_where(|entry| !keeps(&entry.key, &entry.value))
    }

    fn take_where(&mut self, mut is_due: impl FnMut(&Entry<K, V>) -> bool) -> Vec<Entry<K, V>> {
        let slots = 0..self.entries.len() as u32;
        let mut due = |&slot: &u32| self.entries[slot as usize].as_ref().is_some_and(&mut is_due);
        let slots: Vec<u32> = slots.filter(|slot| due(slot)).collect();
        let take = |slot| {
            self.policy.remove(slot);
            self.take(slot)
        };
        slots.into_iter().filter_map(take).collect()
    }

    /// Takes a slot, that the policy no longer has, out of the table.
    fn take(&mut self, slot: u32) -> Option<Entry<K, V>> {
        let entry = self.entries[slot as usize].take()?;
        if let Ok(place) = self.table.find_entry(entry.hash, |&other| other == slot) {
            place.remove();
        }
        self.free.push(slot);
        Some(entry)
    }

    fn take_victims(&mut self, replaced: Option<Entry<K, V>>) -> Dropped<K, V> {
        let mut dropped = Dropped { replaced, first: None, rest: Vec::new() };
        let mut victims = std::mem::take(&mut self.victims);
        self.stats.evicted += victims.len() as u64;
        for victim in victims.drain(..) {
            let entry = self.take(victim);
            if dropped.first.is_none() {
                dropped.first = entry;
            } else {
                dropped.rest.extend(entry);
            }
        }
        self.victims = victims;
        dropped
    }

    /// Puts a value in, or in the place of the key's old one (a use of it).
    pub(super) fn insert(
        &mut self,
        hash: u64,
        key: K,
        value: V,
        weight: u32,
        (expires_ms, slide_ms): (u64, u64),
    ) -> Dropped<K, V> {
        self.stats.inserts += 1;
        if let Some(slot) = self.find(hash, &key) {
            let entry = Entry { hash, key, value, expires_ms, slide_ms };
            let old = self.entries[slot as usize].replace(entry);
            self.policy.hit(slot);
            self.policy.update(slot, weight, &mut self.victims);
            self.keep(slot, hash, weight);
            return self.take_victims(old);
        }
        let entry = Some(Entry { hash, key, value, expires_ms, slide_ms });
        let slot = match self.free.pop() {
            Some(slot) => {
                self.entries[slot as usize] = entry;
                slot
            }
            None => {
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
        };
        let entries = &self.entries;
        let rehash = |&slot: &u32| entries[slot as usize].as_ref().map_or(0, |entry| entry.hash);
        self.table.insert_unique(hash, slot, rehash);
        self.policy.insert(slot, hash, weight, &mut self.victims);
        self.keep(slot, hash, weight);
        self.take_victims(None)
    }

    /// What was put in is there until others come, whatever the policy thinks of it: where it would rather give up `slot` than
    /// others, others go.
    fn keep(&mut self, slot: u32, hash: u64, weight: u32) {
        let capacity = self.policy.capacity();
        if self.victims.is_empty() || self.policy.contains(slot) || u64::from(weight) > capacity {
            return;
        }
        self.victims.retain(|&victim| victim != slot);
        while self.policy.weight() + u64::from(weight) > capacity {
            self.victims.extend(self.policy.evict());
        }
        self.policy.insert(slot, hash, weight, &mut self.victims);
    }

    pub(super) fn remove<Q: Eq + ?Sized>(&mut self, hash: u64, key: &Q) -> Option<Entry<K, V>>
    where
        K: Borrow<Q>,
    {
        let slot = self.find(hash, key)?;
        self.policy.remove(slot);
        self.take(slot)
    }

    /// Empties the shard, and returns what was in it, to be dropped.
    pub(super) fn clear(&mut self) -> Vec<Entry<K, V>> {
        self.table.clear();
        self.free.clear();
        self.policy.clear();
        std::mem::take(&mut self.entries).into_iter().flatten().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn live_len(&self, now_ms: u64) -> usize {
        self.entries.iter().flatten().filter(|entry| entry.is_live(|| now_ms)).count()
    }

    pub(super) fn weight(&self) -> u64 {
        self.policy.weight()
    }

    pub(super) fn capacity(&self) -> u64 {
        self.policy.capacity()
    }

    /// The entries that have not expired, next victim first.
    pub(super) fn in_order(&self, now_ms: u64) -> impl Iterator<Item = &Entry<K, V>> {
        let entries = self.policy.order().into_iter().filter_map(|slot| self.entries[slot as usize].as_ref());
        entries.filter(move |entry| entry.is_live(|| now_ms))
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.policy.check()?;
        let live = self.entries.iter().flatten().count();
        if [live, self.table.len(), self.entries.len() - self.free.len()] != [self.policy.len(); 3] {
            return Err(format!(
                "{live} entries, {} in the table, {} in the policy",
                self.table.len(),
                self.policy.len()
            ));
        }
        Ok(())
    }
}
