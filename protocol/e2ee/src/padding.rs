//! Padding: how long a text is should not say which text it is.
//!
//! A plaintext is followed by one byte `0x80` and then zeros up to the next size class:
//!
//! | class | 256 | 512 | 1,024 | 2,048 | 4,096 | 8,192 | 16,384 | 32,768 | 65,536 |
//! |---|---|---|---|---|---|---|---|---|---|
//! | holds up to | 255 | 511 | 1,023 | 2,047 | 4,095 | 8,191 | 16,383 | 32,767 | 65,535 |
//!
//! Nine classes tell an observer little more than "short, a page, or long", and cost at most a factor of two.

use sotto_protocol::limits::CONTENT_BYTES_MAX;
use zeroize::Zeroizing;

/// Bytes of a padded plaintext, ascending.
pub const CLASSES: [usize; 9] = [256, 512, 1024, 2048, 4096, 8192, 16384, 32768, CONTENT_BYTES_MAX];

/// The longest plaintext that can be padded: the largest class less the mark.
pub const PLAIN_BYTES_MAX: usize = CONTENT_BYTES_MAX - 1;

const MARK: u8 = 0x80;

/// Pads to the smallest class that holds `plain`; `None` if none does.
#[must_use]
pub fn pad(plain: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let class = CLASSES.into_iter().find(|class| plain.len() < *class)?;
    let mut padded = Zeroizing::new(Vec::with_capacity(class));
    padded.extend_from_slice(plain);
    padded.push(MARK);
    padded.resize(class, 0);
    Some(padded)
}

/// What was padded; `None` if the bytes are not of a class, or not padded as [`pad`] does.
#[must_use]
pub fn unpad(padded: &[u8]) -> Option<&[u8]> {
    if !CLASSES.contains(&padded.len()) {
        return None;
    }
    let end = padded.iter().rposition(|byte| *byte != 0)?;
    let (plain, rest) = padded.split_at_checked(end)?;
    (rest.first() == Some(&MARK)).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// P-033.
    #[test]
    fn each_class_holds_one_byte_less_than_its_size() {
        for class in CLASSES {
            assert_eq!(pad(&vec![0; class - 1]).expect("fits").len(), class);
        }
        assert_eq!(pad(&vec![0; PLAIN_BYTES_MAX + 1]), None);
    }

    proptest! {
        #[test]
        fn unpadding_gives_what_was_padded(plain in proptest::collection::vec(prop_oneof![Just(0), Just(0x80), any::<u8>()], 0..3000)) {
            let padded = pad(&plain).expect("fits");
            prop_assert!(CLASSES.contains(&padded.len()));
            prop_assert!(plain.len() < 256 || padded.len() <= 2 * plain.len());
            prop_assert_eq!(unpad(&padded), Some(plain.as_slice()));
        }

        #[test]
        fn any_bytes_unpad_without_panic_and_to_one_form_only(bytes in proptest::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..600)) {
            let mut bytes = bytes;
            bytes.resize(if bytes.len() > 256 { 512 } else { 256 }, 0);
            if let Some(padded) = unpad(&bytes).and_then(pad) {
                prop_assert!(padded.len() < bytes.len() || *padded == bytes);
            }
        }
    }
}
