//! The control socket, which is created again if its file is removed.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use async_io::Timer;
use log::{error, warn};
use smol::LocalExecutor;

use super::tasks;
use crate::net::admin::{Limits, SocketError, SocketFile, UnixServer};
use crate::shared::Shared;

/// Time between two looks at the socket's file.
const LOOK: Duration = Duration::from_secs(10);

/// The control socket. Its file is removed on drop.
pub(super) struct ControlSocket {
    path: PathBuf,
    /// `None` while it could not be created.
    file: RefCell<Option<SocketFile>>,
    shared: Rc<Shared>,
    executor: Rc<LocalExecutor<'static>>,
    /// Whether the log already has the failure to create the file again.
    has_failed: Cell<bool>,
}

impl ControlSocket {
    /// Listen on `path`. On a disk that takes no writes, the socket is created later.
    ///
    /// # Errors
    /// When the socket cannot be created on a working disk.
    pub(super) fn listen(
        path: &Path,
        shared: &Rc<Shared>,
        executor: &Rc<LocalExecutor<'static>>,
    ) -> Result<Rc<Self>, SocketError> {
        let file = match spawn(path, shared, executor) {
            Err(error @ SocketError::Unusable(..)) if shared.store.health().failing.is_some() => {
                error!("{error}; until then, nakodo runs without it");
                None
            }
            file => Some(file?),
        };
        let (shared, executor, has_failed) = (Rc::clone(shared), Rc::clone(executor), Cell::new(file.is_none()));
        Ok(Rc::new(Self { path: path.into(), file: RefCell::new(file), shared, executor, has_failed }))
    }

    /// Look at the socket's file now and then, until the socket is dropped.
    pub(super) fn watch(self: &Rc<Self>) {
        // A task may never be dropped, and would then keep the file.
        let socket = Rc::downgrade(self);
        let watching = async move {
            loop {
                Timer::after(LOOK).await;
                let Some(socket) = socket.upgrade() else { return };
                socket.renew();
            }
        };
        tasks::spawn(&self.executor, watching);
    }

    fn renew(&self) {
        if self.file.borrow().as_ref().is_some_and(SocketFile::is_there) {
            return;
        }
        match spawn(&self.path, &self.shared, &self.executor) {
            // The old server stays: a connection may be changing the whitelist.
            Ok(file) => {
                match self.file.replace(Some(file)) {
                    Some(_) => warn!("the control socket {} was removed; it is there again", self.path.display()),
                    None => warn!("the control socket {} is there", self.path.display()),
                }
                self.has_failed.set(false);
            }
            Err(error) if !self.has_failed.replace(true) => error!("{error}"),
            Err(_) => {}
        }
    }
}

fn spawn(path: &Path, shared: &Rc<Shared>, executor: &LocalExecutor<'static>) -> Result<SocketFile, SocketError> {
    let (server, file) = UnixServer::bind(path, Limits::default())?;
    tasks::spawn(executor, server.serve(Rc::clone(shared)));
    Ok(file)
}
