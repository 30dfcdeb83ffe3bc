//! The secret key of a run, under which the tracker hashes what clients choose.

use siphasher::sip::SipHasher13;

/// A secret of this run. Without it, no client can choose info-hashes, ports or connection ids that collide.
#[derive(Clone, Copy, Debug)]
pub struct HashKey(pub u64, pub u64);

impl HashKey {
    /// Hash `bytes` under this key.
    pub(crate) fn hash(self, bytes: &[u8]) -> u64 {
        SipHasher13::new_with_keys(self.0, self.1).hash(bytes)
    }
}
