//! `sotto`: private messaging from a terminal or a script. `docs/cli.md` describes it; `sotto --help` teaches it.

mod cli;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // One TLS stack: a second provider in the tree would make rustls panic when it has to choose.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed already");
    }
    let args = match cli::args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => return cli::exit::usage(&error, std::env::args_os().any(|word| word == "--json")),
    };
    // The terminal interface logs to a file: its screen is its own.
    if args.command.is_some() {
        cli::start_logging();
    }
    // Asked before there is a second thread: the system's answer is not safe to read beside others.
    let offset = time::UtcOffset::current_local_offset().unwrap_or(time::UtcOffset::UTC);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return cli::exit::Failed::internal(format!("no runtime: {error}")).report(args.global.json);
        }
    };
    let json = args.global.json;
    let code = match runtime.block_on(cli::run(args, offset)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => failed.report(json),
    };
    // A thread that waits for standard input must not keep the program alive.
    runtime.shutdown_background();
    code
}
