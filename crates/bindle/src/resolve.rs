//! Which of a bindle's parcels a device is to have.
//!
//! Needed are the parcels of no group, and what satisfies each group that is *active*: those that
//! are required, those that somebody asks for, and those that a parcel requires which is needed. Of
//! a group that is satisfied by all of its parcels, all are taken; of one that is satisfied by one
//! of them, exactly one; of an optional one, any number. What cannot run on the device is never
//! taken.
//!
//! Where there is a choice, [`Prefer`] says which is better. It is looked for with backtracking
//! ([`search`]), so that an alternative which turns out to require what cannot be had is given up
//! for the next. The number of steps is bounded.

mod explain;
mod search;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::check::Invalid;
use crate::device::{latency_of, memory_of};
use crate::text::{listed, shortened};
use crate::{Device, Invoice, Label, Sha256};

/// Most groups that an error names.
const MAX_TOLD: usize = 20;

/// What somebody wants of a bindle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Groups beside those that are required.
    pub groups: Vec<String>,
    /// What is better, where there is a choice.
    pub prefer: Prefer,
    /// What is on the device already, and need not be fetched.
    pub cached: BTreeSet<Sha256>,
    /// What is passed over, and why: code that nobody whom the device's operator trusts has
    /// compiled, for one.
    pub distrusted: BTreeMap<Sha256, String>,
}

/// What is better, where there is a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Prefer {
    /// What the author names first. Groups are looked at in the invoice's order, first those that
    /// are required or asked for, then those that taken parcels require; the first has most to say.
    /// Of an optional group, all is taken that can be.
    #[default]
    Author,
    /// What needs least memory in sum, as the parcels' `strand.memory` says. Nothing optional.
    Memory,
    /// What is there first: bytes that are not cached, over the speed of the device's link, and the
    /// sum of the parcels' `strand.latency`. Nothing optional.
    Start,
}

/// What a device is to have, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// Of each parcel of the invoice, in its order, whether it is taken and why.
    pub parcels: Vec<Reason>,
    /// The groups that are active, in the order in which they were looked at.
    pub groups: Vec<Satisfied>,
    /// Memory that the taken parcels say that they need, in sum, in bytes.
    pub memory: u64,
    /// Bytes of taken parcels that are not on the device.
    pub fetch: u64,
}

/// What satisfies a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Satisfied {
    /// The group.
    pub group: String,
    /// Its parcels that are taken: places in the invoice, from 0.
    pub taken: Vec<usize>,
    /// If it is satisfied by one: what would be taken if that were not there, then what if that
    /// were not either, and so on. At most eight, and fewer where they are hard to find.
    pub fallbacks: Vec<usize>,
}

/// Why a parcel is taken, or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "camelCase")]
pub enum Reason {
    /// Taken: it belongs to no group.
    Global,
    /// Taken: it belongs to this group, which is active.
    Member {
        /// The group.
        group: String,
    },
    /// Left: the device cannot run it, or does not trust it.
    Unfit {
        /// Everything that is in the way.
        why: Vec<String>,
    },
    /// Left: of this group another is taken.
    Instead {
        /// The group.
        group: String,
        /// The other's place in the invoice.
        taken: usize,
    },
    /// Left: it is optional, and taking it was not better, or not possible.
    Optional {
        /// The group.
        group: String,
    },
    /// Left: none of its groups is active.
    Inactive,
}

/// There is nothing that a device could have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResolveError {
    /// The invoice says what cannot be.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no such group.
    #[error("there is no group `{}` in this bindle: it has {there}", shortened(.group))]
    UnknownGroup {
        /// What was asked for.
        group: String,
        /// What there is.
        there: String,
    },
    /// No choice satisfies what is needed.
    #[error("nothing in this bindle runs here:{}", lines(.0))]
    Impossible(Vec<Conflict>),
    /// There are too many ways to go through.
    #[error(
        "this bindle has too many alternatives: after {0} steps it was not known which choice is \
         the best; ask for fewer groups, or prefer the author's order"
    )]
    TooMany(usize),
}

/// What was in the way of a choice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Conflict {
    /// The group that was to be satisfied; of a parcel of no group, nothing.
    pub group: Option<String>,
    /// The parcel that was to be taken: its name, or its digest if it has none.
    pub parcel: Option<String>,
    /// What was in the way.
    pub why: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            Some(group) => write!(f, "group `{}`", shortened(group))?,
            None => f.write_str("always needed")?,
        }
        if let Some(parcel) = &self.parcel {
            write!(f, ": `{}`", shortened(parcel))?;
        }
        write!(f, ": {}", self.why)
    }
}

fn lines(conflicts: &[Conflict]) -> String {
    conflicts
        .iter()
        .map(|conflict| format!("\n  {conflict}"))
        .collect()
}

impl Choice {
    /// Whether the parcel at this place of the invoice is taken.
    pub fn takes(&self, parcel: usize) -> bool {
        self.parcels.get(parcel).is_some_and(Reason::is_taken)
    }

