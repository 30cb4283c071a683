//! Orders about accounts.

use super::{Desk, Order, Refused};
use serde::{Deserialize, Serialize};
use sotto_protocol::ids::AccountId;
use sotto_signaling::store::AccountSummary;
use sotto_signaling_core::account::{Account, Role};
use sotto_signaling_core::names::{Password, Username};
use std::fmt::Display;
use zeroize::Zeroizing;

/// An account as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    /// Its id.
    pub account: AccountId,
    /// Its name.
    pub username: String,
    /// The address that it gave; nobody has verified it.
    pub email: String,
    /// What it may on the relay.
    pub role: Role,
    /// When it was made.
    pub created_ms: u64,
    /// Since when it is disabled.
    pub disabled_ms: Option<u64>,
    /// How many devices it has.
    pub devices: usize,
    /// How many sign-ins are open.
    pub sessions: usize,
    /// Bytes of all that it wrote and that is kept, before the store's own overhead.
    #[serde(default)]
    pub stored_bytes: u64,
}

impl AccountRow {
    fn of(account: &Account, (devices, sessions): (usize, usize), stored_bytes: u64) -> Self {
        Self {
            account: account.id,
            username: account.username.as_str().to_owned(),
            email: account.email.as_str().to_owned(),
            role: account.role,
            created_ms: account.created.0,
            disabled_ms: account.disabled.map(|since| since.0),
            devices,
            sessions,
            stored_bytes,
        }
    }
}

/// Some accounts in the order of their ids; an empty list after the last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListAccounts {
    /// The last one that was seen.
    pub after: Option<AccountId>,
}

impl Order for ListAccounts {
    type Answer = Vec<AccountRow>;
    const NAME: &'static str = "account list";

    async fn carry_out(self, desk: &Desk) -> Result<Self::Answer, Refused> {
        let rows = desk.signaling.accounts(self.after).await?;
        let held = desk.engine.held(rows.iter().map(|row| row.account.id).collect()).await;
        let row = |(row, held): (AccountSummary, u64)| {
            AccountRow::of(&row.account, (row.devices, row.sessions), held)
        };
        Ok(rows.into_iter().zip(held).map(row).collect())
    }
}

/// A new account, whatever the registration policy says.
#[derive(Serialize, Deserialize)]
pub struct CreateAccount {
    /// Its name.
    pub username: String,
    /// Its address.
    pub email: String,
    /// Its password; one is drawn if there is none.
    pub password: Option<String>,
    /// What it may on the relay.
    pub role: Role,
}

/// The account that was made.
#[derive(Serialize, Deserialize)]
pub struct CreatedAccount {
    /// The account.
    #[serde(flatten)]
    pub account: AccountRow,
    /// The password that was drawn. The relay keeps a hash; nobody can show it again.
    pub password: Option<String>,
}

impl Order for CreateAccount {
    type Answer = CreatedAccount;
    const NAME: &'static str = "account create";
    const IN_AN_EMPTY_FOLDER: bool = true;

    async fn carry_out(self, desk: &Desk) -> Result<Self::Answer, Refused> {
        // 120 bits, in letters and digits that can be read aloud.
        let draw = || data_encoding::BASE32_NOPAD.encode(&rand::random::<[u8; 15]>()).to_ascii_lowercase();
        let drawn = self.password.is_none().then(draw);
        let text = Zeroizing::new(self.password.or_else(|| drawn.clone()).unwrap_or_default());
        let password = Password::choose(text).map_err(sentence)?;
        let email = self.email.parse().map_err(sentence)?;
        let made = desk.signaling.create_account(named(&self.username)?, email, password, self.role).await?;
        Ok(CreatedAccount { account: AccountRow::of(&made, (0, 0), 0), password: drawn })
    }
}

/// Disables an account, or enables it again.
#[derive(Debug, Serialize, Deserialize)]
pub struct DisableAccount {
    /// Whose.
    pub username: String,
    /// `false` to enable it again.
    pub disabled: bool,
}

impl Order for DisableAccount {
    type Answer = AccountRow;
    const NAME: &'static str = "account disable";

    async fn carry_out(self, desk: &Desk) -> Result<Self::Answer, Refused> {
        let id = find(desk, &self.username).await?;
        let changed = desk.signaling.set_disabled(id, self.disabled).await?;
        row(desk, &changed).await
    }
}

/// Gives an account a role on the relay.
#[derive(Debug, Serialize, Deserialize)]
pub struct SetRole {
    /// Whose.
    pub username: String,
    /// Which.
    pub role: Role,
}

impl Order for SetRole {
    type Answer = AccountRow;
    const NAME: &'static str = "account role";

    async fn carry_out(self, desk: &Desk) -> Result<Self::Answer, Refused> {
        let id = find(desk, &self.username).await?;
        let changed = desk.signaling.set_role(id, self.role).await?;
        row(desk, &changed).await
    }
}

/// Deletes an account. Its name stays taken.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeleteAccount {
    /// Whose.
    pub username: String,
}

impl Order for DeleteAccount {
    /// The account as it was.
    type Answer = AccountRow;
    const NAME: &'static str = "account delete";

    async fn carry_out(self, desk: &Desk) -> Result<Self::Answer, Refused> {
        let account = desk.signaling.account_named(named(&self.username)?).await?;
        let before = row(desk, &account).await?;
        desk.signaling.delete_account(account.id).await?;
        Ok(before)
    }
}

async fn find(desk: &Desk, username: &str) -> Result<AccountId, Refused> {
    Ok(desk.signaling.account_named(named(username)?).await?.id)
}

async fn row(desk: &Desk, account: &Account) -> Result<AccountRow, Refused> {
    let counts = desk.signaling.counts_of(account.id).await?;
    let held = desk.engine.held(vec![account.id]).await;
    Ok(AccountRow::of(account, counts, held.first().copied().unwrap_or(0)))
}

/// `alice`, or `@alice` as people write it.
fn named(text: &str) -> Result<Username, Refused> {
    text.strip_prefix('@').unwrap_or(text).parse().map_err(sentence)
}

fn sentence(error: impl Display) -> Refused {
    Refused(error.to_string())
}
