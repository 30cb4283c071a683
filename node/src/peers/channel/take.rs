//! The end of a channel that takes: several ask, one task says it, and puts the answers together.

use crate::peers::TakeError;
use crate::peers::give::IDLE;
use bytes::BytesMut;
use sotto_node_core::peers::asking::Asking;
use sotto_protocol::peer::{MESSAGE_BYTES_MAX, Question};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use webrtc::data_channel::{DataChannel, DataChannelEvent};

/// A link that is silent while something is asked for: others have it too.
const SILENT: Duration = Duration::from_secs(6);

/// Questions that wait until there is room for them.
const WAITING_MAX: usize = 16;

/// What is asked for, and who waits for it.
struct Wish {
    question: Question,
    bytes: usize,
    tell: oneshot::Sender<Option<Vec<u8>>>,
}

/// A link over a channel, for who takes from it.
#[derive(Clone)]
pub(crate) struct Taking {
    wishes: mpsc::Sender<Wish>,
    shared: Arc<Shared>,
    round_trip: Option<Duration>,
    is_routed: bool,
}

#[derive(Default)]
struct Shared {
    /// Nothing more is wanted.
    done: Notify,
    /// The other end did what no honest device does.
    broke: AtomicBool,
}

/// What the task of a link has of it.
pub(super) struct Wishes {
    wishes: mpsc::Receiver<Wish>,
    shared: Arc<Shared>,
}

/// A link's end, and what its task serves.
pub(super) fn taking(round_trip: Option<Duration>, is_routed: bool) -> (Taking, Wishes) {
    let (tell, wishes) = mpsc::channel(WAITING_MAX);
    let shared = Arc::<Shared>::default();
    (Taking { wishes: tell, shared: Arc::clone(&shared), round_trip, is_routed }, Wishes { wishes, shared })
}

impl Taking {
    pub(crate) const fn is_routed(&self) -> bool {
        self.is_routed
    }

    pub(crate) const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    pub(crate) async fn ask(&self, question: Question, bytes: usize) -> Result<Vec<u8>, TakeError> {
        let (tell, told) = oneshot::channel();
        let asked = self.wishes.send(Wish { question, bytes, tell }).await;
        let answer = match asked {
            Ok(()) => told.await.ok(),
            Err(_) => None,
        };
        match answer {
            Some(Some(piece)) => Ok(piece),
            Some(None) => Err(TakeError::Gone),
            None if self.shared.broke.load(Ordering::Acquire) => {
                Err(TakeError::Broke("it sent what is no answer to what it was asked"))
            }
            None => Err(TakeError::Lost),
        }
    }

    pub(crate) fn close(&self) {
        self.shared.done.notify_one();
    }
}

/// Asks until nobody wishes any more or the link is gone; true if the device may be asked again.
pub(super) async fn serve(mut wishes: Wishes, channel: Arc<dyn DataChannel>) -> bool {
    let shared = Arc::clone(&wishes.shared);
    let mut asking = Asking::default();
    let mut heard = Instant::now();
    loop {
        let patience = if asking.waits() { SILENT } else { IDLE };
        tokio::select! {
            wish = wishes.wishes.recv(), if asking.has_room() => {
                let Some(Wish { question, bytes, tell }) = wish else { return false };
                if !asking.waits() {
                    heard = Instant::now();
                }
                let Some(message) = asking.ask(tell, question, bytes) else { return true };
                if channel.send(BytesMut::from(message.as_slice())).await.is_err() {
                    return true;
                }
            }
            event = channel.poll() => match event {
                Some(DataChannelEvent::OnMessage(message)) => {
                    heard = Instant::now();
                    let is_due = !message.is_string && message.data.len() <= MESSAGE_BYTES_MAX;
                    match asking.take(&message.data) {
                        // Who asked may not wait any more.
                        Ok(Some(answer)) if is_due => drop(answer.of.send(answer.came)),
                        Ok(None) if is_due => {}
                        _ => {
                            shared.broke.store(true, Ordering::Release);
                            return false;
                        }
                    }
                }
                Some(DataChannelEvent::OnClose | DataChannelEvent::OnClosing) | None => return true,
                Some(_) => {}
            },
            () = shared.done.notified() => return false,
            () = sleep_until(heard + patience) => return true,
        }
    }
}
