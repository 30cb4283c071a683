//! What the other commands need beyond a Rust toolchain, got by the machine's own package manager.
//!
//! A part that cannot be got is an error that says how to get it by hand: nothing is skipped in silence.

use crate::step::{cargo, program, root, say, target};
use crate::wasm;
use anyhow::{Context as _, bail};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Also what the tests need that run as root.
    #[arg(long)]
    privileged: bool,
}

/// The version of cargo-deny that the policy in `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";

/// A Debian package with a file by which it is recognised.
struct Package {
    name: &'static str,
    /// One of these is there where the package is installed.
    files: &'static [&'static str],
    why: &'static str,
}

/// What would start by itself once it is installed, and must not: the tests use a program of the package only.
const SERVICES: &[(&str, &str)] = &[("coturn", "coturn.service")];

/// What every run of the tests uses.
const TEST_PACKAGES: &[Package] = &[
    Package {
        name: "fiu-utils",
        files: &["/usr/lib/fiu/fiu_posix_preload.so"],
        why: "libfiu makes an fsync fail",
    },
    Package {
        name: "tmux",
        files: &["/usr/bin/tmux", "/usr/local/bin/tmux", "/opt/homebrew/bin/tmux"],
        why: "the terminal interface is tested in a real terminal",
    },
    Package {
        name: "pebble",
        files: &["/usr/bin/pebble"],
        why: "pebble is an authority that gives certificates",
    },
    Package {
        name: "firefox-esr",
        files: &["/usr/bin/firefox-esr", "/usr/bin/firefox", "/usr/local/bin/firefox"],
        why: "its core is tested in a second browser",
    },
    Package {
        name: "systemd",
        files: &["/usr/bin/systemd-analyze"],
        why: "systemd-analyze reads the relay's service",
    },
    Package {
        name: "pulseaudio",
        files: &["/usr/bin/pulseaudio", "/usr/local/bin/pulseaudio"],
        why: "a sound server without hardware is microphone and loudspeaker of calls",
    },
    Package { name: "prometheus", files: &["/usr/bin/promtool"], why: "promtool reads the alert rules" },
    Package {
        name: "coturn",
        files: &["/usr/bin/turnutils_uclient", "/usr/local/bin/turnutils_uclient"],
        why: "coturn's client borrows of our TURN",
    },
];

/// What the demo uses too.
const BROWSERS: &[Package] = &[Package {
    name: "chromium",
    files: &["/usr/bin/chromium", "/usr/local/bin/chromium"],
    why: "the browser client is used in a real browser",
}];

const PRIVILEGED_PACKAGES: &[Package] = &[
    Package {
        name: "e2fsprogs",
        files: &["/sbin/mkfs.ext4", "/usr/sbin/mkfs.ext4"],
        why: "power cuts happen on an ext4 of their own",
    },
    Package {
        name: "xfsprogs",
        files: &["/usr/sbin/xfs_io", "/usr/bin/xfs_io", "/sbin/xfs_io"],
        why: "xfs_io cuts the power of a mounted file system",
    },
    Package {
        name: "iproute2",
        files: &["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"],
        why: "ip makes networks of their own",
    },
    Package {
        name: "debootstrap",
        files: &["/usr/sbin/debootstrap"],
        why: "debootstrap makes the Debian that the image begins with",
    },
    Package { name: "nftables", files: &["/usr/sbin/nft", "/sbin/nft"], why: "nft is their firewall" },
];

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    for_building()?;
    for_tests()?;
    for_node()?;
    for_python()?;
    if arguments.privileged {
        for_privileged_tests()?;
    }
    wasm::library()?;
    node_for_the_web()?;
    cargo_deny()?;
    say("everything is there");
    Ok(())
}

/// A C compiler: SQLite and aws-lc are C. Rust needs one to link, so it is nearly always there.
pub(crate) fn for_building() -> anyhow::Result<()> {
    if std::env::var_os("CC").is_some() || program("cc", ["--version"]).succeeds() {
        return Ok(());
    }
    install(&["gcc", "libc6-dev"], "a C compiler for SQLite and aws-lc")
}

/// What every test run uses of the system.
pub(crate) fn for_tests() -> anyhow::Result<()> {
    get(TEST_PACKAGES)?;
    for_browsers()
}

/// A browser, and what drives it.
pub(crate) fn for_browsers() -> anyhow::Result<()> {
    get(BROWSERS)?;
    node_for_the_web()?;
    npm_packages("web/ui")
}

/// What the tests use that run as root.
pub(crate) fn for_privileged_tests() -> anyhow::Result<()> {
    get(PRIVILEGED_PACKAGES)
}

fn get(packages: &[Package]) -> anyhow::Result<()> {
    for package in packages {
        if !package.files.iter().any(|file| std::path::Path::new(file).exists()) {
            install(&[package.name], package.why)?;
        }
    }
    Ok(())
}

/// Projects of npm: what tests drive, and the example bots that they run.
const NPM: [&str; 2] = ["tests/npm", "examples/bots"];

/// Node.js with the packages that the lock files name.
pub(crate) fn for_node() -> anyhow::Result<()> {
    if !program("npm", ["--version"]).succeeds() {
        install(&["nodejs", "npm"], "clients from npm and the example bots take part in the tests")?;
    }
    NPM.into_iter().try_for_each(npm_packages)
}

