//! The keys of the table; see the picture in the module above.

use sha2::{Digest, Sha256};
use sotto_protocol::ids::{AccountId, DeviceId, SessionId};
use sotto_signaling_core::invite::InviteId;
use sotto_signaling_core::names::{Email, Username};
use sotto_signaling_core::secret::SecretHash;

fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![kind];
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

pub(super) const ACCOUNTS: &[u8] = b"a";
pub(super) const SESSIONS: &[u8] = b"s";
pub(super) const INVITES: &[u8] = b"i";
pub(super) const PACKAGES: &[u8] = b"k";
pub(super) const LAST_RESORTS: &[u8] = b"l";
pub(super) const SPENT: &[u8] = b"x";

pub(super) fn account(id: AccountId) -> Vec<u8> {
    key(b'a', &[id.as_bytes()])
}

pub(super) fn username(name: &Username) -> Vec<u8> {
    key(b'u', &[name.as_str().as_bytes()])
}

/// All accounts that name an address. Hashed, so that keys have one length and a prefix is never another's.
pub(super) fn email(email: &Email) -> Vec<u8> {
    key(b'e', &[&Sha256::digest(email.as_str().as_bytes())])
}

/// The id follows the time of registering, so that the oldest comes first.
pub(super) fn email_of(address: &Email, created: u64, id: AccountId) -> Vec<u8> {
    let mut key = email(address);
    key.extend_from_slice(&created.to_be_bytes());
    key.extend_from_slice(id.as_bytes());
    key
}

pub(super) fn session(id: SessionId) -> Vec<u8> {
    key(b's', &[id.as_bytes()])
}

pub(super) fn sessions_of(account: AccountId) -> Vec<u8> {
    key(b'S', &[account.as_bytes()])
}

pub(super) fn session_of(account: AccountId, id: SessionId) -> Vec<u8> {
    key(b'S', &[account.as_bytes(), id.as_bytes()])
}

pub(super) fn devices_of(account: AccountId) -> Vec<u8> {
    key(b'd', &[account.as_bytes()])
}

pub(super) fn device(account: AccountId, id: DeviceId) -> Vec<u8> {
    key(b'd', &[account.as_bytes(), id.as_bytes()])
}

pub(super) fn device_owner(id: DeviceId) -> Vec<u8> {
    key(b'D', &[id.as_bytes()])
}

/// What the directory holds of one device, in one of [`PACKAGES`], [`LAST_RESORTS`] and [`SPENT`].
pub(super) fn of_device(kind: &[u8], account: AccountId, device: DeviceId) -> Vec<u8> {
    [kind, account.as_bytes(), device.as_bytes()].concat()
}

pub(super) fn package(account: AccountId, device: DeviceId, hash: &[u8; 32]) -> Vec<u8> {
    [&of_device(PACKAGES, account, device), hash.as_slice()].concat()
}

pub(super) fn last_resort(account: AccountId, device: DeviceId, suite: u16) -> Vec<u8> {
    [of_device(LAST_RESORTS, account, device).as_slice(), &suite.to_be_bytes()].concat()
}

pub(super) fn spent(account: AccountId, device: DeviceId, hash: &[u8; 32]) -> Vec<u8> {
    [&of_device(SPENT, account, device), hash.as_slice()].concat()
}

pub(super) fn invites_of(account: AccountId) -> Vec<u8> {
    key(b'i', &[account.as_bytes()])
}

pub(super) fn invite(account: AccountId, id: InviteId) -> Vec<u8> {
    key(b'i', &[account.as_bytes(), &id.0])
}

pub(super) fn code(code: &SecretHash) -> Vec<u8> {
    key(b'c', &[&code.0])
}

/// Who redeemed an invite.
pub(super) fn redeemers(maker: AccountId, id: InviteId) -> Vec<u8> {
    key(b'r', &[maker.as_bytes(), &id.0])
}

pub(super) fn redeemer(maker: AccountId, id: InviteId, account: AccountId) -> Vec<u8> {
    key(b'r', &[maker.as_bytes(), &id.0, account.as_bytes()])
}

pub(super) fn vault(account: AccountId) -> Vec<u8> {
    key(b'v', &[account.as_bytes()])
}
