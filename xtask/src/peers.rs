//! Programs and data of others that tests compare with.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use strand_builder::apt;

use crate::session::Session;

/// A peer and how to get it.
pub(crate) struct Peer {
    /// Its name for `--allow-missing` and `STRAND_ALLOW_MISSING`.
    pub(crate) name: &'static str,
    /// Debian's packages.
    packages: &'static [&'static str],
    /// What is there when it is installed: programs on the PATH, or absolute paths, each in one of
    /// several places.
    parts: &'static [&'static [&'static str]],
    /// The files of end-to-end tests that need it.
    tests: &'static [&'static str],
}

/// The simulator of reads that ours is compared with.
pub(crate) const WGSIM: Peer = Peer {
    name: "wgsim",
    packages: &["samtools"],
    parts: &[&["wgsim"], &["samtools"]],
    tests: &["reads", "gzip"],
};

/// The lambda phage's genome.
pub(crate) const BOWTIE2_EXAMPLES: Peer = Peer {
    name: "bowtie2-examples",
    packages: &["bowtie2-examples"],
    parts: &[&[
        "/usr/share/doc/bowtie2/examples/reference/lambda_virus.fa.gz",
        "/usr/share/doc/bowtie2/examples/reference/lambda_virus.fa",
    ]],
    tests: &["reads"],
};

/// The genome of E. coli.
pub(crate) const BOWTIE_EXAMPLES: Peer = Peer {
    name: "bowtie-examples",
    packages: &["bowtie-examples"],
    parts: &[&["/usr/share/doc/bowtie/examples/genomes/NC_008253.fna.gz"]],
    tests: &["reads"],
};

/// The browser for the example's page.
pub(crate) const CHROMIUM: Peer = Peer {
    name: "chromium",
    packages: &["chromium", "chromium-driver"],
    parts: &[&["chromium"], &["chromedriver"]],
    tests: &["page"],
};

/// The C compiler for guests in C, with WASI's C library.
pub(crate) const CLANG: Peer = Peer {
    name: "clang",
    packages: &["clang", "lld", "wasi-libc"],
    parts: &[&["clang"], &["wasm-ld"], &["/usr/lib/wasm32-wasi/libc.a"]],
    // Building the guests sees to it.
    tests: &[],
};

/// The aligner that tells how real reads look.
pub(crate) const MINIMAP2: Peer = Peer {
    name: "minimap2",
    packages: &["minimap2"],
    parts: &[&["minimap2"]],
    // A soak does.
    tests: &[],
};

/// Every peer of the tests.
pub(crate) static ALL: [Peer; 5] = [WGSIM, BOWTIE2_EXAMPLES, BOWTIE_EXAMPLES, CHROMIUM, CLANG];

/// The peer of this name, or with a package of this name.
pub(crate) fn named(name: &str) -> Result<&'static str> {
    let known = |peer: &&Peer| peer.name == name || peer.packages.contains(&name);
    match ALL.iter().find(known) {
        Some(peer) => Ok(peer.name),
        None => Err(anyhow!(
            "no peer `{name}`; there are: {}",
            ALL.each_ref().map(|peer| peer.name).join(", ")
        )),
    }
}

/// What these files of tests need, or all of them if none is named.
pub(crate) fn of_tests(names: &[String]) -> Vec<&'static Peer> {
    let is_named = |test: &&str| names.is_empty() || names.iter().any(|name| name == test);
    let is_needed = |peer: &&Peer| peer.tests.iter().any(is_named);
    ALL.iter().filter(is_needed).collect()
}

/// Sees to it that `peers` are installed, and tells which of them are not because they are
/// `allowed` to be missing.
pub(crate) fn ensure(
    session: &Session,
    peers: &[&Peer],
    allowed: &[&'static str],
) -> Result<Vec<&'static str>> {
    let mut without = Vec::new();
    let mut wanted = Vec::new();
    for peer in peers.iter().copied().filter(|peer| !is_there(peer)) {
        if allowed.contains(&peer.name) {
            session.headline("Skipping", &format!("what needs {}", peer.name));
            session.note("it is not installed, and --allow-missing says to go on without it");
            without.push(peer.name);
        } else {
            wanted.push(peer);
        }
    }
    if wanted.is_empty() {
        return Ok(without);
    }
    let names: Vec<&str> = wanted.iter().map(|peer| peer.name).collect();
    let packages: Vec<&str> = wanted
        .iter()
        .flat_map(|peer| peer.packages)
        .copied()
        .collect();
    session.headline("Installing", &names.join(", "));
    apt::install(&packages, &|line| session.note(line)).with_context(|| {
        format!(
            "the tests need {} (or leave them out: {})",
            names.join(", "),
            names
                .iter()
                .map(|name| format!("--allow-missing {name}"))
                .collect::<Vec<_>>()
                .join(" ")
        )
    })?;
    if let Some(peer) = wanted.iter().find(|peer| !is_there(peer)) {
        let missing = missing_part(peer).unwrap_or(peer.name);
        bail!(
            "{} was installed, but {missing} is not there{}",
            peer.packages.join(" "),
            about_documentation(missing)
        );
    }
    Ok(without)
}

/// The first of the peer's parts that is not there.
fn missing_part(peer: &Peer) -> Option<&'static str> {
    peer.parts
        .iter()
        .find(|places| !places.iter().any(|place| exists(place)))
        .and_then(|places| places.first().copied())
}

fn is_there(peer: &Peer) -> bool {
    missing_part(peer).is_none()
}

/// Container images often leave documentation out, and that is where Debian puts examples.
pub(crate) fn about_documentation(path: &str) -> &'static str {
    if path.starts_with("/usr/share/doc/") {
        ": this system's dpkg leaves documentation out; look for path-exclude in \
         /etc/dpkg/dpkg.cfg.d, remove it, and install the package again (--reinstall)"
    } else {
        ""
    }
}

fn exists(part: &str) -> bool {
    if part.starts_with('/') {
        return Path::new(part).exists();
    }
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(part).is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_there_when_all_its_parts_are_somewhere() {
        const SHELL: Peer = Peer {
            name: "shell",
            packages: &["dash"],
            parts: &[&["/no/such/file", "/bin/sh"], &["sh"]],
            tests: &[],
        };
        assert!(is_there(&SHELL));
        const HALF: Peer = Peer {
            name: "half",
            packages: &[],
            parts: &[&["sh"], &["no-such-program"]],
            tests: &[],
        };
        assert_eq!(missing_part(&HALF), Some("no-such-program"));
    }

    #[test]
    fn a_file_of_tests_needs_its_own_peers_alone() {
        let of = |names: &[&str]| -> Vec<&str> {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            of_tests(&names).iter().map(|peer| peer.name).collect()
        };
        assert_eq!(
            of(&["reads"]),
            ["wgsim", "bowtie2-examples", "bowtie-examples"]
        );
        assert_eq!(of(&["page", "cli"]), ["chromium"]);
        assert_eq!(of(&["cli"]), [""; 0]);
        assert_eq!(
            of(&[]),
            ["wgsim", "bowtie2-examples", "bowtie-examples", "chromium"]
        );
    }
}
