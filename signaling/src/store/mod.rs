//! What signaling stores, as operations. Each method is one atomic step, and a write is durable when it answers.
//!
//! The traits are small and say *what* happens; the rules they apply are functions of `sotto-signaling-core`.
//! Two families implement them: [`Embedded`] runs on any ordered [`Table`](table::Table) of bytes (in memory
//! in [`crate::memory`], on disk in the relay program) and a database with transactions can implement them
//! with one transaction for each method. [`crate::conformance`] holds what all of them must do.
//!
//! Contract, for every method that changes something:
//! - **Atomic.** Either all of it happened or nothing, whatever crashes, and no other operation sees half.
//! - **Durable.** When the answer is there, a power cut does not undo it.
//! - **Serial.** Two operations that touch the same rows behave as if one came after the other.

mod committer;
mod embedded;
pub mod table;

pub use embedded::Embedded;

use futures_util::future::BoxFuture;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, SessionId, UnixMillis};
use sotto_signaling_core::account::{Account, RegisterRefused, RegistrationRules, Role};
use sotto_signaling_core::device::{Device, DeviceRefused};
use sotto_signaling_core::directory::{Claimed, PublishRefused, StoredPackage};
use sotto_signaling_core::invite::{Invite, InviteId, RedeemRefused};
use sotto_signaling_core::names::{Email, Label, Username};
use sotto_signaling_core::password::PasswordHash;
use sotto_signaling_core::secret::{RefreshHashes, SecretHash};
use sotto_signaling_core::session::Session;
use sotto_signaling_core::vault::{PutRefused, Vault};

/// Why a store did not do what it was asked. Never the caller's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk is full: nothing new is taken, what is there can be read.
    #[error("the disk is full")]
    Full,
    /// The store is closing or closed.
    #[error("the store is closed")]
    Closed,
    /// Stored bytes do not read as what they should be.
    #[error("the store holds a damaged record: {0}")]
    Damaged(String),
    /// Reading or writing failed.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// What a store answers, in time.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// Everything that signaling stores.
pub trait Store:
    Accounts + Sessions + Devices + KeyPackages + Invites + Vaults + Administration + Housekeeping
{
}

impl<T> Store for T where
    T: Accounts + Sessions + Devices + KeyPackages + Invites + Vaults + Administration + Housekeeping
{
}

/// An account on its way into the store.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The row; its role is decided by the rules.
    pub account: Account,
    /// Its first session; `None` for an account that the operator makes for somebody else.
    pub session: Option<Session>,
    /// The hash of the invite that came with it.
    pub invite: Option<SecretHash>,
    /// The rules of the relay.
    pub rules: RegistrationRules,
    /// The relay's clock.
    pub now: UnixMillis,
}

/// An account that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// As stored.
    pub account: Account,
    /// The invite that it redeemed.
    pub redeemed: Option<Redeemed>,
}

/// Accounts.
pub trait Accounts: Send + Sync {
    /// Admits by the rules, redeems the invite, and stores account and session, unless the name is taken.
    fn create_account(&self, new: NewAccount) -> Answer<'_, Result<Created, RegisterRefused>>;

    /// The account with an id.
    fn account(&self, id: AccountId) -> Answer<'_, Option<Account>>;

    /// The account with a name.
    fn account_by_username(&self, name: Username) -> Answer<'_, Option<Account>>;

    /// All accounts that name an address, the oldest first, at most
    /// [`ACCOUNTS_PER_EMAIL_MAX`](sotto_signaling_core::limits::ACCOUNTS_PER_EMAIL_MAX).
    fn accounts_by_email(&self, email: Email) -> Answer<'_, Vec<Account>>;

    /// Replaces a password hash, if it is still `old`. Whether it was.
    fn replace_password(&self, id: AccountId, old: PasswordHash, new: PasswordHash) -> Answer<'_, bool>;
}

