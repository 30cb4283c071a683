//! Files of every size there and back, golden bytes, hostile chunks.

use super::*;
use proptest::prelude::*;

const PART: usize = PART_BYTES as usize;

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|place| (place * 7 % 253) as u8).collect()
}

fn key() -> FileKey {
    FileKey::of([9; 32])
}

fn seal(file: &[u8]) -> (Sealer, Vec<Vec<u8>>) {
    let sealer = Sealer::new(&key(), file.len() as u64).expect("small");
    let chunks = (0..sealer.size().chunks()).map(|chunk| {
        let (start, bytes) = sealer.part(chunk).expect("a part");
        sealer.seal(chunk, &file[start as usize..start as usize + bytes]).expect("as long as it should be")
    });
    let chunks = chunks.collect();
    (sealer, chunks)
}

/// P-071.
#[test]
fn a_file_of_any_size_is_read_as_it_was_and_its_root_is_the_plain_blake3_of_the_blob() {
    for bytes in [0, 1, 15, 16, PART - 1, PART, PART + 1, 2 * PART - 1, 2 * PART, 2 * PART + 1, 5 * PART + 77]
    {
        let file = content(bytes);
        let (sealer, chunks) = seal(&file);
        let blob = chunks.concat();
        assert_eq!(blob.len() as u64, sealer.size().bytes(), "{bytes} bytes");
        assert_eq!(chunks.len(), bytes.div_ceil(PART).max(1), "{bytes} bytes");
        assert!(chunks[..chunks.len() - 1].iter().all(|chunk| chunk.len() == 1024 * 1024));
        let hashes = chunks.iter().enumerate().map(|(n, chunk)| sealer.hash(n as u32, chunk).expect("whole"));
        let list = sealer.list(hashes.collect()).expect("all");
        assert_eq!(list.root().0, *blake3::hash(&blob).as_bytes());
        let opened: Vec<u8> = chunks
            .iter()
            .enumerate()
            .flat_map(|(n, chunk)| {
                assert!(list.is_chunk(n as u32, chunk));
                sealer.open(n as u32, chunk).expect("opens").to_vec()
            })
            .collect();
        assert!(opened == file, "{bytes} bytes");
    }
}

/// P-071.
#[test]
fn a_chunk_opens_at_its_own_place_in_its_own_file_only() {
    let (sealer, chunks) = seal(&content(2 * PART + 100));
    let other_key = Sealer::new(&FileKey::of([8; 32]), 2 * PART_BYTES + 100).expect("small");
    let longer = Sealer::new(&key(), 3 * PART_BYTES).expect("small");
    for (number, chunk) in chunks.iter().enumerate() {
        let number = number as u32;
        assert!(sealer.open(number, chunk).is_ok());
        assert!(sealer.open((number + 1) % 3, chunk).is_err(), "at another place");
        assert!(other_key.open(number, chunk).is_err(), "under another key");
        let mut changed = chunk.clone();
        changed[20] ^= 1;
        assert!(sealer.open(number, &changed).is_err(), "changed");
        assert!(sealer.open(number, &chunk[..chunk.len() - 1]).is_err(), "cut off");
    }
    // A file that ends where a chunk ends: that it is the last is part of what is sealed.
    let (_, whole) = seal(&content(2 * PART));
    assert!(longer.open(1, &whole[1]).is_err(), "the last chunk of a file is none in the middle of another");
    assert_eq!(sealer.open(3, &[]), Err(BadChunk(3)));
    assert_eq!(sealer.seal(0, b"short"), Err(BadChunk(0)));
}

/// Golden, by another implementation (Python): these bytes lie on relays.
#[test]
fn a_small_file_is_sealed_to_the_bytes_of_version_1() {
    let (sealer, chunks) = seal(b"hello");
    let hex: String = chunks[0].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "c08df39bbbfb99c7cea051c5218d04c55dfe0952c4");
    let list = sealer.list(vec![sealer.hash(0, &chunks[0]).expect("whole")]).expect("one");
    assert_eq!(list.root().to_string(), "b9a1a849a0824caaeb0161e9383e616f92882a93e5f1e494c37dafb2d6184886");
}

#[test]
fn the_largest_file_fits_its_blob_and_a_larger_one_is_refused() {
    let largest = blob_size(FILE_BYTES_MAX).expect("fits");
    assert_eq!(largest.bytes(), BLOB_CHUNKS_MAX * BLOB_CHUNK_BYTES);
    assert_eq!(blob_size(FILE_BYTES_MAX + 1), None);
    assert_eq!(blob_size(u64::MAX), None);
    assert!(Sealer::new(&key(), u64::MAX).is_none());
    assert_eq!(blob_size(0).map(BlobSize::bytes), Some(16));
}

#[test]
fn a_key_is_not_shown() {
    assert_eq!(format!("{:?}", key()), "FileKey");
}

proptest! {
    #[test]
    fn hostile_chunks_never_open_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096), chunk: u32, size: u64) {
        if let Some(sealer) = Sealer::new(&key(), size) {
            let _ = sealer.part(chunk);
            prop_assert!(sealer.open(chunk, &bytes).is_err());
            prop_assert!(sealer.open(0, &bytes).is_err());
        }
        let sealer = Sealer::new(&key(), (bytes.len() as u64).saturating_sub(16)).expect("small");
        prop_assert!(sealer.open(0, &bytes).is_err());
    }
}

#[test]
fn a_file_goes_from_one_part_of_a_client_to_the_other_whole_and_its_name_is_made_safe_on_the_way() {
    let about = FileAbout {
        name: FileName::lossy("holiday.jpg"),
        bytes: 5,
        media_type: "image/jpeg".to_owned(),
        root: BlobRoot([7; 32]),
        key: key(),
    };
    assert_eq!(FileAbout::read(&about.to_bytes()), Ok(about.clone()));
    let hostile = content::write(&("../../.bashrc", 5_u64, "image/jpeg", about.root, &about.key));
    assert_eq!(FileAbout::read(&hostile).map(|read| read.name), Ok(FileName::lossy("bashrc")));
    let bytes = about.to_bytes();
    assert_eq!(FileAbout::read(&bytes[1..]), Err(Malformed));
    assert_eq!(FileAbout::read(&[]), Err(Malformed));
    let large = content::write(&("a", FILE_BYTES_MAX + 1, "", about.root, &about.key));
    assert_eq!(FileAbout::read(&large), Err(Malformed));
}
