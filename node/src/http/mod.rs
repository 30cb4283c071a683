//! Accounts over HTTPS: registering, signing in, refreshing, devices, invites, the vault.
//!
//! One short connection per request, to the same address and under the same [`Trust`] as everything else. A
//! refusal comes as `application/problem+json` (RFC 9457) and is told apart by its `code`.

pub(crate) mod blobs;

use crate::tls::{Trust, WrongFingerprint, server_name};
use crate::transport::{self, Messages};
use bytes::Bytes;
use http::{Request as HttpRequest, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use sotto_node_core::account::api::{ANSWER_BYTES_MAX, read};
use sotto_node_core::account::{Answer, Exchange, Malformed, Method, Problem, Request};
use sotto_protocol::ids::UnixMillis;
use sotto_protocol::invite::RelayAddress;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long one request may take: the slowest is a registration, whose password hash queues behind others.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The account API of one relay, over HTTPS.
pub type AccountApi = sotto_node_core::account::AccountApi<Https>;

/// The way to one relay's API.
#[derive(Clone)]
pub struct Https {
    relay: RelayAddress,
    trust: Trust,
}

/// The API of a relay.
#[must_use]
pub const fn api(relay: RelayAddress, trust: Trust) -> AccountApi {
    sotto_node_core::account::AccountApi(Https { relay, trust })
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
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Whether a relay answers, and what time it has.
///
/// # Errors
/// See [`HttpError`].
pub async fn health(api: &AccountApi) -> Result<Health, HttpError> {
    let asked = tokio::time::Instant::now();
    let request = Request { method: Method::Get, path: "/health".to_owned(), access: None, body: None };
    let (headers, answer) = api.0.within_time(request).await?;
    let _: Healthy = read(&answer.good()?)?;
    let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
    Ok(Health { clock: date.and_then(moment_of), took: asked.elapsed() })
}

/// That this is a relay.
#[derive(serde::Deserialize)]
struct Healthy {
    #[serde(rename = "status")]
    _status: String,
}

impl Exchange for Https {
    type Error = HttpError;

    async fn exchange(&self, request: Request) -> Result<Answer, HttpError> {
        self.within_time(request).await.map(|(_, answer)| answer)
    }

    fn refusal(error: &HttpError) -> Option<&Problem> {
        match error {
            HttpError::Refused(problem) => Some(problem),
            _ => None,
        }
    }
}

impl Https {
    /// Where the relay is.
    pub(crate) const fn relay(&self) -> &RelayAddress {
        &self.relay
    }

    /// A stream for TURN beside the API.
    pub(crate) async fn route_turn(&self, access: &str) -> Result<Messages, HttpError> {
        transport::route_turn(&self.relay, &self.trust, access).await
    }

    async fn within_time(&self, request: Request) -> Result<(http::HeaderMap, Answer), HttpError> {
        tokio::time::timeout(REQUEST_TIMEOUT, self.send(request)).await.unwrap_or_else(|_| {
            let what = format!("no answer within {} s", REQUEST_TIMEOUT.as_secs());
            Err(HttpError::Unreachable { relay: self.relay.to_string(), what })
        })
    }

    async fn send(&self, asked: Request) -> Result<(http::HeaderMap, Answer), HttpError> {
        let unreachable = |what: String| HttpError::Unreachable { relay: self.relay.to_string(), what };
        let stream = connect_tls(&self.relay, &self.trust, &[b"http/1.1"]).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        let driver = tokio::spawn(connection);
        let mut request = HttpRequest::builder()
            .method(asked.method.name())
            .uri(format!("/api/v1{}", asked.path))
            .header(header::HOST, self.relay.to_string())
            .header(header::ACCEPT, "application/json, application/problem+json")
            .header(header::USER_AGENT, concat!("sotto/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = asked.access {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if asked.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(asked.body.unwrap_or_default())))
            .map_err(|error| Malformed(error.to_string()))?;
        let answer = sender.send_request(request).await.map_err(|error| unreachable(error.to_string()))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| unreachable(error.to_string()))?
            .to_bytes();
        driver.abort();
        let retry_after = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let answer = Answer { status: head.status.as_u16(), retry_after, body: body.into() };
        Ok((head.headers, answer))
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

#[cfg(test)]
mod tests;
