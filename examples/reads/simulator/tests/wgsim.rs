//! Equal to the real wgsim, byte for byte.

mod support;

use std::io::Read;
use std::path::Path;
use std::process::Command;

use reads_simulator::{Mates, Params, share};
use support::draws::{Draws, seed};
use support::{
    BOWTIE_EXAMPLES, Scratch, assert_same, entries, have_wgsim, need, options, ours, try_ours,
    wgsim,
};

/// Compares both files and the table.
fn compare(fasta: &[u8], params: &Params, scratch: &Scratch, what: &str) -> usize {
    let path = scratch.write("reference.fa", fasta);
    let what = format!("{what}: wgsim {}", options(params).join(" "));
    let theirs = wgsim(&path, params, scratch);
    let both = ours(fasta, params, Mates::Both);
    assert_same(
        &both.variants,
        &theirs.variants,
        &format!("{what}, variants"),
    );
    assert_same(&both.first, &theirs.first, &format!("{what}, first reads"));
    assert_same(
        &both.second,
        &theirs.second,
        &format!("{what}, second reads"),
    );
    for (mates, theirs) in [
        (Mates::First, &theirs.first),
        (Mates::Second, &theirs.second),
    ] {
        assert_same(
            &ours(fasta, params, mates).first,
            theirs,
            &format!("{what}, {mates:?} alone"),
        );
    }
    assert_eq!(ours(fasta, params, Mates::Neither).first, b"", "{what}");
    assert_same(
        &ours(fasta, params, Mates::Neither).variants,
        &theirs.variants,
        &what,
    );
    theirs.first.len() + theirs.second.len()
}

#[test]
fn on_fifty_drawn_parameter_sets() {
    if !have_wgsim() {
        return;
    }
    let scratch = Scratch::new("drawn");
    let mut draws = Draws(seed());
    let mut bytes = 0;
    let (mut sets, mut stuck) = (0, 0);
    while sets < 50 {
        let fasta = draws.fasta();
        let lengths: Vec<u64> = entries(&fasta).iter().map(|entry| entry.length).collect();
        let params = draws.params_for(&lengths);
        // Where nearly everything is deleted wgsim does not end, and there is nothing to compare.
        if try_ours(&fasta, &params, Mates::Neither).is_err() {
            stuck += 1;
            assert!(stuck < 10, "stuck again: {params:?}");
            continue;
        }
        bytes += compare(&fasta, &params, &scratch, &format!("set {sets}"));
        sets += 1;
    }
    assert!(bytes > 1_000_000, "only {bytes} bytes were compared");
    println!("50 sets, {bytes} bytes of FASTQ compared; {stuck} others had no place for a pair");
}

#[test]
fn on_lambda() {
    if !have_wgsim() {
        return;
    }
    let fasta = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../genomes/lambda.fa"))
        .expect("the genome that comes with the app");
    let scratch = Scratch::new("lambda");
    let plain = Params {
        pairs: 20_000,
        seed: 42,
        ..Params::default()
    };
    let heavy = Params {
        mutation: 0.1,
        indel: 0.9,
        extend: 0.7,
        error: 0.0,
        ..plain.clone()
    };
    let long = Params {
        length1: 3000,
        length2: 17,
        distance: 9000,
        ..plain.clone()
    };
    for params in [plain, heavy, long] {
        compare(&fasta, &params, &scratch, "lambda");
    }
}

#[test]
fn on_a_whole_bacterium() {
    const GENOME: &str = "/usr/share/doc/bowtie/examples/genomes/NC_008253.fna.gz";
    if !have_wgsim() || !need(BOWTIE_EXAMPLES, GENOME, Path::new(GENOME).exists()) {
        return;
    }
    let mut fasta = Vec::new();
    let mut gzip = Command::new("gzip")
        .args(["-dc", GENOME])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("gzip");
    gzip.stdout
        .take()
        .expect("piped")
        .read_to_end(&mut fasta)
        .expect("the genome");
    assert!(gzip.wait().expect("gzip").success());
    let params = Params {
        pairs: 100_000,
        seed: 42,
        ..Params::default()
    };
    let bytes = compare(&fasta, &params, &Scratch::new("ecoli"), "E. coli");
    assert!(bytes > 30_000_000, "only {bytes} bytes were compared");
}

