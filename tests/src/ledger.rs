//! Writers that know exactly what was acknowledged to them, and the check that all of it is in the log.
//!
//! *An acknowledged message is never lost, never doubled, never out of order.* Each writer is one device in a
//! conversation of its own that sends numbered messages as fast as it is answered, and writes down the sequence of
//! every acknowledgement. The relay may die at any moment; the writer goes on where it was with the same numbers.

use anyhow::{Context, Result, ensure};
use bytes::BytesMut;
use sotto_loadtest::raw::{Account, Device, RawConnection, Relay, message, now, pair};
use sotto_mls::suite::Suite;
use sotto_protocol::body::Extensions;
use sotto_protocol::body::log::{Append, Appended, EntryKind};
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::frame::{Body as _, encode_into};
use sotto_protocol::ids::{ConversationId, Epoch, MessageNumber, RequestId, Sequence, UnixMillis};
use sotto_protocol::mls_header::private_application_prefix;
use sotto_protocol::payload::Payload;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Messages that a writer has unacknowledged.
const OUTSTANDING: u64 = 8;

/// One writer with its conversation and what was acknowledged to it.
pub struct Writer {
    device: Device,
    conversation: ConversationId,
    epoch: Epoch,
    /// Where each stands, and when that was told.
    acknowledged: BTreeMap<MessageNumber, (Sequence, UnixMillis)>,
    /// The first number that is not acknowledged.
    due: u64,
    /// How many messages were acknowledged so far.
    count: watch::Sender<usize>,
}

impl Writer {
    /// A new account with a conversation of its own (and one silent member).
    ///
    /// # Errors
    /// If the relay refuses.
    pub async fn new(relay: &Relay, endpoint: &quinn::Endpoint, name: &str) -> Result<Self> {
        let mut account: Account = relay.account(&format!("{name}-{}", now().0)).await?;
        let device = relay.device(&mut account).await?;
        let silent = relay.device(&mut account).await?;
        let mut connection = relay.connect(endpoint, &device).await?;
        let (conversation, epoch) = pair((&mut connection, &device), &silent, Suite::X25519).await?;
        connection.connection.close(0u32.into(), b"done");
        Ok(Self {
            device,
            conversation,
            epoch,
            acknowledged: BTreeMap::new(),
            due: 1,
            count: watch::Sender::new(0),
        })
    }

    /// How many messages were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// The count of acknowledged messages, to be waited on while the writer writes.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    /// Sends until the relay is gone (which is how it usually ends) or `most` more are acknowledged.
    ///
    /// # Errors
    /// If the relay refuses a message. A connection that breaks is no error.
    pub async fn write(&mut self, relay: &Relay, endpoint: &quinn::Endpoint, most: u64) -> Result<()> {
        let Ok(mut connection) = relay.connect(endpoint, &self.device).await else {
            return Ok(());
        };
        let prefix = private_application_prefix(self.conversation.as_bytes(), self.epoch.0);
        let first = self.due;
        let (mut next, mut out) = (first, BytesMut::new());
        while self.due < first + most {
            while next < first + most && next - self.due < OUTSTANDING {
                let append = Append {
                    conversation: self.conversation,
                    number: MessageNumber(next),
                    message: message(&prefix, &body(next)),
                    archive: Payload::default(),
                    extensions: Extensions::default(),
                };
                encode_into(&mut out, RequestId(u32::try_from(next)?), &append);
                next += 1;
            }
            if !out.is_empty() && connection.write(out.split().freeze()).await.is_err() {
                return Ok(());
            }
            let Ok(frame) = connection.read().await else {
                return Ok(());
            };
            if frame.header.kind == WireError::KIND {
                let refusal: WireError = frame.decode()?;
                // A relay whose disk is gone says so before it ends; nothing was promised then.
                if refusal.code() == Some(ErrorCode::Unavailable) {
                    return Ok(());
                }
                return Err(refusal).context("an append was refused");
            }
            if frame.header.kind == Appended::KIND {
                let appended: Appended = frame.decode()?;
                // A repeat is looked up in the log, and its answer may come after those of later, new messages.
                let (place, _) =
                    *self.acknowledged.entry(appended.number).or_insert_with(|| (appended.sequence, now()));
                ensure!(place == appended.sequence, "message {} moved", appended.number);
                self.count.send_replace(self.acknowledged.len());
                while self.acknowledged.contains_key(&MessageNumber(self.due)) {
                    self.due += 1;
                }
            }
        }
        connection.connection.close(0u32.into(), b"done");
        Ok(())
    }

