//! A unit of windowed mode, as the function `simulate` asks the function `windows` for it.

use std::fmt::Display;
use std::ops::Range;

use reads_simulator::fai::{self, Entry};
use reads_simulator::{Grid, Mates, Params, Place};

use crate::parameters;
use crate::problem::Problem;
use crate::query;

/// The name of the function.
pub const FUNCTION: &str = "windows";

/// What to simulate of a sequence, and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// The object with the sequence, in the bucket with the genomes.
    pub object: String,
    /// Where in it the sequence is.
    pub entry: Entry,
    /// The sequence's pairs of reads; without them its variants are wanted.
    pub pairs: Option<u64>,
    /// Which reads of the pairs.
    pub mates: Mates,
    /// The parameters of the simulation.
    pub params: Params,
    /// Whether the answer is packed into blocks of BGZF.
    pub packed: bool,
}

/// What is beside the parameters in a query.
const OTHERS: [&str; 7] = ["object", "entry", "pairs", "mate", "from", "to", "packed"];

impl Work {
    /// The grid that it is done on.
    pub fn grid(&self) -> Grid<'_> {
        let Entry { name, length, .. } = &self.entry;
        match self.pairs {
            Some(pairs) => Grid::of_reads(name, *length, pairs, &self.params),
            None => Grid::of_variants(name, *length, &self.params),
        }
    }

    /// The path and query that ask for a unit of it.
    pub fn target(&self, unit: &Range<Place>) -> String {
        let place = |place: Place| format!("{}.{}", place.window, place.batch);
        let mut values = vec![
            ("object", self.object.clone()),
            ("entry", fai::format(std::slice::from_ref(&self.entry))),
            ("mate", parameters::mate_name(self.mates).to_owned()),
            ("from", place(unit.start)),
            ("to", place(unit.end)),
            ("packed", self.packed.to_string()),
        ];
        if let Some(pairs) = self.pairs {
            values.push(("pairs", pairs.to_string()));
        }
        values.extend(parameters::write(&self.params));
        let values: Vec<_> = values.iter().map(|(k, v)| (*k, v.as_str())).collect();
        format!("/?{}", query::encode(&values))
    }

    /// Reads what [`target`](Self::target) wrote.
    ///
    /// # Errors
    /// A 400 for anything else: no route leads to the function, but another one may ask it.
    pub fn parse(target: &str) -> Result<(Self, Range<Place>), Problem> {
        let refused = |detail: &dyn Display| Problem::bad_request("entry", detail.to_string());
        let known: Vec<_> = OTHERS.into_iter().chain(parameters::NAMES).collect();
        let (mut object, mut entry) = (String::new(), None);
        let (mut pairs, mut mates) = (None, Mates::Both);
        let mut params = Params::default();
        let mut packed = false;
        let mut unit = Place::START..Place::START;
        for (name, value) in query::parse(target, &known)? {
            match name {
                "object" => object = value,
                "entry" => {
                    entry = fai::parse(value.as_bytes())
                        .map_err(|error| refused(&error))?
                        .pop()
                }
                "pairs" => pairs = Some(parameters::whole(name, &value)?),
                "mate" => mates = parameters::mate(name, &value)?,
                "from" => unit.start = place(name, &value)?,
                "to" => unit.end = place(name, &value)?,
                "packed" => packed = parameters::truth(name, &value)?,
                _ => parameters::set(&mut params, name, &value)?,
            }
        }
        let work = Self {
            object,
            entry: entry.ok_or_else(|| refused(&"no line of an index"))?,
            pairs,
            mates,
            params,
            packed,
        };
        work.check(&unit)?;
        Ok((work, unit))
    }

    fn check(&self, unit: &Range<Place>) -> Result<(), Problem> {
        self.params
            .check()
            .map_err(|error| Problem::bad_request(error.name, error.to_string()))?;
        if self
            .pairs
            .is_some_and(|pairs| pairs > u64::from(self.params.pairs))
        {
            let detail = "a sequence has no more pairs than there are";
            return Err(Problem::bad_request("pairs", detail));
        }
        let windows = self.grid().windows();
        let end = Place::before(windows);
        // More windows than a unit has would take more memory than there is.
        let touched = Grid::touched(unit).count() as u64;
        if unit.start >= unit.end || unit.end > end || touched > Grid::UNIT_WINDOWS + 1 {
            let detail = format!("no unit of the {windows} windows");
            return Err(Problem::bad_request("to", detail));
        }
        Ok(())
    }
}

fn place(name: &str, value: &str) -> Result<Place, Problem> {
    let (window, batch) = value.split_once('.').unwrap_or((value, "0"));
    Ok(Place {
        window: parameters::whole(name, window)?,
        batch: parameters::whole(name, batch)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work() -> Work {
        Work {
            object: "a b.fa".into(),
            entry: Entry {
                name: "gi|1|&=".into(),
                length: 4_641_652,
                offset: 70,
                line_bases: 70,
                line_width: 71,
            },
            pairs: Some(5000),
            mates: Mates::Second,
            params: Params {
                pairs: 100_000_000,
                error: 0.1 + 0.2,
                ..Params::default()
            },
            packed: false,
        }
    }

    #[test]
    fn every_unit_arrives_as_it_was_sent() {
        for (pairs, packed) in [(Some(5_000_000), false), (None, true)] {
            let work = Work {
                pairs,
                packed,
                ..work()
            };
            let grid = work.grid();
            for unit in grid.units(0..grid.windows()) {
                let target = work.target(&unit);
                assert_eq!(Work::parse(&target), Ok((work.clone(), unit)), "{target}");
            }
        }
    }

    #[test]
    fn what_is_no_unit_is_refused() {
        let work = work();
        let at = |window, batch| Place { window, batch };
        for unit in [
            at(1, 0)..at(1, 0),
            at(2, 0)..at(1, 0),
            at(0, 0)..at(48, 0),
            at(46, 0)..at(47, 1),
            at(0, 0)..at(22, 0),
        ] {
            let problem = Work::parse(&work.target(&unit)).expect_err("no unit");
            assert_eq!(problem.field.as_deref(), Some("to"), "{unit:?}");
        }
        let mut long = work.clone();
        long.entry.length = 1 << 40;
        assert!(Work::parse(&long.target(&(at(0, 0)..at(1, 0)))).is_err());
        let many = Work {
            pairs: Some(100_000_001),
            ..work.clone()
        };
        let problem = Work::parse(&many.target(&(at(0, 0)..at(1, 0)))).expect_err("too many");
        assert_eq!(problem.field.as_deref(), Some("pairs"));
        let mut wrong = work;
        wrong.params.error = 2.0;
        let problem = Work::parse(&wrong.target(&(at(0, 0)..at(1, 0)))).expect_err("no rate");
        assert_eq!(problem.field.as_deref(), Some("error"));
    }
}
