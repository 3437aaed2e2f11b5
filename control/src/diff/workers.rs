//! What workers do, as the process tells it.

use super::described::{Described, Step};
use crate::api::{AskError, Client, Question, Ranges, RulesAnswer, Section, Values};
use crate::state::TableId;
use std::net::Ipv4Addr;

/// Asks the process.
#[derive(Debug)]
pub(super) struct Workers<'c> {
    pub(super) client: &'c mut Client,
}

/// One piece of a table's address ranges.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) tables: Vec<TableId>,
    pub(super) hops: Vec<Described>,
    /// First address and number of the hop.
    pub(super) ranges: Vec<(u32, usize)>,
    /// The first address of the next piece.
    pub(super) next: Option<u32>,
}

impl Workers<'_> {
    pub(super) fn rules(&mut self) -> Result<Vec<Step>, AskError> {
        self.client.ask::<RulesAnswer>(&Question::Rules {}).map(|answer| answer.rules)
    }

    pub(super) fn ranges(&mut self, fib: u16, from: u32) -> Result<Piece, AskError> {
        let answer: Ranges = self.client.ask(&Question::Ranges { fib, from: from.into() })?;
        Ok(Piece {
            tables: answer.tables,
            hops: answer.hops,
            ranges: answer.ranges.into_iter().map(|(first, hop)| (first.into(), hop)).collect(),
            next: answer.next.map(u32::from),
        })
    }

    /// The tables in a FIB, and what is found there for each address.
    pub(super) fn lookup(
        &mut self,
        fib: u16,
        addresses: Vec<Ipv4Addr>,
    ) -> Result<(Vec<TableId>, Vec<Described>), AskError> {
        let answer: Values = self.client.ask(&Question::Lookup { fib, addresses })?;
        let found = answer.found.iter().map(|hop| answer.hops.get(*hop).cloned().unwrap_or_default());
        Ok((answer.tables, found.collect()))
    }

    pub(super) fn entries(&mut self, of: Section) -> Result<Vec<(String, Described)>, AskError> {
        self.client.entries(of)
    }
}
