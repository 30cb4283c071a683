//! Accounts over HTTPS: registering, signing in, refreshing, devices, invites, the vault.
//!
//! One short connection per request, to the same address and under the same [`Trust`] as everything else. A
//! refusal comes as `application/problem+json` (RFC 9457) and is told apart by its `code`.

mod shapes;

pub use shapes::{Device, Invited, Redeemed, SignedIn, Tokens, User, Vault};

use crate::tls::{Trust, WrongFingerprint, server_name};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sotto_protocol::ids::{ConversationId, DeviceId, UnixMillis};
use sotto_protocol::invite::RelayAddress;
use sotto_protocol::limits::VAULT_BYTES_MAX;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long one request may take: the slowest is a registration, whose password hash queues behind others.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The largest answer: a vault in base64 (4/3) with its frame of JSON.
const ANSWER_BYTES_MAX: usize = VAULT_BYTES_MAX / 3 * 4 + 64 * 1024;

/// The account API of one relay.
#[derive(Clone)]
pub struct AccountApi {
    relay: RelayAddress,
    trust: Trust,
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

/// Why a request has no good answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Nobody answers there.
    #[error("the relay {relay} cannot be reached: {what}")]
    Unreachable {
        /// The address.
        relay: String,
        /// What the system said.
        what: String,
    },
    /// Somebody else answers there.
    #[error(transparent)]
    WrongFingerprint(#[from] WrongFingerprint),
    /// The certificate is not signed by an authority of this machine and the link has no fingerprint; or it is
    /// the pinned one, shown by somebody who does not have its key.
    #[error("{0}")]
    Untrusted(String),
    /// The relay refused.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// The answer is not what the API says. The other side is to blame.
    #[error("the relay's answer is not understood ({0}); is this a sotto relay of the same version?")]
    Malformed(String),
}

impl AccountApi {
    /// The API of a relay.
    #[must_use]
    pub const fn new(relay: RelayAddress, trust: Trust) -> Self {
        Self { relay, trust }
    }

    /// Whether a relay answers, and what time it has.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn health(&self) -> Result<Health, HttpError> {
        let asked = tokio::time::Instant::now();
        let answered =
            tokio::time::timeout(REQUEST_TIMEOUT, self.exchange(Method::GET, "/health", None, None));
        let (headers, body) = answered.await.unwrap_or_else(|_| {
            let what = format!("no answer within {} s", REQUEST_TIMEOUT.as_secs());
            Err(HttpError::Unreachable { relay: self.relay.to_string(), what })
        })?;
        let _: shapes::Health = read(&body)?;
        let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
        Ok(Health { clock: date.and_then(moment_of), took: asked.elapsed() })
    }

    /// Makes an account and signs in to it.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn register(
        &self,
        email: &str,
        username: &str,
        password: &str,
        invite: Option<&str>,
    ) -> Result<SignedIn, HttpError> {
        let body = shapes::Register { email, username, password, invite };
        self.post("/auth/register", None, &body).await
    }

    /// Signs in by e-mail address or user name.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn login(&self, name: &str, password: &str) -> Result<SignedIn, HttpError> {
        let (email, username) = if name.contains('@') { (Some(name), None) } else { (None, Some(name)) };
        self.post("/auth/login", None, &shapes::Login { email, username, password }).await
    }

    /// Changes a refresh token for a new pair; the old one is worth nothing afterwards.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, HttpError> {
        let answer: shapes::Refreshed =
            self.post("/auth/refresh", None, &shapes::Refresh { refresh_token }).await?;
        Ok(answer.tokens)
    }

    /// Ends the session of an access token.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn logout(&self, access: &str) -> Result<(), HttpError> {
        self.call(Method::POST, "/auth/logout", Some(access), None).await.map(drop)
    }

    /// Who the access token belongs to.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn me(&self, access: &str) -> Result<User, HttpError> {
        let answer: shapes::Me = self.get("/auth/me", access).await?;
        Ok(answer.user)
    }

    /// Registers a device with its certificate.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn add_device(
        &self,
        access: &str,
        device: DeviceId,
        name: &str,
        certificate: &[u8],
    ) -> Result<(), HttpError> {
        let certificate = data_encoding::BASE64URL_NOPAD.encode(certificate);
        let body = to_json(&shapes::AddDevice { device_id: device, name, certificate: &certificate });
        self.call(Method::POST, "/devices", Some(access), Some(body)).await.map(drop)
    }

    /// The account's devices.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn devices(&self, access: &str) -> Result<Vec<Device>, HttpError> {
        let answer: shapes::Devices = self.get("/devices", access).await?;
        Ok(answer.devices)
    }

    /// Removes a device from the account.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn remove_device(&self, access: &str, device: DeviceId) -> Result<(), HttpError> {
        self.call(Method::DELETE, &format!("/devices/{device}"), Some(access), None).await.map(drop)
    }

    /// Makes an invite: to the relay, and to a conversation if one is named.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn invite(
        &self,
        access: &str,
        conversation: Option<ConversationId>,
        uses: Option<u32>,
        expires_in: Option<u64>,
    ) -> Result<Invited, HttpError> {
        self.post("/invites", Some(access), &shapes::MakeInvite { conversation, uses, expires_in }).await
    }

    /// Uses an invite of this relay.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn redeem(&self, access: &str, code: &str) -> Result<Redeemed, HttpError> {
        self.post("/invites/redeem", Some(access), &shapes::Redeem { code }).await
    }

    /// The account's vault; `None` while nothing was put there.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn vault(&self, access: &str) -> Result<Option<Vault>, HttpError> {
        let answer: Result<shapes::VaultBox, HttpError> = self.get("/vault", access).await;
        match answer {
            Ok(found) => found.open().map(Some),
            Err(HttpError::Refused(problem)) if problem.status == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the vault of version `replaces` (0: nothing is there).
    ///
    /// # Errors
    /// See [`HttpError`]; status 409 or 412 if another device was faster.
    pub async fn put_vault(&self, access: &str, replaces: u64, data: &[u8]) -> Result<(), HttpError> {
        let data = data_encoding::BASE64.encode(data);
        let body = to_json(&shapes::PutVault { version: replaces, data: &data });
        self.call(Method::PUT, "/vault", Some(access), Some(body)).await.map(drop)
    }

    async fn get<A: DeserializeOwned>(&self, path: &str, access: &str) -> Result<A, HttpError> {
        read(&self.call(Method::GET, path, Some(access), None).await?)
    }

    async fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        access: Option<&str>,
        body: &impl Serialize,
    ) -> Result<A, HttpError> {
        read(&self.call(Method::POST, path, access, Some(to_json(body))).await?)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        access: Option<&str>,
        body: Option<Vec<u8>>,
    ) -> Result<Bytes, HttpError> {
        let unreachable = |what: String| HttpError::Unreachable { relay: self.relay.to_string(), what };
        let (_, body) = tokio::time::timeout(REQUEST_TIMEOUT, self.exchange(method, path, access, body))
            .await
            .unwrap_or_else(|_| {
                Err(unreachable(format!("no answer within {} s", REQUEST_TIMEOUT.as_secs())))
            })?;
        Ok(body)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        access: Option<&str>,
        body: Option<Vec<u8>>,
    ) -> Result<(http::HeaderMap, Bytes), HttpError> {
        let unreachable = |what: String| HttpError::Unreachable { relay: self.relay.to_string(), what };
        let stream = connect_tls(&self.relay, &self.trust, &[b"http/1.1"]).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        let driver = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::HOST, self.relay.to_string())
            .header(header::ACCEPT, "application/json, application/problem+json")
            .header(header::USER_AGENT, concat!("sotto/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = access {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| HttpError::Malformed(error.to_string()))?;
        let answer = sender.send_request(request).await.map_err(|error| unreachable(error.to_string()))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| unreachable(error.to_string()))?
            .to_bytes();
        driver.abort();
        if head.status.is_success() {
            Ok((head.headers, body))
        } else {
            Err(problem(head.status, &head.headers, &body).into())
        }
    }
}

