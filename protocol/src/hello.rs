//! Choosing a version: each side says the range it speaks, both use the highest in common.

use crate::frame::VERSION;

/// A range of protocol versions, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRange {
    /// The oldest.
    pub min: u8,
    /// The newest.
    pub max: u8,
}

/// What this crate speaks.
pub const SPOKEN: VersionRange = VersionRange { min: VERSION, max: VERSION };

/// No version in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no protocol version in common: this side speaks {} to {}, the other {} to {}; update the older program",
    ours.min, ours.max, theirs.min, theirs.max
)]
pub struct NoCommonVersion {
    /// The range of this side.
    pub ours: VersionRange,
    /// The range of the other side.
    pub theirs: VersionRange,
}

impl VersionRange {
    /// The highest version in both ranges.
    ///
    /// # Errors
    /// If there is none, an inverted range included.
    pub fn highest_in_common(self, theirs: Self) -> Result<u8, NoCommonVersion> {
        let highest = self.max.min(theirs.max);
        if highest >= self.min && highest >= theirs.min {
            Ok(highest)
        } else {
            Err(NoCommonVersion { ours: self, theirs })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn range(min: u8, max: u8) -> VersionRange {
        VersionRange { min, max }
    }

    /// P-002.
    #[test]
    fn the_highest_common_version_wins() {
        assert_eq!(range(1, 3).highest_in_common(range(2, 9)), Ok(3));
        assert_eq!(range(2, 9).highest_in_common(range(1, 3)), Ok(3));
        assert_eq!(range(1, 1).highest_in_common(range(1, 1)), Ok(1));
        assert!(range(1, 1).highest_in_common(range(2, 3)).is_err());
        assert!(range(1, 9).highest_in_common(range(5, 2)).is_err());
    }
}
