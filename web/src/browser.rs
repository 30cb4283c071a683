//! The glue to JavaScript: a worker gives what a browser has (`Worker` in `web/ui/src/engine/host.ts`), and is given the engine.

use crate::engine::host::{BrowserStore, FetchError, Host, Link};
use crate::engine::{Engine, RequestId};
use crate::store::memory::MemoryFile;
use crate::store::{Medium, OpenError, TreeStore};
use core::time::Duration;
use js_sys::{Promise, Reflect, Uint8Array};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use send_wrapper::SendWrapper;
use serde_json::Value;
use sotto_node_core::account::api::ANSWER_BYTES_MAX;
use sotto_node_core::account::{AccountApi, Answer, Exchange, Malformed, Problem, Request};
use sotto_node_core::sealed::{Flat, StoreKey};
use sotto_protocol::ids::UnixMillis;
use sotto_protocol::invite::RelayAddress;
use std::io;
use std::pin::Pin;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};
use zeroize::Zeroizing;

#[wasm_bindgen]
extern "C" {
    /// What a worker of a browser has.
    #[derive(Clone)]
    pub type JsHost;
    #[wasm_bindgen(method)]
    fn emit(this: &JsHost, event: &str);
    #[wasm_bindgen(method, js_name = wakeIn)]
    fn wake_in(this: &JsHost, ms: f64);
    #[wasm_bindgen(method, catch)]
    async fn fetch(
        this: &JsHost,
        method: &str,
        path: &str,
        access: Option<String>,
        body: Option<Vec<u8>>,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn dial(this: &JsHost) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter, js_name = relayHost)]
    fn relay_host(this: &JsHost) -> String;
    #[wasm_bindgen(method, getter, js_name = relayPort)]
    fn relay_port(this: &JsHost) -> u16;
    #[wasm_bindgen(method, getter, js_name = deviceName)]
    fn device_name(this: &JsHost) -> String;

    /// What came back over HTTP.
    type JsAnswer;
    #[wasm_bindgen(method, getter)]
    fn status(this: &JsAnswer) -> u16;
    #[wasm_bindgen(method, getter, js_name = retryAfter)]
    fn retry_after(this: &JsAnswer) -> Option<f64>;
    #[wasm_bindgen(method, getter)]
    fn body(this: &JsAnswer) -> Uint8Array;

    /// A connection.
    type JsLink;
    #[wasm_bindgen(method, getter)]
    fn carrier(this: &JsLink) -> String;
    #[wasm_bindgen(method)]
    fn send(this: &JsLink, bytes: &[u8]);
    #[wasm_bindgen(method, catch)]
    async fn receive(this: &JsLink) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method)]
    fn close(this: &JsLink);

    /// A private file that is read and written in place.
    #[derive(Clone)]
    pub type JsFile;
    #[wasm_bindgen(method, catch)]
    fn size(this: &JsFile) -> Result<f64, JsValue>;
    #[wasm_bindgen(method, catch, js_name = readAt)]
    fn read_at(this: &JsFile, into: &mut [u8], at: f64) -> Result<f64, JsValue>;
    #[wasm_bindgen(method, catch, js_name = writeAt)]
    fn write_at(this: &JsFile, bytes: &[u8], at: f64) -> Result<f64, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn resize(this: &JsFile, length: f64) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn flush(this: &JsFile) -> Result<(), JsValue>;

    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(text: &str);
}

/// A sentence of what was thrown.
fn sentence(thrown: &JsValue) -> String {
    let message = Reflect::get(thrown, &"message".into()).ok().and_then(|message| message.as_string());
    message.or_else(|| thrown.as_string()).unwrap_or_else(|| format!("{thrown:?}"))
}

