//! Counts of what is stored.

use napi::Env;
use napi_derive::napi;
use tierce_napi::{Work, guard, job};

use super::NativeDisk;
use crate::on;

/// What is stored. Sizes in bytes.
#[napi(object, object_from_js = false)]
pub struct NativeStats {
    pub entries: f64,
    pub size: f64,
    pub stored_size: f64,
    pub disk_size: f64,
    pub log_size: f64,
    pub log_is_pinned: bool,
}

/// Entries that have expired, and those that plain reads find, with the bytes of their values.
#[napi(object, object_from_js = false)]
pub struct NativeValidity {
    pub expired: f64,
    pub valid: f64,
    pub valid_size: f64,
}

#[napi]
impl NativeDisk {
    /// Counts what is stored, on the calling thread; null where that would take long.
    #[napi]
    pub fn stats_now(&self, env: &Env, now: f64) -> napi::Result<Option<NativeStats>> {
        guard(env, || match self.at(now)?.sqlite() {
            Some(cache) => Ok(cache.stats_if_small()?.map(native_stats)),
            None => Ok(None),
        })
    }

    /// Counts what is stored, on the thread pool.
    #[napi(ts_return_type = "Promise<NativeStats>")]
    pub fn stats(&self, env: &Env, now: f64) -> napi::Result<Work<tierce::Stats, NativeStats>> {
        let cache = guard(env, || self.at(now))?;
        Ok(job(move || on!(cache, cache => cache.stats()), |_, stats| Ok(native_stats(stats))))
    }

    /// Counts what has expired, on the thread pool.
    #[napi(ts_return_type = "Promise<NativeValidity>")]
    pub fn validity(&self, env: &Env, now: f64) -> napi::Result<Work<tierce::Validity, NativeValidity>> {
        let cache = guard(env, || self.at(now))?;
        Ok(job(
            move || on!(cache, cache => cache.validity()),
            |_, found| {
                let [expired, valid, valid_size] =
                    [found.expired, found.valid, found.valid_size].map(|n| n as f64);
                Ok(NativeValidity { expired, valid, valid_size })
            },
        ))
    }
}

fn native_stats(stats: tierce::Stats) -> NativeStats {
    NativeStats {
        entries: stats.entries as f64,
        size: stats.size as f64,
        stored_size: stats.stored_size as f64,
        disk_size: stats.disk_size as f64,
        log_size: stats.log_size as f64,
        log_is_pinned: stats.log_is_pinned,
    }
}
