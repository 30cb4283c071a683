//! What is deployed: the image, the service, the alert rules, each held by the program that will read it.

use anyhow::{Context as _, Result, bail, ensure};
use sotto_tests::dockerfile::{Stage, complaints, stages};
use sotto_tests::programs::{program, repository};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn deployed(name: &str) -> PathBuf {
    repository().join("deploy").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(deployed(name)).unwrap_or_else(|error| panic!("deploy/{name}: {error}"))
}

/// What a tool says; it fails where the tool is not there.
fn tool(name: &str, words: &[&str]) -> Output {
    let output = Command::new(name).args(words).stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("{name} does not start ({error}); `cargo xtask setup` installs it"))
}

#[test]
fn the_image_is_pinned_small_has_no_secret_and_runs_as_nobody_special() {
    assert_eq!(complaints(&read("Dockerfile")).expect("it reads"), Vec::<String>::new());
    let compose = read("compose.yaml");
    for needed in ["read_only: true", "cap_drop: [ALL]", "no-new-privileges:true", "stop_grace_period"] {
        assert!(compose.contains(needed), "compose.yaml lacks {needed}");
    }
}

#[test]
fn systemd_takes_the_service_without_a_complaint() {
    let folder = tempfile::tempdir().expect("a folder");
    let unit = folder.path().join("sotto-relay.service");
    let text = read("sotto-relay.service");
    // The program is not installed here; systemd wants one that is there.
    let installed = "/usr/local/bin/sotto-relay";
    assert!(text.contains(&format!("ExecStart={installed} run\n")));
    let here = program("sotto-relay");
    let verify = |text: &str| {
        fs::write(&unit, text.replace(installed, &here.to_string_lossy())).expect("writable");
        tool("systemd-analyze", &["verify", "--man=no", &unit.to_string_lossy()])
    };
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let good = verify(&text);
    assert!(good.status.success(), "{}", said(&good));
    let about_it = |text: &str| text.lines().filter(|line| line.contains("sotto-relay")).count();
    assert_eq!(about_it(&said(&good)), 0, "{}", said(&good));
    let bad = verify(&text.replace("ProtectClock=yes", "ProtectClok=yes"));
    assert!(said(&bad).contains("ProtectClok"), "it would notice: {}", said(&bad));
}

#[test]
fn prometheus_takes_the_alert_rules() {
    let rules = deployed("alerts.yml");
    let good = tool("promtool", &["check", "rules", &rules.to_string_lossy()]);
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("alerts.yml");
    fs::write(&broken, read("alerts.yml").replace("== 1", "=== 1")).expect("writable");
    let bad = tool("promtool", &["check", "rules", &broken.to_string_lossy()]);
    assert!(!bad.status.success(), "it would notice");
}

/// How long the relay may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// What stands for compiling: the program that was built already is put where the build would have left it.
const BUILD: &str = "cargo build --release --locked --package sotto-relay";

/// The steps of the Dockerfile, one by one, in Debian roots of the suite that it names: no container engine is needed.
/// Compiling alone is left out.
#[test]
#[ignore = "needs root: makes Debian systems in folders and changes into them"]
fn the_images_steps_by_hand_give_a_relay_that_answers_its_health_check_as_its_own_user() -> Result<()> {
    let home = tempfile::tempdir()?;
    let stages = stages(&read("Dockerfile"))?;
    let [build, last] = stages.as_slice() else { bail!("it has another number of stages now") };
    let suite = last.base.strip_prefix("debian:").and_then(|tag| tag.strip_suffix("-slim"));
    let suite = suite.context("the last stage begins with a slim Debian")?;
    ensure!(build.base.ends_with(&format!("-slim-{suite}")), "both are the same Debian");
    let (base, building) = (home.path().join("last"), home.path().join("build"));
    debian(suite, &base)?;
    run(Command::new("cp").arg("--archive").args([&base, &building]))?;

    for step in &build.steps {
        match (step.name.as_str(), step.rest.as_str()) {
            ("RUN", BUILD) => {
                let at = building.join("source/target/release");
                fs::create_dir_all(&at)?;
                fs::copy(program("sotto-relay"), at.join("sotto-relay"))?;
            }
            ("RUN", shell) => inside(&building, shell)?,
            // The repository itself, and where it goes.
            ("COPY", ". .") | ("WORKDIR", "/source") => {}
            (name, rest) => bail!("{name} {rest} is new: say here what it is by hand"),
        }
    }
    for step in &last.steps {
        match step.name.as_str() {
            "RUN" => inside(&base, &step.rest)?,
            "COPY" => {
                let words: Vec<&str> = step.rest.split_whitespace().collect();
                let ["--from=build", from, to] = words.as_slice() else { bail!("COPY {} is new", step.rest) };
                fs::copy(building.join(from.trim_start_matches('/')), base.join(to.trim_start_matches('/')))?;
            }
            "USER" | "ENV" | "VOLUME" | "EXPOSE" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD" => {}
            name => bail!("{name} {} is new: say here what it is by hand", step.rest),
        }
    }
    answers(last, &base)
}

