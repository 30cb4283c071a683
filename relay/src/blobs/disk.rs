//! How blobs lie in their folder. Everything here blocks.
//!
//! ```text
//! blobs/CONVERSATION/ROOT/about      who uploaded it, how large it is, since when it is whole: version 1 | bincode
//! blobs/CONVERSATION/ROOT/list       the hashes of its chunks
//! blobs/CONVERSATION/ROOT/00017      a chunk; while it comes 00017.HEX.part
//! ```
//!
//! Each file is written under another name, fsynced, renamed, and its folder fsynced: what has its name is whole, whenever the
//! power goes. `about` comes last, so a folder without it is what a crash left of a beginning. Chunks never change.

use bincode::{Decode, Encode};
use sotto_protocol::blob::{BlobPlace, BlobSize, HASH_BYTES, Present};
use sotto_protocol::ids::{AccountId, ConversationId, UnixMillis};
use sotto_relay_core::blobs::Blob;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

const VERSION: u8 = 1;
const ABOUT: &str = "about";
const LIST: &str = "list";
const PART: &str = "part";

/// An `about` is less than this.
const ABOUT_BYTES_MAX: usize = 256;

#[derive(Encode, Decode)]
struct About {
    uploader: AccountId,
    bytes: u64,
    whole_since: Option<UnixMillis>,
}

/// The folder of all blobs.
#[derive(Debug, Clone)]
pub(super) struct BlobFolder(PathBuf);

impl BlobFolder {
    /// Makes it if it is missing; what a crash left half done is deleted.
    pub(super) fn open(path: PathBuf, now: UnixMillis) -> io::Result<(Self, Vec<(BlobPlace, Blob)>)> {
        make(&path)?;
        let folder = Self(path);
        let mut found = Vec::new();
        for (conversation, path) in named(&folder.0)? {
            let Ok(conversation) = conversation.parse::<ConversationId>() else { continue };
            for (root, path) in named(&path)? {
                let Ok(root) = root.parse() else { continue };
                match read_about(&path, now) {
                    Some(blob) => {
                        delete_parts(&path)?;
                        found.push((BlobPlace { conversation, root }, blob));
                    }
                    None => fs::remove_dir_all(&path)?,
                }
            }
        }
        Ok((folder, found))
    }

    fn of(&self, place: BlobPlace) -> PathBuf {
        self.0.join(place.conversation.to_string()).join(place.root.to_string())
    }

    /// Begins a blob.
    pub(super) fn begin(&self, place: BlobPlace, blob: &Blob, list: &[u8]) -> io::Result<()> {
        let path = self.of(place);
        let parent = self.0.join(place.conversation.to_string());
        make(&path)?;
        write(&path, LIST, list)?;
        self.keep(place, blob)?;
        sync(&parent)?;
        sync(&self.0)
    }

    /// Writes down what is known of it.
    pub(super) fn keep(&self, place: BlobPlace, blob: &Blob) -> io::Result<()> {
        let about =
            About { uploader: blob.uploader, bytes: blob.size.bytes(), whole_since: blob.whole_since };
        let mut bytes = vec![VERSION];
        bytes.extend(
            bincode::encode_to_vec(&about, bincode::config::standard())
                .expect("writing to memory does not fail"),
        );
        write(&self.of(place), ABOUT, &bytes)
    }

    /// Which chunks are there.
    pub(super) fn present(&self, place: BlobPlace, size: BlobSize) -> io::Result<Present> {
        let mut present = Present::none(size);
        for (name, _) in named(&self.of(place))? {
            if let Ok(chunk) = name.parse() {
                present.add(chunk);
            }
        }
        Ok(present)
    }

    /// What the list has for a chunk.
    pub(super) fn hash(&self, place: BlobPlace, chunk: u32) -> io::Result<[u8; HASH_BYTES]> {
        let mut list = File::open(self.of(place).join(LIST))?;
        list.seek(SeekFrom::Start(u64::from(chunk) * HASH_BYTES as u64))?;
        let mut hash = [0; HASH_BYTES];
        list.read_exact(&mut hash)?;
        Ok(hash)
    }

    /// Where the list is.
    pub(super) fn list(&self, place: BlobPlace) -> PathBuf {
        self.of(place).join(LIST)
    }

    /// Where a chunk is.
    pub(super) fn chunk(&self, place: BlobPlace, chunk: u32) -> PathBuf {
        self.of(place).join(format!("{chunk:05}"))
    }

    /// A file for a chunk that comes; it is deleted unless it is [kept](Incoming::keep).
    pub(super) fn incoming(&self, place: BlobPlace, chunk: u32) -> Incoming {
        let last = self.chunk(place, chunk);
        let name = data_encoding::HEXLOWER.encode(&rand::random::<[u8; 8]>());
        Incoming { path: last.with_extension(format!("{name}.{PART}")), last, is_kept: false }
    }

