//! Changes of the list of torrents.

use super::nonsense;
use super::refused::{Because, Refused};
use crate::access::controls;
use crate::api::{AddTorrents, RemoveTorrents, TORRENTS_A_REQUEST, TorrentsChanged};
use crate::config::quote;
use crate::shared::{Event, Shared};
use crate::store::{Edited, TorrentEdit, TorrentEdits, TorrentFileError};
use crate::torrents::{NAME_OCTETS, is_name};
use crate::wire::InfoHash;

/// Add torrents, or give them other names.
pub(super) async fn add(shared: &Shared, request: &AddTorrents) -> Result<TorrentsChanged, Refused> {
    has_room(request.torrents.len())?;
    let mut edits = Vec::new();
    for torrent in &request.torrents {
        let name = torrent.name.trim();
        if !is_name(name) || name.chars().any(controls) {
            let name = quote(name);
            return Err(nonsense(format!(
                "{name} cannot be a name: it may have {NAME_OCTETS} bytes and no control characters"
            )));
        }
        edits.push(TorrentEdit { info_hash: info_hash(&torrent.info_hash)?, name: Some(name.into()) });
    }
    edit(shared, edits.into()).await
}

/// Remove torrents. Those that are not on the list are passed over.
pub(super) async fn remove(shared: &Shared, request: &RemoveTorrents) -> Result<TorrentsChanged, Refused> {
    has_room(request.info_hashes.len())?;
    let mut edits = Vec::new();
    for text in &request.info_hashes {
        edits.push(TorrentEdit { info_hash: info_hash(text)?, name: None });
    }
    let changed = edit(shared, edits.into()).await?;
    if changed.removed == 0 {
        return Err(Refused::new(Because::NotFound, "none of these torrents is on the list"));
    }
    Ok(changed)
}

/// Read the list again.
pub(super) async fn reload(shared: &Shared) -> Result<TorrentsChanged, Refused> {
    let changing = shared.changing().await;
    let torrents = shared.torrents.read_again(&shared.store, &shared.tracker).await.map_err(refused)?;
    drop(changing);
    shared.forget().await;
    Ok(TorrentsChanged { torrents: torrents as u64, ..TorrentsChanged::default() })
}

/// Parse an info-hash of a request.
pub(super) fn info_hash(text: &str) -> Result<InfoHash, Refused> {
    InfoHash::parse(text.trim())
        .ok_or_else(|| nonsense(format!("{} is no info-hash: send 40 or 64 hexadecimal digits", quote(text))))
}

fn has_room(torrents: usize) -> Result<(), Refused> {
    if torrents <= TORRENTS_A_REQUEST {
        return Ok(());
    }
    let reason =
        format!("the request has {torrents} torrents and may have {TORRENTS_A_REQUEST}; send several requests");
    Err(nonsense(reason))
}

/// Make edits, and wait until the peers of the torrents that are no longer served have left.
async fn edit(shared: &Shared, edits: TorrentEdits) -> Result<TorrentsChanged, Refused> {
    let changing = shared.changing().await;
    let (Edited { added, renamed, removed }, torrents) =
        shared.torrents.edit(&shared.store, &shared.tracker, edits).await.map_err(refused)?;
    drop(changing);
    shared.forget().await;
    if added + renamed + removed > 0 {
        log::info!("the list of torrents: {added} added, {renamed} renamed, {removed} removed; it has {torrents} now");
        shared.events.send(Event::Torrents { added, removed });
    }
    let [added, renamed, removed, torrents] = [added, renamed, removed, torrents].map(|number| number as u64);
    Ok(TorrentsChanged { added, renamed, removed, torrents })
}

/// Return the refusal of a request that needs the file of the list.
pub(super) fn refused(error: TorrentFileError) -> Refused {
    let because = match error {
        TorrentFileError::TooMany(..) => Because::Full,
        TorrentFileError::Unwritable(..) => Because::Failed,
        TorrentFileError::Unreadable(..) | TorrentFileError::Line(..) | TorrentFileError::NotText(..) => {
            Because::Conflict
        }
    };
    Refused::new(because, error.to_string())
}
