//! Goes through the choices that a bindle leaves, with backtracking.
//!
//! A state is which parcels are taken, which are left for good, and which groups are active. It only
//! ever grows by what follows of a decision, and every change is noted, so that a decision can be
//! taken back. Decisions are: which parcel of a group that is satisfied by one, and of each parcel
//! of an optional group, whether to take it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Conflict, Prefer, Puzzle, ResolveError};
use crate::SatisfiedBy;

/// How many parcels are looked at at most, the same again counted again, for a choice and its
/// fallbacks together: a part of a second.
pub(super) const MAX_STEPS: usize = 20_000_000;

/// Most conflicts that are told.
const MAX_CONFLICTS: usize = 20;

/// A choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Of each parcel, whether it is taken.
    pub(super) taken: Vec<bool>,
    /// Active groups, in the order in which they were looked at.
    pub(super) active: Vec<usize>,
    /// What it costs.
    pub(super) cost: u128,
}

/// The best choice, if those groups are satisfied by that parcel. Counts its steps.
pub(super) fn best(
    puzzle: &Puzzle<'_>,
    pinned: &BTreeMap<usize, usize>,
    steps: &mut usize,
) -> Result<Found, ResolveError> {
    let mut search = Search::new(puzzle, steps);
    match search.begin() {
        Ok(()) => search.run(pinned),
        Err(Stuck) => Err(search.impossible()),
    }
}

/// Something cannot be; what, is noted.
struct Stuck;

/// What is in the way, by places: it is told of those that come first only, and noted far more often.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Obstacle {
    group: Option<usize>,
    parcel: Option<usize>,
    why: Why,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// The device cannot run it.
    Unfit,
    /// Of this group another one is taken, or it is left.
    ExcludedBy(usize),
    /// There is nothing to take.
    Empty,
    /// This one is taken as well, of a group that is satisfied by one.
    Beside(usize),
}

enum Change {
    Taken(usize),
    Left(usize),
    Active(usize),
}

/// A decision, and how far its ways were tried.
struct Decision {
    question: Question,
    /// What is still to be tried, the next at the end.
    ways: Vec<Way>,
    /// What the state was before it.
    changes: usize,
    looked_at: usize,
    offered: usize,
}

#[derive(Clone, Copy)]
enum Question {
    /// Which of the group's parcels.
    Which(usize),
    /// Whether this parcel of a group.
    Whether { group: usize, parcel: usize },
}

#[derive(Clone, Copy)]
enum Way {
    Take(usize),
    Leave(usize),
}

struct Search<'a> {
    puzzle: &'a Puzzle<'a>,
    prefer: Prefer,
    taken: Vec<bool>,
    /// Of each parcel, the group that it was left of for good.
    left: Vec<Option<usize>>,
    is_active: Vec<bool>,
    /// Active groups in the order in which they came up. Those before `looked_at` are satisfied.
    active: Vec<usize>,
    looked_at: usize,
    /// Of the optional group that is looked at, how many parcels are decided.
    offered: usize,
    cost: u128,
    changes: Vec<Change>,
    obstacles: BTreeSet<Obstacle>,
    steps: &'a mut usize,
}

impl<'a> Search<'a> {
    fn new(puzzle: &'a Puzzle<'a>, steps: &'a mut usize) -> Self {
        let parcels = puzzle.invoice.parcel.len();
        Self {
            puzzle,
            prefer: puzzle.wanted.prefer,
            taken: vec![false; parcels],
            left: vec![None; parcels],
            is_active: vec![false; puzzle.invoice.group.len()],
            active: Vec::new(),
            looked_at: 0,
            offered: 0,
            cost: 0,
            changes: Vec::new(),
            obstacles: BTreeSet::new(),
            steps,
        }
    }

    /// What is needed whatever is decided.
    fn begin(&mut self) -> Result<(), Stuck> {
        let puzzle = self.puzzle;
        for group in &puzzle.initial {
            self.activate(*group)?;
        }
        for parcel in 0..self.taken.len() {
            if puzzle.invoice.parcel[parcel].is_global() {
                self.take(parcel, None)?;
            }
        }
        Ok(())
    }

    fn run(mut self, pinned: &BTreeMap<usize, usize>) -> Result<Found, ResolveError> {
        let mut decisions: Vec<Decision> = Vec::new();
        let mut best: Option<Found> = None;
        loop {
            match self.next_question() {
                Ok(Some(question)) => decisions.push(Decision {
                    ways: self.ways(question, pinned),
                    question,
                    changes: self.changes.len(),
                    looked_at: self.looked_at,
                    offered: self.offered,
                }),
                Ok(None) => {
                    if best.as_ref().is_none_or(|best| self.cost < best.cost) {
                        best = Some(self.found());
                    }
                    // In the author's order the first is the best.
                    if self.prefer == Prefer::Author {
                        break;
                    }
                }
                Err(Stuck) => {}
            }
            let limit = best.as_ref().map(|best| best.cost);
            if !self.go_on(&mut decisions, limit)? {
                break;
            }
        }
        best.ok_or_else(|| self.impossible())
    }

