//! Names of files, made safe: whatever a stranger calls his file, it can be shown and written.
//!
//! What is taken off is what does something instead of standing for itself: paths, characters that command a terminal or turn
//! the direction of a line (so that `gpj.exe` reads as `exe.jpg`), dots in front that hide a file, and what Windows takes for
//! devices. A [`FileName`] has been through this, wherever it comes from.

use bincode::{Decode, Encode};
use sotto_protocol::limits::FILE_NAME_BYTES_MAX;
use std::fmt;

/// What a file is called that has no name left.
const NAMELESS: &str = "file";

/// What Windows does not take in names.
const FORBIDDEN: [char; 7] = ['<', '>', ':', '"', '|', '?', '*'];

/// Names that are devices on Windows, whatever follows their first dot.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// Extensions are kept when a name is cut, up to so many bytes.
const EXTENSION_BYTES_MAX: usize = 16;

/// The name of a file, safe to show on one line and to write in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct FileName(String);

impl FileName {
    /// Takes off what is not safe.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        let last = text.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or_default();
        let kept: String = last
            .chars()
            .filter(|c| !is_invisible(*c))
            .map(|c| if FORBIDDEN.contains(&c) { '_' } else { c })
            .collect();
        let trimmed = kept.trim().trim_start_matches(['.', ' ']).trim_end_matches(['.', ' ']).trim();
        let cut = cut(trimmed);
        if cut.is_empty() {
            return Self(NAMELESS.to_owned());
        }
        Self(if is_device(&cut) { format!("_{cut}") } else { cut })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a character commands, turns or hides instead of showing.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}'                    // soft hyphen
            | '\u{61c}'                 // Arabic letter mark
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'   // zero width, left-to-right and right-to-left mark
            | '\u{2028}'..='\u{202e}'   // separators of lines and paragraphs, embeddings and overrides
            | '\u{2060}'..='\u{206f}'   // invisible operators, isolates, deprecated ones
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}' // tags
        )
}

/// At most [`FILE_NAME_BYTES_MAX`], less the underscore that may come, with its extension where that is short.
fn cut(name: &str) -> String {
    const ROOM: usize = FILE_NAME_BYTES_MAX - 1;
    if name.len() <= ROOM {
        return name.to_owned();
    }
    let extension = name.rfind('.').and_then(|dot| name.get(dot..)).unwrap_or_default();
    let extension = if extension.len() <= EXTENSION_BYTES_MAX { extension } else { "" };
    let end = name.floor_char_boundary(ROOM.saturating_sub(extension.len()));
    let start = name.get(..end).unwrap_or_default().trim_end_matches(['.', ' ']);
    format!("{start}{extension}")
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let numbered = |prefix| {
        let digit = stem.strip_prefix(prefix);
        digit.is_some_and(|rest| {
            let mut rest = rest.chars();
            matches!(rest.next(), Some('0'..='9' | '¹' | '²' | '³')) && rest.next().is_none()
        })
    };
    DEVICES.contains(&stem.as_str()) || numbered("com") || numbered("lpt")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// P-073.
    #[test]
    fn names_lose_what_is_not_safe_and_keep_the_rest() {
        let long = format!("{}.tar", "é".repeat(300));
        for (name, safe) in [
            ("holiday.jpg", "holiday.jpg"),
            ("Ünïcode – 写真 📷.png", "Ünïcode – 写真 📷.png"),
            ("../../etc/passwd", "passwd"),
            ("/etc/passwd", "passwd"),
            ("C:\\Windows\\System32\\cmd.exe", "cmd.exe"),
            ("..\\..\\x", "x"),
            ("folder/", "folder"),
            (".bashrc", "bashrc"),
            ("...", "file"),
            ("..", "file"),
            ("", "file"),
            ("/", "file"),
            (" . . ", "file"),
            ("a\u{0}b\n\u{1b}[2Jc", "ab[2Jc"),
            ("photo\u{202e}gpj.exe", "photogpj.exe"),
            ("pay\u{200b}roll\u{2066}.txt", "payroll.txt"),
            ("con", "_con"),
            ("NUL.txt", "_NUL.txt"),
            ("nul .txt", "_nul .txt"),
            ("com1", "_com1"),
            ("LPT\u{b9}.doc", "_LPT\u{b9}.doc"),
            ("community.txt", "community.txt"),
            ("com10.txt", "com10.txt"),
            ("what?*.txt", "what__.txt"),
            ("file:stream", "file_stream"),
            ("dots...", "dots"),
        ] {
            assert_eq!(FileName::lossy(name).as_str(), safe, "{name:?}");
        }
        let cut = FileName::lossy(&long);
        assert!(cut.as_str().ends_with("é.tar") && cut.as_str().len() > 190, "{cut}");
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_safe_name_and_a_safe_name_stays(text in "\\PC*|.*|[./\\\\ ]*|(con|nul|[.]){0,3}[ .]*") {
            let name = FileName::lossy(&text);
            let safe = name.as_str();
            prop_assert!(!safe.is_empty() && safe.len() <= FILE_NAME_BYTES_MAX);
            prop_assert!(!safe.starts_with('.') && !safe.ends_with(['.', ' ']));
            prop_assert!(!safe.contains(['/', '\\']) && !safe.chars().any(is_invisible));
            prop_assert!(!is_device(safe));
            prop_assert_eq!(FileName::lossy(safe), name);
        }
    }
}
