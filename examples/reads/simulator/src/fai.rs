//! The index of a FASTA file: one line a sequence with its name, length, the offset of its first
//! base, the bases of a line and the bytes of a line, separated by tabs (the `.fai` of `samtools
//! faidx`).

use std::collections::HashSet;
use std::fmt;

/// The longest sequence: positions are 32-bit signed numbers in the read names.
pub const LONGEST: u64 = i32::MAX as u64;

/// Sequences that an index may have.
pub const MOST_SEQUENCES: usize = 100_000;

/// Where a sequence is in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name: the header's text up to the first white space.
    pub name: String,
    /// Its length in bases.
    pub length: u64,
    /// The offset in bytes of its first base.
    pub offset: u64,
    /// Bases in each line but the last.
    pub line_bases: u64,
    /// Bytes in each line but the last, the line end included.
    pub line_width: u64,
}

impl Entry {
    /// The offset of the last base, which is the last byte to read; `None` if the sequence is empty.
    pub fn last_byte(&self) -> Option<u64> {
        self.length.checked_sub(1).map(|last| self.offset_of(last))
    }

    /// The offset of a base (from 0) of the sequence.
    pub fn offset_of(&self, base: u64) -> u64 {
        let line = base.checked_div(self.line_bases).unwrap_or(0);
        self.offset + line * self.line_width + base.checked_rem(self.line_bases).unwrap_or(0)
    }
}

/// Writes the index as text.
pub fn format(entries: &[Entry]) -> String {
    entries
        .iter()
        .map(|e| {
            format!(
                "{}\t{}\t{}\t{}\t{}\n",
                e.name, e.length, e.offset, e.line_bases, e.line_width
            )
        })
        .collect()
}

/// What is wrong with an index, and in which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaiError {
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub problem: FaiProblem,
}

/// What can be wrong with an index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaiProblem {
    /// Not UTF-8.
    Encoding,
    /// There is no sequence at all.
    Empty,
    /// More than [`MOST_SEQUENCES`].
    TooMany,
    /// Not five columns; the number found.
    Columns(usize),
    /// A column that is no whole number; its name.
    Number(&'static str),
    /// The name is empty or has white space.
    Name,
    /// The name was there before.
    Duplicate(String),
    /// More bases than [`LONGEST`].
    Long,
    /// Lines without bases, or a line width that is not the bases with a line end.
    Lines,
    /// The sequence would end behind what a file can have.
    Overflow,
}

impl fmt::Display for FaiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {} of the index: ", self.line)?;
        } else {
            write!(f, "the index: ")?;
        }
        match &self.problem {
            FaiProblem::Encoding => write!(f, "it is not UTF-8 text"),
            FaiProblem::Empty => write!(f, "it lists no sequence"),
            FaiProblem::TooMany => write!(f, "more than {MOST_SEQUENCES} sequences"),
            FaiProblem::Columns(found) => write!(
                f,
                "{found} columns instead of 5 (name, length, offset, bases and bytes of a line)"
            ),
            FaiProblem::Number(column) => write!(f, "the {column} is not a whole number"),
            FaiProblem::Name => write!(f, "the name is empty or has white space"),
            FaiProblem::Duplicate(name) => write!(f, "a second sequence with the name {name}"),
            FaiProblem::Long => write!(f, "a sequence of more than {LONGEST} bases"),
            FaiProblem::Lines => write!(f, "the bases and bytes of a line do not go together"),
            FaiProblem::Overflow => write!(f, "the sequence ends behind any file"),
        }?;
        write!(f, "; build it again with `samtools faidx`")
    }
}

impl std::error::Error for FaiError {}

/// Reads an index.
///
/// # Errors
/// At the first line that is not as the format wants it.
pub fn parse(text: &[u8]) -> Result<Vec<Entry>, FaiError> {
    let fail = |line, problem| Err(FaiError { line, problem });
    let Ok(text) = std::str::from_utf8(text) else {
        return fail(0, FaiProblem::Encoding);
    };
    // Of the size they will have: doubling would leave as much again behind in a small memory.
    let lines = text.lines().count().min(MOST_SEQUENCES);
    let mut entries: Vec<Entry> = Vec::with_capacity(lines);
    let mut names = HashSet::with_capacity(lines);
    for (k, line) in text.lines().enumerate() {
        if k >= MOST_SEQUENCES {
            return fail(k + 1, FaiProblem::TooMany);
        }
        match entry(line) {
            Err(problem) => return fail(k + 1, problem),
            Ok((name, _)) if !names.insert(name) => {
                return fail(k + 1, FaiProblem::Duplicate(name.to_owned()));
            }
            Ok((_, entry)) => entries.push(entry),
        }
    }
    if entries.is_empty() {
        return fail(0, FaiProblem::Empty);
    }
    Ok(entries)
}