    /// Deletes a blob. It is nobody's first, so that what a crash leaves is deleted at the next start.
    pub(super) fn remove(&self, place: BlobPlace) -> io::Result<()> {
        let path = self.of(place);
        not_found_is_fine(fs::remove_file(path.join(ABOUT)))?;
        not_found_is_fine(fs::remove_dir_all(&path))?;
        // The conversation's folder goes with its last blob.
        let _ = fs::remove_dir(self.0.join(place.conversation.to_string()));
        Ok(())
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// A chunk that is coming.
pub(super) struct Incoming {
    /// Where its bytes go.
    pub(super) path: PathBuf,
    last: PathBuf,
    is_kept: bool,
}

impl Incoming {
    /// It is whole and right: it gets its name, for good.
    pub(super) fn keep(mut self, file: &File) -> io::Result<()> {
        file.sync_data()?;
        fs::rename(&self.path, &self.last)?;
        self.is_kept = true;
        self.last.parent().map_or(Ok(()), sync)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.is_kept {
            // What stays is deleted at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn read_about(path: &Path, now: UnixMillis) -> Option<Blob> {
    let bytes = fs::read(path.join(ABOUT)).ok()?;
    let (version, rest) = bytes.split_first()?;
    let config = bincode::config::standard().with_limit::<ABOUT_BYTES_MAX>();
    let (about, _): (About, usize) = bincode::decode_from_slice(rest, config).ok()?;
    let size = BlobSize::new(about.bytes).ok()?;
    let is_sound = *version == VERSION
        && fs::metadata(path.join(LIST)).is_ok_and(|list| list.len() == size.list_bytes() as u64);
    is_sound.then_some(Blob { uploader: about.uploader, size, whole_since: about.whole_since, touched: now })
}

fn delete_parts(path: &Path) -> io::Result<()> {
    for (name, path) in named(path)? {
        if name.ends_with(PART) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// What is in a folder, with names that are text.
fn named(path: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
    Ok(entries
        .into_iter()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect())
}

/// Writes a small file, whole or not at all.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let next = folder.join(format!("{name}.{PART}"));
    let mut file = File::create(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&next, folder.join(name))?;
    sync(folder)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(unix)]
fn make(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn make(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

fn not_found_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_protocol::blob::BlobRoot;

    fn place(number: u8) -> BlobPlace {
        BlobPlace { conversation: ConversationId([7; 16]), root: BlobRoot([number; 32]) }
    }

    fn blob(whole_since: Option<UnixMillis>) -> Blob {
        let size = BlobSize::new(2 * 1024 * 1024 + 100).unwrap();
        Blob { uploader: AccountId([1; 16]), size, whole_since, touched: UnixMillis(9) }
    }

    #[test]
    fn what_was_begun_is_found_again_and_what_a_crash_left_half_done_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let open = || BlobFolder::open(home.path().join("blobs"), UnixMillis(9)).unwrap();
        let (folder, found) = open();
        assert_eq!(found, []);
        folder.begin(place(1), &blob(None), &[5; 96]).unwrap();
        folder.begin(place(2), &blob(Some(UnixMillis(3))), &[6; 96]).unwrap();
        assert_eq!(folder.hash(place(2), 2).unwrap(), [6; 32]);
        let incoming = folder.incoming(place(1), 1);
        let mut file = File::create(&incoming.path).unwrap();
        file.write_all(b"chunk").unwrap();
        incoming.keep(&file).unwrap();
        let dropped = folder.incoming(place(1), 2);
        File::create(&dropped.path).unwrap();
        drop(dropped);
        // As a kill leaves them: a chunk that was coming, a blob without its last file, one that is damaged.
        std::mem::forget(folder.incoming(place(1), 0));
        File::create(folder.incoming(place(1), 0).path.clone()).unwrap();
        folder.begin(place(3), &blob(None), &[5; 96]).unwrap();
        fs::remove_file(folder.of(place(3)).join(ABOUT)).unwrap();
        folder.begin(place(4), &blob(None), &[5; 95]).unwrap();
        let (folder, mut found) = open();
        found.sort_by_key(|(place, _)| *place);
        assert_eq!(found, [(place(1), blob(None)), (place(2), blob(Some(UnixMillis(3))))]);
        let present = folder.present(place(1), blob(None).size).unwrap();
        assert_eq!(present.missing().collect::<Vec<_>>(), [0, 2]);
        let names: Vec<String> =
            named(&folder.of(place(1))).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        folder.remove(place(1)).unwrap();
        folder.remove(place(2)).unwrap();
        folder.remove(place(2)).unwrap();
        assert_eq!(named(folder.path()).unwrap(), []);
    }
}
