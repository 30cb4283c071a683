//! TCP, and TLS on it: one connection for each client, its bytes cut into messages.

use super::Lending;
use super::client::{Back, Client, lock};
use crate::admission::Admission;
use crate::web::{Accepted, accept, told};
use bytes::BytesMut;
use sotto_relay_core::turn::stream::take_message;
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
                        Err(_) => break 'open,
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
