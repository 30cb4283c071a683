//! Invite links: a relay's address, the fingerprint of its certificate and a one-time code in one line.
//!
//! ```text
//! sotto://chat.example.org:4433/i/3F7KQ2...#<fingerprint, 64 hex digits>
//! ```
//!
//! A relay with a certificate that browsers trust gives `https://` links; both are read here. The
//! fingerprint stands after the `#`, so a browser that opens such a link does not send it anywhere.

use crate::limits::INVITE_BYTES_MAX;
use core::fmt;
use core::str::FromStr;

/// The port that a relay listens on when an address names none.
pub const DEFAULT_PORT: u16 = 4433;

/// SHA-256 of the relay's certificate (DER).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// Where a relay is: a host name or address, and a port that serves both UDP and TCP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RelayAddress {
    /// A DNS name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A whole invite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// The relay to talk to.
    pub relay: RelayAddress,
    /// What the relay's certificate must hash to; `None` trusts the usual certificate authorities.
    pub fingerprint: Option<Fingerprint>,
    /// The one-time code; `None` in a link that only names a relay.
    pub code: Option<InviteCode>,
}

/// The secret part of an invite: 4 to 64 letters, digits, `-` or `_`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct InviteCode(String);

/// Why a text is not an invite; each sentence says what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// Longer than [`INVITE_BYTES_MAX`].
    #[error("the link is longer than {INVITE_BYTES_MAX} bytes")]
    TooLong,
    /// Neither `sotto://` nor `https://`.
    #[error("an invite starts with sotto:// or https://")]
    Scheme,
    /// The host is empty or has characters that no host has.
    #[error("the relay's host name is missing or malformed")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the relay's port is not a number from 1 to 65535")]
    Port,
    /// What follows the address is not `/i/CODE`.
    #[error("after the relay's address comes /i/ and the code, then nothing else")]
    Code,
    /// What follows `#` is not 64 hex digits.
    #[error("the certificate fingerprint after # is 64 hex digits")]
    Fingerprint,
}

impl InviteCode {
    /// The code as text, for the relay's eyes only.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InviteCode {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if plain && (4..=64).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InviteError::Code)
        }
    }
}

impl fmt::Debug for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteCode(..)")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::hex::write(&self.0, f)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = InviteError;

    /// Colons and spaces between the digits are allowed, as other programs print them.
    fn from_str(text: &str) -> Result<Self, InviteError> {
        let digits: String = text.chars().filter(|c| *c != ':' && *c != ' ').collect();
        crate::hex::read(&digits).map(Self).ok_or(InviteError::Fingerprint)
    }
}

impl FromStr for RelayAddress {
    type Err = InviteError;

    /// `host`, `host:port`, `[v6]` or `[v6]:port`.
    fn from_str(text: &str) -> Result<Self, InviteError> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or(InviteError::Host)?;
                host.parse::<core::net::Ipv6Addr>().map_err(|_| InviteError::Host)?;
                match after {
                    "" => (host, None),
                    _ => (host, Some(after.strip_prefix(':').ok_or(InviteError::Port)?)),
                }
            }
            None => match text.split_once(':') {
                Some((host, port)) => (check_name(host)?, Some(port)),
                None => (check_name(text)?, None),
            },
        };
        let port = match port {
            None => DEFAULT_PORT,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port != 0).ok_or(InviteError::Port)?
            }
            Some(_) => return Err(InviteError::Port),
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

fn check_name(host: &str) -> Result<&str, InviteError> {
    let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    if plain && !host.is_empty() && host.len() <= 253 { Ok(host) } else { Err(InviteError::Host) }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Invite {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        if text.len() > INVITE_BYTES_MAX {
            return Err(InviteError::TooLong);
        }
        let text = text.trim();
        let (rest, default_port) = match (text.strip_prefix("sotto://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (rest, DEFAULT_PORT),
            (None, Some(rest)) => (rest, 443),
            (None, None) => return Err(InviteError::Scheme),
        };
        let (rest, fingerprint) = match rest.split_once('#') {
            Some((rest, digits)) => (rest, Some(digits.parse()?)),
            None => (rest, None),
        };
        let (address, path) = match rest.split_once('/') {
            Some((address, path)) => (address, path),
            None => (rest, ""),
        };
        let mut relay: RelayAddress = address.parse()?;
        if default_port != DEFAULT_PORT && !has_port(address) {
            relay.port = default_port;
        }
        let code = match path {
            "" => None,
            _ => Some(path.strip_prefix("i/").ok_or(InviteError::Code)?.parse()?),
        };
        Ok(Self { relay, fingerprint, code })
    }
}

fn has_port(address: &str) -> bool {
    match address.rsplit_once(']') {
        Some((_, after)) => !after.is_empty(),
        None => address.contains(':'),
    }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sotto://{}", self.relay)?;
        if let Some(code) = &self.code {
            write!(f, "/i/{}", code.as_str())?;
        }
        if let Some(fingerprint) = &self.fingerprint {
            write!(f, "#{fingerprint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn links_are_read_as_they_are_written() {
        let print = "ab".repeat(32);
        for text in [
            format!("sotto://chat.example.org:4433/i/abcd-1234#{print}"),
            format!("sotto://[::1]:9000/i/ABCD#{print}"),
            "sotto://127.0.0.1:4433".to_owned(),
        ] {
            let invite: Invite = text.parse().expect("a good link");
            assert_eq!(invite.to_string(), text);
        }
        let https: Invite = "https://chat.example.org/i/abcd".parse().expect("a good link");
        assert_eq!(https.relay.port, 443);
        assert_eq!(https.fingerprint, None);
    }

    /// P-051.
    #[test]
    fn each_bad_link_says_what_is_wrong() {
        for (text, error) in [
            ("http://x/i/abcd", InviteError::Scheme),
            ("sotto:///i/abcd", InviteError::Host),
            ("sotto://a b/i/abcd", InviteError::Host),
            ("sotto://x:0/i/abcd", InviteError::Port),
            ("sotto://x:+1/i/abcd", InviteError::Port),
            ("sotto://x:99999/i/abcd", InviteError::Port),
            ("sotto://x/j/abcd", InviteError::Code),
            ("sotto://x/i/a", InviteError::Code),
            ("sotto://x/i/abcd/e", InviteError::Code),
            ("sotto://x/i/abcd#12", InviteError::Fingerprint),
        ] {
            assert_eq!(text.parse::<Invite>(), Err(error), "{text}");
        }
        assert_eq!("x".repeat(2000).parse::<Invite>(), Err(InviteError::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = text.parse::<Invite>();
        }

        #[test]
        fn what_parses_prints_to_something_equal(text in "(sotto|https)://[a-z0-9.\\[\\]:]{1,12}(/i/[a-z]{4,6})?") {
            if let Ok(invite) = text.parse::<Invite>() {
                prop_assert_eq!(invite.to_string().parse::<Invite>(), Ok(invite));
            }
        }
    }
}
