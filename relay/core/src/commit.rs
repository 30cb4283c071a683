//! From a commit to a change of membership, or a refusal with its reason.
//!
//! ```text
//! Commit frame --verify--> VerifiedCommit --decide--> MembershipChange
//!              (worker: signatures, tree)   (committer task: who may, by roles and directory)
//! ```
//!
//! [`verify`] takes milliseconds and looks at the public group state alone, so it runs outside the task that
//! owns the log. [`decide`] is cheap and looks at what may have changed meanwhile: roles, admissions,
//! leaves, the directory. It asks [`authorise`] for each single thing that the commit does.

use crate::authorise::{Action, Denied, Standing, authorise};
use sotto_mls::certificate::DeviceCertificate;
use sotto_mls::public_state::{
    CheckedCommit, CommitRefusal, CommitSummary, GroupInfoRefusal, GroupRefusal, PublicState,
};
use sotto_protocol::body::conversation::{Create, Kind, Role};
use sotto_protocol::body::log::Commit;
use sotto_protocol::error::ErrorCode;
use sotto_protocol::ids::{AccountId, DeviceId, Epoch};
use sotto_protocol::limits::WELCOME_BYTES_MAX;

/// What the relay's directory of accounts says about keys.
pub trait Identities {
    /// The identity key that an account has registered.
    fn identity_key(&self, account: AccountId) -> Option<[u8; 32]>;

    /// Whether this device, with this key, is on the account's list now.
    fn device_is_registered(&self, account: AccountId, device: DeviceId, device_key: &[u8; 32]) -> bool;
}

/// What the relay knows of the accounts in a conversation.
pub trait Roll {
    /// What kind of conversation.
    fn kind(&self) -> Kind;

    /// The two accounts of a direct conversation.
    fn pair(&self) -> Option<[AccountId; 2]>;

    /// The role of an account that owns leaves; also after it said that it leaves.
    fn role(&self, account: AccountId) -> Option<Role>;

    /// Whether a member has said that it leaves, and is not removed yet.
    fn has_left(&self, account: AccountId) -> bool;

    /// Whether an account may join by itself: admitted by an invite, or the room is listed.
    fn is_admitted(&self, account: AccountId) -> bool;

    /// Whether an account was a member and is none now.
    fn is_former(&self, account: AccountId) -> bool;

    /// Where an account stands. Who has said that it leaves is outside already.
    fn standing(&self, account: AccountId) -> Standing {
        match self.role(account) {
            Some(role) if !self.has_left(account) => Standing::Inside(role),
            _ => Standing::Outside { admitted: self.is_admitted(account), former: self.is_former(account) },
        }
    }
}

/// Who asks, as the connection was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Asker {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
}

/// A commit whose cryptography was checked against the state of one epoch.
#[derive(Clone)]
pub struct VerifiedCommit {
    checked: CheckedCommit,
}

/// What an accepted commit changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MembershipChange {
    /// Accounts that own leaves now and owned none.
    pub joined: Vec<AccountId>,
    /// Accounts that own none now and owned some.
    pub left: Vec<AccountId>,
    /// The devices that the Welcome is for.
    pub welcomed: Vec<Asker>,
}

/// Why a commit is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitRefused {
    /// It does not verify against the public state.
    #[error(transparent)]
    Commit(#[from] CommitRefusal),
    /// The group info with it does not verify.
    #[error(transparent)]
    GroupInfo(#[from] GroupInfoRefusal),
    /// Devices are added and no Welcome tells them, or the other way round; or it is over its limit.
    #[error("a Welcome comes with a commit that adds devices, and only then")]
    Welcome,
    /// The commit is another device's than the one that sends it.
    #[error("the commit is not by the device that sends it")]
    NotTheSender,
    /// The identity key in a certificate is not the one that the account registered.
    #[error("the identity key of account {0} is not the one it registered")]
    OtherIdentity(AccountId),
    /// The device is not on its account's list.
    #[error("device {0} is not registered")]
    DeviceNotRegistered(DeviceId),
    /// The sender may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl CommitRefused {
    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Commit(CommitRefusal::WrongEpoch { .. }) => ErrorCode::EpochMoved,
            Self::Commit(CommitRefusal::Internal(_)) => ErrorCode::Internal,
            Self::Commit(CommitRefusal::TooLarge { .. })
            | Self::GroupInfo(GroupInfoRefusal::TooLarge { .. }) => ErrorCode::TooLarge,
            Self::Commit(_)
            | Self::GroupInfo(_)
            | Self::Welcome
            | Self::NotTheSender
            | Self::OtherIdentity(_) => ErrorCode::CommitInvalid,
            Self::DeviceNotRegistered(_) => ErrorCode::DeviceRefused,
            Self::Denied(denied) => denied.code(),
        }
    }
}

