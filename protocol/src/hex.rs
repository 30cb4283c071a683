//! Bytes as hex digits: how ids, hashes and fingerprints are written.

use core::fmt;

/// Writes lower-case digits.
///
/// # Errors
/// If the writer fails.
pub fn write(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{:x}", base16ct::HexDisplay(bytes))
}

/// Lower-case digits.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    format!("{:x}", base16ct::HexDisplay(bytes))
}

/// Reads exactly so many bytes; digits may be of either case.
#[must_use]
pub fn read<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let read = base16ct::mixed::decode(text, &mut bytes).ok()?.len();
    (read == N).then_some(bytes)
}

/// Reads however many bytes there are.
#[must_use]
pub fn read_all(text: &str) -> Option<Vec<u8>> {
    base16ct::mixed::decode_vec(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_either_case_are_read_and_nothing_else() {
        assert_eq!(read("00fFA9"), Some([0, 255, 0xa9]));
        assert_eq!(text(&[0, 255, 0xa9]), "00ffa9");
        for wrong in ["", "00ff", "00ffa9a9", "00ffa", "00ffag", "00ff 9", "00ff\u{e9}"] {
            assert_eq!(read::<3>(wrong), None, "{wrong:?}");
            assert_eq!(
                read_all(wrong).is_some(),
                wrong.len() % 2 == 0 && wrong.is_ascii() && !wrong.contains(['g', ' '])
            );
        }
    }
}
