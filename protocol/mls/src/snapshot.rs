//! The public state of a group as bytes.
//!
//! OpenMLS writes a public group as four values through its storage trait. [`Snapshot`] is that storage:
//! four places in memory that become one run of bytes and back. It cannot be rebuilt from a group info
//! and a tree instead: that path refuses groups in which a member's key package has expired since.
//!
//! ```text
//! version 1 | 4 x ( length 4 big endian | MessagePack )     tree, context, transcript hash, confirmation tag
//! ```

use openmls_traits::public_storage::PublicStorageProvider;
use openmls_traits::storage::{CURRENT_VERSION, traits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;

const VERSION: u8 = 1;
const PLACES: usize = 4;

/// Why a snapshot could not be written or read: the storage lost something, or there is a bug here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("the snapshot of a group is not one that this version wrote")]
    Malformed,
    #[error("a value of the group's public state cannot be written: {0}")]
    Write(#[from] rmp_serde::encode::Error),
    #[error("a value of the group's public state cannot be read: {0}")]
    Read(#[from] rmp_serde::decode::Error),
    #[error("standalone proposals are not kept")]
    Proposal,
}

#[derive(Clone, Copy)]
enum Place {
    Tree,
    Context,
    TranscriptHash,
    ConfirmationTag,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Snapshot(RefCell<[Option<Vec<u8>>; PLACES]>);

impl Snapshot {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let malformed = || SnapshotError::Malformed;
        let (version, mut rest) = bytes.split_first().ok_or_else(malformed)?;
        if *version != VERSION {
            return Err(SnapshotError::Malformed);
        }
        let mut places = [const { None }; PLACES];
        for place in &mut places {
            let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
            let length =
                usize::try_from(u32::from_be_bytes(*length)).map_err(|_| SnapshotError::Malformed)?;
            let (value, tail) = tail.split_at_checked(length).ok_or_else(malformed)?;
            *place = Some(value.to_vec());
            rest = tail;
        }
        if rest.is_empty() { Ok(Self(RefCell::new(places))) } else { Err(SnapshotError::Malformed) }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for place in self.0.borrow().iter() {
            let value = place.as_deref().unwrap_or_default();
            let length = u32::try_from(value.len()).expect("a tree within the limits is far below 4 GiB");
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(value);
        }
        bytes
    }

    fn write(&self, place: Place, value: &impl Serialize) -> Result<(), SnapshotError> {
        let value = rmp_serde::to_vec_named(value)?;
        if let Some(place) = self.0.borrow_mut().get_mut(place as usize) {
            *place = Some(value);
        }
        Ok(())
    }

    fn read<T: DeserializeOwned>(&self, place: Place) -> Result<Option<T>, SnapshotError> {
        let places = self.0.borrow();
        let value = places.get(place as usize).and_then(Option::as_deref);
        Ok(value.map(rmp_serde::from_slice).transpose()?)
    }

    fn delete(&self, place: Place) {
        if let Some(place) = self.0.borrow_mut().get_mut(place as usize) {
            *place = None;
        }
    }
}

type Stored<T> = Result<T, SnapshotError>;

impl PublicStorageProvider<CURRENT_VERSION> for Snapshot {
    type PublicError = SnapshotError;

    fn write_tree<G: traits::GroupId<CURRENT_VERSION>, T: traits::TreeSync<CURRENT_VERSION>>(
        &self,
        _group_id: &G,
        tree: &T,
    ) -> Stored<()> {
        self.write(Place::Tree, tree)
    }

    fn write_interim_transcript_hash<
        G: traits::GroupId<CURRENT_VERSION>,
        H: traits::InterimTranscriptHash<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &G,
        interim_transcript_hash: &H,
    ) -> Stored<()> {
        self.write(Place::TranscriptHash, interim_transcript_hash)
    }

    fn write_context<G: traits::GroupId<CURRENT_VERSION>, C: traits::GroupContext<CURRENT_VERSION>>(
        &self,
        _group_id: &G,
        group_context: &C,
    ) -> Stored<()> {
        self.write(Place::Context, group_context)
    }

    fn write_confirmation_tag<
        G: traits::GroupId<CURRENT_VERSION>,
        T: traits::ConfirmationTag<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &G,
        confirmation_tag: &T,
    ) -> Stored<()> {
        self.write(Place::ConfirmationTag, confirmation_tag)
    }

    fn queue_proposal<
        G: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
        P: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &G,
        _proposal_ref: &R,
        _proposal: &P,
    ) -> Stored<()> {
        Err(SnapshotError::Proposal)
    }

    fn queued_proposals<
        G: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
        P: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &G,
    ) -> Stored<Vec<(R, P)>> {
        Ok(Vec::new())
    }

    fn tree<G: traits::GroupId<CURRENT_VERSION>, T: traits::TreeSync<CURRENT_VERSION>>(
        &self,
        _group_id: &G,
    ) -> Stored<Option<T>> {
        self.read(Place::Tree)
    }

    fn group_context<G: traits::GroupId<CURRENT_VERSION>, C: traits::GroupContext<CURRENT_VERSION>>(
        &self,
        _group_id: &G,
    ) -> Stored<Option<C>> {
        self.read(Place::Context)
    }

    fn interim_transcript_hash<
        G: traits::GroupId<CURRENT_VERSION>,
        H: traits::InterimTranscriptHash<CURRENT_VERSION>,
    >(
        &self,
        _group_id: &G,
    ) -> Stored<Option<H>> {
        self.read(Place::TranscriptHash)
    }

    fn confirmation_tag<G: traits::GroupId<CURRENT_VERSION>, T: traits::ConfirmationTag<CURRENT_VERSION>>(
        &self,
        _group_id: &G,
    ) -> Stored<Option<T>> {
        self.read(Place::ConfirmationTag)
    }

    fn delete_tree<G: traits::GroupId<CURRENT_VERSION>>(&self, _group_id: &G) -> Stored<()> {
        self.delete(Place::Tree);
        Ok(())
    }

    fn delete_confirmation_tag<G: traits::GroupId<CURRENT_VERSION>>(&self, _group_id: &G) -> Stored<()> {
        self.delete(Place::ConfirmationTag);
        Ok(())
    }

    fn delete_context<G: traits::GroupId<CURRENT_VERSION>>(&self, _group_id: &G) -> Stored<()> {
        self.delete(Place::Context);
        Ok(())
    }

    fn delete_interim_transcript_hash<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        _group_id: &G,
    ) -> Stored<()> {
        self.delete(Place::TranscriptHash);
        Ok(())
    }

    fn remove_proposal<G: traits::GroupId<CURRENT_VERSION>, R: traits::ProposalRef<CURRENT_VERSION>>(
        &self,
        _group_id: &G,
        _proposal_ref: &R,
    ) -> Stored<()> {
        Ok(())
    }

    fn clear_proposal_queue<G: traits::GroupId<CURRENT_VERSION>, R: traits::ProposalRef<CURRENT_VERSION>>(
        &self,
        _group_id: &G,
    ) -> Stored<()> {
        Ok(())
    }
}
