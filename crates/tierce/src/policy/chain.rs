//! Doubly linked lists over slots, kept in one array of `u32` links.

/// No slot: the end of a list.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    prev: u32,
    next: u32,
}

const ABSENT: Link = Link { prev: NONE, next: NONE };

/// `N` circular lists that share their links, front = next victim.
///
/// The first `N` nodes are the sentinels, so that linking and unlinking need no case for an end. A slot is in at
/// most one list; a slot in none has `NONE` in both links, which no linked node has.
#[derive(Clone)]
pub(crate) struct Chains<const N: usize> {
    links: Vec<Link>,
}

impl<const N: usize> Chains<N> {
    pub(crate) fn new() -> Self {
        Self { links: (0..N as u32).map(|own| Link { prev: own, next: own }).collect() }
    }

    #[inline]
    pub(crate) fn contains(&self, slot: u32) -> bool {
        self.links.get(slot as usize + N).is_some_and(|link| link.next != NONE)
    }

    #[inline]
    fn link_between(&mut self, node: u32, prev: u32, next: u32) {
        self.links[node as usize] = Link { prev, next };
        self.links[prev as usize].next = node;
        self.links[next as usize].prev = node;
    }

    #[inline]
    fn node(&mut self, slot: u32) -> u32 {
        let node = slot + N as u32;
        if node as usize >= self.links.len() {
            self.links.resize(node as usize + 1, ABSENT);
        }
        node
    }

    /// Links `slot`, which is in no list, as the last one `list` gives up.
    #[inline]
    pub(crate) fn push_back(&mut self, list: usize, slot: u32) {
        let node = self.node(slot);
        debug_assert!(!self.contains(slot), "slot {slot} is linked already");
        let last = self.links[list].prev;
        self.link_between(node, last, list as u32);
    }

    /// Links `slot`, which is in no list, as the first one `list` gives up.
    #[inline]
    pub(crate) fn push_front(&mut self, list: usize, slot: u32) {
        let node = self.node(slot);
        debug_assert!(!self.contains(slot), "slot {slot} is linked already");
        let first = self.links[list].next;
        self.link_between(node, list as u32, first);
    }

    /// Links `slot`, which is in no list, behind `before`, which is in one.
    #[inline]
    pub(crate) fn push_after(&mut self, before: u32, slot: u32) {
        let node = self.node(slot);
        debug_assert!(!self.contains(slot), "slot {slot} is linked already");
        let next = self.links[before as usize + N].next;
        self.link_between(node, before + N as u32, next);
    }

    /// Takes `slot` out of its list.
    #[inline]
    pub(crate) fn unlink(&mut self, slot: u32) {
        let node = slot as usize + N;
        let Link { prev, next } = std::mem::replace(&mut self.links[node], ABSENT);
        self.links[prev as usize].next = next;
        self.links[next as usize].prev = prev;
    }

    /// Moves a linked `slot` to the back of `list`.
    #[inline]
    pub(crate) fn move_to_back(&mut self, list: usize, slot: u32) {
        let last = self.links[list].prev;
        if last != slot + N as u32 {
            self.unlink(slot);
            let last = self.links[list].prev;
            self.link_between(slot + N as u32, last, list as u32);
        }
    }

    #[inline]
    fn slot_of(node: u32) -> Option<u32> {
        node.checked_sub(N as u32)
    }

    #[inline]
    pub(crate) fn front(&self, list: usize) -> Option<u32> {
        Self::slot_of(self.links[list].next)
    }

    #[inline]
    pub(crate) fn back(&self, list: usize) -> Option<u32> {
        Self::slot_of(self.links[list].prev)
    }

    /// The slot behind `slot`, away from the victim's end.
    #[inline]
    pub(crate) fn after(&self, slot: u32) -> Option<u32> {
        Self::slot_of(self.links[slot as usize + N].next)
    }

    /// The slot before `slot`, towards the victim's end.
    #[inline]
    pub(crate) fn before(&self, slot: u32) -> Option<u32> {
        Self::slot_of(self.links[slot as usize + N].prev)
    }

    /// The slots of `list`, front first.
    pub(crate) fn iter(&self, list: usize) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(self.front(list), |&slot| self.after(slot))
    }

    /// The slots of `list`, back first.
    pub(crate) fn iter_back(&self, list: usize) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(self.back(list), |&slot| self.before(slot))
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    pub(crate) fn memory(&self) -> usize {
        self.links.capacity() * size_of::<Link>()
    }

    /// Every link is mirrored; returns the number of slots in `list`.
    pub(crate) fn check(&self, list: usize) -> Result<usize, String> {
        let mut node = list as u32;
        for count in 0..=self.links.len() {
            let next = self.links[node as usize].next;
            if self.links.get(next as usize).map(|link| link.prev) != Some(node) {
                return Err(format!("list {list}: node {next} does not point back to {node}"));
            }
            if next == list as u32 {
                return Ok(count);
            }
            node = next;
        }
        Err(format!("list {list} does not end"))
    }
}
