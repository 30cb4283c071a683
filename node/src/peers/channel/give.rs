//! The end of a channel that gives: questions in, answers out in messages, one answer after the other.

use crate::peers::give::{Giver, IDLE, PATIENCE};
use bytes::{Bytes, BytesMut};
use futures_util::future::{BoxFuture, Fuse, FusedFuture as _};
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt as _, StreamExt as _};
use sotto_node_core::peers::asking::AT_ONCE;
use sotto_protocol::peer::{HEAD_BYTES, MESSAGE_BYTES_MAX, Status, read_asking};
use std::sync::Arc;
use tokio::time::{Instant, sleep_until, timeout};
use webrtc::data_channel::{DataChannel, DataChannelEvent};

/// Answers until nobody asks any more, or somebody asks what no honest device does.
pub(super) async fn serve(giver: Giver, channel: Arc<dyn DataChannel>) {
    let mut pieces = FuturesOrdered::new();
    let mut sending: Fuse<BoxFuture<'static, bool>> = Fuse::terminated();
    // Asked, and not answered to the end.
    let mut open = 0_usize;
    let mut idle_at = Instant::now() + IDLE;
    loop {
        let is_sending = !sending.is_terminated();
        tokio::select! {
            event = channel.poll() => match event {
                Some(DataChannelEvent::OnMessage(message)) => {
                    let Some((number, question)) = read_asking(&message.data) else { return };
                    open = open.saturating_add(1);
                    if message.is_string || open > AT_ONCE {
                        return;
                    }
                    idle_at = Instant::now() + IDLE;
                    let giver = giver.clone();
                    pieces.push_back(async move { (number, giver.piece(question).await) }.boxed());
                }
                Some(DataChannelEvent::OnClose | DataChannelEvent::OnClosing) | None => return,
                Some(_) => {}
            },
            Some((number, piece)) = pieces.next(), if !is_sending => {
                sending = send(Arc::clone(&channel), number, piece).boxed().fuse();
            }
            sent = &mut sending, if is_sending => {
                if !sent {
                    return;
                }
                open = open.saturating_sub(1);
                idle_at = Instant::now() + IDLE;
            }
            () = sleep_until(idle_at), if open == 0 => return,
        }
    }
}

/// Sends the messages of an answer as the line takes them; false if it does not.
async fn send(channel: Arc<dyn DataChannel>, number: u32, piece: Option<Bytes>) -> bool {
    let status = if piece.is_some() { Status::Here } else { Status::Gone };
    let piece = piece.unwrap_or_default();
    let message = |part: &[u8]| {
        let mut message = BytesMut::with_capacity(HEAD_BYTES + part.len());
        message.extend_from_slice(&number.to_be_bytes());
        message.extend_from_slice(&[status.to_byte()]);
        message.extend_from_slice(part);
        message
    };
    let sent = async {
        if piece.is_empty() {
            channel.send(message(&[])).await?;
        }
        for part in piece.chunks(MESSAGE_BYTES_MAX - HEAD_BYTES) {
            channel.send(message(part)).await?;
        }
        webrtc::error::Result::Ok(())
    };
    matches!(timeout(PATIENCE, sent).await, Ok(Ok(())))
}
