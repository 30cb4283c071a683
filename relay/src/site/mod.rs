//! The browser client, served from the relay's own binary: `build.rs` embeds the files that `cargo xtask web` made.
//!
//! ```text
//! GET /             index.html     always asked again (ETag): a new relay brings a new client
//! GET /assets/...   named by hash  kept for ever
//! GET /i/CODE       an invite      leads to /#/i/CODE, which the client reads; so the code goes no further than here
//! ```
//! Every answer carries a policy under which the page runs only what this relay serves and talks to nobody else.

mod address;
mod encoding;
mod policy;

pub(crate) use address::origin;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use encoding::Encoding;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HOST,
    IF_NONE_MATCH, LOCATION, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use sha2::Digest as _;
use sotto_protocol::invite::InviteCode;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use tower::ServiceExt as _;

/// A file of the client, with the forms that were compressed when it was built.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File {
    path: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// What was there when this program was built.
const EMBEDDED: &[File] = include!(concat!(env!("OUT_DIR"), "/site.rs"));

/// Whether this program was built with the browser client.
#[must_use]
pub fn is_built() -> bool {
    !EMBEDDED.is_empty()
}

/// What stands in for the client in a program that was built without it.
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sotto relay</title>\
    <h1>This relay runs</h1><p>It was built without its web client, so there is nothing to see here. \
    Build it by <code>cargo xtask run</code>, or <code>cargo xtask web</code> and then <code>cargo build</code>.\n";

/// Files named by their own hash lie here.
const HASHED: &str = "assets/";

const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// Answers for the client's files.
#[derive(Debug, Clone)]
pub struct Site(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: HashMap<&'static str, Prepared>,
    /// The UDP port on which browsers reach the relay.
    port: Option<u16>,
}

#[derive(Debug)]
struct Prepared {
    file: File,
    kind: HeaderValue,
    /// The start of the content's hash.
    tag: String,
}

impl Site {
    /// The client that is embedded, which may open WebTransport to `port` of the host that it was loaded from.
    #[must_use]
    pub fn new(port: Option<u16>) -> Self {
        Self::of(EMBEDDED, port)
    }

    fn of(files: &[File], port: Option<u16>) -> Self {
        let files = files.iter().map(|file| {
            let hash = sha2::Sha256::digest(file.plain);
            let tag = data_encoding::HEXLOWER.encode(hash.get(..16).unwrap_or_default());
            (file.path, Prepared { file: *file, kind: HeaderValue::from_static(kind_of(file.path)), tag })
        });
        Self(Arc::new(Inner { files: files.collect(), port }))
    }

    /// A router that gives what is the API's to `api` and answers everything else itself.
    pub fn beside(self, api: Router) -> Router {
        Router::new().fallback(move |request: Request| async move {
            if is_of_the_api(request.uri().path()) {
                let answered: Result<Response, Infallible> = api.oneshot(request).await;
                return answered.unwrap_or_else(|never| match never {});
            }
            self.answer(request.method(), request.uri().path(), request.headers())
        })
    }

    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response {
        let mut response = if method != Method::GET && method != Method::HEAD {
            let allowed = [(ALLOW, "GET, HEAD"), (CONTENT_TYPE, TEXT)];
            (StatusCode::METHOD_NOT_ALLOWED, allowed, "only GET and HEAD work here\n").into_response()
        } else if let Some(code) = path.strip_prefix("/i/") {
            invite(code)
        } else {
            match path.strip_prefix('/').map(|name| if name.is_empty() { "index.html" } else { name }) {
                Some("index.html") if self.0.files.is_empty() => not_built(),
                Some(name) => self.0.files.get(name).map_or_else(nothing, |file| file.answer(name, headers)),
                None => nothing(),
            }
        };
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        policy::apply(response.headers_mut(), host, self.0.port);
        response
    }
}

/// What the API answers, also for what is not there: by problems, as programs expect.
fn is_of_the_api(path: &str) -> bool {
    let below =
        |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below("/api") || below("/.well-known") || path == "/metrics"
}

const TEXT: &str = "text/plain; charset=utf-8";

/// An invite that somebody typed or clicked. A fragment of the link (a fingerprint) gives way to the one of the target.
fn invite(code: &str) -> Response {
    let Ok(code) = code.parse::<InviteCode>() else { return nothing() };
    let target = format!("/#/i/{}", code.as_str());
    (StatusCode::SEE_OTHER, [(LOCATION, target), (CACHE_CONTROL, "no-store".to_owned())]).into_response()
}

fn nothing() -> Response {
    let headers = [(CONTENT_TYPE, TEXT), (CACHE_CONTROL, "no-cache")];
    (StatusCode::NOT_FOUND, headers, "there is nothing at this path\n").into_response()
}

fn not_built() -> Response {
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, NOT_BUILT).into_response()
}

impl Prepared {
    fn answer(&self, name: &str, asked: &HeaderMap) -> Response {
        let File { plain, brotli, gzip, .. } = self.file;
        let accepted: Vec<&str> =
            asked.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).collect();
        let chosen = encoding::choose(&accepted.join(","), brotli.is_some(), gzip.is_some());
        let bytes = match chosen {
            Encoding::Brotli => brotli.unwrap_or(plain),
            Encoding::Gzip => gzip.unwrap_or(plain),
            Encoding::Identity => plain,
        };
        let tag = format!("\"{}{}\"", self.tag, chosen.suffix());
        let is_known = is_known(asked, &tag);
        let mut response =
            Response::new(if is_known { Body::empty() } else { Body::from(Bytes::from_static(bytes)) });
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, if name.starts_with(HASHED) { FOR_EVER } else { ASK_AGAIN });
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(ETAG, tag);
        }
        if brotli.is_some() || gzip.is_some() {
            headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        if !is_known {
            headers.insert(CONTENT_TYPE, self.kind.clone());
            headers.insert(CONTENT_LENGTH, bytes.len().into());
            if let Some(name) = chosen.name() {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
            }
        }
        response
    }
}

/// Whether the browser has this very form (RFC 9110 section 13.1.2, weak comparison).
fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    let lines = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

fn kind_of(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, end)| end) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => TEXT,
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
