//! The periodic tasks: sweep, retire, save, mend the disk, read the addresses of the interfaces; and the reload of the
//! configuration.

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use async_io::Timer;
use log::{error, info, warn};
use smol::LocalExecutor;

use super::suspension::Suspension;
use super::tasks::spawn;
use super::{interfaces, retiring, settings};
use crate::access::{Moved, SLOTS_A_CALL, Seen};
use crate::config::{Config, Source};
use crate::history;
use crate::net::http::HttpServer;
use crate::shared::{Event, Shared};
use crate::sides::{Configured, Host, Sides};
use crate::store::SaveError;
use crate::tracker::{Login, Suspect};

/// Time between two rounds of the tasks that run every second.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// Time between two readings of the interfaces.
const INTERFACES: Duration = Duration::from_secs(60);

/// Time between two looks at the files of the database.
const DATABASE: Duration = Duration::from_secs(10);

/// Longest time between two looks at the data to save: the running clock is written in shorter intervals at first.
const SAVING: Duration = Duration::from_secs(600);

/// Longest time between two attempts to rewrite the whitelist on a failing disk.
const MEND_AT_LEAST: Duration = Duration::from_secs(600);

/// Number of rounds between two events with the refusals.
const REFUSALS_EVERY_ROUNDS: u32 = 10;

/// The refusals at the last event.
#[derive(Debug, Default)]
struct Watched {
    rounds: u32,
    refusals: Vec<(&'static str, u64)>,
}

/// The error for data that could not be saved at the end.
#[derive(Debug)]
pub(super) struct Unsaved;

/// The periodic tasks and their shared state.
pub(super) struct Housekeeping {
    shared: Rc<Shared>,
    http: Rc<RefCell<HttpServer>>,
    /// The configuration at the start: some of its keys cannot change before a restart.
    started_with: Config,
    config: RefCell<Config>,
    /// Warnings about the interfaces that the log has already.
    interface_warnings: RefCell<Vec<String>>,
    /// Suspects that the log has already, one of each kind.
    warned_of: RefCell<Vec<Suspect>>,
}

impl Housekeeping {
    pub(super) fn new(shared: Rc<Shared>, http: Rc<RefCell<HttpServer>>, config: Config) -> Self {
        Self {
            shared,
            http,
            started_with: config.clone(),
            config: RefCell::new(config),
            interface_warnings: RefCell::default(),
            warned_of: RefCell::default(),
        }
    }

    pub(super) fn spawn(self: &Rc<Self>, executor: &LocalExecutor<'static>) {
        let housekeeping = Rc::clone(self);
        spawn(executor, async move { housekeeping.sweep().await });
        let housekeeping = Rc::clone(self);
        spawn(executor, async move { housekeeping.keep_house().await });
        let housekeeping = Rc::clone(self);
        spawn(executor, async move { housekeeping.retire_now_and_then().await });
        let housekeeping = Rc::clone(self);
        spawn(executor, async move { housekeeping.save_now_and_then().await });
        let housekeeping = Rc::clone(self);
        spawn(executor, async move { housekeeping.mend_disk().await });
        let housekeeping = Rc::clone(self);
        spawn(executor, async move { housekeeping.watch_database().await });
        // At once, before the first client.
        self.read_interfaces();
        let housekeeping = Rc::clone(self);
        spawn(executor, async move { housekeeping.watch_interfaces().await });
    }

    async fn sweep(&self) {
        loop {
            let wait = self.shared.tracker.borrow_mut().sweep(self.shared.now());
            Timer::after(wait).await;
        }
    }

    async fn keep_house(&self) {
        let mut suspension = Suspension::new();
        let mut watched = Watched::default();
        loop {
            suspension.look(&self.shared);
            let now = self.shared.now();
            self.http.borrow_mut().close_overdue(&mut self.shared.tracker.borrow_mut(), now);
            self.shared.http_connections.set(self.http.borrow().connections());
            self.warn_of_suspects();
            self.send_events(&mut watched);
            Timer::after(HOUSEKEEPING).await;
        }
    }

