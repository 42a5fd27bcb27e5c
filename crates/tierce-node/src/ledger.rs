//! The ledger as a class: `src/memory/ledger.ts` logs what happens to its slots and reads the victims.

use napi::Env;
use napi::bindgen_prelude::Uint32Array;
use napi_derive::napi;
use tierce::memory::{Ledger, LedgerError};
use tierce::policy::{Policy as _, PolicyKind};
use tierce::{Code, Error};
use tierce_napi::guard;

use crate::scratch::Words;

/// A policy over slots. Its two arrays belong to JavaScript: `log` is what happened, `out` is what the last call gives.
#[napi]
pub struct NativeLedger {
    ledger: Ledger,
    log: Words,
    out: Words,
    /// Slots that `out` had no room for so far, the last one first.
    waiting: Vec<u32>,
    found: Vec<u32>,
}

fn broken(error: LedgerError) -> Error {
    Error::new(Code::Internal, error.to_string())
}

#[napi]
impl NativeLedger {
    /// A ledger for the policy of that name, with room for `capacity` units of weight.
    #[napi(constructor)]
    pub fn new(
        env: &Env,
        policy: String,
        capacity: f64,
        log: Uint32Array,
        out: Uint32Array,
    ) -> napi::Result<Self> {
        guard(env, || {
            let kind: PolicyKind =
                policy.parse().map_err(|error| Error::new(Code::InvalidOption, format!("{error}")))?;
            let ledger = Ledger::new(kind, capacity as u64);
            let (log, out) = (Words::new(log), Words::new(out));
            Ok(Self { ledger, log, out, waiting: Vec::new(), found: Vec::new() })
        })
    }

    /// Reads the first `words` of the log. Gives the number of victims: the first ones are in `out`, the others come
    /// with `rest`.
    #[napi]
    pub fn drain(&mut self, env: &Env, words: u32) -> napi::Result<u32> {
        guard(env, || {
            let log = self.log.words().get(..words as usize).unwrap_or_default();
            self.found.clear();
            let outcome = self.ledger.drain(log, &mut self.found);
            // A slot that was freed and taken again further on in the log is named for what it was.
            let policy = self.ledger.policy();
            self.found.retain(|&slot| !policy.contains(slot));
            let count = self.hand_out();
            outcome.map(|()| count).map_err(broken)
        })
    }

    /// The next victims that `out` had no room for; gives how many.
    #[napi]
    pub fn rest(&mut self, env: &Env) -> napi::Result<u32> {
        guard(env, || {
            self.found.clear();
            while let Some(slot) = self.waiting.pop() {
                self.found.push(slot);
            }
            Ok(self.hand_out())
        })
    }

    /// Fills `out` with at most `count` slots that may be given up without asking, in order; gives how many.
    #[napi]
    pub fn refill(&mut self, env: &Env, count: u32) -> napi::Result<u32> {
        guard(env, || {
            self.found = self.ledger.candidates(count as usize);
            Ok(self.hand_out())
        })
    }

    /// Changes the capacity. Gives the number of victims, as `drain`.
    #[napi]
    pub fn resize(&mut self, env: &Env, capacity: f64) -> napi::Result<u32> {
        guard(env, || {
            self.found.clear();
            self.ledger.policy_mut().set_capacity(capacity as u64, &mut self.found);
            Ok(self.hand_out())
        })
    }

    /// The uses of a slot, where the policy counts them; 0 elsewhere.
    #[napi]
    pub fn uses_of(&self, env: &Env, slot: u32) -> napi::Result<u32> {
        guard(env, || Ok(self.ledger.policy().uses(slot)))
    }

    /// Sets the uses of a slot.
    #[napi]
    pub fn restore_uses(&mut self, env: &Env, slot: u32, uses: u32) -> napi::Result<()> {
        guard(env, || {
            self.ledger.policy_mut().restore_uses(slot, uses);
            Ok(())
        })
    }

    /// The slots in the order of eviction.
    #[napi]
    pub fn order(&self, env: &Env) -> napi::Result<Uint32Array> {
        guard(env, || Ok(self.ledger.policy().order().into()))
    }

    /// Forgets all slots and all history.
    #[napi]
    pub fn clear(&mut self, env: &Env) -> napi::Result<()> {
        guard(env, || {
            self.waiting.clear();
            self.ledger.policy_mut().clear();
            Ok(())
        })
    }

    /// What the slots weigh, and how many there are, as `[weight, entries, bytes of native memory]`.
    #[napi]
    pub fn account(&self, env: &Env) -> napi::Result<Vec<f64>> {
        guard(env, || {
            let policy = self.ledger.policy();
            Ok(vec![policy.weight() as f64, policy.len() as f64, policy.memory() as f64])
        })
    }

    /// What is wrong with the policy's own account, for tests; empty when nothing is.
    #[napi]
    pub fn check(&self, env: &Env) -> napi::Result<String> {
        guard(env, || Ok(self.ledger.policy().check().err().unwrap_or_default()))
    }
}

impl NativeLedger {
    /// Copies what was found to `out`, and keeps what does not fit; gives the whole number.
    fn hand_out(&mut self) -> u32 {
        let out = self.out.words_mut();
        let now = self.found.len().min(out.len());
        out[..now].copy_from_slice(&self.found[..now]);
        self.waiting.extend(self.found[now..].iter().rev());
        self.found.len() as u32
    }
}