impl VerifiedCommit {
    /// What the commit does.
    #[must_use]
    pub const fn summary(&self) -> &CommitSummary {
        self.checked.summary()
    }

    /// The epoch that it ends.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.checked.summary().epoch
    }

    /// The state that it leads to.
    #[must_use]
    pub const fn next(&self) -> &PublicState {
        self.checked.next()
    }
}

/// Whether the asker may send commits at all: a member, or somebody who may join by itself. Asked before
/// [`verify`], so that a stranger costs no CPU and cannot tell a wrong epoch from a missing conversation.
///
/// # Errors
/// [`Denied::NotMember`].
pub fn may_commit(asker: Asker, roll: &impl Roll) -> Result<(), Denied> {
    let of_the_pair = roll.pair().is_some_and(|pair| pair.contains(&asker.account));
    authorise(Action::Join { of_the_pair }, roll.standing(asker.account), roll.kind())
}

/// Checks everything about a commit that the public state can show: signatures, tree, certificates, group
/// info. Slow; call it outside the task that owns the log.
///
/// # Errors
/// [`CommitRefused::Commit`], [`CommitRefused::GroupInfo`] or [`CommitRefused::Welcome`].
pub fn verify(state: &PublicState, commit: &Commit) -> Result<VerifiedCommit, CommitRefused> {
    let checked = state.check_commit(commit.commit.as_slice())?;
    checked.check_group_info(commit.group_info.as_slice())?;
    let welcome_bytes = commit.welcome.as_ref().map(sotto_protocol::payload::Payload::len);
    let adds = !checked.summary().added.is_empty();
    if welcome_bytes.is_some() != adds || welcome_bytes.is_some_and(|bytes| bytes > WELCOME_BYTES_MAX) {
        return Err(CommitRefused::Welcome);
    }
    Ok(VerifiedCommit { checked })
}

/// Decides whether the asker may make this commit now. `state` is the state that it was verified against.
///
/// # Errors
/// See [`CommitRefused`]; `EpochMoved` if `state` has moved on.
pub fn decide(
    commit: &VerifiedCommit,
    state: &PublicState,
    asker: Asker,
    roll: &impl Roll,
    identities: &(impl Identities + ?Sized),
) -> Result<MembershipChange, CommitRefused> {
    let summary = commit.summary();
    if summary.epoch != state.epoch() {
        return Err(CommitRefusal::WrongEpoch { current: state.epoch(), got: summary.epoch }.into());
    }
    let committer = &summary.committer.certificate;
    if committer.account() != asker.account || committer.device() != asker.device {
        return Err(CommitRefused::NotTheSender);
    }
    let (before, after) = (state.accounts(), commit.next().accounts());
    let standing = roll.standing(asker.account);
    let may = |action| authorise(action, standing, roll.kind());
    let of_the_pair = |account| roll.pair().is_some_and(|pair| pair.contains(&account));

    // First whether the asker may, then what the directory says: a stranger learns nothing from the second.
    match (summary.external, before.contains(&asker.account)) {
        (true, true) => may(Action::AddDevice)?,
        (true, false) => may(Action::Join { of_the_pair: of_the_pair(asker.account) })?,
        (false, _) => may(Action::Refresh)?,
    }
    for added in &summary.added {
        let account = added.account();
        let known = before.contains(&account);
        may(if known { Action::AddDevice } else { Action::AddMember { of_the_pair: of_the_pair(account) } })?;
    }
    for removed in &summary.removed {
        let certificate = &removed.certificate;
        let account = certificate.account();
        let has_left = roll.has_left(account);
        may(if account == asker.account {
            Action::RemoveOwnDevice
        } else if has_left || !after.contains(&account) {
            // An account in the group without a record cannot be; the highest role is the safe answer.
            Action::RemoveMember { target: roll.role(account).unwrap_or(Role::Owner), has_left }
        } else if is_registered(certificate, identities) {
            Action::RemoveOthersDevice
        } else {
            Action::RemoveLostDevice
        })?;
    }
    for certificate in summary.added.iter().chain([committer]) {
        check_registered(certificate, identities)?;
    }
    Ok(MembershipChange {
        joined: after.difference(&before).copied().collect(),
        left: before.difference(&after).copied().collect(),
        welcomed: summary
            .added
            .iter()
            .map(|added| Asker { account: added.account(), device: added.device() })
            .collect(),
    })
}

