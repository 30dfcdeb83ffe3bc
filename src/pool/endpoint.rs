//! The endpoint of a peer: its address and its port as they appear in a reply (BEP 23, BEP 7).

/// The endpoint for an address, in bytes, and a port.
pub(crate) fn endpoint<const N: usize>(address: &[u8], port: u16) -> [u8; N] {
    let mut endpoint = [0; N];
    if let Some((octets, of_port)) = endpoint.split_last_chunk_mut::<2>() {
        octets.copy_from_slice(address);
        *of_port = port.to_be_bytes();
    }
    endpoint
}

/// The address of an endpoint, in bytes.
#[inline]
pub(crate) fn address_of(endpoint: &impl AsRef<[u8]>) -> &[u8] {
    endpoint.as_ref().split_last_chunk::<2>().map_or(&[], |(address, _)| address)
}