fn io_error(thrown: &JsValue) -> io::Error {
    let name = Reflect::get(thrown, &"name".into()).ok().and_then(|name| name.as_string());
    let full = name.is_some_and(|name| name == "QuotaExceededError");
    let kind = if full { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
    io::Error::new(kind, sentence(thrown))
}

/// A private file. A worker has one thread, and the file never leaves it.
#[derive(Clone)]
struct PrivateFile(SendWrapper<JsFile>);

impl std::fmt::Debug for PrivateFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateFile")
    }
}

/// JavaScript counts in doubles, which are exact up to 2^53: eight pebibytes.
#[expect(clippy::cast_precision_loss, reason = "no browser stores eight pebibytes")]
const fn number(place: u64) -> f64 {
    place as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "lengths of files are whole numbers"
)]
const fn length(number: f64) -> u64 {
    number as u64
}

impl PrivateFile {
    fn whole(moved: f64, wanted: usize, short: io::ErrorKind) -> io::Result<()> {
        if length(moved) == wanted as u64 { Ok(()) } else { Err(short.into()) }
    }

    fn bytes(&self) -> io::Result<u64> {
        self.0.size().map(length).map_err(|thrown| io_error(&thrown))
    }

    fn get(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let got = self.0.read_at(into, number(at)).map_err(|thrown| io_error(&thrown))?;
        Self::whole(got, into.len(), io::ErrorKind::UnexpectedEof)
    }

    fn put(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let put = self.0.write_at(bytes, number(at)).map_err(|thrown| io_error(&thrown))?;
        Self::whole(put, bytes.len(), io::ErrorKind::StorageFull)
    }

    fn keep(&self) -> io::Result<()> {
        self.0.flush().map_err(|thrown| io_error(&thrown))
    }
}

impl redb::StorageBackend for PrivateFile {
    fn len(&self) -> io::Result<u64> {
        self.bytes()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.get(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.resize(number(len)).map_err(|thrown| io_error(&thrown))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.keep()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.put(offset, data)
    }
}

impl Flat for PrivateFile {
    fn len(&self) -> io::Result<u64> {
        self.bytes()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.get(at, into)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.put(at, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.keep()
    }
}

/// Where the store lies.
enum Place {
    Private { pages: PrivateFile, secrets: PrivateFile },
    Memory { pages: MemoryFile, secrets: MemoryFile },
}

/// A worker of a browser.
struct Browser {
    host: JsHost,
    place: Place,
    key: StoreKey,
}

impl Host for Browser {
    type Fetch = Fetch;
    type Link = JsLink;

    fn now(&self) -> UnixMillis {
        UnixMillis(length(js_sys::Date::now()))
    }

    fn open_store(&self) -> Result<BrowserStore, OpenError> {
        let medium = match &self.place {
            Place::Private { pages, secrets } => {
                Medium { pages: Box::new(pages.clone()), secrets: Box::new(secrets.clone()) }
            }
            Place::Memory { pages, secrets } => {
                Medium { pages: Box::new(pages.clone()), secrets: Box::new(secrets.clone()) }
            }
        };
        TreeStore::open(medium, &self.key, generator().map_err(OpenError::Failed)?)
    }

    fn keeps(&self) -> bool {
        matches!(self.place, Place::Private { .. })
    }

    fn api(&self) -> AccountApi<Fetch> {
        AccountApi(Fetch(self.host.clone()))
    }

    async fn dial(&self) -> Result<JsLink, String> {
        self.host.dial().await.map(JsCast::unchecked_into).map_err(|thrown| sentence(&thrown))
    }

    fn emit(&self, event: Value) {
        self.host.emit(&event.to_string());
    }

    fn wake_in(&self, ms: u64) {
        self.host.wake_in(number(ms));
    }

    fn spawn(&self, work: Pin<Box<dyn Future<Output = ()>>>) {
        spawn_local(work);
    }

    fn relay(&self) -> RelayAddress {
        RelayAddress { host: self.host.relay_host(), port: self.host.relay_port() }
    }