    /// The labels of what is taken, in the invoice's order.
    pub fn labels<'a>(&'a self, invoice: &'a Invoice) -> impl Iterator<Item = &'a Label> {
        let labels = invoice.parcel.iter().map(|parcel| &parcel.label);
        labels
            .zip(&self.parcels)
            .filter_map(|(label, reason)| reason.is_taken().then_some(label))
    }
}

impl Reason {
    /// Whether it is one to take a parcel.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Global | Self::Member { .. })
    }
}

/// Chooses what a device is to have of a bindle.
///
/// # Errors
/// An invoice that [`Invoice::check`] finds something in, a group that is not there, and a bindle of
/// which nothing that is complete runs on the device: with all that was in the way.
pub fn resolve(
    invoice: &Invoice,
    device: &Device,
    wanted: &Wanted,
) -> Result<Choice, ResolveError> {
    invoice.check()?;
    let puzzle = Puzzle::new(invoice, device, wanted)?;
    let mut steps = 0;
    let found = search::best(&puzzle, &BTreeMap::new(), &mut steps)?;
    Ok(explain::choice(&puzzle, &found, &mut steps))
}

/// An invoice, looked at from one device: parcels and groups by their places.
struct Puzzle<'a> {
    invoice: &'a Invoice,
    wanted: &'a Wanted,
    /// Of each group, its parcels in the invoice's order.
    members: Vec<Vec<usize>>,
    /// Of each parcel, its groups.
    groups_of: Vec<Vec<usize>>,
    /// Of each parcel, the groups that are needed beside it.
    requires: Vec<Vec<usize>>,
    /// Of each parcel, why it is not for this device.
    unfit: Vec<Vec<String>>,
    /// Of each parcel, what taking it costs.
    cost: Vec<u128>,
    /// The groups that are active in any case.
    initial: Vec<usize>,
}

impl<'a> Puzzle<'a> {
    fn new(
        invoice: &'a Invoice,
        device: &'a Device,
        wanted: &'a Wanted,
    ) -> Result<Self, ResolveError> {
        let places: BTreeMap<&str, usize> = invoice
            .group
            .iter()
            .enumerate()
            .map(|(place, group)| (&*group.name, place))
            .collect();
        let places_of = |names: &[String]| -> Vec<usize> {
            let mut seen = BTreeSet::new();
            let known = names.iter().filter_map(|name| places.get(&**name).copied());
            known.filter(|place| seen.insert(*place)).collect()
        };
        let mut is_initial: Vec<bool> = invoice.group.iter().map(|group| group.required).collect();
        for name in &wanted.groups {
            let Some(place) = places.get(&**name) else {
                let all = invoice
                    .group
                    .iter()
                    .map(|group| format!("`{}`", group.name));
                return Err(ResolveError::UnknownGroup {
                    group: name.clone(),
                    there: listed(all.take(MAX_TOLD)),
                });
            };
            is_initial[*place] = true;
        }
        let conditions = || invoice.parcel.iter().map(|parcel| &parcel.conditions);
        let groups_of: Vec<Vec<usize>> = conditions()
            .map(|conditions| places_of(&conditions.member_of))
            .collect();
        let mut members = vec![Vec::new(); invoice.group.len()];
        for (parcel, groups) in groups_of.iter().enumerate() {
            for group in groups {
                members[*group].push(parcel);
            }
        }
        let unfit = |label: &Label| {
            let mut why = device.unfit(label);
            why.extend(wanted.distrusted.get(&label.sha256).cloned());
            why
        };
        let labels = || invoice.parcel.iter().map(|parcel| &parcel.label);
        Ok(Self {
            invoice,
            wanted,
            members,
            groups_of,
            requires: conditions()
                .map(|conditions| places_of(&conditions.requires))
                .collect(),
            unfit: labels().map(unfit).collect(),
            cost: labels().map(|label| cost(label, device, wanted)).collect(),
            initial: (0..is_initial.len())
                .filter(|place| is_initial[*place])
                .collect(),
        })
    }

    fn name(&self, parcel: usize) -> String {
        name_of(&self.invoice.parcel[parcel].label)
    }

    fn group(&self, group: usize) -> String {
        self.invoice.group[group].name.clone()
    }
}

/// What people call a parcel.
fn name_of(label: &Label) -> String {
    if label.name.is_empty() {
        label.sha256.to_string()
    } else {
        label.name.clone()
    }
}

/// What taking a parcel costs: nothing if the author's order decides, bytes of memory, or
/// nanoseconds.
fn cost(label: &Label, device: &Device, wanted: &Wanted) -> u128 {
    match wanted.prefer {
        Prefer::Author => 0,
        Prefer::Memory => u128::from(memory_of(label).unwrap_or_default()),
        Prefer::Start => {
            // Who does not know its link takes what is fewer bytes, by a nanosecond each.
            let speed = u128::from(device.link.unwrap_or(1_000_000_000).max(1));
            let fetch = u128::from(fetch_of(label, wanted)) * 1_000_000_000 / speed;
            fetch + latency_of(label).unwrap_or_default().as_nanos()
        }
    }
}

/// Bytes of a parcel that are not on the device.
fn fetch_of(label: &Label, wanted: &Wanted) -> u64 {
    if wanted.cached.contains(&label.sha256) {
        0
    } else {
        label.size
    }
}
