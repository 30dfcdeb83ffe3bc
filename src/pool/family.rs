//! What lines of a chain hold, and whose peers: IPv4's, IPv6's, or the index's swarms.

use super::columns::{Columns, Items, Pair};
use super::line::{
    Chained, Indexed, Inline, Line, LineIndex, PEERS4_PER_LINE, PEERS4_PER_SWARM, PEERS6_PER_LINE, Peer, Peers,
    SWARMS_PER_BUCKET, Swarm,
};

/// What a chain is made of: the variant of [`Line`] that holds its items.
pub(crate) trait Kind {
    type Item: Pair;
    type Items: Items<Item = Self::Item> + 'static;

    /// An empty line of this kind.
    fn line(next: LineIndex) -> Line;
    /// The items and the next line, if `line` is of this kind.
    fn items(line: &Line) -> Option<(&Self::Items, LineIndex)>;
    /// The items to change, if `line` is of this kind.
    fn items_mut(line: &mut Line) -> Option<&mut Self::Items>;
}

/// A kind that holds peers. `N` is the length of an endpoint: address, then port, as on the wire.
pub(crate) trait Family<const N: usize>: Kind<Item = Peer<N>, Items: Peers<N>> {
    /// The peers in a swarm's own line.
    type Inline: Peers<N>;

    /// Which of a swarm's roots is this family's.
    const ROOT: usize;

    /// Are all peers of the swarm of this family, in its own line and one chain at most?
    fn is_only_family(swarm: &Swarm) -> bool;
    /// The peers in the swarm's own line, unless that holds something else.
    fn inline(swarm: &Swarm) -> Option<&Self::Inline>;
    /// Those peers to change. An empty list changes its family.
    fn inline_mut(swarm: &mut Swarm) -> Option<&mut Self::Inline>;
}

/// IPv4.
#[derive(Debug)]
pub(crate) struct V4;
/// IPv6.
#[derive(Debug)]
pub(crate) struct V6;
/// The index.
#[derive(Debug)]
pub(crate) struct Buckets;

impl Kind for V4 {
    type Item = Peer<6>;
    type Items = Columns<Peer<6>, PEERS4_PER_LINE>;

    fn line(next: LineIndex) -> Line {
        Line::Peers4(Chained { items: Columns::new(), next })
    }

    #[inline]
    fn items(line: &Line) -> Option<(&Self::Items, LineIndex)> {
        if let Line::Peers4(chained) = line { Some((&chained.items, chained.next)) } else { None }
    }

    #[inline]
    fn items_mut(line: &mut Line) -> Option<&mut Self::Items> {
        if let Line::Peers4(chained) = line { Some(&mut chained.items) } else { None }
    }
}

impl Family<6> for V4 {
    type Inline = Columns<Peer<6>, PEERS4_PER_SWARM>;

    const ROOT: usize = 0;

    #[inline]
    fn is_only_family(swarm: &Swarm) -> bool {
        matches!(swarm.inline, Inline::Peers4(_)) && swarm.roots[V6::ROOT].is_none()
    }

    #[inline]
    fn inline(swarm: &Swarm) -> Option<&Self::Inline> {
        if let Inline::Peers4(inline) = &swarm.inline { Some(inline) } else { None }
    }

    #[inline]
    fn inline_mut(swarm: &mut Swarm) -> Option<&mut Self::Inline> {
        if matches!(&swarm.inline, Inline::Peers6(six) if six.is_empty()) {
            swarm.inline = Inline::Peers4(Columns::new());
        }
        if let Inline::Peers4(inline) = &mut swarm.inline { Some(inline) } else { None }
    }
}

impl Kind for V6 {
    type Item = Peer<18>;
    type Items = Columns<Peer<18>, PEERS6_PER_LINE>;

    fn line(next: LineIndex) -> Line {
        Line::Peers6(Chained { items: Columns::new(), next })
    }

    #[inline]
    fn items(line: &Line) -> Option<(&Self::Items, LineIndex)> {
        if let Line::Peers6(chained) = line { Some((&chained.items, chained.next)) } else { None }
    }

    #[inline]
    fn items_mut(line: &mut Line) -> Option<&mut Self::Items> {
        if let Line::Peers6(chained) = line { Some(&mut chained.items) } else { None }
    }
}

impl Family<18> for V6 {
    type Inline = Columns<Peer<18>, 1>;

    const ROOT: usize = 1;

    #[inline]
    fn is_only_family(swarm: &Swarm) -> bool {
        matches!(swarm.inline, Inline::Peers6(_)) && swarm.roots[V4::ROOT].is_none()
    }

    #[inline]
    fn inline(swarm: &Swarm) -> Option<&Self::Inline> {
        if let Inline::Peers6(inline) = &swarm.inline { Some(inline) } else { None }
    }

    #[inline]
    fn inline_mut(swarm: &mut Swarm) -> Option<&mut Self::Inline> {
        if matches!(&swarm.inline, Inline::Peers4(four) if four.is_empty()) {
            swarm.inline = Inline::Peers6(Columns::new());
        }
        if let Inline::Peers6(inline) = &mut swarm.inline { Some(inline) } else { None }
    }
}

impl Kind for Buckets {
    type Item = Indexed;
    type Items = Columns<Indexed, SWARMS_PER_BUCKET>;

    fn line(next: LineIndex) -> Line {
        Line::Bucket(Chained { items: Columns::new(), next })
    }

    #[inline]
    fn items(line: &Line) -> Option<(&Self::Items, LineIndex)> {
        if let Line::Bucket(chained) = line { Some((&chained.items, chained.next)) } else { None }
    }

    #[inline]
    fn items_mut(line: &mut Line) -> Option<&mut Self::Items> {
        if let Line::Bucket(chained) = line { Some(&mut chained.items) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::age::Tick;
    use super::super::role::Role;
    use super::*;
    use crate::horizon::Horizon;
    use crate::wire::InfoHash;

    #[test]
    fn an_empty_inline_serves_the_family_that_comes_first() {
        let mut swarm = Swarm::new(InfoHash([7; 20]), Horizon::Wan, Tick::of_count(0));
        let peer6 = Peer::new([6; 18], Role::Seeder, Tick::of_count(0));
        assert!(V6::inline_mut(&mut swarm).is_some_and(|inline| inline.push(peer6)));
        assert!(V4::inline_mut(&mut swarm).is_none(), "what holds an IPv6 peer has no room for IPv4");
        assert_eq!(V6::inline(&swarm).map(Items::len), Some(1));
        assert!(V4::inline(&swarm).is_none());
    }
}
