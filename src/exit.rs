//! Exit codes, after sysexits.h, and the failure that ends the process with one of them.

use core::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Success.
pub const OK: u8 = 0;
/// The command line makes no sense.
pub const USAGE: u8 = 64;
/// The request makes no sense to the tracker, or names an entry that does not exist.
pub const DATAERR: u8 = 65;
/// The tracker is not running.
pub const UNAVAILABLE: u8 = 69;
/// The tracker has a fault.
pub const SOFTWARE: u8 = 70;
/// The system refuses a resource that the tracker needs.
pub const OSERR: u8 = 71;
/// Reading or writing failed.
pub const IOERR: u8 = 74;
/// Not permitted.
pub const NOPERM: u8 = 77;
/// The configuration is wrong.
pub const CONFIG: u8 = 78;

/// Why a command ends without success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// One line for the person who ran the command.
    pub message: String,
}

impl Failure {
    /// A failure with an exit code and a message of one line.
    pub fn new(code: u8, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// Print the message to the standard error, and return the exit code.
    pub fn report(&self) -> ExitCode {
        // Without a reader of the line, the exit code still tells.
        let _ = writeln!(io::stderr(), "nakodo: {}", self.message);
        ExitCode::from(self.code)
    }
}
