//! What waits to be written to one connection: answers, acknowledgements and pushes, as encoded frames.
//!
//! One writer per connection takes everything at once. Pushes are bounded (the [`Lane`] decides and the
//! conversation falls back to its cursor); answers are bounded by what the session may ask for at a time,
//! see [`super::SessionHandle::submit`].

use bytes::Bytes;
use sotto_protocol::limits::RECEIVER_QUEUE_BYTES_MAX;
use sotto_relay_core::delivery::Lane;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The connection, or the engine, has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the engine takes nothing more from this session")]
pub struct Closed;

/// The queue of one connection, shared by its writer, its reader and the committer.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    /// Woken when something is there to write.
    filled: Notify,
    /// Woken when something was taken.
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    chunks: Vec<Bytes>,
    bytes: usize,
    closed: bool,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic elsewhere cannot leave the queue half changed: every change below is one step.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How full the queue is, for a decision about one push.
    pub(super) fn lane(&self) -> Lane {
        Lane { queued_bytes: self.lock().bytes, limit_bytes: RECEIVER_QUEUE_BYTES_MAX }
    }

    /// Queues frames, whatever is queued already.
    pub(super) fn push(&self, chunks: impl IntoIterator<Item = Bytes>) {
        let mut queue = self.lock();
        if queue.closed {
            return;
        }
        for chunk in chunks {
            queue.bytes = queue.bytes.saturating_add(chunk.len());
            queue.chunks.push(chunk);
        }
        drop(queue);
        self.filled.notify_one();
    }

    /// Ends both directions.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
        self.emptied.notify_waiters();
        self.emptied.notify_one();
    }

    /// Waits until the queue is below its limit.
    pub(super) async fn room(&self) -> Result<(), Closed> {
        loop {
            {
                let queue = self.lock();
                if queue.closed {
                    return Err(Closed);
                }
                if queue.bytes < RECEIVER_QUEUE_BYTES_MAX {
                    return Ok(());
                }
            }
            // `notify_one` stores a permit, so a take between the check and this await is not missed.
            self.emptied.notified().await;
        }
    }

    async fn take(&self, into: &mut Vec<Bytes>) -> Result<(), Closed> {
        loop {
            {
                let mut queue = self.lock();
                if !queue.chunks.is_empty() {
                    if into.is_empty() {
                        std::mem::swap(into, &mut queue.chunks);
                    } else {
                        into.append(&mut queue.chunks);
                    }
                    queue.bytes = 0;
                    drop(queue);
                    self.emptied.notify_one();
                    return Ok(());
                }
                if queue.closed {
                    return Err(Closed);
                }
            }
            self.filled.notified().await;
        }
    }
}

/// The writing end of a session: whoever holds it writes what comes out to the connection, in order.
#[derive(Debug)]
pub struct Outbound {
    pub(super) outbox: Arc<Outbox>,
}

impl Outbound {
    /// Waits for encoded bytes and appends all that is queued to `into`. The chunks are whole frames when
    /// joined in order; a frame may lie across several chunks, so that receivers share its payload.
    ///
    /// # Errors
    /// When the session has ended and everything queued was taken.
    pub async fn recv(&mut self, into: &mut Vec<Bytes>) -> Result<(), Closed> {
        self.outbox.take(into).await
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.outbox.close();
    }
}
