//! The control socket, which is created again if its file is removed.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use async_io::Timer;
use log::{error, warn};
use smol::LocalExecutor;

use crate::net::admin::{Limits, SocketError, SocketFile, UnixServer};
use crate::shared::Shared;

/// Time between two looks at the socket's file.
const LOOK: Duration = Duration::from_secs(10);

/// The control socket. Its file is removed on drop.
pub(super) struct ControlSocket {
    path: PathBuf,
    file: RefCell<SocketFile>,
    shared: Rc<Shared>,
    executor: Rc<LocalExecutor<'static>>,
    /// Whether the log already has the failure to create the file again.
    has_failed: Cell<bool>,
}

impl ControlSocket {
    /// Listen on `path`.
    ///
    /// # Errors
    /// When the socket cannot be created.
    pub(super) fn listen(
        path: &Path,
        shared: &Rc<Shared>,
        executor: &Rc<LocalExecutor<'static>>,
    ) -> Result<Rc<Self>, SocketError> {
        let file = RefCell::new(spawn(path, shared, executor)?);
        let (shared, executor) = (Rc::clone(shared), Rc::clone(executor));
        Ok(Rc::new(Self { path: path.into(), file, shared, executor, has_failed: Cell::default() }))
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
        self.executor.spawn(watching).detach();
    }

    fn renew(&self) {
        if self.file.borrow().is_there() {
            return;
        }
        match spawn(&self.path, &self.shared, &self.executor) {
            // The old server stays: a connection may be changing the whitelist.
            Ok(file) => {
                warn!("the control socket {} was removed; it is there again", self.path.display());
                drop(self.file.replace(file));
                self.has_failed.set(false);
            }
            Err(error) if !self.has_failed.replace(true) => error!("{error}"),
            Err(_) => {}
        }
    }
}

fn spawn(path: &Path, shared: &Rc<Shared>, executor: &LocalExecutor<'static>) -> Result<SocketFile, SocketError> {
    let (server, file) = UnixServer::bind(path, Limits::default())?;
    executor.spawn(server.serve(Rc::clone(shared))).detach();
    Ok(file)
}
