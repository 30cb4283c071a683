//! The vault: one opaque box per account, sealed by its devices under the recovery key.
//!
//! It is replaced as a whole, and only by somebody who has seen what he replaces: two devices that change it
//! at the same time cannot lose each other's keys.

use bincode::{Decode, Encode};
use sotto_protocol::ids::UnixMillis;
use sotto_protocol::limits::VAULT_BYTES_MAX;

/// A vault, as the relay stores it.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Vault {
    /// 1 for the first, one more for each replacement.
    pub version: u64,
    /// Sealed; the relay cannot open it.
    pub data: Vec<u8>,
    /// When it was put.
    pub changed: UnixMillis,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault {{ version: {}, {} bytes }}", self.version, self.data.len())
    }
}

/// Why a vault was not replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PutRefused {
    /// Another device was faster: read, merge, put again.
    #[error("the vault has version {current}, so it was changed since you read it")]
    Conflict {
        /// What is there now; 0 for nothing.
        current: u64,
    },
    /// Over [`VAULT_BYTES_MAX`], or nothing at all.
    #[error("a vault holds 1 to {VAULT_BYTES_MAX} bytes")]
    Size,
}

/// Replaces what is there, if it is what the caller says he replaces (`replaces` 0: nothing is there).
///
/// # Errors
/// If something else is there, or the size is out of bounds.
pub fn replace(
    current: Option<&Vault>,
    replaces: u64,
    data: Vec<u8>,
    now: UnixMillis,
) -> Result<Vault, PutRefused> {
    if data.is_empty() || data.len() > VAULT_BYTES_MAX {
        return Err(PutRefused::Size);
    }
    let current = current.map_or(0, |vault| vault.version);
    if current != replaces {
        return Err(PutRefused::Conflict { current });
    }
    Ok(Vault { version: current.saturating_add(1), data, changed: now })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1);

    #[test]
    fn only_who_has_seen_the_vault_may_replace_it() {
        let first = replace(None, 0, vec![1], NOW).expect("nothing was there");
        assert_eq!(first.version, 1);
        assert_eq!(replace(None, 1, vec![1], NOW), Err(PutRefused::Conflict { current: 0 }));
        assert_eq!(replace(Some(&first), 0, vec![2], NOW), Err(PutRefused::Conflict { current: 1 }));
        assert_eq!(replace(Some(&first), 1, vec![2], NOW).map(|vault| vault.version), Ok(2));
    }

    #[test]
    fn a_vault_is_neither_empty_nor_too_large() {
        assert_eq!(replace(None, 0, Vec::new(), NOW), Err(PutRefused::Size));
        assert_eq!(replace(None, 0, vec![0; VAULT_BYTES_MAX + 1], NOW), Err(PutRefused::Size));
    }
}
