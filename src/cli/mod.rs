//! Command line: its parser, and the execution of its commands.

mod commands;
mod date;
mod help;
mod parse;

use std::io::{self, Write};
use std::process::ExitCode;

pub use parse::parse;

use crate::client;
use crate::config::{Config, Source, is_daemons, quote};
use crate::exit::{self, Failure};
use crate::run;

/// Parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Print a text.
    Print(String),
    /// Run the tracker.
    Serve(Source),
    /// Read the configuration, and print the result.
    Check {
        /// Source of the configuration.
        source: Source,
        /// Whether to check the data directory too.
        data: bool,
    },
    /// Send a request to the running tracker.
    Ask(Source, client::Request),
}

/// Execute a command, and return its exit code.
pub fn run(command: Command) -> ExitCode {
    match command {
        Command::Print(text) => print(&text),
        Command::Serve(source) => match source.load() {
            Ok(loaded) => {
                // Standard error may be closed; that is no reason to stop.
                let _ = writeln!(io::stderr(), "nakodo: configuration: {}", loaded.origin);
                run::serve(loaded.config, &source)
            }
            Err(error) => Failure::new(exit::CONFIG, error).report(),
        },
        Command::Check { source, data } => match source.load() {
            Ok(loaded) => {
                let text = format!("{}configuration from {}\n", run::check(&loaded.config), loaded.origin);
                if data { check_data(&loaded.config, text) } else { print(&text) }
            }
            Err(error) => Failure::new(exit::CONFIG, error).report(),
        },
        Command::Ask(source, request) => ask(&source, &request),
    }
}

/// Print `text`, and check the data directory.
fn check_data(config: &Config, text: String) -> ExitCode {
    let mut is_damaged = false;
    print(&text);
    // Each part is printed at once: the next may fail.
    for part in run::check_data(config) {
        match part {
            Ok(part) => {
                is_damaged |= part.is_damaged;
                let lines: String = part.lines.iter().map(|line| format!("{line}\n")).collect();
                print(&lines);
            }
            Err(failure) => return failure.report(),
        }
    }
    ExitCode::from(if is_damaged { exit::DATAERR } else { exit::OK })
}

fn ask(source: &Source, request: &client::Request) -> ExitCode {
    let config = match source.load() {
        Ok(loaded) => loaded.config,
        Err(error) => return Failure::new(exit::CONFIG, error).report(),
    };
    match client::ask(&config.paths(is_daemons).socket, request, config.public_url().as_deref()) {
        Ok(answer) => print(&answer),
        Err(failure) => failure.report(),
    }
}

fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::from(exit::OK),
        // The reader has closed the pipe on purpose, as in `nakodo list | head -1`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(exit::OK),
        Err(error) => Failure::new(exit::IOERR, format_args!("cannot write: {error}")).report(),
    }
}

#[cfg(test)]
mod tests;