/// The entry of a line, and its name as it stands there.
fn entry(line: &str) -> Result<(&str, Entry), FaiProblem> {
    let columns: Vec<&str> = line.split('\t').collect();
    let &[name, length, offset, line_bases, line_width] = columns.as_slice() else {
        return Err(FaiProblem::Columns(columns.len()));
    };
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(FaiProblem::Name);
    }
    let number = |text: &str, column| {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let value = text.parse::<u64>().ok().filter(|_| plain);
        value.ok_or(FaiProblem::Number(column))
    };
    let entry = Entry {
        name: name.to_owned(),
        length: number(length, "length")?,
        offset: number(offset, "offset")?,
        line_bases: number(line_bases, "bases of a line")?,
        line_width: number(line_width, "bytes of a line")?,
    };
    if entry.length > LONGEST {
        return Err(FaiProblem::Long);
    }
    if entry.length == 0 {
        return Ok((name, entry));
    }
    // A file of one line may lack the line end.
    let ends = entry.line_width.checked_sub(entry.line_bases);
    let one_line = entry.length <= entry.line_bases;
    if entry.line_bases == 0 || !ends.is_some_and(|e| e <= 2 && (e > 0 || one_line)) {
        return Err(FaiProblem::Lines);
    }
    let lines = entry.length / entry.line_bases;
    let fits = lines
        .checked_mul(entry.line_width)
        .and_then(|b| b.checked_add(entry.offset));
    if fits.is_none_or(|end| end > i64::MAX as u64) {
        return Err(FaiProblem::Overflow);
    }
    Ok((name, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let text = "chr1\t5\t6\t3\t4\nchr2\t0\t20\t0\t0\nx\t7\t30\t7\t7\n";
        let entries = parse(text.as_bytes()).expect("well formed");
        assert_eq!(format(&entries), text);
        let ends: Vec<_> = entries.iter().map(Entry::last_byte).collect();
        assert_eq!(ends, [Some(11), None, Some(36)]);
    }

    #[test]
    fn refuses_with_the_line_and_the_reason() {
        let wide = format!("a\t{}\t9\t1\t{}\n", LONGEST, 3);
        let cases: &[(&[u8], &str)] = &[
            (b"", "the index: it lists no sequence"),
            (b"\xff\n", "the index: it is not UTF-8 text"),
            (
                b"a\t1\t2\t1\n",
                "line 1 of the index: 4 columns instead of 5",
            ),
            (
                b"a\t1\t2\t1\t2\nb\n",
                "line 2 of the index: 1 columns instead of 5",
            ),
            (
                b"a\t+1\t2\t1\t2\n",
                "line 1 of the index: the length is not a whole number",
            ),
            (
                b"a\t1\t-2\t1\t2\n",
                "line 1 of the index: the offset is not a whole number",
            ),
            (
                b"a\t1\t2\tx\t2\n",
                "line 1 of the index: the bases of a line is not",
            ),
            (
                b"a\t1\t2\t1\t\n",
                "line 1 of the index: the bytes of a line is not",
            ),
            (b"\t1\t2\t1\t2\n", "line 1 of the index: the name is empty"),
            (
                b"a b\t1\t2\t1\t2\n",
                "line 1 of the index: the name is empty or has white space",
            ),
            (
                b"a\t1\t2\t1\t2\na\t1\t2\t1\t2\n",
                "line 2 of the index: a second sequence",
            ),
            (
                b"a\t2147483648\t2\t1\t2\n",
                "line 1 of the index: a sequence of more than",
            ),
            (
                b"a\t2\t2\t0\t2\n",
                "line 1 of the index: the bases and bytes of a line",
            ),
            (
                b"a\t2\t2\t2\t1\n",
                "line 1 of the index: the bases and bytes of a line",
            ),
            (
                b"a\t2\t2\t1\t1\n",
                "line 1 of the index: the bases and bytes of a line",
            ),
            (
                b"a\t2\t2\t1\t4\n",
                "line 1 of the index: the bases and bytes of a line",
            ),
            (
                b"a\t2\t18446744073709551615\t1\t2\n",
                "line 1 of the index: the sequence ends behind",
            ),
        ];
        for (text, expected) in cases {
            let error = parse(text).expect_err(expected).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(parse(wide.as_bytes()).is_ok());
    }
}
