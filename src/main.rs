//! The tracker's binary.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use nakodo::cli;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(command) => cli::run(command),
        Err(mistake) => cli::fail(cli::exit::USAGE, &mistake),
    }
}