/// What became of a refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// The session as it is now; its current token is the new one.
    Rotated {
        /// The session.
        session: Session,
        /// Its account.
        account: Account,
    },
    /// A spent token or an expired session: the session is gone.
    Revoked {
        /// Which.
        session: Session,
        /// Whether a spent token was shown, so that there is a thief.
        reused: bool,
    },
    /// No such session, or not a token of it: nothing changed.
    Refused,
}

/// Sessions: families of refresh tokens.
pub trait Sessions: Send + Sync {
    /// Stores a session. At the limit the ones unused for longest give way and are answered. `None` if the
    /// account is gone or disabled.
    fn open_session(&self, session: Session) -> Answer<'_, Option<Vec<Session>>>;

    /// A live session.
    fn session(&self, id: SessionId) -> Answer<'_, Option<Session>>;

    /// All of an account, the oldest first.
    fn sessions(&self, account: AccountId) -> Answer<'_, Vec<Session>>;

    /// Judges a refresh token and, in the same step, makes `next` the current one or revokes the session.
    fn refresh(
        &self,
        id: SessionId,
        shown: RefreshHashes,
        next: SecretHash,
        now: UnixMillis,
    ) -> Answer<'_, Refreshed>;

    /// Notes the device that uses a session. No effect if the session is gone or has that device.
    fn bind_session(&self, id: SessionId, device: DeviceId) -> Answer<'_, ()>;

    /// Ends a session of an account. What it was, if it was there.
    fn close_session(&self, account: AccountId, id: SessionId) -> Answer<'_, Option<Session>>;
}

/// A device on its way into the store. The certificate has been verified by its type.
#[derive(Debug, Clone)]
pub struct NewDevice {
    /// Whose.
    pub account: AccountId,
    /// The verified certificate.
    pub certificate: sotto_mls::certificate::DeviceCertificate,
    /// What its owner calls it.
    pub name: Label,
    /// The session that asks, which is bound to the device.
    pub session: SessionId,
    /// The relay's clock.
    pub now: UnixMillis,
}

/// A device that is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// As stored.
    pub device: Device,
    /// Whether it had been registered before.
    pub again: bool,
}

/// Devices.
pub trait Devices: Send + Sync {
    /// Registers a device by the rules of [`sotto_signaling_core::device`]; a first one sets the identity key.
    /// `None` if the account is gone.
    fn register_device(&self, new: NewDevice) -> Answer<'_, Option<Result<Registered, DeviceRefused>>>;

    /// All of an account, the oldest first.
    fn devices(&self, account: AccountId) -> Answer<'_, Vec<Device>>;

    /// One of an account.
    fn device(&self, account: AccountId, id: DeviceId) -> Answer<'_, Option<Device>>;

    /// Removes a device of an account with its key packages, and ends its sessions, which are answered.
    /// `None` if it was not there.
    fn remove_device(&self, account: AccountId, id: DeviceId) -> Answer<'_, Option<Vec<Session>>>;
}

/// The key-package directory.
pub trait KeyPackages: Send + Sync {
    /// Adds checked packages to a device's stock and replaces its last-resort package of the same suite. Ones
    /// that are there, or were handed out before, are passed over. The stock after it.
    fn publish(
        &self,
        account: AccountId,
        device: DeviceId,
        packages: Vec<StoredPackage>,
        last_resort: Option<StoredPackage>,
        now: UnixMillis,
    ) -> Answer<'_, Result<usize, PublishRefused>>;

    /// Takes one package for each device of an account that has one for the suites. When the answer is
    /// there, no crash brings a one-time package back.
    fn claim(&self, account: AccountId, suites: Vec<u16>, now: UnixMillis) -> Answer<'_, Vec<Claimed>>;

    /// How many one-time packages a device has that have not expired.
    fn stock(&self, account: AccountId, device: DeviceId, now: UnixMillis) -> Answer<'_, usize>;
}

/// An invite that was redeemed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// Which.
    pub invite: InviteId,
    /// Who made it.
    pub by: Option<AccountId>,
    /// The conversation that it admits to.
    pub conversation: Option<ConversationId>,
}

