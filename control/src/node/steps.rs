//! Rules and tables as the walk reads them: few steps, each with one FIB.

mod fib;

use fib::Fib;

use crate::resolve::{Hops, Resolver};
use crate::rib::{Rib, Rule, RuleAction as Said, Table};
use crate::state::TableId;
use ipnet::Ipv4Net;
use packetwalk_fib::{Fib4, LAYERS};
use packetwalk_walk::tables::{FibId, RuleAction, RuleStep, Selector};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The steps, and the FIBs that they name.
#[derive(Debug, Default)]
pub(super) struct Steps {
    rules: Vec<RuleStep>,
    fibs: Vec<Fib>,
}

impl Steps {
    /// Compiles the rules anew. Tables that are asked one after the other for every packet become one FIB, in which each
    /// route of an earlier table covers whatever later ones say of its prefix. A FIB that holds the same tables as before
    /// stays, and its routes with it.
    pub(super) fn compile(&mut self, rib: &Rib, resolver: &mut Resolver<'_>) {
        let known =
            std::mem::take(&mut self.fibs).into_iter().map(|fib| (fib.tables().to_vec(), fib)).collect();
        let mut compiler = Compiler { rib, resolver, steps: Self::default(), numbers: HashMap::new(), known };
        let mut run: Vec<&Rule> = Vec::new();
        for rule in &rib.rules {
            let table = match rule.action {
                Said::Lookup(table) => table,
                Said::Refuse(..) | Said::NotHeld => {
                    compiler.end(&mut run);
                    if let Some(hop) = compiler.resolver.rule(rule.action) {
                        compiler.step(rule, RuleAction::Hop(hop));
                    }
                    continue;
                }
            };
            if !rule.selector.is_all() {
                compiler.end(&mut run);
                compiler.lookup(rule, vec![table]);
                continue;
            }
            run.push(rule);
            // Where it throws, the next table decides, and may have a shorter prefix than the throw route: so nothing
            // can lie beneath this one.
            if rib.table(table).is_some_and(Table::throws) || run.len() == usize::from(LAYERS) {
                compiler.end(&mut run);
            }
        }
        compiler.end(&mut run);
        *self = compiler.steps;
    }

    /// The steps, for the walk.
    pub(super) fn rules(&self) -> Box<[RuleStep]> {
        self.rules.as_slice().into()
    }

    /// The FIBs by number, for the walk.
    pub(super) fn fibs(&self) -> Box<[Arc<Fib4>]> {
        self.fibs.iter().map(|fib| Arc::clone(fib.published())).collect()
    }

    /// The tables that some rule names and that have routes.
    pub(super) fn tables(&self) -> HashSet<TableId> {
        self.fibs.iter().flat_map(Fib::tables).copied().collect()
    }

    /// The tables that a FIB holds, the one that is asked first before the others.
    pub(super) fn fib_tables(&self, fib: FibId) -> &[TableId] {
        self.fibs.get(usize::from(fib.0)).map_or(&[], Fib::tables)
    }

    /// Builds those FIBs anew whose tables have outgrown them, or shrunk far below them. Says whether there were any. All their
    /// routes must be resolved.
    pub(super) fn fit(&mut self, rib: &Rib, hops: &Hops) -> bool {
        self.rebuild(rib, hops, |fib| !fib.fits(rib))
    }

    /// Writes the routes of these prefixes as the RIB has them. Says whether a FIB had to be built anew instead.
    pub(super) fn write(&mut self, rib: &Rib, hops: &Hops, prefixes: &[(TableId, Ipv4Net)]) -> bool {
        for fib in &mut self.fibs {
            fib.write(rib, hops, prefixes);
        }
        let rebuilt = self.rebuild(rib, hops, Fib::is_spoilt);
        for fib in &mut self.fibs {
            fib.settle();
        }
        rebuilt
    }

    /// All workers have been quiescent since the last [`Steps::write`].
    pub(super) fn grace_passed(&mut self) {
        for fib in &mut self.fibs {
            fib.grace_passed();
        }
    }

    fn rebuild(&mut self, rib: &Rib, hops: &Hops, is_due: impl Fn(&Fib) -> bool) -> bool {
        let mut any = false;
        for fib in self.fibs.iter_mut().filter(|fib| is_due(fib)) {
            *fib = Fib::build(fib.tables().to_vec(), rib, |_, prefix, route| hops.known(prefix, route));
            any = true;
        }
        any
    }
}

struct Compiler<'a, 'r, 'b> {
    rib: &'a Rib,
    resolver: &'r mut Resolver<'b>,
    steps: Steps,
    numbers: HashMap<Vec<TableId>, FibId>,
    /// FIBs that there were before, by the tables that they hold.
    known: HashMap<Vec<TableId>, Fib>,
}

impl Compiler<'_, '_, '_> {
    /// Ends a run of lookups that follow one another for every packet.
    fn end(&mut self, run: &mut Vec<&Rule>) {
        let tables = run.iter().filter_map(|rule| match rule.action {
            Said::Lookup(table) => self.rib.table(table).map(|_| table),
            Said::Refuse(..) | Said::NotHeld => None,
        });
        let tables: Vec<_> = tables.collect();
        if let (Some(first), false) = (run.first(), tables.is_empty()) {
            self.lookup(first, tables);
        }
        run.clear();
    }

    fn lookup(&mut self, rule: &Rule, tables: Vec<TableId>) {
        let action = match self.fib(tables) {
            Some(fib) => RuleAction::Lookup(fib),
            // More tables than the walk can number: the kernel has them.
            None => RuleAction::Hop(self.resolver.not_held()),
        };
        self.step(rule, action);
    }

    fn step(&mut self, rule: &Rule, action: RuleAction) {
        let selector: Selector = rule.selector.clone();
        self.steps.rules.push(RuleStep { priority: rule.priority, selector, action });
    }

    /// The FIB of these tables, made once.
    fn fib(&mut self, tables: Vec<TableId>) -> Option<FibId> {
        if let Some(id) = self.numbers.get(&tables) {
            return Some(*id);
        }
        let id = FibId(u16::try_from(self.steps.fibs.len()).ok()?);
        let resolver = &mut *self.resolver;
        let fib = self.known.remove(&tables).unwrap_or_else(|| {
            Fib::build(tables.clone(), self.rib, |table, prefix, route| resolver.hop(table, prefix, route))
        });
        self.steps.fibs.push(fib);
        self.numbers.insert(tables, id);
        Some(id)
    }
}
