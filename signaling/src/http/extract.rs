//! What handlers ask of a request: a checked body, who asks, from where.

use super::bodies::{Body, field, parse};
use crate::problem::{Problem, ProblemCode};
use crate::service::{Authenticated, Signaling};
use axum::extract::{ConnectInfo, FromRef, FromRequest, FromRequestParts, Path, Query, Request};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{Extensions, HeaderMap};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use sotto_signaling_core::names::Label;
use sotto_signaling_core::rights::{self, Act};
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// A JSON body that was read within its limit and checked.
pub(crate) struct Checked<B: Body>(pub(crate) B::Checked);

impl<B: Body, S: Send + Sync> FromRequest<S> for Checked<B> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let too_large = || {
            let sentence = format!("the body of this request has at most {} bytes", B::BYTES_MAX);
            Problem::new(ProblemCode::TooLarge, sentence)
        };
        if !is_json(request.headers()) {
            let sentence = "send the body as application/json";
            return Err(Problem::new(ProblemCode::UnsupportedMediaType, sentence));
        }
        // What announces itself as too large is not read at all.
        let announced =
            request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if announced.is_some_and(|bytes: u64| bytes > B::BYTES_MAX as u64) {
            return Err(too_large());
        }
        let body = Limited::new(request.into_body(), B::BYTES_MAX).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                too_large()
            } else {
                Problem::new(ProblemCode::Malformed, "the body ended early")
            }
        })?;
        parse::<B>(&body.to_bytes()).map(Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// Who asks, by a bearer token of a live session. Counts against the account's rate.
pub(crate) struct Who(pub(crate) Authenticated);

impl<S: Send + Sync> FromRequestParts<S> for Who
where
    Signaling: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let missing =
            || Problem::new(ProblemCode::TokenRefused, "send Authorization: Bearer and an access token");
        let header = parts.headers.get(AUTHORIZATION).ok_or_else(missing)?;
        let (scheme, token) =
            header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(missing());
        }
        let signaling = Signaling::from_ref(state);
        let who = signaling.authenticate(token.trim()).await?;
        if super::blobs::is_chunk(&parts.extensions) {
            signaling.count_chunk_of(who.account)?;
        } else {
            signaling.count_request_of(who.account)?;
        }
        tracing::Span::current().record("account", tracing::field::display(who.account));
        Ok(Self(who))
    }
}

/// An operator of this relay, by the role of this moment.
pub(crate) struct Operator;

impl<S: Send + Sync> FromRequestParts<S> for Operator
where
    Signaling: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Who(who) = Who::from_request_parts(parts, state).await?;
        // Who was let in so far is in good standing.
        rights::may(who.role, false, Act::Operate, Signaling::from_ref(state).config().invite_makers)?;
        Ok(Self)
    }
}

/// The query of a request.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        let Query(query) = read.map_err(|_| {
            Problem::new(ProblemCode::Malformed, "the query of this address does not read; see /api/docs")
        })?;
        Ok(Self(query))
    }
}

/// An id in the path.
pub(crate) struct PathId<T>(pub(crate) T);

impl<T: FromStr<Err: Display>, S: Send + Sync> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::field("id", "the id in the path is not text"))?;
        field("id", &text).map(Self)
    }
}

/// What the client program calls itself.
pub(crate) struct Agent(pub(crate) Label);

impl<S: Send + Sync> FromRequestParts<S> for Agent {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let text = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Self(Label::lossy(text)))
    }
}

/// Where a request comes from; put there by [`peer_address`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get().copied().unwrap_or(UNKNOWN))
    }
}

/// A listener that does not say who connects: everybody shares one address, and one rate.
const UNKNOWN: Peer = Peer(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));

/// Who sent a request: the other end of the connection, or, behind our own proxies, what the outermost of them
/// saw. Each proxy appends one address to `X-Forwarded-For`; whatever stands before those may be invented.
pub(crate) fn peer_address(extensions: &Extensions, headers: &HeaderMap, trusted_proxies: usize) -> Peer {
    let connected = extensions.get::<ConnectInfo<SocketAddr>>().map_or(UNKNOWN, |info| Peer(info.0));
    if trusted_proxies == 0 {
        return connected;
    }
    let lines = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let client = hops.len().checked_sub(trusted_proxies).and_then(|place| hops.get(place));
    client.and_then(|text| text.parse().ok()).map_or(connected, |ip: IpAddr| Peer(SocketAddr::new(ip, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(header: &str, trusted: usize) -> String {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 1234))));
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", header.parse().expect("a header"));
        peer_address(&extensions, &headers, trusted).0.ip().to_string()
    }

    #[test]
    fn a_forwarded_address_counts_only_as_far_as_our_proxies_reach() {
        assert_eq!(seen("192.0.2.9", 0), "10.0.0.1", "nobody is believed by default");
        assert_eq!(seen("192.0.2.9", 1), "192.0.2.9");
        assert_eq!(seen("1.1.1.1, 192.0.2.9", 1), "192.0.2.9", "what the client wrote itself is ignored");
        assert_eq!(seen("1.1.1.1, 192.0.2.9, 10.0.0.2", 2), "192.0.2.9");
        assert_eq!(seen("nonsense", 1), "10.0.0.1");
        assert_eq!(seen("192.0.2.9", 2), "10.0.0.1", "a request that came past a proxy");
    }

    #[test]
    fn json_is_recognised_with_parameters_and_suffixes() {
        for (kind, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/vnd.sotto+json", true),
            ("text/json", false),
            ("application/x-www-form-urlencoded", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().expect("a header"));
            assert_eq!(is_json(&headers), json, "{kind}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