    fn device_name(&self) -> String {
        self.host.device_name()
    }
}

/// A generator of one's own, seeded by the browser.
fn generator() -> Result<ChaCha20Rng, String> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|error| format!("the browser gives no randomness: {error}"))?;
    Ok(ChaCha20Rng::from_seed(*seed))
}

/// The relay's HTTP API by way of the worker.
struct Fetch(JsHost);

impl Exchange for Fetch {
    type Error = FetchError;

    async fn exchange(&self, request: Request) -> Result<Answer, FetchError> {
        let Request { method, path, access, body } = request;
        let answer = self.0.fetch(method.name(), &path, access, body).await;
        let answer: JsAnswer =
            answer.map_err(|thrown| FetchError::Unreachable(sentence(&thrown)))?.unchecked_into();
        let body = answer.body();
        if body.length() as usize > ANSWER_BYTES_MAX {
            return Err(Malformed(format!("it has {} bytes", body.length())).into());
        }
        let retry_after = answer.retry_after().and_then(|wait| Duration::try_from_secs_f64(wait).ok());
        Ok(Answer { status: answer.status(), retry_after, body: body.to_vec() })
    }

    fn refusal(error: &FetchError) -> Option<&Problem> {
        error.refusal()
    }
}

impl Link for JsLink {
    fn carrier(&self) -> &'static str {
        if Self::carrier(self) == "webtransport" { "webtransport" } else { "websocket" }
    }

    fn send(&self, frames: &[u8]) {
        Self::send(self, frames);
    }

    async fn receive(&self) -> Result<Vec<u8>, String> {
        let bytes = Self::receive(self).await.map_err(|thrown| sentence(&thrown))?;
        Ok(Uint8Array::new(&bytes).to_vec())
    }

    fn close(&self) {
        Self::close(self);
    }
}

/// The engine, for a worker.
#[wasm_bindgen]
pub struct WebEngine(Engine<Browser>);

#[wasm_bindgen]
impl WebEngine {
    /// Goes on with what is in the files, sealed under `key`; without files, in memory.
    ///
    /// # Errors
    /// A sentence, if what is there does not open.
    #[wasm_bindgen(constructor)]
    pub fn new(
        host: JsHost,
        pages: Option<JsFile>,
        secrets: Option<JsFile>,
        key: &[u8],
    ) -> Result<Self, JsError> {
        std::panic::set_hook(Box::new(|panic| console_error(&panic.to_string())));
        let key: [u8; 32] = key.try_into().map_err(|_| JsError::new("a store's key has 32 bytes"))?;
        let file = |file| PrivateFile(SendWrapper::new(file));
        let place = match (pages, secrets) {
            (Some(pages), Some(secrets)) => Place::Private { pages: file(pages), secrets: file(secrets) },
            _ => Place::Memory { pages: MemoryFile::default(), secrets: MemoryFile::default() },
        };
        let browser = Browser { host, place, key: StoreKey::new(Zeroizing::new(key)) };
        let generator = generator().map_err(|error| JsError::new(&error))?;
        Engine::start(browser, generator).map(Self).map_err(|error| JsError::new(&error.to_string()))
    }

    /// Carries a call out: its arguments and its result are JSON, and so is what it fails with. `request`, 16 bytes, is the
    /// id of one that may come again.
    pub fn call(&self, method: String, args: String, request: Option<Vec<u8>>) -> Promise {
        let engine = self.0.clone();
        future_to_promise(async move {
            let request: Option<RequestId> = request.and_then(|id| id.try_into().ok());
            match engine.call(&method, &args, request).await {
                Ok(answer) => Ok(answer.to_string().into()),
                Err(error) => Err(error.to_json().to_string().into()),
            }
        })
    }

    /// The time that was asked for has come.
    pub fn wake(&self) {
        self.0.wake();
    }

    /// The browser is back on a network, or awake again.
    pub fn hurry(&self) {
        self.0.hurry();
    }

    /// Ends the engine's work; the files are free afterwards.
    pub fn close(&self) {
        self.0.close();
    }
}
