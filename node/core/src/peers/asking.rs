//! The end of a data channel that asks, as far as what is said on it goes: questions under their numbers, answers put together from
//! their messages.
//!
//! The other end is somebody else's program: it may answer what was not asked, more than there is, or nothing. What it sends is
//! bytes and no more until it is held against the file's hashes, which is done elsewhere.

use sotto_protocol::peer::{Question, Status, asking, read_answering};

/// Questions that are under way on one link, at most: a chunk is 1 MiB at both ends.
pub const AT_ONCE: usize = 6;

/// Somebody does what no honest device does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what came is no answer to what was asked")]
pub struct Broke;

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// What the question was asked for.
    pub of: T,
    /// What was sent; `None` if it is not there, or not any more.
    pub came: Option<Vec<u8>>,
}

struct UnderWay<T> {
    number: u32,
    of: T,
    bytes: usize,
    came: Vec<u8>,
}

/// The end that asks; of each question it remembers a `T`.
pub struct Asking<T> {
    next: u32,
    under_way: Vec<UnderWay<T>>,
}

impl<T> Default for Asking<T> {
    fn default() -> Self {
        Self { next: 0, under_way: Vec::new() }
    }
}

impl<T> Asking<T> {
    /// Whether one more may be asked.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.under_way.len() < AT_ONCE
    }

    /// Whether an answer is waited for.
    #[must_use]
    pub const fn waits(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// The message that asks for what has so many bytes; `None` while as many are under way as may be.
    pub fn ask(&mut self, of: T, question: Question, bytes: usize) -> Option<Vec<u8>> {
        if !self.has_room() {
            return None;
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.under_way.push(UnderWay { number, of, bytes, came: Vec::with_capacity(bytes) });
        Some(asking(number, question))
    }

    /// Takes a message; gives an answer when all of it is there.
    ///
    /// # Errors
    /// If it answers nothing that was asked, or with more than there is.
    pub fn take(&mut self, message: &[u8]) -> Result<Option<Answer<T>>, Broke> {
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
        let UnderWay { of, came, .. } = self.under_way.swap_remove(place);
        Ok(Some(Answer { of, came: (status == Status::Here).then_some(came) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sotto_protocol::blob::BlobRoot;
    use sotto_protocol::peer::{MESSAGE_BYTES_MAX, Wanted, answering, read_asking};

    fn ask(asking: &mut Asking<u32>, chunk: u32, bytes: usize) -> Option<Vec<u8>> {
        let question = Question { root: BlobRoot([5; 32]), wanted: Wanted::Chunk(chunk) };
        asking.ask(chunk, question, bytes)
    }

    fn number_of(message: &[u8]) -> (u32, u32) {
        match read_asking(message) {
            Some((number, Question { root: BlobRoot([5, ..]), wanted: Wanted::Chunk(chunk) })) => {
                (number, chunk)
            }
            other => panic!("{other:?}"),
        }
    }

    fn taken(asking: &mut Asking<u32>, answer: &[u8]) -> Result<Option<Answer<u32>>, Broke> {
        let mut came = Ok(None);
        for message in answer.chunks(MESSAGE_BYTES_MAX) {
            assert_eq!(came, Ok(None));
            came = asking.take(message);
        }
        came
    }

    #[test]
    fn answers_are_put_together_in_whichever_order_they_come() {
        let mut asking = Asking::default();
        let chunks = [vec![1; 200_000], vec![2; 17]];
        let asked = [(8, 0), (3, 1)].map(|(chunk, place): (u32, u32)| {
            let message = ask(&mut asking, chunk, chunks[place as usize].len()).expect("room");
            assert_eq!(number_of(&message), (place, chunk));
            place
        });
        let last = taken(&mut asking, &answering(asked[1], Some(&chunks[1])));
        assert_eq!(last, Ok(Some(Answer { of: 3, came: Some(chunks[1].clone()) })));
        let first = taken(&mut asking, &answering(asked[0], Some(&chunks[0])));
        assert_eq!(first, Ok(Some(Answer { of: 8, came: Some(chunks[0].clone()) })));
        let gone = ask(&mut asking, 4, 10).map(|message| number_of(&message).0).expect("room");
        let answer = taken(&mut asking, &answering(gone, None));
        assert_eq!(answer, Ok(Some(Answer { of: 4, came: None })));
        let many = (0..100).filter(|chunk| ask(&mut asking, *chunk, 1).is_some()).count();
        assert_eq!(many, AT_ONCE);
    }

    /// P-075.
    #[test]
    fn what_was_not_asked_what_is_too_much_and_what_never_ends_break_the_link() {
        let asked = || {
            let mut asking = Asking::default();
            ask(&mut asking, 0, 10).expect("room");
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
            let mut asking = Asking::default();
            for chunk in 0..2 {
                ask(&mut asking, chunk, 50);
            }
            for (number, status, part) in messages {
                let message = [number.to_be_bytes().as_slice(), &[status], &part].concat();
                if let Ok(Some(answer)) = asking.take(&message) {
                    prop_assert!(answer.came.is_none_or(|came| came.len() == 50));
                }
                prop_assert!(asking.under_way.iter().all(|one| one.came.len() < 50));
            }
        }
    }
}
