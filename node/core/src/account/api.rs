//! The requests of the account API. A refusal comes as `application/problem+json` (RFC 9457) and is told apart by its
//! `code`.

use super::shapes::{self, Device, Invited, Redeemed, SignedIn, Tokens, Usage, User, Vault};
use crate::format::harmless_line;
use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use core::time::Duration;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sotto_protocol::ids::{ConversationId, DeviceId};
use sotto_protocol::limits::VAULT_BYTES_MAX;

/// The largest answer: a vault in base64 (4/3) with its frame of JSON.
pub const ANSWER_BYTES_MAX: usize = VAULT_BYTES_MAX / 3 * 4 + 64 * 1024;

/// What is done to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Make, or do.
    Post,
    /// Replace.
    Put,
    /// Change in part.
    Patch,
    /// Remove.
    Delete,
}

impl Method {
    /// As HTTP writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A request to the API.
pub struct Request {
    /// What is done.
    pub method: Method,
    /// The path after `/api/v1`, with its query.
    pub path: String,
    /// The access token to show.
    pub access: Option<String>,
    /// JSON.
    pub body: Option<Vec<u8>>,
}

/// What came back, whatever it says.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header `Retry-After`, where it has one in seconds.
    pub retry_after: Option<Duration>,
    /// At most [`ANSWER_BYTES_MAX`] bytes.
    pub body: Vec<u8>,
}

/// What the relay said no with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The stable code, as `invalid_credentials`.
    pub code: String,
    /// One sentence for people, made harmless.
    pub detail: String,
    /// When to come back, where the relay says so.
    pub retry_after: Option<Duration>,
}

/// The answer is not what the API says. The other side is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the relay's answer is not understood ({0}); is this a sotto relay of the same version?")]
pub struct Malformed(pub String);

/// A way to the API of one relay.
pub trait Exchange {
    /// Why a request has no good answer.
    type Error: From<Problem> + From<Malformed>;

    /// Sends a request and waits for its answer, for as long as is sensible.
    ///
    /// # Errors
    /// If nobody answers, or the wrong one.
    fn exchange(&self, request: Request) -> impl Future<Output = Result<Answer, Self::Error>>;

    /// What a refusal is, where an error is one.
    fn refusal(error: &Self::Error) -> Option<&Problem>;
}

/// What came of putting a vault.
pub enum VaultPut {
    /// The relay has it under this version.
    Done(u64),
    /// Another device was faster; this is what it put.
    Conflict(Vault),
}

/// The account API of one relay.
#[derive(Clone)]
pub struct AccountApi<E>(pub E);

impl<E: Exchange> AccountApi<E> {
    /// Makes an account and signs in to it.
    ///
    /// # Errors
    /// See [`Exchange::Error`].
    pub async fn register(
        &self,
        email: &str,
        username: &str,
        password: &str,
        invite: Option<&str>,
    ) -> Result<SignedIn, E::Error> {
        let body = shapes::Register { email, username, password, invite };
        self.post("/auth/register", None, &body).await
    }

    /// Signs in by e-mail address or user name.
    ///
    /// # Errors
    /// See [`Exchange::Error`].
    pub async fn login(&self, name: &str, password: &str) -> Result<SignedIn, E::Error> {
        let (email, username) = if name.contains('@') { (Some(name), None) } else { (None, Some(name)) };
        self.post("/auth/login", None, &shapes::Login { email, username, password }).await
    }

    /// Changes a refresh token for a new pair; the old one is worth nothing afterwards.
    ///
    /// # Errors
    /// See [`Exchange::Error`].
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, E::Error> {
        let answer: shapes::Refreshed =
            self.post("/auth/refresh", None, &shapes::Refresh { refresh_token }).await?;
        Ok(answer.tokens)
    }

    /// Ends the session of an access token.
    ///
    /// # Errors
    /// See [`Exchange::Error`].
    pub async fn logout(&self, access: &str) -> Result<(), E::Error> {
        self.call(Method::Post, "/auth/logout", Some(access), None).await.map(drop)
    }

    /// Who the access token belongs to.
    ///
    /// # Errors
    /// See [`Exchange::Error`].
    pub async fn me(&self, access: &str) -> Result<User, E::Error> {
        let answer: shapes::Me = self.get("/auth/me", access).await?;
        Ok(answer.user)
    }

    /// How much room the account uses on the relay.
    ///
    /// # Errors
    /// See [`Exchange::Error`].
    pub async fn usage(&self, access: &str) -> Result<Usage, E::Error> {
        self.get("/account/usage", access).await
    }

