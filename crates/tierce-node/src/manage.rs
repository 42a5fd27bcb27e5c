//! The disk tier's verbs of management: each runs on the thread pool.

use napi::Env;
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;
use tierce::{CheckReport, Problem};
use tierce_napi::{Work, guard, job};

use crate::disk::NativeDisk;

/// What a check found.
#[napi(object, object_from_js = false)]
pub struct NativeReport {
    pub entries: f64,
    pub expired: f64,
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

#[napi]
impl NativeDisk {
    /// Verifies everything in the directory; with `fix`, repairs it.
    #[napi(ts_return_type = "Promise<NativeReport>")]
    pub fn check(&self, env: &Env, fix: bool, now: f64) -> napi::Result<Work<CheckReport, NativeReport>> {
        let cache = guard(env, || self.at(now))?;
        Ok(job(move || cache.check(fix), |_, report| Ok(native_report(report))))
    }
}

fn native_report(report: CheckReport) -> NativeReport {
    NativeReport {
        entries: report.entries as f64,
        expired: report.expired as f64,
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
