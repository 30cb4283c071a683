//! How this crate drives OpenMLS: the suite, the provider over a transaction, and the configuration of groups.

pub use sotto_mls::suite::Suite;

use crate::store::MlsStorage;
use openmls::prelude::{
    Capabilities, ExtensionType, GroupId, MlsGroupCreateConfig, MlsGroupJoinConfig,
    PURE_PLAINTEXT_WIRE_FORMAT_POLICY, SenderRatchetConfiguration,
};
use openmls_traits::OpenMlsProvider;
use openmls_traits::random::OpenMlsRand;
use rand_core::CryptoRng;
use sotto_mls::provider::{MlsCrypto, SeededRand};
use sotto_protocol::ids::ConversationId;

/// What OpenMLS needs for one operation.
pub(crate) struct Provider<'t, 'a, R> {
    crypto: MlsCrypto,
    rand: R,
    storage: MlsStorage<'t, 'a>,
}

/// For operations that need no randomness: reading. Asking for some is an error, not a surprise.
pub(crate) struct NoRand;

/// Randomness was asked of an operation that has none.
#[derive(Debug, thiserror::Error)]
#[error("an operation that reads asked for randomness")]
pub(crate) struct NoRandomness;

impl<'t, 'a> Provider<'t, 'a, SeededRand> {
    pub(crate) fn new(storage: MlsStorage<'t, 'a>, rng: &mut impl CryptoRng) -> Self {
        Self { crypto: MlsCrypto, rand: SeededRand::new(rng), storage }
    }
}

impl<'t, 'a> Provider<'t, 'a, NoRand> {
    pub(crate) fn reading(storage: MlsStorage<'t, 'a>) -> Self {
        Self { crypto: MlsCrypto, rand: NoRand, storage }
    }
}

impl<'t, 'a, R: OpenMlsRand> OpenMlsProvider for Provider<'t, 'a, R> {
    type CryptoProvider = MlsCrypto;
    type RandProvider = R;
    type StorageProvider = MlsStorage<'t, 'a>;

    fn storage(&self) -> &MlsStorage<'t, 'a> {
        &self.storage
    }

    fn crypto(&self) -> &MlsCrypto {
        &self.crypto
    }

    fn rand(&self) -> &R {
        &self.rand
    }
}

impl OpenMlsRand for NoRand {
    type Error = NoRandomness;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], NoRandomness> {
        Err(NoRandomness)
    }

    fn random_vec(&self, _: usize) -> Result<Vec<u8>, NoRandomness> {
        Err(NoRandomness)
    }
}

/// A group's id is its conversation's id.
pub(crate) fn group_id(conversation: ConversationId) -> GroupId {
    GroupId::from_slice(conversation.as_bytes())
}

/// Handshakes in the clear, so that the relay can check them; no keys of past epochs and of past messages, because
/// the relay delivers in order; no tree in Welcomes, because the relay serves it; no padding, because
/// [`crate::padding`] does that.
pub(crate) fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .max_past_epochs(0)
        .number_of_resumption_psks(0)
        .use_ratchet_tree_extension(false)
        .sender_ratchet_configuration(ratchet_config())
        .build()
}

/// What every leaf of ours says that it can do: exactly our suites, and last-resort key packages.
pub(crate) fn capabilities() -> Capabilities {
    let suites = Suite::ALL.map(Suite::ciphersuite);
    Capabilities::new(None, Some(&suites), Some(&[ExtensionType::LastResort]), None, None)
}

/// [`join_config`] for a new group.
pub(crate) fn create_config(suite: Suite, lifetime: openmls::prelude::Lifetime) -> MlsGroupCreateConfig {
    MlsGroupCreateConfig::builder()
        .ciphersuite(suite.ciphersuite())
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .max_past_epochs(0)
        .number_of_resumption_psks(0)
        .use_ratchet_tree_extension(false)
        .sender_ratchet_configuration(ratchet_config())
        .capabilities(capabilities())
        .lifetime(lifetime)
        .build()
}

/// Nothing behind, and a thousand ahead: a sender that encrypted and never sent may skip generations.
fn ratchet_config() -> SenderRatchetConfiguration {
    SenderRatchetConfiguration::new(0, 1_000)
}
