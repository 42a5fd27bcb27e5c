//! The thread that does what no caller should wait for: checkpoints with their fsync, and batches of accesses.
//!
//! It starts with the first job and ends when its cache is dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::engine::Engine;
use super::meta::Db;
use super::{lock, patiently};
use crate::error::Result;

/// Pages in the log after which it is copied into the database.
const LOG_DUE: u32 = 1000;
/// Accesses written in one transaction: short enough that a writer beside it barely waits.
const BATCH: usize = 512;

#[derive(Clone, Copy)]
enum Job {
    Checkpoint,
    Accesses,
}

/// The way to the thread.
#[derive(Default)]
pub(super) struct Maintenance {
    worker: Mutex<Option<(Sender<Job>, JoinHandle<()>)>>,
    /// One job of each sort is under way at most.
    checkpointing: Arc<AtomicBool>,
    flushing: Arc<AtomicBool>,
}

impl Maintenance {
    /// After a commit that left so many pages in the log.
    pub fn log_grew(&self, engine: &Arc<Engine>, pages: u32) {
        if pages >= LOG_DUE && !self.checkpointing.swap(true, Ordering::AcqRel) {
            self.send(engine, Job::Checkpoint);
        }
    }

    /// When a batch of accesses is due.
    pub fn accesses_due(&self, engine: &Arc<Engine>) {
        if !self.flushing.swap(true, Ordering::AcqRel) {
            self.send(engine, Job::Accesses);
        }
    }

    fn send(&self, engine: &Arc<Engine>, job: Job) {
        let mut running = lock(&self.worker);
        let sent = running.as_ref().is_some_and(|(sender, _)| sender.send(job).is_ok());
        if !sent {
            let (fresh, receiver) = channel();
            let worker = Worker {
                engine: Arc::clone(engine),
                checkpointing: Arc::clone(&self.checkpointing),
                flushing: Arc::clone(&self.flushing),
            };
            let spawned = thread::Builder::new().name("tierce".into()).spawn(move || worker.run(&receiver));
            if let Ok(thread) = spawned
                && fresh.send(job).is_ok()
            {
                *running = Some((fresh, thread));
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
    checkpointing: Arc<AtomicBool>,
    flushing: Arc<AtomicBool>,
}

impl Worker {
    fn run(self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let (flag, outcome) = match job {
                Job::Checkpoint => {
                    (&self.checkpointing, self.engine.connect().and_then(|db| db.checkpoint()))
                }
                Job::Accesses => {
                    (&self.flushing, self.engine.connect().and_then(|db| flush(&self.engine, &db)))
                }
            };
            flag.store(false, Ordering::Release);
            if let Err(fault) = outcome {
                self.engine.report(fault); // the next commit asks again
            }
        }
    }
}

/// Writes the accesses that are noted, in short transactions.
pub(super) fn flush(engine: &Engine, db: &Db) -> Result<()> {
    loop {
        let batch = engine.accesses.take_some(BATCH);
        if batch.is_empty() {
            return Ok(());
        }
        let write = || -> Result<()> {
            let transaction = patiently(engine.lock_timeout, || db.begin())?;
            for (id, access) in &batch {
                transaction.touch(*id, access.tick, access.hits)?;
            }
            transaction.commit()
        };
        if let Err(why) = write() {
            engine.accesses.put_back(batch);
            return Err(why);
        }
    }
}
