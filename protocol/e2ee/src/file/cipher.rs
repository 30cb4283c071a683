//! ChaCha20-Poly1305 under the key of one file, in place.
//!
//! Twice the same: AWS-LC, which nodes have anyway for TLS and which is nearly twice as fast, and RustCrypto for browsers, which have
//! no C. They are held against each other, and against golden bytes, in the tests.

use super::{LABEL, TAG};
use zeroize::Zeroizing;

/// It is not what was sealed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// The nonce of STREAM with an empty prefix.
pub(super) fn nonce(chunk: u32, is_last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    let all = [0; 7].into_iter().chain(chunk.to_be_bytes()).chain([u8::from(is_last)]);
    nonce.iter_mut().zip(all).for_each(|(place, byte)| *place = byte);
    nonce
}

#[cfg(not(target_family = "wasm"))]
pub(super) use native::Cipher;
#[cfg(target_family = "wasm")]
pub(super) use portable::Cipher;

#[cfg(not(target_family = "wasm"))]
mod native {
    use super::{Broken, LABEL, TAG, Zeroizing};
    use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

    pub(in crate::file) struct Cipher(LessSafeKey);

    impl Cipher {
        pub(in crate::file) fn new(key: &Zeroizing<[u8; 32]>) -> Self {
            let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_slice()).expect("its keys have 32 bytes");
            Self(LessSafeKey::new(key))
        }

        /// Seals what is there; the tag follows it.
        pub(in crate::file) fn seal(&self, nonce: [u8; 12], buffer: &mut Vec<u8>) -> Result<(), Broken> {
            let nonce = Nonce::assume_unique_for_key(nonce);
            let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(LABEL), buffer);
            buffer.extend_from_slice(tag.map_err(|_| Broken)?.as_ref());
            Ok(())
        }

        /// Opens what is there; the tag is cut off.
        pub(in crate::file) fn open(&self, nonce: [u8; 12], buffer: &mut Vec<u8>) -> Result<(), Broken> {
            let nonce = Nonce::assume_unique_for_key(nonce);
            self.0.open_in_place(nonce, Aad::from(LABEL), buffer).map_err(|_| Broken)?;
            buffer.truncate(buffer.len().saturating_sub(TAG));
            Ok(())
        }
    }
}

#[cfg(any(target_family = "wasm", test))]
mod portable {
    use super::{Broken, LABEL, TAG, Zeroizing};
    use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
    use chacha20poly1305::{ChaCha20Poly1305, Key, Tag};

    pub(in crate::file) struct Cipher(ChaCha20Poly1305);

    impl Cipher {
        pub(in crate::file) fn new(key: &Zeroizing<[u8; 32]>) -> Self {
            Self(ChaCha20Poly1305::new(&Key::from(**key)))
        }

        pub(in crate::file) fn seal(&self, nonce: [u8; 12], buffer: &mut Vec<u8>) -> Result<(), Broken> {
            let tag = self.0.encrypt_inout_detached(&nonce.into(), LABEL, buffer.as_mut_slice().into());
            buffer.extend_from_slice(&tag.map_err(|_| Broken)?);
            Ok(())
        }

        pub(in crate::file) fn open(&self, nonce: [u8; 12], buffer: &mut Vec<u8>) -> Result<(), Broken> {
            let sealed = buffer.len().checked_sub(TAG).ok_or(Broken)?;
            let (text, tag) = buffer.split_at_mut_checked(sealed).ok_or(Broken)?;
            let tag = Tag::try_from(&*tag).map_err(|_| Broken)?;
            self.0.decrypt_inout_detached(&nonce.into(), LABEL, text.into(), &tag).map_err(|_| Broken)?;
            buffer.truncate(sealed);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aead_stream::{NewStream as _, StreamBE32, StreamPrimitive as _};
    use chacha20poly1305::ChaCha20Poly1305;
    use chacha20poly1305::aead::{KeyInit as _, Payload};

    #[test]
    fn nodes_and_browsers_seal_to_the_same_bytes_which_are_those_of_stream() {
        let key = Zeroizing::new([7; 32]);
        let (node, browser) = (Cipher::new(&key), portable::Cipher::new(&key));
        let stream = ChaCha20Poly1305::new(&(*key).into());
        let stream: StreamBE32<ChaCha20Poly1305> = StreamBE32::from_aead(stream, &[0; 7].into());
        for (chunk, is_last, bytes) in
            [(0, false, 0), (0, true, 1), (1, false, 4_096), (65_535, true, 70_001)]
        {
            let text: Vec<u8> = (0..=250_u8).cycle().take(bytes).collect();
            let [mut by_node, mut by_browser] = [text.clone(), text.clone()];
            assert_eq!(node.seal(nonce(chunk, is_last), &mut by_node), Ok(()));
            assert_eq!(browser.seal(nonce(chunk, is_last), &mut by_browser), Ok(()));
            assert_eq!(by_node, by_browser);
            let payload = Payload { msg: &text, aad: LABEL };
            assert_eq!(stream.encrypt(chunk, is_last, payload).ok(), Some(by_node.clone()));
            let [mut changed_node, mut changed_browser] = [by_node.clone(), by_node.clone()];
            changed_node[0] ^= 1;
            changed_browser[0] ^= 1;
            assert_eq!(node.open(nonce(chunk, is_last), &mut changed_node), Err(Broken));
            assert_eq!(browser.open(nonce(chunk, is_last), &mut changed_browser), Err(Broken));
            assert_eq!(node.open(nonce(chunk, is_last), &mut by_browser), Ok(()));
            assert_eq!(browser.open(nonce(chunk, is_last), &mut by_node), Ok(()));
            assert_eq!((&by_browser, &by_node), (&text, &text));
        }
        assert_eq!(node.open(nonce(0, true), &mut vec![0; 15]), Err(Broken));
        assert_eq!(browser.open(nonce(0, true), &mut vec![0; 15]), Err(Broken));
    }
}
