//! `cargo xtask test`: everything set up, then every test; the last lines are the test runner's own.

use crate::step::{cargo, program, say};
use crate::{setup, step, web};
use anyhow::bail;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Also run what only root on Linux can do: power cuts on a file system of their own.
    #[arg(long)]
    privileged: bool,
    /// Only tests whose name contains this.
    filter: Option<String>,
}

const EVERY_TEST: [&str; 7] =
    ["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests"];

/// The longest ones wait for processes, disks and clocks three quarters of their time.
const TESTS_PER_CORE: usize = 2;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    setup::for_building()?;
    setup::for_tests()?;
    setup::for_node()?;
    setup::for_python()?;
    web::build()?;
    web::exchange()?;
    if arguments.privileged {
        if !setup::is_root() {
            bail!("--privileged cuts the power of file systems it mounts, so it needs root: run it as root");
        }
        setup::for_privileged_tests()?;
    }
    cargo(["build", "--workspace", "--locked", "--bins"]).announced("building the programs under test")?;
    if arguments.filter.is_none() {
        cargo(["test", "--workspace", "--locked", "--doc"]).announced("examples in the documentation")?;
    }
    let at_once = TESTS_PER_CORE * std::thread::available_parallelism()?.get();
    cargo(EVERY_TEST)
        .args(&arguments.filter)
        .args(["--".into(), format!("--test-threads={at_once}")])
        .args(arguments.privileged.then_some("--include-ignored"))
        .announced_to_the_end("every test")?;
    // By the built programs: the relay that they start serves the client that was built above.
    let named = arguments.filter.iter().flat_map(|name| ["--pass-with-no-tests", "--grep", name.as_str()]);
    let built = |name: &str| step::root().join(step::target()).join("debug").join(name);
    program("npm", ["run", "--silent", "test", "--prefix", "web/ui", "--"])
        .args(named)
        .env("SOTTO_TEST_RELAY", built("sotto-relay"))
        .env("SOTTO_TEST_NODE", built("sotto"))
        .env("SOTTO_TEST_LIAR", built("lying-relay"))
        .announced_to_the_end("every test in a browser")?;
    if !arguments.privileged {
        name_what_was_left_out(arguments.filter.as_deref())?;
    }
    Ok(())
}

/// The tests that only root can run are ignored in the plain form; it says which.
fn name_what_was_left_out(filter: Option<&str>) -> anyhow::Result<()> {
    let list = cargo(EVERY_TEST).arg("--quiet").args(filter).args(["--", "--ignored", "--list"]).output()?;
    let left_out: Vec<&str> = list.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    if !left_out.is_empty() {
        say(&format!("left out {} tests that need root (`cargo xtask test --privileged`):", left_out.len()));
        for name in left_out {
            say(&format!("  {name}"));
        }
    }
    Ok(())
}
