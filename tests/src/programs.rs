//! Finding the programs under test: the real `sotto-relay` and `sotto`, as cargo built them.

use std::path::{Path, PathBuf};

/// The root of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository")
}

/// The folder of the profile that the running test was built by: target/<profile>, of target/<profile>/deps/it-<hash>.
fn profile() -> PathBuf {
    let test = std::env::current_exe().expect("the system knows the running program");
    test.ancestors().nth(2).expect("a test binary lies in target/<profile>/deps").to_owned()
}

/// The folder that everything is built into, wherever `CARGO_TARGET_DIR` put it.
///
/// # Panics
/// If the running program was not built by cargo.
#[must_use]
pub fn target() -> PathBuf {
    profile().parent().expect("a profile's folder lies in the target folder").to_owned()
}

/// The built program `name`, beside the test binary that asks (so of the same profile).
///
/// # Panics
/// If it is not built; the message says how to build it. A test never passes without its real part.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let path = profile().join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.is_file(),
        "{} is not built. `cargo xtask test` builds it before the tests; by hand: \
         `cargo build -p sotto-relay -p sotto-node -p xtask --bins`",
        path.display()
    );
    path
}
