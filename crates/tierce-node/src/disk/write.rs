//! Writes, a batch in one transaction, and the notes of accesses.

use napi::Env;
use napi::bindgen_prelude::{Buffer, Uint8Array};
use napi_derive::napi;
use tierce::{Code, Result, Wait};
use tierce_napi::{Work, guard, job};

use super::NativeDisk;
use crate::on;
use crate::tier::Tier;
use crate::wire::{Reader, outcomes, put_outcomes};

/// `apply`: another writer is at work.
const BUSY: i32 = -3;

#[napi]
impl NativeDisk {
    /// Applies the writes in `outbox[0, length)` in one transaction without waiting. Gives 0, with their outcomes in
    /// the inbox, or -3 when it would have to wait: use `write`.
    #[napi]
    pub fn apply(&self, env: &Env, length: u32, now: f64) -> napi::Result<i32> {
        guard(env, || {
            let cache = self.at(now)?;
            let applied = self.outbox.with(|bytes| {
                let writes = Reader(Reader(bytes).bytes(length as usize)?).writes(&[] as &[&[u8]])?;
                on!(&cache, cache => cache.apply(&writes, Wait::No))
            });
            let written = match applied {
                Err(busy) if busy.code() == Code::LockTimeout => return Ok(BUSY),
                applied => applied?,
            };
            self.open.inbox.with(|bytes| put_outcomes(&written, bytes));
            Ok(0)
        })
    }

    /// Applies writes in one transaction on the thread pool, waiting for other writers. Gives the outcomes.
    #[napi(ts_return_type = "Promise<Buffer>")]
    pub fn write(
        &self,
        env: &Env,
        writes: Uint8Array,
        blobs: Vec<Uint8Array>,
        now: f64,
    ) -> napi::Result<Work<Vec<u8>, Buffer>> {
        let cache = guard(env, || self.at(now))?;
        let under_way = self.under_way.enter();
        let write = move || {
            let _ends = under_way;
            write(&cache, &writes, &blobs)
        };
        Ok(job(write, |_, outcomes| Ok(outcomes.into())))
    }

    /// As `write`, on the calling thread, after the batches that are under way.
    #[napi]
    pub fn write_sync(
        &self,
        env: &Env,
        writes: Uint8Array,
        blobs: Vec<Uint8Array>,
        now: f64,
    ) -> napi::Result<Buffer> {
        guard(env, || {
            let cache = self.at(now)?;
            self.under_way.wait();
            write(&cache, &writes, &blobs)
        })
        .map(Buffer::from)
    }

    /// Notes accesses of the memory tier: `count` row ids as `i64` with their hits as `u32` in the
    /// inbox, the least recent first.
    #[napi]
    pub fn touch(&self, env: &Env, count: u32, now: f64) -> napi::Result<()> {
        guard(env, || {
            let cache = self.at(now)?;
            let accesses = self.open.inbox.with(|bytes| {
                let mut accesses = Reader(bytes);
                (0..count).map(|_| Ok((accesses.i64()?, accesses.u32()?))).collect::<Result<Vec<_>>>()
            });
            let accesses = accesses?;
            on!(cache, cache => cache.note(accesses));
            Ok(())
        })
    }
}

fn write(tier: &Tier, writes: &[u8], blobs: &[Uint8Array]) -> Result<Vec<u8>> {
    let writes = Reader(writes).writes(blobs)?;
    Ok(outcomes(&on!(tier, cache => cache.apply(&writes, Wait::Yes))?))
}
