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
pub(crate) fn fingerprints(sdp: &str) -> Option<Vec<String>> {
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

/// Whether it describes a data channel and nothing else, by a certificate that counts. Candidates come by themselves, so that each is looked at.
pub(crate) fn is_of_channel(sdp: &str) -> bool {
    let mut sections = sdp.lines().filter_map(|line| line.strip_prefix("m="));
    sections.next().is_some_and(|section| section.starts_with("application "))
        && sections.next().is_none()
        && !sdp
            .lines()
            .any(|line| line.starts_with("a=candidate:") || line.starts_with("a=remote-candidates:"))
        && fingerprints(sdp).is_some()
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
    fn a_description_of_a_channel_has_nothing_else_and_no_candidates() {
        let print = format!("a=fingerprint:sha-256 {}\r\n", value("AB"));
        let channel = format!("v=0\r\n{print}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n");
        assert!(is_of_channel(&channel));
        for other in [
            format!("{channel}m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"),
            format!("{channel}{channel}"),
            format!("{channel}a=candidate:1 1 udp 1 127.0.0.1 22 typ host\r\n"),
            format!("v=0\r\n{print}"),
            channel.replace(&print, ""),
            String::new(),
        ] {
            assert!(!is_of_channel(&other), "{other}");
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
