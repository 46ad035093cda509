//! Windowed mode: the same bytes however the work is cut, reads that are where they say, and the
//! statistics of what they are drawn from.

mod support;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use reads_simulator::{Grid, Loader, Mates, Params, Part, Place, Sequence, WINDOW, fai::Entry};
use support::draws::{Draws, seed};
use support::entries;

/// A FASTA file of one sequence.
fn fasta(draws: &mut Draws, length: usize, n: &[Range<usize>]) -> Vec<u8> {
    let mut bases: Vec<u8> = (0..length)
        .map(|_| b"ACGT"[draws.below(4) as usize])
        .collect();
    for run in n {
        bases[run.clone()].fill(b'N');
    }
    let mut fasta = b">seq some words\n".to_vec();
    for line in bases.chunks(61) {
        fasta.extend_from_slice(line);
        fasta.push(b'\n');
    }
    fasta
}

/// What one worker does: loads what a unit needs, and writes its reads or variants.
fn unit(fasta: &[u8], entry: &Entry, grid: Grid<'_>, unit: Range<Place>, rows: bool) -> Vec<u8> {
    let held = grid.held(Grid::touched(&unit));
    let mut loader = Loader::part(entry, held.clone(), Sequence::default());
    let first = entry.offset_of(held.start) as usize;
    let last = entry.offset_of(held.end - 1) as usize;
    fasta[first..=last]
        .chunks(4099)
        .for_each(|bytes| loader.push(bytes).expect("as indexed"));
    let sequence = loader.finish().expect("as indexed");
    let part = Part::new(grid, &sequence, held);
    let mut out = Vec::new();
    for place in grid.places(unit) {
        if rows {
            assert!(!part.rows(place.window).fill(&mut out, usize::MAX));
            continue;
        }
        let mut rng = part.rng(place);
        let mut pairs = part.pairs(place, Mates::Both, &mut rng);
        assert!(
            !pairs
                .fill(&mut out, usize::MAX)
                .expect("places for the pairs")
        );
    }
    out
}

fn grid<'a>(entry: &'a Entry, params: &'a Params, rows: bool) -> Grid<'a> {
    if rows {
        Grid::of_variants(&entry.name, entry.length, params)
    } else {
        Grid::of_reads(&entry.name, entry.length, u64::from(params.pairs), params)
    }
}

/// Reads, or variants, of all windows in the units of the grid.
fn all(fasta: &[u8], params: &Params, rows: bool) -> Vec<u8> {
    let entry = &entries(fasta)[0];
    let grid = grid(entry, params, rows);
    grid.units(0..grid.windows())
        .flat_map(|one| unit(fasta, entry, grid, one, rows))
        .collect()
}

#[test]
fn the_bytes_are_the_same_however_the_work_is_cut() {
    let mut draws = Draws(seed());
    for _ in 0..6 {
        let length = 150_000 + draws.below(400_000) as usize;
        let run = draws.below(100_000) as usize;
        let fasta = fasta(
            &mut draws,
            length,
            &[run..run + 40_000, length - 20..length],
        );
        let entry = &entries(&fasta)[0];
        let params = Params {
            pairs: 1 + draws.below(40_000) as u32,
            seed: 1 + draws.below(1 << 30) as u32,
            length1: 1 + draws.below(150) as u32,
            mutation: draws.below(100) as f64 / 1000.0,
            indel: draws.below(10) as f64 / 10.0,
            extend: draws.below(10) as f64 / 10.0,
            distance: draws.below(3000) as u32,
            haploid: draws.one_in(3),
            ..Params::default()
        };
        let start = |window| Place { window, batch: 0 };
        let end = start(entry.length.div_ceil(WINDOW));
        let middle = start(end.window / 2);
        for rows in [false, true] {
            let grid = grid(entry, &params, rows);
            let whole = unit(&fasta, entry, grid, start(0)..end, rows);
            assert!(whole == all(&fasta, &params, rows), "units: {params:?}");
            let mut halves = unit(&fasta, entry, grid, start(0)..middle, rows);
            halves.extend(unit(&fasta, entry, grid, middle..end, rows));
            assert!(whole == halves, "two requests: {params:?}");
        }
        let grid = grid(entry, &params, false);
        let places: Vec<_> = grid.places(start(0)..end).collect();
        let ends = places.iter().skip(1).copied().chain([end]);
        let alone: Vec<u8> = places
            .iter()
            .zip(ends)
            .flat_map(|(from, to)| unit(&fasta, entry, grid, *from..to, false))
            .collect();
        assert!(
            alone == unit(&fasta, entry, grid, start(0)..end, false),
            "batches: {params:?}"
        );
    }
}

