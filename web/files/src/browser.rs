//! The glue to JavaScript: what `web/ui/src/files/worker.ts` calls. Bytes of files are exact in doubles up to eight pebibytes.

use crate::{Incoming, Outgoing, Reading, Wanted};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sotto_e2ee::file;
use sotto_node_core::peers::asking::{AT_ONCE, Answer, Asking};
use sotto_node_core::peers::chunks::{Chunks, SourceId};
use sotto_protocol::blob::{BlobRoot, BlobSize, ChunkList, Present};
use sotto_protocol::peer;
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

    /// Takes the next part; gives it sealed.
    ///
    /// # Errors
    /// If the file changed.
    pub fn take(&mut self, part: &[u8]) -> Result<Vec<u8>, JsError> {
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

    /// Bytes of its blob.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> f64 {
        number(self.0.list().size().bytes())
    }

    /// Bytes of the file.
    #[wasm_bindgen(getter)]
    pub fn bytes(&self) -> f64 {
        number(self.0.about().bytes)
    }

    /// Whether this is that chunk, sealed.
    #[wasm_bindgen(js_name = isChunk)]
    pub fn is_chunk(&self, chunk: u32, sealed: &[u8]) -> bool {
        self.0.is_chunk(chunk, sealed)
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

    /// Which chunks are here, for who asks on a link: all.
    #[wasm_bindgen(getter)]
    pub fn present(&self) -> Vec<u8> {
        Present::all(self.0.list().size()).as_bytes().to_vec()
    }

    /// Where a part is; nothing behind the last one.
    pub fn part(&self, chunk: u32) -> Option<Part> {
        place(self.0.part(chunk))
    }

    /// Seals a part.
    ///
    /// # Errors
    /// If the file changed.
    pub fn seal(&self, chunk: u32, part: Vec<u8>) -> Result<Vec<u8>, JsError> {
        self.0.seal(chunk, part).map_err(thrown)
    }

    /// The messages that answer a question about the chunk of this part, one behind the other.
    ///
    /// # Errors
    /// If the file changed.
    pub fn answer(&self, question: &WebQuestion, part: Vec<u8>) -> Result<Vec<u8>, JsError> {
        let sealed = question.chunk().map(|chunk| self.0.seal(chunk, part)).transpose().map_err(thrown)?;
        Ok(question.answer(sealed))
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

    /// The end of a link that asks for that list.
    pub fn listing(&self) -> WebListing {
        let (root, size) = (self.0.about().root, self.0.size());
        WebListing { root, size, asking: Asking::default(), is_gone: false }
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

    /// All of it is here.
    pub fn done(self) -> WebOutgoing {
        WebOutgoing(self.0.done())
    }

    /// Opens a chunk.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn open(&self, chunk: u32, sealed: &[u8]) -> Result<Vec<u8>, JsError> {
        self.0.open(chunk, sealed).map(|part| part.to_vec()).map_err(thrown)
    }
}

/// What somebody asks on a link.
#[wasm_bindgen]
pub struct WebQuestion {
    number: u32,
    question: peer::Question,
}

#[wasm_bindgen]
impl WebQuestion {
    /// Reads it; nothing if it is none of this version.
    pub fn read(message: &[u8]) -> Option<Self> {
        let (number, question) = peer::read_asking(message)?;
        Some(Self { number, question })
    }

    /// Of which blob.
    #[wasm_bindgen(getter)]
    pub fn root(&self) -> String {
        self.question.root.to_string()
    }

    /// Whether the hashes of its chunks are asked for.
    #[wasm_bindgen(getter, js_name = isList)]
    pub fn is_list(&self) -> bool {
        self.question.wanted == peer::Wanted::List
    }

    /// The chunk that is asked for; without one, and if it is not the list, which chunks are here.
    #[wasm_bindgen(getter)]
    pub fn chunk(&self) -> Option<u32> {
        match self.question.wanted {
            peer::Wanted::Chunk(chunk) => Some(chunk),
            peer::Wanted::List | peer::Wanted::Present => None,
        }
    }

    /// The messages of the answer, one behind the other; without one it is not here.
    pub fn answer(&self, answer: Option<Vec<u8>>) -> Vec<u8> {
        peer::answering(self.number, answer.as_deref())
    }
}

/// What came of a question on a link.
#[wasm_bindgen]
pub struct WebAnswer(Answer<u32>);

#[wasm_bindgen]
impl WebAnswer {
    /// Which chunk was asked for.
    #[wasm_bindgen(getter)]
    pub fn chunk(&self) -> u32 {
        self.0.of
    }

    /// The chunk; nothing if it is not there any more.
    pub fn sealed(self) -> Option<Vec<u8>> {
        self.0.came
    }
}

/// The end of a link that asks for the list of a file's chunks, which the relay has no more.
#[wasm_bindgen]
pub struct WebListing {
    root: BlobRoot,
    size: BlobSize,
    asking: Asking<()>,
    is_gone: bool,
}

#[wasm_bindgen]
impl WebListing {
    /// The message that asks for it.
    pub fn ask(&mut self) -> Option<Vec<u8>> {
        let question = peer::Question { root: self.root, wanted: peer::Wanted::List };
        self.asking.ask((), question, self.size.list_bytes())
    }

    /// Takes a message; gives the list when all of it is there.
    ///
    /// # Errors
    /// If it is no answer to that, or another file's list.
    pub fn take(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, JsError> {
        let Some(answer) = self.asking.take(message).map_err(thrown)? else { return Ok(None) };
        self.is_gone = answer.came.is_none();
        let Some(list) = answer.came else { return Ok(None) };
        ChunkList::read(self.root, self.size, &list).map_err(thrown)?;
        Ok(Some(list))
    }

    /// Whether the other end has the file no more either.
    #[wasm_bindgen(getter, js_name = isGone)]
    pub fn is_gone(&self) -> bool {
        self.is_gone
    }
}

/// The end of a link that asks.
#[wasm_bindgen]
pub struct WebAsking {
    root: BlobRoot,
    asking: Asking<u32>,
}

#[wasm_bindgen]
impl WebAsking {
    /// For this file.
    #[wasm_bindgen(constructor)]
    pub fn new(of: &WebIncoming) -> Self {
        Self { root: of.0.root(), asking: Asking::default() }
    }

    /// The message that asks for a chunk; nothing while as many are under way as may be.
    pub fn ask(&mut self, chunk: u32, bytes: usize) -> Option<Vec<u8>> {
        let question = peer::Question { root: self.root, wanted: peer::Wanted::Chunk(chunk) };
        self.asking.ask(chunk, question, bytes)
    }

    /// Takes a message.
    ///
    /// # Errors
    /// If it is no answer to what was asked.
    pub fn take(&mut self, message: &[u8]) -> Result<Option<WebAnswer>, JsError> {
        self.asking.take(message).map(|answer| answer.map(WebAnswer)).map_err(thrown)
    }
}

/// Who is asked for which chunk; see `Chunks` in `node/core/src/peers/chunks.rs`. The relay is source 0.
#[wasm_bindgen]
pub struct WebChunks(Chunks);

#[wasm_bindgen]
impl WebChunks {
    /// Chunks under way from one device, at most.
    #[wasm_bindgen(js_name = atOnce)]
    pub fn at_once() -> usize {
        AT_ONCE
    }

    /// Of a file of which these are missing. The relay is not asked before `hold`.
    #[wasm_bindgen(constructor)]
    pub fn new(missing: Vec<u32>, hold: f64) -> Self {
        Self(Chunks::new(missing, length(hold)))
    }

    /// Another hold for the relay.
    #[wasm_bindgen(js_name = holdUntil)]
    pub fn hold_until(&mut self, hold: f64) {
        self.0.hold_until(length(hold));
    }

    /// Somebody has it.
    pub fn add(&mut self, source: u32, window: usize, now: f64) {
        self.0.add(SourceId(source), source == 0, window, length(now));
    }

    /// Somebody is not asked any more.
    pub fn remove(&mut self, source: u32) {
        self.0.drop_source(SourceId(source));
    }

    /// The next chunk to ask this one for.
    pub fn next(&mut self, source: u32, now: f64) -> Option<u32> {
        self.0.next(SourceId(source), length(now))
    }

    /// A chunk came and is the file's; false if it was there already.
    pub fn came(&mut self, source: u32, chunk: u32, now: f64) -> bool {
        self.0.came(SourceId(source), chunk, length(now))
    }

    /// Whether nothing is missing and nothing under way.
    #[wasm_bindgen(getter, js_name = isDone)]
    pub fn is_done(&self) -> bool {
        self.0.is_done()
    }

    /// When to look again although nothing happened.
    #[wasm_bindgen(js_name = lookAgain)]
    pub fn look_again(&self, now: f64) -> Option<f64> {
        self.0.look_again(length(now)).map(number)
    }
}
