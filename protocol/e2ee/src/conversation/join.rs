//! Beginning: a new group, a Welcome, or an external commit.

use super::members::{self, Roster};
use super::record::{self, Phase, Record};
use super::{Alert, Conversation, ConversationError, Staged, chain, forget_group};
use crate::identity::LocalDevice;
use crate::key_package;
use crate::mls::{Provider, Suite, capabilities, create_config, group_id, join_config};
use crate::store::{MlsStorage, Transaction, prefix};
use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::{
    LeafNodeParameters, Lifetime, MlsGroup, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, RatchetTreeIn,
    StagedWelcome, WelcomeError,
};
use openmls_traits::OpenMlsProvider as _;
use rand_core::CryptoRng;
use sotto_mls::key_package::KEY_PACKAGE_BACKDATE_SECONDS;
use sotto_protocol::body::conversation::{Group, HistoryPolicy, Welcome};
use sotto_protocol::ids::{ConversationId, Sequence, UnixMillis};
use sotto_protocol::limits::{
    GROUP_INFO_BYTES_MAX, KEY_PACKAGE_LIFETIME_SECONDS, TREE_BYTES_MAX, WELCOME_BYTES_MAX,
};
use sotto_protocol::payload::Payload;
use tls_codec::{Deserialize as _, Serialize as _};

/// What the relay needs to know of a new conversation.
pub struct Genesis {
    /// An MLS `GroupInfo` message of epoch 0, without the tree.
    pub group_info: Payload,
    /// The ratchet tree of epoch 0.
    pub tree: Payload,
}

impl Conversation {
    /// Makes a new group whose only leaf is this device. Send `Create` with what is returned; if the relay refuses,
    /// [`Conversation::forget`] it.
    ///
    /// # Errors
    /// If there is such a conversation already, or the store fails.
    pub fn create(
        tx: &Transaction<'_>,
        rng: &mut impl CryptoRng,
        me: &LocalDevice,
        id: ConversationId,
        suite: Suite,
        history: HistoryPolicy,
        now: UnixMillis,
    ) -> Result<(Self, Genesis), ConversationError> {
        if Record::load(tx, id)?.is_some() {
            return Err(ConversationError::BadChange("this conversation exists already"));
        }
        tx.nested(|| {
            let provider = Provider::new(MlsStorage(tx), rng);
            let seconds = now.0 / 1000;
            let lifetime = Lifetime::init(
                seconds.saturating_sub(KEY_PACKAGE_BACKDATE_SECONDS),
                seconds.saturating_add(KEY_PACKAGE_LIFETIME_SECONDS),
            );
            let config = create_config(suite, lifetime);
            let group = MlsGroup::new_with_group_id(&provider, me, &config, group_id(id), me.credential())
                .map_err(ConversationError::library)?;
            let group_info =
                group.export_group_info(provider.crypto(), me, false).map_err(ConversationError::library)?;
            let genesis = Genesis {
                group_info: bytes(&group_info)?.into(),
                tree: group
                    .export_ratchet_tree()
                    .tls_serialize_detached()
                    .map_err(ConversationError::library)?
                    .into(),
            };
            let (conversation, _) = Self::begin(tx, me, id, group, history, Phase::Member, Sequence(0), now)?;
            Ok((conversation, genesis))
        })
    }

    /// Joins by a Welcome; `group` is the relay's `Group` of the Welcome's epoch. What was kept of an earlier
    /// membership is replaced.
    ///
    /// # Errors
    /// If the Welcome is not for this device or does not verify, or a member's certificate is forged.
    pub fn join_welcome(
        tx: &Transaction<'_>,
        me: &LocalDevice,
        history: HistoryPolicy,
        welcome: &Welcome,
        group: &Group,
        now: UnixMillis,
    ) -> Result<(Self, Vec<Alert>), ConversationError> {
        let invalid = ConversationError::GroupInvalid;
        if welcome.epoch != group.epoch || welcome.sequence != group.sequence {
            return Err(invalid("the tree is of another epoch than the Welcome".into()));
        }
        tx.nested(|| {
            forget_group(tx, welcome.conversation)?;
            let provider = Provider::reading(MlsStorage(tx));
            let message = decode(welcome.welcome.as_slice(), WELCOME_BYTES_MAX)?;
            let MlsMessageBodyIn::Welcome(message) = message.extract() else {
                return Err(invalid("this is not a Welcome".into()));
            };
            for secrets in message.secrets() {
                key_package::used(tx, secrets.new_member().as_slice())?;
            }
            let mls_group = StagedWelcome::build_from_welcome(&provider, &join_config(), message)
                .map_err(refusal)?
                .with_ratchet_tree(decode_tree(group.tree.as_slice())?)
                // Members whose key packages have expired since they were added are members still.
                .skip_lifetime_validation()
                .build()
                .map_err(refusal)?
                .into_group(&provider)
                .map_err(refusal)?;
            let expected = (group_id(welcome.conversation), welcome.epoch.0);
            if (mls_group.group_id(), mls_group.epoch().as_u64()) != (&expected.0, expected.1) {
                return Err(invalid(
                    "the Welcome is of another conversation or epoch than the relay says".into(),
                ));
            }
            Suite::try_from(mls_group.ciphersuite()).map_err(ConversationError::invalid)?;
            Self::begin(
                tx,
                me,
                welcome.conversation,
                mls_group,
                history,
                Phase::Member,
                welcome.sequence,
                now,
            )
        })
    }

