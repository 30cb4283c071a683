//! The container of an export: a line of JSON that says what follows, then lines of JSON, sealed where they hold keys.
//!
//! ```text
//!   {"format":"sotto-export","version":1,"seal":null}                     lines as they are
//!   {"format":"sotto-export","version":1,"seal":{"kdf":"argon2id",...}}   chunks of 64 KiB and their tags
//! ```
//!
//! The chunks are STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015) over XChaCha20-Poly1305 with a 32-bit big-endian
//! counter, so that they can neither be cut off, repeated nor put in another order; each is bound to the first line.
//! `docs/export.md` describes both for other programs.

use crate::secret::{SecretError, derive};
use aead_stream::{DecryptorBE32, EncryptorBE32, Nonce, StreamBE32};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{KeyInit as _, Payload};
use data_encoding::HEXLOWER;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Read, Write};
use zeroize::Zeroizing;

const FORMAT: &str = "sotto-export";
const VERSION: u32 = 1;
const CIPHER: &str = "xchacha20poly1305-stream-be32";

/// Bytes that are sealed at once.
const CHUNK_BYTES: usize = 64 * 1024;
const TAG_BYTES: usize = 16;
/// XChaCha20's 24 bytes without the counter and the mark of the last chunk.
const NONCE_BYTES: usize = 19;

/// The first line is short; a file without one is none of ours.
const HEAD_BYTES_MAX: u64 = 1024;

/// RFC 9106 section 4, second recommended option, with one lane; and what a hostile file may make this program spend.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 16;

/// Why an export cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortableError {
    /// It is something else.
    #[error("this is no export of sotto")]
    NotOne,
    /// A newer program made it.
    #[error("this export has version {0} and this program reads {VERSION}; update sotto")]
    Newer(u32),
    /// The passphrase is another, or the file was changed.
    #[error("the passphrase does not open this export, or its beginning is damaged")]
    WrongPassphrase,
    /// It opened, and then did not go on as it was written.
    #[error("the export is damaged or was cut off; nothing can be read beyond that")]
    Damaged,
    /// There is no key to be made of the passphrase.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
}

#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    version: u32,
    seal: Option<Seal>,
}

#[derive(Serialize, Deserialize)]
struct Seal {
    cipher: String,
    chunk_bytes: usize,
    nonce: String,
    kdf: String,
    salt: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

fn cipher(passphrase: &str, seal: &Seal) -> Result<XChaCha20Poly1305, PortableError> {
    let salt = HEXLOWER.decode(seal.salt.as_bytes()).map_err(|_| PortableError::NotOne)?;
    let spent = seal.memory_kib <= MEMORY_KIB_MAX && seal.passes <= PASSES_MAX && seal.lanes == 1;
    if seal.kdf != "argon2id" || salt.len() < 16 || !spent {
        return Err(PortableError::NotOne);
    }
    let key = derive(passphrase, &salt, seal.memory_kib, seal.passes, seal.lanes)?;
    Ok(XChaCha20Poly1305::new(key.as_bytes().into()))
}

fn nonce(text: &str) -> Option<Nonce<XChaCha20Poly1305, StreamBE32<XChaCha20Poly1305>>> {
    let bytes: [u8; NONCE_BYTES] = HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()?;
    Some(bytes.into())
}

/// Writes an export. What is written counts only once [`Self::finish`] was called.
pub struct PortableWriter<W: Write> {
    to: W,
    sealing: Option<Sealing>,
    /// The first line: what each chunk is bound to.
    head: Vec<u8>,
    waiting: Zeroizing<Vec<u8>>,
}

type Sealing = EncryptorBE32<XChaCha20Poly1305>;

impl<W: Write> PortableWriter<W> {
    /// Begins one, sealed where there is a passphrase.
    ///
    /// # Errors
    /// If the passphrase is empty or the system refuses.
    pub fn begin(mut to: W, passphrase: Option<&str>) -> Result<Self, PortableError> {
        let mut sealing = None;
        let mut seal = None;
        if let Some(passphrase) = passphrase {
            let (mut salt, mut prefix) = ([0; 16], [0; NONCE_BYTES]);
            rand::rng().fill_bytes(&mut salt);
            rand::rng().fill_bytes(&mut prefix);
            let new = Seal {
                cipher: CIPHER.to_owned(),
                chunk_bytes: CHUNK_BYTES,
                nonce: HEXLOWER.encode(&prefix),
                kdf: "argon2id".to_owned(),
                salt: HEXLOWER.encode(&salt),
                memory_kib: MEMORY_KIB,
                passes: PASSES,
                lanes: 1,
            };
            sealing = Some(EncryptorBE32::from_aead(cipher(passphrase, &new)?, &prefix.into()));
            seal = Some(new);
        }
        let head = Head { format: FORMAT.to_owned(), version: VERSION, seal };
        let mut head = serde_json::to_vec(&head).expect("strings and numbers are always JSON");
        head.push(b'\n');
        to.write_all(&head)?;
        Ok(Self { to, sealing, head, waiting: Zeroizing::new(Vec::with_capacity(2 * CHUNK_BYTES)) })
    }

