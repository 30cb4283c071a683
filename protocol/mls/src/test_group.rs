//! Real OpenMLS members for the tests of this crate.

use crate::certificate::DeviceCertificate;
use crate::credential::credential_with_key;
use crate::provider::Provider;
use crate::suite::Suite;
use ed25519_dalek::{Signer as _, SigningKey};
use openmls::prelude::{
    BasicCredential, CredentialWithKey, KeyPackage, KeyPackageIn, Lifetime, MlsGroup, MlsGroupCreateConfig,
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
use std::time::SystemTime;
use tls_codec::{Deserialize, Serialize};

pub(crate) const CONVERSATION: ConversationId = ConversationId([9; 16]);

/// The system's clock: the library looks at it too.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is after 1970");
    UnixMillis(u64::try_from(since.as_millis()).expect("the clock is before the year 500 million"))
}

/// A device with its keys and an in-memory storage.
pub(crate) struct TestDevice {
    pub(crate) certificate: DeviceCertificate,
    pub(crate) provider: Provider<MemoryStorage>,
    key: SigningKey,
}

impl Signer for TestDevice {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.key.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

impl TestDevice {
    /// The device of this number of the account of this number.
    pub(crate) fn new(account: u8, device: u8) -> Self {
        Self::with_identity(account, device, account)
    }

    pub(crate) fn with_identity(account: u8, device: u8, identity: u8) -> Self {
        let key = SigningKey::from_bytes(&[100 + device; 32]);
        let certificate = DeviceCertificate::issue(
            &SigningKey::from_bytes(&[identity; 32]),
            AccountId([account; 16]),
            DeviceId([device; 16]),
            key.verifying_key().to_bytes(),
            now(),
        );
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(device));
        Self { certificate, provider: Provider::new(MemoryStorage::default(), &mut rng), key }
    }

    pub(crate) fn key_package(&self, suite: Suite) -> Vec<u8> {
        let start = now().0 / 1000 - 3600;
        self.key_package_with_lifetime(suite, Lifetime::init(start, start + 3600 + 30 * 24 * 3600))
    }

    pub(crate) fn key_package_with_lifetime(&self, suite: Suite, lifetime: Lifetime) -> Vec<u8> {
        self.build(suite, lifetime, credential_with_key(&self.certificate))
    }

    /// A package that signs with this device's key and shows another device's certificate.
    pub(crate) fn key_package_showing(&self, suite: Suite, other: &DeviceCertificate) -> Vec<u8> {
        let credential = CredentialWithKey {
            credential: BasicCredential::new(other.to_bytes()).into(),
            signature_key: self.certificate.device_key().to_vec().into(),
        };
        let start = now().0 / 1000 - 3600;
        self.build(suite, Lifetime::init(start, start + 24 * 3600), credential)
    }

    fn build(&self, suite: Suite, lifetime: Lifetime, credential: CredentialWithKey) -> Vec<u8> {
        let bundle = KeyPackage::builder()
            .key_package_lifetime(lifetime)
            .build(suite.ciphersuite(), &self.provider, self, credential)
            .expect("a key package is built");
        crate::key_package::encode(bundle.key_package())
    }

    /// The same keys with a certificate that names another account and device.
    pub(crate) fn renamed(mut self, account: u8, device: u8) -> Self {
        self.certificate = DeviceCertificate::issue(
            &SigningKey::from_bytes(&[account; 32]),
            AccountId([account; 16]),
            DeviceId([device; 16]),
            *self.certificate.device_key(),
            now(),
        );
        self
    }

    pub(crate) fn create(&self, suite: Suite) -> MlsGroup {
        self.create_in(suite, CONVERSATION)
    }

    pub(crate) fn create_in(&self, suite: Suite, conversation: ConversationId) -> MlsGroup {
        MlsGroup::new_with_group_id(
            &self.provider,
            self,
            &MlsGroupCreateConfig::builder()
                .ciphersuite(suite.ciphersuite())
                .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
                .build(),
            openmls::group::GroupId::from_slice(conversation.as_bytes()),
            credential_with_key(&self.certificate),
        )
        .expect("a group is created")
    }

    /// The group info as it travels, without the tree.
    pub(crate) fn group_info(&self, group: &MlsGroup) -> Vec<u8> {
        bytes(
            &group.export_group_info(self.provider.crypto(), self, false).expect("a group info is exported"),
        )
    }

    /// A commit that adds and removes, with its group info.
    pub(crate) fn commit(
        &self,
        group: &mut MlsGroup,
        adds: &[Vec<u8>],
        removes: &[u32],
    ) -> (Vec<u8>, Vec<u8>) {
        let adds = adds.iter().map(|package| {
            let MlsMessageBodyIn::KeyPackage(package) =
                MlsMessageIn::tls_deserialize_exact(package).expect("a message").extract()
            else {
                panic!("not a key package")
            };
            validated(package, self)
        });
        let bundle = group
            .commit_builder()
            .propose_adds(adds.collect::<Vec<_>>())
            .propose_removals(removes.iter().map(|index| openmls::prelude::LeafNodeIndex::new(*index)))
            .force_self_update(true)
            .load_psks(self.provider.storage())
            .expect("no pre-shared keys")
            .create_group_info(true)
            .build(self.provider.rand(), self.provider.crypto(), self, |_| true)
            .expect("a commit is built")
            .stage_commit(&self.provider)
            .expect("a commit is staged");
        let (commit, _, group_info) = bundle.into_contents();
        let group_info = group_info.expect("the group info was asked for");
        (bytes(&commit), bytes(&MlsMessageOut::from(group_info)))
    }
}

impl TestDevice {
    /// Joins (or rejoins) from what the relay serves; gives the commit and its group info.
    pub(crate) fn external_commit(&self, group_info: &[u8], tree: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let MlsMessageBodyIn::GroupInfo(group_info) =
            MlsMessageIn::tls_deserialize_exact(group_info).expect("a message").extract()
        else {
            panic!("not a group info")
        };
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
        (bytes(&commit), bytes(&MlsMessageOut::from(group_info.expect("the group info was asked for"))))
    }
}

fn validated(package: KeyPackageIn, device: &TestDevice) -> KeyPackage {
    package.validate(device.provider.crypto(), ProtocolVersion::Mls10).expect("a valid package")
}

pub(crate) fn bytes(message: &MlsMessageOut) -> Vec<u8> {
    message.tls_serialize_detached().expect("a message is written")
}
