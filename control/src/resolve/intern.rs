//! Equal adjacencies and groups are one.

use super::Way;
use packetwalk_walk::tables::{Adjacency, AdjacencyId, Group, HopId};
use std::collections::HashMap;

/// Adjacencies with the ways that they came about, numbered as they come.
#[derive(Default)]
pub(super) struct Adjacencies {
    numbers: HashMap<(Adjacency, Way), AdjacencyId>,
    all: Vec<Adjacency>,
    ways: Vec<Way>,
}

impl Adjacencies {
    /// Its number. Two that differ in their way alone stay apart, so that each can be explained.
    pub(super) fn intern(&mut self, adjacency: Adjacency, way: Way) -> AdjacencyId {
        let next = AdjacencyId(self.all.len() as u32);
        let id = *self.numbers.entry((adjacency.clone(), way.clone())).or_insert(next);
        if id == next {
            self.all.push(adjacency);
            self.ways.push(way);
        }
        id
    }

    pub(super) fn finish(self) -> (Vec<Adjacency>, Vec<Way>) {
        (self.all, self.ways)
    }
}

/// Groups, numbered as they come.
#[derive(Default)]
pub(super) struct Groups {
    numbers: HashMap<Vec<(u64, u16, AdjacencyId)>, u32>,
    all: Vec<Group>,
    members: Vec<Vec<(u16, AdjacencyId)>>,
}

impl Groups {
    /// The hop that shares flows among `members` (key, weight, adjacency); none for nobody.
    pub(super) fn hop(&mut self, members: &[(u64, u16, AdjacencyId)]) -> HopId {
        let Some((first, rest)) = members.split_first() else { return HopId::NONE };
        if rest.iter().all(|member| member.2 == first.2) {
            return HopId::adjacency(first.2);
        }
        if let Some(number) = self.numbers.get(members) {
            return HopId::group(*number);
        }
        let Some(group) = Group::new(members) else { return HopId::NONE };
        let number = self.all.len() as u32;
        self.numbers.insert(members.to_vec(), number);
        self.all.push(group);
        self.members.push(members.iter().map(|(_, weight, id)| (*weight, *id)).collect());
        HopId::group(number)
    }

    pub(super) fn finish(self) -> (Vec<Group>, Vec<Vec<(u16, AdjacencyId)>>) {
        (self.all, self.members)
    }
}