/// Starts what the image starts, as it does; asks for its health as it does; ends it as an engine does.
fn answers(image: &Stage, root: &Path) -> Result<()> {
    let words = |name: &str| image.last(name).with_context(|| format!("it has {name}"))?.words();
    let command = [words("ENTRYPOINT")?, words("CMD")?].concat();
    let child = as_user(image, root, &command)?
        .env("SOTTO_RELAY_LISTEN", "127.0.0.1:0")
        .env("SOTTO_RELAY_HTTP", "127.0.0.1:0")
        .spawn()?;
    let mut relay = Ends(child);
    let check = words("HEALTHCHECK")?;
    let since = Instant::now();
    while !as_user(image, root, &check)?.stdout(Stdio::null()).stderr(Stdio::null()).status()?.success() {
        ensure!(relay.0.try_wait()?.is_none(), "the relay has ended");
        ensure!(since.elapsed() < PATIENCE, "the relay never answers its health check");
        std::thread::sleep(Duration::from_millis(50));
    }
    let status = fs::read_to_string(format!("/proc/{}/status", relay.0.id()))?;
    ensure!(status.contains("\nUid:\t10001\t10001\t10001\t10001\n"), "it runs as its own user: {status}");
    run(Command::new("kill").arg(relay.0.id().to_string()))?;
    let ended = relay.0.wait()?;
    ensure!(ended.success(), "SIGTERM ends it in good order: {ended}");
    ensure!(root.join("var/lib/sotto/accounts").is_dir(), "its data is in the volume");
    Ok(())
}

/// A process that does not outlive the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command in the image, with its user and environment and nothing of this process's.
fn as_user(image: &Stage, root: &Path, words: &[String]) -> Result<Command> {
    let user = &image.last("USER").context("it has USER")?.rest;
    let mut command = Command::new("chroot");
    command.arg(format!("--userspec={user}:{user}")).arg(root).args(words).env_clear();
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
    for step in image.steps.iter().filter(|step| step.name == "ENV") {
        for pair in step.rest.split_whitespace() {
            let (name, value) = pair.split_once('=').context("ENV sets NAME=VALUE")?;
            command.env(name, value);
        }
    }
    Ok(command)
}

/// A small Debian, as the base image is one.
fn debian(suite: &str, root: &Path) -> Result<()> {
    let kept = repository().join("target/debian-packages");
    fs::create_dir_all(&kept)?;
    run(Command::new("debootstrap")
        .arg("--variant=minbase")
        .arg(format!("--cache-dir={}", fs::canonicalize(kept)?.display()))
        .args([suite.as_ref(), root.as_os_str()])
        .arg("http://deb.debian.org/debian"))?;
    // An engine gives containers the way to look names up.
    fs::copy("/etc/resolv.conf", root.join("etc/resolv.conf"))?;
    Ok(())
}

fn inside(root: &Path, shell: &str) -> Result<()> {
    run(Command::new("chroot")
        .arg(root)
        .args(["/bin/sh", "-c", shell])
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Runs a command to its end; what it said is in the error.
fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output
        .with_context(|| format!("{name} does not start; `cargo xtask setup --privileged` installs it"))?;
    let said = || {
        let all = [output.stdout.as_slice(), &output.stderr].concat();
        let text = String::from_utf8_lossy(&all).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    };
    ensure!(output.status.success(), "{name} failed ({}):\n{}", output.status, said());
    Ok(())
}
