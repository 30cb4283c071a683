//! What was found, a line each as it is found, and how it all ends.

use super::super::exit::{Exit, Failed};
use super::super::output::Printer;
use serde_json::json;

/// How one check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it should be.
    Good,
    /// It works, and could be better.
    Warning,
    /// It does not work; a command would end with this code.
    Failed(Exit),
    /// It could not be looked at because of something above.
    Skipped,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Failed(_) => "failed",
            Self::Skipped => "skipped",
        }
    }

    const fn mark(self) -> &'static str {
        match self {
            Self::Good => "ok  ",
            Self::Warning => "warn",
            Self::Failed(_) => "FAIL",
            Self::Skipped => "-   ",
        }
    }
}

/// The checks so far.
pub(super) struct Report<'a> {
    printer: &'a Printer,
    good: usize,
    warnings: usize,
    skipped: usize,
    failed: Vec<(Exit, &'static str)>,
}

impl<'a> Report<'a> {
    pub(super) const fn new(printer: &'a Printer) -> Self {
        Self { printer, good: 0, warnings: 0, skipped: 0, failed: Vec::new() }
    }

    /// Says how a check came out, and what to do where there is something to do.
    pub(super) fn say(
        &mut self,
        check: &'static str,
        verdict: Verdict,
        text: &str,
        advice: Option<&str>,
    ) -> Result<(), Failed> {
        let exit = match verdict {
            Verdict::Good => {
                self.good += 1;
                None
            }
            Verdict::Warning => {
                self.warnings += 1;
                None
            }
            Verdict::Skipped => {
                self.skipped += 1;
                None
            }
            Verdict::Failed(exit) => {
                self.failed.push((exit, check));
                Some(exit.number())
            }
        };
        let object = json!({
            "type": "check",
            "check": check,
            "verdict": verdict.name(),
            "text": text,
            "advice": advice,
            "exit": exit,
        });
        let advice = advice.map_or_else(String::new, |advice| format!("\n                  -> {advice}"));
        self.printer.result(&object, &format!("{}  {check:<12}{text}{advice}", verdict.mark()))
    }

    pub(super) fn good(&mut self, check: &'static str, text: &str) -> Result<(), Failed> {
        self.say(check, Verdict::Good, text, None)
    }

    pub(super) fn warning(&mut self, check: &'static str, text: &str, advice: &str) -> Result<(), Failed> {
        self.say(check, Verdict::Warning, text, Some(advice))
    }

    /// What failed says in its sentence what to do.
    pub(super) fn failed(&mut self, check: &'static str, failed: &Failed) -> Result<(), Failed> {
        self.say(check, Verdict::Failed(failed.exit), &failed.sentence, None)
    }

    pub(super) fn skipped(&mut self, check: &'static str, why: &str) -> Result<(), Failed> {
        self.say(check, Verdict::Skipped, why, None)
    }

    /// The sum. The exit code is that of the first check that failed.
    pub(super) fn end(self) -> Result<(), Failed> {
        let Self { printer, good, warnings, skipped, failed } = self;
        let count = failed.len();
        let object = json!({
            "type": "doctor",
            "good": good,
            "warnings": warnings,
            "failed": count,
            "skipped": skipped,
        });
        printer.result(
            &object,
            &format!("{good} good, {warnings} warnings, {count} failed, {skipped} skipped"),
        )?;
        match failed.first() {
            None => Ok(()),
            Some((exit, check)) => {
                let sentence =
                    format!("{count} failed, the first at {check}; the line above says what to do");
                Err(Failed::new(*exit, "doctor", sentence))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_gives_the_exit_code_and_warnings_give_none() {
        let printer = Printer::new(true, false);
        let mut report = Report::new(&printer);
        report.good("one", "as it should be").expect("said");
        report.warning("two", "slow", "wait").expect("said");
        report.skipped("three", "not looked at").expect("said");
        report.end().expect("nothing failed");
        let mut report = Report::new(&printer);
        report.failed("store", &Failed::new(Exit::Store, "store_failed", "it is damaged")).expect("said");
        report.failed("address", &Failed::new(Exit::Unreachable, "unreachable", "away")).expect("said");
        let failed = report.end().expect_err("two failed");
        assert_eq!((failed.exit, failed.code.as_str()), (Exit::Store, "doctor"));
        assert!(failed.sentence.contains("store"), "{}", failed.sentence);
    }
}
