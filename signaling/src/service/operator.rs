//! What an operator does by the API: the console's work ([`super::console`]) for whoever has the role. Who may is decided in
//! [`sotto_signaling_core::rights`]; that somebody remains who may, here.

use super::Signaling;
use crate::hooks::{Figures, RoomPage};
use crate::problem::{Problem, ProblemCode};
use crate::store::AccountSummary;
use sotto_protocol::ids::AccountId;
use sotto_signaling_core::account::{Account, Role};
use sotto_signaling_core::rights::{self, Change};

/// Rows that one request looks at. A search that finds little goes on from where it stopped.
const LOOKED_AT_MAX: usize = 5_000;

/// What is to be changed about an account; at least one of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountChange {
    /// Another role.
    pub role: Option<Role>,
    /// Kept out, or let in again.
    pub disabled: Option<bool>,
}

/// Some accounts.
#[derive(Debug, Clone, Default)]
pub struct AccountPage {
    /// They, in the order of their ids.
    pub accounts: Vec<AccountSummary>,
    /// Where to go on; `None` at the end.
    pub next: Option<AccountId>,
}

/// How many of what there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Accounts, disabled ones too.
    pub accounts: u64,
    /// Their devices.
    pub devices: u64,
}

impl Signaling {
    /// How many accounts and devices there are.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn census(&self) -> Result<Census, Problem> {
        let mut census = Census::default();
        let mut after = None;
        loop {
            let page = self.accounts(after).await?;
            let Some(last) = page.last() else { return Ok(census) };
            after = Some(last.account.id);
            census.accounts = census.accounts.saturating_add(page.len() as u64);
            census.devices =
                page.iter().fold(census.devices, |sum, row| sum.saturating_add(row.devices as u64));
        }
    }

    /// The relay's figures.
    ///
    /// # Errors
    /// If the relay cannot say.
    pub async fn figures(&self) -> Result<Figures, Problem> {
        self.0.hooks.figures().await.ok_or_else(|| Problem::unavailable("the relay is closing", 5))
    }

    /// Some rooms, `from` one on.
    pub async fn rooms(&self, from: usize) -> RoomPage {
        self.0.hooks.rooms(from).await
    }

    /// Accounts after one whose name or address contains a text, upper and lower case alike.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn find_accounts(
        &self,
        after: Option<AccountId>,
        wanted: &str,
        limit: usize,
    ) -> Result<AccountPage, Problem> {
        let wanted = wanted.to_lowercase();
        let mut found = AccountPage { accounts: Vec::new(), next: after };
        let mut looked_at = 0_usize;
        loop {
            let rows = self.accounts(found.next).await?;
            if rows.is_empty() {
                return Ok(AccountPage { next: None, ..found });
            }
            for row in rows {
                if found.accounts.len() >= limit || looked_at >= LOOKED_AT_MAX {
                    return Ok(found);
                }
                looked_at = looked_at.saturating_add(1);
                found.next = Some(row.account.id);
                let name = row.account.username.as_str();
                if name.contains(&wanted) || row.account.email.as_str().to_lowercase().contains(&wanted) {
                    found.accounts.push(row);
                }
            }
        }
    }

    /// Changes an account's role or standing, unless nobody who may operate the relay would be left.
    ///
    /// # Errors
    /// If there is no such account, or it is the last operator.
    pub async fn change_account(
        &self,
        id: AccountId,
        change: AccountChange,
    ) -> Result<AccountSummary, Problem> {
        // One at a time: two operators must not take the role from each other at once.
        let _turn = self.0.operators.lock().await;
        let none = || Problem::new(ProblemCode::NotFound, "there is no such account");
        let account = self.0.store.account(id).await?.ok_or_else(none)?;
        let role = change.role.unwrap_or(account.role);
        let disabled = change.disabled.unwrap_or_else(|| account.disabled.is_some());
        let others = self.operators_beside(id).await?;
        rights::may_change(Change { from: standing(&account), to: (role, disabled), others })?;
        let mut changed = account;
        if change.role.is_some() {
            changed = self.set_role(id, role).await?;
        }
        if change.disabled.is_some() {
            changed = self.set_disabled(id, disabled).await?;
        }
        let (devices, sessions) = self.counts_of(id).await?;
        Ok(AccountSummary { account: changed, devices, sessions })
    }

    /// How many other accounts may operate the relay.
    async fn operators_beside(&self, id: AccountId) -> Result<usize, Problem> {
        let (mut after, mut count) = (None, 0_usize);
        loop {
            let page = self.accounts(after).await?;
            let Some(last) = page.last() else { return Ok(count) };
            after = Some(last.account.id);
            let operators = page
                .iter()
                .filter(|row| row.account.id != id && standing(&row.account) == (Role::Operator, false));
            count = count.saturating_add(operators.count());
        }
    }
}

const fn standing(account: &Account) -> (Role, bool) {
    (account.role, account.disabled.is_some())
}
