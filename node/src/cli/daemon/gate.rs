//! Who may ask: programs of this machine that show the token, and no page in a browser.

use super::Daemon;
use super::listen::Listeners;
use super::problem::Problem;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;

/// What a browser says about who asks for something (Fetch Metadata); a program says nothing of the kind.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Every request passes here.
#[derive(Clone)]
pub(super) struct Gate {
    /// What `Host` may say.
    hosts: Arc<[String]>,
    daemon: Daemon,
}

impl Gate {
    pub(super) fn new(listeners: &Listeners, daemon: Daemon) -> Self {
        Self { hosts: hosts(&listeners.host(), listeners.port).into(), daemon }
    }
}

fn hosts(address: &str, port: u16) -> Vec<String> {
    ["localhost", "127.0.0.1", "[::1]", address].iter().map(|name| format!("{name}:{port}")).collect()
}

pub(super) async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    if let Err(problem) = no_page(request.headers(), &gate.hosts) {
        return problem.into_response();
    }
    match shown_token(request.headers(), request.uri()) {
        Some(token) if gate.daemon.token.is(&token) => next.run(request).await,
        _ => Problem::new(
            StatusCode::UNAUTHORIZED,
            "token_refused",
            "the token is missing or wrong: it is printed when the daemon starts and lies in the profile's file \
             daemon-token; show it as `Authorization: Bearer TOKEN` or as ?token=TOKEN",
        )
        .into_response(),
    }
}

/// Refuses what comes from a page: a name that was rebound to loopback shows in `Host`, any other page in `Origin`.
fn no_page(headers: &HeaderMap, hosts: &[String]) -> Result<(), Problem> {
    let text =
        |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?")).collect::<Vec<_>>();
    let refused = |code, sentence| Err(Problem::new(StatusCode::FORBIDDEN, code, sentence));
    let ours = |host: &str| hosts.iter().any(|name| name.eq_ignore_ascii_case(host));
    if !matches!(text(header::HOST).as_slice(), [host] if ours(host)) {
        return refused(
            "host_refused",
            "the Host of a request to the daemon is localhost, 127.0.0.1 or [::1] with its port; another name may \
             have been pointed here by a web page",
        );
    }
    let from_page = |site: &&str| *site != "none";
    if headers.contains_key(header::ORIGIN)
        || text(header::HeaderName::from_static(SEC_FETCH_SITE)).iter().any(from_page)
    {
        return refused(
            "origin_refused",
            "the daemon does not answer pages in a browser (the request has an Origin): use a program, or the \
             relay's own web client",
        );
    }
    Ok(())
}

fn shown_token(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        return value.to_str().ok()?.strip_prefix("Bearer ").map(str::to_owned);
    }
    let pairs = uri.query()?.split('&');
    pairs.filter_map(|pair| pair.strip_prefix("token=")).next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<header::HeaderName>().expect("a name"), value.parse().expect("a value"))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn programs_of_this_machine_pass_and_pages_do_not() {
        let hosts = hosts("127.0.0.1", 8643);
        for host in ["localhost:8643", "LocalHost:8643", "127.0.0.1:8643", "[::1]:8643"] {
            assert!(no_page(&headers(&[("host", host)]), &hosts).is_ok(), "{host}");
        }
        let page: [&[(&str, &str)]; 9] = [
            &[],
            &[("host", "evil.example:8643")],
            &[("host", "localhost.evil.example:8643")],
            &[("host", "127.0.0.1.evil.example:8643")],
            &[("host", "localhost")],
            &[("host", "localhost:8644")],
            &[("host", "localhost:8643"), ("origin", "http://localhost:8643")],
            &[("host", "localhost:8643"), ("origin", "null")],
            &[("host", "localhost:8643"), ("sec-fetch-site", "cross-site")],
        ];
        for pairs in page {
            assert!(no_page(&headers(pairs), &hosts).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn a_token_is_read_from_the_header_or_the_query() {
        let uri = |text: &str| text.parse::<Uri>().expect("a path");
        let none = HeaderMap::new();
        assert_eq!(shown_token(&none, &uri("/ws?own=true&token=abc")).as_deref(), Some("abc"));
        assert_eq!(shown_token(&none, &uri("/ws?mytoken=abc")), None);
        assert_eq!(shown_token(&none, &uri("/ws")), None);
        let bearer = headers(&[("authorization", "Bearer xyz")]);
        assert_eq!(shown_token(&bearer, &uri("/ws?token=abc")).as_deref(), Some("xyz"));
        let basic = headers(&[("authorization", "Basic xyz")]);
        assert_eq!(shown_token(&basic, &uri("/ws?token=abc")), None);
    }
}
