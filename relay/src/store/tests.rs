//! What every store must do, run against sled.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering};

const C: ConversationId = ConversationId([1; 16]);

fn options(home: &tempfile::TempDir) -> SledOptions {
    SledOptions { reserve_bytes: 0, ..SledOptions::new(home.path().join("log")) }
}

fn batch(number: u64) -> Vec<u8> {
    // Some need several pieces.
    let length = if number.is_multiple_of(3) { keys::PIECE_BYTES * 2 + 77 } else { 200 };
    (0..length).map(|place| (place as u64 ^ number).to_le_bytes()[0]).collect()
}

fn replayed(store: &dyn LogStore, applied: u64) -> Vec<(u64, u64, Vec<u8>)> {
    let mut all = Vec::new();
    store
        .replay(BatchNumber(applied), &mut |shard, number, bytes| {
            all.push((shard.0, number.0, bytes.to_vec()));
            Ok(())
        })
        .unwrap();
    all
}

/// The contract of [`LogStore`], for any implementation: `open` opens the same store again.
fn conforms<S: LogStore>(open: impl Fn() -> S, span_ms: u64) {
    let mut store = open();
    assert_eq!(store.restore().unwrap().applied, BatchNumber(0));
    let mut expected = Vec::new();
    for number in 1..=40 {
        let time = UnixMillis(number / 10 * span_ms);
        let shard = store.shard_at(time).unwrap();
        store.append(BatchNumber(number), &batch(number)).unwrap();
        expected.push((shard.0, number, batch(number)));
    }
    drop(store);
    let store = open();
    assert_eq!(replayed(&store, 0), expected);
    let reader = store.reader();
    for (shard, number, bytes) in &expected {
        for (offset, length) in [(0, 100), (10, 190), (0, bytes.len()), (bytes.len() / 2, bytes.len() / 2)] {
            let range = offset..offset + length;
            let (shard, batch) = (ShardId(*shard), BatchNumber(*number));
            let [from, take] = [offset, length].map(|value| u32::try_from(value).unwrap());
            let got = reader.bytes(shard, batch, from, take).unwrap().unwrap();
            assert_eq!(got, bytes[range], "batch {number}");
        }
    }
    assert_eq!(reader.bytes(ShardId(99), BatchNumber(1), 0, 1).unwrap(), None);

    let shards: Vec<ShardId> = expected.iter().map(|(shard, ..)| ShardId(*shard)).collect();
    let run = |number: u64| Run {
        shard: shards[usize::try_from(number).unwrap() - 1],
        batch: BatchNumber(number),
        first: Sequence(number * 3),
        count: 3,
        offset: 7,
        cores: 90,
        archives: 12,
    };
    let group = Bytes::from(vec![7; keys::PIECE_BYTES * 3]);
    let mut checkpoint = Checkpoint {
        applied: BatchNumber(40),
        shard: shards.last().copied(),
        rows: vec![
            (Row::Conversation(C), Some(Bytes::from_static(b"conversation"))),
            (Row::Group(C), Some(group.clone())),
            (Row::Waiting(DeviceId([3; 16])), Some(Bytes::from_static(b"waiting"))),
            (Row::Holding(AccountId([4; 16])), Some(Bytes::from_static(b"holding"))),
        ],
        runs: vec![(C, (1..=40).map(run).collect())],
    };
    store.checkpointer().save(&checkpoint).unwrap();
    assert_eq!(reader.row(&Row::Group(C)).unwrap(), Some(group));
    checkpoint.rows = vec![
        (Row::Group(C), Some(Bytes::from_static(b"smaller"))),
        (Row::Joining(C, Epoch(1)), Some(Bytes::new())),
    ];
    checkpoint.runs.clear();
    assert_eq!(store.restore().unwrap().holdings, None, "nothing says that they count everything");
    checkpoint.rows.push((Row::Counted, Some(Bytes::new())));
    store.checkpointer().save(&checkpoint).unwrap();
    drop((store, reader));

    let mut store = open();
    let restored = store.restore().unwrap();
    assert_eq!(restored.applied, BatchNumber(40));
    assert_eq!(restored.conversations, [&b"conversation"[..]]);
    assert_eq!(restored.waiting, [(DeviceId([3; 16]), Bytes::from_static(b"waiting"))]);
    assert_eq!(restored.holdings, Some(vec![(AccountId([4; 16]), Bytes::from_static(b"holding"))]));
    assert_eq!(replayed(&store, 40), []);
    let reader = store.reader();
    assert_eq!(reader.row(&Row::Group(C)).unwrap().unwrap(), &b"smaller"[..]);
    assert_eq!(reader.row(&Row::Joining(C, Epoch(1))).unwrap(), Some(Bytes::new()));
    assert_eq!(reader.row(&Row::Joining(C, Epoch(2))).unwrap(), None);
    let found = reader.runs(shards[12], C, Sequence(40)).unwrap();
    assert!(found.contains(&run(13)), "{found:?}");
    assert_eq!(reader.runs(shards[12], ConversationId([2; 16]), Sequence(40)).unwrap(), []);
    // A shard is never older than the newest one, whatever the clock says.
    assert_eq!(store.shard_at(UnixMillis(0)).unwrap(), shards[39]);
    store.append(BatchNumber(41), b"later").unwrap();
    assert_eq!(replayed(&store, 40), [(shards[39].0, 41, b"later".to_vec())]);
}

