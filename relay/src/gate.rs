//! The gate: which claims are let in, and what the directory answers. The decisions are signaling's; here they
//! meet the connection's frames.

use crate::accounts::SledTable;
use crate::session::handshake::{Claim, Refusal, code_of};
use bytes::Bytes;
use sotto_protocol::body::directory::{ClaimKeyPackages, LookUp, PublishKeyPackages};
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::frame::{self, Body, Frame, FrameError};
use sotto_protocol::ids::{AccountId, DeviceId, RequestId, SessionId};
use sotto_signaling::Signaling;
use sotto_signaling::problem::Problem;
use sotto_signaling::service::AuthenticateError;
use sotto_signaling::store::{Embedded, Sessions as _, StoreError};
use std::net::IpAddr;
use std::sync::Arc;

/// Who is on the other side, proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entrant {
    /// The account of the token.
    pub account: AccountId,
    /// The device that signed.
    pub device: DeviceId,
    /// The sign-in of the token.
    pub session: SessionId,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    signaling: Signaling,
    store: Arc<Embedded<SledTable>>,
}

impl Gate {
    /// In front of an account store.
    #[must_use]
    pub const fn new(signaling: Signaling, store: Arc<Embedded<SledTable>>) -> Self {
        Self { signaling, store }
    }

    /// Counts one new connection from an address.
    ///
    /// # Errors
    /// If there were too many.
    pub fn count(&self, from: IpAddr) -> Result<(), Refusal> {
        self.signaling.count_request(from).map_err(|problem| Refusal {
            error: problem.to_wire(),
            id: RequestId::PUSH,
            reason: "limit",
        })
    }

    /// Believes a claim whose token counts, whose device belongs to the token's account, and whose signature
    /// is by that device.
    ///
    /// # Errors
    /// If one of them does not hold.
    pub async fn admit(&self, claim: &Claim) -> Result<Entrant, Refusal> {
        let token = self.signaling.authenticate(&claim.access_token).await;
        let token = token.map_err(|error| token_refused(claim.id, &error))?;
        let device = self.store.device_now(token.account, claim.device);
        let device = device.map_err(|error| store_failed(claim.id, &error))?;
        // One answer for both: a stranger with a token learns nothing about which devices there are.
        let verified = device.is_some_and(|device| claim.verify(&device.device_key).is_ok());
        if !verified {
            let text = "this device is not registered with the account, or its signature does not verify";
            return Err(Refusal::new(claim.id, ErrorCode::DeviceRefused, text, "device"));
        }
        self.signaling.bind_session(token.session, claim.device).await.map_err(|problem| Refusal {
            error: problem.to_wire(),
            id: claim.id,
            reason: "token",
        })?;
        Ok(Entrant { account: token.account, device: claim.device, session: token.session })
    }

    /// Whether session and device still stand. Asked once more when a connection can be found and ended: what
    /// was revoked in between was told to nobody.
    pub async fn stands(&self, entrant: &Entrant) -> bool {
        let session = self.store.session(entrant.session).await;
        let device = self.store.device_now(entrant.account, entrant.device);
        matches!((session, device), (Ok(Some(_)), Ok(Some(_))))
    }

    /// Answers a frame of the directory.
    pub async fn directory(&self, entrant: &Entrant, frame: &Frame) -> Bytes {
        let id = frame.header.id;
        let kind = frame.header.kind;
        let answered = if kind == LookUp::KIND {
            match frame.decode() {
                Ok(body) => self.signaling.look_up(body).await.map(|card| frame::encode(id, &card)),
                Err(error) => return malformed(id, &error),
            }
        } else if kind == ClaimKeyPackages::KIND {
            match frame.decode() {
                Ok(body) => {
                    let claimed = self.signaling.claim_key_packages(entrant.account, body).await;
                    claimed.map(|packages| frame::encode(id, &packages))
                }
                Err(error) => return malformed(id, &error),
            }
        } else {
            match frame.decode::<PublishKeyPackages>() {
                Ok(body) => {
                    let stock =
                        self.signaling.publish_key_packages(entrant.account, entrant.device, body).await;
                    stock.map(|stock| frame::encode(id, &stock))
                }
                Err(error) => return malformed(id, &error),
            }
        };
        answered.unwrap_or_else(|problem: Problem| frame::encode(id, &problem.to_wire()))
    }
}

fn malformed(id: RequestId, error: &FrameError) -> Bytes {
    frame::encode(id, &WireError::new(code_of(error), error.to_string()))
}

fn token_refused(id: RequestId, error: &AuthenticateError) -> Refusal {
    match error {
        AuthenticateError::Store(error) => store_failed(id, error),
        other => Refusal::new(id, ErrorCode::TokenRefused, other.to_string(), "token"),
    }
}

fn store_failed(id: RequestId, error: &StoreError) -> Refusal {
    Refusal { error: Problem::from(error.clone()).to_wire(), id, reason: "token" }
}
