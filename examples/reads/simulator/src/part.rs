//! Some windows of a sequence, in memory with their mutations.

use std::ops::Range;

use crate::grid::{Grid, Place, Stretch, WINDOW};
use crate::mutate::{Diploid, Mutator};
use crate::pairs::{Mates, Pairs, Template};
use crate::rng::{Rng, Stream};
use crate::rows::Rows;
use crate::sequence::Sequence;

/// What [`Grid::held`] asks for, with its mutations.
#[derive(Debug)]
pub struct Part<'a> {
    grid: Grid<'a>,
    sequence: &'a Sequence,
    held: Range<u64>,
    diploid: Diploid,
}

impl<'a> Part<'a> {
    /// Draws the mutations of what is in memory: `held` of the grid's sequence.
    ///
    /// # Panics
    /// If `held` does not begin with a window, or `sequence` has not so many bases.
    pub fn new(grid: Grid<'a>, sequence: &'a Sequence, held: Range<u64>) -> Self {
        assert!(held.start.is_multiple_of(WINDOW), "{held:?}");
        assert_eq!(sequence.len() as u64, held.end - held.start);
        let mut mutator = Mutator::new(sequence, grid.params, Diploid::default());
        for window in held.start / WINDOW..held.end.div_ceil(WINDOW) {
            let place = Place { window, batch: 0 };
            let mut rng = rng(&grid, Stream::Mutations, place);
            mutator.mutate(within(&held, &grid.bases(window)), &mut rng);
        }
        Self {
            grid,
            sequence,
            held,
            diploid: mutator.finish(),
        }
    }

    /// The random numbers of a batch of pairs, for [`Part::pairs`].
    pub fn rng(&self, place: Place) -> Rng {
        rng(&self.grid, Stream::Reads, place)
    }

    /// A batch of pairs. Those that fall on N are left out, and not drawn again: elsewhere in the window
    /// they would lie more densely than in its neighbours.
    pub fn pairs<'b>(&'b self, place: Place, mates: Mates, rng: &'b mut Rng) -> Pairs<'b> {
        let bases = self.grid.bases(place.window);
        let pairs = self.grid.batch_pairs(place);
        let reach = Grid::reach(self.grid.params);
        let template = Template {
            name: self.grid.name,
            sequence: self.sequence,
            diploid: &self.diploid,
            stretch: Stretch::of_window(self.grid.length, &bases, reach, &self.held),
            ambiguous_tries: 1,
        };
        Pairs::new(template, pairs, self.grid.params, mates, rng)
    }

    /// The variants of a window.
    pub fn rows(&self, window: u64) -> Rows<'_> {
        let part = within(&self.held, &self.grid.bases(window));
        Rows::part(
            self.grid.name,
            self.sequence,
            &self.diploid,
            part,
            self.held.start,
        )
    }
}

fn rng(grid: &Grid<'_>, stream: Stream, place: Place) -> Rng {
    Rng::of_part(
        grid.params.seed,
        grid.name,
        stream,
        place.window,
        place.batch,
    )
}

/// Bases of a sequence, counted from the first in memory and as far as they are there.
fn within(held: &Range<u64>, bases: &Range<u64>) -> Range<usize> {
    let at = |base: u64| (base.clamp(held.start, held.end) - held.start) as usize;
    at(bases.start)..at(bases.end)
}