#[test]
fn windows_share_out_all_pairs_and_a_unit_has_a_bound() {
    let params = Params::default();
    for (length, pairs) in [
        (1, 1),
        (99_999, 5),
        (100_000, 5),
        (100_001, 7),
        (48_502_111, 100_000_000),
    ] {
        let grid = Grid::of_reads("s", length, pairs, &params);
        let mut next = 0;
        let mut bases = 0;
        for unit in grid.units(0..grid.windows()) {
            assert!(Grid::touched(&unit).count() <= 20);
            let first = next;
            for place in grid.places(unit) {
                let numbers = grid.batch_pairs(place);
                assert_eq!(numbers.start, next);
                next = numbers.end;
                bases += if place.batch == 0 {
                    let bases = grid.bases(place.window);
                    bases.end - bases.start
                } else {
                    0
                };
            }
            // A record has 140 bases, as many qualities, and at least 60 bytes more.
            assert!((next - first) * 340 <= (2 << 20) + (512 << 10));
        }
        assert_eq!((next, bases), (pairs, length));
        assert_eq!(grid.windows(), length.div_ceil(WINDOW));
    }
}

/// A record's name, taken apart.
struct Name {
    start: usize,
    end: usize,
    /// Errors, substitutions and indels of the left and the right read.
    counts: [[u32; 3]; 2],
    number: u64,
}

fn name(line: &str) -> Name {
    let fields: Vec<&str> = line
        .trim_end_matches("/1")
        .trim_end_matches("/2")
        .split('_')
        .collect();
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let counts = |text: &str| {
        let counts: Vec<u32> = text
            .split(':')
            .map(|n| n.parse().expect("a count"))
            .collect();
        [counts[0], counts[1], counts[2]]
    };
    Name {
        start: number(fields[1]),
        end: number(fields[2]),
        counts: [counts(fields[3]), counts(fields[4])],
        number: u64::from_str_radix(fields[5], 16).expect("a number"),
    }
}

/// Both reads of each pair with their name.
fn records(fastq: &[u8]) -> impl Iterator<Item = (Name, &[u8], &[u8])> {
    let lines: Vec<&[u8]> = fastq.split(|byte| *byte == b'\n').collect();
    let records: Vec<_> = lines
        .chunks_exact(8)
        .map(|record| {
            let first = std::str::from_utf8(record[0]).expect("a name");
            (name(first), record[1], record[5])
        })
        .collect();
    records.into_iter()
}

fn reverse_complement(read: &[u8]) -> Vec<u8> {
    read.iter()
        .rev()
        .map(|base| match base {
            b'A' => b'T',
            b'C' => b'G',
            b'G' => b'C',
            b'T' => b'A',
            _ => b'N',
        })
        .collect()
}

/// The bases of a FASTA file of one sequence.
fn bases(fasta: &[u8]) -> Vec<u8> {
    let lines = fasta.split(|byte| *byte == b'\n').skip(1);
    lines.flatten().copied().collect()
}

#[test]
fn reads_are_where_they_say_with_the_variants_of_the_table() {
    let mut draws = Draws(seed());
    let fasta = fasta(&mut draws, 312_345, &[]);
    let params = Params {
        pairs: 30_000,
        seed: 1 + draws.below(1 << 30) as u32,
        mutation: 0.02,
        indel: 0.0,
        error: 0.0,
        length2: 90,
        ..Params::default()
    };
    let reference = bases(&fasta);
    let rows = all(&fasta, &params, true);
    let table: HashMap<usize, u8> = std::str::from_utf8(&rows)
        .expect("text")
        .lines()
        .map(|row| {
            let fields: Vec<&str> = row.split('\t').collect();
            let position: usize = fields[1].parse().expect("a position");
            assert_eq!(fields[2].as_bytes(), [reference[position - 1]]);
            (position, fields[4].as_bytes()[0])
        })
        .collect();
    let (mut next, mut met, mut over_borders) = (0, HashSet::new(), 0);
    let mut homozygous = HashMap::<usize, [u32; 2]>::new();
    for (name, first, second) in records(&all(&fasta, &params, false)) {
        assert_eq!(name.number, next);
        next += 1;
        let window = (name.start - 1) as u64 / WINDOW;
        over_borders += u32::from((name.end - 1) as u64 / WINDOW != window);
        // Which of the two is the left one is drawn.
        let fits = |left: &[u8], right: &[u8]| {
            let right = reverse_complement(right);
            let places = [
                (name.start - 1, left),
                (name.end - right.len(), right.as_slice()),
            ];
            places.map(|(at, read)| {
                let place = &reference[at..at + read.len()];
                let differ = |k: &usize| place[*k] != read[*k];
                (0..read.len())
                    .filter(differ)
                    .map(|k| (at + k + 1, read[k]))
                    .collect::<Vec<_>>()
            })
        };
        let expected = name
            .counts
            .map(|[_, substitutions, _]| substitutions as usize);
        let candidates = [fits(first, second), fits(second, first)];
        let found = candidates
            .iter()
            .find(|found| [found[0].len(), found[1].len()] == expected)
            .unwrap_or_else(|| panic!("pair {next} is not at {} to {}", name.start, name.end));
        for (position, _) in found.iter().flatten() {
            assert!(table.contains_key(position), "{position} has no variant");
            met.insert(*position);
        }
        let covered = [name.start..name.start + 70, name.end - 69..name.end + 1];
        for position in covered.into_iter().flatten() {
            if table.get(&position) == Some(&b'-') {
                let differs = found.iter().flatten().any(|(at, _)| *at == position);
                homozygous.entry(position).or_default()[usize::from(differs)] += 1;
            }
        }
    }
    assert_eq!(next, 30_000);
    assert!(over_borders > 50, "{over_borders} pairs go over a border");
    assert!(
        met.len() * 10 > table.len() * 9,
        "{} of {}",
        met.len(),
        table.len()
    );
    // What both haplotypes have each read has, from whichever window it was drawn.
    let bad = homozygous
        .values()
        .filter(|[without, _]| *without > 0)
        .count();
    assert!(
        bad == 0 && homozygous.len() > 1000,
        "{bad} of {}",
        homozygous.len()
    );
}

