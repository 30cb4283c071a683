//! One end of a direct link, as far as what is said on it goes: questions under their numbers, answers put together from their messages.
//!
//! The other end is somebody else's program: it may answer what was not asked, more than there is, or nothing. What it sends is
//! bytes and no more until it is held against the file's hashes, which is done elsewhere.

use sotto_protocol::blob::BlobRoot;
use sotto_protocol::peer::{Question, Status, Wanted, asking, read_answering};

/// Chunks that are under way on one link, at most: each is 1 MiB at both ends.
pub const AT_ONCE: usize = 6;

/// Somebody does what no honest device does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what came is no answer to what was asked")]
pub struct Broke;

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Which chunk was asked for.
    pub chunk: u32,
    /// The chunk as it was sent; `None` if it is not there, or not any more.
    pub sealed: Option<Vec<u8>>,
}

struct UnderWay {
    number: u32,
    chunk: u32,
    bytes: usize,
    came: Vec<u8>,
}

/// The end that asks for the chunks of one file.
pub struct Asking {
    root: BlobRoot,
    next: u32,
    under_way: Vec<UnderWay>,
}

impl Asking {
    /// For this file.
    #[must_use]
    pub const fn new(root: BlobRoot) -> Self {
        Self { root, next: 0, under_way: Vec::new() }
    }

    /// The message that asks for a chunk of so many bytes; `None` while as many are under way as may be.
    pub fn ask(&mut self, chunk: u32, bytes: usize) -> Option<Vec<u8>> {
        if self.under_way.len() >= AT_ONCE {
            return None;
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.under_way.push(UnderWay { number, chunk, bytes, came: Vec::with_capacity(bytes) });
        Some(asking(number, Question { root: self.root, wanted: Wanted::Chunk(chunk) }))
    }

    /// Takes a message; gives an answer when all of it is there.
    ///
    /// # Errors
    /// If it answers nothing that was asked, or with more than there is.
    pub fn take(&mut self, message: &[u8]) -> Result<Option<Answer>, Broke> {
        let (number, status, part) = read_answering(message).ok_or(Broke)?;
        let place = self.under_way.iter().position(|one| one.number == number).ok_or(Broke)?;
        let one = self.under_way.get_mut(place).ok_or(Broke)?;
        let is_whole = match status {
            Status::Gone if part.is_empty() && one.came.is_empty() => true,
            // A message without a byte would let somebody talk for ever.
            Status::Here if !part.is_empty() && part.len() <= one.bytes.saturating_sub(one.came.len()) => {
                one.came.extend_from_slice(part);
                one.came.len() == one.bytes
            }
            _ => return Err(Broke),
        };
        if !is_whole {
            return Ok(None);
        }
        let UnderWay { chunk, came, .. } = self.under_way.swap_remove(place);
        Ok(Some(Answer { chunk, sealed: (status == Status::Here).then_some(came) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sotto_protocol::peer::{MESSAGE_BYTES_MAX, answering, read_asking};

    fn number_of(message: &[u8]) -> (u32, u32) {
        match read_asking(message) {
            Some((number, Question { root: BlobRoot([5, ..]), wanted: Wanted::Chunk(chunk) })) => {
                (number, chunk)
            }
            other => panic!("{other:?}"),
        }
    }

    fn taken(asking: &mut Asking, answer: &[u8]) -> Result<Option<Answer>, Broke> {
        let mut came = Ok(None);
        for message in answer.chunks(MESSAGE_BYTES_MAX) {
            assert_eq!(came, Ok(None));
            came = asking.take(message);
        }
        came
    }

    #[test]
    fn answers_are_put_together_in_whichever_order_they_come() {
        let mut asking = Asking::new(BlobRoot([5; 32]));
        let chunks = [vec![1; 200_000], vec![2; 17]];
        let asked = [(8, 0), (3, 1)].map(|(chunk, place): (u32, u32)| {
            let message = asking.ask(chunk, chunks[place as usize].len()).expect("room");
            assert_eq!(number_of(&message), (place, chunk));
            place
        });
        let last = taken(&mut asking, &answering(asked[1], Some(&chunks[1])));
        assert_eq!(last, Ok(Some(Answer { chunk: 3, sealed: Some(chunks[1].clone()) })));
        let first = taken(&mut asking, &answering(asked[0], Some(&chunks[0])));
        assert_eq!(first, Ok(Some(Answer { chunk: 8, sealed: Some(chunks[0].clone()) })));
        let gone = asking.ask(4, 10).map(|message| number_of(&message).0).expect("room");
        let answer = taken(&mut asking, &answering(gone, None));
        assert_eq!(answer, Ok(Some(Answer { chunk: 4, sealed: None })));
        let many = (0..100).filter(|chunk| asking.ask(*chunk, 1).is_some()).count();
        assert_eq!(many, AT_ONCE);
    }

    /// P-075.
    #[test]
    fn what_was_not_asked_what_is_too_much_and_what_never_ends_break_the_link() {
        let asked = || {
            let mut asking = Asking::new(BlobRoot([5; 32]));
            asking.ask(0, 10).expect("room");
            asking
        };
        for message in [
            answering(1, Some(&[1; 10])),
            answering(0, Some(&[1; 11])),
            answering(0, Some(&[])),
            [&answering(0, None)[..], &[1]].concat(),
            vec![0, 0, 0, 0, 3, 1],
            vec![0, 0],
            Vec::new(),
        ] {
            assert_eq!(asked().take(&message), Err(Broke), "{message:?}");
        }
        let mut half = asked();
        assert_eq!(half.take(&answering(0, Some(&[1; 6]))), Ok(None));
        assert_eq!(half.take(&answering(0, Some(&[1; 5]))), Err(Broke));
        assert_eq!(half.take(&answering(0, None)), Err(Broke), "first it was there");
        assert!(half.take(&answering(0, Some(&[1; 4]))).is_ok_and(|answer| answer.is_some()));
        assert_eq!(half.take(&answering(0, Some(&[1; 4]))), Err(Broke), "it counts once");
    }

    proptest! {
        #[test]
        fn whatever_comes_no_more_is_kept_than_was_asked_for(
            messages in proptest::collection::vec((0u32..3, 1u8..3, proptest::collection::vec(any::<u8>(), 0..40)), 0..40),
        ) {
            let mut asking = Asking::new(BlobRoot([5; 32]));
            for chunk in 0..2 {
                asking.ask(chunk, 50);
            }
            for (number, status, part) in messages {
                let message = [number.to_be_bytes().as_slice(), &[status], &part].concat();
                if let Ok(Some(answer)) = asking.take(&message) {
                    prop_assert!(answer.sealed.is_none_or(|sealed| sealed.len() == 50));
                }
                prop_assert!(asking.under_way.iter().all(|one| one.came.len() < 50));
            }
        }
    }
}
