//! The JSON of answers.

use crate::gateway::WEBTRANSPORT_PATH;
use crate::hooks::{IceServer, Usage, WebTransport};
use crate::service::{MadeInvite, SignedIn, Tokens};
use serde::Serialize;
use sotto_protocol::ids::UnixMillis;
use sotto_signaling_core::account::{Account, RegistrationPolicy, Role};
use sotto_signaling_core::device::Device;
use sotto_signaling_core::invite::Invite;
use sotto_signaling_core::session::Session;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

/// A moment as RFC 3339 says it. A moment that no calendar has is the beginning of time.
pub(crate) fn moment(at: UnixMillis) -> String {
    let nanos = i128::from(at.0).saturating_mul(1_000_000);
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

/// The asking account, as only itself sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserJson {
    /// 32 hex digits.
    id: String,
    /// Not verified yet.
    email: String,
    /// The public name.
    username: String,
    /// What the account may do on this relay.
    #[schema(value_type = String, example = "user")]
    role: Role,
    /// RFC 3339.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<&Account> for UserJson {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id.to_string(),
            email: account.email.as_str().to_owned(),
            username: account.username.as_str().to_owned(),
            role: account.role,
            created_at: moment(account.created),
        }
    }
}

/// What requests are signed with from now on.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokensJson {
    /// A JWT; send it as `Authorization: Bearer`.
    access_token: String,
    /// Good for one refresh.
    refresh_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// How long the access token is good for, in seconds.
    expires_in: u64,
}

impl From<Tokens> for TokensJson {
    fn from(tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access,
            refresh_token: tokens.refresh.to_string(),
            token_type: "Bearer",
            expires_in: tokens.expires_in,
        }
    }
}

/// An account and its tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedInJson {
    user: UserJson,
    tokens: TokensJson,
}

impl From<SignedIn> for SignedInJson {
    fn from(signed_in: SignedIn) -> Self {
        Self { user: (&signed_in.account).into(), tokens: signed_in.tokens.into() }
    }
}

/// Where a device finds ways through NATs.
#[derive(Serialize, ToSchema)]
pub(crate) struct IceJson {
    /// For `RTCPeerConnection`, as they are. Empty where this relay lends nothing.
    ice_servers: Vec<IceServerJson>,
    /// How long they are good, in seconds. Ask again before a call begins, and when it lasts longer.
    ttl_seconds: u64,
}

/// STUN and TURN of this relay.
#[derive(Serialize, ToSchema)]
pub(crate) struct IceServerJson {
    /// `stun:`, `turn:` and, where it is turned on, `turns:`.
    #[schema(example = json!(["stun:chat.example.org:3478", "turn:chat.example.org:3478?transport=udp"]))]
    urls: Vec<String>,
    /// Until when it is good, and for whom.
    username: String,
    /// The password.
    credential: String,
}

/// When it is worth to ask again a relay that lends nothing.
const NOTHING_LENT_TTL: Duration = Duration::from_secs(3600);

impl From<Option<IceServer>> for IceJson {
    fn from(server: Option<IceServer>) -> Self {
        let ttl = server.as_ref().map_or(NOTHING_LENT_TTL, |server| server.lifetime);
        let server = server.map(|server| IceServerJson {
            urls: server.urls,
            username: server.username,
            credential: server.credential.as_str().to_owned(),
        });
        Self { ice_servers: server.into_iter().collect(), ttl_seconds: ttl.as_secs() }
    }
}

/// New tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct RefreshedJson {
    pub(crate) tokens: TokensJson,
}

/// The asking account.
#[derive(Serialize, ToSchema)]
pub(crate) struct MeJson {
    pub(crate) user: UserJson,
}

/// What the asking account has on the relay's disk.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsageJson {
    /// Bytes of all that it wrote and that is kept, before the store's own overhead.
    used_bytes: u64,
    /// What it may have; null for no limit.
    limit_bytes: Option<u64>,
}

impl From<Usage> for UsageJson {
    fn from(Usage { used_bytes, limit_bytes }: Usage) -> Self {
        Self { used_bytes, limit_bytes }
    }
}

/// One place where an account is signed in.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionJson {
    /// 32 hex digits.
    id: String,
    /// The device that uses it, once one said so.
    device_id: Option<String>,
    /// What the client program called itself.
    agent: String,
    /// When the sign-in was.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last refreshed.
    #[schema(format = DateTime)]
    used_at: String,
    /// When it ends unless it is refreshed.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Whether it is the one that asks.
    current: bool,
}

impl SessionJson {
    pub(crate) fn new(session: &Session, current: bool) -> Self {
        Self {
            id: session.id.to_string(),
            device_id: session.device.map(|device| device.to_string()),
            agent: session.agent.as_str().to_owned(),
            created_at: moment(session.created),
            used_at: moment(session.used),
            expires_at: moment(session.expires),
            current,
        }
    }
}

/// The sessions of the asking account, the oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionsJson {
    pub(crate) sessions: Vec<SessionJson>,
}