/// How many standard deviations a number of hits is from what is expected.
fn z(hits: u64, tries: u64, chance: f64) -> f64 {
    let (hits, tries) = (hits as f64, tries as f64);
    (hits - tries * chance) / (tries * chance * (1.0 - chance)).sqrt()
}

#[test]
fn the_statistics_are_those_that_were_asked_for() {
    let length = 4_600_123;
    let fasta = fasta(&mut Draws(1), length, &[]);
    let params = Params {
        pairs: 100_000,
        seed: 42,
        ..Params::default()
    };
    let rows = all(&fasta, &params, true);
    let (mut single, mut heterozygous, mut deletions, mut insertions) = (0, 0, 0, [0u64; 4]);
    for row in std::str::from_utf8(&rows).expect("text").lines() {
        let fields: Vec<&str> = row.split('\t').collect();
        match (fields[2], fields[3]) {
            ("-", inserted) => insertions[inserted.len() - 1] += 1,
            (_, "-") => deletions += 1,
            _ => {
                single += 1;
                heterozygous += u64::from(fields[4] == "+");
            }
        }
    }
    let inserted: u64 = insertions.iter().sum();
    let mutations = single + deletions + inserted;
    let mut checks = vec![
        ("mutations", z(mutations, length as u64, 0.001)),
        ("indels", z(deletions + inserted, mutations, 0.15)),
        ("deletions", z(deletions, deletions + inserted, 0.5)),
        ("heterozygous", z(heterozygous, single, 2.0 / 3.0)),
    ];
    for (count, chance) in insertions.into_iter().zip([0.7, 0.21, 0.063, 0.027]) {
        checks.push(("insertions by length", z(count, inserted, chance)));
    }
    let reads = all(&fasta, &params, false);
    let (mut errors, mut sum, mut squares) = (0, 0.0, 0.0);
    let mut starts = [0u64; 100];
    let pairs = 100_000u64;
    for (name, ..) in records(&reads) {
        errors += u64::from(name.counts[0][0] + name.counts[1][0]);
        let off = (name.end - name.start + 1) as f64 - 500.0;
        sum += off;
        squares += off * off;
        let bin = (name.start - 1) * starts.len() / (length - 499);
        starts[bin.min(starts.len() - 1)] += 1;
    }
    checks.push(("errors", z(errors, pairs * 140, 0.02)));
    let n = pairs as f64;
    checks.push(("mean distance", sum / n / (50.0 / n.sqrt())));
    let spread = (squares / n).sqrt();
    checks.push(("its deviation", (spread - 50.0) / (50.0 / (2.0 * n).sqrt())));
    let expected = n / starts.len() as f64;
    let chi: f64 = starts
        .iter()
        .map(|found| (*found as f64 - expected).powi(2) / expected)
        .sum();
    let freedom = starts.len() as f64 - 1.0;
    // The windows' shares are exact, so that there is less spread than chance would make.
    checks.push((
        "starts",
        ((chi - freedom) / (2.0 * freedom).sqrt()).max(0.0),
    ));
    let plain = Params {
        error: 0.0,
        mutation: 0.0,
        ..params
    };
    let reference = bases(&fasta);
    let straight = records(&all(&fasta, &plain, false))
        .filter(|(name, first, _)| reference[name.start - 1..].starts_with(first))
        .count();
    checks.push(("flips", z(straight as u64, pairs, 0.5)));
    for (what, z) in &checks {
        println!("{what}: z = {z:.2}");
    }
    for (what, z) in checks {
        assert!(z.abs() < 4.0, "{what}: z = {z}");
    }
}
