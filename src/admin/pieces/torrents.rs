//! The answer with the list of torrents, read from its file piece by piece.

use std::io;
use std::path::{Path, PathBuf};

use super::PIECE_OCTETS;
use crate::admin::refused::Refused;
use crate::admin::torrents::refused;
use crate::api;
use crate::shared::Shared;
use crate::store::TorrentLines;

/// The progress of writing an [`api::TorrentPage`].
#[derive(Debug)]
pub struct TorrentListing {
    path: PathBuf,
    /// The rest of the file; `None` at the end, or without a file.
    lines: Option<TorrentLines>,
    /// The begin of the JSON, until it is written.
    head: Option<String>,
    has_torrents: bool,
    is_ended: bool,
}

impl TorrentListing {
    /// Begin with the list as it is now.
    pub(in crate::admin) async fn begin(shared: &Shared) -> Result<Self, Refused> {
        let settings = shared.torrents.settings();
        let path = settings.file.clone();
        let lines = shared.store.off_thread(Box::new(move || TorrentLines::open(&path))).await.map_err(refused)?;
        if lines.is_some() {
            // A wrong line is better found before the answer begins.
            shared.store.read_torrents(settings.file.clone(), usize::MAX).await.map_err(refused)?;
        }
        let head = api::TorrentPage {
            mode: settings.mode.name().into(),
            file: settings.file.display().to_string(),
            capacity: settings.capacity as u64,
            torrents: Vec::new(),
        };
        let head = super::head(&head).ok();
        Ok(Self { path: settings.file, lines, head, has_torrents: false, is_ended: false })
    }

    /// Write the next piece. Return `false` after the last one.
    pub(super) async fn next(&mut self, shared: &Shared, piece: &mut Vec<u8>) -> io::Result<bool> {
        if self.is_ended {
            return Ok(false);
        }
        piece.extend(self.head.take().unwrap_or_default().bytes());
        match self.lines.take() {
            Some(mut lines) => {
                let path = self.path.clone();
                let next = move || {
                    let read = some(&mut lines, &path);
                    (lines, read)
                };
                let (lines, read) = shared.store.off_thread(Box::new(next)).await;
                let (json, has_more) = read?;
                let json = if self.has_torrents { &json } else { json.trim_start_matches(',') };
                self.has_torrents |= !json.is_empty();
                piece.extend_from_slice(json.as_bytes());
                self.lines = Some(lines).filter(|_| has_more);
            }
            None => {
                piece.extend_from_slice(b"]}");
                self.is_ended = true;
            }
        }
        Ok(true)
    }
}

/// Return the next torrents in JSON, each after a comma, and whether there may be more.
fn some(lines: &mut TorrentLines, path: &Path) -> io::Result<(String, bool)> {
    let mut json = String::new();
    let read = lines.some(path, |info_hash, name| {
        let torrent = api::Torrent { info_hash: info_hash.to_string(), name: name.into() };
        json.push(',');
        json.push_str(&serde_json::to_string(&torrent).unwrap_or_default());
        json.len() < PIECE_OCTETS
    });
    read.map(|has_more| (json, has_more)).map_err(io::Error::other)
}
