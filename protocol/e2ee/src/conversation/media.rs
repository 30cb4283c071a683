//! The key of sound and picture in a call of the group: SFrame with MLS, RFC 9605 section 5.2.
//!
//! ```text
//! base key = MLS-Exporter("SFrame 1.0 Base Key", "", 16)          suite AES_128_GCM_SHA256_128
//! KID      = context << 32 | leaf index << 8 | epoch % 256
//! ```
//!
//! Each sender's keys follow from the base key and its KID. A device that joins a call anew draws another context, since its counter of
//! frames begins anew too, and the same key must not seal two frames with the same counter.

use super::{Conversation, ConversationError};
use sotto_mls::provider::MlsCrypto;
use sotto_protocol::ids::{DeviceId, Epoch};
use zeroize::Zeroizing;

const LABEL: &str = "SFrame 1.0 Base Key";

/// The length of a key of AES-128.
const BASE_KEY_BYTES: usize = 16;

/// What seals the media of one epoch.
pub struct MediaKey {
    /// Of which epoch.
    pub epoch: Epoch,
    /// The same for all members, and for nobody else.
    pub base_key: Zeroizing<[u8; BASE_KEY_BYTES]>,
    /// The leaf of this device.
    pub mine: u32,
    /// Each device with its leaf, this one too.
    pub senders: Vec<(DeviceId, u32)>,
}

impl Conversation {
    /// What seals the media of a call in the current epoch.
    ///
    /// # Errors
    /// If this device is no member.
    pub fn media_key(&self) -> Result<MediaKey, ConversationError> {
        self.require_member()?;
        let secret = self
            .group
            .export_secret(&MlsCrypto, LABEL, &[], BASE_KEY_BYTES)
            .map(Zeroizing::new)
            .map_err(ConversationError::library)?;
        let base_key = <[u8; BASE_KEY_BYTES]>::try_from(secret.as_slice()).map(Zeroizing::new);
        let base_key = base_key
            .map_err(|_| ConversationError::Library("an exported secret has another length".into()))?;
        let leaves = self.roster.leaves(&self.group).into_iter();
        Ok(MediaKey {
            epoch: self.epoch(),
            base_key,
            mine: self.group.own_leaf_index().u32(),
            senders: leaves.map(|(index, sender)| (sender.device, index.u32())).collect(),
        })
    }
}