    /// Pass the logins of the last second to the listeners of events, and now and then the refusals.
    fn send_events(&self, watched: &mut Watched) {
        let mut tracker = self.shared.tracker.borrow_mut();
        while let Some(Login { prefix, user, replaced }) = tracker.take_login() {
            self.shared.events.send(Event::LoggedIn { prefix, user, replaced });
        }
        let counters = tracker.counters;
        let [announces, logins] = [counters.announces_http + counters.announces_udp, counters.logins()];
        let series = [(history::ANNOUNCES, announces), (history::LOGINS, logins)].into_iter();
        self.shared.history.borrow_mut().add(self.shared.now(), series.chain(counters.refusals()));
        watched.rounds += 1;
        if watched.rounds.is_multiple_of(REFUSALS_EVERY_ROUNDS) {
            let before = core::mem::replace(&mut watched.refusals, tracker.counters.refusals());
            let news = watched.refusals.iter().zip(&before).map(|((name, now), (_, before))| (*name, now - before));
            let news: Vec<_> = news.filter(|(_, count)| *count > 0).collect();
            if self.shared.events.are_heard() && !before.is_empty() && !news.is_empty() {
                self.shared.events.send(Event::Refused(news));
            }
        }
    }

    /// Retire entries every second. This is a task of its own, because it waits for the disk while another task changes
    /// the whitelist.
    async fn retire_now_and_then(&self) {
        loop {
            retiring::retire(&self.shared).await;
            Timer::after(HOUSEKEEPING).await;
        }
    }

    async fn save_now_and_then(&self) {
        let mut saved = self.shared.now();
        loop {
            let save_every = self.config.borrow().access.save_every;
            self.wait_for_saving(save_every.min(SAVING)).await;
            self.save_clock_history().await;
            let mut moved = Vec::new();
            if self.shared.now().since(saved) >= save_every {
                saved = self.shared.now();
                self.save_brought().await;
                moved = self.moved().await;
            }
            let Err(failure) = self.shared.store.save(self.shared.now(), moved.clone()).await else { continue };
            report_unsaved(&failure);
            if failure.idle_times.is_some() {
                self.shared.tracker.borrow_mut().whitelist().not_saved(&moved);
            }
        }
    }

    /// Wait for `time`. If meanwhile tickets have brought so many addresses that a write is due, make it.
    async fn wait_for_saving(&self, time: Duration) {
        let end = self.shared.now().after(time);
        while self.shared.now() < end {
            Timer::after(HOUSEKEEPING.min(end.since(self.shared.now()))).await;
            if self.shared.tracker.borrow().whitelisted().is_saving_due() {
                self.save_brought().await;
            }
        }
    }

    async fn save_brought(&self) {
        let _changing = self.shared.changing().await;
        if let Err(error) = self.shared.save_brought().await {
            warn!("{error}; the addresses that tickets brought are saved later");
        }
    }

    async fn save_clock_history(&self) {
        let (history, is_needed) = {
            let tracker = self.shared.tracker.borrow();
            (tracker.whitelisted().clock_history(), tracker.whitelisted().has_suspended())
        };
        let Some(history) = history else { return };
        if let Err(error) = self.shared.store.save_clock_history(history, is_needed).await {
            warn!("{error}; after a restart, ended entries stay suspended for another day");
        }
    }

    /// Rewrite the whitelist after a disk failure, as soon as the disk works again.
    async fn mend_disk(&self) {
        let mut wait = HOUSEKEEPING;
        loop {
            Timer::after(wait).await;
            let _changing = self.shared.changing().await;
            match self.shared.mend_disk().await {
                Ok(()) => wait = HOUSEKEEPING,
                Err(error) => {
                    wait = (wait * 2).min(MEND_AT_LEAST);
                    warn!("{error}; trying again in {} s", wait.as_secs());
                }
            }
        }
    }

    /// Notice a database that was removed, so that [`Self::mend_disk`] rewrites it.
    async fn watch_database(&self) {
        loop {
            Timer::after(DATABASE).await;
            self.shared.store.check_place().await;
        }
    }

    /// Return the entries with a last announce that is worth a write, collected in bounded steps.
    async fn moved(&self) -> Vec<Seen> {
        let (mut moved, mut slot) = (Vec::new(), 0);
        while slot < self.shared.tracker.borrow().whitelisted().len() {
            moved.extend(
                self.shared.tracker.borrow_mut().whitelist().take_moved(Moved::WorthAWrite, slot..slot + SLOTS_A_CALL),
            );
            slot += SLOTS_A_CALL;
            self.shared.turns.next().await;
        }
        moved
    }

