//! The index equals that of `samtools faidx`, and what it refuses is refused with the line.

mod support;

use std::process::Command;

use reads_simulator::{Builder, FastaError, fai};
use support::Scratch;
use support::draws::{Draws, seed};

fn index(fasta: &[u8], piece: usize) -> Result<String, FastaError> {
    let mut builder = Builder::new();
    for bytes in fasta.chunks(piece) {
        builder.push(bytes)?;
    }
    builder.finish().map(|entries| fai::format(&entries))
}

/// The index that samtools makes; `None` if it refuses.
fn samtools(fasta: &[u8], scratch: &Scratch) -> Option<String> {
    let path = scratch.write("reference.fa", fasta);
    let index = scratch.file("reference.fa.fai");
    std::fs::remove_file(&index).ok();
    let output = Command::new("samtools")
        .arg("faidx")
        .arg(path)
        .output()
        .expect("samtools");
    let text = std::fs::read_to_string(index).ok();
    text.filter(|_| output.status.success())
}

fn have_samtools() -> bool {
    support::have(support::WGSIM, "samtools")
}

#[test]
fn equals_samtools_on_drawn_files() {
    if !have_samtools() {
        return;
    }
    let scratch = Scratch::new("faidx");
    let mut draws = Draws(seed());
    for k in 0..40 {
        let fasta = draws.fasta();
        let ours = index(&fasta, 1 + draws.below(5000) as usize).expect("a plain file");
        assert_eq!(Some(&ours), samtools(&fasta, &scratch).as_ref(), "file {k}");
        assert_eq!(
            fai::format(&fai::parse(ours.as_bytes()).expect("our own")),
            ours
        );
    }
}

#[test]
fn equals_samtools_at_the_edges() {
    if !have_samtools() {
        return;
    }
    let scratch = Scratch::new("edges");
    let edges: &[&[u8]] = &[
        b">a\nACGT\n",
        b">a\nACGT",
        b">a\nACGT\r\nAC",
        b">a\nACGT\nAC\n\n\n",
        b">a\nACGT\nAC\n\n>b\nA\n",
        b">a\tcomment\nACGT\n>b\n>c\nAC\n",
        b">a\nACGT\nACGT\n>b x\nACG\nACG\nA",
        b">a\nA\nA\nA\n",
    ];
    for fasta in edges {
        for piece in [1, 3, 100] {
            let ours = index(fasta, piece).expect("a plain file");
            assert_eq!(
                Some(ours),
                samtools(fasta, &scratch),
                "{}",
                fasta.escape_ascii()
            );
        }
    }
}

#[test]
fn refuses_with_the_line() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "the FASTA file has no sequence"),
        (b">a\n>b\n", "the FASTA file has no sequence"),
        (b"\n\n", "the FASTA file has no sequence"),
        (b"ACGT\n", "line 1 of the FASTA file: it should be a header"),
        (
            b">\nACGT\n",
            "line 1 of the FASTA file: the header has no name",
        ),
        (
            b"> a\nACGT\n",
            "line 1 of the FASTA file: the header has no name",
        ),
        (
            b">\xff\nACGT\n",
            "line 1 of the FASTA file: the header has no name (in UTF-8)",
        ),
        (
            b">a\nAC\n>a\nAC\n",
            "line 3 of the FASTA file: a second sequence with the name a",
        ),
        (
            b">a\nAC\nACGT\n",
            "line 3 of the FASTA file: all lines of a sequence but the last",
        ),
        (
            b">a\nACGT\nAC\nACGT\n",
            "line 4 of the FASTA file: all lines of a sequence",
        ),
        (
            b">a\nACGT\n\nACGT\n",
            "line 4 of the FASTA file: all lines of a sequence",
        ),
        (
            b">a\nACGT\r\nACGT\nACGT\r\n",
            "line 4 of the FASTA file: all lines of a sequence",
        ),
        (
            b">a\nAC GT\n",
            "line 2 of the FASTA file: \" \" cannot stand for a base",
        ),
        (
            b">a\nAC\rGT\n",
            "line 2 of the FASTA file: \"\\r\" cannot stand for a base",
        ),
        (
            b">a\nAC\x00GT\n",
            "line 2 of the FASTA file: \"\\x00\" cannot stand for a base",
        ),
        (
            b">a\nACGT\n+\nIIII\n",
            "line 3 of the FASTA file: \"+\" cannot stand for a base",
        ),
        (
            b"@a\nACGT\n+\nIIII\n",
            "line 1 of the FASTA file: \"@\" cannot stand for a base",
        ),
    ];
    for (fasta, expected) in cases {
        for piece in [1, 2, 100] {
            let error = index(fasta, piece).expect_err(expected).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
    let mut long = b">".to_vec();
    long.resize(70_000, b'a');
    let error = index(&long, 4096)
        .expect_err("a header without end")
        .to_string();
    assert!(error.contains("longer than 65536 bytes"), "{error}");
}
