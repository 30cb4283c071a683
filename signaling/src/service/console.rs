//! What the operator does at the console: accounts and invites of everybody. Whoever calls this has shown that the
//! relay's data folder is his.

use super::Signaling;
use crate::problem::{Problem, ProblemCode};
use crate::store::{AccountSummary, CONSOLE, InvitePage, NewAccount};
use sotto_protocol::ids::AccountId;
use sotto_signaling_core::account::{Account, RegistrationPolicy, RegistrationRules, Role};
use sotto_signaling_core::invite::InviteId;
use sotto_signaling_core::names::{Email, Password, Username};
use sotto_signaling_core::secret::draw_id;

/// Rows of a list that are read at a time.
const PAGE: usize = 500;

fn gone() -> Problem {
    Problem::new(ProblemCode::NotFound, "there is no such account")
}

impl Signaling {
    /// Makes an account, whatever the policy says.
    ///
    /// # Errors
    /// If the name is taken or the store fails.
    pub async fn create_account(
        &self,
        username: Username,
        email: Email,
        password: Password,
        role: Role,
    ) -> Result<Account, Problem> {
        let (inner, now) = (&*self.0, self.now());
        let same_address = inner.store.accounts_by_email(email.clone()).await?;
        let like = same_address.into_iter().next().map(|account| account.password);
        let id = AccountId(draw_id(&mut rand::rng()));
        let account = Account {
            id,
            username,
            email,
            password: inner.hashing.hash(password, like).await?,
            role: Role::User,
            created: now,
            identity_key: None,
            disabled: None,
        };
        let rules = RegistrationRules { policy: RegistrationPolicy::Open, first_account_is_operator: false };
        let new = NewAccount { account, session: None, invite: None, rules, now };
        let made = inner.store.create_account(new).await??.account;
        tracing::info!(account = %made.id, "an account was made at the console");
        if role == Role::User { Ok(made) } else { self.set_role(made.id, role).await }
    }

    /// Accounts in the order of their ids, after one; an empty list at the end.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn accounts(&self, after: Option<AccountId>) -> Result<Vec<AccountSummary>, Problem> {
        Ok(self.0.store.list_accounts(after, PAGE).await?)
    }

    /// The account of a name.
    ///
    /// # Errors
    /// If there is none.
    pub async fn account_named(&self, username: Username) -> Result<Account, Problem> {
        self.0.store.account_by_username(username).await?.ok_or_else(gone)
    }

    /// The name of an account; `None` if there is no such account any more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn username(&self, id: AccountId) -> Result<Option<String>, Problem> {
        let account = self.0.store.account(id).await?;
        Ok(account.map(|account| account.username.as_str().to_owned()))
    }

    /// How many devices and open sessions an account has.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn counts_of(&self, id: AccountId) -> Result<(usize, usize), Problem> {
        let devices = self.0.store.devices(id).await?.len();
        Ok((devices, self.0.store.sessions(id).await?.len()))
    }

    /// Gives an account a role on the relay.
    ///
    /// # Errors
    /// If there is no such account.
    pub async fn set_role(&self, id: AccountId, role: Role) -> Result<Account, Problem> {
        let changed = self.0.store.set_role(id, role).await?.ok_or_else(gone)?;
        tracing::info!(account = %id, ?role, "role changed at the console");
        Ok(changed)
    }

    /// Disables an account: its sessions end, its connections close, nobody signs in to it. Or enables it again.
    ///
    /// # Errors
    /// If there is no such account.
    pub async fn set_disabled(&self, id: AccountId, disabled: bool) -> Result<Account, Problem> {
        let since = disabled.then(|| self.now());
        let (changed, ended) = self.0.store.set_disabled(id, since).await?.ok_or_else(gone)?;
        tracing::info!(account = %id, disabled, "standing changed at the console");
        self.ended(&ended);
        Ok(changed)
    }

    /// Deletes an account, with all that the relay keeps for it but its name, which nobody gets again, and what
    /// it wrote into conversations, which is theirs.
    ///
    /// # Errors
    /// If there is no such account.
    pub async fn delete_account(&self, id: AccountId) -> Result<Account, Problem> {
        let deleted = self.0.store.delete_account(id).await?.ok_or_else(gone)?;
        tracing::info!(account = %id, "account deleted at the console");
        for device in deleted.devices {
            self.0.hooks.device_removed(id, device);
        }
        self.ended(&deleted.sessions);
        Ok(deleted.account)
    }

    /// Invites of everybody that live, after one.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn all_invites(&self, after: Option<(AccountId, InviteId)>) -> Result<InvitePage, Problem> {
        Ok(self.0.store.list_invites(after, PAGE, self.now()).await?)
    }

    /// Takes an invite back, whoever made it. Who redeemed it stays where he is.
    ///
    /// # Errors
    /// If there is none.
    pub async fn revoke_invite(&self, id: InviteId) -> Result<(), Problem> {
        let mut after = None;
        loop {
            let page = self.all_invites(after).await?;
            if let Some(found) = page.invites.iter().find(|invite| invite.id == id) {
                self.0.store.remove_invite(found.by.unwrap_or(CONSOLE), id).await?;
                tracing::info!(invite = %id, "invite revoked at the console");
                return Ok(());
            }
            after = page.next;
            if after.is_none() {
                return Err(Problem::new(
                    ProblemCode::NotFound,
                    "there is no such invite, or it has expired",
                ));
            }
        }
    }
}
