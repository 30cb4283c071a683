//! Small pools of threads for what the committer does not do itself.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Hands jobs to a pool of threads; dropping it waits until every job is done and the threads have ended.
#[derive(Debug)]
pub(super) struct Pool<J> {
    /// `None` only while it is dropped.
    jobs: Option<Sender<J>>,
    threads: Vec<JoinHandle<()>>,
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
        let start = |number| {
            let (queue, work) = (queue.clone(), work.clone());
            thread::Builder::new().name(format!("sotto-{name}-{number}")).spawn(move || {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = job else { return };
                    work(job);
                }
            })
        };
        let threads = (0..threads.max(1)).map(start).collect::<std::io::Result<_>>()?;
        Ok(Self { jobs: Some(jobs), threads })
    }

    pub(super) fn put(&self, job: J) {
        if let Some(jobs) = &self.jobs {
            // Cannot fail while a thread lives, and they live as long as this does.
            let _ = jobs.send(job);
        }
    }
}

impl<J> Drop for Pool<J> {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so; there is nothing to wait for.
            let _ = thread.join();
        }
    }
}
