//! The reaction to states that the invariants of the pool exclude.

/// Report a state that should not exist. A debug build panics, so that tests find it. A release build returns `None`
/// and continues: a tracker that loses a peer is better than a tracker that stops.
#[cold]
pub(super) fn impossible<T>(state: &str) -> Option<T> {
    debug_assert!(false, "{state}");
    None
}
