//! The two tasks beside the loop, one for each direction of a connection, and how the loop waits for them.

use crate::transport::{LinkError, LinkReceiver, LinkSender};
use bytes::Bytes;
use sotto_protocol::frame::Frame;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Batches of frames that a reader may be ahead of the client.
const READ_AHEAD: usize = 16;

/// Frames that the writer may be behind the client before the loop takes no new commands.
pub(super) const WRITE_BEHIND: usize = 256;

pub(super) struct Writing {
    pub(super) frames: mpsc::Sender<Bytes>,
    pub(super) task: JoinHandle<()>,
}

pub(super) struct Reading {
    pub(super) frames: mpsc::Receiver<Result<Vec<Frame>, LinkError>>,
    pub(super) task: JoinHandle<()>,
}

impl Writing {
    pub(super) fn start(mut sender: LinkSender) -> Self {
        let (frames, mut waiting) = mpsc::channel::<Bytes>(WRITE_BEHIND);
        let task = tokio::spawn(async move {
            let mut batch = Vec::new();
            while waiting.recv_many(&mut batch, WRITE_BEHIND).await > 0 {
                if sender.send(&mut batch).await.is_err() {
                    // The reader sees the same end and says why.
                    return;
                }
            }
            sender.close().await;
        });
        Self { frames, task }
    }
}

impl Reading {
    pub(super) fn start(mut receiver: LinkReceiver) -> Self {
        let (tell, frames) = mpsc::channel(READ_AHEAD);
        let task = tokio::spawn(async move {
            loop {
                let mut got = Vec::new();
                let result = receiver.receive(&mut got).await;
                // Whole frames that came before the end still count.
                if !got.is_empty() && tell.send(Ok(got)).await.is_err() {
                    return;
                }
                if let Err(error) = result {
                    let _ = tell.send(Err(error)).await;
                    return;
                }
            }
        });
        Self { frames, task }
    }
}

/// Room at the writer; never, while there is no connection.
pub(super) async fn reserve(writing: &Option<Writing>) -> Option<mpsc::OwnedPermit<Bytes>> {
    match writing {
        Some(writing) => match writing.frames.clone().reserve_owned().await {
            Ok(permit) => Some(permit),
            // The writer has ended; the reader says why.
            Err(_) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// What the reader has; never, while there is no connection.
pub(super) async fn read(reading: &mut Option<Reading>) -> Option<Result<Vec<Frame>, LinkError>> {
    match reading {
        Some(reading) => reading.frames.recv().await,
        None => std::future::pending().await,
    }
}

/// The result of a task; never, while there is none. `None` if it was aborted.
pub(super) async fn finished<T>(task: &mut Option<JoinHandle<T>>) -> Option<T> {
    match task {
        Some(task) => task.await.ok(),
        None => std::future::pending().await,
    }
}
