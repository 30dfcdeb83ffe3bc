//! The log on the standard error. A reader that stops reading must not stop the tracker: lines that would have to wait are
//! left out and counted.

use std::io::{self, Write};
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Number of bytes that a pipe takes at once if it is ready for any: POSIX, `PIPE_BUF`.
const PIECE_OCTETS: usize = 4096;

/// The standard error, for the logger.
#[derive(Debug, Default)]
pub(super) struct LogOutput {
    /// Number of lines that were left out since the last one that was written.
    lost: u64,
}

impl Write for LogOutput {
    /// Write one line of the log, or leave it out.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lost > 0 && is_ready() {
            let report =
                format!("[WARN  nakodo] {} lines of the log were lost, because they were not read\n", self.lost);
            self.lost = 0;
            put(report.as_bytes());
        }
        self.lost += u64::from(!put(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Write a line in pieces, each without waiting. Return whether all of it was written.
fn put(line: &[u8]) -> bool {
    // Other writers to the same pipe may take the room between the test and the write; they are few, and short.
    line.chunks(PIECE_OCTETS).all(|piece| is_ready() && io::stderr().write_all(piece).is_ok())
}

/// Return whether the standard error takes a piece without waiting, or has an error that ends the wait.
fn is_ready() -> bool {
    let stderr = io::stderr();
    let mut files = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    poll(&mut files, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}
