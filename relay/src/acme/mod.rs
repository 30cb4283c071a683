//! Certificates from an authority by ACME (RFC 8555): `domain` is enough.
//!
//! ```text
//! no certificate for the domain, or a third of its life is left
//!   -> order: account, authorisation, proof over HTTP on port 80, certificate
//!   -> acme.pem in the data folder -> served from the next handshake on; connections that stand stay
//! ```
//! Until the first certificate is there the relay shows its own. The account with the authority is in
//! `acme-account.json`; losing it costs nothing, a new one is made.

mod http;
mod life;
mod order;

use crate::clock;
use crate::config::AcmeConfig;
use crate::folder::{DataFolder, FolderError};
use crate::metrics::{CERTIFICATE_EXPIRES, CERTIFICATE_ORDERS};
use crate::sockets::ListenError;
use crate::tls::Identity;
use life::Life;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Chain and key in one file, so that they are always of one order.
pub const CERTIFICATE_FILE: &str = "acme.pem";

const ACCOUNT_FILE: &str = "acme-account.json";

/// After an order that failed. Authorities count failures by the hour (Let's Encrypt allows 5).
const AFTER_A_FAILURE: Duration = Duration::from_secs(20 * 60);

/// The longest sleep: a machine that was asleep, or whose clock was set, looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// An order takes seconds; an authority that is silent is asked again later.
const ORDER_PATIENCE: Duration = Duration::from_secs(300);

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcmeError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The file of roots that the authority's own certificate is held against.
    #[error("cannot read authorities from {} (acme.root): {reason}", path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// This machine's authorities, or TLS itself.
    #[error("TLS towards the authority: {0}")]
    Tls(#[from] rustls::Error),
    /// The port of the proof.
    #[error("{0}; the authority looks there for the proof (acme.http)")]
    Listen(#[from] ListenError),
    /// The port of the proof, handed to the runtime.
    #[error("cannot listen for the authority: {0}")]
    Socket(#[from] std::io::Error),
    /// The authority refuses, or cannot be reached.
    #[error("the authority: {0}")]
    Authority(#[from] instant_acme::Error),
    /// It looked for the proof and did not find it.
    #[error(
        "the authority did not find this relay at http://{domain}/: the name has to lead to this machine, and port 80 to `acme.http` ({why})"
    )]
    NotFound {
        /// The name.
        domain: String,
        /// The authority's words.
        why: String,
    },
    /// It offers other ways to prove it.
    #[error("the authority does not take a proof over HTTP")]
    NoHttp,
    /// It is silent.
    #[error("the authority did not finish the order in {} s", ORDER_PATIENCE.as_secs())]
    Silent,
}

/// Sees to it that the relay has a certificate, for ever.
pub(crate) async fn keep(config: AcmeConfig, folder: Arc<DataFolder>, identity: Arc<Identity>) {
    loop {
        let life = identity.of_the_authority().and_then(|certificate| Life::of(&certificate));
        if let Some(life) = &life {
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are below 2^53")]
            metrics::gauge!(CERTIFICATE_EXPIRES).set(life.ends as f64);
        }
        let wait = life.map_or(Duration::ZERO, |life| life.renew_in(&config.domain, clock::now()));
        if !wait.is_zero() {
            tokio::time::sleep(wait.min(LOOK_AGAIN)).await;
            continue;
        }
        let ordered = tokio::time::timeout(ORDER_PATIENCE, order::order(&config, &folder)).await;
        let outcome = match ordered.unwrap_or(Err(AcmeError::Silent)) {
            Ok(pem) => folder.write(CERTIFICATE_FILE, pem.as_bytes()).map_err(AcmeError::from),
            Err(error) => Err(error),
        };
        match outcome.map(|()| identity.reload()) {
            Ok(Ok(_)) => {
                metrics::counter!(CERTIFICATE_ORDERS, "outcome" => "ok").increment(1);
                tracing::info!(domain = config.domain, fingerprint = %identity.fingerprint(), "a new certificate is served");
            }
            Ok(Err(error)) => failed(&error).await,
            Err(error) => failed(&error).await,
        }
    }
}

async fn failed(error: &(dyn std::error::Error + Sync)) {
    metrics::counter!(CERTIFICATE_ORDERS, "outcome" => "failed").increment(1);
    tracing::warn!(%error, again_in = ?AFTER_A_FAILURE, "no new certificate; the one before goes on being served");
    tokio::time::sleep(AFTER_A_FAILURE).await;
}
