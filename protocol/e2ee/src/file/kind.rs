//! What a file is, by its content: its name is only what somebody calls it.

/// How much of a file's beginning is looked at.
pub const HEAD_BYTES: usize = 8 * 1024;

/// Pictures that are shown: made of dots alone. What has scripts or addresses in it (SVG, HTML, PDF) is none of them.
const PICTURES: [&str; 5] = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"];

/// The media type of a file by its first bytes.
#[must_use]
pub fn guess(head: &[u8]) -> &'static str {
    if let Some(kind) = infer::get(head) {
        return kind.mime_type();
    }
    let is_text = match std::str::from_utf8(head) {
        Ok(text) => is_plain(text),
        // A character may be cut at the end of what is looked at.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).is_ok_and(is_plain)
        }
        Err(_) => false,
    };
    match head {
        [] => "application/x-empty",
        _ if is_text => "text/plain",
        _ => "application/octet-stream",
    }
}

/// The media type of a picture that may be shown, by the file's first bytes; whatever its name and its sender say.
#[must_use]
pub fn picture(head: &[u8]) -> Option<&'static str> {
    let kind = guess(head);
    PICTURES.contains(&kind).then_some(kind)
}

fn is_plain(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_made_of_dots_are_shown() {
        let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
        for head in [svg.as_slice(), b"<!doctype html><img>", b"%PDF-1.7", b"BM\x9a\0\0\0", b""] {
            assert_eq!(picture(head), None, "{head:?}");
        }
        for (head, kind) in [
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
            (b"GIF89a\x01\0\x01\0", "image/gif"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
            (b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", "image/avif"),
        ] {
            assert_eq!(picture(head), Some(kind), "{head:?}");
        }
    }

    #[test]
    fn the_content_says_what_a_file_is() {
        for (head, kind) in [
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
            (b"%PDF-1.7", "application/pdf"),
            (b"PK\x03\x04", "application/zip"),
            (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "application/x-executable"),
            ("grüezi\n".as_bytes(), "text/plain"),
            (&"grüezi".as_bytes()[..3], "text/plain"),
            (b"\0\x01\x02\x03", "application/octet-stream"),
            (b"", "application/x-empty"),
        ] {
            assert_eq!(guess(head), kind, "{head:?}");
        }
    }
}
