//! One attached device, seen from its connection.

use super::inbox::{SessionId, Submission, Work};
use super::outbox::{Closed, Outbound, Outbox};
use super::{Shared, request};
use bytes::Bytes;
use sotto_protocol::frame::{self, Frame, HEADER_BYTES};
use sotto_protocol::ids::{AccountId, DeviceId, RequestId};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The unit in which room in the queues is counted.
pub(super) const ROOM_UNIT_BYTES: usize = 1024;

/// What one session may have in the committer's queue: two of the largest frames, so that one busy device
/// never takes the room of all.
const SESSION_QUEUE_BYTES_MAX: usize = 2 * sotto_protocol::limits::FRAME_BODY_BYTES_MAX;

/// Slow requests (fetches, commits) that a session may have unanswered; the next one waits. Together with the
/// limit of the outbound queue this bounds what answers to one session may take.
const SLOW_REQUESTS_MAX: usize = 8;

pub(super) fn room_units(bytes: usize) -> u32 {
    u32::try_from(bytes / ROOM_UNIT_BYTES).unwrap_or(u32::MAX >> 4).clamp(1, u32::MAX >> 4)
}

/// Where a connection's task hands in what it read. Clones share the session.
#[derive(Clone)]
pub struct SessionHandle {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    id: SessionId,
    outbox: Arc<Outbox>,
    room: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

pub(super) fn attach(
    shared: Arc<Shared>,
    id: SessionId,
    account: AccountId,
    device: DeviceId,
) -> (SessionHandle, Outbound) {
    let outbox = Arc::new(Outbox::default());
    if shared.inbox.put(Work::Attach { session: id, account, device, outbox: outbox.clone() }).is_err() {
        outbox.close();
    }
    let inner = Inner {
        shared,
        id,
        outbox: outbox.clone(),
        room: Arc::new(Semaphore::new(room_units(SESSION_QUEUE_BYTES_MAX) as usize)),
        slow: Arc::new(Semaphore::new(SLOW_REQUESTS_MAX)),
    };
    (SessionHandle { inner: Arc::new(inner) }, Outbound { outbox })
}

impl SessionHandle {
    /// Hands in frames of the kinds 0x20 to 0x3a, in order; answers come out of the session's [`Outbound`].
    /// Waits while the engine's queue is full or the receiver does not take what it has asked for, so that
    /// the connection stops reading.
    ///
    /// A frame that is no request, malformed or over its limits is answered at once.
    ///
    /// # Errors
    /// If the session or the engine has ended.
    pub async fn submit(&self, frames: Vec<Frame>) -> Result<(), Closed> {
        let inner = &*self.inner;
        inner.outbox.room().await?;
        let mut requests = Vec::with_capacity(frames.len());
        let mut bytes = 0usize;
        for frame in frames {
            let id = frame.header.id;
            bytes = bytes.saturating_add(frame.body.len()).saturating_add(HEADER_BYTES);
            match request::read(&frame) {
                Ok(request) if request.is_slow() => {
                    // What came before must be on its way, or the permits waited for might never be given back.
                    self.queue(&mut requests, &mut bytes).await?;
                    inner.outbox.room().await?;
                    let permit = inner.slow.clone().acquire_owned().await.map_err(|_| Closed)?;
                    requests.push((id, request, Some(permit)));
                }
                Ok(request) => requests.push((id, request, None)),
                Err(error) => self.refuse(id, &error),
            }
            if bytes >= SESSION_QUEUE_BYTES_MAX / 4 {
                self.queue(&mut requests, &mut bytes).await?;
            }
        }
        self.queue(&mut requests, &mut bytes).await
    }

    /// Queues bytes of the connection's own (answers about keys, a pong) behind what is queued already.
    pub fn reply(&self, frames: Bytes) {
        self.inner.outbox.push([frames]);
    }

    async fn queue(&self, requests: &mut Vec<super::inbox::Asked>, bytes: &mut usize) -> Result<(), Closed> {
        if requests.is_empty() {
            return Ok(());
        }
        let inner = &*self.inner;
        let units = room_units(std::mem::take(bytes).saturating_add(ROOM_UNIT_BYTES));
        let own = units.min(room_units(SESSION_QUEUE_BYTES_MAX));
        let all = units.min(inner.shared.room_units);
        let own = inner.room.clone().acquire_many_owned(own).await.map_err(|_| Closed)?;
        let all = inner.shared.room.clone().acquire_many_owned(all).await.map_err(|_| Closed)?;
        let submission =
            Submission { session: inner.id, requests: std::mem::take(requests), room: (own, all) };
        inner.shared.inbox.put(Work::Requests(submission)).map_err(|_| Closed)
    }

    fn refuse(&self, id: RequestId, error: &sotto_protocol::error::WireError) {
        if let Some(code) = error.code() {
            self.inner.shared.metrics.refused(code);
        }
        self.reply(frame::encode(id, error));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.outbox.close();
        // An error means that the committer has ended and knows no sessions any more.
        let _ = self.shared.inbox.put(Work::Detach { session: self.id });
    }
}
