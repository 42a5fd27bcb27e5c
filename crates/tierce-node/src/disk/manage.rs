//! The disk tier's verbs of management. Each runs on the thread pool.

use napi::Env;
use napi::bindgen_prelude::{Buffer, Uint8Array};
use napi_derive::napi;
use tierce::{CheckReport, Loaded, Problem};
use tierce_napi::{Work, guard, job};

use super::NativeDisk;
use super::options::encryption_key;
use crate::on;

/// What a check found.
#[napi(object, object_from_js = false)]
pub struct NativeReport {
    pub entries: f64,
    pub expired: f64,
    pub unreachable: f64,
    pub files: f64,
    pub bytes: f64,
    pub found: f64,
    pub fixed: f64,
    pub problems: Vec<NativeProblem>,
}

/// One thing that is wrong. `key` is the stored text of the entry's key.
#[napi(object, object_from_js = false)]
pub struct NativeProblem {
    pub kind: &'static str,
    pub message: String,
    pub key: Option<Buffer>,
    pub path: Option<String>,
    pub fixed: bool,
}

/// What a backup, or a file, holds. Sizes in bytes.
#[napi(object, object_from_js = false)]
pub struct NativeCopy {
    pub entries: f64,
    pub files: f64,
    pub bytes: f64,
}

/// What came of a file: entries that are in the cache now, had expired, or do not fit.
#[napi(object, object_from_js = false)]
pub struct NativeLoaded {
    pub entries: f64,
    pub expired: f64,
    pub refused: f64,
}

#[napi]
impl NativeDisk {
    /// Copies the cache as it is at one moment into a directory that is empty or not there.
    #[napi(ts_return_type = "Promise<NativeCopy>")]
    pub fn backup(&self, env: &Env, dir: String, now: f64) -> napi::Result<Work<tierce::Backup, NativeCopy>> {
        let cache = guard(env, || self.at(now))?;
        Ok(job(
            move || on!(cache, cache => cache.backup(dir)),
            |_, backup| Ok(copy(backup.entries, backup.files, backup.bytes)),
        ))
    }

    /// Writes every live entry into a file.
    #[napi(ts_return_type = "Promise<NativeCopy>")]
    pub fn save(&self, env: &Env, path: String, now: f64) -> napi::Result<Work<(u64, u64), NativeCopy>> {
        let cache = guard(env, || self.at(now))?;
        Ok(job(
            move || on!(cache, cache => cache.save(path)),
            |_, (entries, bytes)| Ok(copy(entries, 1, bytes)),
        ))
    }

    /// Stores the entries of a file, beside those of the cache or in their place. `key` is that of an encrypted file, where it
    /// is not the cache's own.
    #[napi(ts_return_type = "Promise<NativeLoaded>")]
    pub fn load(
        &self,
        env: &Env,
        path: String,
        merge: bool,
        key: Option<Uint8Array>,
        now: f64,
    ) -> napi::Result<Work<Loaded, NativeLoaded>> {
        let (cache, key) = guard(env, || Ok((self.at(now)?, encryption_key(key.as_ref())?)))?;
        let load = move || match key {
            Some(key) => on!(cache, cache => cache.load_encrypted(path, merge, &key)),
            None => on!(cache, cache => cache.load(path, merge)),
        };
        Ok(job(load, |_, loaded| Ok(native_loaded(loaded))))
    }

    /// Removes up to `limit` entries that have expired, on the thread pool. Gives how many.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn cleanup(&self, env: &Env, limit: f64, now: f64) -> napi::Result<Work<u64, f64>> {
        let cache = guard(env, || self.at(now))?;
        Ok(job(move || on!(cache, cache => cache.cleanup(limit as u64)), |_, removed| Ok(removed as f64)))
    }

    /// Verifies everything in the directory; with `fix`, repairs it.
    #[napi(ts_return_type = "Promise<NativeReport>")]
    pub fn check(&self, env: &Env, fix: bool, now: f64) -> napi::Result<Work<CheckReport, NativeReport>> {
        let cache = guard(env, || self.at(now))?;
        Ok(job(move || on!(cache, cache => cache.check(fix)), |_, report| Ok(native_report(report))))
    }
}

fn native_report(report: CheckReport) -> NativeReport {
    NativeReport {
        entries: report.entries as f64,
        expired: report.expired as f64,
        unreachable: report.unreachable as f64,
        files: report.files as f64,
        bytes: report.bytes as f64,
        found: report.found as f64,
        fixed: report.fixed as f64,
        problems: report.problems.into_iter().map(native_problem).collect(),
    }
}

fn native_problem(problem: Problem) -> NativeProblem {
    NativeProblem {
        kind: problem.kind.as_str(),
        message: problem.message,
        key: problem.key.map(Buffer::from),
        path: problem.path.map(|path| path.to_string_lossy().into_owned()),
        fixed: problem.fixed,
    }
}

fn copy(entries: u64, files: u64, bytes: u64) -> NativeCopy {
    NativeCopy { entries: entries as f64, files: files as f64, bytes: bytes as f64 }
}

fn native_loaded(loaded: Loaded) -> NativeLoaded {
    NativeLoaded {
        entries: loaded.entries as f64,
        expired: loaded.expired as f64,
        refused: loaded.refused as f64,
    }
}
