//! What the browser is told about the pages of this relay: run our own scripts and wasm, talk to this relay, be in nobody's
//! frame, and hand no string of a message to anything that would run it.

use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue};

/// Where browsers report what the policy forbade.
const REPORTS: &str = "/api/v1/csp-reports";

/// The one Trusted Types policy of the client (`web/ui/src/trusted.ts`).
const TRUSTED_TYPES: &str = "sotto";

const FIXED: [(HeaderName, &str); 6] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    // For browsers that know no `frame-ancestors`.
    (X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), geolocation=(), payment=(), usb=(), serial=(), hid=(), \
         midi=(), accelerometer=(), gyroscope=(), magnetometer=()",
    ),
];

/// Puts all of it on an answer to a browser that asked for `host`.
pub(super) fn apply(headers: &mut HeaderMap, host: Option<&str>, port: Option<u16>) {
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policy = HeaderValue::try_from(content_security_policy(host, port));
    if let Ok(policy) = policy {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    debug_assert!(headers.contains_key(CONTENT_SECURITY_POLICY), "it is ASCII");
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
}

fn content_security_policy(host: Option<&str>, port: Option<u16>) -> String {
    // 'self' is the port that the page came from; WebTransport goes to the relay's UDP port on the same host.
    let webtransport = match (host.and_then(name_of), port) {
        (Some(host), Some(port)) => format!(" https://{host}:{port}"),
        _ => String::new(),
    };
    format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; \
         media-src blob:; font-src 'self'; connect-src 'self'{webtransport}; worker-src 'self'; manifest-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types {TRUSTED_TYPES}; report-uri {REPORTS}"
    )
}

/// The name or address in a `Host` header, without its port. `None` for what is no host, so that nothing else gets into the
/// policy; and for IPv6, which a policy cannot name: browsers use a WebSocket there.
fn name_of(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    (is_plain && (1..=253).contains(&name.len())).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_host_of_the_request_and_nothing_else_that_stands_there() {
        for (host, origin) in [
            (Some("127.0.0.1:8080"), " https://127.0.0.1:4433;"),
            (Some("chat.example.org"), " https://chat.example.org:4433;"),
            (Some("[::1]:8080"), ";"),
            (Some("evil.example; script-src *"), ";"),
            (Some("a b"), ";"),
            (Some(""), ";"),
            (None, ";"),
        ] {
            let policy = content_security_policy(host, Some(4433));
            assert!(policy.contains(&format!("connect-src 'self'{origin}")), "{host:?}: {policy}");
            assert_eq!(policy.matches("script-src").count(), 1, "{policy}");
        }
        assert!(content_security_policy(Some("a.example"), None).contains("connect-src 'self';"));
    }

    #[test]
    fn nothing_inline_and_no_eval_is_allowed() {
        let policy = content_security_policy(None, None);
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"), "{policy}");
    }
}
