//! The visitors of the page: one-time codes, the sessions that follow, and the wrong codes.
//!
//! Every user of the control socket may get a code. The first browser that shows it gets a session, for its address only.

use core::cell::RefCell;
use core::net::IpAddr;
use core::time::Duration;
use std::collections::VecDeque;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use ipnet::IpNet;
use subtle::ConstantTimeEq as _;

use crate::access::prefix;
use crate::clock::Running;
use crate::store::SavedSession;

/// Time for which a code is valid.
pub const CODE_LASTS: Duration = Duration::from_secs(10 * 60);

/// Length of a session.
pub const SESSION_LASTS: Duration = Duration::from_secs(7 * 86_400);

/// Maximum number of codes, of sessions, and of addresses with wrong codes. The oldest gives way to the next.
const MOST_CODES: usize = 4;
const MOST_SESSIONS: usize = 8;
const MOST_STRANGERS: usize = 16;

/// Time without an answer after the first wrong code of an address. It doubles with each further one, up to the limit.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Letters of a code: those that are hard to confuse. A code of 16 has 80 random bits.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const CODE_LETTERS: usize = 16;

/// A one-time code, such as `k7mq-92xa-hd4e-pw8z`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code(pub String);

/// The outcome of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entered {
    /// It is right. The cookie of the session has this token.
    Session(String),
    /// It is wrong, used or too old.
    Wrong,
    /// The address has shown a wrong code lately, and has to wait for this time.
    TooSoon(Duration),
}

/// An address that showed wrong codes.
#[derive(Debug)]
struct Stranger {
    from: IpNet,
    wait: Duration,
    until: Running,
}

#[derive(Debug, Default)]
struct State {
    /// Letters without dashes, and the end.
    codes: VecDeque<(String, Running)>,
    sessions: VecDeque<SavedSession>,
    strangers: VecDeque<Stranger>,
}

/// The codes and sessions of this run.
#[derive(Debug, Default)]
pub struct Sessions(RefCell<State>);

impl Sessions {
    /// Continue the sessions of an earlier run.
    pub fn load(&self, saved: Vec<SavedSession>) {
        self.0.borrow_mut().sessions = saved.into_iter().take(MOST_SESSIONS).collect();
    }

    /// Return the sessions, to be saved.
    pub fn to_save(&self) -> Vec<SavedSession> {
        self.0.borrow().sessions.iter().cloned().collect()
    }

    /// Issue a code.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn issue(&self, now: Running) -> Result<Code, getrandom::Error> {
        let mut random = [0; CODE_LETTERS];
        getrandom::fill(&mut random)?;
        let letters: String = random.iter().map(|octet| char::from(ALPHABET[usize::from(octet % 32)])).collect();
        let groups: Vec<&str> = [0, 4, 8, 12].iter().filter_map(|start| letters.get(*start..start + 4)).collect();
        let code = Code(groups.join("-"));
        push(&mut self.0.borrow_mut().codes, (letters, now.after(CODE_LASTS)), MOST_CODES);
        Ok(code)
    }

    /// Exchange a code for a session of the client at `from`.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn enter(&self, code: &str, from: IpAddr, now: Running) -> Result<Entered, getrandom::Error> {
        let (from, mut state) = (prefix::of_client(from.to_canonical()), self.0.borrow_mut());
        if let Some(stranger) = state.strangers.iter().find(|stranger| stranger.from == from && stranger.until > now) {
            return Ok(Entered::TooSoon(Duration::from_millis(stranger.until.millis() - now.millis())));
        }
        let letters: String = code.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
        let is_it =
            |(valid, ends): &(String, Running)| *ends > now && bool::from(valid.as_bytes().ct_eq(letters.as_bytes()));
        let Some(place) = state.codes.iter().position(is_it) else {
            state.wrong(from, now);
            return Ok(Entered::Wrong);
        };
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        state.codes.remove(place);
        state.strangers.retain(|stranger| stranger.from != from);
        state.sessions.retain(|session| session.ends > now);
        let mut octets = [0; 22];
        // 16 bytes have 22 characters.
        let token = Base64UrlUnpadded::encode(&random, &mut octets).unwrap_or_default().to_owned();
        let session = SavedSession { token: token.clone(), from, ends: now.after(SESSION_LASTS) };
        push(&mut state.sessions, session, MOST_SESSIONS);
        Ok(Entered::Session(token))
    }

    /// Return whether the client at `from` has a session with this token.
    pub fn admit(&self, token: &str, from: IpAddr, now: Running) -> bool {
        let (from, state) = (from.to_canonical(), self.0.borrow());
        let is_it = |session: &&SavedSession| {
            bool::from(session.token.as_bytes().ct_eq(token.as_bytes()))
                && session.ends > now
                && session.from.contains(&from)
        };
        state.sessions.iter().any(|session| is_it(&session))
    }

    /// End the session with this token.
    pub fn leave(&self, token: &str) {
        self.0.borrow_mut().sessions.retain(|session| session.token != token);
    }
}