#[test]
fn sled_keeps_the_contract_and_makes_no_files_that_are_not_synced() {
    let home = tempfile::tempdir().unwrap();
    let options = SledOptions { shard_span: Duration::from_millis(1000), ..options(&home) };
    conforms(|| sled::open(&options).unwrap(), 1000);
    for folder in std::fs::read_dir(home.path().join("log/shards")).unwrap() {
        let blobs = folder.unwrap().path().join("blobs");
        assert_eq!(std::fs::read_dir(&blobs).unwrap().count(), 0, "{}", blobs.display());
    }
}

#[test]
fn many_large_batches_make_no_blob_files() {
    let home = tempfile::tempdir().unwrap();
    let mut store = sled::open(&options(&home)).unwrap();
    let shard = store.shard_at(UnixMillis(0)).unwrap();
    let bytes = vec![1; 300_000];
    for number in 1..=60 {
        store.append(BatchNumber(number), &bytes).unwrap();
    }
    let blobs = layout::shard_folder(&home.path().join("log/shards"), shard).join("blobs");
    assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 0);
}

#[test]
fn a_store_of_another_format_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    drop(sled::open(&options(&home)).unwrap());
    let path = home.path().join("log/FORMAT");
    std::fs::write(&path, "sotto relay log, format 4\n").unwrap();
    let error = sled::open(&options(&home)).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Format { .. }), "{error}");
    assert!(error.to_string().contains("format 3"), "{error}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "sotto relay log, format 4\n");
}

#[test]
fn a_store_of_the_first_format_is_brought_up_and_keeps_what_it_has() {
    let home = tempfile::tempdir().unwrap();
    let mut store = sled::open(&options(&home)).unwrap();
    store.shard_at(UnixMillis(0)).unwrap();
    store.append(BatchNumber(1), b"one").unwrap();
    drop(store);
    let log = home.path().join("log");
    std::fs::write(log.join("FORMAT"), "sotto relay log, format 1\n").unwrap();
    std::fs::remove_file(log.join("ABOUT")).unwrap();
    for _ in 0..2 {
        let store = sled::open(&options(&home)).unwrap();
        assert_eq!(replayed(&store, 0), [(0, 1, b"one".to_vec())]);
        assert_eq!(std::fs::read_to_string(log.join("FORMAT")).unwrap(), "sotto relay log, format 3\n");
    }
}

#[test]
fn a_log_keeps_the_length_of_its_shards_so_that_retention_never_takes_a_young_one_for_old() {
    const DAY_MS: u64 = 24 * 3600 * 1000;
    let home = tempfile::tempdir().unwrap();
    let retention = Some(Duration::from_millis(30 * DAY_MS));
    let weeks = SledOptions { retention, ..options(&home) };
    let mut store = sled::open(&weeks).unwrap();
    for (number, week) in (1..).zip(2_950..2_953) {
        let shard = store.shard_at(UnixMillis(week * 7 * DAY_MS)).unwrap();
        store.append(BatchNumber(number), b"young").unwrap();
        let checkpoint =
            Checkpoint { applied: BatchNumber(number), shard: Some(shard), ..Checkpoint::default() };
        store.checkpointer().save(&checkpoint).unwrap();
    }
    drop(store);
    // By days, shard 2950 would lie in 1978.
    let days = SledOptions { shard_span: Duration::from_millis(DAY_MS), ..weeks };
    let mut store = sled::open(&days).unwrap();
    assert_eq!(store.retain(UnixMillis(2_953 * 7 * DAY_MS)).unwrap(), []);
    assert_eq!(store.shard_at(UnixMillis(2_954 * 7 * DAY_MS)).unwrap(), ShardId(2_954));
}

