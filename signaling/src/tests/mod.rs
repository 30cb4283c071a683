//! The API as its callers see it: a router over the store in memory, a clock that stands still until a test
//! moves it, and a relay that writes down what it is told.

mod accounts;
mod browsers;
mod devices;
mod directory;
mod ice;
mod invites;
mod operator;
mod problems;
mod rates;
mod sessions;
mod vault;
mod websocket;

use crate::config::{Config, Rates};
use crate::gateway::{Gateway, GatewayConnection};
use crate::hooks::{
    Admit, AdmitRefused, Figures, Hooks, IceServer, NotRouted, Readiness, Room, RoomPage, ServeRouted, Usage,
    WebTransport,
};
use crate::service::Signaling;
use crate::tokens::TokenKeys;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, SinkExt, StreamExt};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, SessionId, UnixMillis};
use sotto_signaling_core::account::RegistrationPolicy;
use sotto_signaling_core::password::PasswordCost;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tower::ServiceExt;
use zeroize::Zeroizing;

/// A conversation that nobody may invite to.
const FORBIDDEN: ConversationId = ConversationId([0xff; 16]);

/// What the relay was told.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    SessionEnded(AccountId, SessionId),
    DeviceRemoved(AccountId, DeviceId),
    Low(DeviceId, u32),
    Admit(Admit),
}

#[derive(Default)]
struct Diary {
    told: Mutex<Vec<Told>>,
    draining: Mutex<Option<String>>,
    refuses: Mutex<Option<AdmitRefused>>,
}

impl Diary {
    fn write(&self, told: Told) {
        self.told.lock().unwrap().push(told);
    }
}

impl Hooks for Diary {
    fn session_ended(&self, account: AccountId, session: SessionId) {
        self.write(Told::SessionEnded(account, session));
    }

    fn device_removed(&self, account: AccountId, device: DeviceId) {
        self.write(Told::DeviceRemoved(account, device));
    }

    fn key_packages_low(&self, _: AccountId, device: DeviceId, left: u32) {
        self.write(Told::Low(device, left));
    }

    fn may_invite(&self, _: AccountId, conversation: ConversationId) -> BoxFuture<'_, bool> {
        std::future::ready(conversation != FORBIDDEN).boxed()
    }

    fn admit(&self, admit: Admit) -> BoxFuture<'_, Result<(), AdmitRefused>> {
        let refused = *self.refuses.lock().unwrap();
        if refused.is_none() {
            self.write(Told::Admit(admit));
        }
        std::future::ready(refused.map_or(Ok(()), Err)).boxed()
    }

    fn usage(&self, account: AccountId) -> BoxFuture<'_, Option<Usage>> {
        let used_bytes = u64::from(account.0[0]);
        std::future::ready(Some(Usage { used_bytes, limit_bytes: Some(1_000) })).boxed()
    }

    fn figures(&self) -> BoxFuture<'_, Option<Figures>> {
        let uptime = std::time::Duration::from_secs(60);
        std::future::ready(Some(Figures { connections: 3, uptime, ..Figures::default() })).boxed()
    }

    fn rooms(&self, from: usize) -> BoxFuture<'_, RoomPage> {
        let garden = Room {
            conversation: ConversationId([1; 16]),
            name: Some("garden".to_owned()),
            members: 2,
            entries: 9,
        };
        std::future::ready(RoomPage { rooms: vec![garden], next: Some(from + 500) }).boxed()
    }

    fn webtransport(&self) -> Option<WebTransport> {
        Some(WebTransport { port: 4433, certificate_hashes: vec![[7; 32]] })
    }

    fn ice(&self, account: AccountId, session: SessionId, from: IpAddr) -> Option<IceServer> {
        (!from.is_loopback()).then(|| IceServer {
            urls: vec!["turn:relay.example:3478?transport=udp".to_owned()],
            username: format!("{account}.{session}"),
            credential: Zeroizing::new("secret".to_owned()),
            lifetime: std::time::Duration::from_secs(60),
        })
    }

    fn route_turn(&self, _: AccountId, _: SessionId) -> Result<ServeRouted, NotRouted> {
        Ok(Box::new(|connection| Echo.serve(connection)))
    }

    fn readiness(&self) -> Readiness {
        self.draining.lock().unwrap().clone().map_or(Readiness::Ready, Readiness::NotReady)
    }
}

/// Sends back whatever comes, until something comes that is not frames.
struct Echo;