/// Too many live invites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an account has at most {} live invites; remove one first",
    sotto_signaling_core::limits::INVITES_PER_ACCOUNT_MAX
)]
pub struct TooManyInvites;

/// Invites.
pub trait Invites: Send + Sync {
    /// Stores an invite under the hash of its code, unless its maker has too many that are live.
    fn create_invite(
        &self,
        invite: Invite,
        code: SecretHash,
        now: UnixMillis,
    ) -> Answer<'_, Result<(), TooManyInvites>>;

    /// All of an account that have not expired, the oldest first.
    fn invites(&self, account: AccountId, now: UnixMillis) -> Answer<'_, Vec<Invite>>;

    /// Removes an invite of an account. Whether it was there.
    fn remove_invite(&self, account: AccountId, id: InviteId) -> Answer<'_, bool>;

    /// Redeems a code for an account: counts down once for each account, and answers the same again.
    fn redeem(
        &self,
        code: SecretHash,
        account: AccountId,
        now: UnixMillis,
    ) -> Answer<'_, Result<Redeemed, RedeemRefused>>;
}

/// Vaults.
pub trait Vaults: Send + Sync {
    /// What is there.
    fn vault(&self, account: AccountId) -> Answer<'_, Option<Vault>>;

    /// Replaces version `replaces` (0: none). The new version.
    fn put_vault(
        &self,
        account: AccountId,
        replaces: u64,
        data: Vec<u8>,
        now: UnixMillis,
    ) -> Answer<'_, Result<u64, PutRefused>>;
}

/// An account as the operator sees it in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSummary {
    /// The account.
    pub account: Account,
    /// How many devices it has.
    pub devices: usize,
    /// How many sign-ins are open.
    pub sessions: usize,
}

/// An account that was deleted, with what ended with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// What it was.
    pub account: Account,
    /// Its devices.
    pub devices: Vec<DeviceId>,
    /// Its sessions.
    pub sessions: Vec<Session>,
}

/// What the operator does with other people's accounts and invites.
pub trait Administration: Send + Sync {
    /// Accounts in the order of their ids, after one, at most `limit`.
    fn list_accounts(&self, after: Option<AccountId>, limit: usize) -> Answer<'_, Vec<AccountSummary>>;

    /// Gives an account a role. As it is then; `None` if it is not there.
    fn set_role(&self, id: AccountId, role: Role) -> Answer<'_, Option<Account>>;

    /// Disables an account since a time and ends its sessions, which are answered; or enables it again. `None`
    /// if it is not there.
    fn set_disabled(
        &self,
        id: AccountId,
        since: Option<UnixMillis>,
    ) -> Answer<'_, Option<(Account, Vec<Session>)>>;

    /// Deletes an account with its credentials, sessions, devices, key packages, invites and vault. Its name
    /// stays taken for ever: somebody else under it would be taken for whom others knew. `None` if it is not there.
    fn delete_account(&self, id: AccountId) -> Answer<'_, Option<Deleted>>;

    /// Invites of everybody in the order of maker and id, after one, at most `limit` rows are looked at; without
    /// those that have expired. The last row that was looked at, to go on after, unless it was the last of all.
    fn list_invites(
        &self,
        after: Option<(AccountId, InviteId)>,
        limit: usize,
        now: UnixMillis,
    ) -> Answer<'_, InvitePage>;
}

/// Some of all invites.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InvitePage {
    /// Those that live.
    pub invites: Vec<Invite>,
    /// Where to go on; `None` at the end.
    pub next: Option<(AccountId, InviteId)>,
}

/// The account under which the operator's own invites stand. No account has it: ids are drawn at random.
pub const CONSOLE: AccountId = AccountId([0; 16]);

/// Upkeep.
pub trait Housekeeping: Send + Sync {
    /// Drops what has expired: sessions, invites, key packages, and the traces of spent ones. How many records.
    fn sweep(&self, now: UnixMillis) -> Answer<'_, usize>;
}
