//! TCP, and TLS on it: one connection for each client, its bytes cut into messages.

use super::Lending;
use super::client::{SharedClient, lock};
use super::connection::{self, Arrived, Reads, Writes};
use super::messages::is_channel_data;
use crate::admission::Admission;
use crate::web::{Accepted, Stream, accept};
use bytes::BytesMut;
use sotto_relay_core::turn::stream::take_message;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

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
    let Accepted { stream, remote, encrypted, stop } = accepted;
    let (incoming, outgoing) = tokio::io::split(stream);
    let transport = if encrypted { "tls" } else { "tcp" };
    let arrived = Arrived { lending, transport, remote, listen, session: None, stop };
    let reads = StreamReads { incoming, bytes: BytesMut::new() };
    connection::serve(arrived, reads, StreamWrites { outgoing, encrypted }).await;
}

struct StreamReads {
    incoming: ReadHalf<Box<dyn Stream>>,
    bytes: BytesMut,
}

impl Reads for StreamReads {
    async fn wait(&mut self) -> bool {
        self.incoming.read_buf(&mut self.bytes).await.is_ok_and(|length| length > 0)
    }

    fn hand_on(&mut self, client: &SharedClient) -> bool {
        loop {
            let mut client = lock(client);
            match take_message(&mut self.bytes, client.borrows()) {
                Ok(Some(message)) => client.client_sent(&message),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }
}

struct StreamWrites {
    outgoing: WriteHalf<Box<dyn Stream>>,
    encrypted: bool,
}

impl StreamWrites {
    async fn try_write(&mut self, packets: &mut Vec<Vec<u8>>) -> io::Result<()> {
        for packet in packets.iter_mut().filter(|packet| is_channel_data(packet)) {
            // On a stream each message ends at a multiple of four bytes (RFC 8656, 12.5).
            packet.resize(packet.len().next_multiple_of(4), 0);
        }
        // In TLS a record for each: there are clients, coturn's among them, that take a record for one message and
        // lose what follows in it.
        let pieces = if self.encrypted { std::mem::take(packets) } else { vec![packets.concat()] };
        packets.clear();
        for piece in &pieces {
            self.outgoing.write_all(piece).await?;
        }
        self.outgoing.flush().await
    }
}

impl Writes for StreamWrites {
    async fn write(&mut self, packets: &mut Vec<Vec<u8>>) -> bool {
        self.try_write(packets).await.is_ok()
    }

    async fn end(&mut self) {
        let _ = self.outgoing.shutdown().await;
    }
}