    /// Registers a device with its certificate.
    ///
    /// # Errors
    /// See [`Exchange::Error`].
    pub async fn add_device(
        &self,
        access: &str,
        device: DeviceId,
        name: &str,
        certificate: &[u8],
    ) -> Result<(), E::Error> {
        let certificate = Base64UrlUnpadded::encode_string(certificate);
        let body = to_json(&shapes::AddDevice { device_id: device, name, certificate: &certificate });
        self.call(Method::Post, "/devices", Some(access), Some(body)).await.map(drop)
    }

    /// The account's devices.
    ///
    /// # Errors
    /// See [`Exchange::Error`].
    pub async fn devices(&self, access: &str) -> Result<Vec<Device>, E::Error> {
        let answer: shapes::Devices = self.get("/devices", access).await?;
        Ok(answer.devices)
    }

    /// Removes a device from the account.
    ///
    /// # Errors
    /// See [`Exchange::Error`].
    pub async fn remove_device(&self, access: &str, device: DeviceId) -> Result<(), E::Error> {
        self.call(Method::Delete, &format!("/devices/{device}"), Some(access), None).await.map(drop)
    }

    /// Makes an invite: to the relay, and to a conversation if one is named.
    ///
    /// # Errors
    /// See [`Exchange::Error`].
    pub async fn invite(
        &self,
        access: &str,
        conversation: Option<ConversationId>,
        uses: Option<u32>,
        expires_in: Option<u64>,
    ) -> Result<Invited, E::Error> {
        self.post("/invites", Some(access), &shapes::MakeInvite { conversation, uses, expires_in }).await
    }

    /// Uses an invite of this relay.
    ///
    /// # Errors
    /// See [`Exchange::Error`].
    pub async fn redeem(&self, access: &str, code: &str) -> Result<Redeemed, E::Error> {
        self.post("/invites/redeem", Some(access), &shapes::Redeem { code }).await
    }

    /// The account's vault; `None` while nothing was put there.
    ///
    /// # Errors
    /// See [`Exchange::Error`].
    pub async fn vault(&self, access: &str) -> Result<Option<Vault>, E::Error> {
        let answer: Result<shapes::VaultBox, E::Error> = self.get("/vault", access).await;
        match answer {
            Ok(found) => Ok(Some(found.open()?)),
            Err(error) if E::refusal(&error).is_some_and(|problem| problem.status == 404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the vault of version `replaces` (0: nothing is there), unless another device was faster.
    ///
    /// # Errors
    /// See [`Exchange::Error`].
    pub async fn put_vault(&self, access: &str, replaces: u64, sealed: &[u8]) -> Result<VaultPut, E::Error> {
        let data = Base64::encode_string(sealed);
        let body = to_json(&shapes::PutVault { version: replaces, data: &data });
        let Err(error) = self.call(Method::Put, "/vault", Some(access), Some(body)).await else {
            return Ok(VaultPut::Done(replaces.saturating_add(1)));
        };
        if E::refusal(&error).is_none_or(|problem| !matches!(problem.status, 409 | 412)) {
            return Err(error);
        }
        self.vault(access).await?.map_or(Err(error), |vault| Ok(VaultPut::Conflict(vault)))
    }

    async fn get<A: DeserializeOwned>(&self, path: &str, access: &str) -> Result<A, E::Error> {
        Ok(read(&self.call(Method::Get, path, Some(access), None).await?)?)
    }

    async fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        access: Option<&str>,
        body: &impl Serialize,
    ) -> Result<A, E::Error> {
        Ok(read(&self.call(Method::Post, path, access, Some(to_json(body))).await?)?)
    }

    /// Any request; the body of its good answer.
    ///
    /// # Errors
    /// See [`Exchange::Error`].
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        access: Option<&str>,
        body: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, E::Error> {
        let request = Request { method, path: path.to_owned(), access: access.map(str::to_owned), body };
        let answer = self.0.exchange(request).await?;
        Ok(answer.good()?)
    }
}

impl Answer {
    /// The body of a good answer.
    ///
    /// # Errors
    /// The problem that a bad one states.
    pub fn good(self) -> Result<Vec<u8>, Problem> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        let read: shapes::ProblemBody = serde_json::from_slice(&self.body).unwrap_or_default();
        let status = self.status;
        let detail = read.detail.or(read.title).unwrap_or_else(|| format!("the relay answered {status}"));
        Err(Problem {
            status,
            code: read.code.unwrap_or_else(|| format!("http_{status}")),
            detail: harmless_line(&detail),
            retry_after: self.retry_after,
        })
    }
}

fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("our bodies are structs of strings and numbers")
}

/// An answer of a known shape.
///
/// # Errors
/// If it has another one.
pub fn read<A: DeserializeOwned>(body: &[u8]) -> Result<A, Malformed> {
    serde_json::from_slice(body).map_err(|error| Malformed(error.to_string()))
}
