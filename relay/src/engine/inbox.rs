//! The committer's bounded queue: many sessions put in, one thread takes everything out at once.

use super::outbox::Outbox;
use super::request::Request;
use super::verifier::Verdict;
use super::{Admit, AdmitError, EngineUsage, Holders, Mark, May, Retained, Surveyed};
use crate::store::LogExport;
use sotto_protocol::ids::{AccountId, DeviceId, RequestId};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Names a session from its attachment to its end; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SessionId(pub(super) u64);

/// What reads the whole log, and what keeps its shards while it does.
pub(super) type Exported = (Arc<dyn LogExport>, Arc<()>);

/// One thing for the committer to do.
pub(super) enum Work {
    Attach {
        session: SessionId,
        account: AccountId,
        device: DeviceId,
        outbox: Arc<Outbox>,
    },
    Detach {
        session: SessionId,
    },
    Requests(Submission),
    Verdict(Box<Verdict>),
    Admit(Admit, oneshot::Sender<Result<(), AdmitError>>),
    May(May, oneshot::Sender<bool>),
    Usage(oneshot::Sender<EngineUsage>),
    /// Conversations from a place on, at most so many.
    Survey(usize, usize, oneshot::Sender<Vec<Surveyed>>),
    /// What each of some accounts has in the log.
    Held(Vec<AccountId>, oneshot::Sender<Vec<u64>>),
    /// The accounts that have at least so much there.
    Holders(u64, oneshot::Sender<Holders>),
    Export(oneshot::Sender<Exported>),
    Mark(oneshot::Sender<Mark>),
    Retain(oneshot::Sender<Retained>),
    /// A checkpoint was written, or not.
    Saved(Result<(), crate::store::StoreError>),
    Drain(oneshot::Sender<()>),
}

/// One request: the id to answer with, and for a slow one the permit that its answer gives back.
pub(super) type Asked = (RequestId, Request, Option<OwnedSemaphorePermit>);

/// What one session submitted at once, with the room it takes in the queues until it is answered.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) session: SessionId,
    pub(super) requests: Vec<Asked>,
    /// Given back when the batch that holds the requests is done.
    pub(super) room: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// See the module.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    /// Woken when something is queued.
    filled: Condvar,
}

#[derive(Default)]
struct State {
    work: Vec<Work>,
    closed: bool,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues work; gives it back if the committer has ended. What bounds the queue are the permits that a
    /// [`Submission`] carries; the other kinds are few.
    pub(super) fn put(&self, work: Work) -> Result<(), Work> {
        let mut state = self.lock();
        if state.closed {
            return Err(work);
        }
        let was_empty = state.work.is_empty();
        state.work.push(work);
        drop(state);
        if was_empty {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Takes everything, into an empty vector; waits at most `patience` while there is nothing.
    pub(super) fn take(&self, into: &mut Vec<Work>, patience: Duration) {
        let mut state = self.lock();
        if state.work.is_empty() {
            state = self.filled.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::swap(into, &mut state.work);
    }

    /// Takes nothing more, and gives back what is queued.
    pub(super) fn close(&self) -> Vec<Work> {
        let mut state = self.lock();
        state.closed = true;
        std::mem::take(&mut state.work)
    }
}
