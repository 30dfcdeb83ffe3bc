//! Start of the tasks beside the server.

use core::pin::Pin;

use smol::LocalExecutor;

/// Start a task that runs until the tracker ends. It is boxed, so that the binary has the code of the executor once and
/// not for each task.
pub(super) fn spawn(executor: &LocalExecutor<'static>, task: impl Future<Output = ()> + 'static) {
    let task: Pin<Box<dyn Future<Output = ()>>> = Box::pin(task);
    executor.spawn(task).detach();
}