    /// Save everything that is not on the disk yet, at the end of the run.
    ///
    /// # Errors
    /// When something was not saved; the log names it.
    pub(super) async fn save_all(&self) -> Result<(), Unsaved> {
        // Wait for the end of a change that is being written.
        let _changing = self.shared.changing().await;
        if let Err(error) = self.shared.mend_disk().await {
            error!("{error}; the latest changes of the whitelist are not saved");
            return Err(Unsaved);
        }
        if let Err(error) = self.shared.save_brought().await {
            error!("{error}; the addresses that tickets brought are not saved");
        }
        self.save_clock_history().await;
        let moved = self.shared.tracker.borrow_mut().whitelist().take_moved(Moved::AtAll, 0..usize::MAX).collect();
        self.shared.store.close(self.shared.now(), moved).await.map_err(|failure| {
            report_unsaved(&failure);
            Unsaved
        })
    }

    /// Read the interfaces every minute: a line may get another address each day, and a home another IPv6 prefix.
    async fn watch_interfaces(&self) {
        loop {
            Timer::after(INTERFACES).await;
            self.read_interfaces();
        }
    }

    /// Read the interfaces, and apply the sides that follow. Log changes, and each warning once.
    fn read_interfaces(&self) {
        let config = self.config.borrow();
        let sides = sides_of(&config, &interfaces::host());
        let mut tracker = self.shared.tracker.borrow_mut();
        tracker.set_external(sides.external);
        tracker.set_networks(sides.networks());
        let before = self.shared.sides.replace(sides);
        let sides = self.shared.sides.borrow();
        if sides.interfaces != before.interfaces {
            sides.lines().iter().for_each(|line| info!("interface {line}"));
        }
        if sides.external != before.external {
            info!("external addresses: {}", sides.external);
        }
        let warnings = sides.warnings();
        let logged = self.interface_warnings.replace(warnings.clone());
        warnings.iter().filter(|warning| !logged.contains(warning)).for_each(|warning| warn!("{warning}"));
    }

    /// Warn once about each source that hides its clients.
    fn warn_of_suspects(&self) {
        for suspect in self.shared.tracker.borrow().suspects() {
            let mut warned = self.warned_of.borrow_mut();
            if !warned.iter().any(|earlier| core::mem::discriminant(earlier) == core::mem::discriminant(&suspect)) {
                warn!("{suspect}");
                warned.push(suspect);
            }
        }
    }

    /// Read the configuration again, apply the keys that may change at once, and warn about the others.
    pub(super) async fn reload(&self, source: &Source) {
        let config = match source.load() {
            Ok(loaded) => loaded.config,
            Err(error) => return error!("{error}; the previous configuration stays in effect"),
        };
        for key in self.started_with.changed_at_start_only(&config) {
            warn!("{key} has changed: restart nakodo to apply it");
        }
        log::set_max_level(config.log.level);
        self.http.borrow_mut().set_timeouts(settings::http_timeouts(&config));
        let policy = settings::policy(&config, self.shared.sides.borrow().external);
        self.shared.tracker.borrow_mut().set_policy(policy);
        settings::configure_tickets(&config, &self.shared);
        let torrents = settings::torrents(&config, self.shared.torrents.settings().file);
        *self.config.borrow_mut() = config;
        self.read_interfaces();
        let _changing = self.shared.changing().await;
        self.shared.torrents.reload(&self.shared.store, &self.shared.tracker, torrents).await;
        info!("the configuration was read again");
    }
}

/// Return the sides of the interfaces of `host`.
pub(super) fn sides_of(config: &Config, host: &Host) -> Sides {
    let network = &config.network;
    Sides::of(
        host,
        &Configured {
            lan: &network.lan,
            lan_interfaces: &network.lan_interfaces,
            wan_interfaces: &network.interface,
            external_v4: network.external_v4,
            external_v6: network.external_v6,
        },
    )
}

fn report_unsaved(failure: &SaveError) {
    if let Some(error) = &failure.export {
        error!("{error}; the text export of the whitelist is out of date");
    }
    if let Some(error) = &failure.idle_times {
        error!("{error}; idle times and the running clock are not saved");
    }
}
