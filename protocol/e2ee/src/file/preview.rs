//! A small picture of a file, made by whoever sends it, inside the message that says so: it is there before any of the file is.
//!
//! It is a JPEG of at most [`PREVIEW_EDGE_MAX`] points on each edge and [`PREVIEW_BYTES_MAX`] bytes. With head, name, key and a
//! short caption that fills the padding class of 8 KiB and never the next one, so a picture costs its conversation 8 KiB of
//! history, in the log and again in the archive, and whoever watches learns one class more: "a picture with a preview".
//!
//! It is a stranger's picture. Here nobody decodes it: what is taken for a preview has the marks of a JPEG up to its first scan,
//! in which it says once how large it is, within the limits. So no program that shows it is made to hold more points than
//! [`PREVIEW_EDGE_MAX`] squared by a picture that claims to be a small one.

use crate::content::{self, Malformed};
use bincode::{Decode, Encode};
use sotto_protocol::limits::EXTENSION_BYTES_MAX;

/// Bytes of a preview: the padding class of 8 KiB less 1 KiB for all that stands beside it (a head of 90, a file of 410 with the
/// longest name, and a caption of some lines).
pub const PREVIEW_BYTES_MAX: usize = 7 * 1024;

/// Points on each edge: as wide as a telephone shows it, and about what still looks like something in 7 KiB.
pub const PREVIEW_EDGE_MAX: u16 = 320;

/// Points on an edge of what it is a preview of: more than any picture has that somebody looks at.
pub const PICTURE_EDGE_MAX: u32 = 1 << 20;

/// A small picture of a file, and how large the whole one is.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Preview {
    width: u32,
    height: u32,
    jpeg: Vec<u8>,
}

impl std::fmt::Debug for Preview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Preview of {}x{} in {} bytes", self.width, self.height, self.jpeg.len())
    }
}

impl Preview {
    /// Of a picture so large; `None` if that is no size, or the bytes are no JPEG within the limits.
    #[must_use]
    pub fn new(width: u32, height: u32, jpeg: Vec<u8>) -> Option<Self> {
        let edges = 1..=PICTURE_EDGE_MAX;
        let fits = edges.contains(&width)
            && edges.contains(&height)
            && jpeg.len() <= PREVIEW_BYTES_MAX
            && size_of_jpeg(&jpeg).is_some();
        fits.then_some(Self { width, height, jpeg })
    }

    /// Points in a row of the whole picture, as its sender says.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Rows of the whole picture, as its sender says.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// The small picture.
    #[must_use]
    pub fn jpeg(&self) -> &[u8] {
        &self.jpeg
    }

    /// As parts of what an extension may hold.
    pub(crate) fn to_parts(&self) -> Vec<Vec<u8>> {
        content::write(self).chunks(EXTENSION_BYTES_MAX).map(<[u8]>::to_vec).collect()
    }

    /// Reads what [`Preview::to_parts`] wrote. What is none is passed over: the file is there without.
    pub(crate) fn from_joined(joined: &[u8]) -> Option<Self> {
        let Self { width, height, jpeg } = content::read(joined).ok()?;
        Self::new(width, height, jpeg)
    }

    /// What the parts of a client that are apart hand each other.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        content::write(self).to_vec()
    }

    /// Reads what [`Preview::to_bytes`] wrote.
    ///
    /// # Errors
    /// If it is something else, or over a limit.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::from_joined(bytes).ok_or(Malformed)
    }
}

