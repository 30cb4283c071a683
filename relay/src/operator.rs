//! The operator's own commands: whoever can read the data folder may give them.
//!
//! While the relay runs, its folder is locked, so a command asks it over loopback, with the key that lies in
//! the folder. While it is stopped, the command opens the folder itself.

use crate::api::{Accounts, signaling_config};
use crate::clock;
use crate::config::Config;
use crate::folder::{DataFolder, FolderError};
use crate::ready::ReadyFile;
use crate::tls::Identity;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use serde::{Deserialize, Serialize};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, SessionId};
use sotto_signaling::Signaling;
use sotto_signaling::hooks::{Admit, AdmitRefused, Hooks, Readiness};
use sotto_signaling::tokens::TokenKeys;
use sotto_signaling_core::invite::InviteWish;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The file that holds the key.
pub const KEY_FILE: &str = "operator.key";

const INVITES: &str = "/operator/invites";

/// How long a running relay may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer that are read at most.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// What an operator asks for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InviteRequest {
    uses: u32,
    expires_in: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct InviteAnswer {
    link: String,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The accounts.
    #[error(transparent)]
    Accounts(#[from] crate::accounts::AccountsError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] crate::tls::TlsError),
    /// The request is not good.
    #[error("{0}")]
    Refused(String),
    /// A relay runs, but it serves no plain HTTP.
    #[error(
        "the relay that uses {0} serves no plain HTTP (`http = \"off\"`); stop it first, or turn `http` on"
    )]
    NoHttp(String),
    /// The running relay does not answer as it should.
    #[error("the running relay at {address} did not answer: {reason}")]
    NoAnswer {
        /// Where it says it is.
        address: SocketAddr,
        /// What happened.
        reason: String,
    },
}

#[derive(Clone)]
struct Door {
    signaling: Signaling,
    key: [u8; 32],
}

/// The operator's door in a running relay. For the loopback listener only.
pub(crate) fn router(signaling: Signaling, key: [u8; 32]) -> Router {
    Router::new().route(INVITES, post(make_invite)).with_state(Door { signaling, key })
}

async fn make_invite(
    State(door): State<Door>,
    headers: HeaderMap,
    Json(wish): Json<InviteRequest>,
) -> Result<Json<InviteAnswer>, (StatusCode, String)> {
    let shown = headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes).unwrap_or_default();
    if !bool::from(shown.ct_eq(bearer(&door.key).as_bytes())) {
        let text = format!("the operator's key is needed; it is in the data folder ({KEY_FILE})");
        return Err((StatusCode::UNAUTHORIZED, text));
    }
    let made = door.signaling.make_operator_invite(wish.into()).await;
    let made = made.map_err(|problem| (problem.code.status(), problem.detail))?;
    Ok(Json(InviteAnswer { link: made.link.to_string() }))
}

fn bearer(key: &[u8; 32]) -> String {
    format!("Bearer {}", data_encoding::HEXLOWER.encode(key))
}

impl From<InviteRequest> for InviteWish {
    fn from(request: InviteRequest) -> Self {
        Self { conversation: None, uses: Some(request.uses), expires_in: Some(request.expires_in) }
    }
}

/// Makes an invite to register, through the running relay or in the folder of a stopped one. The link.
///
/// # Errors
/// See [`OperatorError`].
pub async fn create_invite(config: &Config, uses: u32, days: u64) -> Result<String, OperatorError> {
    let wish = InviteRequest { uses, expires_in: days.saturating_mul(24 * 3600) };
    match DataFolder::open(&config.data_dir) {
        Ok(folder) => create_in_folder(config, &folder, wish).await,
        Err(FolderError::InUse { path }) => {
            let ready = ReadyFile::read(&path);
            let Some(address) = ready.and_then(|ready| ready.http) else {
                return Err(OperatorError::NoHttp(path.display().to_string()));
            };
            let key_path = path.join(KEY_FILE);
            let key = std::fs::read_to_string(&key_path)
                .map_err(|source| FolderError::Io { path: key_path, source })?;
            let asked = tokio::time::timeout(PATIENCE, ask(address, key.trim(), wish)).await;
            asked.unwrap_or_else(|_| {
                Err(OperatorError::NoAnswer { address, reason: "no answer in 10 s".to_owned() })
            })
        }
        Err(error) => Err(error.into()),
    }
}

async fn create_in_folder(
    config: &Config,
    folder: &DataFolder,
    wish: InviteRequest,
) -> Result<String, OperatorError> {
    let identity =
        Identity::load(folder, config.certificate.as_ref(), crate::relay::certificate_names(config))?;
    let link = crate::relay::link(config, config.listen.port(), &identity);
    let (table, _) = crate::relay::open_accounts(config, folder)?;
    // Nothing is signed while an invite is made: any key will do.
    let keys = TokenKeys::from_seed(&Zeroizing::new([0; 32]));
    let store = Arc::new(Accounts::open(table));
    let signaling =
        Signaling::new(signaling_config(config, link), store, keys, Arc::new(clock::now), Arc::new(Stopped));
    let made = signaling.make_operator_invite(wish.into()).await;
    made.map(|made| made.link.to_string()).map_err(|problem| OperatorError::Refused(problem.detail))
}

/// One small HTTP request over loopback.
async fn ask(address: SocketAddr, key: &str, wish: InviteRequest) -> Result<String, OperatorError> {
    let failed =
        |reason: &dyn std::fmt::Display| OperatorError::NoAnswer { address, reason: reason.to_string() };
    let stream = tokio::net::TcpStream::connect(address).await.map_err(|error| failed(&error))?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(io).await.map_err(|error| failed(&error))?;
    tokio::spawn(connection);
    let body = serde_json::to_vec(&wish).expect("two numbers are JSON");
    let request = Request::post(INVITES)
        .header(HOST, address.to_string())
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, format!("Bearer {key}"))
        .body(Full::new(bytes::Bytes::from(body)))
        .map_err(|error| failed(&error))?;
    let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
    let body = body.collect().await.map_err(|error| failed(&error))?.to_bytes();
    if !status.is_success() {
        return Err(OperatorError::Refused(String::from_utf8_lossy(&body).into_owned()));
    }
    let answer: InviteAnswer = serde_json::from_slice(&body).map_err(|error| failed(&error))?;
    Ok(answer.link)
}

/// A relay that does not run: nobody is connected, no conversation is open.
struct Stopped;

impl Hooks for Stopped {
    fn session_ended(&self, _: AccountId, _: SessionId) {}
    fn device_removed(&self, _: AccountId, _: DeviceId) {}
    fn key_packages_low(&self, _: AccountId, _: DeviceId, _: u32) {}

    fn may_invite(&self, _: AccountId, _: ConversationId) -> futures_util::future::BoxFuture<'_, bool> {
        Box::pin(std::future::ready(false))
    }

    fn admit(&self, _: Admit) -> futures_util::future::BoxFuture<'_, Result<(), AdmitRefused>> {
        Box::pin(std::future::ready(Err(AdmitRefused::Unavailable)))
    }

    fn readiness(&self) -> Readiness {
        Readiness::NotReady("the relay is stopped".to_owned())
    }
}
