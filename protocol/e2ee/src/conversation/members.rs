//! Who the leaves are.

use crate::pins::{self, Seen};
use crate::seal::Sender;
use crate::store::{StoreError, Transaction};
use openmls::prelude::{LeafNodeIndex, MlsGroup};
use sotto_mls::credential::check_leaf;
use sotto_protocol::ids::UnixMillis;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::Alert;

/// The certificates of the leaves of one epoch, each checked once when it is asked for.
#[derive(Default)]
pub(super) struct Roster(RefCell<BTreeMap<u32, Sender>>);

/// A leaf whose certificate does not verify, or contradicts another leaf's.
pub(super) struct Forged;

impl Roster {
    /// The device at a leaf; `None` if there is no leaf or its certificate is forged.
    pub(super) fn at(&self, group: &MlsGroup, index: LeafNodeIndex) -> Option<Sender> {
        if let Some(sender) = self.0.borrow().get(&index.u32()) {
            return Some(*sender);
        }
        let member = group.member_at(index)?;
        let certificate = check_leaf(&member.credential, &member.signature_key).ok()?;
        let sender = Sender::from(&certificate);
        self.0.borrow_mut().insert(index.u32(), sender);
        Some(sender)
    }

    /// Every device. Leaves were checked when they entered the group, so none is left out.
    pub(super) fn all(&self, group: &MlsGroup) -> Vec<Sender> {
        group.members().filter_map(|member| self.at(group, member.index)).collect()
    }

    /// Every device with its leaf.
    pub(super) fn leaves(&self, group: &MlsGroup) -> Vec<(LeafNodeIndex, Sender)> {
        group.members().filter_map(|member| Some((member.index, self.at(group, member.index)?))).collect()
    }

    /// Checks every leaf: the certificates verify, each device has one leaf, each account one identity key.
    pub(super) fn check(&self, group: &MlsGroup) -> Result<Vec<Sender>, Forged> {
        let mut devices = BTreeSet::new();
        let mut identities = BTreeMap::new();
        let mut senders = Vec::new();
        for member in group.members() {
            let sender = self.at(group, member.index).ok_or(Forged)?;
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
