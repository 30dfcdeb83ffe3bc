//! The command line: what it may say, and what is then done.

mod commands;
mod help;
mod parse;

use core::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

pub use parse::{Mistake, parse};

use crate::client;
use crate::config::{Source, is_daemons, quote};
use crate::run;

/// Exit codes, after sysexits.h.
pub mod exit {
    /// All is well.
    pub const OK: u8 = 0;
    /// The command line makes no sense.
    pub const USAGE: u8 = 64;
    /// What was asked for makes no sense to the tracker, or is not there.
    pub const DATAERR: u8 = 65;
    /// The tracker is not running.
    pub const UNAVAILABLE: u8 = 69;
    /// The tracker has a fault.
    pub const SOFTWARE: u8 = 70;
    /// The system refuses something that the tracker needs.
    pub const OSERR: u8 = 71;
    /// Reading or writing failed.
    pub const IOERR: u8 = 74;
    /// That is refused.
    pub const NOPERM: u8 = 77;
    /// The configuration is wrong.
    pub const CONFIG: u8 = 78;
}

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
            Err(error) => fail(exit::CONFIG, &error),
        },
        Command::Check(source) => match source.load() {
            Ok(loaded) => print(&format!("{}configuration from {}\n", run::check(&loaded.config), loaded.origin)),
            Err(error) => fail(exit::CONFIG, &error),
        },
        Command::Ask(source, request) => ask(&source, &request),
    }
}

/// Say in one line what went wrong.
pub fn fail(code: u8, why: &impl fmt::Display) -> ExitCode {
    // Where nobody reads the line, the code still tells.
    let _ = writeln!(io::stderr(), "nakodo: {why}");
    ExitCode::from(code)
}

fn ask(source: &Source, request: &client::Request) -> ExitCode {
    let config = match source.load() {
        Ok(loaded) => loaded.config,
        Err(error) => return fail(exit::CONFIG, &error),
    };
    match client::ask(&config.places(is_daemons).socket, request) {
        Ok(answer) => print(&answer),
        Err(failure) => fail(failure.code, &failure.message),
    }
}

fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::from(exit::OK),
        // `nakodo list | head -1` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(exit::OK),
        Err(error) => fail(exit::IOERR, &format_args!("cannot write: {error}")),
    }
}

#[cfg(test)]
mod tests;