    /// Joins, or rejoins, by an external commit on the relay's current `Group`. This device is not a member until
    /// [`Conversation::confirm`], or until [`Conversation::process`] meets the commit in the log. If another commit
    /// was first, call this again with the new `Group`. What was kept of an earlier membership is replaced, its
    /// old leaf goes.
    ///
    /// # Errors
    /// If the group does not verify, or a member's certificate is forged.
    pub fn join_external(
        tx: &Transaction<'_>,
        rng: &mut impl CryptoRng,
        me: &LocalDevice,
        id: ConversationId,
        history: HistoryPolicy,
        group: &Group,
        now: UnixMillis,
    ) -> Result<(Self, Staged), ConversationError> {
        let again = Record::load(tx, id).map_or(true, |record| {
            record.is_some_and(|record| !matches!(record.phase, Phase::Joining { again: false }))
        });
        tx.nested(|| {
            forget_group(tx, id)?;
            let provider = Provider::new(MlsStorage(tx), rng);
            let group_info = decode_group_info(group.group_info.as_slice())?;
            if group_info.group_id() != &group_id(id) || group_info.epoch().as_u64() != group.epoch.0 {
                let sentence = "the group is of another conversation or epoch than the relay says";
                return Err(ConversationError::GroupInvalid(sentence.into()));
            }
            Suite::try_from(group_info.ciphersuite()).map_err(ConversationError::invalid)?;
            let (mls_group, bundle) = MlsGroup::external_commit_builder()
                .with_ratchet_tree(decode_tree(group.tree.as_slice())?)
                .with_config(join_config())
                .skip_lifetime_validation()
                .build_group(&provider, group_info, me.credential())
                .map_err(ConversationError::invalid)?
                .leaf_node_parameters(LeafNodeParameters::builder().with_capabilities(capabilities()).build())
                .load_psks(provider.storage())
                .map_err(ConversationError::library)?
                .create_group_info(true)
                .build(provider.rand(), provider.crypto(), me, |_| true)
                .map_err(ConversationError::invalid)?
                .finalize(&provider)
                .map_err(ConversationError::library)?;
            let phase = Phase::Joining { again };
            let (mut conversation, alerts) =
                Self::begin(tx, me, id, mls_group, history, phase, group.sequence, now)?;
            let staged = Staged::of(bundle, conversation.epoch(), alerts)?;
            conversation.record.staged = Some(chain::message_hash(staged.commit.as_slice()));
            conversation.record.save(tx, id);
            Ok((conversation, staged))
        })
    }

    /// Checks every member of a group that this device just entered, and keeps the conversation.
    #[allow(clippy::too_many_arguments)] // One place for all three ways in; a struct would only rename them.
    fn begin(
        tx: &Transaction<'_>,
        me: &LocalDevice,
        id: ConversationId,
        group: MlsGroup,
        history: HistoryPolicy,
        phase: Phase,
        start: Sequence,
        now: UnixMillis,
    ) -> Result<(Self, Vec<Alert>), ConversationError> {
        let roster = Roster::default();
        let members = roster.check(&group).map_err(|members::Forged| ConversationError::ForgedCertificate)?;
        let alerts = members::observe(tx, &members, now)?;
        let record = Record {
            account: me.account(),
            device: me.device(),
            history,
            phase,
            cursor: start,
            chain: [0; 32],
            epoch_start: start,
            staged: None,
        };
        let mut conversation = Self { id, group, record, roster };
        let epoch = conversation.epoch();
        tx.delete_prefix(&prefix::key(prefix::PLACED, id, &[]))?; // Places of an earlier membership.
        for member in &members {
            // Whoever was there before: certain is only that they are members now.
            if record::since(tx, id, member.account)?.is_none() {
                record::keep_since(tx, id, member.account, epoch);
            }
        }
        if phase == Phase::Member {
            conversation.begin_epoch(tx, start)?;
        }
        conversation.record.save(tx, id);
        Ok((conversation, alerts))
    }
}

/// Writes an MLS message.
pub(super) fn bytes(message: &MlsMessageOut) -> Result<Vec<u8>, ConversationError> {
    message.tls_serialize_detached().map_err(ConversationError::library)
}

fn decode(bytes: &[u8], limit: usize) -> Result<MlsMessageIn, ConversationError> {
    if bytes.len() > limit {
        return Err(ConversationError::GroupInvalid(format!(
            "{} bytes are over the limit of {limit}",
            bytes.len()
        )));
    }
    MlsMessageIn::tls_deserialize_exact(bytes).map_err(ConversationError::invalid)
}

fn decode_group_info(bytes: &[u8]) -> Result<VerifiableGroupInfo, ConversationError> {
    match decode(bytes, GROUP_INFO_BYTES_MAX)?.extract() {
        MlsMessageBodyIn::GroupInfo(group_info) => Ok(group_info),
        _ => Err(ConversationError::GroupInvalid("this is not a group info".into())),
    }
}

fn decode_tree(bytes: &[u8]) -> Result<RatchetTreeIn, ConversationError> {
    if bytes.len() > TREE_BYTES_MAX {
        return Err(ConversationError::GroupInvalid("the tree is over its limit".into()));
    }
    RatchetTreeIn::tls_deserialize_exact(bytes).map_err(ConversationError::invalid)
}

fn refusal<E: std::fmt::Display>(error: WelcomeError<E>) -> ConversationError {
    match error {
        WelcomeError::NoMatchingKeyPackage | WelcomeError::JoinerSecretNotFound => {
            ConversationError::NoKeyPackage
        }
        other => ConversationError::invalid(other),
    }
}
