//! Who opens a file.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

/// Counts how often any process opens what it watches (inotify(7)).
pub struct Watch(OwnedFd);

impl Watch {
    /// Watches files, and what is in folders.
    pub fn new<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
        for path in paths {
            inotify::add_watch(&watch, path, WatchFlags::OPEN).unwrap();
        }
        Self(watch)
    }

    /// How often something was opened since this was asked last.
    pub fn opened(&mut self) -> usize {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = inotify::Reader::new(&self.0, &mut buffer);
        let mut opened = 0;
        loop {
            match reader.next() {
                Ok(event) => {
                    assert!(!event.events().contains(ReadFlags::QUEUE_OVERFLOW));
                    // A folder that is listed is opened, too.
                    opened += usize::from(!event.events().contains(ReadFlags::ISDIR));
                }
                Err(Errno::AGAIN) => return opened,
                Err(error) => panic!("{error}"),
            }
        }
    }
}
