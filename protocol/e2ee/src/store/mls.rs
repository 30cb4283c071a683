//! What OpenMLS keeps, as rows of a transaction.
//!
//! A key is the MLS prefix, one byte for the kind of object (frozen: these bytes are on people's disks), and the
//! MessagePack of the library's key. A value is MessagePack: the codec has to be self-describing. Nothing is ever
//! appended in place, so deleting or overwriting a row is all it takes to forget a secret.

use super::messagepack::{self, Malformed};
use super::{StoreError, Transaction, Value, prefix};
use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// OpenMLS's view of a transaction.
pub(crate) struct MlsStorage<'t, 'a>(pub(crate) &'t Transaction<'a>);

/// Why a row could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodecError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row does not decode: it was damaged, or written by something else.
    #[error("a row of the conversation's state does not decode: {0}")]
    Decode(#[from] Malformed),
    /// A value of the library cannot be written, which is a bug.
    #[error("a value cannot be written: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
}

/// One value as MessagePack, in memory that is wiped.
fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Value, rmp_serde::encode::Error> {
    // Room for most values at once, so that growing leaves few copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    rmp_serde::encode::write(&mut *bytes, value)?;
    Ok(bytes)
}

/// The kind of object. The numbers are frozen.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    JoinConfig = 1,
    OwnLeafNodes = 2,
    ProposalRefs = 3,
    Proposal = 4,
    Tree = 5,
    InterimTranscriptHash = 6,
    GroupContext = 7,
    ConfirmationTag = 8,
    GroupState = 9,
    MessageSecrets = 10,
    ResumptionPsks = 11,
    OwnLeafIndex = 12,
    EpochSecrets = 13,
    SignatureKeyPair = 14,
    EncryptionKeyPair = 15,
    EpochKeyPairs = 16,
    KeyPackage = 17,
    Psk = 18,
}

impl MlsStorage<'_, '_> {
    fn key(kind: Kind, key: &impl Serialize) -> Result<Vec<u8>, CodecError> {
        let mut bytes = vec![prefix::MLS, kind as u8];
        rmp_serde::encode::write(&mut bytes, key)?;
        Ok(bytes)
    }

    fn write(
        &self,
        kind: Kind,
        key: &impl Serialize,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), CodecError> {
        self.0.put(Self::key(kind, key)?, std::mem::take(&mut *encode(value)?));
        Ok(())
    }

    fn read<V: DeserializeOwned>(&self, kind: Kind, key: &impl Serialize) -> Result<Option<V>, CodecError> {
        match self.0.get(&Self::key(kind, key)?)? {
            Some(value) => Ok(Some(messagepack::from_slice(&value)?)),
            None => Ok(None),
        }
    }

    fn read_list<V: DeserializeOwned>(&self, kind: Kind, key: &impl Serialize) -> Result<Vec<V>, CodecError> {
        Ok(self.read(kind, key)?.unwrap_or_default())
    }

    fn write_appended<V: Serialize>(
        &self,
        kind: Kind,
        key: &impl Serialize,
        list: &[V],
        last: &V,
    ) -> Result<(), CodecError> {
        self.write(kind, key, &list.iter().chain([last]).collect::<Vec<_>>())
    }

    /// Deletes every row of a group without reading it: it may be damaged.
    pub(crate) fn forget_group(&self, group_id: &impl Serialize) -> Result<(), CodecError> {
        for kind in [
            Kind::JoinConfig,
            Kind::OwnLeafNodes,
            Kind::ProposalRefs,
            Kind::Tree,
            Kind::InterimTranscriptHash,
            Kind::GroupContext,
            Kind::ConfirmationTag,
            Kind::GroupState,
            Kind::MessageSecrets,
            Kind::ResumptionPsks,
            Kind::OwnLeafIndex,
            Kind::EpochSecrets,
        ] {
            self.delete(kind, group_id)?;
        }
        // These have a tuple as key, whose MessagePack is a marker of its length, then the group's id.
        for (kind, length) in [(Kind::EpochKeyPairs, 3u8), (Kind::Proposal, 2)] {
            let mut prefix = vec![prefix::MLS, kind as u8, 0x90 | length];
            rmp_serde::encode::write(&mut prefix, group_id)?;
            self.0.delete_prefix(&prefix)?;
        }
        Ok(())
    }

    fn delete(&self, kind: Kind, key: &impl Serialize) -> Result<(), CodecError> {
        self.0.delete(Self::key(kind, key)?);
        Ok(())
    }
}

// Most methods of the library's trait write, read or delete one row. They are listed as
// `method<generics>(key) in kind`, the generics named after their bounds and in the order of the trait.

