//! Asking other devices for archive keys and for contents that were missed, and answering.
//!
//! Requests and answers are contents like any other, so members vouch for them and the log keeps their order. An
//! answer is sealed by HPKE to a key of the request, so that only the asking device reads it: the other members of
//! the conversation may not have what it may have. A device answers only what the history policy allows.

use super::{Conversation, ConversationError, Sender, record};
use crate::archive_keys::{self, ArchiveKey, first_epoch_for};
use crate::content::{self, Content, Head, RequestTag};
use crate::identity::{LocalDevice, random_bytes};
use crate::store::{Scan, StoreError, Transaction, prefix};
use bincode::{Decode, Encode};
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::types::{HpkeCiphertext, HpkeKeyPair};
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use sotto_mls::provider::MlsCrypto;
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::ids::{AccountId, DeviceId, Epoch, MessageNumber, Sequence, UnixMillis};
use tls_codec::{DeserializeBytes as _, Serialize as _};
use zeroize::{Zeroize as _, Zeroizing};

/// Archive keys in one answer: 1,000 of about 43 bytes stay within one content.
pub(super) const KEYS_PER_ANSWER_MAX: usize = 1_000;

/// Requests of one conversation whose private halves are kept; a new one beyond forgets all earlier.
const REQUESTS_MAX: usize = 8;

const KEYS_LABEL: &[u8] = b"sotto archive keys v1";
const RESENT_LABEL: &[u8] = b"sotto resent v1";

/// A content that was asked for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResentContent {
    /// Its place in the log.
    pub sequence: Sequence,
    /// Who had said it, and which number it had: compare these with the entry's label.
    pub account: AccountId,
    /// The device that had sent it.
    pub device: DeviceId,
    /// Its number.
    pub number: MessageNumber,
    /// When it was sent, by the sender's clock.
    pub sent_at: UnixMillis,
    /// What was said.
    pub content: Content,
}

#[derive(Encode, Decode)]
struct WireResent {
    account: AccountId,
    device: DeviceId,
    number: MessageNumber,
    padded: Vec<u8>,
}

/// Who seals to whom for what.
struct Route<'a> {
    label: &'a [u8],
    request: RequestTag,
    from: DeviceId,
    to: DeviceId,
}

impl Conversation {
    /// A request for the archive keys of a run of epochs; its private half is kept in the transaction.
    ///
    /// # Errors
    /// If this device is no member, or the store fails.
    pub fn request_keys(
        &self,
        tx: &Transaction<'_>,
        rng: &mut impl CryptoRng,
        from: Epoch,
        until: Epoch,
    ) -> Result<Content, ConversationError> {
        let hpke_key = self.new_request(tx, rng)?;
        Ok(Content::KeyRequest { hpke_key, from, until })
    }

    /// Answers a [`Content::KeyRequest`] of a member with the keys at hand that it may have; `None` if there are none.
    ///
    /// # Errors
    /// If the store fails. A malformed request is answered with `None`.
    pub fn answer_keys(
        &self,
        tx: &Transaction<'_>,
        me: &LocalDevice,
        asker: &Sender,
        request: &Content,
    ) -> Result<Option<Content>, ConversationError> {
        let Content::KeyRequest { hpke_key, from, until } = request else {
            return Ok(None);
        };
        let Some(first) = self.first_epoch_of(tx, me, asker)? else {
            return Ok(None);
        };
        let keys = archive_keys::range(tx, self.id, first.max(*from), *until, KEYS_PER_ANSWER_MAX)?;
        if keys.is_empty() {
            return Ok(None);
        }
        let mut list: Vec<(Epoch, [u8; 32])> = keys.iter().map(|key| (key.epoch, *key.secret)).collect();
        let plain = content::write(&list);
        list.iter_mut().for_each(|(_, secret)| secret.zeroize());
        let route = Route { label: KEYS_LABEL, request: tag(hpke_key), from: me.device(), to: asker.device };
        let sealed = self.hpke_seal(hpke_key, &route, &plain);
        Ok(sealed.map(|sealed| Content::KeyAnswer { to: asker.device, request: route.request, sealed }))
    }