/// A registered device.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeviceJson {
    /// 32 hex digits.
    device_id: String,
    /// What its owner calls it.
    name: String,
    /// The certificate as it was registered, base64url.
    certificate: String,
    /// When it was registered here.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<&Device> for DeviceJson {
    fn from(device: &Device) -> Self {
        Self {
            device_id: device.id.to_string(),
            name: device.name.as_str().to_owned(),
            certificate: data_encoding::BASE64URL_NOPAD.encode(&device.certificate),
            created_at: moment(device.created),
        }
    }
}

/// The devices of the asking account, the oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct DevicesJson {
    pub(crate) devices: Vec<DeviceJson>,
    /// The account's Ed25519 identity key, 64 hex digits, once its first device is registered.
    pub(crate) identity_key: Option<String>,
}

/// An invite, without its code.
#[derive(Serialize, ToSchema)]
pub(crate) struct InviteJson {
    /// 32 hex digits; not the code.
    id: String,
    /// The conversation that it admits to.
    conversation: Option<String>,
    /// How many more may redeem it.
    uses_left: u32,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends.
    #[schema(format = DateTime)]
    expires_at: String,
}

impl From<&Invite> for InviteJson {
    fn from(invite: &Invite) -> Self {
        Self {
            id: invite.id.to_string(),
            conversation: invite.conversation.map(|conversation| conversation.to_string()),
            uses_left: invite.uses_left,
            created_at: moment(invite.created),
            expires_at: moment(invite.expires),
        }
    }
}

/// A new invite. Its code is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeInviteJson {
    /// The secret.
    code: String,
    /// The secret with the relay's address and fingerprint, to pass on.
    link: String,
    /// The same for browsers.
    #[schema(example = "https://chat.example.org/#/i/3F7KQ2XW")]
    web: String,
    #[serde(flatten)]
    invite: InviteJson,
}

impl From<&MadeInvite> for MadeInviteJson {
    fn from(made: &MadeInvite) -> Self {
        Self {
            code: made.code.as_str().to_owned(),
            link: made.link.to_string(),
            web: made.web.clone(),
            invite: (&made.invite).into(),
        }
    }
}

/// The asking account's live invites, the oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct InvitesJson {
    pub(crate) invites: Vec<InviteJson>,
}

/// What a redeemed invite admits to.
#[derive(Serialize, ToSchema)]
pub(crate) struct RedeemedJson {
    /// The conversation that the account may join now; absent if the invite was only for registering.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) conversation: Option<String>,
}

/// A vault.
#[derive(Serialize, ToSchema)]
pub(crate) struct VaultJson {
    /// Say it when replacing this.
    pub(crate) version: u64,
    /// The sealed vault, base64.
    #[schema(format = Byte)]
    pub(crate) data: String,
    /// When it was put.
    #[schema(format = DateTime)]
    changed_at: String,
}

impl VaultJson {
    pub(crate) fn new(vault: &sotto_signaling_core::vault::Vault) -> Self {
        Self {
            version: vault.version,
            data: data_encoding::BASE64.encode(&vault.data),
            changed_at: moment(vault.changed),
        }
    }
}

/// The version that a vault has now.
#[derive(Serialize, ToSchema)]
pub(crate) struct VaultVersionJson {
    pub(crate) version: u64,
}

/// What a client has to know before anybody signs in.
#[derive(Serialize, ToSchema)]
pub(crate) struct AboutJson {
    /// The version of the relay program.
    pub(crate) version: &'static str,
    /// Who may register: `open`, `invite` or `closed`.
    #[schema(value_type = String, example = "open")]
    pub(crate) registration: RegistrationPolicy,
    /// How browsers reach the relay by WebTransport; `null` if they cannot.
    pub(crate) webtransport: Option<WebTransportJson>,
}

/// Where a browser opens a WebTransport session: `https://HOST:PORT/PATH`, with the host that the page came from.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebTransportJson {
    /// The UDP port.
    port: u16,
    /// SHA-256 of certificates, in base64, for `serverCertificateHashes`. The relay changes its certificate every few days and
    /// names the next one before. Empty where an authority vouches for it.
    certificate_hashes: Vec<String>,
    /// The path, from its slash on.
    path: &'static str,
}

impl From<WebTransport> for WebTransportJson {
    fn from(found: WebTransport) -> Self {
        let base64 = |hash: &[u8; 32]| data_encoding::BASE64.encode(hash);
        Self {
            port: found.port,
            certificate_hashes: found.certificate_hashes.iter().map(base64).collect(),
            path: WEBTRANSPORT_PATH,
        }
    }
}

/// Alive, or ready.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatusJson {
    /// `ok` or `ready`.
    pub(crate) status: &'static str,
    /// The version of the relay program.
    pub(crate) version: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339() {
        assert_eq!(moment(UnixMillis(0)), "1970-01-01T00:00:00Z");
        assert_eq!(moment(UnixMillis(1_700_000_000_123)), "2023-11-14T22:13:20.123Z");
        assert_eq!(moment(UnixMillis(u64::MAX)), "1970-01-01T00:00:00Z");
    }
}
