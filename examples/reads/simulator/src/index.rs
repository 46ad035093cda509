//! Builds the index of a FASTA file from its bytes as they come.

use std::collections::HashSet;
use std::fmt;

use crate::fai::{Entry, LONGEST, MOST_SEQUENCES};
use crate::sequence::is_base;

/// The longest header line in bytes.
const LONGEST_HEADER: usize = 64 * 1024;

/// What is wrong with a FASTA file, and in which line (from 1; 0 for the file as a whole).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FastaError {
    /// The line.
    pub line: u64,
    /// What is wrong.
    pub problem: FastaProblem,
}

/// What can be wrong with a FASTA file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FastaProblem {
    /// There is no sequence.
    Empty,
    /// Something before the first header.
    NoHeader,
    /// A header without a name, or whose name is not UTF-8.
    Name,
    /// A header beyond the limit.
    LongHeader,
    /// A name for the second time.
    Duplicate(String),
    /// A byte that cannot be a base.
    Byte(u8),
    /// A line of another length than the ones before it, with more of the sequence after it.
    Uneven,
    /// More bases than a sequence may have.
    Long,
    /// More sequences than an index may have.
    TooMany,
}

impl fmt::Display for FastaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {} of the FASTA file: ", self.line)?;
        }
        match &self.problem {
            FastaProblem::Empty => write!(f, "the FASTA file has no sequence"),
            FastaProblem::NoHeader => {
                write!(
                    f,
                    "it should be a header (\">name\"); is this a plain FASTA file?"
                )
            }
            FastaProblem::Name => write!(f, "the header has no name (in UTF-8) behind its \">\""),
            FastaProblem::LongHeader => {
                write!(f, "the header is longer than {LONGEST_HEADER} bytes")
            }
            FastaProblem::Duplicate(name) => {
                write!(
                    f,
                    "a second sequence with the name {name}; rename one of them"
                )
            }
            FastaProblem::Byte(byte) => {
                write!(f, "\"{}\" cannot stand for a base", byte.escape_ascii())
            }
            FastaProblem::Uneven => write!(
                f,
                "all lines of a sequence but the last must be equally long; fold the file anew, for \
                 example with `seqtk seq -l 60`"
            ),
            FastaProblem::Long => write!(f, "a sequence of more than {LONGEST} bases"),
            FastaProblem::TooMany => write!(f, "more than {MOST_SEQUENCES} sequences"),
        }
    }
}

impl std::error::Error for FastaError {}

/// Takes a FASTA file piece by piece.
#[derive(Debug)]
pub struct Builder {
    entries: Vec<Entry>,
    names: HashSet<String>,
    header: Vec<u8>,
    line: Line,
    /// Bytes taken so far.
    offset: u64,
    /// The number of the current line, from 1.
    number: u64,
    /// Bases of the current line, and whether it had a carriage return.
    bases: u64,
    returned: bool,
    /// A line shorter than the others came: the sequence must be over.
    short: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Start,
    Header,
    Bases,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            names: HashSet::new(),
            header: Vec::new(),
            line: Line::Start,
            offset: 0,
            number: 1,
            bases: 0,
            returned: false,
            short: false,
        }
    }
}

