//! The thread that does what no caller should wait for: checkpoints with their fsync, and batches of accesses.
//!
//! It starts with the first job and ends when its cache is dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::db::{Db, LogEnd};
use super::engine::Engine;
use super::transact::Alone;
use super::{lock, patiently};
use crate::error::{Code, Result};

/// Accesses written in one transaction: short enough that a writer beside it barely waits.
const BATCH: usize = 512;
/// After the last job, memory that is free goes back to the system.
const IDLE: Duration = Duration::from_millis(500);

#[derive(Clone, Copy)]
enum Job {
    Checkpoint(Option<LogEnd>),
    Accesses,
    Examine,
    Drain,
}

/// The way to the thread.
#[derive(Default)]
pub(super) struct Maintenance {
    worker: Mutex<Option<(Sender<Job>, JoinHandle<()>)>>,
    /// One job of each sort waits at most.
    checkpoint_waits: Arc<AtomicBool>,
    accesses_wait: Arc<AtomicBool>,
    drain_waits: Arc<AtomicBool>,
}

impl Maintenance {
    /// After a commit.
    pub fn committed(&self, engine: &Arc<Engine>) {
        if let Some(end) = engine.log.is_due()
            && !self.checkpoint_waits.swap(true, Ordering::AcqRel)
        {
            self.send(engine, Job::Checkpoint(end));
        }
    }

    /// After much was removed: what is free goes back to the file system.
    pub fn emptied(&self, engine: &Arc<Engine>) {
        if !self.checkpoint_waits.swap(true, Ordering::AcqRel) {
            self.send(engine, Job::Checkpoint(None));
        }
    }

    /// When a batch of accesses is due.
    pub fn accesses_due(&self, engine: &Arc<Engine>) {
        if !self.accesses_wait.swap(true, Ordering::AcqRel) {
            self.send(engine, Job::Accesses);
        }
    }

    /// When something is in the journal.
    pub fn journal_filled(&self, engine: &Arc<Engine>) {
        if engine.journaling.is_filled() && !self.drain_waits.swap(true, Ordering::AcqRel) {
            self.send(engine, Job::Drain);
        }
    }

    /// When a damaged row was met, or a damaged journal.
    pub fn damage_met(&self, engine: &Arc<Engine>) {
        if engine.journaling.take_suspicion() {
            self.journal_filled(engine);
        }
        if engine.suspicion.swap(false, Ordering::AcqRel) {
            self.send(engine, Job::Examine);
        }
    }

    fn send(&self, engine: &Arc<Engine>, job: Job) {
        let mut running = lock(&self.worker);
        let sent = running.as_ref().is_some_and(|(sender, _)| sender.send(job).is_ok());
        if !sent {
            let (fresh, receiver) = channel();
            let worker = Worker {
                engine: Arc::clone(engine),
                checkpoint_waits: Arc::clone(&self.checkpoint_waits),
                accesses_wait: Arc::clone(&self.accesses_wait),
                drain_waits: Arc::clone(&self.drain_waits),
            };
            let spawned = thread::Builder::new().name("tierce".into()).spawn(move || worker.run(&receiver));
            match spawned {
                Ok(thread) if fresh.send(job).is_ok() => *running = Some((fresh, thread)),
                // The next one tries again.
                _ => match job {
                    Job::Checkpoint(_) => self.checkpoint_waits.store(false, Ordering::Release),
                    Job::Accesses => self.accesses_wait.store(false, Ordering::Release),
                    Job::Examine => engine.suspicion.store(true, Ordering::Release),
                    Job::Drain => self.drain_waits.store(false, Ordering::Release),
                },
            }
        }
    }

    /// Waits until the jobs are done and the thread has let go of the directory. The next job starts another.
    pub fn stop(&self) {
        let running = lock(&self.worker).take();
        if let Some((sender, thread)) = running {
            drop(sender);
            let _ = thread.join(); // a panic there was reported on its own thread
        }
    }
}

struct Worker {
    engine: Arc<Engine>,
    checkpoint_waits: Arc<AtomicBool>,
    accesses_wait: Arc<AtomicBool>,
    drain_waits: Arc<AtomicBool>,
}

impl Worker {
    fn run(self, jobs: &Receiver<Job>) {
        while let Some(job) = next(jobs) {
            if self.engine.dropped.load(Ordering::Relaxed) {
                break;
            }
            // Before the work: what comes up during it asks again, and a panic stops no later job.
            let outcome = match job {
                Job::Checkpoint(end) => {
                    self.checkpoint_waits.store(false, Ordering::Release);
                    self.engine.connect().and_then(|db| {
                        self.engine.copy_log(Some(&db), end)?;
                        self.engine.give_back(&db)
                    })
                }
                Job::Accesses => {
                    self.accesses_wait.store(false, Ordering::Release);
                    self.engine
                        .settled()
                        .and_then(|()| self.engine.connect())
                        .and_then(|db| flush(&self.engine, Some(&db)))
                }
                Job::Examine => self.engine.examine(),
                Job::Drain => {
                    self.drain_waits.store(false, Ordering::Release);
                    self.engine.settle_behind()
                }
            };
            if let Err(fault) = outcome {
                self.engine.report(fault); // the next commit asks again
            }
        }
    }
}

/// The next job. Where none comes for a while after another, what that one's time left is given back first: pages of large
/// transactions, of many values at once, of listings.
fn next(jobs: &Receiver<Job>) -> Option<Job> {
    match jobs.recv_timeout(IDLE) {
        Err(RecvTimeoutError::Timeout) => {
            give_memory_back();
            jobs.recv().ok()
        }
        job => job.ok(),
    }
}

/// The allocator of glibc keeps what was freed between what was not.
fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "a call of the C library")]
    // SAFETY: it takes the allocator's own locks, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Writes the accesses that are noted, in short transactions. A reader of everything changes every page, so the log is
/// kept short on the way. Over this connection, or the one that writes.
pub(super) fn flush(engine: &Engine, db: Option<&Db>) -> Result<()> {
    for batch in engine.accesses.all().chunks(BATCH) {
        let write = || {
            engine.on(db, |db| {
                let transaction = patiently(engine.lock_timeout, || db.begin())?;
                for (id, access) in batch {
                    transaction.touch(*id, access.tick, access.hits)?;
                }
                engine.cover(db, Alone::No)?;
                transaction.commit()?;
                engine.log.grew(db.wal_pages());
                Ok(())
            })
        };
        match write() {
            Err(why) if why.code() == Code::StorageFull => {
                engine.copy_log(db, Some(LogEnd::Cut))?;
                write()?;
            }
            outcome => outcome?,
        }
        engine.accesses.flushed(batch);
        if engine.log.is_due().is_some() {
            engine.copy_log(db, None)?;
        }
    }
    Ok(())
}
