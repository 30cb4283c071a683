//! What the demo prints: in colour at a terminal, plain anywhere else.

use std::io::{IsTerminal as _, stdout};

const BOLD: &str = "1";
const FAINT: &str = "2";

/// One for each person, in the order in which they are named; red is for failures.
const PEOPLE: [(&str, &str); 4] = [("alice", "32"), ("bob", "34"), ("carol", "35"), ("dora", "36")];

/// Something is about to happen.
pub(super) fn scene(title: &str) {
    println!("\n{}", painted(BOLD, &format!("== {title}")));
}

/// Somebody said something.
pub(super) fn said(from: &str, text: &str) {
    let colour = PEOPLE.iter().find(|(name, _)| *name == from).map_or(BOLD, |(_, colour)| colour);
    println!("   {}: {text}", painted(colour, &format!("{from:>5}")));
}

/// What came of it.
pub(super) fn note(text: &str) {
    println!("   {}", painted(FAINT, text));
}

/// The end.
pub(super) fn end(text: &str) {
    println!("\n{}", painted(BOLD, text));
}

fn painted(code: &str, text: &str) -> String {
    if stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
