//! The two MLS cipher suites that Sotto speaks.
//!
//! Code point 0x004D is OpenMLS's own: the working group's draft has not settled. That is why our protocol
//! names suites by this enum, and groups are re-created when the number changes.

use openmls_traits::types::Ciphersuite;

/// A cipher suite. Both use ChaCha20-Poly1305, SHA-256 and Ed25519; they differ in the key agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Suite {
    /// X-Wing: ML-KEM-768 and X25519 together, so that a future quantum computer opens nothing recorded today.
    #[default]
    XWing,
    /// X25519 alone, RFC 9420's suite 3; for interoperation with other implementations.
    X25519,
}

/// A suite that Sotto does not speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("MLS cipher suite {0:#06x} is not one that Sotto speaks")]
pub struct UnknownSuite(pub u16);

impl Suite {
    /// Every suite, best first.
    pub const ALL: [Self; 2] = [Self::XWing, Self::X25519];

    /// The number that MLS writes.
    #[must_use]
    pub const fn code_point(self) -> u16 {
        match self {
            Self::XWing => 0x004D,
            Self::X25519 => 0x0003,
        }
    }

    /// The name that people write.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::XWing => "x-wing",
            Self::X25519 => "x25519",
        }
    }

    /// The same in the words of OpenMLS.
    #[must_use]
    pub const fn ciphersuite(self) -> Ciphersuite {
        match self {
            Self::XWing => Ciphersuite::MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519,
            Self::X25519 => Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,
        }
    }
}

impl TryFrom<u16> for Suite {
    type Error = UnknownSuite;

    fn try_from(code_point: u16) -> Result<Self, UnknownSuite> {
        Self::ALL.into_iter().find(|suite| suite.code_point() == code_point).ok_or(UnknownSuite(code_point))
    }
}

impl TryFrom<Ciphersuite> for Suite {
    type Error = UnknownSuite;

    fn try_from(ciphersuite: Ciphersuite) -> Result<Self, UnknownSuite> {
        u16::from(ciphersuite).try_into()
    }
}

impl std::fmt::Display for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Suite {
    type Err = UnknownSuiteName;

    fn from_str(name: &str) -> Result<Self, UnknownSuiteName> {
        Self::ALL.into_iter().find(|suite| suite.name() == name).ok_or(UnknownSuiteName)
    }
}

/// A text that names no suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cipher suite is written \"x-wing\" or \"x25519\"")]
pub struct UnknownSuiteName;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_is_found_by_number_by_name_and_in_openmls() {
        for suite in Suite::ALL {
            assert_eq!(Suite::try_from(suite.code_point()), Ok(suite));
            assert_eq!(Suite::try_from(suite.ciphersuite()), Ok(suite));
            assert_eq!(u16::from(suite.ciphersuite()), suite.code_point());
            assert_eq!(suite.name().parse(), Ok(suite));
        }
        assert_eq!(Suite::try_from(0x0001), Err(UnknownSuite(1)));
    }
}