impl Gateway for Echo {
    fn serve(&self, mut connection: GatewayConnection) -> BoxFuture<'static, ()> {
        async move {
            while let Some(Ok(bytes)) = connection.incoming.next().await {
                if connection.outgoing.send(bytes).await.is_err() {
                    break;
                }
            }
            let _gone = connection.outgoing.close().await;
        }
        .boxed()
    }
}

struct World {
    signaling: Signaling,
    router: Router,
    diary: Arc<Diary>,
    clock: Arc<AtomicU64>,
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// Status and code of a refusal, after checking that it is one in every respect.
    fn refusal(&self) -> (u16, String) {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status.as_u16());
        assert_eq!(json["trace"], self.headers["x-trace-id"].to_str().unwrap());
        for text in ["type", "title", "detail", "code"] {
            assert!(json[text].as_str().is_some_and(|text| !text.is_empty()), "{text} of {self:?}");
        }
        (self.status.as_u16(), json["code"].as_str().unwrap().to_owned())
    }

    #[track_caller]
    fn refused_as(&self, status: u16, code: &str) {
        assert_eq!(self.refusal(), (status, code.to_owned()), "{}", self.text);
    }

    #[track_caller]
    fn ok(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// Status and JSON without what differs for each request.
    fn shape(&self) -> (StatusCode, Value) {
        let mut json = self.json();
        json["trace"] = Value::Null;
        (self.status, json)
    }
}

/// Somebody who registered.
#[derive(Clone)]
struct Person {
    id: AccountId,
    access: String,
    refresh: String,
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new("relay.example".parse().unwrap());
        config.registration.policy = RegistrationPolicy::Open;
        config.password_cost = PasswordCost::CHEAPEST;
        config.rates = Rates::NONE;
        change(&mut config);
        let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
        let diary = Arc::new(Diary::default());
        let read = clock.clone();
        let signaling = Signaling::new(
            config,
            Arc::new(crate::memory::store()),
            TokenKeys::from_seed(&Zeroizing::new([7; 32])),
            Arc::new(move || UnixMillis(read.load(Ordering::SeqCst))),
            diary.clone(),
        );
        let router = crate::router(signaling.clone(), Arc::new(Echo), None);
        Self { signaling, router, diary, clock }
    }

    fn wait(&self, seconds: u64) {
        self.clock.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    /// What the relay was told since this was asked last.
    fn told(&self) -> Vec<Told> {
        std::mem::take(&mut *self.diary.told.lock().unwrap())
    }

    async fn send(&self, mut request: Request<Body>) -> Answer {
        let peer = ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 1)));
        if request.extensions().get::<ConnectInfo<SocketAddr>>().is_none() {
            request.extensions_mut().insert(peer);
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    async fn call(&self, method: Method, path: &str, token: Option<&str>, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = match body {
            Some(json) => {
                request = request.header("content-type", "application/json");
                Body::from(json.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, None, Some(body)).await
    }

    async fn post_as(&self, who: &Person, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(&who.access), Some(body)).await
    }

    async fn get_as(&self, who: &Person, path: &str) -> Answer {
        self.call(Method::GET, path, Some(&who.access), None).await
    }

    async fn delete_as(&self, who: &Person, path: &str) -> Answer {
        self.call(Method::DELETE, path, Some(&who.access), None).await
    }

    async fn register(&self, name: &str) -> Person {
        person(&self.post("/api/v1/auth/register", registration(name)).await.ok(201))
    }

    async fn login(&self, name: &str) -> Person {
        let body = json!({ "email": name, "password": "correct horse" });
        person(&self.post("/api/v1/auth/login", body).await.ok(200))
    }

    async fn refresh(&self, token: &str) -> Answer {
        self.post("/api/v1/auth/refresh", json!({ "refresh_token": token })).await
    }

    /// Whether the access token still counts.
    async fn counts(&self, who: &Person) -> bool {
        self.get_as(who, "/api/v1/auth/me").await.status == StatusCode::OK
    }
}

fn registration(name: &str) -> Value {
    json!({ "email": format!("{name}@example.org"), "username": name, "password": "correct horse" })
}

fn person(json: &Value) -> Person {
    Person {
        id: json["user"]["id"].as_str().unwrap().parse().unwrap(),
        access: json["tokens"]["access_token"].as_str().unwrap().to_owned(),
        refresh: json["tokens"]["refresh_token"].as_str().unwrap().to_owned(),
    }
}
