//! The secret key of a run, for the hashes of values that clients choose.

use siphasher::sip::SipHasher13;

/// Secret key of a run. It is unknown to clients, so they cannot choose info-hashes, ports or connection ids that
/// collide.
#[derive(Clone, Copy, Debug)]
pub struct HashKey(pub u64, pub u64);

impl HashKey {
    /// Return the hash of `bytes` with this key.
    pub(crate) fn hash(self, bytes: &[u8]) -> u64 {
        SipHasher13::new_with_keys(self.0, self.1).hash(bytes)
    }
}
