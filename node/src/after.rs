//! After which time texts disappear, as people write and read it.

use std::fmt;
use std::str::FromStr;

const UNITS: [(&str, &str, u32); 4] =
    [("d", "day", 86_400), ("h", "hour", 3_600), ("m", "minute", 60), ("s", "second", 1)];

/// After so many seconds; `None` for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After(pub Option<u32>);

impl FromStr for After {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let parsed = UNITS.into_iter().find_map(|(unit, _, seconds)| {
            text.strip_suffix(unit)?.parse::<u32>().ok()?.checked_mul(seconds)
        });
        parsed.map(|seconds| Self(Some(seconds))).ok_or_else(|| "say 30s, 5m, 8h, 7d or off".to_owned())
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(seconds) = self.0 else { return f.write_str("never") };
        let whole = UNITS.into_iter().find(|(_, _, unit)| seconds % unit == 0 && seconds >= *unit);
        let (name, unit) = whole.map_or(("second", 1), |(_, name, unit)| (name, unit));
        match seconds / unit {
            1 => write!(f, "1 {name}"),
            count => write!(f, "{count} {name}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_said_in_the_largest_whole_unit() {
        for (text, said) in [
            ("30s", "30 seconds"),
            ("60s", "1 minute"),
            ("8h", "8 hours"),
            ("7d", "7 days"),
            ("off", "never"),
        ] {
            let after: After = text.parse().expect("it is a time");
            assert_eq!(after.to_string(), said);
        }
        for bad in ["", "5", "m", "-1m", "1w", "99999999d"] {
            assert!(bad.parse::<After>().is_err(), "{bad}");
        }
    }
}
