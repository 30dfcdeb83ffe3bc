//! The command line: what it may say, and what is then done.

mod commands;
mod help;
mod parse;

use std::io::{self, Write};
use std::process::ExitCode;

pub use parse::{Mistake, parse};

use crate::client;
use crate::config::{Source, is_daemons, quote};
use crate::exit::{self, Failure};
use crate::run;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Print this text.
    Print(String),
    /// Run the tracker.
    Serve(Source),
    /// Read the configuration and print what it comes to.
    Check(Source),
    /// Ask the running tracker.
    Ask(Source, client::Request),
}

/// Do what the command line asks for.
pub fn run(command: Command) -> ExitCode {
    match command {
        Command::Print(text) => print(&text),
        Command::Serve(source) => match source.load() {
            Ok(loaded) => {
                // Nobody need be listening.
                let _ = writeln!(io::stderr(), "nakodo: configuration: {}", loaded.origin);
                run::serve(loaded.config, &source)
            }
            Err(error) => Failure::new(exit::CONFIG, error).report(),
        },
        Command::Check(source) => match source.load() {
            Ok(loaded) => print(&format!("{}configuration from {}\n", run::check(&loaded.config), loaded.origin)),
            Err(error) => Failure::new(exit::CONFIG, error).report(),
        },
        Command::Ask(source, request) => ask(&source, &request),
    }
}

fn ask(source: &Source, request: &client::Request) -> ExitCode {
    let config = match source.load() {
        Ok(loaded) => loaded.config,
        Err(error) => return Failure::new(exit::CONFIG, error).report(),
    };
    match client::ask(&config.paths(is_daemons).socket, request) {
        Ok(answer) => print(&answer),
        Err(failure) => failure.report(),
    }
}

fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::from(exit::OK),
        // `nakodo list | head -1` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(exit::OK),
        Err(error) => Failure::new(exit::IOERR, format_args!("cannot write: {error}")).report(),
    }
}

#[cfg(test)]
mod tests;
