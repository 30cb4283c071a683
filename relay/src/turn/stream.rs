//! TCP, and TLS on it: one connection for each client, its bytes cut into messages.

use super::Lending;
use super::client::{Back, Client, lock};
use crate::admission::Admission;
use crate::web::{Accepted, accept, told};
use bytes::{Bytes, BytesMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, WriteHalf};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

/// How often it is looked whether the client still has a reason to be here.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Packets that wait for a client's connection. More are dropped, as datagrams are.
const WAITING_MAX: usize = 256;

/// Packets that are written at once.
const WRITTEN_AT_ONCE: usize = 32;

/// What a client that takes nothing may hold up its connection.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// The header of STUN, and what begins its second half (RFC 8489, 5).
const STUN_HEADER_BYTES: usize = 20;
const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Bytes that are no STUN and no channel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NotTurn;

/// Takes the first message of a stream, if it is there whole. None is longer than 64 KiB: its length has 16 bits. Who borrows
/// nothing has no channels; much that is no TURN would look like one.
fn take_message(stream: &mut BytesMut, borrows: bool) -> Result<Option<Bytes>, NotTurn> {
    let Some(&[first, _, high, low]) = stream.first_chunk::<4>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let (whole, padded) = match first {
        0x40..0x80 if borrows => (4 + length, (4 + length).next_multiple_of(4)),
        0..4 if length.is_multiple_of(4) => {
            let cookie = stream.get(4..8);
            if cookie.is_some_and(|cookie| cookie != STUN_COOKIE) {
                return Err(NotTurn);
            }
            (STUN_HEADER_BYTES + length, STUN_HEADER_BYTES + length)
        }
        _ => return Err(NotTurn),
    };
    if stream.len() < padded {
        stream.reserve(padded - stream.len());
        return Ok(None);
    }
    let mut message = stream.split_to(padded);
    message.truncate(whole);
    Ok(Some(message.freeze()))
}

/// Serves until `stop` turns true. What was lent ends with it.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    lending: Arc<Lending>,
    admission: Admission,
    stop: watch::Receiver<bool>,
) {
    let Ok(listen) = listener.local_addr() else { return };
    accept(listener, tls, admission, "TURN", stop, move |accepted| {
        connection(accepted, listen, lending.clone())
    })
    .await;
}

async fn connection(accepted: Accepted, listen: SocketAddr, lending: Arc<Lending>) {
    let Accepted { stream, remote, encrypted, mut stop } = accepted;
    let transport = if encrypted { "tls" } else { "tcp" };
    let (mut incoming, outgoing) = tokio::io::split(stream);
    let (sender, waiting) = mpsc::channel(WAITING_MAX);
    let client = Client::new(lending, Back::Stream(sender), transport, remote, listen);
    let mut writer = tokio::spawn(write(outgoing, waiting, encrypted));
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut bytes = BytesMut::new();
    'open: loop {
        tokio::select! {
            () = told(&mut stop) => break,
            _ = &mut writer => return,
            _ = look.tick() => if !lock(&client).tick() {
                break;
            },
            read = incoming.read_buf(&mut bytes) => {
                if !read.is_ok_and(|length| length > 0) {
                    break;
                }
                loop {
                    let mut client = lock(&client);
                    match take_message(&mut bytes, client.borrows()) {
                        Ok(Some(message)) => client.client_sent(&message),
                        Ok(None) => break,
                        Err(NotTurn) => break 'open,
                    }
                }
            },
        }
    }
    // With the client its sender goes; what it has said is still written.
    drop(client);
    let _ = writer.await;
}

/// Writes what is said to a client until nobody can say anything any more, or it takes nothing.
async fn write<S: AsyncWrite>(
    mut outgoing: WriteHalf<S>,
    mut waiting: mpsc::Receiver<Vec<u8>>,
    encrypted: bool,
) {
    let mut packets = Vec::with_capacity(WRITTEN_AT_ONCE);
    while waiting.recv_many(&mut packets, WRITTEN_AT_ONCE).await > 0 {
        // In TLS a record for each: there are clients, coturn's among them, that take a record for one message and
        // lose what follows in it.
        let pieces = if encrypted { std::mem::take(&mut packets) } else { vec![packets.concat()] };
        packets.clear();
        let written = async {
            for piece in &pieces {
                outgoing.write_all(piece).await?;
            }
            outgoing.flush().await
        };
        if !matches!(tokio::time::timeout(WRITE_PATIENCE, written).await, Ok(Ok(()))) {
            return;
        }
    }
    // The other side may be gone already.
    let _ = outgoing.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stream_is_cut_into_messages_and_channel_data_loses_its_padding() {
        let stun = [&[0, 1, 0, 0], &STUN_COOKIE[..], &[7; 12]].concat();
        let channel = [0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0];
        let all = [&stun[..], &channel, &stun].concat();
        let mut stream = BytesMut::new();
        let mut taken = Vec::new();
        for byte in all {
            stream.extend_from_slice(&[byte]);
            taken.extend(take_message(&mut stream, true).unwrap());
        }
        assert_eq!(taken, [&stun[..], &channel[..9], &stun]);
        assert!(stream.is_empty());
    }

    #[test]
    fn what_is_no_turn_ends_the_connection() {
        for bytes in [&b"GET / HTTP/1.1"[..], &[0x16, 3, 1, 0], &[0, 1, 0, 3], &[0, 1, 0, 0, 1, 2, 3, 4]] {
            assert_eq!(take_message(&mut BytesMut::from(bytes), false), Err(NotTurn), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_cut_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut stream = BytesMut::from(&bytes[..]);
            while let Ok(Some(message)) = take_message(&mut stream, true) {
                prop_assert!(message.len() >= 4);
            }
        }
    }
}
