//! The rules of serving, on files of the test's own.

use super::*;
use axum::routing::get;
use http_body_util::BodyExt as _;

const FILES: &[File] = &[
    File { path: "index.html", plain: b"<!doctype html>plain", brotli: Some(b"br"), gzip: Some(b"gz") },
    File { path: "assets/main-abc.js", plain: b"run()", brotli: Some(b"b"), gzip: None },
    File { path: "assets/core-def.wasm", plain: b"\0asm", brotli: None, gzip: None },
    File { path: "sw.js", plain: b"cache()", brotli: None, gzip: None },
    File { path: "manifest.webmanifest", plain: b"{}", brotli: None, gzip: None },
    File { path: "icon.svg", plain: b"<svg/>", brotli: None, gzip: None },
];

async fn asked(files: &[File], method: &str, path: &str, headers: &[(&str, &str)]) -> (Response, String) {
    let api = Router::new().route("/api/v1/health", get(async || "healthy"));
    let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:8080");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let router = Site::of(files, Some(4433)).beside(api);
    let mut response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let body = std::mem::take(response.body_mut()).collect().await.unwrap().to_bytes();
    (response, String::from_utf8_lossy(&body).into_owned())
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn each_file_has_its_type_and_names_with_a_hash_are_kept_for_ever() {
    for (path, kind, is_kept) in [
        ("/", "text/html; charset=utf-8", false),
        ("/index.html", "text/html; charset=utf-8", false),
        ("/assets/main-abc.js", "text/javascript; charset=utf-8", true),
        ("/assets/core-def.wasm", "application/wasm", true),
        ("/sw.js", "text/javascript; charset=utf-8", false),
        ("/manifest.webmanifest", "application/manifest+json", false),
        ("/icon.svg", "image/svg+xml", false),
    ] {
        let (response, _) = asked(FILES, "GET", path, &[]).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(header(&response, "content-type"), kind, "{path}");
        let cache = if is_kept { "public, max-age=31536000, immutable" } else { "no-cache" };
        assert_eq!(header(&response, "cache-control"), cache, "{path}");
    }
}

#[tokio::test]
async fn each_form_has_a_tag_of_its_own_and_who_knows_it_is_sent_nothing_again() {
    let mut tags = std::collections::BTreeSet::new();
    for (accepts, encoding, body) in
        [("gzip, br", "br", "br"), ("gzip", "gzip", "gz"), ("", "", "<!doctype html>plain")]
    {
        let (response, text) = asked(FILES, "GET", "/", &[("accept-encoding", accepts)]).await;
        assert_eq!(header(&response, "content-encoding"), encoding);
        assert_eq!(header(&response, "vary"), "accept-encoding");
        assert_eq!(header(&response, "content-length"), body.len().to_string());
        assert_eq!(text, body);
        let tag = header(&response, "etag").to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let asks = [("accept-encoding", accepts), ("if-none-match", known.as_str())];
            let (response, text) = asked(FILES, "GET", "/", &asks).await;
            assert_eq!((response.status().as_u16(), text.as_str()), (304, ""), "{known}");
            assert_eq!(header(&response, "etag"), tag);
            assert!(!header(&response, "content-security-policy").is_empty());
        }
        let (response, _) =
            asked(FILES, "GET", "/", &[("accept-encoding", accepts), ("if-none-match", "\"old\"")]).await;
        assert_eq!(response.status(), 200);
        tags.insert(tag);
    }
    assert_eq!(tags.len(), 3, "{tags:?}");
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_allowed_is_said_and_the_api_answers_for_itself() {
    for (method, path, status) in [
        ("GET", "/nothing", 404),
        ("GET", "/../index.html", 404),
        ("GET", "/assets/", 404),
        ("GET", "/index.html.br", 404),
        ("POST", "/", 405),
        ("DELETE", "/sw.js", 405),
        ("HEAD", "/", 200),
        ("GET", "/api/v1/health", 200),
    ] {
        let (response, _) = asked(FILES, method, path, &[]).await;
        assert_eq!(response.status(), status, "{method} {path}");
    }
    let (response, text) = asked(FILES, "GET", "/api/v1/health", &[]).await;
    assert_eq!((text.as_str(), header(&response, "content-security-policy")), ("healthy", ""));
    assert_eq!(header(&asked(FILES, "PUT", "/", &[]).await.0, "allow"), "GET, HEAD");
}

#[tokio::test]
async fn every_answer_of_the_site_carries_the_policy() {
    for (method, path) in
        [("GET", "/"), ("GET", "/sw.js"), ("GET", "/nothing"), ("POST", "/"), ("GET", "/i/abcd-1234")]
    {
        for files in [FILES, &[]] {
            let (response, _) = asked(files, method, path, &[]).await;
            let policy = header(&response, "content-security-policy");
            assert!(
                policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval';"),
                "{policy}"
            );
            assert!(policy.contains("connect-src 'self' https://127.0.0.1:4433;"), "{policy}");
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(header(&response, name), value, "{method} {path}");
            }
            // Calls need these; a page in a frame of ours gets none of them.
            let permissions = header(&response, "permissions-policy");
            assert!(
                permissions.starts_with("camera=(self), microphone=(self), display-capture=(self), "),
                "{permissions}"
            );
            assert!(permissions.contains("geolocation=()"));
        }
    }
}

#[tokio::test]
async fn an_invite_that_is_typed_into_a_browser_leads_to_the_client() {
    let (response, _) = asked(FILES, "GET", "/i/3F7K-q2_Z", &[]).await;
    assert_eq!((response.status().as_u16(), header(&response, "location")), (303, "/#/i/3F7K-q2_Z"));
    assert_eq!(header(&response, "cache-control"), "no-store");
    for bad in ["/i/", "/i/a", "/i/abcd/efgh", "/i/abcd%0d%0aset-cookie:x"] {
        assert_eq!(asked(FILES, "GET", bad, &[]).await.0.status(), 404, "{bad}");
    }
}

#[tokio::test]
async fn a_relay_that_was_built_without_the_client_says_so() {
    let (response, text) = asked(&[], "GET", "/", &[]).await;
    assert_eq!(response.status(), 503);
    assert!(text.contains("built without its web client") && text.contains("cargo xtask run"), "{text}");
    assert_eq!(asked(&[], "GET", "/sw.js", &[]).await.0.status(), 404);
}
