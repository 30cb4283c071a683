//! Finding the programs under test: the real `sotto-relay` and `sotto`, as cargo built them.

use std::path::{Path, PathBuf};

/// The root of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository")
}

/// The built program `name`, beside the test binary that asks (so of the same profile).
///
/// # Panics
/// If it is not built; the message says how to build it. A test never passes without its real part.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the system knows the running program");
    // target/<profile>/deps/it-<hash> -> target/<profile>/<name>
    let folder = test.ancestors().nth(2).expect("a test binary lies in target/<profile>/deps");
    let path = folder.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.is_file(),
        "{} is not built. `cargo xtask test` builds it before the tests; by hand: \
         `cargo build -p sotto-relay -p sotto-node -p xtask --bins`",
        path.display()
    );
    path
}
