//! The one thread that writes.

use super::StoreError;
use super::table::{Overlay, Table};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Jobs in one batch at most, so that the first of many does not wait for all of them.
const JOBS_PER_BATCH_MAX: usize = 1_024;

/// Jobs that wait at most; more are refused, so that a stuck disk does not fill the memory.
const JOBS_WAITING_MAX: usize = 16 * 1_024;

/// Tells the waiting caller: `Ok` when its batch is durable.
type Finish = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// One atomic operation: it changes the overlay and says how to tell the caller.
type Job = Box<dyn FnOnce(&mut Overlay<'_>) -> Result<Finish, Finish> + Send>;

/// A handle on the writing thread. Dropping the last one ends it after what is queued.
pub(super) struct Committer {
    jobs: Option<mpsc::SyncSender<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    /// Starts the thread.
    pub(super) fn start(table: Arc<impl Table>) -> Self {
        let (jobs, inbox) = mpsc::sync_channel(JOBS_WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("signaling-store".to_owned())
            .spawn(move || run(&*table, &inbox))
            .expect("the operating system grants one thread at start");
        Self { jobs: Some(jobs), thread: Mutex::new(Some(thread)) }
    }

    /// Runs `work` as one atomic step and answers when it is durable. If it fails, nothing of it is written.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Overlay<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |overlay| match work(overlay) {
            Ok(value) => Ok(Box::new(move |durable: Result<(), StoreError>| {
                // A caller that has gone away changes nothing: what is written is written.
                let _gone = answer.send(durable.map(|()| value));
            })),
            Err(error) => Err(Box::new(move |_| {
                let _gone = answer.send(Err(error));
            })),
        });
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        jobs.try_send(job).map_err(|refused| match refused {
            mpsc::TrySendError::Full(_) => {
                StoreError::Failed("too many operations wait for the disk".to_owned())
            }
            mpsc::TrySendError::Disconnected(_) => StoreError::Closed,
        })?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.jobs = None;
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // The thread ends when the queue is empty; a panic in it was reported when it happened.
        let _ended = thread.map(JoinHandle::join);
    }
}

fn run(table: &impl Table, inbox: &mpsc::Receiver<Job>) {
    while let Ok(first) = inbox.recv() {
        let mut batch = Overlay::new(table);
        let mut finish = Vec::new();
        let others = std::iter::from_fn(|| inbox.try_recv().ok());
        for job in std::iter::once(first).chain(others).take(JOBS_PER_BATCH_MAX) {
            let mut step = Overlay::new(&batch);
            let done = job(&mut step);
            let writes = step.into_writes();
            match done {
                Ok(done) => {
                    batch.absorb(writes);
                    finish.push(done);
                }
                Err(failed) => failed(Ok(())),
            }
        }
        let writes = batch.into_writes();
        let outcome = if writes.is_empty() { Ok(()) } else { table.apply(&writes) };
        for done in finish {
            done(outcome.clone());
        }
        // After a failed fsync nobody knows what is on disk: the queue closes and every caller learns it.
        if !matches!(outcome, Ok(()) | Err(StoreError::Full)) {
            return;
        }
    }
}