    /// Takes the answer to a request of ours; gives the epochs of which a key is new. Answers to others, and answers
    /// that do not open, give none.
    ///
    /// # Errors
    /// If the store fails.
    pub fn take_keys(
        &self,
        tx: &Transaction<'_>,
        me: &LocalDevice,
        sender: &Sender,
        answer: &Content,
    ) -> Result<Vec<Epoch>, ConversationError> {
        let Content::KeyAnswer { to, request, sealed } = answer else {
            return Ok(Vec::new());
        };
        let route = Route { label: KEYS_LABEL, request: *request, from: sender.device, to: me.device() };
        let Some(plain) = self.hpke_open(tx, *to, &route, sealed)? else {
            return Ok(Vec::new());
        };
        let list: Vec<(Epoch, [u8; 32])> = content::read(&plain).unwrap_or_default();
        let mut new = Vec::new();
        for (epoch, secret) in list.into_iter().take(KEYS_PER_ANSWER_MAX) {
            let key = ArchiveKey { conversation: self.id, epoch, secret: Zeroizing::new(secret) };
            if archive_keys::keep_given(tx, &key)? {
                new.push(epoch);
            }
        }
        Ok(new)
    }

    /// A request for contents that could not be read; its private half is kept in the transaction.
    ///
    /// # Errors
    /// If this device is no member, or the store fails.
    pub fn request_resend(
        &self,
        tx: &Transaction<'_>,
        rng: &mut impl CryptoRng,
        sequences: Vec<Sequence>,
    ) -> Result<Content, ConversationError> {
        let hpke_key = self.new_request(tx, rng)?;
        Ok(Content::ResendRequest { hpke_key, sequences })
    }

    /// Answers for one place of a [`Content::ResendRequest`]: with what this device said there, or with what it read
    /// there if the asking device is of the same account. `epoch` is the entry's. `None` if the asker may not have it.
    ///
    /// # Errors
    /// If the store fails, or the content cannot be written.
    pub fn answer_resend(
        &self,
        tx: &Transaction<'_>,
        me: &LocalDevice,
        asker: &Sender,
        request: &Content,
        epoch: Epoch,
        resent: &ResentContent,
    ) -> Result<Option<Content>, ConversationError> {
        let Content::ResendRequest { hpke_key, sequences } = request else {
            return Ok(None);
        };
        let own = resent.device == me.device();
        let same_account = asker.account == me.account();
        let since = record::since(tx, self.id, asker.account)?.unwrap_or_else(|| self.epoch());
        let allowed = same_account || (own && since <= epoch);
        if !allowed || !sequences.contains(&resent.sequence) {
            return Ok(None);
        }
        let head = Head {
            sent_at: resent.sent_at,
            number: resent.number,
            seen: Sequence(0),
            chain: [0; 32],
            history: self.record.history,
        };
        let mut padded = content::encode(&head, &resent.content)?;
        let wire = WireResent {
            account: resent.account,
            device: resent.device,
            number: resent.number,
            padded: std::mem::take(&mut *padded),
        };
        let plain = content::write(&wire);
        drop(Zeroizing::new(wire.padded));
        let route =
            Route { label: RESENT_LABEL, request: tag(hpke_key), from: me.device(), to: asker.device };
        let sealed = self.hpke_seal(hpke_key, &route, &plain);
        let (to, request, sequence) = (asker.device, route.request, resent.sequence);
        Ok(sealed.map(|sealed| Content::Resent { to, request, sequence, sealed }))
    }

