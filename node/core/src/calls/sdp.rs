//! The little that is read of a session description: the fingerprints of the certificates that its sender will show.

/// Fingerprints in one description; browsers write one, and one for each media section at the most.
const FINGERPRINTS_MAX: usize = 16;

/// The hashes that count: RFC 8122 with what is broken left out.
const HASHES: [(&str, usize); 3] = [("sha-256", 32), ("sha-384", 48), ("sha-512", 64)];

/// A fingerprint in one form: the hash in lower case, a space, the bytes in upper case.
fn normal(text: &str) -> Option<String> {
    let (hash, value) = text.trim().split_once(' ')?;
    let (hash, value) = (hash.to_ascii_lowercase(), value.trim().to_ascii_uppercase());
    let (_, length) = HASHES.into_iter().find(|(name, _)| *name == hash)?;
    let is_byte = |byte: &str| byte.len() == 2 && byte.bytes().all(|digit| digit.is_ascii_hexdigit());
    let sound = value.split(':').count() == length && value.split(':').all(is_byte);
    sound.then(|| format!("{hash} {value}"))
}

/// What a description promises; `None` if it is no description, or one that promises nothing that counts, or too much.
pub(super) fn fingerprints(sdp: &str) -> Option<Vec<String>> {
    if !sdp.starts_with("v=0") {
        return None;
    }
    let mut found: Vec<String> = Vec::new();
    for line in sdp.lines() {
        let Some(text) = line.strip_prefix("a=fingerprint:") else { continue };
        let one = normal(text)?;
        if !found.contains(&one) {
            found.push(one);
        }
        if found.len() > FINGERPRINTS_MAX {
            return None;
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Whether a certificate is one of those that were promised.
pub(super) fn is_promised(fingerprint: &str, promised: &[String]) -> bool {
    normal(fingerprint).is_some_and(|one| promised.contains(&one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(byte: &str) -> String {
        [byte; 32].join(":")
    }

    #[test]
    fn only_a_promised_certificate_passes_in_whichever_case_it_is_written() {
        let sdp = format!("v=0\r\na=fingerprint:sha-256 {}\r\nm=audio\r\n", value("AB"));
        let promised = fingerprints(&sdp).expect("one");
        assert!(is_promised(&format!("SHA-256 {}", value("ab")), &promised));
        for other in [
            format!("sha-256 {}", value("AC")),
            format!("sha-512 {}", value("AB")),
            value("AB"),
            String::new(),
            "sha-256 AB".to_owned(),
        ] {
            assert!(!is_promised(&other, &promised), "{other}");
        }
    }

    #[test]
    fn a_description_without_a_strong_fingerprint_is_refused() {
        let crowd: String =
            (0..17).map(|n| format!("a=fingerprint:sha-256 {}\n", value(&format!("{n:02X}")))).collect();
        for sdp in [
            "v=0\r\nm=audio\r\n".to_owned(),
            String::new(),
            format!("a=fingerprint:sha-256 {}", value("AB")),
            format!("v=0\na=fingerprint:sha-1 {}", ["AB"; 20].join(":")),
            format!("v=0\na=fingerprint:sha-256 {}\na=fingerprint:md5 {}", value("AB"), value("AB")),
            format!("v=0\na=fingerprint:sha-256 {}", value("G0")),
            format!("v=0\n{crowd}"),
        ] {
            assert_eq!(fingerprints(&sdp), None, "{sdp}");
        }
    }
}
