//! The glue to JavaScript: what `web/ui/src/files/worker.ts` calls. Bytes of files are exact in doubles up to eight pebibytes.

use crate::{Incoming, Outgoing, Reading, Wanted};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sotto_e2ee::file;
use sotto_protocol::blob::Present;
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

/// A part of a file or a chunk of its blob: where it begins, and how long it is.
#[wasm_bindgen]
pub struct Part {
    /// Where it begins.
    pub start: f64,
    /// How long it is.
    pub bytes: u32,
}

#[expect(clippy::cast_precision_loss, reason = "no file has eight pebibytes")]
const fn number(bytes: u64) -> f64 {
    bytes as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "lengths of files are whole numbers"
)]
const fn length(number: f64) -> u64 {
    number as u64
}

#[expect(clippy::needless_pass_by_value, reason = "as errors come")]
fn thrown(error: impl ToString) -> JsError {
    JsError::new(&error.to_string())
}

fn place(part: Option<(u64, usize)>) -> Option<Part> {
    let (start, bytes) = part?;
    Some(Part { start: number(start), bytes: u32::try_from(bytes).ok()? })
}

/// The beginning of a file, which says what it is.
#[wasm_bindgen]
pub struct Head;

#[wasm_bindgen]
impl Head {
    /// How much of it is looked at.
    pub fn bytes() -> usize {
        file::HEAD_BYTES
    }

    /// The media type.
    pub fn kind(head: &[u8]) -> String {
        file::guess(head).to_owned()
    }

    /// The media type of a picture that may be shown.
    pub fn picture(head: &[u8]) -> Option<String> {
        file::picture(head).map(str::to_owned)
    }
}

/// A file that is read for the first time.
#[wasm_bindgen]
pub struct WebReading(Reading);

#[wasm_bindgen]
impl WebReading {
    /// Begins, under a key that is drawn here.
    ///
    /// # Errors
    /// If the file is too large for anybody, or the browser gives no randomness.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: f64) -> Result<Self, JsError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(thrown)?;
        let reading = Reading::new(length(bytes), &mut ChaCha20Rng::from_seed(*seed));
        reading.map(Self).ok_or_else(|| thrown("the file is larger than any that can be sent"))
    }

    /// Bytes of its blob.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> f64 {
        number(self.0.size().bytes())
    }

    /// Where a part is; nothing behind the last one.
    pub fn part(&self, chunk: u32) -> Option<Part> {
        place(self.0.part(chunk))
    }

    /// Takes the next part.
    ///
    /// # Errors
    /// If the file changed.
    pub fn take(&mut self, part: &[u8]) -> Result<(), JsError> {
        self.0.take(part).map_err(thrown)
    }

    /// All parts were taken.
    ///
    /// # Errors
    /// If they were not.
    pub fn done(self, name: &str) -> Result<WebOutgoing, JsError> {
        self.0.done(name).map(WebOutgoing).map_err(thrown)
    }
}

/// A file that was read once.
#[wasm_bindgen]
pub struct WebOutgoing(Outgoing);

#[wasm_bindgen]
impl WebOutgoing {
    /// The name of its blob.
    #[wasm_bindgen(getter)]
    pub fn root(&self) -> String {
        self.0.about().root.to_string()
    }

    /// The hashes of its chunks.
    #[wasm_bindgen(getter)]
    pub fn list(&self) -> Vec<u8> {
        self.0.list().to_bytes()
    }

    /// The chunks that are to be put, by what the relay says is there; nothing if that does not read.
    pub fn missing(&self, present: Vec<u8>) -> Option<Vec<u32>> {
        let present = Present::read(self.0.list().size(), present)?;
        Some(present.missing().collect())
    }

    /// What the engine sends.
    #[wasm_bindgen(getter)]
    pub fn about(&self) -> Vec<u8> {
        self.0.about().to_bytes().to_vec()
    }

    /// Where a part is; nothing behind the last one.
    pub fn part(&self, chunk: u32) -> Option<Part> {
        place(self.0.part(chunk))
    }

    /// Seals a part.
    ///
    /// # Errors
    /// If the file changed.
    pub fn seal(&self, chunk: u32, part: &[u8]) -> Result<Vec<u8>, JsError> {
        self.0.seal(chunk, part).map_err(thrown)
    }
}

/// A file that is wanted.
#[wasm_bindgen]
pub struct WebWanted(Wanted);

#[wasm_bindgen]
impl WebWanted {
    /// As the engine handed it over.
    ///
    /// # Errors
    /// If that is no file.
    #[wasm_bindgen(constructor)]
    pub fn new(about: &[u8]) -> Result<Self, JsError> {
        Wanted::read(about).map(Self).ok_or_else(|| thrown("this is no file"))
    }

    /// The name of its blob.
    #[wasm_bindgen(getter)]
    pub fn root(&self) -> String {
        self.0.about().root.to_string()
    }

    /// Bytes of the list of its chunks.
    #[wasm_bindgen(getter, js_name = listBytes)]
    pub fn list_bytes(&self) -> usize {
        self.0.size().list_bytes()
    }

    /// Takes that list.
    ///
    /// # Errors
    /// If it is another file's.
    pub fn list(self, list: &[u8]) -> Result<WebIncoming, JsError> {
        self.0.list(list).map(WebIncoming).map_err(thrown)
    }
}

/// A file whose chunks can be told from others.
#[wasm_bindgen]
pub struct WebIncoming(Incoming);

#[wasm_bindgen]
impl WebIncoming {
    /// Bytes of a chunk as the relay has it.
    #[wasm_bindgen(js_name = chunkBytes)]
    pub fn chunk_bytes(&self, chunk: u32) -> Option<usize> {
        self.0.chunk_bytes(chunk)
    }

    /// Where a part is; nothing behind the last one.
    pub fn part(&self, chunk: u32) -> Option<Part> {
        place(self.0.part(chunk))
    }

    /// Opens a chunk.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn open(&self, chunk: u32, sealed: &[u8]) -> Result<Vec<u8>, JsError> {
        self.0.open(chunk, sealed).map(|part| part.to_vec()).map_err(thrown)
    }
}
