//! What stands in a Dockerfile: its stages with their instructions, and what a careful reader would complain of.

use anyhow::{Context as _, Result, ensure};

/// One instruction, its lines joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// In capitals.
    pub name: String,
    /// Everything after the name.
    pub rest: String,
}

impl Instruction {
    /// The words of a command that is written as a list, which no shell reads.
    ///
    /// # Errors
    /// If it is written in another way.
    pub fn words(&self) -> Result<Vec<String>> {
        let list = self.rest.find('[').and_then(|at| self.rest.get(at..)).context("it is no list")?;
        serde_json::from_str(list).with_context(|| format!("{} {} is no list of words", self.name, self.rest))
    }
}

/// What one image is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The image that it begins with.
    pub base: String,
    /// What later stages call it.
    pub name: Option<String>,
    /// What is done then.
    pub steps: Vec<Instruction>,
}

impl Stage {
    /// The last instruction of a name.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&Instruction> {
        self.steps.iter().rev().find(|step| step.name == name)
    }
}

/// Reads a Dockerfile.
///
/// # Errors
/// If an instruction stands before the first `FROM`.
pub fn stages(text: &str) -> Result<Vec<Stage>> {
    let mut stages: Vec<Stage> = Vec::new();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    while let Some(first) = lines.next() {
        let mut whole = first.to_owned();
        while let Some(head) = whole.strip_suffix('\\') {
            whole = format!("{head}{}", lines.next().unwrap_or_default());
        }
        let (name, rest) = whole.split_once(char::is_whitespace).context("an instruction has an argument")?;
        let step = Instruction { name: name.to_ascii_uppercase(), rest: rest.trim().to_owned() };
        if step.name == "FROM" {
            let (base, name) = match step.rest.split_once(" AS ") {
                Some((base, name)) => (base, Some(name.trim().to_owned())),
                None => (step.rest.as_str(), None),
            };
            stages.push(Stage { base: base.trim().to_owned(), name, steps: Vec::new() });
        } else {
            stages.last_mut().context("the first instruction is FROM")?.steps.push(step);
        }
    }
    ensure!(!stages.is_empty(), "there is no image in it");
    Ok(stages)
}

/// What is wrong with a Dockerfile, by the rules that hadolint is known for and those of ours. A sentence each.
///
/// # Errors
/// If it cannot be read.
pub fn complaints(text: &str) -> Result<Vec<String>> {
    let stages = stages(text)?;
    let mut found = Vec::new();
    for stage in &stages {
        let known = stages.iter().any(|other| other.name.as_deref() == Some(stage.base.as_str()));
        match stage.base.split_once(':') {
            Some((_, "latest")) | None if !known => {
                found.push(format!("{} is another image each time: name its version", stage.base));
            }
            _ => {}
        }
        for step in &stage.steps {
            match step.name.as_str() {
                "RUN" => found.extend(of_packages(&step.rest)),
                "ADD" => found.push("ADD fetches and unpacks: COPY says what it does".to_owned()),
                "ENTRYPOINT" | "CMD" if step.words().is_err() => {
                    found.push(format!(
                        "{} is read by a shell, which takes the signals: write a list",
                        step.name
                    ));
                }
                "ENV" | "ARG"
                    if ["PASSWORD", "SECRET", "TOKEN", "_KEY"]
                        .iter()
                        .any(|word| step.rest.contains(word)) =>
                {
                    found.push(format!("{} puts a secret into the image", step.name));
                }
                _ => {}
            }
        }
    }
    if let Some(last) = stages.last() {
        match last.last("USER").map(|user| user.rest.as_str()) {
            None | Some("root" | "0") => found.push("the program runs as root: name a USER".to_owned()),
            Some(_) => {}
        }
        for (name, why) in
            [("HEALTHCHECK", "nobody can ask whether it works"), ("ENTRYPOINT", "nothing says what runs")]
        {
            if last.last(name).is_none() {
                found.push(format!("{why}: there is no {name}"));
            }
        }
    }
    Ok(found)
}

fn of_packages(run: &str) -> Vec<String> {
    let mut found = Vec::new();
    if run.contains("sudo ") {
        found.push("sudo has nothing to do in an image".to_owned());
    }
    let Some((_, install)) = run.split_once("apt-get install") else { return found };
    let install = install.split("&&").next().unwrap_or_default();
    for (needed, why) in [
        ("apt-get update", "packages are installed from an old list: apt-get update in the same RUN"),
        (
            "rm -rf /var/lib/apt/lists/*",
            "the lists of packages stay in the image: remove them in the same RUN",
        ),
        ("--no-install-recommends", "more is installed than is named: --no-install-recommends"),
    ] {
        if !run.contains(needed) {
            found.push(why.to_owned());
        }
    }
    if !install.contains("--yes") && !install.contains("-y") {
        found.push("nobody is there to answer: apt-get install --yes".to_owned());
    }
    let loose = install.split_whitespace().filter(|word| !word.starts_with('-') && !word.contains('='));
    found.extend(loose.map(|name| format!("{name} is another package each time: name its version")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
# syntax
FROM rust:1.95-slim AS build
RUN apt-get update \\
    # A remark in between.
    && apt-get install --yes --no-install-recommends gcc=4:12.* \\
    && rm -rf /var/lib/apt/lists/*
FROM debian:12-slim
COPY --from=build /a /b
USER somebody
HEALTHCHECK --interval=30s CMD [\"/b\", \"check\"]
ENTRYPOINT [\"/b\"]
";

    #[test]
    fn stages_and_steps_are_read_with_their_lines_joined() {
        let stages = stages(GOOD).expect("it reads");
        assert_eq!(stages.len(), 2);
        assert_eq!((stages[0].base.as_str(), stages[0].name.as_deref()), ("rust:1.95-slim", Some("build")));
        assert!(stages[0].steps[0].rest.ends_with("gcc=4:12.* && rm -rf /var/lib/apt/lists/*"));
        let check = stages[1].last("HEALTHCHECK").expect("there").words().expect("a list");
        assert_eq!(check, ["/b", "check"]);
        assert_eq!(complaints(GOOD).expect("it reads"), Vec::<String>::new());
    }

    #[test]
    fn each_carelessness_is_complained_of() {
        for (before, after, complaint) in [
            ("debian:12-slim", "debian:latest", "debian:latest is another image"),
            ("debian:12-slim", "debian", "debian is another image"),
            ("gcc=4:12.*", "gcc", "gcc is another package"),
            (" && rm -rf /var/lib/apt/lists/*", "", "lists of packages stay"),
            ("--no-install-recommends ", "", "more is installed"),
            ("apt-get update", "true", "an old list"),
            ("--yes ", "", "nobody is there to answer"),
            ("USER somebody", "USER root", "runs as root"),
            ("USER somebody\n", "", "runs as root"),
            ("USER somebody", "ENV API_TOKEN=x\nUSER somebody", "a secret"),
            ("COPY --from=build", "ADD", "COPY says what it does"),
            ("ENTRYPOINT [\"/b\"]", "ENTRYPOINT /b", "write a list"),
            ("HEALTHCHECK", "LABEL", "no HEALTHCHECK"),
        ] {
            // The joined form, so that a part of a line can be taken away.
            let joined = GOOD.replace("    # A remark in between.\n", "").replace("\\\n    ", "");
            let bad = joined.replace(before, after);
            assert_ne!(bad, joined, "{before}");
            let found = complaints(&bad).expect("it reads");
            assert!(found.iter().any(|found| found.contains(complaint)), "{before}: {found:?}");
        }
    }
}
