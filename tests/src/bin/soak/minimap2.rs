//! Whether reads of windowed mode are as good as wgsim's for a program that is made for
//! real ones: where `minimap2` places reads of E. coli.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use strand_tests::{Server, ecoli, reads_app};

/// Pairs of reads.
const PAIRS: &str = "100000";
/// How far from where it was taken a read may be placed, in bases.
const NEAR: u64 = 20;
/// How far shares may differ, in percentage points.
const TOLERANCE: f64 = 0.5;

pub(crate) async fn run() {
    let genome = ecoli().expect("cargo xtask saw to it");
    let app = reads_app();
    let genome = app.write("genomes/ecoli.fa", genome);
    let server = Server::start(app.path(), &[]);
    let out = tempfile::tempdir().unwrap();

    let theirs = [1, 2].map(|mate| out.path().join(format!("wgsim{mate}.fq")));
    let mut wgsim = Command::new("wgsim");
    wgsim
        .args(["-N", PAIRS, "-S", "42"])
        .arg(&genome)
        .args(&theirs);
    finish(wgsim.stdout(Stdio::null()), "samtools");
    let ours = [1, 2].map(|mate| out.path().join(format!("windowed{mate}.fq")));
    for (mate, file) in (1..).zip(&ours) {
        let path = format!("/reads?reference=ecoli&n={PAIRS}&seed=42&mate={mate}&mode=windowed");
        let reply = server.get(&path).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(!reply.aborted);
        fs::write(file, reply.body).unwrap();
    }

    let theirs = Placed::of(&genome, &theirs);
    let ours = Placed::of(&genome, &ours);
    println!("wgsim:         {theirs}\nwindowed mode: {ours}");
    assert_eq!(theirs.reads, ours.reads);
    for (ours, theirs) in [
        (ours.mapped_share(), theirs.mapped_share()),
        (ours.right_share(), theirs.right_share()),
    ] {
        assert!(
            (ours - theirs).abs() <= TOLERANCE,
            "{ours} % and {theirs} %"
        );
    }
}

/// Runs a program to its end.
fn finish(command: &mut Command, package: &str) {
    match command.stderr(Stdio::null()).status() {
        Ok(done) => assert!(done.success(), "{command:?}: {done}"),
        Err(error) => panic!("{command:?}: {error}; run `apt-get install {package}`"),
    }
}

/// What became of some reads.
struct Placed {
    reads: u64,
    /// Those that have a place.
    mapped: u64,
    /// Those of them whose place is where they were taken.
    right: u64,
}

impl Placed {
    /// Has `minimap2` place pairs of reads.
    fn of(genome: &Path, reads: &[PathBuf; 2]) -> Self {
        let sam = reads[0].with_extension("sam");
        let mut minimap2 = Command::new("minimap2");
        minimap2.args(["-ax", "sr"]).arg(genome).args(reads);
        finish(minimap2.stdout(File::create(&sam).unwrap()), "minimap2");
        let mut placed = Self {
            reads: 0,
            mapped: 0,
            right: 0,
        };
        for line in BufReader::new(File::open(sam).unwrap()).lines() {
            placed.count(&line.unwrap());
        }
        placed
    }

    /// Counts a line of SAM.
    fn count(&mut self, line: &str) {
        // What is about the genome and the program.
        if line.starts_with('@') {
            return;
        }
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, flags, _, position, _, _, _, _, _, bases, ..] = fields[..] else {
            panic!("{line} is no line of SAM");
        };
        let flags: u16 = flags.parse().unwrap();
        // Other places of a read that has one.
        if flags & 0x900 != 0 {
            return;
        }
        self.reads += 1;
        if flags & 4 != 0 {
            return;
        }
        self.mapped += 1;
        // SEQUENCE_START_END_…_…_NUMBER
        let truth: Vec<&str> = name.rsplitn(6, '_').collect();
        let (start, end): (u64, u64) = (truth[4].parse().unwrap(), truth[3].parse().unwrap());
        let reverse = flags & 16 != 0;
        let expected = if reverse {
            (end + 1).saturating_sub(bases.len() as u64)
        } else {
            start
        };
        let position: u64 = position.parse().unwrap();
        self.right += u64::from(position.abs_diff(expected) <= NEAR);
    }

    fn mapped_share(&self) -> f64 {
        100.0 * self.mapped as f64 / self.reads as f64
    }

    fn right_share(&self) -> f64 {
        100.0 * self.right as f64 / self.mapped as f64
    }
}

impl std::fmt::Display for Placed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.2} % of {} reads are mapped, {:.2} % of those within {NEAR} bases of the truth",
            self.mapped_share(),
            self.reads,
            self.right_share()
        )
    }
}
