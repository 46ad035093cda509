//! The reads of `examples/reads`, counted in the plainest way.

use std::collections::HashMap;

/// A read as its record tells of it.
pub struct Read<'a> {
    pub sequence: &'a str,
    /// The first base of its pair in the sequence, from 0.
    pub start: usize,
    /// Behind the last one.
    pub end: usize,
    /// Misread bases of both reads of its pair.
    pub misread: u64,
    pub mate: &'a str,
    pub bases: &'a [u8],
}

pub fn reads(fastq: &str) -> Vec<Read<'_>> {
    let lines: Vec<&str> = fastq.lines().collect();
    lines.chunks(4).map(read).collect()
}

fn read<'a>(record: &[&'a str]) -> Read<'a> {
    let (name, mate) = record[0][1..].rsplit_once('/').unwrap();
    let parts: Vec<&str> = name.rsplitn(6, '_').collect();
    let [_, right, left, end, start, sequence] = parts[..] else {
        panic!("{name}");
    };
    let errors = |counts: &str| -> u64 { counts.split(':').next().unwrap().parse().unwrap() };
    Read {
        sequence,
        start: start.parse::<usize>().unwrap() - 1,
        end: end.parse().unwrap(),
        misread: errors(left) + errors(right),
        mate,
        bases: record[1].as_bytes(),
    }
}

/// What the reads of an answer are together.
#[derive(Default)]
pub struct Counted {
    /// The insert size of each pair.
    pub sizes: Vec<f64>,
    /// At each base of the sequences laid end to end: the pairs that begin there.
    pub starts: Vec<f64>,
    /// The same: the reads that lie over it.
    pub depth: Vec<f64>,
    /// Misread bases, as the names have them.
    pub misread: u64,
    pub bases: usize,
}

/// Counts an answer with both reads of each pair, which are as long.
pub fn count(reads: &[Read<'_>], sequences: &[(&str, usize)]) -> Counted {
    let mut offsets: HashMap<&str, usize> = HashMap::new();
    let mut total = 0;
    for &(name, length) in sequences {
        offsets.insert(name, total);
        total += length;
    }
    let mut counted = Counted {
        starts: vec![0.0; total],
        depth: vec![0.0; total],
        ..Counted::default()
    };
    for read in reads {
        let length = read.bases.len();
        counted.bases += length;
        if read.mate == "2" {
            continue;
        }
        let offset = offsets[read.sequence];
        let (start, end) = (offset + read.start, offset + read.end);
        counted.sizes.push((end - start) as f64);
        counted.starts[start] += 1.0;
        for base in (start..start + length).chain(end - length..end) {
            counted.depth[base] += 1.0;
        }
        counted.misread += read.misread;
    }
    counted
}

/// Misread bases and all of them, N excepted, at each position of reads that are as `right` without
/// errors.
pub fn by_position(reads: &[Read<'_>], right: &[Read<'_>]) -> (Vec<f64>, Vec<f64>) {
    let longest = reads.iter().map(|read| read.bases.len()).max().unwrap();
    let (mut wrong, mut seen) = (vec![0.0; longest], vec![0.0; longest]);
    assert_eq!(reads.len(), right.len());
    for (read, right) in reads.iter().zip(right) {
        assert_eq!(
            (read.start, read.end, read.mate),
            (right.start, right.end, right.mate)
        );
        for (position, (found, base)) in read.bases.iter().zip(right.bases).enumerate() {
            if *base != b'N' {
                seen[position] += 1.0;
                wrong[position] += f64::from(u8::from(found != base));
            }
        }
    }
    (wrong, seen)
}
