//! The two kinds of a cache directory. They have the same verbs; what one of them has not is said by its error.

use std::sync::Arc;

use tierce::{AnswerSink, Cache, Cell, Code, Error, Listing, ListingSink, Result, SidecarCache, Wait};

/// A cache directory, shared with calls under way.
#[derive(Clone)]
pub enum Tier {
    Sqlite(Arc<Cache>),
    Json(Arc<SidecarCache>),
}

/// Calls a verb of either.
#[macro_export]
macro_rules! on {
    ($tier:expr, $cache:ident => $call:expr) => {
        match $tier {
            $crate::tier::Tier::Sqlite($cache) => $call,
            $crate::tier::Tier::Json($cache) => $call,
        }
    };
}

impl From<tierce::Tier> for Tier {
    fn from(opened: tierce::Tier) -> Self {
        match opened {
            tierce::Tier::Sqlite(cache) => Self::Sqlite(Arc::new(cache)),
            tierce::Tier::Json(cache) => Self::Json(Arc::new(cache)),
        }
    }
}

impl Tier {
    /// The cache with a database, where it is one.
    pub fn sqlite(&self) -> Option<&Arc<Cache>> {
        match self {
            Self::Sqlite(cache) => Some(cache),
            Self::Json(_) => None,
        }
    }

    /// Answers a query.
    pub fn query_into(
        &self,
        sql: &str,
        params: &[Cell<'_>],
        wait: Wait,
        hold: bool,
        sink: &mut dyn AnswerSink,
    ) -> Result<bool> {
        let none = "SQL takes a database, and this directory has none (metadata 'json'): use find, which scans, or entries";
        let cache = self.sqlite().ok_or_else(|| Error::new(Code::Unavailable, none))?;
        cache.query_into(sql, params, wait, hold, sink)
    }

    /// Hands the entries of a page to `sink`; gives where the next page starts.
    pub fn page_into(&self, listing: &Listing<'_>, sink: &mut dyn ListingSink) -> Result<Option<i64>> {
        match self {
            Self::Sqlite(cache) => cache.page_into(listing, sink),
            Self::Json(cache) => {
                let page = cache.page(listing)?;
                sink.begin();
                for listed in &page.entries {
                    sink.entry(&listed.key, &listed.meta, &listed.extras);
                }
                Ok(page.next)
            }
        }
    }

    /// Whether a page may be read on a thread that must not wait: a short one, or any of a small database.
    pub fn is_small(&self, is_short: bool) -> Result<bool> {
        match self {
            Self::Sqlite(cache) => Ok(is_short || cache.is_small()?),
            Self::Json(_) => Ok(false),
        }
    }
}
