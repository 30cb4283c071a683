//! The bodies of requests: what JSON they are, and what they must be to count.
//!
//! Each body has two types: what serde reads ([`ToSchema`] describes it), and what is left after every field
//! was checked. Handlers only ever see the second. All of it is a function of bytes, so that it can be fuzzed.

use crate::problem::{Problem, ProblemCode};
use data_encoding::BASE64;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use sotto_protocol::ids::{ConversationId, DeviceId};
use sotto_protocol::invite::{Invite as Link, InviteCode};
use sotto_protocol::limits::{EMAIL_BYTES_MAX, VAULT_BYTES_MAX};
use sotto_signaling_core::invite::InviteWish;
use sotto_signaling_core::limits::CERTIFICATE_BYTES_MAX;
use sotto_signaling_core::names::{Email, Label, Password, Username};
use sotto_signaling_core::secret::RefreshToken;
use std::fmt::Display;
use std::str::FromStr;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// A body that is read from JSON and then checked.
pub(crate) trait Body: DeserializeOwned {
    /// What is left after the check.
    type Checked;
    /// The longest JSON that is read at all.
    const BYTES_MAX: usize = 16 * 1024;

    /// Checks every field.
    fn check(self) -> Result<Self::Checked, Problem>;
}

/// Reads and checks a body.
pub(crate) fn parse<B: Body>(bytes: &[u8]) -> Result<B::Checked, Problem> {
    // serde would also take a list of the fields in their order, which no document describes.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::new(ProblemCode::Malformed, "the body is not a JSON object"));
    }
    let json = &mut serde_json::Deserializer::from_slice(bytes);
    let body: B = serde_path_to_error::deserialize(&mut *json).map_err(|error| explain(&error))?;
    json.end().map_err(|_| Problem::new(ProblemCode::Malformed, "something follows the JSON body"))?;
    body.check()
}

/// Feeds bytes to the parser and checks of every body, for fuzzing: whatever they are, nothing may panic.
pub fn fuzz_bodies(bytes: &[u8]) {
    fn one<B: Body>(bytes: &[u8]) {
        let _checked = parse::<B>(bytes);
    }
    one::<RegisterBody>(bytes);
    one::<LoginBody>(bytes);
    one::<RefreshBody>(bytes);
    one::<DeviceBody>(bytes);
    one::<InviteBody>(bytes);
    one::<RedeemBody>(bytes);
    one::<VaultBody>(bytes);
    one::<super::operator::AccountBody>(bytes);
}

/// Says which field does not read. What was sent is not repeated: it may be a password.
fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let inner = error.inner();
    if !inner.is_data() {
        let place = format!("line {}, column {}", inner.line(), inner.column());
        return Problem::new(ProblemCode::Malformed, format!("the body is not JSON: it fails at {place}"));
    }
    let path = error.path().to_string();
    let sentence = inner.to_string();
    let missing = sentence.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
    match missing {
        Some((name, _)) => Problem::field(name, format!("the field \"{name}\" is missing")),
        None => {
            let detail = format!("the field \"{path}\" has the wrong type");
            Problem::field(path, detail)
        }
    }
}

/// A text that is wiped when dropped and has no `Debug`.
pub(crate) struct SecretText(Zeroizing<String>);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// Registers an account.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RegisterBody {
    /// For signing in and, later, for codes. Kept private; nobody learns whether it is in use.
    #[schema(example = "anna@example.org", format = "email", max_length = 254)]
    email: String,
    /// The public name: 2 to 32 of a-z 0-9 . _ - , upper case is folded.
    #[schema(example = "anna", min_length = 2, max_length = 32)]
    username: String,
    /// At least 8 characters, at most 256 bytes.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 256)]
    password: SecretText,
    /// The code of an invite, or its whole link. Needed where registration is by invite.
    #[schema(nullable = true)]
    invite: Option<String>,
}

/// A registration that may go ahead.
pub struct RegisterRequest {
    /// The address.
    pub email: Email,
    /// The name.
    pub username: Username,
    /// The password, of an acceptable length.
    pub password: Password,
    /// The code of an invite.
    pub invite: Option<InviteCode>,
}

