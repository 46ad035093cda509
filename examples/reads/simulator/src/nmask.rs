//! Where a sequence has bases other than A, C, G and T.
//!
//! They come in long runs, so a block that has none or nothing else costs one word, and only a mixed
//! block has its own bits. The worst case is a bit a base, which bounds the memory whatever the
//! sequence is.

/// Bases in a block.
pub(crate) const BLOCK: usize = 4096;
const WORDS: usize = BLOCK / 64;

/// What a block is made of: `NONE`, `ALL`, or `MIXED` and up, an index of its bits.
const NONE: u32 = 0;
const ALL: u32 = 1;
const MIXED: u32 = 2;

#[derive(Clone, Debug, Default)]
pub(crate) struct NMask {
    blocks: Vec<u32>,
    #[allow(
        clippy::vec_box,
        reason = "growing one large array would need its memory twice"
    )]
    mixed: Vec<Box<[u64; WORDS]>>,
    any: bool,
}

impl NMask {
    pub(crate) fn clear(&mut self) {
        self.blocks.clear();
        self.mixed.clear();
        self.any = false;
    }

    pub(crate) fn reserve(&mut self, bases: usize) {
        self.blocks
            .reserve_exact(bases.div_ceil(BLOCK).saturating_sub(self.blocks.len()));
    }

    /// Marks the base `i`. Marks come in ascending order.
    pub(crate) fn mark(&mut self, i: usize) {
        self.any = true;
        let block = i / BLOCK;
        if self.blocks.len() <= block {
            self.settle();
            self.blocks.resize(block + 1, NONE);
        }
        if self.blocks[block] == NONE {
            self.blocks[block] = MIXED + self.mixed.len() as u32;
            self.mixed.push(Box::new([0; WORDS]));
        }
        let bits = &mut self.mixed[(self.blocks[block] - MIXED) as usize];
        bits[i % BLOCK / 64] |= 1 << (i % 64);
    }

    /// The sequence has `len` bases; nothing more is marked.
    pub(crate) fn finish(&mut self, len: usize) {
        self.settle();
        self.blocks.resize(len.div_ceil(BLOCK), NONE);
    }

    /// Gives the bits of the newest block back if they are all set.
    fn settle(&mut self) {
        let full = self
            .mixed
            .last()
            .is_some_and(|bits| bits.iter().all(|word| *word == u64::MAX));
        if let Some(last) = self.blocks.last_mut()
            && *last >= MIXED
            && full
        {
            *last = ALL;
            self.mixed.pop();
        }
    }

    /// Whether there is a mark in `start..end`.
    #[inline]
    pub(crate) fn any_in(&self, start: usize, end: usize) -> bool {
        self.any && self.next(start, end, true) < end
    }

    /// Whether the base `i` is marked.
    #[inline]
    pub(crate) fn is_marked(&self, i: usize) -> bool {
        self.any && self.word(i / 64) >> (i % 64) & 1 == 1
    }

    /// The first base in `start..end` that is marked (or, with `marked` false, that is not), or `end`.
    pub(crate) fn next(&self, start: usize, end: usize, marked: bool) -> usize {
        if !self.any {
            return if marked { end } else { start.min(end) };
        }
        let boring = if marked { NONE } else { ALL };
        let mut i = start;
        while i < end {
            if self.blocks[i / BLOCK] == boring {
                i = (i / BLOCK + 1) * BLOCK;
                continue;
            }
            let word = self.word(i / 64);
            let sought = (if marked { word } else { !word }) >> (i % 64);
            if sought != 0 {
                return (i + sought.trailing_zeros() as usize).min(end);
            }
            i = (i / 64 + 1) * 64;
        }
        end
    }

    #[inline]
    fn word(&self, w: usize) -> u64 {
        match self.blocks[w / WORDS] {
            NONE => 0,
            ALL => u64::MAX,
            mixed => self.mixed[(mixed - MIXED) as usize][w % WORDS],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_as_a_plain_list_would() {
        let len = 4 * BLOCK + 100;
        let marked = |i: usize| {
            (10..75).contains(&i)
                || (BLOCK - 1..3 * BLOCK + 1).contains(&i)
                || i == 4 * BLOCK + 99
                || (i > 3 * BLOCK && i.is_multiple_of(911))
        };
        let mut mask = NMask::default();
        (0..len).filter(|i| marked(*i)).for_each(|i| mask.mark(i));
        mask.finish(len);
        // Blocks 1 and 2 hold nothing else and gave their bits back.
        assert_eq!(
            (mask.blocks[1], mask.blocks[2], mask.mixed.len()),
            (ALL, ALL, 3)
        );
        for i in 0..len {
            assert_eq!(mask.is_marked(i), marked(i), "{i}");
        }
        for start in (0..len).step_by(37) {
            for end in [start, start + 1, start + 70, start + 5000, len] {
                let end = end.min(len);
                let set = (start..end).find(|i| marked(*i)).unwrap_or(end);
                let clear = (start..end).find(|i| !marked(*i)).unwrap_or(end);
                assert_eq!(mask.next(start, end, true), set, "{start}..{end}");
                assert_eq!(mask.next(start, end, false), clear, "{start}..{end}");
                assert_eq!(mask.any_in(start, end), set < end, "{start}..{end}");
            }
        }
    }

    #[test]
    fn a_full_last_block_and_reuse() {
        let mut mask = NMask::default();
        (0..BLOCK).for_each(|i| mask.mark(i));
        mask.finish(BLOCK);
        assert_eq!((mask.blocks.as_slice(), mask.mixed.len()), (&[ALL][..], 0));
        mask.clear();
        mask.finish(2 * BLOCK);
        assert_eq!(mask.next(0, 2 * BLOCK, true), 2 * BLOCK);
        assert_eq!(mask.next(5, 2 * BLOCK, false), 5);
    }
}
