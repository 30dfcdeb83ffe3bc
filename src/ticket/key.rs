//! Keys of tickets: Ed25519 (RFC 8032).

use core::fmt;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use ed25519_compact as ed25519;

use super::text::{SIGNATURE_TEXT_OCTETS, TICKET_OCTETS, Text, write_unsigned};
use super::{AUDIENCE_OCTETS, Ticket};

/// Length in bytes of a public key as text.
pub const PUBLIC_TEXT_OCTETS: usize = 43;

/// Start of each signed message. A key that also signs other things cannot sign a ticket by accident.
const CONTEXT: &str = "nakodo-ticket:";

/// Maximum length of a signed message in bytes.
const MESSAGE_OCTETS: usize = CONTEXT.len() + AUDIENCE_OCTETS + 1 + TICKET_OCTETS;

/// Start of a public key as text. A ticket names its key with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(super) [u8; KeyId::OCTETS]);

impl KeyId {
    pub(super) const OCTETS: usize = 4;

    /// Parse the form of `Display`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::of(text.as_bytes())
    }

    pub(super) fn of(text: &[u8]) -> Option<Self> {
        let octets: [u8; Self::OCTETS] = text.try_into().ok()?;
        octets.iter().all(|octet| super::is_letter(*octet)).then_some(Self(octets))
    }

    /// Return whether its first character is `-`.
    pub const fn begins_with_a_dash(self) -> bool {
        self.0[0] == b'-'
    }

    /// Return whether the two differ in the case of letters only.
    pub fn differs_in_case(self, other: Self) -> bool {
        self != other && self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| fmt::Write::write_char(f, char::from(*octet)))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Error: the text is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKey;

/// Public key, which verifies tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey {
    key: ed25519::PublicKey,
    id: KeyId,
}

impl PublicKey {
    /// Parse 43 characters of base64url.
    ///
    /// # Errors
    /// When it is none, or one of the few weak keys for which anyone could sign.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let mut octets = [0; 32];
        let decoded = Base64UrlUnpadded::decode(text, &mut octets).map_err(|_| BadKey)?;
        let key = ed25519::PublicKey::from_slice(decoded).map_err(|_| BadKey)?;
        key.validate().map_err(|_| BadKey)?;
        Ok(Self::from(key))
    }

    /// Return the start of its text.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Return whether `signature` signs `unsigned`, the ticket up to its last dot, for `audience`.
    pub fn has_signed(&self, audience: &str, unsigned: &[u8], signature: &[u8; 64]) -> bool {
        let Ok(mut state) = self.key.verify_incremental(&ed25519::Signature::new(*signature)) else { return false };
        [CONTEXT.as_bytes(), audience.as_bytes(), b":", unsigned].iter().for_each(|part| state.absorb(part));
        state.verify().is_ok()
    }
}

impl From<ed25519::PublicKey> for PublicKey {
    fn from(key: ed25519::PublicKey) -> Self {
        let mut text = [0; PUBLIC_TEXT_OCTETS];
        let mut id = KeyId([b'A'; KeyId::OCTETS]);
        // This cannot fail: 32 bytes have 43 characters.
        if Base64UrlUnpadded::encode(&*key, &mut text).is_ok() {
            id.0.copy_from_slice(&text[..KeyId::OCTETS]);
        }
        Self { key, id }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; PUBLIC_TEXT_OCTETS];
        f.write_str(Base64UrlUnpadded::encode(&*self.key, &mut text).map_err(|_| fmt::Error)?)
    }
}

/// Secret key, which signs tickets.
#[derive(Clone)]
pub struct SigningKey {
    seed: [u8; 32],
    pair: ed25519::KeyPair,
}

impl SigningKey {
    /// Make the key of a random seed (RFC 8032, "Key Generation": the private key).
    ///
    /// # Errors
    /// When all bytes are zero.
    pub fn of_seed(seed: [u8; 32]) -> Result<Self, BadKey> {
        let pair = ed25519::KeyPair::try_from_seed(ed25519::Seed::new(seed)).map_err(|_| BadKey)?;
        Ok(Self { seed, pair })
    }

    /// Parse the text of [`Self::secret`].
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let mut seed = [0; 32];
        let decoded = Base64UrlUnpadded::decode(text, &mut seed).map_err(|_| BadKey)?;
        let seed = decoded.try_into().map_err(|_| BadKey)?;
        Self::of_seed(seed)
    }

    /// Return the seed as text: 43 characters of base64url. It must stay secret.
    pub fn secret(&self) -> heapless::String<PUBLIC_TEXT_OCTETS> {
        let mut text = [0; PUBLIC_TEXT_OCTETS];
        // This cannot fail: 32 bytes have 43 characters.
        let text = Base64UrlUnpadded::encode(&self.seed, &mut text).unwrap_or_default();
        heapless::String::try_from(text).unwrap_or_default()
    }

    /// Return the public key.
    pub fn public(&self) -> PublicKey {
        PublicKey::from(self.pair.pk)
    }

    /// Sign `ticket` for `audience`, and return its text. The ticket must name this key, and a valid user
    /// ([`super::is_user`]).
    pub fn sign(&self, audience: &str, ticket: &Ticket) -> Text {
        let mut text = Text::new();
        // None of this can fail: the longest ticket has `TICKET_OCTETS`, and an audience is short.
        let _ = write_unsigned(&mut text, ticket);
        let mut message = heapless::String::<MESSAGE_OCTETS>::new();
        let _ = [CONTEXT, audience, ":", &text].iter().try_for_each(|part| message.push_str(part));
        // Never `sign_incremental`: its nonce does not depend on the message.
        let signature = self.pair.sk.sign(message, None);
        let mut encoded = [0; SIGNATURE_TEXT_OCTETS];
        let encoded = Base64UrlUnpadded::encode(&*signature, &mut encoded).unwrap_or_default();
        let _ = text.push('.').and_then(|()| text.push_str(encoded));
        text
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The seed must not get into a log.
        write!(f, "SigningKey({})", self.public().id)
    }
}
