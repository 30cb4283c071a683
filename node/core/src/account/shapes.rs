//! What travels: the relay's OpenAPI document (`/api/v1/openapi.json`) has the same names. Fields that a newer
//! relay adds are ignored.

use super::api::Malformed;
use base64ct::{Base64, Encoding as _};
use serde::{Deserialize, Serialize};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId};
use std::fmt;

/// An account as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    /// Its id.
    pub id: AccountId,
    /// Its e-mail address.
    pub email: String,
    /// Its user name.
    pub username: String,
    /// What it may do on the relay.
    pub role: String,
}

/// What requests are signed in with.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Tokens {
    /// Good for minutes.
    pub access_token: String,
    /// Good once, for the next pair.
    pub refresh_token: String,
    /// How long the access token is good for, in seconds.
    pub expires_in: u64,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens {{ expires_in: {} }}", self.expires_in)
    }
}

/// Signed in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// With what.
    pub tokens: Tokens,
}

/// A registered device.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Device {
    /// Its id.
    #[serde(alias = "id")]
    pub device_id: DeviceId,
    /// What its owner calls it.
    pub name: String,
    /// When it was registered, as the relay writes times.
    #[serde(default)]
    pub created_at: serde_json::Value,
}

/// What the account has on the relay's disk of all that it wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Usage {
    /// Bytes of it.
    pub used_bytes: u64,
    /// What it may have; `None` for no limit.
    pub limit_bytes: Option<u64>,
}

impl Usage {
    /// Whether it is time to warn: four fifths are used, as the relay counts.
    #[must_use]
    pub fn is_near(&self) -> bool {
        let near = |limit: u64| u128::from(self.used_bytes) * 100 >= u128::from(limit) * 80;
        self.limit_bytes.is_some_and(near)
    }
}

/// An invite that was made.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Invited {
    /// Its secret.
    pub code: String,
    /// The whole link.
    pub link: String,
    /// The same for a browser, from relays that serve one.
    #[serde(default)]
    pub web: Option<String>,
}

/// What an invite opened.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Redeemed {
    /// The conversation that the account may join now.
    #[serde(default)]
    pub conversation: Option<ConversationId>,
}

/// The account's vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vault {
    /// Its version, for the next replacement.
    pub version: u64,
    /// Sealed under the recovery key.
    pub data: Vec<u8>,
}

#[derive(Serialize)]
pub(super) struct Register<'a> {
    pub(super) email: &'a str,
    pub(super) username: &'a str,
    pub(super) password: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) invite: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct Login<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) username: Option<&'a str>,
    pub(super) password: &'a str,
}

#[derive(Serialize)]
pub(super) struct Refresh<'a> {
    pub(super) refresh_token: &'a str,
}

#[derive(Deserialize)]
pub(super) struct Refreshed {
    pub(super) tokens: Tokens,
}

#[derive(Deserialize)]
pub(super) struct Me {
    pub(super) user: User,
}

#[derive(Serialize)]
pub(super) struct AddDevice<'a> {
    pub(super) device_id: DeviceId,
    pub(super) name: &'a str,
    pub(super) certificate: &'a str,
}

#[derive(Deserialize)]
pub(super) struct Devices {
    pub(super) devices: Vec<Device>,
}

#[derive(Serialize)]
pub(super) struct MakeInvite {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) conversation: Option<ConversationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) uses: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_in: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct Redeem<'a> {
    pub(super) code: &'a str,
}

#[derive(Serialize)]
pub(super) struct PutVault<'a> {
    pub(super) version: u64,
    pub(super) data: &'a str,
}

#[derive(Deserialize)]
pub(super) struct VaultBox {
    version: u64,
    data: String,
}

impl VaultBox {
    pub(super) fn open(self) -> Result<Vault, Malformed> {
        let data = Base64::decode_vec(&self.data)
            .map_err(|error| Malformed(format!("the vault is not base64: {error}")))?;
        Ok(Vault { version: self.version, data })
    }
}

#[derive(Default, Deserialize)]
pub(super) struct ProblemBody {
    #[serde(default)]
    pub(super) title: Option<String>,
    #[serde(default)]
    pub(super) detail: Option<String>,
    #[serde(default)]
    pub(super) code: Option<String>,
}
