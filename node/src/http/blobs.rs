//! Chunks of files to and from the relay: many requests, so connections are kept and used again.

use super::{HttpError, Https, connect_tls};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use sotto_node_core::account::api::read;
use sotto_node_core::account::{Answer, Malformed};
use sotto_protocol::blob::{BlobPlace, BlobSize, ChunkList, Present};
use sotto_protocol::limits::BLOB_LIST_BYTES_MAX;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The largest answer: a chunk list.
const ANSWER_BYTES_MAX: usize = 64 * 1024 + BLOB_LIST_BYTES_MAX;

/// How long one request may take: 1 MiB at 70 kbit/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// How an upload stands at the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The members can read it.
    pub(crate) is_whole: bool,
    /// Which chunks are there.
    pub(crate) present: Present,
}

/// What the account may keep there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Limits {
    pub(crate) largest_bytes: u64,
    pub(crate) used_bytes: u64,
    pub(crate) limit_bytes: Option<u64>,
}

/// The files of one relay. A few connections, each for one request at a time.
pub(crate) struct BlobApi {
    https: Https,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl BlobApi {
    pub(crate) fn new(https: Https) -> Self {
        Self { https, idle: Mutex::default() }
    }

    pub(crate) async fn limits(&self, access: &str) -> Result<Limits, HttpError> {
        Ok(read(&self.ask("GET", String::new(), access, Bytes::new()).await?)?)
    }

    pub(crate) async fn begin(
        &self,
        access: &str,
        place: BlobPlace,
        list: &ChunkList,
    ) -> Result<Standing, HttpError> {
        let path = format!("{}?size={}", path(place), list.size().bytes());
        standing(list.size(), &self.ask("PUT", path, access, list.to_bytes().into()).await?)
    }

    pub(crate) async fn put(
        &self,
        access: &str,
        place: BlobPlace,
        chunk: u32,
        bytes: Bytes,
    ) -> Result<(), HttpError> {
        self.ask("PUT", format!("{}/chunks/{chunk}", path(place)), access, bytes).await.map(drop)
    }

    pub(crate) async fn complete(
        &self,
        access: &str,
        place: BlobPlace,
        size: BlobSize,
    ) -> Result<Standing, HttpError> {
        standing(size, &self.ask("POST", format!("{}/complete", path(place)), access, Bytes::new()).await?)
    }

    pub(crate) async fn list(&self, access: &str, place: BlobPlace) -> Result<Vec<u8>, HttpError> {
        self.ask("GET", format!("{}/list", path(place)), access, Bytes::new()).await
    }

    pub(crate) async fn chunk(
        &self,
        access: &str,
        place: BlobPlace,
        chunk: u32,
    ) -> Result<Vec<u8>, HttpError> {
        self.ask("GET", format!("{}/chunks/{chunk}", path(place)), access, Bytes::new()).await
    }

    /// One request. Every one of them may be repeated, so a connection that ended while nobody used it is no failure.
    async fn ask(
        &self,
        method: &'static str,
        path: String,
        access: &str,
        body: Bytes,
    ) -> Result<Vec<u8>, HttpError> {
        let request = || {
            Request::builder()
                .method(method)
                .uri(format!("/api/v1/blobs{path}"))
                .header(header::HOST, self.https.relay.to_string())
                .header(header::USER_AGENT, concat!("sotto/", env!("CARGO_PKG_VERSION")))
                .header(header::AUTHORIZATION, format!("Bearer {access}"))
                .body(Full::new(body.clone()))
                .map_err(|error| HttpError::from(Malformed(error.to_string())))
        };
        let asked = async {
            while let Some(kept) = self.kept() {
                if let Ok(answer) = self.over(kept, request()?).await {
                    return answer.good().map_err(HttpError::from);
                }
            }
            Ok(self.over(self.connect().await?, request()?).await?.good()?)
        };
        tokio::time::timeout(REQUEST_TIMEOUT, asked).await.unwrap_or_else(|_| {
            Err(self.unreachable(format!("no answer within {} s", REQUEST_TIMEOUT.as_secs())))
        })
    }

    async fn over(
        &self,
        mut sender: SendRequest<Full<Bytes>>,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, HttpError> {
        let lost = |error: hyper::Error| self.unreachable(error.to_string());
        sender.ready().await.map_err(lost)?;
        let (head, body) = sender.send_request(request).await.map_err(lost)?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| self.unreachable(error.to_string()))?
            .to_bytes();
        let retry_after = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        // After a refusal the relay may not have read all that was sent to it.
        if head.status < StatusCode::BAD_REQUEST {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        }
        Ok(Answer { status: head.status.as_u16(), retry_after, body: body.into() })
    }

    fn kept(&self) -> Option<SendRequest<Full<Bytes>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, HttpError> {
        let stream = connect_tls(&self.https.relay, &self.https.trust, &[b"http/1.1"]).await?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| self.unreachable(error.to_string()))?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn unreachable(&self, what: String) -> HttpError {
        HttpError::Unreachable { relay: self.https.relay.to_string(), what }
    }
}

fn path(place: BlobPlace) -> String {
    format!("/{}/{}", place.conversation, place.root)
}

/// What the relay says of an upload.
fn standing(size: BlobSize, bytes: &[u8]) -> Result<Standing, HttpError> {
    #[derive(Deserialize)]
    struct Body {
        complete: bool,
        present: String,
    }
    let body: Body = read(bytes)?;
    let present = data_encoding::BASE64.decode(body.present.as_bytes()).ok();
    let present = present.and_then(|bits| Present::read(size, bits));
    let present =
        present.ok_or_else(|| Malformed("it names chunks that the file does not have".to_owned()))?;
    Ok(Standing { is_whole: body.complete, present })
}