    /// Reads the whole log and holds it against the ledger: nothing acknowledged is missing or moved, nothing
    /// is doubled, numbers and sequences ascend without a gap, and each message has the bytes that were sent.
    ///
    /// # Errors
    /// If the promise is broken, with how.
    pub async fn check(&self, relay: &Relay, endpoint: &quinn::Endpoint) -> Result<Checked> {
        self.check_until(relay, endpoint, UnixMillis(u64::MAX)).await
    }

    /// The same for a log that may end at a mark: what was acknowledged later may be missing from its end.
    ///
    /// # Errors
    /// See [`Writer::check`].
    pub async fn check_until(
        &self,
        relay: &Relay,
        endpoint: &quinn::Endpoint,
        mark: UnixMillis,
    ) -> Result<Checked> {
        let mut connection: RawConnection = relay.connect(endpoint, &self.device).await?;
        let entries = connection.fetch_all(self.conversation, Sequence(0)).await?;
        connection.connection.close(0u32.into(), b"done");
        let (mut sequence, mut number) = (Sequence(0), MessageNumber(0));
        let mut found = BTreeMap::new();
        for entry in entries {
            ensure!(entry.sequence == sequence.next(), "entry {} follows {sequence}", entry.sequence);
            sequence = entry.sequence;
            if entry.kind != EntryKind::Application {
                continue;
            }
            ensure!(entry.number == number.next(), "message {} follows {number}", entry.number);
            number = entry.number;
            ensure!(entry.message.as_slice().ends_with(&body(number.0)), "message {number} has other bytes");
            found.insert(number, sequence);
        }
        let mut acknowledged = 0;
        for (number, (sequence, at)) in &self.acknowledged {
            acknowledged += usize::from(*at < mark);
            match found.get(number) {
                None if *at >= mark => {}
                Some(place) if place == sequence => {}
                Some(place) => {
                    anyhow::bail!("message {number} was acknowledged as {sequence} and stands at {place}")
                }
                None => anyhow::bail!("message {number} was acknowledged as {sequence} and is lost"),
            }
        }
        Ok(Checked { acknowledged, stored: found.len() })
    }
}

/// Sets every writer to work until the relay is gone; each handle gives its writer back.
pub fn all_write(
    writers: Vec<Writer>,
    relay: &Relay,
    endpoint: &quinn::Endpoint,
) -> Vec<JoinHandle<Result<Writer>>> {
    let each = |mut writer: Writer| {
        let (relay, endpoint) = (relay.clone(), endpoint.clone());
        tokio::spawn(async move {
            writer.write(&relay, &endpoint, u64::from(u32::MAX)).await?;
            Ok(writer)
        })
    };
    writers.into_iter().map(each).collect()
}

/// Waits until each of these writers was acknowledged more than before.
///
/// # Errors
/// If one is not, within a minute.
pub async fn all_get_on(progress: Vec<watch::Receiver<usize>>) -> Result<()> {
    for mut count in progress {
        let before = *count.borrow_and_update();
        let more = count.wait_for(|count| *count > before);
        tokio::time::timeout(Duration::from_secs(60), more).await.context("a writer does not get on")??;
    }
    Ok(())
}

/// What a check found, for people.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checked {
    /// Messages that were acknowledged, before the mark if there is one.
    pub acknowledged: usize,
    /// Messages in the log: a few more, whose acknowledgement did not arrive.
    pub stored: usize,
}

/// What message `number` says: long enough to be recognised, different for each.
fn body(number: u64) -> Vec<u8> {
    format!("message {number} ").repeat(12).into_bytes()
}
