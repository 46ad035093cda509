//! Where everything is: the server, the guests, the peers, and the place for results.

use std::env;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::answer::{self, Malformed};

/// What every measurement needs.
pub(crate) struct Setup {
    /// The repository's folder.
    pub(crate) root: PathBuf,
    /// The release binary of the server.
    pub(crate) strand: PathBuf,
    guests: PathBuf,
    results: PathBuf,
    /// Where peers are installed; outlives any target directory, for they take long to build.
    pub(crate) cache: PathBuf,
}

impl Setup {
    /// Looks around. `cargo xtask bench` says where the server and the guests are.
    ///
    /// # Errors
    /// When the server or the guests are not built; with the command that builds them.
    pub(crate) fn find() -> Result<Self> {
        // Set by cargo at run time, so that a shared target directory may serve several clones.
        let own = env::var_os("CARGO_MANIFEST_DIR")
            .context("this is run by cargo: `cargo xtask bench` in the repository")?;
        let root = Path::new(&own)
            .parent()
            .context("bench is not in a repository")?
            .to_path_buf();
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let or_default = |variable, default: &str| {
            env::var_os(variable).map_or_else(|| target.join(default), PathBuf::from)
        };
        let setup = Self {
            strand: or_default("STRAND_BIN", "release/strand"),
            guests: or_default("STRAND_GUESTS", "guests"),
            results: target.join("bench"),
            cache: cache_folder()?,
            root,
        };
        if !setup.strand.is_file() {
            bail!(
                "the server is not at {}; build it: cargo build --release -p strand (`cargo xtask bench` does)",
                setup.strand.display()
            );
        }
        Ok(setup)
    }

    /// A guest's file.
    ///
    /// # Errors
    /// When it is not built; with the command that builds it.
    pub(crate) fn guest(&self, name: &str) -> Result<PathBuf> {
        let file = self.guests.join(format!("{name}.wasm"));
        if !file.is_file() {
            bail!(
                "the guest is not at {}; build it: cargo xtask guests",
                file.display()
            );
        }
        Ok(file)
    }

    /// What to say of those of some guests that are not built, a line each.
    pub(crate) fn missing_guests<'a>(
        &self,
        names: impl IntoIterator<Item = &'a &'a str>,
    ) -> Vec<String> {
        let mut missing: Vec<String> = names
            .into_iter()
            .filter_map(|name| self.guest(name).err())
            .map(|error| error.to_string())
            .collect();
        missing.sort();
        missing.dedup();
        missing
    }

    /// Writes results as `NAME.json`; where that is.
    pub(crate) fn save(&self, name: &str, results: &impl Serialize) -> Result<PathBuf> {
        fs::create_dir_all(&self.results).with_context(|| format!("{}", self.results.display()))?;
        let file = self.results.join(format!("{name}.json"));
        let mut text = serde_json::to_vec_pretty(results)?;
        text.push(b'\n');
        fs::write(&file, text).with_context(|| format!("{}", file.display()))?;
        Ok(file)
    }
}

fn cache_folder() -> Result<PathBuf> {
    let caches = match env::var_os("XDG_CACHE_HOME").filter(|it| Path::new(it).is_absolute()) {
        Some(caches) => PathBuf::from(caches),
        None => {
            let home = env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?;
            Path::new(&home).join(".cache")
        }
    };
    Ok(caches.join("strand-bench"))
}

/// The program of this name on the PATH.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// An address that nobody listens on. Somebody else may take it before the server that it is for
/// does; then that server says so and the measurement ends, which is rare enough.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}

/// Status and body of a GET on a connection of its own.
///
/// # Errors
/// When nobody answers within `patience`, or not in HTTP.
pub(crate) fn get(
    address: SocketAddr,
    path: &str,
    token: Option<&str>,
    patience: Duration,
) -> Result<(u16, Vec<u8>)> {
    get_of(address, &address.to_string(), path, token, patience)
}

/// The same of a host that its address does not tell.
pub(crate) fn get_of(
    address: SocketAddr,
    host: &str,
    path: &str,
    token: Option<&str>,
    patience: Duration,
) -> Result<(u16, Vec<u8>)> {
    use std::io::Read;
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    let authorization = token.map_or_else(String::new, |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}Connection: close\r\n\r\n"
    )?;
    let mut bytes = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let count = stream.read(&mut piece)?;
        bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
        let mut body = Vec::new();
        match answer::parse(&bytes, |piece| body.extend_from_slice(piece)) {
            Ok(Some(answer)) => return Ok((answer.status, body)),
            Ok(None) if count == 0 => bail!("the connection ended before the answer did"),
            Ok(None) => {}
            Err(Malformed(what)) => bail!("the answer is broken: {what}"),
        }
    }
}