/// Reads with too many N are drawn again up to a limit, then left out, and the random numbers go on
/// into the next sequence.
#[test]
fn where_nearly_all_is_n() {
    if !have_wgsim() {
        return;
    }
    let scratch = Scratch::new("n");
    let mut draws = Draws(7);
    for (k, islands) in [0, 1, 2, 5].into_iter().enumerate() {
        let mut fasta = b">mostly\n".to_vec();
        let mut bases = vec![b'N'; 9000];
        for island in 0..islands {
            for base in &mut bases[1000 + island * 1500..][..90] {
                *base = b"ACGT"[draws.below(4) as usize];
            }
        }
        fasta.extend_from_slice(&bases);
        fasta.extend_from_slice(b"\n>plain\n");
        fasta.extend((0..3000).map(|_| b"ACGT"[draws.below(4) as usize]));
        fasta.push(b'\n');
        let params = Params {
            pairs: 60,
            seed: 5 + k as u32,
            length1: 40,
            length2: 30,
            distance: 80,
            deviation: 3,
            ..Params::default()
        };
        compare(&fasta, &params, &scratch, &format!("{islands} islands"));
    }
}

/// A read whose end an insertion goes over begins the count of those with too many N anew.
#[test]
fn where_reads_with_n_alternate_with_failed_ones() {
    if !have_wgsim() {
        return;
    }
    let scratch = Scratch::new("failed");
    let mut draws = Draws(11);
    let mut base = || b"ACGT"[draws.below(4) as usize];
    let mut fasta = b">mostly\n".to_vec();
    fasta.extend((0..600).map(|i| {
        if (290..310).contains(&i) {
            base()
        } else {
            b'N'
        }
    }));
    fasta.extend_from_slice(b"\n>plain\n");
    fasta.extend((0..3000).map(|_| base()));
    fasta.push(b'\n');
    for seed in 1..=3 {
        let params = Params {
            pairs: 24,
            seed,
            length1: 123,
            length2: 113,
            distance: 188,
            deviation: 35,
            mutation: 0.05,
            indel: 1.0,
            extend: 0.5,
            ..Params::default()
        };
        compare(&fasta, &params, &scratch, &format!("seed {seed}"));
    }
}

/// The number of a sequence's pairs where halves decide: seen in the index of the last record.
#[test]
fn shares_round_as_the_x87_does() {
    if !have_wgsim() {
        return;
    }
    let scratch = Scratch::new("shares");
    let mut draws = Draws(seed());
    let mut halves = 0;
    for _ in 0..60 {
        let lengths: Vec<u64> = (0..2 + draws.below(5))
            .map(|_| 3 + draws.below(60))
            .collect();
        let total: u64 = lengths.iter().sum();
        // A number of pairs that puts the first sequence on a half, if there is one.
        let half = (1..500u64).find(|n| 2 * n * lengths[0] % (2 * total) == total);
        halves += u32::from(half.is_some());
        let params = Params {
            pairs: half.unwrap_or(1 + draws.below(500)) as u32,
            seed: 3,
            length1: 1,
            length2: 1,
            distance: 2,
            deviation: 0,
            mutation: 0.0,
            ..Params::default()
        };
        let fasta: String = lengths
            .iter()
            .enumerate()
            .map(|(k, length)| {
                format!(
                    ">s{k}\n{}\n",
                    "ACGTTGCATC".repeat(7).split_at(*length as usize).0
                )
            })
            .collect();
        let theirs = wgsim(&scratch.write("r.fa", fasta.as_bytes()), &params, &scratch);
        let text = String::from_utf8(theirs.first).expect("ASCII");
        for (k, length) in lengths.iter().enumerate() {
            let records = text
                .lines()
                .filter(|line| line.starts_with(&format!("@s{k}_")))
                .count();
            let ours = share(*length, total, params.pairs);
            assert_eq!(
                ours, records as u64,
                "sequence {k} of {lengths:?}, {} pairs",
                params.pairs
            );
        }
    }
    assert!(halves > 10, "only {halves} cases were on a half");
}
