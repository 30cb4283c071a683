//! The token: 256 random bits in a file that only the owner of the profile can read.
//!
//! It stays the same from start to start, so that a bot is configured once; `--new-token` replaces it.

use super::super::exit::{Exit, Failed};
use data_encoding::HEXLOWER;
use rand::Rng as _;
use sotto_node::profile::{Profile, write_whole};
use std::io::Read as _;
use std::path::PathBuf;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const BYTES: usize = 32;

/// A token's text: 64 hex digits.
const TEXT_BYTES: usize = 2 * BYTES;

/// What a program shows to speak for the account. It has no `Debug`.
pub(super) struct Token(Zeroizing<String>);

/// Where the token of a profile lies.
pub(super) fn path(profile: &Profile) -> PathBuf {
    profile.folder().join("daemon-token")
}

impl Token {
    /// The profile's token; a new one is drawn where there is none, or where one is asked for.
    pub(super) fn of(profile: &Profile, renew: bool) -> Result<Self, Failed> {
        let path = path(profile);
        let failed = |what: String| {
            let sentence = format!("the daemon's token in {} cannot be used: {what}", path.display());
            Failed::new(Exit::Store, "daemon_token", sentence)
        };
        if !renew {
            match std::fs::File::open(&path) {
                Ok(file) => {
                    only_for_its_owner(&file).map_err(&failed)?;
                    let mut text = Zeroizing::new(String::new());
                    file.take(TEXT_BYTES as u64 + 2)
                        .read_to_string(&mut text)
                        .map_err(|error| failed(error.to_string()))?;
                    return Self::parse(text.trim_end())
                        .ok_or_else(|| failed("it is not one; draw another with --new-token".to_owned()));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error.to_string())),
            }
        }
        let mut bytes = Zeroizing::new([0; BYTES]);
        rand::rng().fill_bytes(&mut *bytes);
        let token = Self(Zeroizing::new(HEXLOWER.encode(&*bytes)));
        let line = Zeroizing::new(format!("{}\n", token.text()));
        write_whole(&path, line.as_bytes()).map_err(|error| failed(error.to_string()))?;
        Ok(token)
    }

    fn parse(text: &str) -> Option<Self> {
        let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (text.len() == TEXT_BYTES && hex).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// Whether this is it. The time that takes tells nothing but the length, which is no secret.
    pub(super) fn is(&self, shown: &str) -> bool {
        self.0.as_bytes().ct_eq(shown.as_bytes()).into()
    }

    /// To print at the start; nowhere else.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(unix)]
fn only_for_its_owner(file: &std::fs::File) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata().map_err(|error| error.to_string())?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(format!("others can read it (mode {:o}); draw another with --new-token", mode & 0o777))
}

#[cfg(not(unix))]
fn only_for_its_owner(_file: &std::fs::File) -> Result<(), String> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(home: &tempfile::TempDir) -> Profile {
        let profile = Profile::new(home.path(), "default").expect("a good name");
        drop(profile.lock().expect("free"));
        profile
    }

    #[test]
    fn a_token_stays_until_another_is_asked_for() {
        let home = tempfile::tempdir().expect("a folder");
        let profile = profile(&home);
        let token = Token::of(&profile, false).expect("drawn");
        let again = Token::of(&profile, false).expect("read");
        assert!(token.is(again.text()));
        let other = Token::of(&profile, true).expect("drawn anew");
        assert!(!token.is(other.text()) && !token.is("") && !token.is(&token.text()[1..]));
    }

    #[cfg(unix)]
    #[test]
    fn a_token_that_others_could_read_or_that_is_none_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().expect("a folder");
        let profile = profile(&home);
        Token::of(&profile, false).expect("drawn");
        let path = path(&profile);
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("changed");
        let Err(refused) = Token::of(&profile, false) else { panic!("it was taken") };
        assert!(refused.sentence.contains("--new-token"), "{}", refused.sentence);
        Token::of(&profile, true).expect("drawn anew, for its owner only");
        Token::of(&profile, false).expect("readable again");
        std::fs::write(&path, "short\n").expect("written");
        assert!(Token::of(&profile, false).is_err());
    }
}