macro_rules! writing {
    ($($method:ident<$($generic:ident),+>($key:ident, $value:ident) in $kind:ident;)+) => {$(
        fn $method<$($generic: traits::$generic<CURRENT_VERSION>),+>(
            &self,
            key: &$key,
            value: &$value,
        ) -> Result<(), CodecError> {
            self.write(Kind::$kind, key, value)
        }
    )+};
}

macro_rules! reading {
    ($($method:ident<$($generic:ident),+>($key:ident) -> $value:ident in $kind:ident;)+) => {$(
        fn $method<$($generic: traits::$generic<CURRENT_VERSION>),+>(
            &self,
            key: &$key,
        ) -> Result<Option<$value>, CodecError> {
            self.read(Kind::$kind, key)
        }
    )+};
}

macro_rules! deleting {
    ($($method:ident<$($generic:ident),+>($key:ident) in $kind:ident;)+) => {$(
        fn $method<$($generic: traits::$generic<CURRENT_VERSION>),+>(
            &self,
            key: &$key,
        ) -> Result<(), CodecError> {
            self.delete(Kind::$kind, key)
        }
    )+};
}

impl StorageProvider<CURRENT_VERSION> for MlsStorage<'_, '_> {
    type Error = CodecError;

    writing! {
        write_mls_join_config<GroupId, MlsGroupJoinConfig>(GroupId, MlsGroupJoinConfig) in JoinConfig;
        write_tree<GroupId, TreeSync>(GroupId, TreeSync) in Tree;
        write_interim_transcript_hash<GroupId, InterimTranscriptHash>(GroupId, InterimTranscriptHash) in InterimTranscriptHash;
        write_context<GroupId, GroupContext>(GroupId, GroupContext) in GroupContext;
        write_confirmation_tag<GroupId, ConfirmationTag>(GroupId, ConfirmationTag) in ConfirmationTag;
        write_group_state<GroupState, GroupId>(GroupId, GroupState) in GroupState;
        write_message_secrets<GroupId, MessageSecrets>(GroupId, MessageSecrets) in MessageSecrets;
        write_resumption_psk_store<GroupId, ResumptionPskStore>(GroupId, ResumptionPskStore) in ResumptionPsks;
        write_own_leaf_index<GroupId, LeafNodeIndex>(GroupId, LeafNodeIndex) in OwnLeafIndex;
        write_group_epoch_secrets<GroupId, GroupEpochSecrets>(GroupId, GroupEpochSecrets) in EpochSecrets;
        write_signature_key_pair<SignaturePublicKey, SignatureKeyPair>(SignaturePublicKey, SignatureKeyPair) in SignatureKeyPair;
        write_encryption_key_pair<EncryptionKey, HpkeKeyPair>(EncryptionKey, HpkeKeyPair) in EncryptionKeyPair;
        write_key_package<HashReference, KeyPackage>(HashReference, KeyPackage) in KeyPackage;
        write_psk<PskId, PskBundle>(PskId, PskBundle) in Psk;
    }

    reading! {
        mls_group_join_config<GroupId, MlsGroupJoinConfig>(GroupId) -> MlsGroupJoinConfig in JoinConfig;
        tree<GroupId, TreeSync>(GroupId) -> TreeSync in Tree;
        group_context<GroupId, GroupContext>(GroupId) -> GroupContext in GroupContext;
        interim_transcript_hash<GroupId, InterimTranscriptHash>(GroupId) -> InterimTranscriptHash in InterimTranscriptHash;
        confirmation_tag<GroupId, ConfirmationTag>(GroupId) -> ConfirmationTag in ConfirmationTag;
        group_state<GroupState, GroupId>(GroupId) -> GroupState in GroupState;
        message_secrets<GroupId, MessageSecrets>(GroupId) -> MessageSecrets in MessageSecrets;
        resumption_psk_store<GroupId, ResumptionPskStore>(GroupId) -> ResumptionPskStore in ResumptionPsks;
        own_leaf_index<GroupId, LeafNodeIndex>(GroupId) -> LeafNodeIndex in OwnLeafIndex;
        group_epoch_secrets<GroupId, GroupEpochSecrets>(GroupId) -> GroupEpochSecrets in EpochSecrets;
        signature_key_pair<SignaturePublicKey, SignatureKeyPair>(SignaturePublicKey) -> SignatureKeyPair in SignatureKeyPair;
        encryption_key_pair<HpkeKeyPair, EncryptionKey>(EncryptionKey) -> HpkeKeyPair in EncryptionKeyPair;
        key_package<HashReference, KeyPackage>(HashReference) -> KeyPackage in KeyPackage;
        psk<PskBundle, PskId>(PskId) -> PskBundle in Psk;
    }

