//! What was chosen, told so that somebody can see why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::search::{Found, best};
use super::{Choice, Puzzle, Reason, Satisfied, fetch_of, name_of};
use crate::device::memory_of;
use crate::{Invoice, SatisfiedBy};

/// Most fallbacks that are told of a group.
const MAX_FALLBACKS: usize = 8;

/// Most parcels that are tried as fallbacks, of all groups: each is a search.
const MAX_TRIES: usize = 64;

pub(super) fn choice(puzzle: &Puzzle<'_>, found: &Found, steps: &mut usize) -> Choice {
    let invoice = puzzle.invoice;
    let mut choice = Choice {
        parcels: (0..invoice.parcel.len())
            .map(|parcel| reason(puzzle, found, parcel))
            .collect(),
        groups: satisfied(puzzle, found, steps),
        memory: 0,
        fetch: 0,
    };
    let mut fetched = BTreeSet::new();
    let (mut memory, mut fetch) = (0_u64, 0_u64);
    for label in choice.labels(invoice) {
        memory = memory.saturating_add(memory_of(label).unwrap_or_default());
        // What has two labels is fetched once.
        if fetched.insert(label.sha256) {
            fetch = fetch.saturating_add(fetch_of(label, puzzle.wanted));
        }
    }
    (choice.memory, choice.fetch) = (memory, fetch);
    choice
}

fn reason(puzzle: &Puzzle<'_>, found: &Found, parcel: usize) -> Reason {
    let groups = &puzzle.groups_of[parcel];
    let name = |group: usize| puzzle.group(group);
    // The group that came first is what it is there for.
    let active = || {
        found
            .active
            .iter()
            .copied()
            .filter(|group| groups.contains(group))
    };
    if found.taken[parcel] {
        return match active().next() {
            None => Reason::Global,
            Some(group) => Reason::Member { group: name(group) },
        };
    }
    if !puzzle.unfit[parcel].is_empty() {
        return Reason::Unfit {
            why: puzzle.unfit[parcel].clone(),
        };
    }
    let instead = active().find_map(|group| {
        let is_one = puzzle.invoice.group[group].satisfied_by == SatisfiedBy::OneOf;
        let other = puzzle.members[group]
            .iter()
            .find(|other| found.taken[**other]);
        is_one.then_some((group, *other?))
    });
    match (instead, active().next()) {
        (Some((group, taken)), _) => Reason::Instead {
            group: name(group),
            taken,
        },
        (None, Some(group)) => Reason::Optional { group: name(group) },
        (None, None) => Reason::Inactive,
    }
}

fn satisfied(puzzle: &Puzzle<'_>, found: &Found, steps: &mut usize) -> Vec<Satisfied> {
    let mut pinned = BTreeMap::new();
    let mut tries = MAX_TRIES;
    let mut all = Vec::new();
    for group in &found.active {
        let members = &puzzle.members[*group];
        let taken: Vec<usize> = members
            .iter()
            .copied()
            .filter(|parcel| found.taken[*parcel])
            .collect();
        let is_one = puzzle.invoice.group[*group].satisfied_by == SatisfiedBy::OneOf;
        let mut fallbacks = Vec::new();
        if let ([taken], true) = (&*taken, is_one) {
            fallbacks = fallbacks_for(puzzle, *group, *taken, &mut pinned, &mut tries, steps);
            pinned.insert(*group, *taken);
        }
        all.push(Satisfied {
            group: puzzle.group(*group),
            taken,
            fallbacks,
        });
    }
    all
}

/// What else could satisfy a group, if what was decided before stays.
fn fallbacks_for(
    puzzle: &Puzzle<'_>,
    group: usize,
    taken: usize,
    pinned: &mut BTreeMap<usize, usize>,
    tries: &mut usize,
    steps: &mut usize,
) -> Vec<usize> {
    let mut others: Vec<usize> = puzzle.members[group]
        .iter()
        .copied()
        .filter(|other| *other != taken && puzzle.unfit[*other].is_empty())
        .collect();
    // The best are tried first. Without costs, that is the invoice's order.
    others.sort_by_key(|other| puzzle.cost[*other]);
    let mut possible = Vec::new();
    for other in &others {
        if possible.len() == MAX_FALLBACKS || *tries == 0 {
            break;
        }
        *tries -= 1;
        pinned.insert(group, *other);
        if let Ok(found) = best(puzzle, pinned, steps)
            && found.taken[*other]
        {
            possible.push((found.cost, *other));
        }
    }
    pinned.remove(&group);
    possible.sort();
    possible.into_iter().map(|(_, parcel)| parcel).collect()
}

impl Choice {
    /// The choice as text, a line for each parcel.
    pub fn explain(&self, invoice: &Invoice) -> String {
        let name = |parcel: usize| name_of(&invoice.parcel[parcel].label);
        let mut text = String::new();
        // Writing to a string does not fail.
        for (parcel, reason) in self.parcels.iter().enumerate() {
            let sign = if reason.is_taken() { '+' } else { '-' };
            let why = match reason {
                Reason::Global => "always needed".to_owned(),
                Reason::Member { group } => format!("for group `{group}`"),
                Reason::Unfit { why } => why.join("; "),
                Reason::Instead { group, taken } => {
                    format!("group `{group}` has `{}`", name(*taken))
                }
                Reason::Optional { group } => format!("optional in group `{group}`"),
                Reason::Inactive => "none of its groups is needed".to_owned(),
            };
            let _ = writeln!(text, "{sign} {}: {why}", name(parcel));
        }
        for satisfied in &self.groups {
            if !satisfied.fallbacks.is_empty() {
                let names: Vec<String> = satisfied.fallbacks.iter().map(|one| name(*one)).collect();
                let _ = writeln!(
                    text,
                    "group `{}` falls back to {}",
                    satisfied.group,
                    names.join(", ")
                );
            }
        }
        let _ = writeln!(text, "{} bytes to fetch", self.fetch);
        text
    }
}
