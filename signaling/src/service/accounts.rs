//! Registering, signing in, refreshing, signing out.

use super::{Authenticated, Signaling};
use crate::hooks::Usage;
use crate::http::bodies::{LoginName, LoginRequest, RegisterRequest};
use crate::problem::{Problem, ProblemCode};
use crate::store::{NewAccount, Refreshed};
use sotto_protocol::ids::{AccountId, SessionId, UnixMillis};
use sotto_signaling_core::account::{Account, RegisterRefused, Role};
use sotto_signaling_core::claims::Claims;
use sotto_signaling_core::limits::ACCESS_TOKEN_SECONDS;
use sotto_signaling_core::names::{Label, Password};
use sotto_signaling_core::password::PasswordHash;
use sotto_signaling_core::secret::{RefreshToken, SecretHash, draw_id};
use sotto_signaling_core::session::{Opening, Session};
use std::net::IpAddr;
use zeroize::Zeroizing;

/// What a client signs its requests with from now on.
pub struct Tokens {
    /// A JWT.
    pub access: String,
    /// Good for one refresh.
    pub refresh: Zeroizing<String>,
    /// How long the access token is good for, in seconds.
    pub expires_in: u64,
}

/// An account with fresh tokens.
pub struct SignedIn {
    /// The account.
    pub account: Account,
    /// Its tokens.
    pub tokens: Tokens,
}

impl From<RegisterRefused> for Problem {
    fn from(refused: RegisterRefused) -> Self {
        let detail = refused.to_string();
        match refused {
            RegisterRefused::Closed => Self::new(ProblemCode::RegistrationClosed, detail),
            RegisterRefused::InviteRequired => Self::new(ProblemCode::InviteRequired, detail),
            RegisterRefused::UsernameTaken => {
                Self { field: Some("username".to_owned()), ..Self::new(ProblemCode::Taken, detail) }
            }
            // `Invite`, and whatever reason for refusing an invite comes later.
            _ => Self { field: Some("invite".to_owned()), ..Self::new(ProblemCode::InviteRefused, detail) },
        }
    }
}

impl Signaling {
    /// Registers an account and signs it in.
    ///
    /// # Errors
    /// If a rule, a limit or a taken name forbids it. An e-mail address never does: see
    /// [`sotto_signaling_core::account`].
    pub async fn register(
        &self,
        request: RegisterRequest,
        agent: Label,
        from: IpAddr,
    ) -> Result<SignedIn, Problem> {
        let (inner, now) = (&*self.0, self.now());
        inner.rates.sign_in_from(from, now)?;
        let RegisterRequest { email, username, password, invite } = request;
        let invite = invite.as_ref().map(SecretHash::of_code);
        // Both are asked again in the atomic step; here they save a hash. The name is public anyway.
        if !inner.config.registration.first_account_is_operator {
            inner.config.registration.admit(false, invite.is_some())?;
        }
        if inner.store.account_by_username(username.clone()).await?.is_some() {
            return Err(RegisterRefused::UsernameTaken.into());
        }
        // Accounts of one address share a salt: a sign-in by it is one hash, however many there are.
        let same_address = inner.store.accounts_by_email(email.clone()).await?;
        let like = same_address.into_iter().next().map(|account| account.password);
        let password = inner.hashing.hash(password, like).await?;
        let account = Account {
            id: AccountId(draw_id(&mut rand::rng())),
            username,
            email,
            password,
            role: Role::User,
            created: now,
            identity_key: None,
            disabled: None,
        };
        let (session, refresh) = open_session(account.id, agent, now);
        let rules = inner.config.registration;
        let new = NewAccount { account, session: Some(session.clone()), invite, rules, now };
        let created = inner.store.create_account(new).await??;
        tracing::info!(account = %created.account.id, role = ?created.account.role, "registered");
        metrics::counter!("sotto_registrations_total").increment(1);
        if let Some(redeemed) = created.redeemed {
            // The account exists now, whatever becomes of the conversation: redeeming the code again admits again.
            if let Err(problem) = self.admit(created.account.id, redeemed).await {
                tracing::warn!(%problem, "an invite registered an account and did not admit it");
            }
        }
        let tokens = self.tokens(&created.account, session.id, &refresh, now);
        Ok(SignedIn { account: created.account, tokens })
    }

