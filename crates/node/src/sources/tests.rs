use std::fs;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;
use crate::files::read_identified;

const ENGINE: &str = "strand 1";

fn known(text: &str) -> Known {
    Known {
        digest: strand_compiler::digest(text.as_bytes()),
        world: World::Command02,
        facts: ComponentFacts {
            worlds: vec![World::Http02, World::Command02],
            imports: vec!["wasi:io/poll@0.2.0".into(), format!("a:b/{text}")],
        },
    }
}

/// A state folder and a folder of files.
struct Node(TempDir);

impl Node {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn open_as(&self, key: u8, engine: &str) -> Sources {
        let key = ArtifactKey::new([key; 32]);
        Sources::open(self.0.path().join("sources"), key, engine)
    }

    fn open(&self) -> Sources {
        self.open_as(7, ENGINE)
    }

    fn write(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, name).expect("writes");
        path
    }

    /// Files that are known from a start before.
    fn learn(&self, names: &[&str]) -> Vec<PathBuf> {
        let sources = self.open();
        let paths: Vec<_> = names.iter().map(|name| self.write(name)).collect();
        for (path, name) in paths.iter().zip(names) {
            sources.learn(FileId::look(path).expect("is there"), known(name));
        }
        sources.save();
        paths
    }
}

#[test]
fn what_was_learnt_is_known_at_the_next_start() {
    let node = Node::new();
    let paths = node.learn(&["a", "b"]);
    let sources = node.open();
    assert_eq!(sources.find(&paths[0]), Some(known("a")));
    assert_eq!(sources.find(&paths[1]), Some(known("b")));
    // By whatever name.
    let link = node.0.path().join("link");
    std::os::unix::fs::symlink(&paths[0], &link).expect("links");
    assert_eq!(sources.find(&link), Some(known("a")));
    assert_eq!(sources.find(&node.write("c")), None);
    assert_eq!(sources.find(node.0.path()), None, "a folder is no file");
}

#[test]
fn a_file_that_was_changed_is_not_known() {
    let node = Node::new();
    let paths = node.learn(&["same", "times", "replaced"]);
    let [same, times, replaced] = &paths[..] else {
        unreachable!()
    };
    let modified = fs::metadata(same).expect("is there").modified();
    // Its content and its size are what they were, and somebody sets its time back.
    fs::write(same, "emas").expect("writes");
    let file = fs::File::options().write(true).open(same).expect("opens");
    file.set_modified(modified.expect("has a time"))
        .expect("sets");
    fs::File::options()
        .write(true)
        .open(times)
        .and_then(|file| file.set_modified(SystemTime::now() + Duration::from_secs(9)))
        .expect("sets");
    let other = node.write("other");
    fs::rename(other, replaced).expect("renames");
    let sources = node.open();
    for path in &paths {
        assert_eq!(sources.find(path), None, "{path:?}");
    }
}

#[test]
fn a_file_that_was_just_written_may_change_unseen() {
    let node = Node::new();
    let (bytes, id) = read_identified(&node.write("new"), 10).expect("reads");
    assert_eq!((&bytes[..], id), (&b"new"[..], None));
}

#[test]
fn what_is_not_to_be_trusted_is_not_believed() {
    let node = Node::new();
    let paths = node.learn(&["a"]);
    let stored = node.0.path().join("sources");
    let whole = fs::read(&stored).expect("reads");
    let finds = || node.open().find(&paths[0]).is_some();
    assert!(finds());
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        fs::write(&stored, changed).expect("writes");
        assert!(!finds(), "bit {bit}");
    }
    for length in 0..whole.len() {
        fs::write(&stored, &whole[..length]).expect("writes");
        assert!(!finds(), "{length} bytes");
    }
    fs::write(&stored, whole).expect("writes");
    assert!(finds());
    // Another installation's, and another version's.
    assert_eq!(node.open_as(8, ENGINE).find(&paths[0]), None);
    assert_eq!(node.open_as(7, "strand 2").find(&paths[0]), None);
}

#[test]
fn what_nodes_learn_at_once_adds_up() {
    let node = Node::new();
    let (one, other) = (node.open(), node.open());
    let (a, b) = (node.write("a"), node.write("b"));
    one.learn(FileId::look(&a).expect("is there"), known("a"));
    other.learn(FileId::look(&b).expect("is there"), known("b"));
    one.save();
    other.save();
    let sources = node.open();
    assert_eq!(sources.find(&a), Some(known("a")));
    assert_eq!(sources.find(&b), Some(known("b")));
}

#[test]
fn what_a_start_needed_stands_before_what_it_did_not() {
    let node = Node::new();
    let paths = node.learn(&["a", "b"]);
    let sources = node.open();
    assert!(sources.find(&paths[1]).is_some());
    let new = node.write("c");
    let id = |path: &Path| FileId::look(path).expect("is there");
    sources.learn(id(&new), known("c"));
    sources.save();
    let files = node.open().before.files;
    let found: Vec<_> = files.iter().map(|entry| entry.id).collect();
    assert_eq!(found, [id(&new), id(&paths[1]), id(&paths[0])]);
}

#[test]
fn what_is_learnt_anew_takes_the_place_of_what_was_known() {
    let node = Node::new();
    let paths = node.learn(&["a"]);
    let sources = node.open();
    let id = FileId::look(&paths[0]).expect("is there");
    sources.learn(id, known("other"));
    sources.save();
    let sources = node.open();
    assert_eq!(sources.find(&paths[0]), Some(known("other")));
    assert_eq!(sources.before.files.len(), 1);
}

#[test]
fn what_was_needed_last_stays() {
    let node = Node::new();
    let file = FileId::look(&node.write("file")).expect("is there");
    let old = |number: u64| (file.numbered(number), known("old"));
    let mut now = Now::default();
    now.learnt.extend((0..MOST as u64).map(old));
    let before = Stored::of(ENGINE, &now, &Stored::default());
    assert_eq!(before.files.len(), MOST);
    let last = before.files.last().expect("many").id;
    let mut now = Now::default();
    now.needed.insert(last);
    now.learnt.push((file, known("new")));
    let stored = Stored::of(ENGINE, &now, &before);
    assert_eq!(stored.files.len(), MOST);
    let first: Vec<_> = stored.files.iter().take(2).map(|entry| entry.id).collect();
    assert_eq!(first, [file, last]);
    assert_eq!(stored.files[0].digest, *known("new").digest.as_bytes());
    // Each name once, and the file is one that is read again.
    assert_eq!(stored.names.len(), 5);
    let sealed = stored.seal(&ArtifactKey::new([7; 32])).expect("seals");
    assert!((sealed.len() as u64) < MAX_BYTES / 2, "{}", sealed.len());
}