    /// One more line.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn line(&mut self, line: &serde_json::Value) -> Result<(), PortableError> {
        let text = Zeroizing::new(line.to_string());
        self.waiting.extend_from_slice(text.as_bytes());
        self.waiting.push(b'\n');
        // A chunk goes only when another byte follows it: the last one is marked as the last.
        while self.waiting.len() > CHUNK_BYTES {
            let rest = Zeroizing::new(self.waiting.split_off(CHUNK_BYTES));
            let chunk = std::mem::replace(&mut self.waiting, rest);
            match &mut self.sealing {
                Some(sealing) => {
                    let payload = Payload { msg: &chunk, aad: &self.head };
                    // The counter has 32 bits: 256 TiB.
                    let sealed = sealing.encrypt_next(payload).map_err(|_| PortableError::Damaged)?;
                    self.to.write_all(&sealed)?;
                }
                None => self.to.write_all(&chunk)?,
            }
        }
        Ok(())
    }

    /// The end; gives back what was written to.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn finish(mut self) -> Result<W, PortableError> {
        match self.sealing {
            Some(sealing) => {
                let payload = Payload { msg: &self.waiting, aad: &self.head };
                let sealed = sealing.encrypt_last(payload).map_err(|_| PortableError::Damaged)?;
                self.to.write_all(&sealed)?;
            }
            None => self.to.write_all(&self.waiting)?,
        }
        self.to.flush()?;
        Ok(self.to)
    }
}

/// Reads an export, line by line.
pub struct PortableReader<R: BufRead> {
    from: R,
    opening: Option<Opening>,
    sealed: bool,
    head: Vec<u8>,
    opened: Zeroizing<Vec<u8>>,
    place: usize,
}

type Opening = DecryptorBE32<XChaCha20Poly1305>;

impl<R: BufRead> PortableReader<R> {
    /// Begins to read; `passphrase` is asked only where the export is sealed.
    ///
    /// # Errors
    /// If it is no export, of a newer program, or the passphrase is another.
    pub fn begin(
        mut from: R,
        passphrase: impl FnOnce() -> Result<Zeroizing<String>, SecretError>,
    ) -> Result<Self, PortableError> {
        let mut line = Vec::new();
        from.by_ref().take(HEAD_BYTES_MAX).read_until(b'\n', &mut line)?;
        let head: Head = serde_json::from_slice(&line).map_err(|_| PortableError::NotOne)?;
        if head.format != FORMAT || line.last() != Some(&b'\n') {
            return Err(PortableError::NotOne);
        }
        if head.version > VERSION {
            return Err(PortableError::Newer(head.version));
        }
        let opening = match &head.seal {
            Some(seal) if seal.cipher == CIPHER && seal.chunk_bytes == CHUNK_BYTES => {
                let prefix = nonce(&seal.nonce).ok_or(PortableError::NotOne)?;
                Some(DecryptorBE32::from_aead(cipher(&passphrase()?, seal)?, &prefix))
            }
            Some(_) => return Err(PortableError::NotOne),
            None => None,
        };
        let sealed = opening.is_some();
        let opened = Zeroizing::new(Vec::new());
        let mut reader = Self { from, opening, sealed, head: line, opened, place: 0 };
        reader.fill().map_err(|error| match error {
            PortableError::Damaged => PortableError::WrongPassphrase,
            other => other,
        })?;
        Ok(reader)
    }

    /// Whether it was sealed.
    pub const fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// The next chunk; false at the end.
    fn fill(&mut self) -> Result<bool, PortableError> {
        let most = if self.sealed { CHUNK_BYTES + TAG_BYTES } else { CHUNK_BYTES };
        if self.sealed && self.opening.is_none() {
            return Ok(false);
        }
        let mut chunk = Zeroizing::new(Vec::with_capacity(most));
        self.from.by_ref().take(most as u64).read_to_end(&mut chunk)?;
        if !self.sealed {
            let more = !chunk.is_empty();
            self.keep(&chunk);
            return Ok(more);
        }
        let last = self.from.fill_buf()?.is_empty();
        let payload = Payload { msg: chunk.as_slice(), aad: &self.head };
        let opened = if last {
            let Some(opening) = self.opening.take() else { return Ok(false) };
            opening.decrypt_last(payload)
        } else {
            let Some(opening) = &mut self.opening else { return Ok(false) };
            opening.decrypt_next(payload)
        };
        let opened = Zeroizing::new(opened.map_err(|_| PortableError::Damaged)?);
        self.keep(&opened);
        Ok(true)
    }

    fn keep(&mut self, more: &[u8]) {
        let mut next = Zeroizing::new(Vec::with_capacity(self.opened.len() - self.place + more.len()));
        next.extend_from_slice(self.opened.get(self.place..).unwrap_or_default());
        next.extend_from_slice(more);
        (self.opened, self.place) = (next, 0);
    }