impl Builder {
    /// A builder at the start of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// At the first line that is not as the format wants it.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), FastaError> {
        while let Some(first) = bytes.first() {
            if self.line == Line::Start {
                self.line = if *first == b'>' {
                    Line::Header
                } else {
                    Line::Bases
                };
                if self.line == Line::Header {
                    self.skip(&mut bytes, 1);
                    continue;
                }
            }
            let end = bytes.iter().position(|b| *b == b'\n');
            let text = &bytes[..end.unwrap_or(bytes.len())];
            match self.line {
                Line::Header => self.header_part(text)?,
                _ => self.bases_part(text)?,
            }
            let taken = text.len() + usize::from(end.is_some());
            self.skip(&mut bytes, taken);
            if end.is_some() {
                self.end_line()?;
            }
        }
        Ok(())
    }

    /// The index, when all bytes were given.
    ///
    /// # Errors
    /// If the last line is wrong, or there is no sequence.
    pub fn finish(mut self) -> Result<Vec<Entry>, FastaError> {
        if self.line != Line::Start {
            self.end_line()?;
        }
        // A header without bases is no sequence, as samtools has it.
        self.entries.retain(|entry| entry.length > 0);
        if self.entries.is_empty() {
            return Err(FastaError {
                line: 0,
                problem: FastaProblem::Empty,
            });
        }
        Ok(self.entries)
    }

    fn skip(&mut self, bytes: &mut &[u8], count: usize) {
        self.offset += count as u64;
        *bytes = &bytes[count..];
    }

    fn header_part(&mut self, text: &[u8]) -> Result<(), FastaError> {
        if self.header.len() + text.len() > LONGEST_HEADER {
            return self.fail(FastaProblem::LongHeader);
        }
        self.header.extend_from_slice(text);
        Ok(())
    }

    fn bases_part(&mut self, text: &[u8]) -> Result<(), FastaError> {
        // A carriage return may only be the line's last byte.
        if self.returned && !text.is_empty() {
            return self.fail(FastaProblem::Byte(b'\r'));
        }
        let text = match text.strip_suffix(b"\r") {
            Some(text) => {
                self.returned = true;
                text
            }
            None => text,
        };
        if let Some(byte) = text.iter().find(|byte| !is_base(**byte)) {
            return self.fail(FastaProblem::Byte(*byte));
        }
        self.bases += text.len() as u64;
        if self.bases > LONGEST {
            return self.fail(FastaProblem::Long);
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), FastaError> {
        match self.line {
            Line::Header => self.end_header()?,
            _ => self.end_bases()?,
        }
        self.line = Line::Start;
        self.number += 1;
        self.bases = 0;
        self.returned = false;
        Ok(())
    }

    fn end_header(&mut self) -> Result<(), FastaError> {
        let header = std::mem::take(&mut self.header);
        // White space as C's isspace has it, which is where wgsim ends the name.
        let name = header
            .split(|b| matches!(b, b' ' | 9..=13))
            .next()
            .unwrap_or_default();
        let Ok(name) = std::str::from_utf8(name) else {
            return self.fail(FastaProblem::Name);
        };
        // Unicode's other white space would make an index that its own parser refuses.
        if name.is_empty() || name.contains(char::is_whitespace) {
            return self.fail(FastaProblem::Name);
        }
        if self.entries.len() >= MOST_SEQUENCES {
            return self.fail(FastaProblem::TooMany);
        }
        if !self.names.insert(name.to_owned()) {
            return self.fail(FastaProblem::Duplicate(name.to_owned()));
        }
        self.entries.push(Entry {
            name: name.to_owned(),
            length: 0,
            offset: self.offset,
            line_bases: 0,
            line_width: 0,
        });
        self.short = false;
        Ok(())
    }

    fn end_bases(&mut self) -> Result<(), FastaError> {
        let bases = self.bases;
        // A file that ends without a line end counts as if it had one, as samtools has it.
        let width = bases + u64::from(self.returned) + 1;
        let Some(entry) = self.entries.last_mut() else {
            return if bases == 0 {
                Ok(())
            } else {
                self.fail(FastaProblem::NoHeader)
            };
        };
        if bases == 0 {
            // An empty line ends the sequence: blank lines are fine only between sequences.
            self.short = true;
            return Ok(());
        }
        if self.short {
            return self.fail(FastaProblem::Uneven);
        }
        if entry.line_bases == 0 {
            entry.line_bases = bases;
            entry.line_width = width;
        } else if bases > entry.line_bases {
            return self.fail(FastaProblem::Uneven);
        } else if bases < entry.line_bases || width != entry.line_width {
            self.short = true;
        }
        entry.length += bases;
        if entry.length > LONGEST {
            return self.fail(FastaProblem::Long);
        }
        Ok(())
    }

    fn fail<T>(&self, problem: FastaProblem) -> Result<T, FastaError> {
        Err(FastaError {
            line: self.number,
            problem,
        })
    }
}
