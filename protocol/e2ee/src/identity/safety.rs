//! What two people compare: a number of 60 digits that only the two of them have, or a QR code.
//!
//! As in Signal's numeric fingerprint, each side is hashed 5,200 times, which makes the search for a key whose
//! 30 digits look alike so much dearer, and the two halves stand in the order of their digits, so both people
//! read the same number.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use sha2::{Digest as _, Sha512};
use sotto_protocol::ids::AccountId;

const ITERATIONS: u32 = 5_200;
const LABEL: &[u8] = b"sotto safety number v1";
const QR_SCHEME: &str = "sotto-verify:1:";

/// One side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Party {
    /// The account.
    pub account: AccountId,
    /// The identity key that it is seen with.
    pub identity_key: [u8; 32],
}

/// A text that is not what a Sotto verification code holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a Sotto verification code")]
pub struct BadQrText;

/// 60 digits in 12 groups of 5, the same whichever side computes it.
#[must_use]
pub fn safety_number(a: &Party, b: &Party) -> String {
    let mut halves = [digits(a), digits(b)];
    halves.sort();
    halves.concat().join(" ")
}

/// Six groups of five digits for one side.
fn digits(party: &Party) -> Vec<String> {
    let first =
        Sha512::new().chain_update(LABEL).chain_update(party.account.0).chain_update(party.identity_key);
    let mut hash = first.finalize();
    for _ in 1..ITERATIONS {
        hash = Sha512::new().chain_update(hash).chain_update(party.identity_key).finalize();
    }
    let groups = hash.chunks_exact(5).take(6);
    groups
        .map(|bytes| {
            let number = bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            format!("{:05}", number % 100_000)
        })
        .collect()
}

/// What the QR code of an account holds.
#[must_use]
pub fn qr_text(party: &Party) -> String {
    format!("{QR_SCHEME}{}:{}", party.account, Base64UrlUnpadded::encode_string(&party.identity_key))
}

/// Reads what [`qr_text`] wrote; compare it with the identity key that the account is seen with.
///
/// # Errors
/// If it is something else.
pub fn read_qr_text(text: &str) -> Result<Party, BadQrText> {
    let (account, key) =
        text.strip_prefix(QR_SCHEME).and_then(|rest| rest.split_once(':')).ok_or(BadQrText)?;
    let identity_key = Base64UrlUnpadded::decode_vec(key).map_err(|_| BadQrText)?;
    Ok(Party {
        account: account.parse().map_err(|_| BadQrText)?,
        identity_key: identity_key.try_into().map_err(|_| BadQrText)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(account: u8, key: u8) -> Party {
        Party { account: AccountId([account; 16]), identity_key: [key; 32] }
    }

    #[test]
    fn both_sides_read_the_same_twelve_groups_of_five_digits() {
        let number = safety_number(&party(1, 1), &party(2, 2));
        assert_eq!(number, safety_number(&party(2, 2), &party(1, 1)));
        let groups: Vec<_> = number.split(' ').collect();
        assert_eq!(groups.len(), 12);
        assert!(groups.iter().all(|group| group.len() == 5 && group.bytes().all(|b| b.is_ascii_digit())));
    }

    #[test]
    fn another_key_or_account_on_either_side_changes_the_number() {
        let number = safety_number(&party(1, 1), &party(2, 2));
        for other in [party(1, 3), party(3, 1)] {
            assert_ne!(number, safety_number(&other, &party(2, 2)));
        }
    }

    #[test]
    fn a_qr_text_is_read_as_it_was_written() {
        let text = qr_text(&party(1, 250));
        assert_eq!(read_qr_text(&text), Ok(party(1, 250)));
        for bad in ["", "sotto-verify:2:", &text[1..], &text[..text.len() - 1], &format!("{text}A")] {
            assert_eq!(read_qr_text(bad), Err(BadQrText), "{bad}");
        }
    }
}
