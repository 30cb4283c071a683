//! The tree is BLAKE3's own; hostile lists are refused.

use super::*;
use proptest::prelude::*;

const CHUNK: usize = 1024 * 1024;

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 251) as u8).collect()
}

fn list(blob: &[u8]) -> ChunkList {
    let size = BlobSize::new(blob.len() as u64).expect("a size");
    let hash = |(number, chunk): (usize, &[u8])| chunk_hash(size, number as u32, chunk).expect("whole");
    ChunkList::of(size, blob.chunks(CHUNK).enumerate().map(hash).collect()).expect("as many as the size says")
}

/// P-070.
#[test]
fn the_root_is_the_plain_blake3_of_the_whole_blob() {
    for length in
        [16, 17, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5, 4 * CHUNK, 5 * CHUNK, 7 * CHUNK + 1]
    {
        let blob = bytes(length);
        let list = list(&blob);
        assert_eq!(list.root().0, *blake3::hash(&blob).as_bytes(), "{length} bytes");
        let read = ChunkList::read(list.root(), list.size(), &list.to_bytes());
        assert_eq!(read, Ok(list), "{length} bytes");
    }
}

/// P-070.
#[test]
fn another_chunk_and_another_list_are_refused() {
    let blob = bytes(3 * CHUNK + 100);
    let list = list(&blob);
    let chunk = |number: usize| &blob[number * CHUNK..blob.len().min((number + 1) * CHUNK)];
    for number in 0..4_u32 {
        assert!(list.is_chunk(number, chunk(number as usize)));
        let mut other = chunk(number as usize).to_vec();
        other[50] ^= 1;
        assert!(!list.is_chunk(number, &other), "a changed bit");
        assert!(!list.is_chunk(number, &other[..99]), "cut off");
        assert!(!list.is_chunk((number + 1) % 4, chunk(number as usize)), "at another place");
    }
    assert!(!list.is_chunk(4, &[]) && !list.is_chunk(u32::MAX, &[]));
    let mut hashes = list.to_bytes();
    let read = |hashes: &[u8]| ChunkList::read(list.root(), list.size(), hashes);
    assert_eq!(read(&hashes[..96]), Err(BadList::Length));
    assert_eq!(read(&[hashes.as_slice(), &[0; 32]].concat()), Err(BadList::Length));
    hashes.swap(0, 40);
    assert_eq!(read(&hashes), Err(BadList::Root));
}

#[test]
fn a_blob_has_a_size_within_the_limits_and_chunks_that_add_up_to_it() {
    for bad in [0, 15, BLOB_CHUNKS_MAX * BLOB_CHUNK_BYTES + 1, u64::MAX] {
        assert_eq!(BlobSize::new(bad), Err(BadSize), "{bad}");
    }
    let largest = BlobSize::new(BLOB_CHUNKS_MAX * BLOB_CHUNK_BYTES).expect("the largest");
    assert_eq!(u64::from(largest.chunks()), BLOB_CHUNKS_MAX);
    assert_eq!(largest.list_bytes(), crate::limits::BLOB_LIST_BYTES_MAX);
    for bytes in [16, BLOB_CHUNK_BYTES, BLOB_CHUNK_BYTES + 1, 9 * BLOB_CHUNK_BYTES] {
        let size = BlobSize::new(bytes).expect("a size");
        let sum: usize = (0..size.chunks()).filter_map(|chunk| size.chunk_bytes(chunk)).sum();
        assert_eq!(sum as u64, bytes);
        assert_eq!(size.chunk_bytes(size.chunks()), None);
    }
    assert_eq!(largest.chunk_bytes(u32::MAX), None);
}

#[test]
fn which_chunks_are_there_is_read_as_it_was_written_and_nothing_beyond() {
    let size = BlobSize::new(11 * BLOB_CHUNK_BYTES).expect("a size");
    let mut present = Present::none(size);
    [0, 3, 10, 11, 4_000].into_iter().for_each(|chunk| present.add(chunk));
    assert_eq!(present.as_bytes(), [0b1001_0000, 0b0010_0000]);
    assert_eq!(present.missing().count(), 8);
    assert!(present.has(10) && !present.has(11) && !present.has(9));
    assert_eq!(Present::read(size, present.as_bytes().to_vec()), Some(present));
    assert!(Present::all(size).is_all());
    for bad in [vec![0], vec![0, 0, 0], vec![0, 0b0001_0000]] {
        assert_eq!(Present::read(size, bad), None);
    }
}

proptest! {
    #[test]
    fn a_hostile_list_never_panics_and_is_never_taken(
        size in 16..200 * BLOB_CHUNK_BYTES, root in any::<[u8; 32]>(), bytes in proptest::collection::vec(any::<u8>(), 0..8192)
    ) {
        let size = BlobSize::new(size).expect("a size");
        prop_assert!(ChunkList::read(BlobRoot(root), size, &bytes).is_err());
        let _ = Present::read(size, bytes);
    }

    #[test]
    fn the_tree_of_any_number_of_chunks_is_that_of_blake3(chunks in 1_usize..9, last in 16..CHUNK) {
        let blob = bytes((chunks - 1) * CHUNK + last);
        prop_assert_eq!(list(&blob).root().0, *blake3::hash(&blob).as_bytes());
    }
}
