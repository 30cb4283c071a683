//! What this crate keeps of a conversation beside the MLS group. Nothing secret.

use crate::content;
use crate::store::{StoreError, Transaction, prefix};
use bincode::{Decode, Encode};
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, MessageNumber, Sequence};

const VERSION: u8 = 1;

/// Where this device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Phase {
    /// An external commit waits for the relay.
    Joining {
        /// Whether this device was a member before.
        again: bool,
    },
    /// A member.
    Member,
}

/// One row for each conversation.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Record {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) history: HistoryPolicy,
    pub(crate) phase: Phase,
    /// The last entry that was processed, and the chain hash there.
    pub(crate) cursor: Sequence,
    pub(crate) chain: [u8; 32],
    /// The entry that began the current epoch.
    pub(crate) epoch_start: Sequence,
    /// The hash of the commit that waits for the relay.
    pub(crate) staged: Option<[u8; 32]>,
}

fn key(conversation: ConversationId) -> Vec<u8> {
    prefix::key(prefix::CONVERSATION, conversation, &[])
}

impl Record {
    pub(crate) fn save(&self, tx: &Transaction<'_>, conversation: ConversationId) {
        let mut value = vec![VERSION];
        value.extend_from_slice(&content::write(self));
        tx.put(key(conversation), value);
    }

    pub(crate) fn load(
        tx: &Transaction<'_>,
        conversation: ConversationId,
    ) -> Result<Option<Self>, StoreError> {
        let Some(value) = tx.get(&key(conversation))? else {
            return Ok(None);
        };
        let record = match value.split_first() {
            Some((&VERSION, bytes)) => content::read(bytes).ok(),
            _ => None,
        };
        record
            .map(Some)
            .ok_or_else(|| StoreError::Damaged(format!("the record of conversation {conversation}")))
    }

    pub(crate) fn delete(tx: &Transaction<'_>, conversation: ConversationId) {
        tx.delete(key(conversation));
    }
}

/// What we encrypted under one number: the epochs and hashes of its messages, the last one last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub(crate) struct Sent(pub(crate) Vec<(Epoch, [u8; 32])>);

impl Sent {
    /// The hash of the message made for an epoch.
    pub(crate) fn for_epoch(&self, epoch: Epoch) -> Option<&[u8; 32]> {
        self.0.iter().rev().find(|(made_for, _)| *made_for == epoch).map(|(_, hash)| hash)
    }
}

fn sent_key(conversation: ConversationId, number: MessageNumber) -> Vec<u8> {
    prefix::key(prefix::SENT, conversation, &number.0.to_be_bytes())
}

fn placed_key(conversation: ConversationId, sequence: Sequence) -> Vec<u8> {
    prefix::key(prefix::PLACED, conversation, &sequence.0.to_be_bytes())
}

fn read<T: Decode<()>>(tx: &Transaction<'_>, key: &[u8]) -> Result<Option<T>, StoreError> {
    let Some(value) = tx.get(key)? else {
        return Ok(None);
    };
    let value = content::read(&value);
    value.map(Some).map_err(|_| StoreError::Damaged("the list of what was sent".into()))
}

/// What was sent under a number and not yet seen in the log.
pub(crate) fn sent(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    number: MessageNumber,
) -> Result<Option<Sent>, StoreError> {
    read(tx, &sent_key(conversation, number))
}

pub(crate) fn keep_sent(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    number: MessageNumber,
    sent: &Sent,
) {
    tx.put(sent_key(conversation, number), content::write(sent).to_vec());
}

pub(crate) fn forget_sent(tx: &Transaction<'_>, conversation: ConversationId, number: MessageNumber) {
    tx.delete(sent_key(conversation, number));
}

/// What the relay said it placed at a sequence ahead of the cursor.
pub(crate) fn placed(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    sequence: Sequence,
) -> Result<Option<(MessageNumber, Sent)>, StoreError> {
    read(tx, &placed_key(conversation, sequence))
}

pub(crate) fn keep_placed(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    sequence: Sequence,
    number: MessageNumber,
    sent: Sent,
) {
    tx.put(placed_key(conversation, sequence), content::write(&(number, sent)).to_vec());
}

pub(crate) fn forget_placed(tx: &Transaction<'_>, conversation: ConversationId, sequence: Sequence) {
    tx.delete(placed_key(conversation, sequence));
}

/// What is known of another device's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct LastNumber {
    /// The last one that was authenticated.
    pub(crate) last: MessageNumber,
    /// Entries in its name that were refused since: they explain so many missing numbers.
    pub(crate) refused: u64,
}

fn number_key(conversation: ConversationId, device: DeviceId) -> Vec<u8> {
    prefix::key(prefix::NUMBER, conversation, device.as_bytes())
}

pub(crate) fn last_number(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    device: DeviceId,
) -> Result<Option<LastNumber>, StoreError> {
    read(tx, &number_key(conversation, device))
}

pub(crate) fn keep_last_number(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    device: DeviceId,
    number: LastNumber,
) {
    tx.put(number_key(conversation, device), content::write(&number).to_vec());
}

fn since_key(conversation: ConversationId, account: AccountId) -> Vec<u8> {
    prefix::key(prefix::SINCE, conversation, account.as_bytes())
}

/// The epoch since which an account is a member, as far as this device knows.
pub(crate) fn since(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    account: AccountId,
) -> Result<Option<Epoch>, StoreError> {
    read(tx, &since_key(conversation, account))
}

pub(crate) fn keep_since(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    account: AccountId,
    epoch: Epoch,
) {
    tx.put(since_key(conversation, account), content::write(&epoch).to_vec());
}

pub(crate) fn forget_since(tx: &Transaction<'_>, conversation: ConversationId, account: AccountId) {
    tx.delete(since_key(conversation, account));
}