impl State {
    fn wrong(&mut self, from: IpNet, now: Running) {
        let before = self.strangers.iter().position(|stranger| stranger.from == from);
        let before = before.and_then(|place| self.strangers.remove(place));
        let wait = before.map_or(FIRST_WAIT, |before| (before.wait * 2).min(LONGEST_WAIT));
        push(&mut self.strangers, Stranger { from, wait, until: now.after(wait) }, MOST_STRANGERS);
    }
}

/// Add an item, in place of the oldest if there are too many.
fn push<T>(items: &mut VecDeque<T>, item: T, most: usize) {
    if items.len() == most {
        items.pop_front();
    }
    items.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Running {
        Running::from_seconds(seconds)
    }

    fn home(number: u8) -> IpAddr {
        IpAddr::from([192, 168, 1, number])
    }

    fn enter(sessions: &Sessions, code: &Code, from: IpAddr, now: Running) -> Option<String> {
        match sessions.enter(&code.0, from, now).expect("random numbers") {
            Entered::Session(token) => Some(token),
            _ => None,
        }
    }

    #[test]
    fn a_code_opens_one_session_of_one_address_for_a_week() {
        let sessions = Sessions::default();
        let code = sessions.issue(at(0)).expect("random numbers");
        assert!(code.0.len() == 19 && code.0.split('-').all(|group| group.len() == 4), "{code:?}");
        let token = enter(&sessions, &Code(code.0.to_uppercase()), home(1), at(599)).expect("it is right");
        assert!(sessions.admit(&token, home(1), at(600)));
        assert!(sessions.admit(&token, "::ffff:192.168.1.1".parse().expect("an address"), at(600)));
        assert!(!sessions.admit(&token, home(2), at(600)), "another address");
        assert!(!sessions.admit("", home(1), at(600)) && !sessions.admit(&token[1..], home(1), at(600)));
        assert!(sessions.admit(&token, home(1), at(599 + 7 * 86_400 - 1)));
        assert!(!sessions.admit(&token, home(1), at(599 + 7 * 86_400)));
        assert_eq!(enter(&sessions, &code, home(2), at(600)), None, "used");
        let late = sessions.issue(at(700)).expect("random numbers");
        assert_eq!(enter(&sessions, &late, home(3), at(1300)), None, "too old");
    }

    #[test]
    fn wrong_codes_make_their_address_wait_and_no_other() {
        let sessions = Sessions::default();
        let code = sessions.issue(at(0)).expect("random numbers");
        let mut waited = Vec::new();
        let mut now = at(1);
        while waited.len() < 12 {
            match sessions.enter("abcd", home(6), now).expect("random numbers") {
                Entered::Wrong => {}
                Entered::TooSoon(wait) => {
                    waited.push(wait.as_secs());
                    now = now.after(wait);
                }
                Entered::Session(token) => unreachable!("a wrong code opened {token}"),
            }
        }
        assert_eq!(waited, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        let (code, now) = (sessions.issue(now).unwrap_or(code), now);
        assert_eq!(sessions.enter("abcd", home(6), now), Ok(Entered::Wrong));
        assert!(matches!(sessions.enter(&code.0, home(6), now), Ok(Entered::TooSoon(_))), "even the right one waits");
        assert!(enter(&sessions, &code, home(7), now).is_some(), "another address does not wait");
    }

    #[test]
    fn the_oldest_session_gives_way_and_a_restart_keeps_the_others() {
        let sessions = Sessions::default();
        let tokens: Vec<String> = (0..=MOST_SESSIONS as u8)
            .map(|number| {
                let code = sessions.issue(at(0)).expect("random numbers");
                enter(&sessions, &code, home(number), at(1)).expect("it is right")
            })
            .collect();
        let next = Sessions::default();
        next.load(sessions.to_save());
        let admitted = |number: usize| next.admit(&tokens[number], home(number as u8), at(2));
        assert!(!admitted(0) && (1..=MOST_SESSIONS).all(admitted));
        next.leave(&tokens[3]);
        assert!(!admitted(3) && admitted(4));
    }
}
