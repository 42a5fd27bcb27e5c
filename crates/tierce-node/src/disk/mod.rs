//! The disk tier as a class: a handful of lines a method. Here it is opened and closed; its verbs are in the files beside this one.

mod epochs;
mod listing;
mod manage;
mod many;
mod mapped;
mod options;
mod query;
mod read;
mod stats;
pub mod stream;
mod write;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use tierce::{Code, Error, ManualClock, Result};
use tierce_napi::{Work, guard, job};

use crate::gate::Gate;
use crate::on;
use crate::scratch::Scratch;
use crate::tier::Tier;

use options::NativeOptions;
pub(crate) use options::encryption_key;

/// A fault that no call was told of.
#[napi(object, object_from_js = false)]
pub struct NativeFault {
    pub code: String,
    pub message: String,
}

/// An open cache directory. Times are milliseconds since the Unix epoch, from the caller's clock.
#[napi]
pub struct NativeDisk {
    open: Rc<Open>,
    outbox: Scratch,
    /// Batches on the thread pool.
    under_way: Gate,
}

/// What a read needs.
pub(crate) struct Open {
    tier: RefCell<Option<Tier>>,
    clock: Arc<ManualClock>,
    inbox: Scratch,
}

impl Open {
    fn cache(&self) -> Result<Tier> {
        self.tier
            .borrow()
            .clone()
            .ok_or_else(|| Error::new(Code::Closed, "the cache is closed: open a new one"))
    }

    /// The cache, with its clock set.
    pub(crate) fn at(&self, now: f64) -> Result<Tier> {
        self.clock.set(now as u64);
        self.cache()
    }

    pub(crate) fn inbox(&self) -> &Scratch {
        &self.inbox
    }
}

#[napi]
impl NativeDisk {
    /// Opens the directory. JavaScript puts keys into `inbox` and writes into `outbox`; what comes back is in `inbox`.
    #[napi(constructor)]
    pub fn new(
        env: &Env,
        dir: String,
        options: NativeOptions,
        inbox: Uint8Array,
        outbox: Uint8Array,
        now: f64,
    ) -> napi::Result<Self> {
        let clock = Arc::new(ManualClock::new(now as u64));
        let tier = guard(env, || options::open(dir, &options, Arc::clone(&clock)))?.into();
        let open = Open { tier: RefCell::new(Some(tier)), clock, inbox: Scratch::new(inbox) };
        Ok(Self { open: Rc::new(open), outbox: Scratch::new(outbox), under_way: Gate::default() })
    }

    pub(crate) fn cache(&self) -> Result<Tier> {
        self.open.cache()
    }

    /// What the functions share with this object that it gives.
    pub(crate) fn open(&self) -> Rc<Open> {
        Rc::clone(&self.open)
    }

    /// The cache, with its clock set.
    pub(crate) fn at(&self, now: f64) -> Result<Tier> {
        self.open.at(now)
    }

    /// Whether the directory has no database: metadata `json`.
    #[napi]
    pub fn is_json(&self, env: &Env) -> napi::Result<bool> {
        guard(env, || Ok(self.cache()?.sqlite().is_none()))
    }

    /// Faults since the last call that no call was told of.
    #[napi]
    pub fn take_faults(&self, env: &Env) -> napi::Result<Vec<NativeFault>> {
        guard(env, || {
            let faults = on!(self.cache()?, cache => cache.take_faults());
            Ok(faults.into_iter().map(native_fault).collect())
        })
    }

    /// Lets go of the directory; on the thread pool, flushes what is still in memory and copies the log into the
    /// database. Calls that are under way finish. Gives the faults that nobody can be told of any more.
    #[napi(ts_return_type = "Promise<Array<NativeFault>>")]
    pub fn close(&self, env: &Env) -> napi::Result<Work<Vec<Error>, Vec<NativeFault>>> {
        let cache = guard(env, || Ok(self.open.tier.borrow_mut().take()))?;
        let close = |tier| on!(tier, cache => cache.settle_down().map(|()| cache.take_faults()));
        let close = move || cache.map_or(Ok(Vec::new()), close);
        Ok(job(close, |_, faults| Ok(faults.into_iter().map(native_fault).collect())))
    }
}

fn native_fault(fault: Error) -> NativeFault {
    NativeFault { code: fault.code().as_str().into(), message: fault.to_string() }
}
