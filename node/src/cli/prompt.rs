//! Secrets in: from a file, the environment, or a person at the terminal.

use super::exit::{Exit, Failed};
use sotto_node::secret::{Ask, SecretError};
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::Path;
use zeroize::Zeroizing;

/// The largest file that a secret is read from.
const SECRET_BYTES_MAX: u64 = 4096;

/// The account's password. `twice` where it is being chosen.
pub(crate) fn password(file: Option<&Path>, twice: bool) -> Result<Zeroizing<String>, Failed> {
    if let Some(file) = file {
        return first_line(file)
            .map_err(|what| Failed::usage(format!("the password cannot be read: {what}")));
    }
    if let Some(password) = from_environment("SOTTO_PASSWORD") {
        return Ok(password);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failed::usage(
            "a password is needed: set SOTTO_PASSWORD, name a file with --password-file, or run in a terminal",
        ));
    }
    let ask = |prompt| {
        rpassword::prompt_password(prompt)
            .map(Zeroizing::new)
            .map_err(|error| Failed::usage(format!("the password cannot be read: {error}")))
    };
    let password = ask("Password: ")?;
    if twice && *ask("The same again: ")? != *password {
        return Err(Failed::usage("the two passwords are not the same; nothing was done"));
    }
    Ok(password)
}

/// Whether a passphrase was brought along, so that nobody has to be asked.
pub(crate) fn passphrase_is_given(file: Option<&Path>) -> bool {
    file.is_some() || from_environment("SOTTO_PASSPHRASE").is_some()
}

/// The passphrase of the local store, if it was brought along.
pub(crate) fn given_passphrase(file: Option<&Path>) -> Result<Option<Zeroizing<String>>, Failed> {
    let from_file = file.map(first_line).transpose().map_err(SecretError::Passphrase)?;
    Ok(from_file.or_else(|| from_environment("SOTTO_PASSPHRASE")))
}

/// The passphrase of the local store.
pub(crate) fn passphrase(file: Option<&Path>, ask: Ask) -> Result<Zeroizing<String>, SecretError> {
    if let Some(file) = file {
        return first_line(file).map_err(SecretError::Passphrase);
    }
    if let Some(passphrase) = from_environment("SOTTO_PASSPHRASE") {
        return Ok(passphrase);
    }
    if !std::io::stdin().is_terminal() {
        return Err(SecretError::PassphraseNeeded);
    }
    let prompt = |text| {
        rpassword::prompt_password(text)
            .map(Zeroizing::new)
            .map_err(|e| SecretError::Passphrase(e.to_string()))
    };
    match ask {
        Ask::Existing => prompt("Passphrase of this device's store: "),
        Ask::New => {
            let passphrase = prompt("No keyring answers. Choose a passphrase for this device's store: ")?;
            if *prompt("The same again: ")? == *passphrase {
                Ok(passphrase)
            } else {
                Err(SecretError::Passphrase("the two are not the same; nothing was done".to_owned()))
            }
        }
    }
}

/// The passphrase of an export. `twice` where it is being chosen.
pub(crate) fn export_passphrase(file: Option<&Path>, twice: bool) -> Result<Zeroizing<String>, SecretError> {
    if let Some(file) = file {
        return first_line(file).map_err(SecretError::Passphrase);
    }
    if let Some(passphrase) = from_environment("SOTTO_EXPORT_PASSPHRASE") {
        return Ok(passphrase);
    }
    if !std::io::stdin().is_terminal() {
        let what =
            "set SOTTO_EXPORT_PASSPHRASE, name a file with --export-passphrase-file, or run in a terminal";
        return Err(SecretError::Passphrase(what.to_owned()));
    }
    let prompt = |text| {
        rpassword::prompt_password(text)
            .map(Zeroizing::new)
            .map_err(|error| SecretError::Passphrase(error.to_string()))
    };
    let passphrase = prompt("Passphrase of the export: ")?;
    if twice && *prompt("The same again: ")? != *passphrase {
        return Err(SecretError::Passphrase("the two are not the same; nothing was done".to_owned()));
    }
    Ok(passphrase)
}

/// The 24 recovery words.
pub(crate) fn recovery_words(file: Option<&Path>) -> Result<Zeroizing<String>, Failed> {
    let bad = |what: String| Failed::usage(format!("the recovery words cannot be read: {what}"));
    if let Some(file) = file {
        return read_small(file).map_err(bad);
    }
    if std::io::stdin().is_terminal() {
        return rpassword::prompt_password("Recovery words (24, not shown): ")
            .map(Zeroizing::new)
            .map_err(|error| bad(error.to_string()));
    }
    let mut words = Zeroizing::new(String::new());
    std::io::stdin()
        .lock()
        .take(SECRET_BYTES_MAX)
        .read_to_string(&mut words)
        .map_err(|error| bad(error.to_string()))?;
    Ok(words)
}

/// Everything on standard input, up to what a message may hold.
pub(crate) fn whole_input(bytes_max: usize) -> Result<String, Failed> {
    let mut text = String::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    std::io::stdin()
        .lock()
        .take(limit)
        .read_to_string(&mut text)
        .map_err(|error| Failed::usage(format!("standard input is not text: {error}")))?;
    if text.len() > bytes_max {
        let sentence = format!("standard input is over {bytes_max} bytes; send it in parts, or with --lines");
        return Err(Failed::new(Exit::Usage, "too_large", sentence));
    }
    Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
}

/// The lines of standard input as they come, on a thread of their own.
pub(crate) fn lines() -> tokio::sync::mpsc::Receiver<Result<String, String>> {
    let (tell, told) = tokio::sync::mpsc::channel(64);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if tell.blocking_send(line.map_err(|error| error.to_string())).is_err() {
                return;
            }
        }
    });
    told
}

fn from_environment(name: &str) -> Option<Zeroizing<String>> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(Zeroizing::new)
}

fn first_line(file: &Path) -> Result<Zeroizing<String>, String> {
    let text = read_small(file)?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(format!("the first line of {} is empty", file.display()));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

fn read_small(file: &Path) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(file)
        .and_then(|opened| opened.take(SECRET_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_first_line_of_its_file_without_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secret");
        std::fs::write(&file, "correct horse \r\nsecond\n").expect("writable");
        assert_eq!(*first_line(&file).expect("readable"), "correct horse ");
        std::fs::write(&file, "\nsecond\n").expect("writable");
        assert!(first_line(&file).is_err());
        assert!(first_line(&folder.path().join("none")).is_err());
    }
}
