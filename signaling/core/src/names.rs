//! What may be a user name, an e-mail address, a password or the name of a device.
//!
//! Each is a type that only its check can make, so that nothing unchecked is ever stored.

use bincode::{Decode, Encode};
use core::fmt;
use core::str::FromStr;
use sotto_protocol::limits::{
    EMAIL_BYTES_MAX, NAME_BYTES_MAX, PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, USERNAME_CHARS_MAX,
    USERNAME_CHARS_MIN,
};
use zeroize::Zeroizing;

/// A public name on one relay. It is how people find each other, so whether one is taken is public too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Username(String);

/// An address as its owner gave it, in lower case. Nobody has verified it.
#[derive(Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Email(String);

/// A password on its way to the hash; wiped when dropped, never printed, never compared directly.
pub struct Password(Zeroizing<String>);

/// What people call a device or a client program in a list; also what a session says it is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Label(String);

/// Why a text is not a user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a user name is {USERNAME_CHARS_MIN} to {USERNAME_CHARS_MAX} of a-z 0-9 . _ - and starts with a letter or digit"
)]
pub struct BadUsername;

/// Why a text is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address is NAME@HOST without spaces, at most {EMAIL_BYTES_MAX} bytes")]
pub struct BadEmail;

/// Why a text may not be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// Too easily guessed.
    #[error("a password has at least {PASSWORD_CHARS_MIN} characters")]
    TooShort,
    /// Hashing must stay bounded.
    #[error("a password has at most {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
}

/// Why a text is not a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to {NAME_BYTES_MAX} bytes without control characters")]
pub struct BadLabel;

impl Username {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Username {
    type Err = BadUsername;

    /// Upper case is folded: `Anna` and `anna` are one name.
    fn from_str(text: &str) -> Result<Self, BadUsername> {
        // Every allowed character is one byte, so a text over the limit is refused before it is copied.
        if !(USERNAME_CHARS_MIN..=USERNAME_CHARS_MAX).contains(&text.len()) {
            return Err(BadUsername);
        }
        let name = text.to_ascii_lowercase();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let first = name.bytes().next().is_some_and(plain);
        let rest = name.bytes().all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'));
        if first && rest { Ok(Self(name)) } else { Err(BadUsername) }
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Email {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = BadEmail;

    /// Only what every address has is asked for; whether it works, a code sent to it will tell.
    fn from_str(text: &str) -> Result<Self, BadEmail> {
        let text = text.trim();
        if text.len() > EMAIL_BYTES_MAX {
            return Err(BadEmail);
        }
        // The local part may hold an `@` in quotes (RFC 5321 section 4.1.2), so the last one divides.
        let (local, host) = text.rsplit_once('@').ok_or(BadEmail)?;
        let sound = |c: char| !c.is_control() && !c.is_whitespace();
        let host_sound = !host.starts_with(['.', '-'])
            && !host.ends_with(['.', '-'])
            && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '[' | ']' | ':'));
        // RFC 5321 section 4.5.3.1.1: 64 octets before the @.
        if local.is_empty() || local.len() > 64 || host.is_empty() || !host_sound || !local.chars().all(sound)
        {
            return Err(BadEmail);
        }
        let lower = text.to_lowercase();
        // Lower case can be longer than upper case outside ASCII.
        if lower.len() > EMAIL_BYTES_MAX { Err(BadEmail) } else { Ok(Self(lower)) }
    }
}

/// An address is personal, and a log line is the wrong place for it.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

impl Password {
    /// A password somebody chooses: its length is checked.
    ///
    /// # Errors
    /// If it is too short or too long.
    pub fn choose(text: Zeroizing<String>) -> Result<Self, BadPassword> {
        if text.chars().count() < PASSWORD_CHARS_MIN {
            return Err(BadPassword::TooShort);
        }
        Self::present(text)
    }

    /// A password somebody shows to sign in. Only the upper limit counts: an answer "too short" would tell
    /// less than "wrong" but the two must not differ.
    ///
    /// # Errors
    /// If it is too long to hash.
    pub fn present(text: Zeroizing<String>) -> Result<Self, BadPassword> {
        if text.len() > PASSWORD_BYTES_MAX { Err(BadPassword::TooLong) } else { Ok(Self(text)) }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Label {
    /// The label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A label from a text that must not be refused (a `User-Agent`): what is too long or odd is left out.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        let mut kept = String::new();
        for c in text.trim().chars().filter(|c| !c.is_control()) {
            if kept.len().saturating_add(c.len_utf8()) > NAME_BYTES_MAX {
                break;
            }
            kept.push(c);
        }
        Self(if kept.is_empty() { "unknown".to_owned() } else { kept })
    }
}

impl FromStr for Label {
    type Err = BadLabel;

    fn from_str(text: &str) -> Result<Self, BadLabel> {
        let text = text.trim();
        if text.is_empty() || text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(BadLabel);
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secret(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[test]
    fn user_names_are_folded_and_keep_to_their_alphabet() {
        assert_eq!("Anna.K-9".parse::<Username>().map(|name| name.to_string()), Ok("anna.k-9".to_owned()));
        let long = "a".repeat(33);
        for bad in ["", "a", ".anna", "-anna", "an na", "änna", "anna\n", "anna/", long.as_str()] {
            assert_eq!(bad.parse::<Username>(), Err(BadUsername), "{bad}");
        }
    }

    #[test]
    fn addresses_are_folded_and_need_a_name_and_a_host() {
        let email: Email = " Anna@Example.ORG ".parse().expect("an address");
        assert_eq!(email.as_str(), "anna@example.org");
        let long = format!("a@{}", "x".repeat(300));
        let local = format!("{}@x", "a".repeat(65));
        for bad in [
            "", "anna", "@x", "anna@", "an na@x", "anna@x y", "anna@.x", "anna@x.", "a\u{0}@x", &long, &local,
        ] {
            assert_eq!(bad.parse::<Email>(), Err(BadEmail), "{bad}");
        }
        assert!(!format!("{email:?}").contains("anna"), "an address does not reach a log by accident");
    }

    #[test]
    fn passwords_have_both_bounds_when_chosen_and_one_when_shown() {
        assert_eq!(Password::choose(secret("seven77")).err(), Some(BadPassword::TooShort));
        assert!(Password::choose(secret("äöüäöüäö")).is_ok(), "characters are counted, not bytes");
        assert_eq!(Password::choose(secret(&"x".repeat(257))).err(), Some(BadPassword::TooLong));
        assert!(Password::present(secret("")).is_ok());
        assert_eq!(Password::present(secret(&"x".repeat(257))).err(), Some(BadPassword::TooLong));
    }

    #[test]
    fn a_lossy_label_fits_whatever_comes() {
        assert_eq!(Label::lossy("curl/8.0\r\n").as_str(), "curl/8.0");
        assert_eq!(Label::lossy("\u{7}").as_str(), "unknown");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}|(?s).{0,300}") {
            let _ = text.parse::<Username>();
            let _ = text.parse::<Email>();
            let _ = text.parse::<Label>();
            prop_assert!(Label::lossy(&text).as_str().parse::<Label>().is_ok() || text.trim().is_empty());
        }

        #[test]
        fn what_was_accepted_is_accepted_again(text in "[A-Za-z0-9._@-]{1,40}") {
            if let Ok(name) = text.parse::<Username>() {
                prop_assert_eq!(name.as_str().parse::<Username>(), Ok(name.clone()));
            }
            if let Ok(email) = text.parse::<Email>() {
                prop_assert_eq!(email.as_str().parse::<Email>(), Ok(email.clone()));
            }
        }
    }
}
