//! Try both, keep the faster.
//!
//! QUIC starts at once, the WebSocket a moment later, or at once when QUIC has failed or lost the race the
//! last time. The first that stands wins and the other is dropped before it has sent a frame. A wrong
//! fingerprint on either ends the race: whoever answers there is not the relay.

use super::{Carrier, Link, quic, websocket};
use crate::http::HttpError;
use crate::tls::{Trust, WrongFingerprint};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use sotto_protocol::invite::RelayAddress;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// QUIC's head start: a handshake over 150 ms of round trip still wins without a second connection.
pub(super) const HEAD_START: Duration = Duration::from_millis(300);

/// A second address of the same host is tried after this (RFC 8305 section 5 recommends 250 ms).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// One attempt ends after this.
pub(super) const ATTEMPT: Duration = Duration::from_secs(10);

/// When TCP has failed, UDP gets this much longer: a port that is closed says so over TCP and is silent over UDP.
const LAST_CHANCE: Duration = Duration::from_millis(1500);

/// Whom to dial and how.
#[derive(Clone)]
pub struct Target {
    /// The relay.
    pub relay: RelayAddress,
    /// Whom to trust.
    pub trust: Trust,
    /// The last time here the WebSocket won, so UDP may be blocked: give QUIC no head start.
    pub udp_doubtful: bool,
}

/// A connection, and what was learned on the way.
pub struct Dialled {
    /// The connection.
    pub link: Link,
    /// For the next [`Target`].
    pub udp_doubtful: bool,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// Somebody else answers there.
    #[error(transparent)]
    WrongFingerprint(#[from] WrongFingerprint),
    /// The certificate is not signed by an authority of this machine and the link has no fingerprint.
    #[error("{0}")]
    Untrusted(String),
    /// Nobody answers there.
    #[error("the relay {relay} cannot be reached (QUIC: {quic}; WebSocket: {websocket})")]
    Unreachable {
        /// The address.
        relay: String,
        /// Why not by QUIC.
        quic: String,
        /// Why not by WebSocket.
        websocket: String,
    },
}

/// Connects to a relay.
///
/// # Errors
/// See [`DialError`].
pub async fn dial(target: &Target) -> Result<Dialled, DialError> {
    let head_start = if target.udp_doubtful { Duration::ZERO } else { HEAD_START };
    let (quic_failed, mut hurry) = tokio::sync::oneshot::channel();
    let quic = async {
        let result = dial_quic(target).await;
        if result.is_err() {
            let _ = quic_failed.send(());
        }
        result
    };
    let websocket = async {
        tokio::select! {
            () = sleep(head_start) => {}
            Ok(()) = &mut hurry => {}
        }
        timeout(ATTEMPT, websocket::dial(&target.relay, &target.trust))
            .await
            .unwrap_or_else(|_| Err(websocket::Failed::Upgrade(silence())))
    };
    tokio::pin!(quic, websocket);
    let (mut quic_error, mut websocket_error) = (None, None);
    let last_chance = sleep(Duration::MAX);
    tokio::pin!(last_chance);
    loop {
        tokio::select! {
            result = &mut quic, if quic_error.is_none() => match result {
                Ok(link) => return Ok(Dialled { link, udp_doubtful: false }),
                Err(error) => quic_error = Some(error),
            },
            result = &mut websocket, if websocket_error.is_none() => match result {
                Ok(link) => return Ok(Dialled { link, udp_doubtful: true }),
                Err(websocket::Failed::Below(HttpError::WrongFingerprint(wrong))) => return Err(wrong.into()),
                Err(websocket::Failed::Below(error @ HttpError::Untrusted(_))) => {
                    return Err(DialError::Untrusted(error.to_string()));
                }
                Err(websocket::Failed::Below(HttpError::Unreachable { what, .. }) | websocket::Failed::Upgrade(what)) => {
                    websocket_error = Some(what);
                    last_chance.set(sleep(LAST_CHANCE));
                }
                Err(websocket::Failed::Below(other)) => websocket_error = Some(other.to_string()),
            },
            () = &mut last_chance => quic_error = Some("no answer".to_owned()),
        }
        if let Some(wrong) = target.trust.wrong_fingerprint() {
            return Err(wrong.into());
        }
        if let (Some(quic), Some(websocket)) = (&quic_error, &websocket_error) {
            return Err(DialError::Unreachable {
                relay: target.relay.to_string(),
                quic: quic.clone(),
                websocket: websocket.clone(),
            });
        }
    }
}

/// Connects by QUIC and nothing else; how long it took. Nothing is sent.
///
/// # Errors
/// One sentence on why there is no connection.
pub async fn quic_alone(target: &Target) -> Result<Duration, String> {
    let started = tokio::time::Instant::now();
    let link = timeout(ATTEMPT, dial_quic(target)).await.unwrap_or_else(|_| Err(silence()))?;
    let took = started.elapsed();
    link.sender.close().await;
    Ok(took)
}

fn silence() -> String {
    format!("no answer within {} s", ATTEMPT.as_secs())
}

/// Dials every address of the host, each a little after the one before.
async fn dial_quic(target: &Target) -> Result<Link, String> {
    let host = target.relay.host.as_str();
    let addresses: Vec<_> = tokio::net::lookup_host((host, target.relay.port))
        .await
        .map_err(|error| error.to_string())?
        .collect();
    let mut attempts: FuturesUnordered<_> = (0_u32..)
        .zip(addresses)
        .map(|(place, address)| async move {
            sleep(NEXT_ADDRESS.saturating_mul(place)).await;
            timeout(ATTEMPT, quic::dial(address, host, &target.trust))
                .await
                .unwrap_or_else(|_| Err(silence()))
        })
        .collect();
    let mut last = "the host has no address".to_owned();
    while let Some(result) = attempts.next().await {
        match result {
            Ok(link) => return Ok(link),
            Err(error) => last = error,
        }
        // The first refused certificate speaks for all addresses.
        if target.trust.wrong_fingerprint().is_some() {
            break;
        }
    }
    Err(last)
}

impl Dialled {
    /// What carries it.
    #[must_use]
    pub const fn carrier(&self) -> Carrier {
        self.link.carrier
    }
}