#[test]
fn a_log_that_ends_before_its_checkpoint_is_damaged() {
    let home = tempfile::tempdir().unwrap();
    let mut store = sled::open(&options(&home)).unwrap();
    let shard = store.shard_at(UnixMillis(0)).unwrap();
    store.append(BatchNumber(1), b"one").unwrap();
    let checkpoint = Checkpoint { applied: BatchNumber(2), shard: Some(shard), ..Checkpoint::default() };
    store.checkpointer().save(&checkpoint).unwrap();
    let error = store.restore().unwrap_err().to_string();
    assert!(error.contains("acknowledged entries are lost"), "{error}");
}

#[test]
fn a_missing_batch_is_damage_and_not_skipped() {
    let home = tempfile::tempdir().unwrap();
    let mut store = sled::open(&options(&home)).unwrap();
    store.shard_at(UnixMillis(0)).unwrap();
    store.append(BatchNumber(1), b"one").unwrap();
    store.append(BatchNumber(3), b"three").unwrap();
    let error = store.replay(BatchNumber(0), &mut |_, _, _| Ok(())).unwrap_err().to_string();
    assert!(error.contains("batch 2 is due and 3 comes"), "{error}");
}

#[test]
fn what_a_power_cut_left_half_made_or_half_deleted_is_not_taken_for_a_shard() {
    let home = tempfile::tempdir().unwrap();
    let mut store = sled::open(&options(&home)).unwrap();
    store.shard_at(UnixMillis(0)).unwrap();
    store.append(BatchNumber(1), b"one").unwrap();
    drop(store);
    for half in ["shards/new-000000000001", "shards/gone-0", "new-checkpoint"] {
        let half = home.path().join("log").join(half);
        std::fs::create_dir_all(&half).unwrap();
        std::fs::write(half.join("conf"), "").unwrap();
        std::fs::write(half.join("db"), "torn").unwrap();
    }
    let mut store = sled::open(&options(&home)).unwrap();
    assert_eq!(replayed(&store, 0).len(), 1);
    let span = SledOptions::new("").shard_span.as_secs() * 1000;
    assert_eq!(store.shard_at(UnixMillis(span)).unwrap(), ShardId(1));
    store.append(BatchNumber(2), b"two").unwrap();
    assert_eq!(replayed(&store, 0).len(), 2);
    assert!(!home.path().join("log/shards/gone-0").exists());
}

#[derive(Debug, Default)]
struct Failing(AtomicBool);

impl Disk for Failing {
    fn sync(&self, file: &std::fs::File) -> std::io::Result<()> {
        if self.0.load(Ordering::SeqCst) {
            Err(std::io::Error::other("injected"))
        } else {
            RealDisk.sync(file)
        }
    }

    fn free_bytes(&self, folder: &Path) -> std::io::Result<u64> {
        RealDisk.free_bytes(folder)
    }
}

#[test]
fn a_failed_fsync_is_an_error_and_the_positive_control_would_not_notice() {
    for (sync, fails) in [(SyncMode::FlushAndFsync, true), (SyncMode::FlushOnly, false)] {
        let home = tempfile::tempdir().unwrap();
        let disk = Arc::new(Failing::default());
        let mut store = sled::open(&SledOptions { sync, disk: disk.clone(), ..options(&home) }).unwrap();
        store.shard_at(UnixMillis(0)).unwrap();
        disk.0.store(true, Ordering::SeqCst);
        assert_eq!(store.append(BatchNumber(1), b"one").is_err(), fails);
    }
}

#[test]
fn the_free_space_of_a_real_disk_is_known() {
    let home = tempfile::tempdir().unwrap();
    let store = sled::open(&SledOptions { reserve_bytes: u64::MAX, ..options(&home) }).unwrap();
    let room = store.room().unwrap();
    assert!(room.free_bytes > 0 && room.is_full);
}

#[test]
fn a_log_whose_opening_or_closing_was_killed_opens_again_with_everything() {
    let home = tempfile::tempdir().unwrap();
    let options = options(&home);
    let mut store = sled::open(&options).unwrap();
    let shard = store.shard_at(UnixMillis(1)).unwrap();
    store.append(BatchNumber(1), &batch(1)).unwrap();
    drop(store);
    for folder in
        [options.folder.join("checkpoint"), layout::shard_folder(&options.folder.join("shards"), shard)]
    {
        // Newer than every other by its name.
        std::fs::write(folder.join("snap.FFFFFFFFFFFFFFFF.generating"), b"half").unwrap();
    }
    let store = sled::open(&options).unwrap();
    assert_eq!(replayed(&store, 0), [(shard.0, 1, batch(1))]);
}
