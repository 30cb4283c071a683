//! What an operator chooses about files: whether the relay keeps any, how large, how much of each account, for how long.

use super::{ConfigError, Values, parse};
use sotto_protocol::limits::{BLOB_CHUNK_BYTES, BLOB_CHUNKS_MAX};
use sotto_relay_core::blobs::Rules;

pub(super) fn from_values(values: &Values) -> Result<Option<Rules>, ConfigError> {
    let is_enabled = values.read("files.enabled", parse::truth)?;
    let account_bytes = values.read("files.quota", parse::size)?;
    let blob_bytes_max = values.read("files.largest", |text| {
        parse::size(text).filter(|size| (1..=BLOB_CHUNKS_MAX * BLOB_CHUNK_BYTES).contains(size))
    })?;
    let kept = values.read("files.keep", parse::span)?;
    let kept_ms = Some(u64::try_from(kept.as_millis()).unwrap_or(u64::MAX)).filter(|kept| *kept > 0);
    Ok(is_enabled.then_some(Rules { blob_bytes_max, account_bytes, kept_ms }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    #[test]
    fn files_are_kept_for_a_while_unless_the_operator_says_otherwise() {
        let read = |settings: &[(&str, &str)]| {
            let mut values = Values::default();
            for (name, value) in settings {
                values.add(name, (*value).to_owned(), Source::Flag).unwrap();
            }
            from_values(&values)
        };
        let rules = read(&[]).unwrap().unwrap();
        assert!(rules.account_bytes >= rules.blob_bytes_max && rules.kept_ms == Some(30 * 24 * 3600 * 1000));
        assert_eq!(read(&[("files.enabled", "false")]).unwrap(), None);
        let rules = read(&[("files.keep", "0s"), ("files.quota", "0"), ("files.largest", "64 GiB")]);
        assert_eq!(
            rules.unwrap().unwrap(),
            Rules { blob_bytes_max: 64 << 30, account_bytes: 0, kept_ms: None }
        );
        for bad in [("files.largest", "65 GiB"), ("files.largest", "0"), ("files.keep", "long")] {
            assert!(read(&[bad]).unwrap_err().to_string().contains(bad.0), "{bad:?}");
        }
    }
}
