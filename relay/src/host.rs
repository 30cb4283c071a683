//! Whom a request on the plain port means, by its `Host`.
//!
//! Whoever has a name can point it at 127.0.0.1. A page that was loaded from there may then ask whatever answers on this
//! machine, as if it were the page's own server: the browser sees one origin, and only `Host` still shows the name
//! (DNS rebinding). So what listens on loopback answers to names of this machine and of this relay, and to addresses, which
//! nobody can point elsewhere.
//!
//! A plain port that other machines reach is there for a proxy, which may call it by any name of its network.

use crate::config::Config;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::header::HOST;
use http::uri::{Authority, Uri};
use sotto_signaling::http::refuse;
use sotto_signaling::problem::{Problem, ProblemCode};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// What a listener answers to.
#[derive(Debug, Clone)]
pub(crate) struct Names(Option<Arc<BTreeSet<String>>>);

impl Names {
    /// Of the plain listener at an address.
    pub(crate) fn of(config: &Config, listener: SocketAddr) -> Self {
        if !listener.ip().is_loopback() {
            return Self(None);
        }
        let public = config.public_address.as_ref().map(|address| address.host.clone());
        let domain = config.acme.as_ref().map(|acme| acme.domain.clone());
        let web = config.web.address.as_ref().and_then(|address| address.parse::<Uri>().ok());
        let web = web.and_then(|uri| uri.host().map(str::to_owned));
        let names = [public, domain, web].into_iter().flatten();
        Self(Some(Arc::new(names.map(|name| plain(&name)).collect())))
    }

    /// Whether a `Host` means this relay. The port may be another one: that of a proxy, or of a forwarded port.
    fn have(&self, host: &str) -> bool {
        let Some(names) = &self.0 else { return true };
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = plain(authority.host());
        let is_local = name == "localhost" || name.ends_with(".localhost");
        is_local || is_address(&name) || names.contains(&name)
    }
}

/// As names are compared: in lower case, without the dot of the root.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn is_address(name: &str) -> bool {
    let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    bracketed.map_or_else(|| name.parse::<IpAddr>().is_ok(), |name| name.parse::<Ipv6Addr>().is_ok())
}

/// Refuses what means somebody else.
pub(crate) fn guard(router: Router, names: Names) -> Router {
    router.layer(from_fn_with_state(names, pass))
}

async fn pass(State(names): State<Names>, request: Request, next: Next) -> Response {
    // Every browser sends exactly one; HTTP/1.0 may go without.
    let hosts = request.headers().get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let in_line = request.uri().authority().map(Authority::as_str);
    if let Some(host) = hosts.chain(in_line).find(|host| !names.have(host)) {
        tracing::debug!(host, "a request on the plain port means another host");
        return refuse(&Problem::new(
            ProblemCode::Misdirected,
            "this port answers to localhost, to addresses, and to the names that the relay was configured with (public_address, \
             domain, web.address): a page may have pointed another name here",
        ));
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_and_of_this_relay_are_answered_and_others_are_not() {
        let mut config = Config::in_folder("nowhere");
        config.public_address = Some("Chat.example.org:4433".parse().unwrap());
        config.web.address = Some("https://web.example.org:8443".to_owned());
        let names = Names::of(&config, "127.0.0.1:8080".parse().unwrap());
        for host in [
            "localhost",
            "localhost:8080",
            "LOCALHOST:1",
            "localhost.:8080",
            "relay.localhost:8080",
            "127.0.0.1",
            "127.0.0.1:8080",
            "[::1]:8080",
            "192.0.2.7",
            "chat.example.org",
            "chat.example.org.:443",
            "WEB.example.org",
        ] {
            assert!(names.have(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example/localhost",
            "evil.chat.example.org",
            "example.org",
            "notlocalhost",
            "localhost:8080:8080",
            "[::1",
            "[evil.example]",
            "2130706433",
            "0x7f.1",
        ] {
            assert!(!names.have(host), "{host}");
        }
        let beyond = Names::of(&config, "0.0.0.0:8080".parse().unwrap());
        assert!(beyond.have("relay:8080"), "a proxy in another container calls it by that network's name");
    }
}