/// The packages that the lock file of a folder names.
pub(crate) fn npm_packages(folder: &str) -> anyhow::Result<()> {
    // npm writes this file last.
    let installed = root().join(folder).join("node_modules/.package-lock.json");
    let wanted = root().join(folder).join("package-lock.json");
    let newer = |file: &std::path::Path| file.metadata().and_then(|file| file.modified()).ok();
    if newer(&installed) < newer(&wanted) {
        program("npm", ["ci", "--no-audit", "--no-fund", "--prefix", folder])
            .announced(&format!("installing the packages of {folder}"))?;
    }
    Ok(())
}

/// The least Python that aiortc runs on.
const PYTHON_MIN: (u32, u32) = (3, 11);

/// Python with the packages that the lock file of `tests/python` names, in an environment of its own in `target/tools`.
pub(crate) fn for_python() -> anyhow::Result<()> {
    // Debian has what makes environments in a package of its own.
    if !program("python3", ["-c", "import ensurepip, venv"]).succeeds() {
        install(&["python3-venv"], "aiortc, another WebRTC that takes part in the tests, is Python")?;
    }
    let (major, minor) = PYTHON_MIN;
    let is_new_enough = format!("import sys; sys.exit(sys.version_info < ({major}, {minor}))");
    if !program("python3", ["-c", &is_new_enough]).succeeds() {
        bail!("aiortc, which takes part in the tests, needs Python {major}.{minor} or newer as `python3`");
    }
    let environment = root().join(target()).join("tools/python-aiortc");
    let python = environment.join("bin/python");
    let (lock, installed) =
        (root().join("tests/python/requirements.txt"), environment.join("requirements.txt"));
    let wanted = std::fs::read(&lock)?;
    let is_there = std::fs::read(&installed).is_ok_and(|there| there == wanted);
    if is_there && program(&python, ["--version"]).succeeds() {
        return Ok(());
    }
    program("python3", ["-m", "venv", "--clear"])
        .arg(&environment)
        .announced("making an environment for Python")?;
    program(&python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--require-hashes", "--only-binary", ":all:", "--requirement"])
        .arg(&lock)
        .announced("installing aiortc from PyPI")?;
    std::fs::write(installed, wanted)?;
    Ok(())
}

/// The least Node.js that Vite, which builds the browser client, runs on.
const NODE_MIN: (u32, u32) = (20, 19);

/// Node.js that is new enough to build the browser client.
pub(crate) fn node_for_the_web() -> anyhow::Result<()> {
    if !program("npm", ["--version"]).succeeds() || !program("node", ["--version"]).succeeds() {
        install(&["nodejs", "npm"], "the browser client is built by Node.js")?;
    }
    let version = program("node", ["--version"]).output()?;
    let mut numbers =
        version.trim().trim_start_matches('v').split('.').map(|number| number.parse().unwrap_or(0));
    let found: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < NODE_MIN {
        let (major, minor) = NODE_MIN;
        bail!(
            "the browser client is built by Node.js {major}.{minor} or newer, and this is {}; get it from https://nodejs.org or your \
             system's backports, then run this again",
            version.trim()
        );
    }
    Ok(())
}

/// cargo-deny, built once into `target/tools`; its path.
pub(crate) fn cargo_deny() -> anyhow::Result<PathBuf> {
    let tools = target().join("tools");
    let deny = tools.join("bin/cargo-deny").with_extension(std::env::consts::EXE_EXTENSION);
    let version = program(&deny, ["--version"]).output();
    if !version.is_ok_and(|text| text.trim().ends_with(CARGO_DENY)) {
        // Without optimising: it runs for seconds and is built for minutes.
        cargo(["install", "cargo-deny", "--version", CARGO_DENY, "--locked", "--force", "--debug", "--root"])
            .arg(&tools)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .announced("building cargo-deny, once")?;
    }
    Ok(deny)
}

/// Installs Debian packages, as root or by sudo.
pub(crate) fn install(packages: &[&str], why: &str) -> anyhow::Result<()> {
    let names = packages.join(" ");
    let by_hand = format!("install {names} ({why}) by your system's package manager, then run this again");
    if !program("apt-get", ["--version"]).succeeds() {
        bail!("{by_hand}");
    }
    let apt = |arguments: &[&str]| {
        let words = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"].iter().chain(arguments);
        if is_root() { program("env", words.skip(1)) } else { program("sudo", words) }
    };
    let service =
        |name: &str| SERVICES.iter().find(|(package, _)| *package == name).map(|(_, service)| *service);
    for service in packages.iter().filter_map(|name| service(name)) {
        let mask = ["systemctl", "mask", service];
        let masked = if is_root() { program(mask[0], &mask[1..]) } else { program("sudo", mask) };
        masked.announced(&format!("keeping {service} from starting"))?;
    }
    apt(&["update", "-q"]).announced("asking for the list of packages").context(by_hand.clone())?;
    let mut arguments = vec!["install", "-q", "-y", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&arguments).announced(&format!("installing {names}: {why}")).context(by_hand)
}

/// Whether this runs as root.
pub(crate) fn is_root() -> bool {
    program("id", ["-u"]).output().is_ok_and(|user| user.trim() == "0")
}
