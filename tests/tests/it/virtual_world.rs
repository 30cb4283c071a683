//! Racing commits from eight devices, in a network that loses, repeats and mixes up, out of one seed each.

use sotto_mls::suite::Suite;
use sotto_node_core::command::{Command, NewConversation, Who as Account};
use sotto_node_core::event::{Event, Outcome};
use sotto_node_core::view::Standing;
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::ids::ConversationId;
use sotto_tests::world::net::Profile;
use sotto_tests::world::{Who, World};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many seeds; each is a world of its own.
const SEEDS: u64 = 1_000;

/// Every so many seeds the suite is the post-quantum one, which costs five times as much.
const POST_QUANTUM_EVERY: u64 = 25;

/// What a run shows, summed up over the seeds.
#[derive(Default)]
struct Seen {
    commits: AtomicU64,
    races: AtomicU64,
    stale: AtomicU64,
}

#[test]
fn racing_commits_of_eight_devices_converge_in_every_seed() {
    let next = AtomicU64::new(0);
    let seen = Seen::default();
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        break;
                    }
                    race(seed, &seen);
                }
            });
        }
    });
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    // The seeds must have tested something: commits that lost, messages that came too late for their epoch.
    assert!(count(&seen.commits) > 10 * SEEDS, "{} commits", count(&seen.commits));
    assert!(count(&seen.races) > SEEDS, "{} lost races", count(&seen.races));
    assert!(count(&seen.stale) > SEEDS / 10, "{} stale", count(&seen.stale));
}

/// Eight devices commit and write at random; in the end all of them have the same state and the same texts.
fn race(seed: u64, seen: &Seen) {
    let suite = if seed.is_multiple_of(POST_QUANTUM_EVERY) { Suite::XWing } else { Suite::X25519 };
    let mut world = World::new(seed, suite, Profile::CALM);
    let names = ["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"];
    let racers: Vec<Who> = names.iter().map(|name| world.person(name)).collect();
    let extras: Vec<Who> = ["x0", "x1"].iter().map(|name| world.person(name)).collect();
    world.settle();
    let id = create(&mut world, racers[0], suite, &names[1..]);
    world.net.set_profile(Profile::WILD);
    let mut expected = 0;
    for round in 0..12 {
        for who in racers.iter().copied() {
            match world.below(8) {
                0 => {
                    world.command(who, Command::RenewKeys { conversation: id });
                }
                1 => {
                    let name = format!("x{}", world.below(extras.len()));
                    let add = Command::AddMembers { conversation: id, usernames: vec![name] };
                    let _ = world.command(who, add);
                }
                2 => {
                    let name = format!("x{}", world.below(extras.len()));
                    let remove = Command::RemoveMember { conversation: id, who: Account::Username(name) };
                    let _ = world.command(who, remove);
                }
                3 if world.chance(200) => world.crash(who),
                3..6 => {
                    let text = format!("{seed} {who} {round}");
                    let _ = world.command(who, Command::Send { conversation: id, text, reply_to: None });
                    expected += 1;
                }
                _ => {}
            }
        }
        let pause = u64::try_from(world.below(300)).unwrap_or(0);
        world.pass(pause);
    }
    world.settle();
    converged(&world, seed, id, &racers, expected);
    seen.commits.fetch_add(world.relay.counts.commits, Ordering::Relaxed);
    seen.races.fetch_add(world.relay.counts.races, Ordering::Relaxed);
    seen.stale.fetch_add(world.relay.counts.stale, Ordering::Relaxed);
}

fn create(world: &mut World, by: Who, suite: Suite, members: &[&str]) -> ConversationId {
    let new = NewConversation {
        name: "race".to_owned(),
        room: false,
        listed_name: None,
        history: HistoryPolicy::SinceJoining,
        suite,
        members: members.iter().map(|name| (*name).to_owned()).collect(),
    };
    let outcome = world.run(by, Command::CreateConversation(new));
    let Ok(Outcome::Conversation(id)) = outcome else { panic!("no group: {outcome:?}\n{}", world.story()) };
    world.settle();
    id
}

fn converged(world: &World, seed: u64, id: ConversationId, racers: &[Who], expected: usize) {
    let first = world.view(racers[0], id).expect("it is a member");
    let texts = world.texts(racers[0], id);
    assert_eq!(texts.len(), expected, "seed {seed}: every text once\n{}\n{}", world.log(id), world.story());
    for (who, device) in world.devices.iter().enumerate() {
        assert_eq!(
            world.failures(who),
            0,
            "seed {seed}: {who} could not decrypt\n{}\n{}",
            world.log(id),
            world.story()
        );
        let alarms = device
            .events
            .iter()
            .filter(|event| matches!(event, Event::LogTampered { .. } | Event::IdentityChanged { .. }));
        assert_eq!(alarms.count(), 0, "seed {seed}: {who} was alarmed\n{}", world.story());
    }
    for who in racers.iter().copied() {
        let view = world.view(who, id).expect("it is a member");
        assert_eq!(view.standing, Standing::Member, "seed {seed}\n{}", world.story());
        assert_eq!((view.epoch, &view.members.len()), (first.epoch, &first.members.len()), "seed {seed}");
        assert_eq!(world.texts(who, id), texts, "seed {seed}: {who} has other texts\n{}", world.story());
        // One order for each sender: as it was said.
        let own = texts.iter().filter(|(account, _)| *account == world.devices[who].account);
        let round = |text: &str| text.split(' ').nth(2).and_then(|round| round.parse::<u32>().ok());
        assert!(own.map(|(_, text)| round(text)).is_sorted(), "seed {seed}: out of order");
    }
}
