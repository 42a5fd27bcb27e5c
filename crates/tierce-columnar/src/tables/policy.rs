//! Which table goes first. There are dozens of tables, not millions: a policy looks at all of them.

use std::collections::{HashMap, VecDeque};

use super::catalog::TableInfo;
use crate::duck::Name;
use crate::{Error, Kind, Result};

/// An eviction policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The least recently read or written.
    #[default]
    Lru,
    /// The most recently read or written.
    Mru,
    /// The least often read; of equals the least recently.
    Lfu,
    /// The oldest.
    Fifo,
    /// The newest.
    Lifo,
    /// SIEVE (Zhang et al., NSDI 2024): a hand that goes from old to new and spares what was read since it last passed.
    Sieve,
    /// S3-FIFO (Yang et al., SOSP 2023): a small queue for what is new, a main one for what is read again, and names of what left.
    S3Fifo,
}

/// What SIEVE and S3-FIFO remember beyond the catalog. It starts anew with the process: they adapt within one round.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Reads that were seen when a table was last spared.
    spared: HashMap<Name, i64>,
    /// SIEVE: when the table under the hand was made.
    hand: i64,
    /// S3-FIFO: tables in the main queue, by turn.
    main: VecDeque<Name>,
    /// S3-FIFO: names of what left the small queue.
    ghosts: VecDeque<Name>,
}

impl Policy {
    /// A policy by its name.
    ///
    /// # Errors
    /// `Invalid`
    pub fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "lru" => Self::Lru,
            "mru" => Self::Mru,
            "lfu" => Self::Lfu,
            "fifo" => Self::Fifo,
            "lifo" => Self::Lifo,
            "sieve" => Self::Sieve,
            "s3-fifo" => Self::S3Fifo,
            _ => {
                let text =
                    format!("Invalid policy: {name:?}. Give lru, mru, lfu, fifo, lifo, sieve or s3-fifo.");
                return Err(Error::new(Kind::Invalid, text));
            }
        })
    }

    /// The place of the one to go. `tables` is in the order of their making.
    pub(super) fn victim(self, tables: &[TableInfo], memory: &mut Memory) -> Option<usize> {
        let at = || 0..tables.len();
        let used = |at: &usize| tables[*at].accessed.max(tables[*at].updated);
        match self {
            Self::Lru => at().min_by_key(used),
            Self::Mru => at().max_by_key(used),
            Self::Lfu => at().min_by_key(|at| (tables[*at].hits, used(at))),
            Self::Fifo => at().next(),
            Self::Lifo => at().next_back(),
            Self::Sieve => memory.sieve(tables),
            Self::S3Fifo => memory.s3_fifo(tables),
        }
    }
}

impl Memory {
    /// Whether a table was read since it was last spared; sparing it uses that up.
    fn spare(&mut self, table: &TableInfo) -> bool {
        let seen = self.spared.insert(table.name.clone(), table.hits).unwrap_or(0);
        table.hits > seen
    }

    fn sieve(&mut self, tables: &[TableInfo]) -> Option<usize> {
        let start = tables.iter().position(|table| table.created.unwrap_or(0) >= self.hand).unwrap_or(0);
        // Twice around: after one round none is left to spare.
        let found = (0..tables.len() * 2)
            .map(|step| (start + step) % tables.len())
            .find(|at| !self.spare(&tables[*at]))?;
        self.hand = tables[found].created.unwrap_or(0) + 1;
        self.spared.remove(&tables[found].name);
        Some(found)
    }

    fn s3_fifo(&mut self, tables: &[TableInfo]) -> Option<usize> {
        let place = |name: &Name| tables.iter().position(|table| &table.name == name);
        self.main.retain(|name| place(name).is_some());
        for table in tables {
            if let Some(ghost) = self.ghosts.iter().position(|name| name == &table.name) {
                self.ghosts.remove(ghost);
                self.main.push_back(table.name.clone());
            }
        }
        let small: Vec<usize> =
            (0..tables.len()).filter(|at| !self.main.contains(&tables[*at].name)).collect();
        // The small queue has a tenth of the tables, at least one.
        if small.len() > tables.len() / 10 {
            for at in small {
                if !self.spare(&tables[at]) {
                    self.ghosts.push_back(tables[at].name.clone());
                    self.ghosts.truncate(tables.len().max(16));
                    return Some(at);
                }
                self.main.push_back(tables[at].name.clone());
            }
        }
        for _ in 0..self.main.len() * 2 {
            let name = self.main.pop_front()?;
            let at = place(&name)?;
            if !self.spare(&tables[at]) {
                return Some(at);
            }
            self.main.push_back(name);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, created: i64, accessed: i64, hits: i64) -> TableInfo {
        TableInfo {
            name: Name::new("s", name),
            rows: 0,
            bytes: 0,
            created: Some(created),
            updated: Some(created),
            expires: None,
            accessed: Some(accessed),
            hits,
            columns: Vec::new(),
        }
    }

    #[test]
    fn each_policy_names_its_victim() {
        let tables = [table("a", 1, 50, 9), table("b", 2, 10, 3), table("c", 3, 40, 1), table("d", 4, 60, 1)];
        let victim = |name: &str| {
            let policy = Policy::named(name).expect("a policy");
            tables[policy.victim(&tables, &mut Memory::default()).expect("a victim")].name.table.clone()
        };
        let found: Vec<String> = ["lru", "mru", "lfu", "fifo", "lifo"].into_iter().map(victim).collect();
        assert_eq!(found, ["b", "d", "c", "a", "d"]);
        assert!(Policy::named("random").is_err());
    }

    #[test]
    fn sieve_spares_what_was_read_once_and_goes_on_from_its_hand() {
        let mut memory = Memory::default();
        let mut tables =
            vec![table("a", 1, 0, 5), table("b", 2, 0, 0), table("c", 3, 0, 0), table("d", 4, 0, 1)];
        let first = memory.sieve(&tables).expect("a victim");
        assert_eq!(tables.remove(first).name.table, "b");
        let second = memory.sieve(&tables).expect("a victim");
        assert_eq!(tables.remove(second).name.table, "c");
        // `d` is spared, and so the hand comes around to `a`, whose reads were used up.
        let third = memory.sieve(&tables).expect("a victim");
        assert_eq!(tables[third].name.table, "a");
    }

    #[test]
    fn s3_fifo_lets_go_of_what_was_never_read_and_takes_back_what_returns() {
        let mut memory = Memory::default();
        let mut tables = vec![table("a", 1, 0, 2), table("b", 2, 0, 0), table("c", 3, 0, 0)];
        let first = memory.s3_fifo(&tables).expect("a victim");
        assert_eq!(tables.remove(first).name.table, "b");
        tables.push(table("b", 9, 0, 0)); // comes back: into the main queue
        let second = memory.s3_fifo(&tables).expect("a victim");
        assert_eq!(tables.remove(second).name.table, "c");
    }
}
