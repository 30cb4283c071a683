//! A relay in this process, and people who register with it.

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::SigningKey;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use sotto_mls::certificate::DeviceCertificate;
use sotto_mls::test_group::TestDevice;
use sotto_protocol::ids::{AccountId, DeviceId, UnixMillis};
use sotto_relay::config::Config;
use sotto_relay::{Relay, RelayHandle};
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;

pub(crate) struct TestRelay {
    pub(crate) relay: RelayHandle,
    /// Removed when the test is over.
    pub(crate) home: TempDir,
}

/// Any free ports, and no rate limits: all of a test comes from one address.
pub(crate) fn config(folder: &Path) -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        http: Some("127.0.0.1:0".parse().unwrap()),
        rates: false,
        ..Config::in_folder(folder)
    }
}

impl TestRelay {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut config = config(home.path());
        change(&mut config);
        Self { relay: Relay::start(config).await.unwrap(), home }
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.relay.addresses().http.unwrap()
    }

    /// Registers an account with its first device.
    pub(crate) async fn person(&self, name: &str) -> Person {
        let (status, answer) = self.post("/api/v1/auth/register", None, registration(name)).await;
        assert_eq!(status, 201, "{answer}");
        let account: AccountId = answer["user"]["id"].as_str().unwrap().parse().unwrap();
        let token = answer["tokens"]["access_token"].as_str().unwrap().to_owned();
        let refresh = answer["tokens"]["refresh_token"].as_str().unwrap().to_owned();
        let person = Person { name: name.to_owned(), account, token, refresh, device: device(account, 1) };
        self.register_device(&person.token, &person.device).await;
        person
    }

    pub(crate) async fn register_device(&self, token: &str, device: &TestDevice) {
        let body = json!({
            "device_id": device.certificate.device().to_string(),
            "name": "test device",
            "certificate": BASE64URL_NOPAD.encode(&device.certificate.to_bytes()),
        });
        let (status, answer) = self.post("/api/v1/devices", Some(token), body).await;
        assert_eq!(status, 201, "{answer}");
    }

    pub(crate) async fn post(&self, path: &str, token: Option<&str>, body: Value) -> (u16, Value) {
        ask(self.http(), "POST", path, token, Some(body)).await
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> (u16, Value) {
        ask(self.http(), "GET", path, token, None).await
    }
}

pub(crate) fn registration(name: &str) -> Value {
    json!({ "email": format!("{name}@example.org"), "username": name, "password": "correct horse battery" })
}

pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) account: AccountId,
    pub(crate) token: String,
    pub(crate) refresh: String,
    pub(crate) device: TestDevice,
}

/// A device of an account, with keys from its number; the account's identity key comes from its id.
pub(crate) fn device(account: AccountId, number: u8) -> TestDevice {
    let mut device = TestDevice::new(1, number);
    let identity = SigningKey::from_bytes(&[account.0[0]; 32]);
    let mut id = account.0;
    id[15] = number;
    let key = *device.certificate.device_key();
    device.certificate = DeviceCertificate::issue(&identity, account, DeviceId(id), key, UnixMillis(1));
    device
}

/// One HTTP request. What is no JSON is answered as a string.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> (u16, Value) {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let extra: Vec<_> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    let (status, _, text) = answer(address, method, path, &extra, body).await;
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// One HTTP request with headers of the test's own; its answer as it came.
pub(crate) async fn answer(
    address: SocketAddr,
    method: &str,
    path: &str,
    extra: &[(&str, &str)],
    body: Option<Value>,
) -> (u16, HeaderMap, String) {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    for (name, value) in extra {
        request = request.header(*name, *value);
    }
    if !extra.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost");
    }
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let answer = sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let headers = answer.headers().clone();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, headers, String::from_utf8_lossy(&bytes).into_owned())
}
