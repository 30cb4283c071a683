//! Out and in again, and what is refused on the way.

use crate::{Changed, Damaged, Incoming, Outgoing, Reading, Wanted};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sotto_e2ee::file::PART_BYTES;

fn parts(file: &[u8]) -> Vec<&[u8]> {
    if file.is_empty() { vec![file] } else { file.chunks(PART_BYTES as usize).collect() }
}

fn outgoing(file: &[u8]) -> Outgoing {
    let mut reading = Reading::new(file.len() as u64, &mut ChaCha20Rng::from_seed([3; 32])).expect("small");
    for (chunk, part) in parts(file).into_iter().enumerate() {
        let place = reading.part(chunk as u32).expect("there is one");
        assert_eq!(place, (chunk as u64 * PART_BYTES, part.len()));
        reading.take(part).expect("the next part");
    }
    reading.done("../notes.txt").expect("all of it")
}

fn incoming(out: &Outgoing) -> Incoming {
    let wanted = Wanted::read(&out.about().to_bytes()).expect("a file");
    assert_eq!(wanted.size(), out.list().size());
    wanted.list(&out.list().to_bytes()).expect("its list")
}

#[test]
fn a_file_of_several_chunks_comes_back_as_it_was_and_one_that_is_empty_too() {
    for length in [0, 5, 2 * PART_BYTES as usize + 77] {
        let file: Vec<u8> = (0..length).map(|place| b'a' + (place % 23) as u8).collect();
        let out = outgoing(&file);
        assert_eq!(out.about().name.as_str(), "notes.txt");
        assert_eq!(out.about().media_type, if length == 0 { "application/x-empty" } else { "text/plain" });
        let come = incoming(&out);
        let opened = parts(&file).into_iter().enumerate().flat_map(|(chunk, part)| {
            let chunk = chunk as u32;
            let sealed = out.seal(chunk, part.to_vec()).expect("as it was");
            assert_eq!(come.chunk_bytes(chunk), Some(sealed.len()));
            assert_eq!(come.part(chunk), out.part(chunk));
            come.open(chunk, &sealed).expect("opens").to_vec()
        });
        assert!(opened.collect::<Vec<u8>>() == file, "{length} bytes");
        let first = parts(&file)[0];
        let given = incoming(&out).done();
        assert!(given.list() == out.list());
        assert_eq!(given.seal(0, first.to_vec()), out.seal(0, first.to_vec()), "who got it can give it");
    }
}

#[test]
fn what_was_kept_of_a_file_that_goes_out_is_what_goes_out_later_and_nothing_else() {
    let file = vec![9; PART_BYTES as usize + 5];
    let mut reading = Reading::new(file.len() as u64, &mut ChaCha20Rng::from_seed([5; 32])).expect("small");
    let kept: Vec<Vec<u8>> =
        parts(&file).into_iter().map(|part| reading.take(part).expect("the next part")).collect();
    let out = reading.done("film.bin").expect("all of it");
    // After the page was closed there are its key, its list and the copy: no file.
    let again = incoming(&out).done();
    assert_eq!(again.about().to_bytes(), out.about().to_bytes());
    assert!(again.is_chunk(0, &kept[0]) && again.is_chunk(1, &kept[1]));
    assert!(!again.is_chunk(0, &kept[1]) && !again.is_chunk(2, &kept[1]));
    assert!(!again.is_chunk(1, &kept[1][1..]), "half of it was written");
    assert_eq!(
        again.seal(1, parts(&file)[1].to_vec()).as_ref(),
        Ok(&kept[1]),
        "the same file, chosen again, goes on"
    );
    assert_eq!(again.seal(0, vec![8; PART_BYTES as usize]), Err(Changed), "another one does not");
}

#[test]
fn a_part_that_changed_since_it_was_read_is_not_sealed_for_anybody() {
    let out = outgoing(b"the first version");
    assert_eq!(out.seal(0, b"the other version".to_vec()), Err(Changed));
    assert_eq!(out.seal(0, b"short".to_vec()), Err(Changed));
    assert_eq!(out.seal(1, Vec::new()), Err(Changed));
    let mut reading = Reading::new(17, &mut ChaCha20Rng::from_seed([4; 32])).expect("small");
    assert_eq!(reading.take(b"short"), Err(Changed));
    assert_eq!(reading.done("a").err(), Some(Changed), "a part is missing");
}

#[test]
fn a_list_or_a_chunk_that_is_not_the_files_is_refused() {
    let file = vec![7; PART_BYTES as usize + 5];
    let out = outgoing(&file);
    let wanted = || Wanted::read(&out.about().to_bytes()).expect("a file");
    let mut list = out.list().to_bytes();
    list[40] ^= 1;
    assert_eq!(wanted().list(&list).err(), Some(Damaged));
    assert_eq!(wanted().list(&[]).err(), Some(Damaged));
    assert!(Wanted::read(b"nonsense").is_none());
    let come = incoming(&out);
    let (first, last) = (parts(&file)[0], parts(&file)[1]);
    let mut sealed = out.seal(1, last.to_vec()).expect("as it was");
    assert_eq!(come.open(0, &sealed), Err(Damaged), "another chunk of the same file");
    sealed[3] ^= 0x80;
    assert_eq!(come.open(1, &sealed), Err(Damaged));
    assert_eq!(come.open(1, &[]), Err(Damaged));
    assert!(come.open(0, &out.seal(0, first.to_vec()).expect("as it was")).is_ok());
}