    deleting! {
        delete_own_leaf_nodes<GroupId>(GroupId) in OwnLeafNodes;
        delete_group_config<GroupId>(GroupId) in JoinConfig;
        delete_tree<GroupId>(GroupId) in Tree;
        delete_confirmation_tag<GroupId>(GroupId) in ConfirmationTag;
        delete_group_state<GroupId>(GroupId) in GroupState;
        delete_context<GroupId>(GroupId) in GroupContext;
        delete_interim_transcript_hash<GroupId>(GroupId) in InterimTranscriptHash;
        delete_message_secrets<GroupId>(GroupId) in MessageSecrets;
        delete_all_resumption_psk_secrets<GroupId>(GroupId) in ResumptionPsks;
        delete_own_leaf_index<GroupId>(GroupId) in OwnLeafIndex;
        delete_group_epoch_secrets<GroupId>(GroupId) in EpochSecrets;
        delete_signature_key_pair<SignaturePublicKey>(SignaturePublicKey) in SignatureKeyPair;
        delete_encryption_key_pair<EncryptionKey>(EncryptionKey) in EncryptionKeyPair;
        delete_key_package<HashReference>(HashReference) in KeyPackage;
        delete_psk<PskId>(PskId) in Psk;
    }

    fn append_own_leaf_node<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        LeafNode: traits::LeafNode<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
        leaf_node: &LeafNode,
    ) -> Result<(), Self::Error> {
        let nodes: Vec<LeafNode> = self.read_list(Kind::OwnLeafNodes, group_id)?;
        self.write_appended(Kind::OwnLeafNodes, group_id, &nodes, leaf_node)
    }

    fn queue_proposal<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
        QueuedProposal: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
        proposal_ref: &ProposalRef,
        proposal: &QueuedProposal,
    ) -> Result<(), Self::Error> {
        self.write(Kind::Proposal, &(group_id, proposal_ref), proposal)?;
        let refs: Vec<ProposalRef> = self.read_list(Kind::ProposalRefs, group_id)?;
        self.write_appended(Kind::ProposalRefs, group_id, &refs, proposal_ref)
    }

    fn write_encryption_epoch_key_pairs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        EpochKey: traits::EpochKey<CURRENT_VERSION>,
        HpkeKeyPair: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
        key_pairs: &[HpkeKeyPair],
    ) -> Result<(), Self::Error> {
        self.write(Kind::EpochKeyPairs, &(group_id, epoch, leaf_index), key_pairs)
    }

    fn queued_proposals<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
        QueuedProposal: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
    ) -> Result<Vec<(ProposalRef, QueuedProposal)>, Self::Error> {
        let refs: Vec<ProposalRef> = self.read_list(Kind::ProposalRefs, group_id)?;
        refs.into_iter()
            .map(|proposal_ref| {
                let key = (group_id, &proposal_ref);
                let missing = || StoreError::Damaged("a queued proposal is missing".into());
                let proposal = self.read(Kind::Proposal, &key)?.ok_or_else(missing)?;
                Ok((proposal_ref, proposal))
            })
            .collect()
    }

    fn encryption_epoch_key_pairs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        EpochKey: traits::EpochKey<CURRENT_VERSION>,
        HpkeKeyPair: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
    ) -> Result<Vec<HpkeKeyPair>, Self::Error> {
        self.read_list(Kind::EpochKeyPairs, &(group_id, epoch, leaf_index))
    }

    fn remove_proposal<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
        proposal_ref: &ProposalRef,
    ) -> Result<(), Self::Error> {
        let removed = encode(proposal_ref)?;
        let refs: Vec<ProposalRef> = self.read_list(Kind::ProposalRefs, group_id)?;
        let mut kept = Vec::with_capacity(refs.len());
        for known in refs {
            if encode(&known)? != removed {
                kept.push(known);
            }
        }
        self.write(Kind::ProposalRefs, group_id, &kept)?;
        self.delete(Kind::Proposal, &(group_id, proposal_ref))
    }

    fn clear_proposal_queue<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
    ) -> Result<(), Self::Error> {
        let refs: Vec<ProposalRef> = self.read_list(Kind::ProposalRefs, group_id)?;
        for proposal_ref in &refs {
            self.delete(Kind::Proposal, &(group_id, proposal_ref))?;
        }
        self.delete(Kind::ProposalRefs, group_id)
    }

    fn delete_encryption_epoch_key_pairs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        EpochKey: traits::EpochKey<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
    ) -> Result<(), Self::Error> {
        self.delete(Kind::EpochKeyPairs, &(group_id, epoch, leaf_index))
    }

    fn own_leaf_nodes<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        LeafNode: traits::LeafNode<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
    ) -> Result<Vec<LeafNode>, Self::Error> {
        self.read_list(Kind::OwnLeafNodes, group_id)
    }

    fn queued_proposal_refs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group_id: &GroupId,
    ) -> Result<Vec<ProposalRef>, Self::Error> {
        self.read_list(Kind::ProposalRefs, group_id)
    }
}
