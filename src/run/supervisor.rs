//! What the supervisor that started the tracker is told, where it asks for that: systemd's `Type=notify` and
//! `Type=notify-reload`, and its watchdog (sd_notify(3)). Others, such as procd, do not ask.

use core::time::Duration;

use async_io::Timer;
use log::warn;
use nix::time::{ClockId, clock_gettime};
use sd_notify::NotifyState;

/// What the tracker is about to do.
#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    /// Answer, with everything open.
    Ready,
    /// Read its configuration again; `Ready` comes next, whether or not that could be used.
    Reloading,
    /// Save and end.
    Stopping,
}

/// Tell the supervisor. One that cannot be told is no reason not to go on.
pub(super) fn tell(state: State) {
    let sent = match state {
        State::Ready => sd_notify::notify(&[NotifyState::Ready]),
        // Since systemd 253 the time comes with it. Ours, for on a 32-bit system the crate's overflows after 35 minutes.
        State::Reloading => match clock_gettime(ClockId::CLOCK_MONOTONIC) {
            Ok(now) => {
                let now = format!("MONOTONIC_USEC={}", Duration::from(now).as_micros());
                sd_notify::notify(&[NotifyState::Reloading, NotifyState::Custom(&now)])
            }
            Err(error) => Err(error.into()),
        },
        State::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
    };
    if let Err(error) = sent {
        warn!("the supervisor at NOTIFY_SOCKET could not be told: {error}");
    }
}

/// Tell the supervisor that we are alive, twice in the time after which it would kill us: from the thread that answers
/// announces, so that it means something.
pub(super) async fn keep_reporting() {
    let Some(kills_after) = sd_notify::watchdog_enabled().filter(|time| !time.is_zero()) else { return };
    loop {
        // Where this fails, the supervisor does what it is there for.
        let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        Timer::after(kills_after / 2).await;
    }
}
