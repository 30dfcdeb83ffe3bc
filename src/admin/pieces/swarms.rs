//! The answer with the swarms in memory.

use super::{PIECE_OCTETS, head};
use crate::admin::parameters::Parameters;
use crate::admin::refused::Refused;
use crate::api::{self, Swarms};
use crate::shared::Shared;
use crate::tracker::Swarm;
use crate::wire::InfoHash;

/// Number of lines of the pool that one piece looks at.
const LINES_A_PIECE: usize = 1024;

/// The progress of writing an [`api::Swarms`].
#[derive(Debug, Default)]
pub struct SwarmListing {
    limit: Option<usize>,
    /// The next line of the pool to look at.
    line: usize,
    /// The line of the last swarm that was written.
    written: usize,
    count: usize,
    is_begun: bool,
    is_ended: bool,
}

impl SwarmListing {
    /// Begin the list that the parameters of a request select.
    pub(in crate::admin) fn of(parameters: &Parameters) -> Result<Self, Refused> {
        let after: Option<usize> = parameters.parsed("after", |text| text.parse().ok())?;
        let line = after.map_or(0, |after| after.saturating_add(1));
        Ok(Self { limit: parameters.limit()?, line, ..Self::default() })
    }

    /// Write the next piece. Return `false` after the last one.
    pub(super) fn next(&mut self, shared: &Shared, piece: &mut Vec<u8>) -> serde_json::Result<bool> {
        if self.is_ended {
            return Ok(false);
        }
        if !self.is_begun {
            piece.extend(head(&Swarms::default())?.bytes());
            self.is_begun = true;
        }
        let tracker = shared.tracker.borrow();
        let end = self.line.saturating_add(LINES_A_PIECE);
        while self.line < end && piece.len() < PIECE_OCTETS {
            if self.line >= tracker.lines_touched() {
                piece.extend_from_slice(b"]}");
                self.is_ended = true;
                break;
            }
            let line = self.line;
            self.line += 1;
            let Some(swarm) = tracker.swarm_at(line, shared.now()) else { continue };
            if self.limit == Some(self.count) {
                piece.extend_from_slice(format!(r#"],"next":{}}}"#, self.written).as_bytes());
                self.is_ended = true;
                break;
            }
            if self.count > 0 {
                piece.push(b',');
            }
            serde_json::to_writer(&mut *piece, &described(&swarm))?;
            (self.written, self.count) = (line, self.count + 1);
        }
        Ok(true)
    }
}

/// Return the swarms of one torrent.
pub(in crate::admin) fn swarms_of(shared: &Shared, info_hash: &InfoHash) -> Swarms {
    let swarms = shared.tracker.borrow().swarms_of(info_hash, shared.now());
    Swarms { swarms: swarms.into_iter().flatten().map(|swarm| described(&swarm)).collect(), next: None }
}

fn described(swarm: &Swarm) -> api::Swarm {
    api::Swarm {
        info_hash: swarm.info_hash.to_string(),
        side: swarm.horizon.name().into(),
        seeders: swarm.counts.seeders.into(),
        leechers: swarm.counts.leechers.into(),
        completed: swarm.counts.completed.into(),
    }
}
