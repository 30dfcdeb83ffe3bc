//! Exit codes of the process, as in sysexits.h, and failures that end it with one of them.

use core::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Success.
pub const OK: u8 = 0;
/// The command line is wrong.
pub const USAGE: u8 = 64;
/// The tracker rejects the request, or the entry does not exist.
pub const DATAERR: u8 = 65;
/// The tracker is not running.
pub const UNAVAILABLE: u8 = 69;
/// The tracker has an internal error.
pub const SOFTWARE: u8 = 70;
/// The operating system refuses a resource that the tracker needs.
pub const OSERR: u8 = 71;
/// Reading or writing failed.
pub const IOERR: u8 = 74;
/// Not permitted.
pub const NOPERM: u8 = 77;
/// The configuration is wrong.
pub const CONFIG: u8 = 78;

/// Failure that ends a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// Message of one line for the user of the command.
    pub message: String,
}

impl Failure {
    /// Return a failure with an exit code and a message of one line.
    pub fn new(code: u8, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// Print the message to the standard error, and return the exit code.
    pub fn report(&self) -> ExitCode {
        // If standard error is closed, the exit code still reports the failure.
        let _ = writeln!(io::stderr(), "nakodo: {}", self.message);
        ExitCode::from(self.code)
    }
}
