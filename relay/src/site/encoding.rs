//! In which form a file is sent: by what the browser takes (RFC 9110 section 12.5.3).

/// How a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Brotli,
    Gzip,
    /// As it is.
    Identity,
}

impl Encoding {
    /// The value of `Content-Encoding`.
    pub(super) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }

    /// What tells the tags of one file's forms apart.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => "-br",
            Self::Gzip => "-gz",
            Self::Identity => "",
        }
    }
}

/// The smallest form that is there and that the browser takes. One that takes none of them gets the file as it is.
pub(super) fn choose(accepted: &str, brotli: bool, gzip: bool) -> Encoding {
    if brotli && takes(accepted, "br") {
        Encoding::Brotli
    } else if gzip && takes(accepted, "gzip") {
        Encoding::Gzip
    } else {
        Encoding::Identity
    }
}

/// Whether a coding is named, by itself or by `*`, and not with a weight of 0.
fn takes(accepted: &str, coding: &str) -> bool {
    let named = |wanted: &str| {
        accepted.split(',').find_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let is_it = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            is_it.then(|| {
                weight.is_none_or(|weight| weight.trim().parse().is_ok_and(|weight: f32| weight > 0.0))
            })
        })
    };
    named(coding).or_else(|| named("*")).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_form_that_the_browser_takes_is_chosen() {
        use Encoding::{Brotli, Gzip, Identity};
        for (accepted, chosen) in [
            ("gzip, deflate, br, zstd", Brotli),
            ("GZIP", Gzip),
            ("gzip;q=1.0, br;q=0", Gzip),
            ("br ; q=0.1, gzip;q=0.9", Brotli),
            ("*", Brotli),
            ("br;q=0, *", Gzip),
            ("*;q=0", Identity),
            ("identity", Identity),
            ("", Identity),
            ("br;q=nonsense", Identity),
            ("brotli", Identity),
            (",,;;q=,", Identity),
        ] {
            assert_eq!(choose(accepted, true, true), chosen, "{accepted:?}");
            assert_eq!(choose(accepted, false, false), Identity, "{accepted:?}");
        }
        assert_eq!(choose("br", false, true), Identity);
    }
}
