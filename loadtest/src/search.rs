//! Searching a real node's store: no relay, no network, one device's history.

use crate::fill;
use crate::process::cpu_seconds;
use crate::report::Search;
use anyhow::{Context, Result, ensure};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use sotto_e2ee::identity::AccountIdentity;
use sotto_e2ee::identity::recovery::RecoveryKey;
use sotto_e2ee::store::{Scan, Store as _};
use sotto_node::profile::Profile;
use sotto_node::store::{SqliteStore, StoreKey};
use sotto_node_core::client::{Client, Setup};
use sotto_node_core::search::SearchQuery;
use sotto_node_core::settings::Settings;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Sequence, UnixMillis};
use std::path::Path;
use std::time::Instant;

const CONVERSATIONS: u64 = 20;
const WORDS_PER_LINE: usize = 12;
const VOCABULARY: usize = 20_000;

/// The first byte of the keys of packs (node-core's `search`), for their size.
const PACK_PREFIX: u8 = 0x58;

/// Fills a store, opens it again as a new process would, and asks.
pub(crate) fn measure(dir: &Path, messages: u64, queries: usize) -> Result<Search> {
    let mut rng = ChaCha20Rng::seed_from_u64(0x5ea7c4);
    let vocabulary: Vec<String> = (0..VOCABULARY).map(|_| word(&mut rng)).collect();
    let profile = Profile::new(dir, "search")?;
    let key = StoreKey::random(&mut rand::rng());
    let store = SqliteStore::create(&profile, profile.lock()?, &key)?;
    let now = UnixMillis(1_700_000_000_000);
    let mut client = Client::create(store, setup(&mut rng, now), Settings::default(), now)?;
    let started = Instant::now();
    let of_each = messages / CONVERSATIONS;
    for number in 0..CONVERSATIONS {
        // Randomness of its own: the client draws from the other one meanwhile.
        let mut drawn = ChaCha20Rng::seed_from_u64(number);
        let texts = (0..of_each).map(|at| {
            let words: Vec<&str> = (0..WORDS_PER_LINE).map(|_| common(&vocabulary, &mut drawn)).collect();
            (Sequence(at + 1), UnixMillis(now.0 + at * 1_000 + number), words.join(" "))
        });
        fill::add(&mut client, conversation(number), texts, now, &mut rng)?;
    }
    fill::finish(&mut client, now, &mut rng)?;
    eprintln!("filled and indexed in {:.1} s", started.elapsed().as_secs_f64());
    let packs = client.store().scan(&Scan::prefix([PACK_PREFIX]))?;
    let index_bytes: usize = packs.iter().map(|row| row.value.len()).sum();
    drop(packs);
    drop(client);

    let store = SqliteStore::open(&profile, profile.lock()?, &key)?;
    let client = Client::open(store, Settings::default(), now)?;
    let mut took = hdrhistogram::Histogram::<u64>::new(3)?;
    let (mut first_ms, mut hits) = (0.0, 0);
    let cpu_before = cpu_seconds(std::process::id())?;
    for at in 0..queries {
        // Rare words, frequent ones, beginnings, and two at once, in turn.
        let one = vocabulary.get(rng.random_range(0..VOCABULARY)).context("a word")?;
        let words = match at % 4 {
            0 => one.clone(),
            1 => common(&vocabulary, &mut rng).to_owned(),
            2 => one.chars().take(3).collect(),
            _ => format!("{} {}", common(&vocabulary, &mut rng), common(&vocabulary, &mut rng)),
        };
        let began = Instant::now();
        hits += client.search(&SearchQuery { words, conversation: None, before: None, limit: 50 })?.len();
        let elapsed = began.elapsed();
        if at == 0 {
            first_ms = elapsed.as_secs_f64() * 1_000.0;
        }
        took.record(u64::try_from(elapsed.as_micros())?)?;
    }
    ensure!(hits > 0, "nothing was found");
    let ms = |quantile| took.value_at_quantile(quantile) as f64 / 1_000.0;
    Ok(Search {
        messages,
        queries,
        first_ms,
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        cpu_ms: (cpu_seconds(std::process::id())? - cpu_before) * 1_000.0 / queries as f64,
        index_bytes_per_message: index_bytes as f64 / messages as f64,
    })
}

fn setup(rng: &mut ChaCha20Rng, now: UnixMillis) -> Setup {
    let identity = AccountIdentity::generate(rng);
    let device = identity.issue_device(rng, AccountId([1; 16]), DeviceId([1; 16]), now);
    let recovery = RecoveryKey::generate(rng);
    Setup { username: "searcher".to_owned(), device, identity, recovery, archive_keys: Default::default() }
}

fn conversation(number: u64) -> ConversationId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    ConversationId(id)
}

/// A made-up word of 3 to 9 letters.
fn word(rng: &mut ChaCha20Rng) -> String {
    (0..rng.random_range(3..=9)).map(|_| char::from(rng.random_range(b'a'..=b'z'))).collect()
}

/// As in people's texts a few words are in most lines and most words in few: the place is log-uniform.
fn common<'a>(vocabulary: &'a [String], rng: &mut ChaCha20Rng) -> &'a str {
    let most = (vocabulary.len() as f64).ln();
    let place = rng.random_range(0.0..most).exp();
    #[allow(clippy::cast_possible_truncation, reason = "truncated to a place of the list on purpose")]
    let place = place as usize;
    vocabulary.get(place.saturating_sub(1)).map_or("", String::as_str)
}
