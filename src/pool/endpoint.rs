//! The endpoint of a peer: its address and its port as they appear in a reply (BEP 23, BEP 7).

/// Return the endpoint for an address, in bytes, and a port.
pub(crate) fn endpoint<const N: usize>(address: &[u8], port: u16) -> [u8; N] {
    let mut endpoint = [0; N];
    if let Some((octets, of_port)) = endpoint.split_last_chunk_mut::<2>() {
        octets.copy_from_slice(address);
        *of_port = port.to_be_bytes();
    }
    endpoint
}

/// Return the address of an endpoint, in bytes.
#[inline]
pub(crate) fn address_of(endpoint: &impl AsRef<[u8]>) -> &[u8] {
    endpoint.as_ref().split_last_chunk::<2>().map_or(&[], |(address, _)| address)
}

/// Return the slot of an endpoint among the endpoints of a line.
#[inline]
pub(super) fn slot_of<E: AsRef<[u8]> + PartialEq>(endpoints: &[E], endpoint: &E) -> Option<usize> {
    // Compare the end of the address first: this takes one comparison, and most peers differ there.
    let end = |endpoint: &E| endpoint.as_ref().split_last_chunk::<2>()?.0.last_chunk::<4>().copied();
    let own_end = end(endpoint);
    endpoints.iter().position(|other| end(other) == own_end && other == endpoint)
}
