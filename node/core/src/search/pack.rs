//! The folded words of up to [`LINES`] lines of one conversation, as one row.
//!
//! ```text
//! heads: place, kind, time, where its words end (15 bytes a line)  |  the words of all lines, one after the other
//! ```
//!
//! The words lie together, so that a question runs through a pack in one go and looks at single lines only where
//! it found something: what is opened for a question costs little more than reading and unsealing it.

use super::words::{self, Wanted};
use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use sotto_protocol::ids::UnixMillis;
use sotto_protocol::ordered::one_by_one;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Places in one pack. The row is about 100 KB: 1,024 lines of 60 to 100 bytes of words.
pub(super) const LINES: u64 = 1_024;

/// A line with more words than that is not copied but read again by each question that it may answer. It bounds a
/// pack at 2 MB, and a person seldom writes as much.
const FOLDED_BYTES_MAX: usize = 2 * 1024;

/// What there is to find in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) time: UnixMillis,
    /// The folded words; `None` if they are too many.
    folded: Option<String>,
}

impl Said {
    /// `None` for a text without a word.
    pub(super) fn new(time: UnixMillis, text: &str) -> Option<Self> {
        let folded = words::folded(text);
        (!folded.is_empty())
            .then(|| Self { time, folded: Some(folded).filter(|folded| folded.len() <= FOLDED_BYTES_MAX) })
    }

    /// True as well where only reading the line can tell.
    pub(super) fn may_match(&self, wanted: &Wanted) -> bool {
        self.folded.as_ref().is_none_or(|folded| wanted.are_in(folded))
    }
}

/// Lines by their places; one without words has its place and nothing else.
pub(super) type Lines = BTreeMap<u16, Option<Said>>;

/// See the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pack {
    /// Ascending by place.
    heads: Vec<Head>,
    words: Zeroizing<String>,
}

/// One line of a pack. Its words begin where those of the line before end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    place: u16,
    kind: Kind,
    time: UnixMillis,
    end: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing can be found there.
    Wordless,
    Words,
    /// Too many words to copy.
    Long,
}

impl Pack {
    pub(super) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.words.len().saturating_add(self.heads.len().saturating_mul(size_of::<Head>()))
    }

    pub(super) fn places(&self) -> impl Iterator<Item = u16> {
        self.heads.iter().map(|head| head.place)
    }

    /// For changing them.
    pub(super) fn into_lines(self) -> Lines {
        let mut start = 0;
        let line = |head: Head| {
            let words = self.words.get(start..head.end as usize).unwrap_or_default();
            start = head.end as usize;
            let said = |folded| Some(Said { time: head.time, folded });
            let line = match head.kind {
                Kind::Wordless => None,
                Kind::Words => said(Some(words.to_owned())),
                Kind::Long => said(None),
            };
            (head.place, line)
        };
        one_by_one(self.heads.into_iter().map(line))
    }

    /// Calls `found` with each line that may have the words.
    pub(super) fn matching(&self, wanted: &Wanted, mut found: impl FnMut(u16, UnixMillis)) {
        let words = self.words.as_bytes();
        let mut start = 0;
        while let Some(at) = words.get(start..).and_then(|rest| wanted.rarest_in(rest)) {
            let at = start.saturating_add(at);
            let line = self.heads.partition_point(|head| head.end as usize <= at);
            let Some(head) = self.heads.get(line) else { break };
            let before = line.checked_sub(1).and_then(|before| self.heads.get(before));
            let begin = before.map_or(0, |before| before.end as usize);
            let end = head.end as usize;
            if self.words.get(begin..end).is_some_and(|words| wanted.are_in(words)) {
                found(head.place, head.time);
            }
            start = end;
        }
        for head in self.heads.iter().filter(|head| head.kind == Kind::Long) {
            found(head.place, head.time);
        }
    }
}

impl From<Lines> for Pack {
    fn from(lines: Lines) -> Self {
        let mut pack = Self::default();
        for (place, said) in lines {
            let kind = match &said {
                None => Kind::Wordless,
                Some(Said { folded: Some(folded), .. }) => {
                    pack.words.push_str(folded);
                    Kind::Words
                }
                Some(_) => Kind::Long,
            };
            let end = u32::try_from(pack.words.len()).expect("1,024 lines of 2 KiB are 2 MiB");
            let time = said.map_or(UnixMillis(0), |said| said.time);
            pack.heads.push(Head { place, kind, time, end });
        }
        pack
    }
}

const HEAD_BYTES: usize = 15;

impl Head {
    fn bytes(self) -> impl Iterator<Item = u8> {
        let kind = match self.kind {
            Kind::Wordless => 0,
            Kind::Words => 1,
            Kind::Long => 2,
        };
        let (place, time, end) =
            (self.place.to_be_bytes(), self.time.0.to_be_bytes(), self.end.to_be_bytes());
        place.into_iter().chain([kind]).chain(time).chain(end)
    }

