//! Accounts on a table.

use super::{Embedded, FORMAT, encode, invites, keys, sessions};
use crate::store::table::{Overlay, Reader, Table};
use crate::store::{Accounts, Answer, Created, NewAccount, StoreError};
use sotto_protocol::ids::AccountId;
use sotto_signaling_core::account::{Account, RegisterRefused};
use sotto_signaling_core::limits::ACCOUNTS_PER_EMAIL_MAX;
use sotto_signaling_core::names::{Email, Username};
use sotto_signaling_core::password::PasswordHash;

impl<T: Table> Accounts for Embedded<T> {
    fn create_account(&self, new: NewAccount) -> Answer<'_, Result<Created, RegisterRefused>> {
        self.write(move |rows| create(rows, new))
    }

    fn account(&self, id: AccountId) -> Answer<'_, Option<Account>> {
        self.read(move |rows| load(rows, id))
    }

    fn account_by_username(&self, name: Username) -> Answer<'_, Option<Account>> {
        self.read(move |rows| match super::load::<AccountId>(rows, &keys::username(&name))? {
            Some(id) => load(rows, id),
            None => Ok(None),
        })
    }

    fn accounts_by_email(&self, email: Email) -> Answer<'_, Vec<Account>> {
        self.read(move |rows| {
            let ids: Vec<AccountId> = super::load_all(rows, &keys::email(&email), ACCOUNTS_PER_EMAIL_MAX)?;
            ids.into_iter().filter_map(|id| load(rows, id).transpose()).collect()
        })
    }

    fn replace_password(&self, id: AccountId, old: PasswordHash, new: PasswordHash) -> Answer<'_, bool> {
        self.write(move |rows| match load(rows, id)? {
            Some(account) if account.password == old => {
                save(rows, &Account { password: new, ..account });
                Ok(true)
            }
            Some(_) | None => Ok(false),
        })
    }
}

fn create(rows: &mut Overlay<'_>, new: NewAccount) -> Result<Result<Created, RegisterRefused>, StoreError> {
    let NewAccount { mut account, session, invite, rules, now } = new;
    let is_empty = rows.scan(keys::ACCOUNTS, None, 1)?.is_empty();
    let admission = match rules.admit(is_empty, invite.is_some()) {
        Ok(admission) => admission,
        Err(refused) => return Ok(Err(refused)),
    };
    // The name before the invite: a name that is taken must not use one up.
    let name = keys::username(&account.username);
    if rows.get(&name)?.is_some() {
        return Ok(Err(RegisterRefused::UsernameTaken));
    }
    let redeemed = match invite {
        None => None,
        Some(code) => match invites::redeem(rows, &code, account.id, admission.by_invite, now)? {
            Ok(redeemed) => Some(redeemed),
            Err(refused) => return Ok(Err(refused.into())),
        },
    };
    account.role = admission.role;
    rows.put(name, encode(&account.id));
    rows.put(keys::email_of(&account.email, account.created.0, account.id), encode(&account.id));
    save(rows, &account);
    if let Some(session) = session {
        sessions::open(rows, &session)?;
    }
    Ok(Ok(Created { account, redeemed }))
}

pub(super) fn load(rows: &(impl Reader + ?Sized), id: AccountId) -> Result<Option<Account>, StoreError> {
    rows.get(&keys::account(id))?.map(|bytes| read(&bytes)).transpose()
}

pub(super) fn save(rows: &mut Overlay<'_>, account: &Account) {
    rows.put(keys::account(account.id), write(account));
}

/// The format of a row with `disabled`, the last field, which [`FORMAT`] lacks. Accounts in good standing keep
/// being written in the older one: a program that knows nothing of disabling reads them, and no others.
const FORMAT_DISABLED: u8 = 2;

/// What bincode writes for `None`.
const NONE: u8 = 0;

fn write(account: &Account) -> Vec<u8> {
    let mut bytes = encode(account);
    if account.disabled.is_none() {
        bytes.pop();
    } else if let Some(format) = bytes.first_mut() {
        *format = FORMAT_DISABLED;
    }
    bytes
}

pub(super) fn read(bytes: &[u8]) -> Result<Account, StoreError> {
    match bytes.split_first() {
        Some((&FORMAT_DISABLED, body)) => super::decode_body(body),
        Some((&FORMAT, body)) => super::decode_body(&[body, &[NONE]].concat()),
        _ => super::decode(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_protocol::ids::UnixMillis;
    use sotto_signaling_core::account::Role;
    use sotto_signaling_core::password::PasswordCost;

    fn account() -> Account {
        Account {
            id: AccountId([1; 16]),
            username: "anna".parse().unwrap(),
            email: "anna@example.org".parse().unwrap(),
            password: PasswordHash::dummy(PasswordCost::CHEAPEST, &mut rand::rng()),
            role: Role::User,
            created: UnixMillis(5),
            identity_key: Some([7; 32]),
            disabled: None,
        }
    }

    #[test]
    fn an_account_in_good_standing_keeps_the_first_format_and_a_disabled_one_has_its_own() {
        let good = account();
        let bytes = write(&good);
        assert_eq!(bytes.first(), Some(&FORMAT));
        assert_eq!(bytes.last(), Some(&7), "the first format ends with the identity key");
        assert_eq!(read(&bytes), Ok(good));
        let disabled = Account { disabled: Some(UnixMillis(9)), ..account() };
        let bytes = write(&disabled);
        assert_eq!(bytes.first(), Some(&FORMAT_DISABLED));
        assert_eq!(read(&bytes), Ok(disabled));
        for damaged in [&[][..], &[3], &[FORMAT], &[FORMAT_DISABLED, 1, 2]] {
            assert!(matches!(read(damaged), Err(StoreError::Damaged(_))), "{damaged:?}");
        }
    }
}
