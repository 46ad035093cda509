//! What the tests share: our simulation from a FASTA file's bytes, the real programs, and parameter
//! sets drawn from a seed.

#![allow(dead_code, unreachable_pub)] // each test binary uses its part

pub mod draws;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use reads_simulator::{
    Builder, Diploid, Loader, Mates, Pairs, Params, Rng, Rows, Sequence, Stuck, Template, fai,
    mutate, share,
};

/// Debian's packages with real programs and data, by the names that `cargo xtask test
/// --allow-missing` knows.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub name: &'static str,
    pub package: &'static str,
}

/// The simulator, and samtools beside it.
pub const WGSIM: Peer = Peer {
    name: "wgsim",
    package: "samtools",
};

/// The genome of E. coli.
pub const BOWTIE_EXAMPLES: Peer = Peer {
    name: "bowtie-examples",
    package: "bowtie-examples",
};

/// `found`, what a peer has. Without it the test fails with what installs it, unless it may be
/// missing: then it is to be skipped, and that is said.
pub fn need(peer: Peer, what: &str, found: bool) -> bool {
    let Peer { name, package } = peer;
    if !found {
        let allowed = std::env::var("STRAND_ALLOW_MISSING").unwrap_or_default();
        let allowed = allowed.split([',', ' ']).any(|allowed| allowed == name);
        assert!(
            allowed,
            "{what} is missing; run `apt-get install {package}`"
        );
        println!("skipped: {what} is missing, and STRAND_ALLOW_MISSING allows it");
    }
    found
}

/// Whether a program is there, as [`need`] has it.
pub fn have(peer: Peer, program: &str) -> bool {
    let found = Command::new(program)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    need(peer, program, found)
}

pub fn have_wgsim() -> bool {
    have(WGSIM, "wgsim")
}

/// A directory of this test's own, removed with the value unless the test failed.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("reads-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a scratch directory");
        Self(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, bytes).expect("writing into the scratch directory");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the files are kept in {}", self.0.display());
        } else {
            std::fs::remove_dir_all(&self.0).ok();
        }
    }
}

/// Both FASTQ files and the table of variants.
#[derive(PartialEq, Eq)]
pub struct Simulated {
    pub first: Vec<u8>,
    pub second: Vec<u8>,
    pub variants: Vec<u8>,
}

/// Options of wgsim for the parameters.
pub fn options(params: &Params) -> Vec<String> {
    let mut options = vec![
        format!("-N{}", params.pairs),
        format!("-e{}", params.error),
        format!("-S{}", params.seed),
        format!("-1{}", params.length1),
        format!("-2{}", params.length2),
        format!("-d{}", params.distance),
        format!("-s{}", params.deviation),
        format!("-r{}", params.mutation),
        format!("-R{}", params.indel),
        format!("-X{}", params.extend),
        format!("-A{}", params.ambiguous),
    ];
    if params.haploid {
        options.push("-h".into());
    }
    options
}

/// What the real wgsim writes.
pub fn wgsim(fasta: &Path, params: &Params, scratch: &Scratch) -> Simulated {
    let (one, two) = (scratch.file("1.fq"), scratch.file("2.fq"));
    let mut command = Command::new("wgsim");
    command.args(options(params)).arg(fasta).arg(&one).arg(&two);
    let output = within(&mut command, Duration::from_secs(120));
    assert!(output.status.success(), "{command:?}: {output:?}");
    let read = |path: &Path| std::fs::read(path).expect("what wgsim wrote");
    Simulated {
        first: read(&one),
        second: read(&two),
        variants: output.stdout,
    }
}

/// Runs a command that must end in time.
fn within(command: &mut Command, limit: Duration) -> Output {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdout = child.stdout.take().expect("piped");
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut stdout, &mut bytes).map(|_| bytes)
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("waiting for the child") {
            break status;
        }
        if start.elapsed() > limit {
            child.kill().ok();
            panic!("{command:?} did not end within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let stdout = reader
        .join()
        .expect("the reader")
        .expect("reading its output");
    Output {
        status,
        stdout,
        stderr: Vec::new(),
    }
}

/// The index of a FASTA file, by our own builder.
pub fn entries(fasta: &[u8]) -> Vec<fai::Entry> {
    let mut builder = Builder::new();
    fasta
        .chunks(997)
        .for_each(|bytes| builder.push(bytes).expect("a plain FASTA file"));
    let entries = builder.finish().expect("a plain FASTA file");
    fai::parse(fai::format(&entries).as_bytes()).expect("our own index")
}

/// What we write, in pieces of odd sizes so that every way of cutting is met.
///
/// # Errors
/// When no place for a pair is found: there wgsim does not end.
pub fn try_ours(fasta: &[u8], params: &Params, mates: Mates) -> Result<Simulated, Stuck> {
    let entries = entries(fasta);
    let total = entries.iter().map(|entry| entry.length).sum();
    let mut rng = Rng::new(params.seed);
    let mut out = Simulated {
        first: Vec::new(),
        second: Vec::new(),
        variants: Vec::new(),
    };
    let (mut sequence, mut diploid) = (Sequence::default(), Diploid::default());
    for entry in &entries {
        if entry.length < params.shortest_sequence() {
            continue;
        }
        let mut loader = Loader::new(entry, sequence);
        if let Some(last) = entry.last_byte() {
            let bytes = &fasta[entry.offset as usize..=last as usize];
            bytes
                .chunks(1013)
                .for_each(|bytes| loader.push(bytes).expect("as indexed"));
        }
        sequence = loader.finish().expect("as indexed");
        diploid = mutate(&sequence, params, &mut rng, diploid);
        let mut rows = Rows::new(&entry.name, &sequence, &diploid);
        let mut more = true;
        while more {
            let limit = out.variants.len() + 777;
            more = rows.fill(&mut out.variants, limit);
        }
        let pairs = share(entry.length, total, params.pairs);
        let mut pairs = Pairs::new(
            Template::whole(&entry.name, &sequence, &diploid),
            0..pairs,
            params,
            mates,
            &mut rng,
        );
        let mut more = true;
        while more {
            let limit = out.first.len() + 3333;
            more = pairs.fill(&mut out.first, limit)?;
        }
    }
    if mates == Mates::Both {
        (out.first, out.second) = divide(&out.first);
    }
    Ok(out)
}

/// What we write, where there is a place for every pair.
pub fn ours(fasta: &[u8], params: &Params, mates: Mates) -> Simulated {
    try_ours(fasta, params, mates).expect("places for the pairs")
}

/// Divides interleaved records into the two files.
fn divide(both: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (k, line) in both.split_inclusive(|byte| *byte == b'\n').enumerate() {
        (if k / 4 % 2 == 0 {
            &mut first
        } else {
            &mut second
        })
        .extend_from_slice(line);
    }
    (first, second)
}

/// Fails at the first line that differs.
pub fn assert_same(ours: &[u8], theirs: &[u8], what: &str) {
    if ours == theirs {
        return;
    }
    let lines = |bytes: &[u8]| -> Vec<String> {
        let lines = bytes.split(|byte| *byte == b'\n');
        lines
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect()
    };
    let (ours, theirs) = (lines(ours), lines(theirs));
    let line = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
    panic!(
        "{what}: line {} of {} (wgsim: {})\nours:  {:?}\nwgsim: {:?}",
        line + 1,
        ours.len(),
        theirs.len(),
        ours.get(line),
        theirs.get(line)
    );
}
