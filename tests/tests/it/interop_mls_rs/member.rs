//! A member of a Sotto conversation that shares no line of cryptography with us: mls-rs, and the formats of
//! `protocol/e2ee` written down a second time, by hand.

use bincode::{Decode, Encode};
use mls_rs::client_builder::MlsConfig;
use mls_rs::crypto::{SignaturePublicKey, SignatureSecretKey};
use mls_rs::group::{ExportedTree, ReceivedMessage};
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions};
use mls_rs::{CipherSuite, Client, ExtensionList, Group, MlsMessage};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use sha2::{Digest, Sha256};
use sotto_e2ee::identity::LocalDevice;
use sotto_mls::certificate::DeviceCertificate;
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::body::log::{Entry, EntryKind};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, MessageNumber, Sequence, UnixMillis};
use std::time::Duration;

/// RFC 9420's suite 0x0003.
const SUITE: CipherSuite = CipherSuite::CURVE25519_CHACHA;

/// A device whose keys mls-rs holds.
pub(crate) struct ForeignDevice<C: MlsConfig> {
    client: Client<C>,
    device: DeviceId,
}

/// Hands a device's key and certificate over to mls-rs.
pub(crate) fn foreign_device(local: &LocalDevice) -> ForeignDevice<impl MlsConfig + use<>> {
    let stored = local.to_bytes();
    let (secret, certificate) = stored.split_first_chunk::<32>().unwrap();
    let certificate = DeviceCertificate::from_bytes(certificate).unwrap();
    let public = certificate.device_key();
    let signer = SignatureSecretKey::from([&secret[..], public].concat());
    let public = SignaturePublicKey::from(public.to_vec());
    let credential = BasicCredential::new(certificate.to_bytes()).into_credential();
    let rules = DefaultMlsRules::new()
        // As our relay asks: the tree apart from the Welcome, handshakes in the clear, a group info with each commit.
        .with_commit_options(
            CommitOptions::new()
                .with_ratchet_tree_extension(false)
                .with_allow_external_commit(true)
                .with_path_required(true),
        )
        .with_encryption_options(EncryptionOptions::new(false, mls_rs::client_builder::PaddingMode::None));
    let client = Client::builder()
        .crypto_provider(RustCryptoProvider::default())
        .identity_provider(BasicIdentityProvider::new())
        .mls_rules(rules)
        .key_package_lifetime(Duration::from_secs(24 * 3600))
        .signing_identity(SigningIdentity::new(credential, public), signer, SUITE)
        .build();
    ForeignDevice { client, device: certificate.device() }
}

impl<C: MlsConfig> ForeignDevice<C> {
    pub(crate) fn key_package(&self) -> Vec<u8> {
        let extensions = ExtensionList::default;
        let message = self.client.generate_key_package_message(extensions(), extensions(), None);
        message.unwrap().to_bytes().unwrap()
    }

    /// Joins by a Welcome and the tree as the relay serves it apart.
    pub(crate) fn join(
        &self,
        conversation: ConversationId,
        welcome: &[u8],
        tree: &[u8],
        sequence: Sequence,
        history: HistoryPolicy,
    ) -> ForeignMember<C> {
        let welcome = MlsMessage::from_bytes(welcome).unwrap();
        let tree = ExportedTree::from_bytes(tree).unwrap();
        let (group, _) = self.client.join_group(Some(tree), &welcome, None).unwrap();
        assert_eq!(group.group_id(), conversation.as_bytes());
        let mut member = ForeignMember {
            conversation,
            history: match history {
                HistoryPolicy::None => 0,
                HistoryPolicy::SinceJoining => 1,
                HistoryPolicy::All => 2,
            },
            device: self.device,
            group,
            last: sequence,
            chain: [0; 32],
            number: MessageNumber(0),
        };
        member.begin_chain(sequence);
        member
    }
}

/// A commit with what the relay wants beside it.
pub(crate) struct ForeignCommit {
    pub(crate) commit: Vec<u8>,
    pub(crate) group_info: Vec<u8>,
}

/// What an entry was to the foreign member.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// A text with its number.
    Text { from: AccountId, number: MessageNumber, body: String },
    /// Another kind of content.
    Other { kind: u16 },
    /// A commit; `false` if it removed this member.
    Commit { still_member: bool },
}

/// The foreign device in one conversation.
pub(crate) struct ForeignMember<C: MlsConfig> {
    conversation: ConversationId,
    /// As in [`Content::history`].
    history: u32,
    device: DeviceId,
    group: Group<C>,
    /// The last entry and the hash over the log up to it.
    last: Sequence,
    chain: [u8; 32],
    number: MessageNumber,
}

/// The fields of a content, in their order.
#[derive(Debug, Encode, Decode)]
struct Content {
    sent_at: u64,
    number: u64,
    seen: u64,
    chain: [u8; 32],
    /// 0 none, 1 since joining, 2 all.
    history: u32,
    kind: u16,
    body: Vec<u8>,
    extensions: Vec<(u16, Vec<u8>)>,
}

