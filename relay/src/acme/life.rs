//! When a certificate was made, when it ends, and for whom it is.

use sotto_protocol::ids::UnixMillis;
use std::time::Duration;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// What a certificate says of itself. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Life {
    begins: u64,
    pub(super) ends: u64,
    names: Vec<String>,
}

impl Life {
    /// Reads it; `None` if it is no certificate.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (_, read) = parse_x509_certificate(certificate).ok()?;
        let alternative = read.subject_alternative_name().ok().flatten();
        let names = alternative.iter().flat_map(|names| &names.value.general_names);
        let names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        let validity = read.validity();
        Some(Self {
            begins: u64::try_from(validity.not_before.timestamp()).ok()?,
            ends: u64::try_from(validity.not_after.timestamp()).ok()?,
            names: names.collect(),
        })
    }

    /// How long until a new one is wanted: two thirds of its life, or nothing for another name's.
    pub(super) fn renew_in(&self, domain: &str, now: UnixMillis) -> Duration {
        if !self.names.iter().any(|name| name.eq_ignore_ascii_case(domain)) {
            return Duration::ZERO;
        }
        let lasts = self.ends.saturating_sub(self.begins);
        let due = self.begins.saturating_add(lasts / 3 * 2).saturating_mul(1000);
        Duration::from_millis(due.saturating_sub(now.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_when_two_thirds_of_its_life_are_over_or_it_names_somebody_else() {
        let mut parameters = rcgen::CertificateParams::new(vec!["chat.example.org".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2026, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2026, 4, 1);
        let made = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let life = Life::of(made.der()).unwrap();
        let begins = 1_767_225_600_000;
        let (day, name) = (86_400_000, "Chat.Example.org");
        assert_eq!(life.renew_in(name, UnixMillis(begins)), Duration::from_millis(60 * day));
        assert_eq!(life.renew_in(name, UnixMillis(begins + 59 * day)), Duration::from_millis(day));
        assert_eq!(life.renew_in(name, UnixMillis(begins + 61 * day)), Duration::ZERO);
        assert_eq!(life.renew_in("other.example.org", UnixMillis(begins)), Duration::ZERO);
        assert_eq!(life.ends, begins / 1000 + 90 * 86_400);
        assert_eq!(Life::of(b"no certificate"), None);
    }
}
