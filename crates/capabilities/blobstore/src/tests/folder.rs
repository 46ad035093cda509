//! A folder keeps guests inside, and what it says it keeps.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use strand_objects::{Bucket, BucketError, STAGING};
use tempfile::TempDir;

use super::guest::{ALL, Guest, again, bytes, drain};
use crate::Config;
use crate::host::bindings::wasi::blobstore::container::HostContainer as _;

/// A folder with a secret beside it.
struct House {
    home: TempDir,
}

impl House {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(home.path().join("inside")).expect("a folder");
        std::fs::create_dir(home.path().join("outside")).expect("a folder");
        std::fs::write(home.path().join("outside/secret"), "secret").expect("writes");
        Self { home }
    }

    fn inside(&self, path: &str) -> PathBuf {
        self.home.path().join("inside").join(path)
    }

    fn outside(&self, path: &str) -> PathBuf {
        self.home.path().join("outside").join(path)
    }

    fn guest(&self) -> Guest {
        let bucket = Bucket::folder(&self.inside("")).expect("opens");
        Guest::new(&Config::default(), &[("c", &bucket, ALL)])
    }

    fn secret_is_whole(&self) {
        let outside: Vec<_> = std::fs::read_dir(self.outside(""))
            .expect("reads")
            .collect();
        assert_eq!(outside.len(), 1);
        let secret = std::fs::read_to_string(self.outside("secret")).expect("reads");
        assert_eq!(secret, "secret");
    }
}

fn file(path: &Path) -> String {
    std::fs::read_to_string(path).expect("reads")
}

#[tokio::test]
async fn links_lead_nowhere_outside() {
    let house = House::new();
    symlink(house.outside("secret"), house.inside("file")).expect("links");
    symlink("../outside/secret", house.inside("relative")).expect("links");
    symlink(house.outside(""), house.inside("dir")).expect("links");
    let mut guest = house.guest();
    let c = guest.container("c").await;
    assert!(guest.names(&c).await.is_empty());
    for name in ["file", "relative", "dir/secret"] {
        let error = guest.read(&c, name, (0, u64::MAX)).await.expect_err(name);
        assert!(
            error.starts_with("the store refused this node access"),
            "{error}"
        );
        let has = guest.view().has_object(again(&c), name.to_owned()).await;
        assert!(has.expect("no trap").is_err());
        assert!(guest.copy(("c", name), ("c", "stolen")).await.is_err());
        assert!(guest.rename(("c", name), ("c", "stolen")).await.is_err());
    }
    assert!(guest.write(&c, "dir/new", b"x").await.is_err());
    assert!(guest.write(&c, "dir/secret", b"x").await.is_err());
    assert!(guest.delete(&c, &["dir/secret"]).await.is_err());
    house.secret_is_whole();

    // What replaces or deletes a link does that to the link.
    guest.write(&c, "file", b"mine").await.expect("written");
    assert_eq!(file(&house.inside("file")), "mine");
    guest.delete(&c, &["relative"]).await.expect("deleted");
    assert!(!house.inside("relative").is_symlink());
    house.secret_is_whole();
    assert_eq!(guest.names(&c).await, ["file"]);
}

