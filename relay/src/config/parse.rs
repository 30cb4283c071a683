//! Reading single values: sizes, times, addresses.

use std::time::Duration;

/// `30s`, `10m`, `12h`, `90d`, `250ms`.
pub(super) fn span(text: &str) -> Option<Duration> {
    let (digits, unit) = split_number(text)?;
    let number: u64 = digits.parse().ok()?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

/// `1048576`, `512 KiB`, `64 MiB`, `10 GiB`, `1 TiB`.
pub(super) fn size(text: &str) -> Option<u64> {
    let (digits, unit) = split_number(text)?;
    let number: u64 = digits.parse().ok()?;
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.checked_mul(1_u64 << shift)
}

/// `true` or `false`.
pub(super) fn truth(text: &str) -> Option<bool> {
    text.parse().ok()
}

/// The digits in front, and what follows them without spaces.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).map(|(digits, unit)| (digits, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_with_their_units() {
        assert_eq!(size("10 GiB"), Some(10 << 30));
        assert_eq!(size("512KiB"), Some(512 << 10));
        assert_eq!(size("7"), Some(7));
        for bad in ["", "GiB", "-1", "1 GB", "99999999999 TiB", "1.5 GiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
        assert_eq!(span("90d"), Some(Duration::from_secs(90 * 86_400)));
        assert_eq!(span("250ms"), Some(Duration::from_millis(250)));
        for bad in ["", "s", "5", "1 week", "-3s", "99999999999999999999d"] {
            assert_eq!(span(bad), None, "{bad}");
        }
    }
}
