//! Genomes that are too big for the repository.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use strand_builder::apt;

use crate::peers::about_documentation;
use crate::session::Session;

/// E. coli 536 in Debian's `bowtie-examples`.
const ECOLI: &str = "/usr/share/doc/bowtie/examples/genomes/NC_008253.fna.gz";

/// Adds a genome to those of `examples/reads`, decompressed and otherwise as Debian has it.
pub(crate) fn fetch(session: &Session, name: &str) -> Result<()> {
    if name != "ecoli" {
        bail!("no genome `{name}`; there is: ecoli");
    }
    let folder = session.root.join("examples/reads/genomes");
    let genome = folder.join("ecoli.fa");
    if genome.exists() {
        session.note(&format!("{} is there", genome.display()));
        return Ok(());
    }
    if !Path::new(ECOLI).exists() {
        session.headline("Installing", "bowtie-examples");
        apt::install(&["bowtie-examples"], &|line| session.note(line))
            .context("the genome of E. coli is in Debian's bowtie-examples")?;
    }
    if !Path::new(ECOLI).exists() {
        bail!(
            "bowtie-examples was installed, but {ECOLI} is not there{}",
            about_documentation(ECOLI)
        );
    }
    fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    let partial = folder.join(".ecoli.partial");
    let out = File::create(&partial).with_context(|| format!("{}", partial.display()))?;
    let mut gzip = Command::new("gzip");
    gzip.args(["-dc", ECOLI]).stdout(out);
    session.run("Unpacking", &format!("{}", genome.display()), &mut gzip)?;
    fs::rename(&partial, &genome).with_context(|| format!("{}", genome.display()))
}
