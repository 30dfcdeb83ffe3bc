//! Running the tracker (to be written; these are the functions that the command line calls).

use std::process::ExitCode;

use crate::config::{Config, Source};

/// Run until told to stop. `source` is loaded again on SIGHUP.
pub fn serve(config: Config, source: &Source) -> ExitCode {
    let _ = (config, source);
    ExitCode::SUCCESS
}

/// What a configuration comes to, in lines.
pub fn check(config: &Config) -> String {
    format!("configuration OK\n{}", config.resolved())
}
