//! The public state of a group as the checkpoint keeps it.

use crate::store::{LogReader, Row, StoreError};
use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};
use bytes::Bytes;
use sotto_mls::public_state::PublicState;
use sotto_protocol::ids::{ConversationId, Epoch};
use sotto_protocol::payload::Payload;
use std::sync::Arc;

/// The tree twice (as it travels, as OpenMLS keeps it), with a wide margin; more is damage.
const ROW_BYTES_MAX: usize = 64 * 1024 * 1024;

type RowConfig = Configuration<LittleEndian, Varint, Limit<ROW_BYTES_MAX>>;

/// A row of [`Row::Group`] or, without the snapshot, [`Row::Joining`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub(super) struct GroupRow {
    pub(super) epoch: Epoch,
    pub(super) group_info: Payload,
    pub(super) tree: Payload,
    pub(super) snapshot: Payload,
}

impl GroupRow {
    /// The current state: what the next commit is verified against, and what joiners get.
    pub(super) fn current(state: &PublicState, group_info: &Payload) -> Self {
        Self {
            epoch: state.epoch(),
            group_info: group_info.clone(),
            tree: state.export_tree().into(),
            snapshot: Bytes::copy_from_slice(state.snapshot()).into(),
        }
    }

    /// What joiners by Welcome get when the conversation has moved on.
    pub(super) fn joining(&self) -> Self {
        Self { snapshot: Payload::default(), ..self.clone() }
    }

    pub(super) fn to_bytes(&self) -> Bytes {
        bincode::encode_to_vec(self, bincode::config::standard())
            .expect("writing to memory does not fail, and a row has no part that cannot be encoded")
            .into()
    }

    pub(super) fn from_bytes(bytes: &Bytes) -> Option<Self> {
        const CONFIG: RowConfig = bincode::config::standard().with_limit::<ROW_BYTES_MAX>();
        let (row, read) =
            bincode::decode_from_slice_with_context::<Bytes, Self, _>(bytes, CONFIG, bytes.clone()).ok()?;
        (read == bytes.len()).then_some(row)
    }

    pub(super) fn state(&self, conversation: ConversationId) -> Result<PublicState, StoreError> {
        PublicState::from_snapshot(conversation, self.snapshot.as_slice())
            .map_err(|error| StoreError::Internal(error.to_string()))
    }
}

/// Where a row is to be had: not in a checkpoint yet, or on the disk.
#[derive(Clone)]
pub(super) struct RowSource {
    pub(super) row: Row,
    pub(super) fresh: Option<Bytes>,
    pub(super) reader: Arc<dyn LogReader>,
}

impl RowSource {
    pub(super) fn bytes(&self) -> Result<Bytes, StoreError> {
        if let Some(fresh) = &self.fresh {
            return Ok(fresh.clone());
        }
        let missing = || StoreError::Internal(format!("the checkpoint has no {:?}", self.row));
        self.reader.row(&self.row)?.ok_or_else(missing)
    }

    pub(super) fn group(&self) -> Result<GroupRow, StoreError> {
        let unreadable = || StoreError::Internal(format!("{:?} of the checkpoint does not read", self.row));
        GroupRow::from_bytes(&self.bytes()?).ok_or_else(unreadable)
    }
}
