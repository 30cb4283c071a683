//! Small pools of threads for what the committer does not do itself.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Hands jobs to a pool; the threads end when it is gone and every job is done.
#[derive(Debug)]
pub(super) struct Pool<J> {
    jobs: Sender<J>,
}

impl<J: Send + 'static> Pool<J> {
    /// Starts `threads` threads that call `work` for each job. What bounds the queue are the permits in the jobs.
    pub(super) fn start(
        name: &str,
        threads: usize,
        work: impl Fn(J) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = channel();
        let queue: Arc<Mutex<Receiver<J>>> = Arc::new(Mutex::new(queue));
        let work = Arc::new(work);
        for number in 0..threads.max(1) {
            let (queue, work) = (queue.clone(), work.clone());
            thread::Builder::new().name(format!("sotto-{name}-{number}")).spawn(move || {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = job else { return };
                    work(job);
                }
            })?;
        }
        Ok(Self { jobs })
    }

    pub(super) fn put(&self, job: J) {
        // Cannot fail while a thread lives, and they live as long as this does.
        let _ = self.jobs.send(job);
    }
}
