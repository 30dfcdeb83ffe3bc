//! The three kinds of line that chains consist of: IPv4 peers, IPv6 peers, and the swarms of the index.

use core::fmt::Debug;

use super::columns::{Columns, ColumnsMut, ColumnsRef, Item};
use super::line::{Chained, Inline, Line, LineIndex, PEERS4_PER_LINE, PEERS6_PER_LINE, SWARMS_PER_BUCKET, Swarm};
use super::meta_word::{Meta, MetaWord};

/// The variant of [`Line`] that a chain consists of.
pub(crate) trait Kind: Sized {
    /// The first column of its items.
    type Endpoint: Copy + Debug + 'static;
    /// The second column. The default means vacant.
    type Meta: Copy + Debug + Default + 'static;
    /// The second column of a whole line.
    type Metas: Copy + Debug + 'static;

    /// Number of items in a line.
    const CAPACITY: usize;

    /// Return an empty line of this kind.
    fn line(next: LineIndex) -> Line;
    /// Return the items and the next line, if `line` is of this kind.
    fn items(line: &Line) -> Option<(ItemsOf<'_, Self>, LineIndex)>;
    /// Return the items for writing, if `line` is of this kind.
    fn items_mut(line: &mut Line) -> Option<ColumnsMut<'_, Self::Endpoint, Self::Meta>>;
}

/// An item of a line of this kind.
pub(crate) type ItemOf<K> = Item<<K as Kind>::Endpoint, <K as Kind>::Meta>;

/// The items of a line of this kind.
pub(crate) type ItemsOf<'a, K> = ColumnsRef<'a, <K as Kind>::Endpoint, <K as Kind>::Metas>;

/// A kind of line that holds peers. Its endpoint is address and port as on the wire.
pub(crate) trait Family:
    Copy + Debug + Kind<Endpoint: Eq + Ord + AsRef<[u8]> + AsMut<[u8]>, Meta = Meta, Metas = MetaWord>
{
    /// The index of this family's root in [`Swarm::roots`].
    const ROOT: usize;
    /// The endpoint of no peer: zeros.
    const NO_ENDPOINT: Self::Endpoint;

    /// Return whether all peers of the swarm are of this family, in its own line and at most one chain.
    fn is_only_family(swarm: &Swarm) -> bool;
    /// Return the peers in the swarm's own line, unless the line holds something else.
    fn inline(swarm: &Swarm) -> Option<ItemsOf<'_, Self>>;
    /// Return those peers for writing. An empty list of the other family becomes a list of this family.
    fn inline_mut(swarm: &mut Swarm) -> Option<ColumnsMut<'_, Self::Endpoint, Meta>>;
}

/// IPv4 peers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct V4;
/// IPv6 peers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct V6;
/// The swarms of the index.
#[derive(Debug)]
pub(crate) struct Buckets;

impl Kind for V4 {
    type Endpoint = [u8; 6];
    type Meta = Meta;
    type Metas = MetaWord;

    const CAPACITY: usize = PEERS4_PER_LINE;

    fn line(next: LineIndex) -> Line {
        Line::Peers4(Chained { items: Columns::new(), next })
    }

    #[inline]
    fn items(line: &Line) -> Option<(ItemsOf<'_, Self>, LineIndex)> {
        if let Line::Peers4(chained) = line { Some((chained.items.read(), chained.next)) } else { None }
    }

    #[inline]
    fn items_mut(line: &mut Line) -> Option<ColumnsMut<'_, [u8; 6], Meta>> {
        if let Line::Peers4(chained) = line { Some(chained.items.change()) } else { None }
    }
}

impl Family for V4 {
    const ROOT: usize = 0;
    const NO_ENDPOINT: [u8; 6] = [0; 6];

    #[inline]
    fn is_only_family(swarm: &Swarm) -> bool {
        matches!(swarm.inline, Inline::Peers4(_)) && swarm.roots[V6::ROOT].is_none()
    }

