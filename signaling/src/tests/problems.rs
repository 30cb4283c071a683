//! Every refusal is a problem, also the ones that a library would word itself.

use super::*;

async fn send_raw(world: &World, content_type: Option<&str>, body: impl Into<Body>) -> Answer {
    let mut request = Request::post("/api/v1/auth/login");
    if let Some(kind) = content_type {
        request = request.header("content-type", kind);
    }
    world.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let world = World::new();
    for path in ["/", "/api", "/api/v1/nothing", "/api/v1/auth/login/", "/../etc/passwd"] {
        world.call(Method::GET, path, None, None).await.refused_as(404, "not_found");
    }
    let wrong = world.call(Method::GET, "/api/v1/auth/login", None, None).await;
    wrong.refused_as(405, "method_not_allowed");
    assert_eq!(wrong.headers["allow"], "POST");
}

#[tokio::test]
async fn bodies_that_are_not_what_they_should_be_are_problems() {
    let world = World::new();
    let json = Some("application/json");
    send_raw(&world, json, "{").await.refused_as(400, "malformed");
    send_raw(&world, json, "").await.refused_as(400, "malformed");
    send_raw(&world, json, vec![0xff; 9]).await.refused_as(400, "malformed");
    send_raw(&world, json, "[".repeat(10_000)).await.refused_as(400, "malformed");
    let deep = format!(r#"{{"other":{}"#, "[".repeat(10_000));
    send_raw(&world, json, deep).await.refused_as(400, "malformed");
    let missing = send_raw(&world, json, r#"{"email":"a@b"}"#).await;
    missing.refused_as(422, "invalid_field");
    assert_eq!(missing.json()["field"], "password");
    send_raw(&world, None, "{}").await.refused_as(415, "unsupported_media_type");
    send_raw(&world, Some("text/plain"), "{}").await.refused_as(415, "unsupported_media_type");
    let large = format!(r#"{{"email":"{}","password":"x"}}"#, "a".repeat(20_000));
    send_raw(&world, json, large.clone()).await.refused_as(413, "too_large");
    let chunks = large.into_bytes().chunks(1_000).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let stream = futures_util::stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>));
    send_raw(&world, json, Body::from_stream(stream)).await.refused_as(413, "too_large");
}

#[tokio::test]
async fn ids_in_the_path_that_are_none_are_problems() {
    let world = World::new();
    let anna = world.register("anna").await;
    for path in ["/api/v1/sessions/1", "/api/v1/devices/..", "/api/v1/invites/%00%ff"] {
        let answer = world.delete_as(&anna, path).await;
        answer.refused_as(422, "invalid_field");
        assert_eq!(answer.json()["field"], "id");
    }
}

#[tokio::test]
async fn every_operation_for_the_signed_in_refuses_the_others() {
    let world = World::new();
    let document = world.call(Method::GET, "/api/v1/openapi.json", None, None).await.ok(200);
    let mut checked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let path = path.replace("{id}", &"00".repeat(16));
            let method: Method = method.to_uppercase().parse().unwrap();
            let body = operation.get("requestBody").map(|_| json!({}));
            let answer = world.call(method.clone(), &path, None, body).await;
            if operation.get("security").is_some() {
                answer.refused_as(401, "token_refused");
                checked += 1;
            } else {
                assert_ne!(answer.status, StatusCode::NOT_FOUND, "{method} {path} is served");
                assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path} is served");
            }
        }
    }
    assert_eq!(
        checked, 31,
        "logout, me, usage, ice, turn, and everything of sessions, devices, invites, vault, files and operator"
    );
}

#[tokio::test]
async fn a_draining_relay_is_alive_and_not_ready() {
    let world = World::new();
    let get = |path: &'static str| world.call(Method::GET, path, None, None);
    assert_eq!(get("/api/v1/ready").await.ok(200)["status"], "ready");
    *world.diary.draining.lock().unwrap() = Some("the relay is draining".to_owned());
    let answer = get("/api/v1/ready").await;
    answer.refused_as(503, "unavailable");
    assert_eq!(answer.headers["retry-after"], "5");
    get("/api/v1/health").await.ok(200);
}

#[tokio::test]
async fn answers_are_neither_cached_nor_sniffed() {
    let world = World::new();
    let answer = world.post("/api/v1/auth/register", registration("anna")).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere_and_runs_nothing_inline() {
    let world = World::new();
    let get = |path: String| async move { World::new().call(Method::GET, &path, None, None).await };
    let page = world.call(Method::GET, "/api/docs", None, None).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    assert!(!page.text.contains("http://") && !page.text.contains("https://"));
    let links: Vec<&str> = page.text.split(['"', '\'']).filter(|part| part.starts_with("/api/")).collect();
    assert_eq!(links, ["/api/docs/docs.css", "/api/docs/docs.js", "/api/v1/openapi.json"]);
    for link in links {
        assert_eq!(get(link.to_owned()).await.status, StatusCode::OK, "{link}");
    }
    assert!(!page.text.contains("onclick") && !page.text.contains("<style"));
    assert!(page.text.matches("<script").count() == 1, "one script, by reference");
}

/// A store whose disk is full, or broken, for everything that writes.
#[tokio::test]
async fn a_full_disk_refuses_writes_and_serves_reads() {
    use crate::memory::MemoryTable;
    use crate::store::table::{Reader, Row, Table, Writes};
    use crate::store::{Embedded, StoreError};
    use std::sync::atomic::AtomicBool;

    struct FillsUp(MemoryTable, Arc<AtomicBool>);
    impl Reader for FillsUp {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.0.get(key)
        }
        fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError> {
            self.0.scan(prefix, after, limit)
        }
    }
    impl Table for FillsUp {
        fn apply(&self, writes: &Writes) -> Result<(), StoreError> {
            if self.1.load(Ordering::SeqCst) { Err(StoreError::Full) } else { self.0.apply(writes) }
        }
    }

    let full = Arc::new(AtomicBool::new(false));
    let mut world = World::new();
    let store = Embedded::open(FillsUp(MemoryTable::default(), full.clone()));
    let mut config = world.signaling.config().clone();
    config.password_cost = PasswordCost::CHEAPEST;
    let keys = TokenKeys::from_seed(&Zeroizing::new([7; 32]));
    let now = Arc::new(|| UnixMillis(1_700_000_000_000));
    world.signaling = Signaling::new(config, Arc::new(store), keys, now, world.diary.clone());
    world.router = crate::router(world.signaling.clone(), Arc::new(Echo), None);

    let anna = world.register("anna").await;
    full.store(true, Ordering::SeqCst);
    world.post("/api/v1/auth/register", registration("bert")).await.refused_as(507, "storage_full");
    world.refresh(&anna.refresh).await.refused_as(507, "storage_full");
    assert!(world.counts(&anna).await, "what is there can be read");
    full.store(false, Ordering::SeqCst);
    world.register("bert").await;
    world.refresh(&anna.refresh).await.ok(200);
}