impl Body for RegisterBody {
    type Checked = RegisterRequest;

    fn check(self) -> Result<RegisterRequest, Problem> {
        Ok(RegisterRequest {
            email: field("email", &self.email)?,
            username: field("username", &self.username)?,
            password: Password::choose(self.password.0).map_err(|bad| Problem::field("password", bad))?,
            invite: self.invite.as_deref().map(|text| invite_code("invite", text)).transpose()?,
        })
    }
}

/// Signs in. Either `email` or `username` is needed; `email` may hold a user name too.
#[derive(Deserialize, ToSchema)]
pub(crate) struct LoginBody {
    /// The e-mail address, or the user name.
    #[schema(example = "anna@example.org", max_length = 254, nullable = true)]
    email: Option<String>,
    /// The user name.
    #[schema(nullable = true, max_length = 254)]
    username: Option<String>,
    /// The password.
    #[schema(value_type = String, format = Password, max_length = 256)]
    password: SecretText,
}

/// A sign-in that may be tried.
pub struct LoginRequest {
    /// As whom.
    pub name: LoginName,
    /// The password that was shown.
    pub password: Password,
}

/// As whom somebody signs in.
pub enum LoginName {
    /// By address.
    Email(Email),
    /// By user name.
    Username(Username),
    /// By something that no account can have. It takes the same way as the others, and fails at its end.
    Neither(String),
}

impl LoginName {
    fn new(text: String) -> Self {
        if let Ok(email) = text.parse() {
            Self::Email(email)
        } else if let Ok(name) = text.parse() {
            Self::Username(name)
        } else {
            Self::Neither(text)
        }
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Email(email) => email.as_str(),
            Self::Username(name) => name.as_str(),
            Self::Neither(text) => text,
        }
    }
}

impl Body for LoginBody {
    type Checked = LoginRequest;

    fn check(self) -> Result<LoginRequest, Problem> {
        let missing = || Problem::field("email", "the field \"email\" is missing");
        let text = self.email.or(self.username).ok_or_else(missing)?;
        if text.len() > EMAIL_BYTES_MAX {
            return Err(Problem::field("email", format!("a name has at most {EMAIL_BYTES_MAX} bytes")));
        }
        let password = Password::present(self.password.0).map_err(|bad| Problem::field("password", bad))?;
        Ok(LoginRequest { name: LoginName::new(text), password })
    }
}

/// Spends a refresh token.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RefreshBody {
    /// As it was given. Each is good once.
    #[schema(value_type = String)]
    refresh_token: SecretText,
}

impl Body for RefreshBody {
    type Checked = RefreshToken;

    fn check(self) -> Result<RefreshToken, Problem> {
        // Not a field that is out of bounds but a token that does not count: one answer for all of these.
        RefreshToken::parse(&self.refresh_token.0).map_err(|_| {
            Problem::new(ProblemCode::TokenRefused, "the refresh token is not valid; sign in again")
        })
    }
}

/// Registers a device.
#[derive(Deserialize, ToSchema)]
pub(crate) struct DeviceBody {
    /// 32 hex digits, drawn at random by the device.
    #[schema(example = "000102030405060708090a0b0c0d0e0f", min_length = 32, max_length = 32)]
    device_id: String,
    /// What its owner calls it.
    #[schema(example = "laptop", min_length = 1, max_length = 64)]
    name: String,
    /// The serialised device certificate, base64url.
    certificate: String,
}

/// A device that may be registered, if its certificate verifies.
pub struct DeviceRequest {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub name: Label,
    /// The certificate as bytes, not verified.
    pub certificate: Vec<u8>,
}

impl Body for DeviceBody {
    type Checked = DeviceRequest;

    fn check(self) -> Result<DeviceRequest, Problem> {
        Ok(DeviceRequest {
            device: field("device_id", &self.device_id)?,
            name: field("name", &self.name)?,
            certificate: base64("certificate", &self.certificate, CERTIFICATE_BYTES_MAX)?,
        })
    }
}