    const fn read(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        let [p0, p1, kind, t0, t1, t2, t3, t4, t5, t6, t7, e0, e1, e2, e3] = *bytes;
        let kind = match kind {
            0 => Kind::Wordless,
            1 => Kind::Words,
            2 => Kind::Long,
            _ => return None,
        };
        let time = UnixMillis(u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]));
        let (place, end) = (u16::from_be_bytes([p0, p1]), u32::from_be_bytes([e0, e1, e2, e3]));
        Some(Self { place, kind, time, end })
    }
}

impl Encode for Pack {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let heads: Vec<u8> = self.heads.iter().flat_map(|head| head.bytes()).collect();
        heads.encode(encoder)?;
        self.words.encode(encoder)
    }
}

impl Decode<()> for Pack {
    fn decode<D: Decoder<Context = ()>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let heads = Vec::<u8>::decode(decoder)?;
        let words = Zeroizing::new(String::decode(decoder)?);
        let (heads, rest) = heads.as_chunks::<HEAD_BYTES>();
        let heads: Option<Vec<Head>> = heads.iter().map(Head::read).collect();
        let pack = heads.filter(|_| rest.is_empty()).map(|heads| Self { heads, words });
        pack.filter(Self::is_sound).ok_or(DecodeError::Other("the heads of a pack do not fit its words"))
    }
}

impl Pack {
    /// Places ascend, and each line ends within the words and not within a character.
    fn is_sound(&self) -> bool {
        let ascends = |pair: &[Head]| {
            let [one, next] = pair else { return false };
            one.place < next.place && one.end <= next.end
        };
        self.heads.windows(2).all(ascends)
            && self.heads.iter().all(|head| self.words.is_char_boundary(head.end as usize))
            && self.heads.last().map_or(0, |head| head.end as usize) == self.words.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows;

    fn pack(texts: &[(u16, &str)]) -> Pack {
        let line = |(place, text): &(u16, &str)| (*place, Said::new(UnixMillis(u64::from(*place)), text));
        Pack::from(texts.iter().map(line).collect::<Lines>())
    }

    fn found(pack: &Pack, question: &str) -> Vec<u16> {
        let mut places = Vec::new();
        pack.matching(&Wanted::new(question), |place, time| {
            assert_eq!(time.0, u64::from(place));
            places.push(place);
        });
        places
    }

    #[test]
    fn a_line_is_found_by_its_own_words_and_not_by_its_neighbours() {
        let pack = pack(&[(2, "red apple"), (3, "?!"), (5, "green pear"), (9, "red pear tree")]);
        assert_eq!(found(&pack, "red"), [2, 9]);
        assert_eq!(found(&pack, "pear"), [5, 9]);
        assert_eq!(found(&pack, "red pear"), [9]);
        assert!(found(&pack, "apple green").is_empty());
        assert_eq!(found(&pack, "tree"), [9]);
    }

    #[test]
    fn the_lines_of_a_pack_are_those_that_it_was_made_of() {
        let long: String = (0..2_000).map(|word| format!("w{word} ")).collect();
        let pack = pack(&[(0, "größer"), (1, ""), (700, &long), (1023, "ende")]);
        assert_eq!(found(&pack, "größ"), [0, 700], "of a long line only reading it can tell");
        let again: Pack = rows::decode(&rows::encode(&pack)).unwrap();
        assert_eq!(again, pack);
        assert_eq!(Pack::from(again.into_lines()), pack);
    }

    #[test]
    fn a_pack_whose_parts_do_not_fit_each_other_is_refused() {
        let head = |place: u16, kind: u8, end: u32| {
            let mut bytes = place.to_be_bytes().to_vec();
            bytes.push(kind);
            bytes.extend_from_slice(&[0; 8]);
            bytes.extend_from_slice(&end.to_be_bytes());
            bytes
        };
        let open = |heads: &[Vec<u8>], words: &str| {
            rows::decode::<Pack>(&rows::encode(&(heads.concat(), words.to_owned()))).is_ok()
        };
        assert!(open(&[head(1, 1, 2), head(2, 1, 4)], " a b"), "a sound one");
        for (why, heads, words) in [
            ("an unknown kind", vec![head(1, 3, 2)], " a"),
            ("a part of a head", vec![head(1, 1, 2), vec![0; 3]], " a"),
            ("places that do not ascend", vec![head(2, 1, 2), head(2, 1, 4)], " a b"),
            ("an end before the one before", vec![head(1, 1, 4), head(2, 1, 2)], " a b"),
            ("an end beyond the words", vec![head(1, 1, 9)], " a"),
            ("words of no line", vec![head(1, 1, 1)], " a"),
            ("an end within a character", vec![head(1, 1, 2), head(2, 1, 3)], " ä"),
        ] {
            assert!(!open(&heads, words), "{why}");
        }
    }
}