    /// Takes the answer to a request of ours; `None` if it is for somebody else, does not open, or comes from a
    /// device that neither sent the content nor is one of our own.
    ///
    /// # Errors
    /// If the store fails.
    pub fn take_resent(
        &self,
        tx: &Transaction<'_>,
        me: &LocalDevice,
        sender: &Sender,
        answer: &Content,
    ) -> Result<Option<ResentContent>, ConversationError> {
        let Content::Resent { to, request, sequence, sealed } = answer else {
            return Ok(None);
        };
        let route = Route { label: RESENT_LABEL, request: *request, from: sender.device, to: me.device() };
        let Some(plain) = self.hpke_open(tx, *to, &route, sealed)? else {
            return Ok(None);
        };
        let Ok(wire) = content::read::<WireResent>(&plain) else {
            return Ok(None);
        };
        let padded = Zeroizing::new(wire.padded);
        let Ok((head, content)) = content::decode(&padded) else {
            return Ok(None);
        };
        let by_its_sender = (sender.account, sender.device) == (wire.account, wire.device);
        if !by_its_sender && sender.account != me.account() {
            return Ok(None);
        }
        let (sequence, sent_at) = (*sequence, head.sent_at);
        let WireResent { account, device, number, .. } = wire;
        Ok(Some(ResentContent { sequence, account, device, number, sent_at, content }))
    }

    /// The first epoch whose archive key a device may have from us.
    fn first_epoch_of(
        &self,
        tx: &Transaction<'_>,
        me: &LocalDevice,
        asker: &Sender,
    ) -> Result<Option<Epoch>, StoreError> {
        let same_account = asker.account == me.account();
        let since = match self.record.history {
            HistoryPolicy::SinceJoining => {
                record::since(tx, self.id, asker.account)?.unwrap_or_else(|| self.epoch())
            }
            HistoryPolicy::None | HistoryPolicy::All => Epoch(0),
        };
        Ok(first_epoch_for(self.record.history, same_account, since))
    }

    fn new_request(
        &self,
        tx: &Transaction<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, ConversationError> {
        self.require_member()?;
        let all = prefix::key(prefix::REQUEST, self.id, &[]);
        if tx.scan(&Scan::prefix(all.clone()))?.len() >= REQUESTS_MAX {
            tx.delete_prefix(&all)?;
        }
        let seed = random_bytes::<32>(rng);
        let pair = self.hpke_pair(&seed).ok_or_else(|| ConversationError::library("no HPKE key pair"))?;
        tx.put(self.request_row(tag(&pair.public)), *seed);
        Ok(pair.public)
    }

    fn request_row(&self, request: RequestTag) -> Vec<u8> {
        prefix::key(prefix::REQUEST, self.id, &request.0)
    }

    fn hpke_pair(&self, seed: &[u8; 32]) -> Option<HpkeKeyPair> {
        let config = self.suite().ciphersuite().hpke_config();
        MlsCrypto.derive_hpke_keypair(config, seed).ok()
    }

    /// `None` if the asker's key is no key of the suite.
    fn hpke_seal(&self, hpke_key: &[u8], route: &Route<'_>, plain: &[u8]) -> Option<Vec<u8>> {
        let config = self.suite().ciphersuite().hpke_config();
        let data = self.associated_data(route);
        let sealed = MlsCrypto.hpke_seal(config, hpke_key, route.label, &data, plain).ok()?;
        sealed.tls_serialize_detached().ok()
    }

    /// `None` if it is not for us, is no answer to a request of ours, or does not open.
    fn hpke_open(
        &self,
        tx: &Transaction<'_>,
        to: DeviceId,
        route: &Route<'_>,
        sealed: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let seed = if to == route.to { tx.get(&self.request_row(route.request))? } else { None };
        let Some(seed) = seed else {
            return Ok(None);
        };
        let open = || {
            let pair = self.hpke_pair(seed.as_slice().try_into().ok()?)?;
            let sealed = HpkeCiphertext::tls_deserialize_exact_bytes(sealed).ok()?;
            let config = self.suite().ciphersuite().hpke_config();
            let data = self.associated_data(route);
            MlsCrypto.hpke_open(config, &sealed, &pair.private, route.label, &data).ok()
        };
        Ok(open().map(Zeroizing::new))
    }

    fn associated_data(&self, route: &Route<'_>) -> Vec<u8> {
        [&self.id.0[..], &route.request.0, &route.from.0, &route.to.0].concat()
    }
}

fn tag(hpke_key: &[u8]) -> RequestTag {
    let hash: [u8; 32] = Sha256::digest(hpke_key).into();
    let mut tag = RequestTag([0; 16]);
    tag.0.copy_from_slice(hash.split_at(16).0);
    tag
}
