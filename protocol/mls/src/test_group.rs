//! Real OpenMLS members for tests, here and in the relay's core (feature `test-group`).
//!
//! Keys come from small numbers, so that a failure names the same bytes on every machine.

#![allow(clippy::missing_panics_doc)]

use crate::certificate::DeviceCertificate;
use crate::credential::credential_with_key;
use crate::provider::Provider;
use crate::suite::Suite;
use ed25519_dalek::{Signer as _, SigningKey};
/// The library's group, so that tests need not name the library.
pub use openmls::group::MlsGroup;
use openmls::prelude::{
    BasicCredential, CredentialWithKey, GroupId, KeyPackage, LeafNodeIndex, Lifetime, MlsGroupCreateConfig,
    MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, PURE_PLAINTEXT_WIRE_FORMAT_POLICY, ProtocolVersion,
    RatchetTreeIn,
};
use openmls_rust_crypto::MemoryStorage;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, UnixMillis};
use tls_codec::{Deserialize, Serialize};

/// The conversation that the tests are about.
pub const CONVERSATION: ConversationId = ConversationId([9; 16]);

/// What a committer hands to the relay.
pub struct Made {
    /// The commit.
    pub commit: Vec<u8>,
    /// The group info of the epoch that it begins.
    pub group_info: Vec<u8>,
    /// The Welcome, if devices are added.
    pub welcome: Option<Vec<u8>>,
}

/// A device with its keys and an in-memory storage.
pub struct TestDevice {
    /// Its certificate.
    pub certificate: DeviceCertificate,
    /// What OpenMLS works with.
    pub provider: Provider<MemoryStorage>,
    key: SigningKey,
}

impl Signer for TestDevice {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.signs(payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

impl TestDevice {
    /// The device of this number of the account of this number.
    #[must_use]
    pub fn new(account: u8, device: u8) -> Self {
        Self::with_identity(account, device, account)
    }

    /// The same under the identity key of another number.
    #[must_use]
    pub fn with_identity(account: u8, device: u8, identity: u8) -> Self {
        let key = SigningKey::from_bytes(&[100_u8.wrapping_add(device); 32]);
        let certificate = certify(account, device, identity, key.verifying_key().to_bytes());
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(device));
        Self { certificate, provider: Provider::new(MemoryStorage::default(), &mut rng), key }
    }

    /// The same keys with a certificate that names another account and device.
    #[must_use]
    pub fn renamed(mut self, account: u8, device: u8) -> Self {
        self.certificate = certify(account, device, account, *self.certificate.device_key());
        self
    }

    /// Signs as this device.
    #[must_use]
    pub fn signs(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes).to_bytes()
    }

    /// A key package as it travels.
    #[must_use]
    pub fn key_package(&self, suite: Suite) -> Vec<u8> {
        self.key_package_with_lifetime(suite, Lifetime::new(24 * 3600))
    }

    /// A key package with a lifetime of its own.
    #[must_use]
    pub fn key_package_with_lifetime(&self, suite: Suite, lifetime: Lifetime) -> Vec<u8> {
        self.build(suite, lifetime, credential_with_key(&self.certificate))
    }

    /// A key package that is good for an hour, up to a second since 1970.
    #[must_use]
    pub fn key_package_until(&self, suite: Suite, second: u64) -> Vec<u8> {
        self.key_package_with_lifetime(suite, Lifetime::init(second.saturating_sub(3600), second))
    }

    /// A package that signs with this device's key and shows another device's certificate.
    #[must_use]
    pub fn key_package_showing(&self, suite: Suite, other: &DeviceCertificate) -> Vec<u8> {
        let credential = CredentialWithKey {
            credential: BasicCredential::new(other.to_bytes()).into(),
            signature_key: self.certificate.device_key().to_vec().into(),
        };
        self.build(suite, Lifetime::new(24 * 3600), credential)
    }

    fn build(&self, suite: Suite, lifetime: Lifetime, credential: CredentialWithKey) -> Vec<u8> {
        let bundle = KeyPackage::builder()
            .key_package_lifetime(lifetime)
            .build(suite.ciphersuite(), &self.provider, self, credential)
            .expect("a key package is built");
        crate::key_package::encode(bundle.key_package())
    }

    /// A group with this device alone, in [`CONVERSATION`].
    #[must_use]
    pub fn create(&self, suite: Suite) -> MlsGroup {
        self.create_in(suite, CONVERSATION)
    }

