//! Command line: its parser, and the execution of its commands.

mod commands;
mod date;
mod help;
mod parse;

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
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
    /// Print the state of the running tracker again and again.
    Watch(Source),
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
        Command::Watch(source) => match source.load() {
            Ok(loaded) => watch(&loaded.config.paths(is_daemons).socket),
            Err(error) => Failure::new(exit::CONFIG, error).report(),
        },
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
        Ok(answer) => {
            #[cfg(feature = "page")]
            if matches!(request, client::Request::PageCode { json: false }) {
                open_on_a_desktop(&answer);
            }
            print(&answer)
        }
        Err(failure) => failure.report(),
    }
}

/// Print the state of the tracker again and again: in place at a terminal, one below the other elsewhere.
fn watch(socket: &Path) -> ExitCode {
    let is_terminal = io::stdout().is_terminal();
    let mut code = ExitCode::from(exit::OK);
    client::watch(socket, |text| {
        // Home, each line up to its old end, and the lines below.
        let text =
            if is_terminal { format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")) } else { format!("{text}\n") };
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        if let Err(error) = &written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            code = Failure::new(exit::IOERR, format_args!("cannot write: {error}")).report();
        }
        written.is_ok()
    });
    code
}

/// Open the first link of `text` in the browser, if a person at a desktop has run the command.
#[cfg(feature = "page")]
fn open_on_a_desktop(text: &str) {
    let has_desktop = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if let Some(link) = text.lines().next().filter(|_| has_desktop && io::stdout().is_terminal()) {
        // Best effort: the link is printed too.
        let quiet = std::process::Stdio::null;
        let _ = std::process::Command::new("xdg-open").arg(link).stdout(quiet()).stderr(quiet()).spawn();
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
