//! The limit of open files: raised as far as the system permits, and shared between HTTP connections and everything else.

use log::warn;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Number of files that are kept for everything but HTTP connections: the sockets of peers and of the administration with
/// its connections, the database, epoll.
const RESERVED: u64 = 48;

/// Minimum number of HTTP connections, however low the limit is.
const LEAST_CONNECTIONS: u64 = 4;

/// Raise the limit of open files, and return the number of HTTP connections that it permits, at most those `configured`.
pub(super) fn connections_for(configured: u32) -> u32 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return configured };
    let needed = u64::from(configured) + RESERVED;
    // Not beyond the need: some systems have a hard limit of a billion, and programs that close all possible files.
    let raised = needed.min(hard).max(soft);
    let limit = if raised > soft && setrlimit(Resource::RLIMIT_NOFILE, raised, hard).is_ok() { raised } else { soft };
    let connections = permitted(configured, limit);
    if connections < configured {
        warn!(
            "the system permits {limit} open files, so there are {connections} HTTP connections and not the {configured} of \
             http.connections; raise the limit to {needed} (`ulimit -n`, LimitNOFILE in systemd), or configure fewer"
        );
    }
    connections
}

fn permitted(configured: u32, limit: u64) -> u32 {
    let room = limit.saturating_sub(RESERVED).max(LEAST_CONNECTIONS);
    u32::try_from(room).unwrap_or(u32::MAX).min(configured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_the_administration() {
        for (configured, limit, expected) in [
            (128, 1024, 128),
            (128, 176, 128),
            (128, 175, 127),
            (128, 64, 16),
            (128, 32, 4),
            (2, 32, 2),
            (4096, u64::MAX, 4096),
        ] {
            assert_eq!(permitted(configured, limit), expected, "{configured} of {limit}");
        }
    }
}