    /// A group with this device alone.
    #[must_use]
    pub fn create_in(&self, suite: Suite, conversation: ConversationId) -> MlsGroup {
        MlsGroup::new_with_group_id(
            &self.provider,
            self,
            &MlsGroupCreateConfig::builder()
                .ciphersuite(suite.ciphersuite())
                .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
                .build(),
            GroupId::from_slice(conversation.as_bytes()),
            credential_with_key(&self.certificate),
        )
        .expect("a group is created")
    }

    /// The group info as it travels, without the tree.
    #[must_use]
    pub fn group_info(&self, group: &MlsGroup) -> Vec<u8> {
        bytes(
            &group.export_group_info(self.provider.crypto(), self, false).expect("a group info is exported"),
        )
    }

    /// A commit that adds and removes; it pends in the group until it is merged or cleared.
    pub fn commit(&self, group: &mut MlsGroup, adds: &[Vec<u8>], removes: &[u32]) -> Made {
        let adds: Vec<KeyPackage> = adds
            .iter()
            .map(|package| match body(package) {
                MlsMessageBodyIn::KeyPackage(package) => {
                    package.validate(self.provider.crypto(), ProtocolVersion::Mls10).expect("a valid package")
                }
                other => panic!("not a key package: {other:?}"),
            })
            .collect();
        let bundle = group
            .commit_builder()
            .propose_adds(adds)
            .propose_removals(removes.iter().map(|index| LeafNodeIndex::new(*index)))
            .force_self_update(true)
            .load_psks(self.provider.storage())
            .expect("no pre-shared keys")
            .create_group_info(true)
            .build(self.provider.rand(), self.provider.crypto(), self, |_| true)
            .expect("a commit is built")
            .stage_commit(&self.provider)
            .expect("a commit is staged");
        let (commit, welcome, group_info) = bundle.into_contents();
        let welcome =
            welcome.map(|welcome| bytes(&MlsMessageOut::from_welcome(welcome, ProtocolVersion::Mls10)));
        let group_info = MlsMessageOut::from(group_info.expect("the group info was asked for"));
        Made { commit: bytes(&commit), group_info: bytes(&group_info), welcome }
    }

    /// Its own commit was accepted.
    pub fn merge(&self, group: &mut MlsGroup) {
        group.merge_pending_commit(&self.provider).expect("its own commit");
    }

    /// Joins (or rejoins) by external commit from what the relay serves.
    #[must_use]
    pub fn external_commit(&self, group_info: &[u8], tree: &[u8]) -> Made {
        let MlsMessageBodyIn::GroupInfo(group_info) = body(group_info) else { panic!("not a group info") };
        let (_, bundle) = MlsGroup::external_commit_builder()
            .with_ratchet_tree(RatchetTreeIn::tls_deserialize_exact(tree).expect("a tree"))
            .build_group(&self.provider, group_info, credential_with_key(&self.certificate))
            .expect("the group is built")
            .load_psks(self.provider.storage())
            .expect("no pre-shared keys")
            .create_group_info(true)
            .build(self.provider.rand(), self.provider.crypto(), self, |_| true)
            .expect("a commit is built")
            .finalize(&self.provider)
            .expect("the commit is finished");
        let (commit, _, group_info) = bundle.into_contents();
        let group_info = MlsMessageOut::from(group_info.expect("the group info was asked for"));
        Made { commit: bytes(&commit), group_info: bytes(&group_info), welcome: None }
    }
}

/// The tree of a group as it travels.
#[must_use]
pub fn tree(group: &MlsGroup) -> Vec<u8> {
    group.export_ratchet_tree().tls_serialize_detached().expect("a tree is written")
}

/// A message as it travels.
#[must_use]
pub fn bytes(message: &MlsMessageOut) -> Vec<u8> {
    message.tls_serialize_detached().expect("a message is written")
}

fn body(bytes: &[u8]) -> MlsMessageBodyIn {
    MlsMessageIn::tls_deserialize_exact(bytes).expect("an MLS message").extract()
}

fn certify(account: u8, device: u8, identity: u8, device_key: [u8; 32]) -> DeviceCertificate {
    DeviceCertificate::issue(
        &SigningKey::from_bytes(&[identity; 32]),
        AccountId([account; 16]),
        DeviceId([device; 16]),
        device_key,
        UnixMillis(1),
    )
}