/// Points in a row and rows that a JPEG says it has, where both are within [`PREVIEW_EDGE_MAX`]. Its segments are gone through up to
/// the first scan: one of them, and one only, is the head of a picture.
fn size_of_jpeg(bytes: &[u8]) -> Option<(u16, u16)> {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
    let mut size = None;
    while let [0xff, marker, high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).checked_sub(2)?;
        let (segment, behind) = after.split_at_checked(length)?;
        match (marker, segment) {
            // Sequential or progressive, with Huffman's codes, of eight bits.
            (0xc0..=0xc2, [8, high, low, wide, narrow, ..]) if size.is_none() => {
                let (rows, points) =
                    (u16::from_be_bytes([*high, *low]), u16::from_be_bytes([*wide, *narrow]));
                let edges = 1..=PREVIEW_EDGE_MAX;
                size = (edges.contains(&rows) && edges.contains(&points)).then_some((points, rows));
                size?;
            }
            (0xda, _) => return size,
            // Tables, an interval, what programs add, a remark.
            (0xc4 | 0xdb | 0xdd | 0xe0..=0xef | 0xfe, _) => {}
            _ => return None,
        }
        rest = behind;
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a JPEG begins with, so large, and a scan of so many bytes.
    pub(crate) fn jpeg(points: u16, rows: u16, scan: usize) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, b'J', b'F', 0xff, 0xc0, 0, 11, 8];
        bytes.extend(rows.to_be_bytes());
        bytes.extend(points.to_be_bytes());
        bytes.extend([1, 1, 0x11, 0, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0]);
        bytes.extend(vec![0x2a; scan]);
        bytes
    }

    #[test]
    fn a_preview_is_a_jpeg_that_says_itself_that_it_is_small() {
        assert!(Preview::new(4_000, 3_000, jpeg(320, 240, 100)).is_some());
        let longest = jpeg(320, 320, PREVIEW_BYTES_MAX - jpeg(1, 1, 0).len());
        assert_eq!(longest.len(), PREVIEW_BYTES_MAX);
        assert!(Preview::new(1, PICTURE_EDGE_MAX, longest.clone()).is_some());
        let two_heads = [&jpeg(320, 240, 0)[..21], &jpeg(320, 240, 0)[8..]].concat();
        for (width, height, bytes, why) in [
            (0, 1, jpeg(1, 1, 0), "of nothing"),
            (1, PICTURE_EDGE_MAX + 1, jpeg(1, 1, 0), "of more than anybody has"),
            (1, 1, [longest, vec![0]].concat(), "too long"),
            (1, 1, jpeg(321, 1, 9), "too wide"),
            (1, 1, jpeg(1, u16::MAX, 9), "too high"),
            (1, 1, jpeg(0, 1, 9), "empty"),
            (1, 1, two_heads, "of two sizes"),
            (1, 1, jpeg(320, 240, 9)[..20].to_vec(), "cut off"),
            (1, 1, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), "another format"),
            (1, 1, b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_vec(), "a program"),
            (1, 1, Vec::new(), "no bytes"),
        ] {
            assert_eq!(Preview::new(width, height, bytes), None, "{why}");
        }
    }

    #[test]
    fn a_preview_goes_from_one_part_of_a_client_to_the_other_whole() {
        let preview = Preview::new(4_000, 3_000, jpeg(320, 240, 6_000)).expect("small");
        assert_eq!(Preview::read(&preview.to_bytes()), Ok(preview.clone()));
        assert_eq!(preview.to_parts().len(), 2);
        assert_eq!(Preview::from_joined(&preview.to_parts().concat()), Some(preview));
        assert_eq!(Preview::read(&[]), Err(Malformed));
        let large = Preview { width: 1, height: 1, jpeg: jpeg(1_000, 1, 0) };
        assert_eq!(Preview::read(&large.to_bytes()), Err(Malformed));
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_refused_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            prop_assert!(Preview::read(&bytes).is_err());
            let mut bytes = Preview { width: 9, height: 9, jpeg: jpeg(320, 240, 20) }.to_bytes();
            for (place, byte) in changes {
                *place.get_mut(&mut bytes) = byte;
            }
            if let Ok(read) = Preview::read(&bytes) {
                prop_assert!(read.jpeg().len() <= PREVIEW_BYTES_MAX && size_of_jpeg(read.jpeg()).is_some());
            }
        }
    }
}
