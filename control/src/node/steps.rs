//! Rules and tables as the walk reads them: few steps, each with one FIB.

use crate::resolve::Resolver;
use crate::rib::{Rib, Rule, RuleAction as Said, Table};
use crate::state::{RouteKind, TableId};
use packetwalk_fib::{LAYERS, Prefix4, Writer4};
use packetwalk_walk::tables::{FibId, RuleAction, RuleStep, Selector};
use std::collections::HashMap;

/// The steps, and the FIBs that they name.
#[derive(Default)]
pub(super) struct Steps {
    pub(super) rules: Vec<RuleStep>,
    pub(super) fibs: Vec<Writer4>,
    /// By FIB: the tables in it, the one that is asked first before the others.
    pub(super) fib_tables: Vec<Vec<TableId>>,
}

/// Compiles the rules. Tables that are asked one after the other for every packet become one FIB, in which each
/// route of an earlier table covers whatever later ones say of its prefix.
pub(super) fn compile(rib: &Rib, resolver: &mut Resolver<'_>) -> Steps {
    let mut compiler =
        Compiler { rib, resolver, steps: Steps::default(), routes: HashMap::new(), fibs: HashMap::new() };
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
        if compiler.throws(table) || run.len() == usize::from(LAYERS) {
            compiler.end(&mut run);
        }
    }
    compiler.end(&mut run);
    compiler.steps
}

struct Compiler<'a, 'r, 'b> {
    rib: &'a Rib,
    resolver: &'r mut Resolver<'b>,
    steps: Steps,
    /// The hops of a table's prefixes, each before those that it holds.
    routes: HashMap<TableId, Vec<(Prefix4, u32)>>,
    fibs: HashMap<Vec<TableId>, FibId>,
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
        if let Some(id) = self.fibs.get(&tables) {
            return Some(*id);
        }
        let id = FibId(u16::try_from(self.steps.fibs.len()).ok()?);
        for table in &tables {
            self.resolve(*table);
        }
        let layers: Vec<&[_]> = tables.iter().rev().map(|table| self.routes[table].as_slice()).collect();
        self.steps.fibs.push(Writer4::of_layers(&layers));
        self.steps.fib_tables.push(tables.clone());
        self.fibs.insert(tables, id);
        Some(id)
    }

    fn resolve(&mut self, id: TableId) {
        let (rib, resolver) = (self.rib, &mut *self.resolver);
        self.routes.entry(id).or_insert_with(|| {
            let routes = rib.table(id).into_iter().flat_map(Table::iter);
            let hops = routes.filter_map(|(prefix, route)| {
                let written = Prefix4::new(prefix.addr(), prefix.prefix_len()).ok()?;
                Some((written, resolver.route(id, prefix, route).0))
            });
            hops.collect()
        });
    }

    fn throws(&self, id: TableId) -> bool {
        self.rib.table(id).is_some_and(|table| table.iter().any(|(_, route)| route.kind == RouteKind::Throw))
    }
}
