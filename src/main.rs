//! Binary of the tracker.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use nakodo::cli;
use nakodo::exit::{self, Failure};

fn main() -> ExitCode {
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(command) => cli::run(command),
        Err(mistake) => Failure::new(exit::USAGE, mistake).report(),
    }
}
