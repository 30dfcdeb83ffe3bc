//! The list of torrents: its settings, and the rule that follows for the tracker.

use std::cell::RefCell;
use std::path::PathBuf;

use crate::store::{Edited, Store, TorrentEdits, TorrentFileError, read_torrents};
use crate::torrents::{TorrentList, TorrentMode, TorrentRules};
use crate::tracker::Tracker;

/// Settings of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TorrentSettings {
    /// Effect of the list.
    pub mode: TorrentMode,
    /// Path of its file.
    pub file: PathBuf,
    /// Maximum number of torrents.
    pub capacity: usize,
}

/// The settings of the list, and the reason why its last version was not read.
#[derive(Debug, Default)]
pub struct Torrents {
    settings: RefCell<TorrentSettings>,
    refused: RefCell<Option<String>>,
}

impl Torrents {
    /// Return the settings.
    pub fn settings(&self) -> TorrentSettings {
        self.settings.borrow().clone()
    }

    /// Describe a list that is wrong, with its effect.
    pub fn warning(&self, tracker: &Tracker) -> Option<String> {
        let refused = self.refused.borrow();
        let effect = match &tracker.torrents().list {
            Some(_) => "the previous list stays in effect",
            None => "no torrent is served",
        };
        refused
            .as_ref()
            .map(|refused| format!("{refused}; until that is corrected and `nakodo torrents reload`, {effect}"))
    }

    /// Use these settings from now on, and read the list if they need it. This blocks, so call it before the tracker runs.
    pub fn begin(&self, tracker: &mut Tracker, settings: TorrentSettings) {
        let read = match settings.mode {
            TorrentMode::Any => None,
            _ => Some(read_torrents(&settings.file, settings.capacity)),
        };
        *self.settings.borrow_mut() = settings;
        self.take(tracker, read);
    }

    /// Use these settings from now on, and read the list if they need it. The caller must hold the lock of changes.
    pub async fn reload(&self, store: &Store, tracker: &RefCell<Tracker>, settings: TorrentSettings) {
        let read = match settings.mode {
            TorrentMode::Any => None,
            _ => Some(store.read_torrents(settings.file.clone(), settings.capacity).await),
        };
        *self.settings.borrow_mut() = settings;
        self.take(&mut tracker.borrow_mut(), read);
    }

    /// Edit the list. The caller must hold the lock of changes.
    ///
    /// # Errors
    /// When the list cannot be read or written. Nothing is changed.
    pub async fn edit(
        &self,
        store: &Store,
        tracker: &RefCell<Tracker>,
        edits: TorrentEdits,
    ) -> Result<(Edited, usize), TorrentFileError> {
        let TorrentSettings { file, capacity, .. } = self.settings();
        let (edited, list) = store.edit_torrents(file, capacity, edits).await?;
        Ok((edited, self.replace(tracker, list)))
    }

    /// Read the list again, and return its number of torrents. The caller must hold the lock of changes.
    ///
    /// # Errors
    /// When the list cannot be read. The previous one stays in effect.
    pub async fn read_again(&self, store: &Store, tracker: &RefCell<Tracker>) -> Result<usize, TorrentFileError> {
        let TorrentSettings { file, capacity, .. } = self.settings();
        let list = store.read_torrents(file, capacity).await?;
        Ok(self.replace(tracker, list))
    }

    /// Put a list into effect, if the mode needs one, and return its number of torrents.
    fn replace(&self, tracker: &RefCell<Tracker>, list: TorrentList) -> usize {
        let torrents = list.count();
        if self.settings.borrow().mode != TorrentMode::Any {
            self.take(&mut tracker.borrow_mut(), Some(Ok(list)));
        }
        torrents
    }

    /// Pass the rule to the tracker. A list that is wrong leaves the previous one in effect.
    fn take(&self, tracker: &mut Tracker, read: Option<Result<TorrentList, TorrentFileError>>) {
        let mode = self.settings.borrow().mode;
        let (list, refused) = match read {
            None => (None, None),
            Some(Ok(list)) => (Some(list), None),
            Some(Err(error)) => (tracker.torrents().list.clone(), Some(error.to_string())),
        };
        *self.refused.borrow_mut() = refused;
        tracker.set_torrents(TorrentRules { mode, list });
        if let Some(warning) = self.warning(tracker) {
            log::error!("{warning}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::TorrentEdit;
    use crate::testing::{TempDir, settings, shared};
    use crate::wire::InfoHash;

    #[test]
    fn a_wrong_list_keeps_the_previous_one_and_at_the_start_serves_none() {
        let dir = TempDir::new();
        let shared = shared(&dir, settings(4));
        let hash = InfoHash([7; 20]);
        let file = dir.file("list");
        let with = |mode, capacity| TorrentSettings { mode, file: file.clone(), capacity };
        let serves = || shared.tracker.borrow().torrents().serve(&hash);
        let warning = || shared.torrents.warning(&shared.tracker.borrow());
        let reload = |settings| smol::block_on(shared.torrents.reload(&shared.store, &shared.tracker, settings));

        shared.torrents.begin(&mut shared.tracker.borrow_mut(), with(TorrentMode::Any, 2));
        assert!(serves() && warning().is_none(), "the file is not needed");
        for mode in [TorrentMode::Only, TorrentMode::Except] {
            shared.torrents.begin(&mut shared.tracker.borrow_mut(), with(mode, 2));
            assert!(!serves());
            assert!(warning().is_some_and(|warning| warning.ends_with("no torrent is served")));
        }
        fs::write(&file, format!("{hash}\n")).expect("written");
        reload(with(TorrentMode::Only, 2));
        assert!(serves() && warning().is_none());
        fs::write(&file, "#\n00 wrong\n").expect("written");
        reload(with(TorrentMode::Only, 2));
        assert!(serves());
        let warned = warning().expect("a bad line");
        assert!(warned.contains("list:2: its first word has 2 characters"), "{warned}");
        assert!(warned.ends_with("the previous list stays in effect"), "{warned}");
        reload(with(TorrentMode::Any, 2));
        reload(with(TorrentMode::Except, 2));
        assert!(!serves(), "there is no previous list any more");
    }

    #[test]
    fn an_edit_is_in_effect_at_once() {
        let dir = TempDir::new();
        let shared = shared(&dir, settings(4));
        let hash = InfoHash([7; 20]);
        let list = TorrentSettings { mode: TorrentMode::Except, file: dir.file("list"), capacity: 2 };
        let edit = |name: Option<&str>| {
            let edits = vec![TorrentEdit { info_hash: hash, name: name.map(String::from) }].into();
            smol::block_on(shared.torrents.edit(&shared.store, &shared.tracker, edits)).expect("a list")
        };
        let serves = || shared.tracker.borrow().torrents().serve(&hash);
        shared.torrents.begin(&mut shared.tracker.borrow_mut(), list);
        assert_eq!(edit(Some("Seven")), (Edited { added: 1, ..Edited::default() }, 1));
        assert!(!serves());
        assert_eq!(edit(None), (Edited { removed: 1, ..Edited::default() }, 0));
        assert!(serves());
        assert!(shared.torrents.warning(&shared.tracker.borrow()).is_none(), "the edit made the file");
    }
}