    #[inline]
    fn inline(swarm: &Swarm) -> Option<ItemsOf<'_, Self>> {
        if let Inline::Peers4(inline) = &swarm.inline { Some(inline.read()) } else { None }
    }

    #[inline]
    fn inline_mut(swarm: &mut Swarm) -> Option<ColumnsMut<'_, [u8; 6], Meta>> {
        if matches!(&swarm.inline, Inline::Peers6(other) if other.is_empty()) {
            swarm.inline = Inline::Peers4(Columns::new());
        }
        if let Inline::Peers4(inline) = &mut swarm.inline { Some(inline.change()) } else { None }
    }
}

impl Kind for V6 {
    type Endpoint = [u8; 18];
    type Meta = Meta;
    type Metas = MetaWord;

    const CAPACITY: usize = PEERS6_PER_LINE;

    fn line(next: LineIndex) -> Line {
        Line::Peers6(Chained { items: Columns::new(), next })
    }

    #[inline]
    fn items(line: &Line) -> Option<(ItemsOf<'_, Self>, LineIndex)> {
        if let Line::Peers6(chained) = line { Some((chained.items.read(), chained.next)) } else { None }
    }

    #[inline]
    fn items_mut(line: &mut Line) -> Option<ColumnsMut<'_, [u8; 18], Meta>> {
        if let Line::Peers6(chained) = line { Some(chained.items.change()) } else { None }
    }
}

impl Family for V6 {
    const ROOT: usize = 1;
    const NO_ENDPOINT: [u8; 18] = [0; 18];

    #[inline]
    fn is_only_family(swarm: &Swarm) -> bool {
        matches!(swarm.inline, Inline::Peers6(_)) && swarm.roots[V4::ROOT].is_none()
    }

    #[inline]
    fn inline(swarm: &Swarm) -> Option<ItemsOf<'_, Self>> {
        if let Inline::Peers6(inline) = &swarm.inline { Some(inline.read()) } else { None }
    }

    #[inline]
    fn inline_mut(swarm: &mut Swarm) -> Option<ColumnsMut<'_, [u8; 18], Meta>> {
        if matches!(&swarm.inline, Inline::Peers4(other) if other.is_empty()) {
            swarm.inline = Inline::Peers6(Columns::new());
        }
        if let Inline::Peers6(inline) = &mut swarm.inline { Some(inline.change()) } else { None }
    }
}

impl Kind for Buckets {
    type Endpoint = LineIndex;
    type Meta = u8;
    type Metas = u128;

    const CAPACITY: usize = SWARMS_PER_BUCKET;

    fn line(next: LineIndex) -> Line {
        Line::Bucket(Chained { items: Columns::new(), next })
    }

    #[inline]
    fn items(line: &Line) -> Option<(ItemsOf<'_, Self>, LineIndex)> {
        if let Line::Bucket(chained) = line { Some((chained.items.read(), chained.next)) } else { None }
    }

    #[inline]
    fn items_mut(line: &mut Line) -> Option<ColumnsMut<'_, LineIndex, u8>> {
        if let Line::Bucket(chained) = line { Some(chained.items.change()) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::age::Tick;
    use super::super::line::Peer;
    use super::super::role::Role;
    use super::*;
    use crate::horizon::Horizon;
    use crate::wire::InfoHash;

    #[test]
    fn an_empty_inline_serves_the_family_that_comes_first() {
        let mut swarm = Swarm::new(InfoHash([7; 20]), Horizon::Wan, Tick::of_count(0));
        let peer6 = Peer::new([6; 18], Role::Seeder, Tick::of_count(0));
        assert!(V6::inline_mut(&mut swarm).is_some_and(|mut inline| inline.push(peer6).is_some()));
        assert!(V4::inline_mut(&mut swarm).is_none(), "a line with an IPv6 peer has no room for IPv4");
        assert_eq!(V6::inline(&swarm).map(|inline| inline.len()), Some(1));
        assert!(V4::inline(&swarm).is_none());
    }
}
