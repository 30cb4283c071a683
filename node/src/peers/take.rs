//! Taking pieces of files from a device that has them. Whatever it sends, no more is read than the piece has, and no longer waited
//! than the slowest of lines takes; whether it is the file's, is for who asked to look at.

use super::channel::Taking;
use quinn::{Connection, ReadExactError};
use sotto_protocol::blob::BlobRoot;
use sotto_protocol::ids::{AccountId, DeviceId};
use sotto_protocol::peer::{Question, Status, Wanted};
use std::time::Duration;
use tokio::time::timeout;

/// How long one piece may take: 1 MiB at 420 kbit/s. Below it the relay is faster.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came of a question to the members.
pub(crate) enum News {
    /// A device has the file, and a link to it is being made.
    Coming,
    /// It stands.
    Link(Taker),
    /// No way to that device was found.
    Failed(DeviceId),
}

/// Why a piece did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TakeError {
    /// The device says that it does not have it.
    #[error("it does not have this piece")]
    Gone,
    /// The link is gone.
    #[error("the connection was lost")]
    Lost,
    /// The device does what no honest one does.
    #[error("{0}")]
    Broke(&'static str),
}

/// A link to a device that has a file.
#[derive(Clone)]
pub(crate) struct Taker {
    /// Whose it is.
    pub(crate) account: AccountId,
    /// Which.
    pub(crate) device: DeviceId,
    carrier: Carrier,
}

/// What it goes over.
#[derive(Clone)]
enum Carrier {
    Quic(Connection),
    Channel(Taking),
}

impl Taker {
    pub(super) const fn over_quic(account: AccountId, device: DeviceId, connection: Connection) -> Self {
        Self { account, device, carrier: Carrier::Quic(connection) }
    }

    pub(super) const fn over_channel(account: AccountId, device: DeviceId, channel: Taking) -> Self {
        Self { account, device, carrier: Carrier::Channel(channel) }
    }

    /// How long it takes there and back.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        match &self.carrier {
            Carrier::Quic(connection) => Some(connection.rtt()),
            Carrier::Channel(channel) => channel.round_trip(),
        }
    }

    /// The relay carries it.
    pub(crate) const fn is_routed(&self) -> bool {
        match &self.carrier {
            Carrier::Quic(_) => false,
            Carrier::Channel(channel) => channel.is_routed(),
        }
    }

    /// Takes one piece, of so many bytes.
    pub(crate) async fn take(
        &self,
        root: BlobRoot,
        wanted: Wanted,
        bytes: usize,
    ) -> Result<Vec<u8>, TakeError> {
        let question = Question { root, wanted };
        let asked = async {
            match &self.carrier {
                Carrier::Quic(connection) => ask(connection, question, bytes).await,
                Carrier::Channel(channel) => channel.ask(question, bytes).await,
            }
        };
        timeout(PATIENCE, asked).await.unwrap_or(Err(TakeError::Broke("it did not send a piece to its end")))
    }

    /// Nothing more is wanted of it.
    pub(crate) fn close(&self) {
        match &self.carrier {
            Carrier::Quic(connection) => connection.close(0_u32.into(), b"done"),
            Carrier::Channel(channel) => channel.close(),
        }
    }
}

async fn ask(connection: &Connection, question: Question, bytes: usize) -> Result<Vec<u8>, TakeError> {
    let (mut send, mut recv) = connection.open_bi().await.map_err(|_| TakeError::Lost)?;
    send.write_all(&question.to_bytes()).await.map_err(|_| TakeError::Lost)?;
    send.finish().map_err(|_| TakeError::Lost)?;
    let mut status = [0];
    recv.read_exact(&mut status).await.map_err(|error| match error {
        ReadExactError::FinishedEarly(_) => TakeError::Broke("it sent an answer that is none"),
        ReadExactError::ReadError(_) => TakeError::Lost,
    })?;
    let [status] = status;
    match Status::read(status) {
        Some(Status::Gone) => return Err(TakeError::Gone),
        Some(Status::Here) => {}
        None => return Err(TakeError::Broke("it sent an answer that is none")),
    }
    // Straight to where it stays: many packets at a time, and one copy.
    let mut piece = vec![0; bytes];
    recv.read_exact(&mut piece).await.map_err(|error| match error {
        ReadExactError::FinishedEarly(_) => TakeError::Broke("it sent less than the piece has"),
        ReadExactError::ReadError(_) => TakeError::Lost,
    })?;
    match recv.read(&mut [0]).await {
        Ok(None) => Ok(piece),
        Ok(Some(_)) => Err(TakeError::Broke("it sent more than the piece has")),
        Err(_) => Err(TakeError::Lost),
    }
}
