//! `completions` and `man`: what a shell and a reader of manuals want, made from the definition of the arguments.

use super::args::Args;
use super::exit::Failed;
use super::output::Printer;
use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::json;
use std::path::Path;

pub(crate) fn completions(printer: &Printer, shell: Shell) -> Result<(), Failed> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "sotto", &mut script);
    let script = String::from_utf8_lossy(&script);
    let object = json!({ "type": "completions", "shell": shell.to_string(), "script": script });
    printer.result(&object, script.trim_end())
}

pub(crate) fn man(printer: &Printer, dir: Option<&Path>) -> Result<(), Failed> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Args::command())
            .render(&mut page)
            .map_err(|error| Failed::internal(format!("no manual page: {error}")))?;
        let page = String::from_utf8_lossy(&page);
        return printer.result(&json!({ "type": "man", "page": page }), page.trim_end());
    };
    let failed = |error: std::io::Error| {
        Failed::usage(format!("the manual pages cannot be written to {}: {error}", dir.display()))
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(Args::command(), dir).map_err(failed)?;
    let object = json!({ "type": "man", "folder": dir.display().to_string() });
    printer.result(&object, &format!("The manual pages are in {0}; read one: man {0}/sotto.1", dir.display()))
}