/// Makes an invite.
#[derive(Deserialize, ToSchema)]
pub(crate) struct InviteBody {
    /// The conversation it admits to; without it, it lets people register.
    #[schema(nullable = true, min_length = 32, max_length = 32)]
    conversation: Option<String>,
    /// How many may redeem it; 1 if not said.
    #[schema(nullable = true, minimum = 1, maximum = 1000)]
    uses: Option<u32>,
    /// How long it lives, in seconds; a week if not said.
    #[schema(nullable = true, minimum = 1, maximum = 31536000)]
    expires_in: Option<u64>,
}

impl Body for InviteBody {
    type Checked = InviteWish;

    fn check(self) -> Result<InviteWish, Problem> {
        let conversation = self.conversation.as_deref();
        let conversation: Option<ConversationId> =
            conversation.map(|text| field("conversation", text)).transpose()?;
        Ok(InviteWish { conversation, uses: self.uses, expires_in: self.expires_in })
    }
}

/// Redeems an invite.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RedeemBody {
    /// The code of an invite, or its whole link.
    code: String,
}

impl Body for RedeemBody {
    type Checked = InviteCode;

    fn check(self) -> Result<InviteCode, Problem> {
        invite_code("code", &self.code)
    }
}

/// Replaces the vault.
#[derive(Deserialize, ToSchema)]
pub(crate) struct VaultBody {
    /// The version that this replaces: the one you read, 0 if there was none.
    version: u64,
    /// The sealed vault, base64.
    #[schema(format = Byte)]
    data: String,
}

/// A vault that may be put.
pub struct VaultRequest {
    /// The version that it replaces.
    pub replaces: u64,
    /// Sealed.
    pub data: Vec<u8>,
}

impl Body for VaultBody {
    type Checked = VaultRequest;
    // Base64 is four characters for three bytes, and the rest of the JSON is short.
    const BYTES_MAX: usize = VAULT_BYTES_MAX.div_ceil(3) * 4 + 1024;

    fn check(self) -> Result<VaultRequest, Problem> {
        Ok(VaultRequest { replaces: self.version, data: base64("data", &self.data, VAULT_BYTES_MAX)? })
    }
}

/// A field of a type that reads itself from text and says what is wrong.
pub(crate) fn field<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|bad: T::Err| Problem::field(name, bad))
}

/// People paste whole links as well as codes.
fn invite_code(name: &str, text: &str) -> Result<InviteCode, Problem> {
    let text = text.trim();
    if !text.contains("://") {
        return field(name, text);
    }
    let link: Link = field(name, text)?;
    link.code.ok_or_else(|| Problem::field(name, "this link names a relay and holds no invite"))
}

