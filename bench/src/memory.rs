//! What a process has in memory, by kind.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::process::{Process, memory_field};

/// Bytes. What other processes have mapped too counts in part, but for `rss`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Memory {
    pub(crate) rss: u64,
    pub(crate) pss: u64,
    /// Of its own.
    pub(crate) anonymous: u64,
    /// Pages of files that it has touched.
    pub(crate) file: u64,
    /// Pages of shared memory that it has touched.
    pub(crate) shared: u64,
    /// All of the anonymous files (memfd_create(2)) that it has mapped. They are in memory from
    /// when they are written, although a page that nobody has touched is in nobody's `rss`.
    pub(crate) memfds: u64,
    /// What the kernel needs to map it all; in none of the others.
    pub(crate) page_tables: u64,
}

impl Memory {
    /// Of a process, now.
    pub(crate) fn of(process: &Process) -> Result<Self> {
        let rollup = process.proc("smaps_rollup")?;
        let status = process.proc("status")?;
        let field = |text: &str, name: &'static str| {
            memory_field(text, name).with_context(|| format!("no {name} in {text:?}"))
        };
        Ok(Self {
            rss: field(&rollup, "Rss")?,
            pss: field(&rollup, "Pss")?,
            anonymous: field(&rollup, "Pss_Anon")?,
            file: field(&rollup, "Pss_File")?,
            shared: field(&rollup, "Pss_Shmem")?,
            memfds: memfds(&process.proc("maps")?),
            page_tables: field(&status, "VmPTE")?,
        })
    }

    /// What would be free without it.
    pub(crate) fn resident(&self) -> u64 {
        self.anonymous + self.file + self.memfds.max(self.shared)
    }
}

/// The lengths of all anonymous files that are mapped, by what is mapped of each (proc(5)): it is
/// written whole before it is, and may be mapped several times.
fn memfds(maps: &str) -> u64 {
    let mut lengths: BTreeMap<&str, u64> = BTreeMap::new();
    for (file, end) in maps.lines().filter_map(memfd) {
        let length = lengths.entry(file).or_default();
        *length = end.max(*length);
    }
    lengths.values().sum()
}

/// The inode of a line's anonymous file, and where in it what is mapped ends.
fn memfd(line: &str) -> Option<(&str, u64)> {
    let mut fields = line.split_whitespace();
    let (begin, end) = fields.next()?.split_once('-')?;
    let offset = hexadecimal(fields.nth(1)?)?;
    let inode = fields.nth(1)?;
    let is_memfd = fields.next()?.starts_with("/memfd:");
    is_memfd.then_some((inode, offset + hexadecimal(end)? - hexadecimal(begin)?))
}

fn hexadecimal(digits: &str) -> Option<u64> {
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anonymous_files_count_once_however_often_they_are_mapped() {
        let maps = "\
7f0000000000-7f0000002000 r--p 00000000 00:01 77                         /memfd:strand-code (deleted)
7f0000002000-7f0000005000 r-xp 00002000 00:01 77                         /memfd:strand-code (deleted)
7f0000008000-7f0000009000 rw-p 00001000 00:01 77                         /memfd:strand-code (deleted)
7f0000010000-7f0000011000 r--p 00000000 00:01 78                         /memfd:strand-code (deleted)
7f0000020000-7f0000030000 rw-p 00000000 00:00 0
7f0000030000-7f0000040000 r-xp 00000000 fe:00 79                         /usr/lib/memfd:no.so
7f0000040000-7f0000050000 rw-p 00000000 00:00 0                          [heap]
";
        assert_eq!(memfds(maps), 0x5000 + 0x1000);
        assert_eq!(memfds(""), 0);
    }

    #[test]
    fn what_is_resident_counts_nothing_twice() {
        let memory = Memory {
            anonymous: 1,
            file: 10,
            shared: 100,
            memfds: 1000,
            ..Memory::default()
        };
        assert_eq!(memory.resident(), 1011);
        let without = Memory {
            memfds: 0,
            ..memory
        };
        assert_eq!(without.resident(), 111);
    }
}