    /// Signs in by name or address, and password.
    ///
    /// # Errors
    /// One answer for every failure, after the same work: an unknown account costs a hash too.
    pub async fn login(
        &self,
        request: LoginRequest,
        agent: Label,
        from: IpAddr,
    ) -> Result<SignedIn, Problem> {
        let (inner, now) = (&*self.0, self.now());
        let LoginRequest { name, password } = request;
        inner.rates.sign_in_from(from, now)?;
        inner.rates.sign_in_as(name.as_str(), now)?;
        let mut candidates = match name {
            LoginName::Email(email) => inner.store.accounts_by_email(email).await?,
            LoginName::Username(name) => inner.store.account_by_username(name).await?.into_iter().collect(),
            LoginName::Neither(_) => Vec::new(),
        };
        let hashes = candidates.iter().map(|account| account.password.clone()).collect();
        let (found, password) = inner.hashing.find(password, hashes).await?;
        let Some(place) = found else {
            metrics::counter!("sotto_sign_ins_total", "outcome" => "refused").increment(1);
            return Err(Problem::credentials());
        };
        let account = candidates.swap_remove(place);
        // Only whoever knows the password learns that.
        account.may_sign_in()?;
        metrics::counter!("sotto_sign_ins_total", "outcome" => "ok").increment(1);
        if account.password.is_dated(inner.hashing.cost()) {
            self.rehash(&account, password).await?;
        }
        let (session, refresh) = open_session(account.id, agent, now);
        let id = session.id;
        // Disabled or deleted while the password was hashed: the same answer as a moment later.
        let evicted = inner.store.open_session(session).await?.ok_or_else(Problem::credentials)?;
        self.ended(&evicted);
        let tokens = self.tokens(&account, id, &refresh, now);
        Ok(SignedIn { account, tokens })
    }

    /// The operator changed the cost of hashes; this account's follows while its password is at hand.
    async fn rehash(&self, account: &Account, password: Password) -> Result<(), Problem> {
        let fresh: PasswordHash = self.0.hashing.hash(password, None).await?;
        self.0.store.replace_password(account.id, account.password.clone(), fresh).await?;
        Ok(())
    }

    /// Spends a refresh token for new tokens.
    ///
    /// # Errors
    /// If it does not count. If it was spent before, its session ends: somebody else holds a copy.
    pub async fn refresh(&self, shown: &RefreshToken) -> Result<Tokens, Problem> {
        let (inner, now) = (&*self.0, self.now());
        let next = shown.next(&mut rand::rng());
        let refused =
            || Problem::new(ProblemCode::TokenRefused, "the refresh token is not valid; sign in again");
        let outcome = inner.store.refresh(shown.session(), shown.hashes(), next.hashes().token, now).await?;
        match outcome {
            Refreshed::Rotated { session, account } => Ok(self.tokens(&account, session.id, &next, now)),
            Refreshed::Revoked { session, reused } => {
                if reused {
                    metrics::counter!("sotto_refresh_tokens_reused_total").increment(1);
                    let (account, session) = (session.account, session.id);
                    tracing::warn!(%account, %session, "a spent refresh token was shown; the session is revoked");
                }
                self.ended(&[session]);
                Err(refused())
            }
            Refreshed::Refused => Err(refused()),
        }
    }

    /// The asking account.
    ///
    /// # Errors
    /// If it went away meanwhile.
    pub async fn me(&self, who: Authenticated) -> Result<Account, Problem> {
        let gone = || Problem::new(ProblemCode::TokenRefused, "this account no longer exists");
        self.0.store.account(who.account).await?.ok_or_else(gone)
    }

    /// What the asking account has on the relay's disk.
    ///
    /// # Errors
    /// If the relay cannot say.
    pub async fn usage(&self, who: Authenticated) -> Result<Usage, Problem> {
        let usage = self.0.hooks.usage(who.account).await;
        usage.ok_or_else(|| Problem::unavailable("the relay is closing", 5))
    }

    /// The sessions of the asking account, the oldest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn sessions(&self, who: Authenticated) -> Result<Vec<Session>, Problem> {
        let now = self.now();
        let mut sessions = self.0.store.sessions(who.account).await?;
        sessions.retain(|session| !session.has_expired(now));
        Ok(sessions)
    }

    /// Ends a session of the asking account: its tokens and connections with it.
    ///
    /// # Errors
    /// If the account has no such session.
    pub async fn end_session(&self, who: Authenticated, id: SessionId) -> Result<(), Problem> {
        let ended = self.0.store.close_session(who.account, id).await?;
        let ended = ended.ok_or_else(|| Problem::new(ProblemCode::NotFound, "you have no such session"))?;
        self.ended(&[ended]);
        Ok(())
    }

    fn tokens(
        &self,
        account: &Account,
        session: SessionId,
        refresh: &RefreshToken,
        now: UnixMillis,
    ) -> Tokens {
        let claims = Claims::new(&self.0.config.issuer, account.id, session, account.role, now);
        Tokens {
            access: self.0.keys.sign(&claims),
            refresh: refresh.to_text(),
            expires_in: ACCESS_TOKEN_SECONDS,
        }
    }
}

fn open_session(account: AccountId, agent: Label, now: UnixMillis) -> (Session, RefreshToken) {
    let mut rng = rand::rng();
    let id = SessionId(draw_id(&mut rng));
    let refresh = RefreshToken::first(id, &mut rng);
    let session = Session::open(Opening { id, account, agent, hashes: refresh.hashes() }, now);
    (session, refresh)
}