    /// Goes the next way of the last decision that has one: there may be none. What would cost as
    /// much as this limit is no way.
    fn go_on(
        &mut self,
        decisions: &mut Vec<Decision>,
        limit: Option<u128>,
    ) -> Result<bool, ResolveError> {
        while let Some(decision) = decisions.last_mut() {
            let way = decision.ways.pop();
            let question = decision.question;
            let changes = decision.changes;
            (self.looked_at, self.offered) = (decision.looked_at, decision.offered);
            self.take_back(changes);
            let Some(way) = way else {
                decisions.pop();
                continue;
            };
            if *self.steps > MAX_STEPS {
                return Err(ResolveError::TooMany(MAX_STEPS));
            }
            let is_open = self.go(question, way).is_ok();
            if is_open && limit.is_none_or(|limit| self.at_least() < limit) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the state costs at least when all that is active is satisfied. A parcel counts in each
    /// of its groups with its part only, so that one which satisfies several is not counted twice.
    fn at_least(&mut self) -> u128 {
        let puzzle = self.puzzle;
        let part = |parcel: usize| puzzle.cost[parcel] / puzzle.groups_of[parcel].len() as u128;
        let mut sum = self.cost;
        for group in &self.active[self.looked_at..] {
            let satisfied_by = puzzle.invoice.group[*group].satisfied_by;
            if satisfied_by == SatisfiedBy::Optional {
                continue;
            }
            let members = &puzzle.members[*group];
            *self.steps += members.len();
            let missing = members.iter().filter(|parcel| !self.taken[**parcel]);
            sum += match satisfied_by {
                SatisfiedBy::AllOf => missing.map(|parcel| part(*parcel)).sum(),
                SatisfiedBy::OneOf if missing.clone().count() == members.len() => missing
                    .map(|parcel| part(*parcel))
                    .min()
                    .unwrap_or_default(),
                SatisfiedBy::OneOf | SatisfiedBy::Optional => 0,
            };
        }
        sum
    }

    fn found(&self) -> Found {
        Found {
            taken: self.taken.clone(),
            active: self.active.clone(),
            cost: self.cost,
        }
    }

    /// Satisfies groups until one leaves a choice.
    fn next_question(&mut self) -> Result<Option<Question>, Stuck> {
        let puzzle = self.puzzle;
        while let Some(group) = self.active.get(self.looked_at).copied() {
            let members = &puzzle.members[group];
            let satisfied_by = puzzle.invoice.group[group].satisfied_by;
            if satisfied_by != SatisfiedBy::Optional {
                *self.steps += members.len();
            }
            match satisfied_by {
                SatisfiedBy::AllOf => {
                    for parcel in members {
                        self.take(*parcel, Some(group))?;
                    }
                }
                SatisfiedBy::OneOf => {
                    let taken = members.iter().find(|parcel| self.taken[**parcel]);
                    match taken {
                        Some(taken) => self.leave_others(group, *taken)?,
                        None => {
                            if members.is_empty() {
                                return Err(self.stuck(Some(group), None, Why::Empty));
                            }
                            return Ok(Some(Question::Which(group)));
                        }
                    }
                }
                SatisfiedBy::Optional => {
                    // The group is looked at again for its next parcel.
                    while let Some(parcel) = members.get(self.offered).copied() {
                        *self.steps += 1;
                        if !self.taken[parcel] && self.left[parcel].is_none() {
                            return Ok(Some(Question::Whether { group, parcel }));
                        }
                        self.offered += 1;
                    }
                }
            }
            self.look_on();
        }
        Ok(None)
    }

    /// The group that is looked at is satisfied.
    fn look_on(&mut self) {
        self.looked_at += 1;
        self.offered = 0;
    }

    /// The ways that a question leaves, the last of them the first to go.
    fn ways(&mut self, question: Question, pinned: &BTreeMap<usize, usize>) -> Vec<Way> {
        let cost = &self.puzzle.cost;
        match question {
            Question::Which(group) => {
                let members = &self.puzzle.members[group];
                *self.steps += members.len();
                let pinned = pinned.get(&group);
                let mut ways: Vec<usize> = members
                    .iter()
                    .copied()
                    .filter(|parcel| pinned.is_none_or(|pinned| pinned == parcel))
                    .collect();
                // Without costs, that is the invoice's order.
                ways.sort_by_key(|parcel| cost[*parcel]);
                ways.reverse();
                ways.into_iter().map(Way::Take).collect()
            }
            Question::Whether { parcel, .. } if self.prefer == Prefer::Author => {
                vec![Way::Leave(parcel), Way::Take(parcel)]
            }
            Question::Whether { parcel, .. } => vec![Way::Take(parcel), Way::Leave(parcel)],
        }
    }

    fn go(&mut self, question: Question, way: Way) -> Result<(), Stuck> {
        *self.steps += 1;
        match (question, way) {
            (Question::Which(group) | Question::Whether { group, .. }, Way::Leave(parcel)) => {
                self.leave(parcel, group);
                Ok(())
            }
            (Question::Which(group), Way::Take(parcel)) => {
                self.look_on();
                self.take(parcel, Some(group))?;
                self.leave_others(group, parcel)
            }
            (Question::Whether { group, .. }, Way::Take(parcel)) => self.take(parcel, Some(group)),
        }
    }

    /// Takes a parcel, and with it what it requires.
    fn take(&mut self, parcel: usize, group: Option<usize>) -> Result<(), Stuck> {
        if self.taken[parcel] {
            return Ok(());
        }
        let puzzle = self.puzzle;
        if !puzzle.unfit[parcel].is_empty() {
            return Err(self.stuck(group, Some(parcel), Why::Unfit));
        }
        if let Some(excluding) = self.left[parcel] {
            return Err(self.stuck(group, Some(parcel), Why::ExcludedBy(excluding)));
        }
        self.taken[parcel] = true;
        self.cost += puzzle.cost[parcel];
        self.changes.push(Change::Taken(parcel));
        for of in &puzzle.groups_of[parcel] {
            self.look_for_two(*of)?;
        }
        for required in &puzzle.requires[parcel] {
            self.activate(*required)?;
        }
        Ok(())
    }

    fn activate(&mut self, group: usize) -> Result<(), Stuck> {
        if self.is_active[group] {
            return Ok(());
        }
        self.is_active[group] = true;
        self.active.push(group);
        self.changes.push(Change::Active(group));
        self.look_for_two(group)
    }

    /// Of an active group that is satisfied by one, two cannot be taken.
    fn look_for_two(&mut self, group: usize) -> Result<(), Stuck> {
        let puzzle = self.puzzle;
        let is_one = puzzle.invoice.group[group].satisfied_by == SatisfiedBy::OneOf;
        if !self.is_active[group] || !is_one {
            return Ok(());
        }
        *self.steps += puzzle.members[group].len();
        let mut taken = puzzle.members[group]
            .iter()
            .filter(|parcel| self.taken[**parcel]);
        let (Some(first), Some(second)) = (taken.next(), taken.next()) else {
            return Ok(());
        };
        let (first, second) = (*first, *second);
        Err(self.stuck(Some(group), Some(first), Why::Beside(second)))
    }

    fn leave(&mut self, parcel: usize, group: usize) {
        if self.left[parcel].is_none() {
            self.left[parcel] = Some(group);
            self.changes.push(Change::Left(parcel));
        }
    }

    /// One of a group is taken, and no other.
    fn leave_others(&mut self, group: usize, taken: usize) -> Result<(), Stuck> {
        self.look_for_two(group)?;
        let puzzle = self.puzzle;
        for parcel in &puzzle.members[group] {
            if *parcel != taken {
                self.leave(*parcel, group);
            }
        }
        Ok(())
    }

    fn take_back(&mut self, to: usize) {
        while self.changes.len() > to {
            match self.changes.pop() {
                Some(Change::Taken(parcel)) => {
                    self.taken[parcel] = false;
                    self.cost -= self.puzzle.cost[parcel];
                }
                Some(Change::Left(parcel)) => self.left[parcel] = None,
                Some(Change::Active(group)) => {
                    self.is_active[group] = false;
                    self.active.pop();
                }
                None => break,
            }
        }
    }

    fn stuck(&mut self, group: Option<usize>, parcel: Option<usize>, why: Why) -> Stuck {
        if self.obstacles.len() < MAX_CONFLICTS {
            self.obstacles.insert(Obstacle { group, parcel, why });
        }
        Stuck
    }

    /// What was in the way of every choice.
    fn impossible(&self) -> ResolveError {
        let conflict = |obstacle: &Obstacle| Conflict {
            group: obstacle.group.map(|group| self.puzzle.group(group)),
            parcel: obstacle.parcel.map(|parcel| self.puzzle.name(parcel)),
            why: match (obstacle.why, obstacle.parcel) {
                (Why::Unfit, Some(parcel)) => self.puzzle.unfit[parcel].join("; "),
                (Why::Unfit, None) | (Why::Empty, _) => "it has no parcels".to_owned(),
                (Why::ExcludedBy(group), _) => {
                    format!("it is excluded by group `{}`", self.puzzle.group(group))
                }
                (Why::Beside(other), _) => {
                    let other = self.puzzle.name(other);
                    format!("`{other}` is needed as well, and it is satisfied by one")
                }
            },
        };
        ResolveError::Impossible(self.obstacles.iter().map(conflict).collect())
    }
}