    /// The next line without its end, of at most so many bytes; `None` at the end.
    ///
    /// # Errors
    /// If it was cut off or changed, or a line is longer.
    pub fn line(&mut self, bytes_max: usize) -> Result<Option<Zeroizing<Vec<u8>>>, PortableError> {
        loop {
            let rest = self.opened.get(self.place..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = Zeroizing::new(rest.get(..end).unwrap_or_default().to_vec());
                self.place += end + 1;
                return if line.len() <= bytes_max { Ok(Some(line)) } else { Err(PortableError::Damaged) };
            }
            if rest.len() > bytes_max {
                return Err(PortableError::Damaged);
            }
            if !self.fill()? {
                // A line without its end is half a line.
                let whole = self.opened.len() == self.place;
                return if whole { Ok(None) } else { Err(PortableError::Damaged) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LINE_MAX: usize = 200_000;

    fn ask(passphrase: &str) -> impl FnOnce() -> Result<Zeroizing<String>, SecretError> + use<> {
        let passphrase = Zeroizing::new(passphrase.to_owned());
        move || Ok(passphrase)
    }

    fn written(passphrase: Option<&str>, lines: usize) -> Vec<u8> {
        let mut writer = PortableWriter::begin(Vec::new(), passphrase).expect("begun");
        for i in 0..lines {
            writer.line(&json!({ "i": i, "text": "x".repeat(1000) })).expect("written");
        }
        writer.finish().expect("finished")
    }

    fn read(bytes: &[u8], passphrase: &str) -> Result<usize, PortableError> {
        let mut reader = PortableReader::begin(bytes, ask(passphrase))?;
        let mut count = 0;
        while let Some(line) = reader.line(LINE_MAX)? {
            let line: serde_json::Value =
                serde_json::from_slice(&line).map_err(|_| PortableError::Damaged)?;
            assert_eq!(line["i"], count);
            count += 1;
        }
        Ok(count)
    }

    #[test]
    fn what_was_written_is_read_with_the_passphrase_and_by_nobody_else() {
        for lines in [0, 1, 64, 200] {
            let sealed = written(Some("correct horse"), lines);
            assert_eq!(read(&sealed, "correct horse").expect("readable"), lines);
            assert!(matches!(read(&sealed, "wrong"), Err(PortableError::WrongPassphrase)));
            assert!(!sealed.windows(20).any(|window| window == [b'x'; 20]), "nothing stands there as it is");
            assert_eq!(read(&written(None, lines), "not asked for").expect("readable"), lines);
        }
    }

    #[test]
    fn a_sealed_export_that_was_cut_off_changed_or_put_in_another_order_is_refused() {
        let sealed = written(Some("p"), 200);
        let head = sealed.iter().position(|byte| *byte == b'\n').expect("a first line") + 1;
        let chunk = CHUNK_BYTES + TAG_BYTES;
        for cut in [sealed.len() - 1, head + chunk, head + 2 * chunk, head + 10, head] {
            assert!(read(&sealed[..cut], "p").is_err(), "cut at {cut}");
        }
        for place in [head, head + chunk + 5, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(read(&changed, "p").is_err(), "changed at {place}");
        }
        let mut swapped = sealed.clone();
        let (first, second) = swapped[head..].split_at_mut(chunk);
        first.swap_with_slice(&mut second[..chunk]);
        assert!(read(&swapped, "p").is_err());
        let mut longer = sealed.clone();
        longer.push(0);
        assert!(read(&longer, "p").is_err());
    }

    #[test]
    fn other_files_and_hostile_first_lines_are_told_apart() {
        let hostile = [
            "",
            "\n",
            "{}",
            "{\"format\":\"sotto-export\",\"version\":1,\"seal\":null}",
            "{\"format\":\"other\",\"version\":1,\"seal\":null}\n",
            "{\"format\":\"sotto-export\",\"version\":1,\"seal\":{}}\n",
        ];
        for text in hostile {
            assert!(matches!(read(text.as_bytes(), "p"), Err(PortableError::NotOne)), "{text}");
        }
        let newer = b"{\"format\":\"sotto-export\",\"version\":2,\"seal\":null}\n";
        assert!(matches!(read(newer, "p"), Err(PortableError::Newer(2))));
        let sealed = String::from_utf8_lossy(&written(Some("p"), 0)).into_owned();
        let line = sealed.lines().next().expect("a first line");
        let costly = format!("{}\n", line.replace("\"memory_kib\":65536", "\"memory_kib\":4294967295"));
        assert!(matches!(read(costly.as_bytes(), "p"), Err(PortableError::NotOne)));
        let half = b"{\"format\":\"sotto-export\",\"version\":1,\"seal\":null}\n{\"i\":0}\n{\"i\":1}";
        assert!(matches!(read(half, "p"), Err(PortableError::Damaged)));
        let long =
            format!("{{\"format\":\"sotto-export\",\"version\":1,\"seal\":null}}\n{}", "1".repeat(300_000));
        assert!(matches!(read(long.as_bytes(), "p"), Err(PortableError::Damaged)));
    }
}
