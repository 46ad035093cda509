//! What takes longer than CI has. Each is run before what it checks is called done.

use std::ffi::OsString;

use anyhow::{Context, Result, bail};

use crate::guests;
use crate::peers::{self, Peer};
use crate::session::Session;
use crate::tools;

/// The soaks by name.
pub(crate) const NAMES: &str = "reads-memory, reads-s3, reads-windowed, reads-minimap2, slow-clients, store-model, fuzz, mutants";

/// The parser's fuzz target, in a folder of its own workspace.
const FUZZED: &str = "crates/directive";
/// How long it is fuzzed unless the arguments say otherwise.
const FUZZ_SECONDS: &str = "-max_total_time=600";

/// What is mutated: validation, and what holds the limits.
const MUTATED: [(&str, &[&str]); 2] = [
    ("strand-directive", &["crates/directive/src/**/*.rs"]),
    (
        "strand-engine",
        &[
            "crates/engine/src/admission.rs",
            "crates/engine/src/budget.rs",
            "crates/engine/src/limits.rs",
            "crates/engine/src/meter.rs",
            "crates/engine/src/outcome.rs",
            "crates/engine/src/stdio.rs",
        ],
    ),
];

/// Runs one of them; `arguments` go to the tool that does the work.
pub(crate) fn run(session: &Session, name: &str, arguments: &[OsString]) -> Result<()> {
    match name {
        "reads-memory" => beside_peers(session, name, &[&peers::WGSIM]),
        "reads-s3" | "reads-windowed" | "slow-clients" => beside_peers(session, name, &[]),
        "reads-minimap2" => {
            let peers = [&peers::WGSIM, &peers::BOWTIE_EXAMPLES, &peers::MINIMAP2];
            beside_peers(session, name, &peers)
        }
        "store-model" => store_model(session, arguments),
        "fuzz" => fuzz(session, arguments),
        "mutants" => mutants(session, arguments),
        other => bail!("no soak `{other}`; there are: {NAMES}"),
    }
}

fn beside_peers(session: &Session, name: &str, peers: &[&Peer]) -> Result<()> {
    session.build_strand()?;
    guests::build_rust(session)?;
    peers::ensure(session, peers, &[])?;
    session.run("Soaking", name, session.beside_tests("soak").arg(name))
}

/// The store's randomised test, for ten times as long as in CI.
fn store_model(session: &Session, arguments: &[OsString]) -> Result<()> {
    let mut cargo = session.cargo();
    cargo
        .env("STRAND_MODEL_STEPS", "1000000")
        .args(["test", "--release", "--package", "strand-store", "model"])
        .args(arguments);
    session.run("Soaking", "the store's model", &mut cargo)
}

fn fuzz(session: &Session, arguments: &[OsString]) -> Result<()> {
    tools::ensure(session, "fuzz", None)?;
    let mut cargo = session.cargo();
    cargo
        .current_dir(session.root.join(FUZZED))
        // What the sanitisers need is not stable; this compiler has it all the same.
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["fuzz", "run", "parse", "fuzz/corpus/parse", "fuzz/seeds"])
        .args(["--", "-dict=fuzz/parse.dict", "-print_final_stats=1"])
        .arg(FUZZ_SECONDS)
        .args(arguments);
    std::fs::create_dir_all(session.root.join(FUZZED).join("fuzz/corpus/parse"))?;
    session.run("Fuzzing", "the Directive's parser", &mut cargo)
}

fn mutants(session: &Session, arguments: &[OsString]) -> Result<()> {
    tools::ensure(session, "mutants", None)?;
    // Apart, so that a mutant's build does not end up in anybody's tests.
    let target = session.target.join("mutants");
    let mut survived = Vec::new();
    for (package, files) in MUTATED {
        let output = target.join(package);
        std::fs::create_dir_all(&output).with_context(|| format!("{}", output.display()))?;
        let mut cargo = session.cargo();
        cargo
            .env("CARGO_TARGET_DIR", &target)
            // Nobody debugs a mutant, and each is linked anew.
            .env("CARGO_PROFILE_DEV_DEBUG", "none")
            .args(["mutants", "--package", package, "--output"])
            .arg(&output);
        for file in files {
            cargo.args(["--file", file]);
        }
        cargo.args(arguments);
        // Survivors of one are no reason not to look at the other.
        if let Err(error) = session.run("Mutating", package, &mut cargo) {
            survived.push(format!("{error:#}"));
        }
    }
    if survived.is_empty() {
        return Ok(());
    }
    bail!("{}", survived.join("\n"))
}