/// The role of an account that joins: both of a direct conversation own it.
#[must_use]
pub const fn role_on_joining(kind: Kind) -> Role {
    match kind {
        Kind::Direct => Role::Owner,
        Kind::Group | Kind::Room => Role::Member,
    }
}

/// Why a conversation is not created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateRefused {
    /// The group does not verify.
    #[error(transparent)]
    Group(#[from] GroupRefusal),
    /// It is not a group at epoch 0 whose only leaf is the asking device.
    #[error("a conversation begins at epoch 0 with the asking device alone")]
    NotNew,
    /// A peer belongs to direct conversations, a listed name to rooms.
    #[error("a direct conversation names another account as peer, only a room has a listed name")]
    Inconsistent,
    /// The certificate is not that of the account and device that ask.
    #[error("the device in the group is not the one that the account registered")]
    NotRegistered,
}

impl CreateRefused {
    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Group(_) => ErrorCode::CommitInvalid,
            Self::NotNew | Self::Inconsistent => ErrorCode::Malformed,
            Self::NotRegistered => ErrorCode::DeviceRefused,
        }
    }
}

/// Checks the group that a conversation is created from. Slow, like [`verify`].
///
/// # Errors
/// See [`CreateRefused`].
pub fn verify_create(
    create: &Create,
    asker: Asker,
    identities: &(impl Identities + ?Sized),
) -> Result<PublicState, CreateRefused> {
    let consistent = match create.kind {
        Kind::Direct => create.peer.is_some_and(|peer| peer != asker.account) && create.listed_name.is_none(),
        Kind::Group => create.peer.is_none() && create.listed_name.is_none(),
        Kind::Room => create.peer.is_none(),
    };
    if !consistent {
        return Err(CreateRefused::Inconsistent);
    }
    let state =
        PublicState::create(create.conversation, create.group_info.as_slice(), create.tree.as_slice())?;
    let [only] = state.members() else {
        return Err(CreateRefused::NotNew);
    };
    if state.epoch() != Epoch(0) {
        return Err(CreateRefused::NotNew);
    }
    let certificate = &only.certificate;
    let own = certificate.account() == asker.account && certificate.device() == asker.device;
    if own && is_registered(certificate, identities) { Ok(state) } else { Err(CreateRefused::NotRegistered) }
}

fn is_registered(certificate: &DeviceCertificate, identities: &(impl Identities + ?Sized)) -> bool {
    check_registered(certificate, identities).is_ok()
}

fn check_registered(
    certificate: &DeviceCertificate,
    identities: &(impl Identities + ?Sized),
) -> Result<(), CommitRefused> {
    let account = certificate.account();
    if identities.identity_key(account) != Some(*certificate.identity_key()) {
        return Err(CommitRefused::OtherIdentity(account));
    }
    if !identities.device_is_registered(account, certificate.device(), certificate.device_key()) {
        return Err(CommitRefused::DeviceNotRegistered(certificate.device()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
