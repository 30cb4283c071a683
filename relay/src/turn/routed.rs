//! A WebSocket beside the API, for nodes whose network lets no UDP out (P-080): each message is what a datagram would be.

use super::client::{SharedClient, lock};
use super::connection::{self, Arrived, Reads, Writes};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use sotto_signaling::gateway::{GatewayConnection, Incoming, Outgoing};

/// Serves one until it ends.
pub(super) async fn serve(arrived: Arrived, connection: GatewayConnection) {
    let GatewayConnection { incoming, outgoing, .. } = connection;
    let reads = MessageReads { incoming, message: Bytes::new() };
    connection::serve(arrived, reads, MessageWrites(outgoing)).await;
}

struct MessageReads {
    incoming: Incoming,
    message: Bytes,
}

impl Reads for MessageReads {
    async fn wait(&mut self) -> bool {
        match self.incoming.next().await {
            Some(Ok(message)) => {
                self.message = message;
                true
            }
            Some(Err(_)) | None => false,
        }
    }

    fn hand_on(&mut self, client: &SharedClient) -> bool {
        // What is no TURN is passed over, as in a datagram.
        lock(client).client_sent(&self.message);
        true
    }
}

struct MessageWrites(Outgoing);

impl Writes for MessageWrites {
    async fn write(&mut self, packets: &mut Vec<Vec<u8>>) -> bool {
        for packet in packets.drain(..) {
            if self.0.feed(packet.into()).await.is_err() {
                return false;
            }
        }
        self.0.flush().await.is_ok()
    }

    async fn end(&mut self) {
        let _ = self.0.close().await;
    }
}