/// What an answer says that shows a relay in health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// The relay's clock, to the second, where it says so.
    pub clock: Option<UnixMillis>,
    /// How long the answer took, with the handshakes of TCP and TLS.
    pub took: Duration,
}

/// A date as HTTP writes it (RFC 9110 section 5.6.7, the preferred form).
fn moment_of(date: &str) -> Option<UnixMillis> {
    let moment = time::OffsetDateTime::parse(date, &time::format_description::well_known::Rfc2822).ok()?;
    u64::try_from(moment.unix_timestamp()).ok()?.checked_mul(1000).map(UnixMillis)
}

/// A TLS connection over TCP, for the API and for WebSocket.
pub(crate) async fn connect_tls(
    relay: &RelayAddress,
    trust: &Trust,
    alpn: &[&[u8]],
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, HttpError> {
    let unreachable = |what: String| HttpError::Unreachable { relay: relay.to_string(), what };
    let name = server_name(&relay.host).map_err(|error| unreachable(error.to_string()))?;
    let stream = TcpStream::connect((relay.host.as_str(), relay.port))
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    // Small frames are worth nothing if they wait for company.
    stream.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(trust.config(alpn)));
    connector.connect(name, stream).await.map_err(|error| judge_tls(&error, relay, trust))
}

/// A handshake failed: was it the certificate?
fn judge_tls(error: &std::io::Error, relay: &RelayAddress, trust: &Trust) -> HttpError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(reason)) => match trust.wrong_fingerprint() {
            Some(wrong) => wrong.into(),
            None if trust.is_pinned() => HttpError::Untrusted(format!(
                "somebody shows the relay's certificate without its key ({reason:?}); nothing was sent"
            )),
            None => HttpError::Untrusted(format!(
                "the relay's certificate is not one that this machine trusts ({reason:?}); use the relay's whole \
                 link, with the fingerprint after #"
            )),
        },
        _ => HttpError::Unreachable { relay: relay.to_string(), what: error.to_string() },
    }
}

fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("our bodies are structs of strings and numbers")
}

fn read<A: DeserializeOwned>(body: &[u8]) -> Result<A, HttpError> {
    serde_json::from_slice(body).map_err(|error| HttpError::Malformed(error.to_string()))
}

fn problem(status: StatusCode, headers: &http::HeaderMap, body: &[u8]) -> Problem {
    let read: shapes::ProblemBody = serde_json::from_slice(body).unwrap_or_default();
    let retry_after = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok())
        .map(Duration::from_secs);
    let detail = read.detail.or(read.title).unwrap_or_else(|| format!("the relay answered {status}"));
    Problem {
        status: status.as_u16(),
        code: read.code.unwrap_or_else(|| format!("http_{}", status.as_u16())),
        detail: sotto_node_core::format::harmless_line(&detail),
        retry_after,
    }
}

#[cfg(test)]
mod tests;