/// Base64 in either alphabet, with or without padding.
fn base64(name: &str, text: &str, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let digits = text.trim_end_matches('=');
    if digits.len() / 4 * 3 > bytes_max {
        return Err(Problem {
            field: Some(name.to_owned()),
            ..Problem::new(
                ProblemCode::TooLarge,
                format!("the field \"{name}\" holds at most {bytes_max} bytes"),
            )
        });
    }
    let mut plain: Vec<u8> = digits
        .bytes()
        .map(|digit| match digit {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        })
        .collect();
    plain.resize(plain.len().next_multiple_of(4), b'=');
    BASE64.decode(&plain).map_err(|_| Problem::field(name, format!("the field \"{name}\" is not base64")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused<B: Body>(json: &str) -> (ProblemCode, Option<String>) {
        match parse::<B>(json.as_bytes()) {
            Ok(_) => panic!("accepted: {json}"),
            Err(problem) => (problem.code, problem.field),
        }
    }

    #[test]
    fn each_bad_body_says_which_field_is_wrong() {
        let invalid = |name: &str| (ProblemCode::InvalidField, Some(name.to_owned()));
        let malformed = (ProblemCode::Malformed, None);
        for (json, expected) in [
            ("", malformed.clone()),
            ("{", malformed.clone()),
            ("[]", malformed.clone()),
            ("\"anna\"", malformed.clone()),
            (r#"["a@b","anna","longenough"]"#, malformed.clone()),
            (r#"{"email":"a@b","username":"anna","password":"longenough"} x"#, malformed),
            (r#"{"email":"a@b","username":"anna"}"#, invalid("password")),
            (r#"{"email":1,"username":"anna","password":"longenough"}"#, invalid("email")),
            (r#"{"email":"a","username":"anna","password":"longenough"}"#, invalid("email")),
            (r#"{"email":"a@b","username":"a b","password":"longenough"}"#, invalid("username")),
            (r#"{"email":"a@b","username":"anna","password":"short"}"#, invalid("password")),
            (r#"{"email":"a@b","username":"anna","password":"longenough","invite":"?"}"#, invalid("invite")),
        ] {
            assert_eq!(refused::<RegisterBody>(json), expected, "{json}");
        }
        assert_eq!(refused::<LoginBody>(r#"{"password":"x"}"#), invalid("email"));
        assert_eq!(refused::<InviteBody>(r#"{"conversation":"xyz"}"#), invalid("conversation"));
        assert_eq!(refused::<InviteBody>(r#"{"uses":-1}"#), invalid("uses"));
        assert_eq!(refused::<VaultBody>(r#"{"version":0,"data":"*"}"#), invalid("data"));
        let device = r#"{"device_id":"00","name":"x","certificate":""}"#;
        assert_eq!(refused::<DeviceBody>(device), invalid("device_id"));
        assert_eq!(refused::<RefreshBody>(r#"{"refresh_token":"x"}"#), (ProblemCode::TokenRefused, None));
    }

    #[test]
    fn a_problem_never_repeats_what_was_sent() {
        let json = r#"{"email":"a@b","username":"anna","password":["hunter2hunter2"]}"#;
        let problem = parse::<RegisterBody>(json.as_bytes()).err().expect("a list is no password");
        assert!(!problem.detail.contains("hunter2"), "{}", problem.detail);
    }

    #[test]
    fn an_invite_is_taken_as_code_and_as_link() {
        for code in ["abcd-1234", " sotto://relay.example:4433/i/abcd-1234#ff "] {
            let json = serde_json::json!({ "code": code }).to_string();
            let parsed = parse::<RedeemBody>(json.as_bytes());
            assert_eq!(parsed.is_ok(), !code.contains('#'), "a wrong fingerprint is refused: {code}");
        }
        let link = format!("sotto://relay.example:4433/i/abcd-1234#{}", "ab".repeat(32));
        let json = serde_json::json!({ "code": link }).to_string();
        assert_eq!(parse::<RedeemBody>(json.as_bytes()).expect("a good link").as_str(), "abcd-1234");
        assert_eq!(refused::<RedeemBody>(r#"{"code":"sotto://relay.example"}"#).1.as_deref(), Some("code"));
    }

    #[test]
    fn base64_is_read_in_both_alphabets_with_and_without_padding() {
        for text in ["+/8=", "-_8", "-_8=", "+/8"] {
            assert_eq!(base64("x", text, 10), Ok(vec![0xfb, 0xff]), "{text}");
        }
        assert!(base64("x", "A", 10).is_err());
        assert!(base64("x", &"A".repeat(100), 10).is_err());
    }

    #[test]
    fn a_name_is_an_address_if_it_reads_as_one() {
        let name = |text: &str| LoginName::new(text.to_owned());
        assert!(matches!(name("a@b"), LoginName::Email(_)));
        assert!(matches!(name("Anna"), LoginName::Username(_)));
        assert!(matches!(name("an na"), LoginName::Neither(_)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            fuzz_bodies(&bytes);
        }

        #[test]
        fn no_json_panics(value in "[a-z@.0-9:/#=+-]{0,60}", number in any::<i64>()) {
            for name in ["email", "username", "password", "invite", "refresh_token", "device_id", "name",
                "certificate", "conversation", "code", "data"] {
                let mut json = serde_json::json!({
                    "email": "a@b", "username": "anna", "password": "longenough", "refresh_token": "x",
                    "device_id": "00".repeat(16), "name": "x", "certificate": "AA", "code": "abcd",
                    "version": number, "uses": number, "expires_in": number, "data": "AA",
                });
                json[name] = value.clone().into();
                fuzz_bodies(json.to_string().as_bytes());
            }
        }
    }
}