impl<C: MlsConfig> ForeignMember<C> {
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.group.current_epoch())
    }

    pub(crate) fn last(&self) -> Sequence {
        self.last
    }

    pub(crate) fn authenticator(&self) -> Vec<u8> {
        self.group.epoch_authenticator().unwrap().as_bytes().to_vec()
    }

    /// The certificates of all members.
    pub(crate) fn certificates(&self) -> Vec<DeviceCertificate> {
        let members = self.group.roster().members_iter();
        members.map(|member| certificate(&member.signing_identity)).collect()
    }

    /// A text as an MLS message of the current epoch, with its number; nothing goes to the archive.
    pub(crate) fn write(&mut self, text: &str, now: UnixMillis) -> (MessageNumber, Vec<u8>) {
        self.number = self.number.next();
        let content = Content {
            sent_at: now.0,
            number: self.number.0,
            seen: self.last.0,
            chain: self.chain,
            history: self.history,
            kind: 1,
            body: bincode::encode_to_vec(text, bincode::config::standard()).unwrap(),
            extensions: Vec::new(),
        };
        let mut padded = vec![1];
        padded.extend(bincode::encode_to_vec(&content, bincode::config::standard()).unwrap());
        padded.push(0x80);
        let class = padded.len().next_power_of_two().max(256);
        padded.resize(class, 0);
        let mut aad = self.conversation.as_bytes().to_vec();
        aad.extend(self.number.0.to_be_bytes());
        let message = self.group.encrypt_application_message(&padded, aad).unwrap();
        (self.number, message.to_bytes().unwrap())
    }

    /// The relay gave an own message its place.
    pub(crate) fn appended(&mut self, sequence: Sequence, number: MessageNumber, message: &[u8]) {
        assert_eq!(sequence, self.last.next(), "entries in between are read first");
        self.extend_chain(sequence, self.device, number, message);
    }

    /// Reads the next entry of the log.
    pub(crate) fn read(&mut self, entry: &Entry) -> Result<Read, mls_rs::error::MlsError> {
        assert_eq!(entry.sequence, self.last.next(), "entries are read in order");
        let received =
            self.group.process_incoming_message(MlsMessage::from_bytes(entry.message.as_slice())?)?;
        let read = match received {
            ReceivedMessage::ApplicationMessage(message) => {
                let mut aad = self.conversation.as_bytes().to_vec();
                aad.extend(entry.number.0.to_be_bytes());
                assert_eq!(message.authenticated_data, aad, "the relay relabelled a message");
                let sender = self.group.member_at_index(message.sender_index).unwrap();
                let sender = certificate(&sender.signing_identity);
                assert_eq!((sender.account(), sender.device()), (entry.account, entry.device));
                let content = content(message.data());
                assert_eq!(content.number, entry.number.0);
                self.extend_chain(entry.sequence, entry.device, entry.number, entry.message.as_slice());
                match content.kind {
                    1 => {
                        let (body, _) =
                            bincode::decode_from_slice(&content.body, bincode::config::standard()).unwrap();
                        Read::Text { from: sender.account(), number: entry.number, body }
                    }
                    kind => Read::Other { kind },
                }
            }
            ReceivedMessage::Commit(commit) => {
                assert_eq!(entry.kind, EntryKind::Commit);
                let still_member = !matches!(commit.effect, mls_rs::group::CommitEffect::Removed { .. });
                self.begin_chain(entry.sequence);
                Read::Commit { still_member }
            }
            other => panic!("neither content nor commit: {other:?}"),
        };
        Ok(read)
    }

    /// A commit with fresh keys; it waits for [`Self::committed`].
    pub(crate) fn refresh(&mut self) -> ForeignCommit {
        let output = self.group.commit_builder().build().unwrap();
        ForeignCommit {
            commit: output.commit_message().to_bytes().unwrap(),
            group_info: output.external_commit_group_info().unwrap().to_bytes().unwrap(),
        }
    }

    /// The relay accepted the commit as this entry.
    pub(crate) fn committed(&mut self, sequence: Sequence) {
        self.group.apply_pending_commit().unwrap();
        self.begin_chain(sequence);
    }

    fn begin_chain(&mut self, start: Sequence) {
        self.last = start;
        self.chain = Sha256::new()
            .chain_update(b"sotto log v1")
            .chain_update(self.conversation.as_bytes())
            .chain_update(self.epoch().0.to_be_bytes())
            .chain_update(start.0.to_be_bytes())
            .chain_update(self.authenticator())
            .finalize()
            .into();
    }

    fn extend_chain(&mut self, sequence: Sequence, device: DeviceId, number: MessageNumber, message: &[u8]) {
        self.last = sequence;
        self.chain = Sha256::new()
            .chain_update(self.chain)
            .chain_update(sequence.0.to_be_bytes())
            .chain_update(device.as_bytes())
            .chain_update(number.0.to_be_bytes())
            .chain_update(Sha256::digest(message))
            .finalize()
            .into();
    }
}

fn certificate(identity: &SigningIdentity) -> DeviceCertificate {
    let credential = identity.credential.as_basic().expect("members show basic credentials");
    let certificate =
        DeviceCertificate::from_bytes(&credential.identifier).expect("a certificate that verifies");
    assert_eq!(certificate.device_key().as_slice(), identity.signature_key.as_bytes());
    certificate
}

fn content(padded: &[u8]) -> Content {
    assert!(padded.len().is_power_of_two() && (256..=65536).contains(&padded.len()), "a size class");
    let end = padded.iter().rposition(|byte| *byte != 0).unwrap();
    assert_eq!((padded[0], padded[end]), (1, 0x80), "version and mark");
    let plain = &padded[1..end];
    let (content, read) = bincode::decode_from_slice(plain, bincode::config::standard()).unwrap();
    assert_eq!(read, plain.len());
    content
}
