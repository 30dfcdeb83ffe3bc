//! Notifications to the supervisor that started the tracker, if it asks for them: systemd's `Type=notify` and
//! `Type=notify-reload`, and its watchdog (sd_notify(3)). Other supervisors, such as procd, do not ask.

use core::time::Duration;

use async_io::Timer;
use log::warn;
use nix::time::{ClockId, clock_gettime};
use sd_notify::NotifyState;

/// The next activity of the tracker.
#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    /// Answer requests, with all sockets open.
    Ready,
    /// Read the configuration again. `Ready` follows, whether or not the new one is valid.
    Reloading,
    /// Save and end.
    Stopping,
}

/// Notify the supervisor. The tracker continues if that fails.
pub(super) fn notify(state: State) {
    let sent = match state {
        State::Ready => sd_notify::notify(&[NotifyState::Ready]),
        // systemd 253 and later need the time with this state. It is formatted here, because the crate's own function
        // overflows after 35 minutes on a 32-bit system.
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
        warn!("cannot notify the supervisor at NOTIFY_SOCKET: {error}");
    }
}

/// Send watchdog notifications, two in each interval. They come from the thread that answers announces, so that they
/// prove that it works.
pub(super) async fn keep_reporting() {
    let Some(kills_after) = sd_notify::watchdog_enabled().filter(|time| !time.is_zero()) else { return };
    loop {
        // If this fails, the supervisor restarts the tracker.
        let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        Timer::after(kills_after / 2).await;
    }
}
