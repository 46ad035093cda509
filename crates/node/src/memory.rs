//! How much memory this machine or its cgroup has.

use std::fs;
use std::path::Path;

/// Three quarters of the memory that this process may use: the smallest limit of
/// its cgroups, or the machine's memory.
pub(crate) fn default_budget() -> u64 {
    available(Path::new("/proc"), Path::new("/sys/fs/cgroup")) / 4 * 3
}

fn available(proc: &Path, cgroups: &Path) -> u64 {
    let machine = fs::read_to_string(proc.join("meminfo"))
        .ok()
        .and_then(|text| machine_memory(&text));
    let own = fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
    let limit = cgroup_limit(&own, cgroups);
    // Neither is there: not Linux as we know it. A gigabyte is what one can
    // expect anywhere, and the configuration can say more.
    machine.into_iter().chain(limit).min().unwrap_or(1 << 30)
}

fn machine_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// The smallest limit on the way from this process's cgroup to the root: in
/// version 2 `memory.max`, in version 1 `memory/…/memory.limit_in_bytes`.
fn cgroup_limit(own: &str, cgroups: &Path) -> Option<u64> {
    own.lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let (root, file) = match controllers {
                "" => (cgroups.to_owned(), "memory.max"),
                c if c.split(',').any(|c| c == "memory") => {
                    (cgroups.join("memory"), "memory.limit_in_bytes")
                }
                _ => return None,
            };
            Path::new(path.trim_start_matches('/'))
                .ancestors()
                .filter_map(|dir| fs::read_to_string(root.join(dir).join(file)).ok())
                // "max" is no number: no limit there.
                .filter_map(|text| text.trim().parse().ok())
                .min()
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("makes");
        fs::write(path, text).expect("writes");
    }

    #[test]
    fn the_smallest_limit_counts() {
        let dir = tempfile::tempdir().expect("a folder");
        let (proc, groups) = (dir.path().join("proc"), dir.path().join("cgroup"));
        write(&proc, "meminfo", "MemFree: 1 kB\nMemTotal:       2048 kB\n");
        assert_eq!(available(&proc, &groups), 2 << 20);
        write(&proc, "self/cgroup", "0::/a/b\n");
        write(&groups, "a/b/memory.max", "max\n");
        assert_eq!(available(&proc, &groups), 2 << 20);
        write(&groups, "a/memory.max", "1048576\n");
        assert_eq!(available(&proc, &groups), 1 << 20);
        write(&proc, "self/cgroup", "4:cpu,memory:/c\n1:name=x:/d\n");
        write(&groups, "memory/c/memory.limit_in_bytes", "4096\n");
        assert_eq!(available(&proc, &groups), 4096);
    }

    #[test]
    fn a_machine_without_any_gets_a_gigabyte() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(available(dir.path(), dir.path()), 1 << 30);
    }
}
