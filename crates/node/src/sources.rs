//! What is known of functions' files since an earlier start read them, so that a start need
//! not read them again.
//!
//! A file is known by its identity ([`FileId`]), whatever its name. Only what was compiled
//! and linked without fault gets to be known, and only to the version that did so. All of it
//! is in one file of the state folder, behind a hash under the installation's key. If that
//! file is damaged, or somebody else's, a start is slower and nothing else.

use std::collections::{HashMap, HashSet};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use strand_compiler::Digest;
use strand_directive::{ComponentFacts, World};
use strand_engine::ArtifactKey;

use crate::files::{FileError, FileId, read_file};

/// What the hash is for. Whoever changes what is behind it changes this, too.
const PURPOSE: &str = "strand: what is known of sources, 1";
/// Bytes of the hash.
const HASH: usize = 32;
/// Most files that are known, some hundred bytes each. Those that were needed last stay.
const MOST: usize = 65_536;
/// Bytes of all that is known, at most.
const MAX_BYTES: u64 = 64 << 20;

/// What a start needs to know of a function's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) digest: Digest,
    /// The world that it was linked as.
    pub(crate) world: World,
    pub(crate) facts: ComponentFacts,
}

/// The files that are known, at one start.
pub(crate) struct Sources {
    path: PathBuf,
    key: ArtifactKey,
    /// What compiled and linked them.
    engine: String,
    before: Stored,
    /// Where a file stands in what was known before.
    places: HashMap<FileId, usize>,
    now: Mutex<Now>,
}

/// What this start has added.
#[derive(Default)]
struct Now {
    needed: HashSet<FileId>,
    learnt: Vec<(FileId, Known)>,
}

/// What is stored. Names stand in it once, because most sources have the same ones.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    engine: String,
    /// Of worlds and of imports.
    names: Vec<String>,
    /// Those first that were needed last.
    files: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    id: FileId,
    digest: [u8; 32],
    world: u32,
    worlds: Vec<u32>,
    imports: Vec<u32>,
}

impl Sources {
    /// Reads what is known to this engine.
    pub(crate) fn open(path: PathBuf, key: ArtifactKey, engine: &str) -> Self {
        let before = read(&path, &key, engine);
        let ids = before.files.iter().map(|entry| entry.id);
        Self {
            places: ids.zip(0..).collect(),
            before,
            path,
            key,
            engine: engine.to_owned(),
            now: Mutex::default(),
        }
    }

    /// What is known of a file.
    pub(crate) fn find(&self, path: &Path) -> Option<Known> {
        // Most first starts end here, without a look at the file.
        if self.places.is_empty() {
            return None;
        }
        let id = FileId::look(path)?;
        let entry = self.before.files.get(*self.places.get(&id)?)?;
        let known = self.before.known_of(entry)?;
        self.now().needed.insert(id);
        Some(known)
    }

    /// Takes in what was found out about a file.
    pub(crate) fn learn(&self, id: FileId, known: Known) {
        self.now().learnt.push((id, known));
    }

    /// Keeps what was learnt for the next start.
    pub(crate) fn save(&self) {
        let now = self.now();
        if now.learnt.is_empty() {
            return;
        }
        // Another node may have added to it since.
        let before = read(&self.path, &self.key, &self.engine);
        let stored = Stored::of(&self.engine, &now, &before);
        let written = stored
            .seal(&self.key)
            .and_then(|bytes| write(&self.path, &bytes));
        if let Err(error) = written {
            tracing::warn!(path = %self.path.display(), %error, "what was learnt of functions' files was not kept; the next start reads them again");
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stored {
    /// What was learnt, what was needed, and what else was known, as far as there is room.
    fn of(engine: &str, now: &Now, before: &Self) -> Self {
        let mut stored = Self {
            engine: engine.to_owned(),
            ..Self::default()
        };
        let learnt = now.learnt.iter().cloned();
        let known = |needed: bool| {
            let entries = before.files.iter();
            entries
                .filter(move |entry| now.needed.contains(&entry.id) == needed)
                .filter_map(|entry| Some((entry.id, before.known_of(entry)?)))
        };
        let mut there = HashSet::new();
        let mut places = HashMap::new();
        for (id, known) in learnt.chain(known(true)).chain(known(false)) {
            if stored.files.len() == MOST {
                break;
            }
            if there.insert(id) {
                let mut place = |name: &str| stored.place(&mut places, name);
                let worlds = known.facts.worlds.iter();
                let entry = Entry {
                    id,
                    digest: known.digest.into(),
                    world: place(known.world.as_str()),
                    worlds: worlds.map(|world| place(world.as_str())).collect(),
                    imports: known.facts.imports.iter().map(|name| place(name)).collect(),
                };
                stored.files.push(entry);
            }
        }
        stored
    }

    /// Where a name stands, which is added if it is not there.
    fn place(&mut self, places: &mut HashMap<String, u32>, name: &str) -> u32 {
        if let Some(place) = places.get(name) {
            return *place;
        }
        // The file has not as many bytes as would be one too many.
        let place = self.names.len() as u32;
        self.names.push(name.to_owned());
        places.insert(name.to_owned(), place);
        place
    }

    fn known_of(&self, entry: &Entry) -> Option<Known> {
        let name = |place: &u32| self.names.get(*place as usize).map(String::as_str);
        let world = |place: &u32| World::parse(name(place)?);
        let worlds = entry.worlds.iter();
        let imports = entry.imports.iter();
        Some(Known {
            digest: entry.digest.into(),
            world: world(&entry.world)?,
            facts: ComponentFacts {
                worlds: worlds.map(world).collect::<Option<_>>()?,
                imports: imports
                    .map(|place| name(place).map(str::to_owned))
                    .collect::<Option<_>>()?,
            },
        })
    }

    fn seal(&self, key: &ArtifactKey) -> io::Result<Vec<u8>> {
        let body = postcard::to_allocvec(self).map_err(io::Error::other)?;
        let mut sealed = key.authenticate(PURPOSE, &body).as_bytes().to_vec();
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// `None` if it is nothing of ours.
    fn open(key: &ArtifactKey, sealed: &[u8]) -> Option<Self> {
        let (hash, body) = sealed.split_first_chunk::<HASH>()?;
        if key.authenticate(PURPOSE, body) != *hash {
            return None;
        }
        postcard::from_bytes(body).ok()
    }
}

/// What is known to this engine: nothing, if the file is not to be had or to be trusted.
fn read(path: &Path, key: &ArtifactKey, engine: &str) -> Stored {
    let sealed = match read_file(path, MAX_BYTES) {
        Ok(sealed) => sealed,
        Err(FileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Stored::default();
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "what is known of functions' files cannot be read; this start reads the files");
            return Stored::default();
        }
    };
    match Stored::open(key, &sealed) {
        Some(stored) if stored.engine == engine => stored,
        // Of another version.
        Some(_) => Stored::default(),
        None => {
            tracing::warn!(path = %path.display(), "what is known of functions' files is not to be trusted: another installation made it, or it was changed; this start reads the files");
            Stored::default()
        }
    }
}

/// Readers see all of it or what was there before.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension(format!("{:x}.draft", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&draft);
    }
    written
}

#[cfg(test)]
mod tests;
