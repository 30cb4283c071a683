//! The vault: when it is sealed, and what it gives to whoever recovers with nothing but the words.

use super::*;

/// How often the vault was handed out since there were so many events.
fn sealed(world: &World, who: Who, since: usize) -> usize {
    let events = world.devices[who].events.iter().skip(since);
    events.filter(|event| matches!(event, Event::VaultChanged(_))).count()
}

#[test]
fn a_vault_gives_a_new_device_the_past_while_nobody_else_is_there() {
    let mut world = calm(14);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    say(&mut world, alice, id, "one");
    say(&mut world, bob, id, "two");
    assert_eq!(world.run(bob, Command::SealVault), Ok(Outcome::Nothing));
    world.settle();
    let sealed = world.devices[bob].events.iter().rev().find_map(|event| match event {
        Event::VaultChanged(bytes) => Some(bytes.clone()),
        _ => None,
    });
    let account = world.devices[bob].account;
    let vault = world.devices[bob]
        .client
        .recovery_key()
        .open_vault(account, &sealed.expect("the vault was sealed"))
        .expect("the recovery key opens it");
    world.switch_off(alice);
    world.switch_off(bob);
    let laptop = world.further_device(bob, ArchiveKeys(vault.archive_keys));
    world.settle();
    assert_eq!(texts(&world, laptop, id), ["one", "two"], "{}", world.story());
}

#[test]
fn the_vault_is_sealed_a_moment_after_something_new_and_then_rests_however_much_comes() {
    let mut world = calm(16);
    let alice = world.person("alice");
    let others: Vec<Who> = (0..5).map(|n| world.person(&format!("other{n}"))).collect();
    world.settle();
    world.pass(60_000);
    let since = world.devices[alice].events.len();
    direct(&mut world, others[0], "alice");
    world.pass(1_000);
    assert_eq!(sealed(&world, alice, since), 1, "whoever loses the browser now finds it again");
    for other in &others[1..] {
        direct(&mut world, *other, "alice");
    }
    world.pass(1_000);
    assert_eq!(sealed(&world, alice, since), 1, "it rests");
    world.pass(5_000);
    assert_eq!(sealed(&world, alice, since), 2, "all of them are in the next");
    world.pass(60_000);
    assert_eq!(sealed(&world, alice, since), 2, "nothing is new");
}