#[tokio::test]
async fn links_inside_work_for_reading() {
    let house = House::new();
    std::fs::create_dir(house.inside("real")).expect("a folder");
    std::fs::write(house.inside("real/x"), "data").expect("writes");
    symlink("real/x", house.inside("link")).expect("links");
    symlink("real", house.inside("linked")).expect("links");
    symlink(".", house.inside("circle")).expect("links");
    let mut guest = house.guest();
    let c = guest.container("c").await;
    for name in ["real/x", "link", "linked/x", "circle/circle/link"] {
        let read = guest.read(&c, name, (0, u64::MAX)).await.expect("bytes");
        assert_eq!(read, b"data");
    }
    assert_eq!(guest.names(&c).await, ["link", "real/x"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_swapped_in_wins_nothing() {
    let house = House::new();
    std::fs::create_dir(house.inside("a")).expect("a folder");
    std::fs::write(house.inside("a/secret"), "public").expect("writes");
    symlink(house.outside(""), house.inside("b")).expect("links");
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = {
        let stop = Arc::clone(&stop);
        let [a, b] = ["a", "b"].map(|name| house.inside(name));
        std::thread::spawn(move || {
            let mut swaps = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).expect("swaps");
                swaps += 1;
            }
            swaps
        })
    };
    let mut guest = house.guest();
    let c = guest.container("c").await;
    let (mut inside, mut refused) = (0, 0);
    for turn in 0..3000 {
        match guest.read(&c, "a/secret", (0, u64::MAX)).await {
            Ok(read) => {
                assert_eq!(read, b"public");
                inside += 1;
            }
            Err(_) => refused += 1,
        }
        if turn % 10 == 0 {
            // Into the folder or not at all.
            let _ = guest.write(&c, "a/written", b"x").await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let swaps = swapper.join().expect("no panic");
    assert!(
        swaps > 100 && inside > 0 && refused > 0,
        "{swaps} {inside} {refused}"
    );
    house.secret_is_whole();
}

#[tokio::test]
async fn a_pipe_is_no_object_and_nobody_waits_for_it() {
    let house = House::new();
    let made = std::process::Command::new("mkfifo")
        .arg(house.inside("pipe"))
        .status();
    assert!(made.expect("mkfifo runs").success());
    std::fs::create_dir(house.inside("dir")).expect("a folder");
    let mut guest = house.guest();
    let c = guest.container("c").await;
    for name in ["pipe", "dir"] {
        let read = guest.read(&c, name, (0, u64::MAX));
        let read = tokio::time::timeout(Duration::from_secs(5), read)
            .await
            .expect("no wait");
        assert_eq!(
            read.expect_err("no object"),
            format!("there is no object `{name}`")
        );
        assert!(!guest.has(&c, name).await);
    }
    assert!(guest.names(&c).await.is_empty());
    assert!(guest.rename(("c", "dir"), ("c", "other")).await.is_err());
    assert!(house.inside("dir").is_dir());
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_an_error() {
    let house = House::new();
    std::fs::write(house.inside("x"), bytes(8 << 20)).expect("writes");
    let mut guest = house.guest();
    let c = guest.container("c").await;
    for change in ["write", "truncate"] {
        let value = guest
            .get_data(&c, "x", (0, u64::MAX))
            .await
            .expect("a value");
        let mut stream = guest.stream(value).await.expect("a stream");
        stream.blocking_read(10).await.expect("bytes");
        // A clock tick apart, as the file's time is.
        tokio::time::sleep(Duration::from_millis(20)).await;
        match change {
            "write" => std::fs::write(house.inside("x"), bytes(8 << 20)).expect("writes"),
            _ => std::fs::write(house.inside("x"), "short").expect("writes"),
        }
        let error = drain(&mut stream).await.expect_err("changed");
        assert_eq!(
            error,
            "the object `x` changed while it was read: read it again"
        );
    }
    // Replaced rather than changed: the reader has the old one to its end.
    guest
        .write(&c, "x", &bytes(8 << 20))
        .await
        .expect("written");
    let value = guest
        .get_data(&c, "x", (0, u64::MAX))
        .await
        .expect("a value");
    let mut stream = guest.stream(value).await.expect("a stream");
    stream.blocking_read(8 << 20).await.expect("bytes");
    guest.write(&c, "x", b"new").await.expect("written");
    drain(&mut stream).await.expect("the old bytes");
    let read = guest.read(&c, "x", (0, u64::MAX)).await.expect("bytes");
    assert_eq!(read, b"new");
}

#[tokio::test]
async fn what_is_being_written_is_no_object_and_leaves_nothing() {
    let house = House::new();
    let mut guest = house.guest();
    let c = guest.container("c").await;
    let value = guest.value().await;
    let mut stream = guest.body(&value).await;
    guest.write_data(&c, "x", &value).await.expect("begun");
    super::guest::pour(&mut stream, &bytes(20 << 20))
        .await
        .expect("written");
    let staged = || std::fs::read_dir(house.inside(STAGING)).map_or(0, Iterator::count);
    while staged() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(guest.names(&c).await.is_empty());
    let name = std::fs::read_dir(house.inside(STAGING))
        .expect("reads")
        .next()
        .expect("a file")
        .expect("a file")
        .file_name();
    let name = format!("{STAGING}/{}", name.to_string_lossy());
    assert!(guest.read(&c, &name, (0, 1)).await.is_err());
    assert!(
        guest
            .write(&c, &format!("{STAGING}/x"), b"x")
            .await
            .is_err()
    );
    drop(stream);
    guest.drop_value(value);
    while staged() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(guest.names(&c).await.is_empty());
}

#[tokio::test]
async fn what_a_dead_process_began_is_cleared_away() {
    let house = House::new();
    std::fs::create_dir(house.inside(STAGING)).expect("a folder");
    for (name, hours) in [("old", 25), ("young", 23)] {
        let path = house.inside(STAGING).join(name);
        let made = std::fs::File::create(&path).expect("a file");
        let age = Duration::from_secs(hours * 60 * 60);
        made.set_modified(std::time::SystemTime::now() - age)
            .expect("a time");
    }
    house.guest();
    assert!(!house.inside(STAGING).join("old").exists());
    assert!(house.inside(STAGING).join("young").exists());
}

#[tokio::test]
async fn a_file_is_no_folder() {
    let house = House::new();
    let mut guest = house.guest();
    let c = guest.container("c").await;
    guest.write(&c, "x", b"file").await.expect("written");
    guest.write(&c, "d/y", b"below").await.expect("written");
    for (name, why) in [
        ("x/y", "a part of its name is an object"),
        ("x/y/z", "a part of its name is an object"),
        ("d", "there are objects below that name"),
    ] {
        let refused = format!("`{name}` is refused: {why}");
        for error in [
            guest.write(&c, name, b"new").await,
            guest.copy(("c", "x"), ("c", name)).await,
            guest.rename(("c", "x"), ("c", name)).await,
        ] {
            let error = error.expect_err(name);
            assert!(error.starts_with(&refused), "{error}");
        }
        assert!(!guest.has(&c, name).await);
        // What is no object is as good as deleted.
        guest.delete(&c, &[name]).await.expect("nothing to delete");
    }
    assert_eq!(guest.names(&c).await, ["d/y", "x"]);
}

#[tokio::test]
async fn a_name_that_is_too_deep_is_refused_and_spoils_no_listing() {
    let house = House::new();
    let mut guest = house.guest();
    let c = guest.container("c").await;
    let deep = |parts: usize| vec!["d"; parts].join("/");
    guest.write(&c, &deep(64), b"deep").await.expect("written");
    let refused = format!("`{}` is refused: its name has more than 64 parts", deep(65));
    for error in [
        guest.write(&c, &deep(65), b"deeper").await,
        guest.copy(("c", &deep(64)), ("c", &deep(65))).await,
        guest.read(&c, &deep(65), (0, 9)).await.map(|_| ()),
        guest.delete(&c, &[&deep(65)]).await,
    ] {
        let error = error.expect_err("too deep");
        assert!(error.starts_with(&refused), "{error}");
    }
    // Somebody else did.
    let elsewhere = house.inside(&format!("e{}", &deep(70)[1..]));
    std::fs::create_dir_all(&elsewhere).expect("folders");
    std::fs::write(elsewhere.join("x"), "deeper").expect("writes");
    assert_eq!(guest.names(&c).await, [deep(64)]);
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    let house = House::new();
    let error = Bucket::folder(&house.inside("missing")).expect_err("not there");
    assert!(matches!(error, BucketError::Folder { .. }));
    assert!(error.to_string().contains("make it, or bind another place"));
    std::fs::write(house.inside("file"), "x").expect("writes");
    assert!(Bucket::folder(&house.inside("file")).is_err());
}
