//! Sending: encrypting twice, and keeping count of what the log should hold of ours.

use super::record;
use super::{Conversation, ConversationError, chain, join};
use crate::content::{self, Content, Ephemeral, Head};
use crate::identity::LocalDevice;
use crate::mls::Provider;
use crate::seal::{self, Place, Purpose, SealError, Sender};
use crate::store::{MlsStorage, Transaction};
use rand_core::CryptoRng;
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::body::push;
use sotto_protocol::ids::{ConversationId, Epoch, MessageNumber, Sequence, UnixMillis};
use sotto_protocol::payload::Payload;

/// A content, encrypted for the log.
pub struct Encrypted {
    /// The MLS message.
    pub message: Payload,
    /// The sealed archive copy; empty where the history policy is `None`.
    pub archive: Payload,
    /// The epoch that both are for.
    pub epoch: Epoch,
    /// The head that both carry.
    pub head: Head,
}

/// What an application message authenticates beside its content, so that a relay cannot relabel it.
pub(super) fn associated_data(conversation: ConversationId, number: MessageNumber) -> Vec<u8> {
    let mut data = conversation.as_bytes().to_vec();
    data.extend_from_slice(&number.0.to_be_bytes());
    data
}

impl Conversation {
    /// Encrypts a content under the current epoch. When the relay answered `Stale`, process the log and call this
    /// again with the same number.
    ///
    /// # Errors
    /// If the content is too large, this device is no member, or the store fails.
    pub fn encrypt(
        &mut self,
        tx: &Transaction<'_>,
        rng: &mut impl CryptoRng,
        me: &LocalDevice,
        number: MessageNumber,
        content: &Content,
        now: UnixMillis,
    ) -> Result<Encrypted, ConversationError> {
        self.require_member()?;
        let (seen, chain, history) = (self.record.cursor, self.record.chain, self.record.history);
        let head = Head { sent_at: now, number, seen, chain, history };
        let padded = content::encode(&head, content)?;
        let archive = if history == HistoryPolicy::None {
            Payload::default()
        } else {
            let place = self.place(Purpose::Archive, &Sender::from(me.certificate()), number);
            let key = self.export(Purpose::Archive)?;
            seal::seal(rng, &key, &place, me, &padded).into()
        };
        self.attempt(tx, |this| {
            let provider = Provider::new(MlsStorage(tx), rng);
            this.group.set_aad(associated_data(this.id, number));
            let message =
                this.group.create_message(&provider, me, &padded).map_err(ConversationError::library)?;
            let message: Payload = join::bytes(&message)?.into();
            let epoch = this.epoch();
            let mut sent = record::sent(tx, this.id, number)?.unwrap_or_default();
            sent.0.push((epoch, chain::message_hash(message.as_slice())));
            record::keep_sent(tx, this.id, number, &sent);
            Ok(Encrypted { message, archive, epoch, head })
        })
    }

    /// The relay answered an append of ours with its place. The history check needs it, because own entries are
    /// not always delivered back; entries of ours that follow the cursor move it on.
    ///
    /// # Errors
    /// If the store fails.
    pub fn appended(
        &mut self,
        tx: &Transaction<'_>,
        number: MessageNumber,
        sequence: Sequence,
    ) -> Result<(), ConversationError> {
        let Some(sent) = record::sent(tx, self.id, number)? else {
            return Ok(()); // Its entry was met in the log before.
        };
        record::forget_sent(tx, self.id, number);
        if sequence > self.record.cursor {
            record::keep_placed(tx, self.id, sequence, number, sent);
        }
        self.absorb(tx)
    }

    /// Moves the cursor over entries of ours that the relay has placed right behind it.
    pub(super) fn absorb(&mut self, tx: &Transaction<'_>) -> Result<(), ConversationError> {
        if !self.is_member() {
            return Ok(());
        }
        let mut moved = false;
        while let Some((number, sent)) = record::placed(tx, self.id, self.record.cursor.next())? {
            let sequence = self.record.cursor.next();
            record::forget_placed(tx, self.id, sequence);
            let Some(hash) = sent.for_epoch(self.epoch()) else {
                continue; // The relay placed it in an epoch that it was not made for: let the log itself decide.
            };
            self.record.chain = chain::extend(&self.record.chain, sequence, self.record.device, number, hash);
            self.record.cursor = sequence;
            chain::keep(tx, self.id, sequence, &self.record.chain);
            moved = true;
        }
        if moved {
            self.record.save(tx, self.id);
        }
        Ok(())
    }

    /// Seals an ephemeral for the members of the current epoch.
    ///
    /// # Errors
    /// If this device is no member.
    pub fn seal_ephemeral(
        &self,
        rng: &mut impl CryptoRng,
        me: &LocalDevice,
        ephemeral: Ephemeral,
        now: UnixMillis,
    ) -> Result<Payload, ConversationError> {
        self.require_member()?;
        let padded = content::encode_ephemeral(now, ephemeral)?;
        let place = self.place(Purpose::Ephemeral, &Sender::from(me.certificate()), MessageNumber(0));
        let key = self.export(Purpose::Ephemeral)?;
        let sealed = seal::seal(rng, &key, &place, me, &padded);
        Ok([&self.epoch().0.to_be_bytes()[..], &sealed].concat().into())
    }

    /// Opens an ephemeral: who sent it, when by their clock, and what it is. A relay can repeat one within an
    /// epoch, so old ones are to be ignored by their time.
    ///
    /// # Errors
    /// If it is of another epoch, was altered, or is not by the member that the relay names.
    pub fn open_ephemeral(
        &self,
        ephemeral: &push::Ephemeral,
    ) -> Result<(Sender, UnixMillis, Ephemeral), SealError> {
        let (epoch, sealed) =
            ephemeral.sealed.as_slice().split_first_chunk::<8>().ok_or(SealError::Malformed)?;
        if !self.is_member() || u64::from_be_bytes(*epoch) != self.epoch().0 {
            return Err(SealError::NoKey);
        }
        let members = self.members();
        let labelled = members.iter().find(|member| member.device == ephemeral.device);
        let labelled = labelled.filter(|member| member.account == ephemeral.account);
        let place =
            self.place(Purpose::Ephemeral, labelled.ok_or(SealError::SpoofedSender)?, MessageNumber(0));
        let key = self.export(Purpose::Ephemeral).map_err(|_| SealError::NoKey)?;
        let (sender, padded) = seal::open(&key, &place, sealed)?;
        if Some(&sender) != labelled {
            return Err(SealError::SpoofedSender);
        }
        let (sent_at, ephemeral) = content::decode_ephemeral(&padded).map_err(|_| SealError::Malformed)?;
        Ok((sender, sent_at, ephemeral))
    }

    fn place(&self, purpose: Purpose, sender: &Sender, number: MessageNumber) -> Place {
        let (conversation, epoch) = (self.id, self.epoch());
        Place { purpose, conversation, epoch, account: sender.account, device: sender.device, number }
    }
}
