//! Who the leaves are.

use crate::pins::{self, Seen};
use crate::seal::Sender;
use crate::store::{StoreError, Transaction};
use openmls::prelude::{LeafNodeIndex, Member, MlsGroup};
use sotto_mls::credential::check_leaf;
use sotto_protocol::ids::UnixMillis;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::Alert;

/// The certificates that were checked: each once, however often its leaf is looked at and in whichever epoch.
#[derive(Default)]
pub(super) struct Roster(RefCell<BTreeMap<[u8; 32], Checked>>);

/// A credential that verifies for the device key that it is kept under.
struct Checked {
    credential: Vec<u8>,
    sender: Sender,
}

/// A leaf whose certificate does not verify, or contradicts another leaf's.
pub(super) struct Forged;

impl Roster {
    /// The device at a leaf; `None` if there is no leaf or its certificate is forged.
    pub(super) fn at(&self, group: &MlsGroup, index: LeafNodeIndex) -> Option<Sender> {
        self.of(&group.member_at(index)?)
    }

    fn of(&self, member: &Member) -> Option<Sender> {
        let key = <[u8; 32]>::try_from(member.signature_key.as_slice()).ok()?;
        let credential = member.credential.serialized_content();
        if let Some(checked) = self.0.borrow().get(&key).filter(|checked| checked.credential == credential) {
            return Some(checked.sender);
        }
        let certificate = check_leaf(&member.credential, &key).ok()?;
        let sender = Sender::from(&certificate);
        self.0.borrow_mut().insert(key, Checked { credential: credential.to_vec(), sender });
        Some(sender)
    }

    /// Every device. Leaves were checked when they entered the group, so none is left out.
    pub(super) fn all(&self, group: &MlsGroup) -> Vec<Sender> {
        group.members().filter_map(|member| self.of(&member)).collect()
    }

    /// Every device with its leaf.
    pub(super) fn leaves(&self, group: &MlsGroup) -> Vec<(LeafNodeIndex, Sender)> {
        group.members().filter_map(|member| Some((member.index, self.of(&member)?))).collect()
    }

    /// Checks every leaf: the certificates verify, each device has one leaf, each account one identity key.
    pub(super) fn check(&self, group: &MlsGroup) -> Result<Vec<Sender>, Forged> {
        let mut devices = BTreeSet::new();
        let mut identities = BTreeMap::new();
        let mut senders = Vec::new();
        for member in group.members() {
            let sender = self.of(&member).ok_or(Forged)?;
            let identity = identities.entry(sender.account).or_insert(sender.identity_key);
            if !devices.insert(sender.device) || *identity != sender.identity_key {
                return Err(Forged);
            }
            senders.push(sender);
        }
        Ok(senders)
    }
}

/// Compares identity keys with what they are known by, and pins the new ones.
pub(super) fn observe<'a>(
    tx: &Transaction<'_>,
    senders: impl IntoIterator<Item = &'a Sender>,
    now: UnixMillis,
) -> Result<Vec<Alert>, StoreError> {
    let mut alerts = Vec::new();
    for sender in senders {
        if let Seen::Changed { old, was_verified } =
            pins::observe(tx, sender.account, &sender.identity_key, now)?
        {
            let (account, new) = (sender.account, sender.identity_key);
            alerts.push(Alert::IdentityChanged { account, old, new, was_verified });
        }
    }
    Ok(alerts)
}
