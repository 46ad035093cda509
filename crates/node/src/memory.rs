//! How much memory this machine and its cgroups have left.

use std::fs;
use std::path::Path;

/// Three quarters of the memory that nobody uses yet: what is left of this process's
/// cgroups, each on the way to the root, or of the machine, whichever is least.
pub(crate) fn default_budget() -> u64 {
    available(Path::new("/proc"), Path::new("/sys/fs/cgroup")) / 4 * 3
}

fn available(proc: &Path, cgroups: &Path) -> u64 {
    let machine = fs::read_to_string(proc.join("meminfo"))
        .ok()
        .and_then(|text| machine_memory(&text));
    let own = fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
    let left = left_of_cgroups(&own, cgroups);
    // Neither is there: not Linux as we know it. A gigabyte is what one can
    // expect anywhere, and the configuration can say more.
    machine.into_iter().chain(left).min().unwrap_or(1 << 30)
}

fn machine_memory(meminfo: &str) -> Option<u64> {
    let field = |name| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes << 10)
    };
    // Only kernels before 3.14 do not say what is available.
    field("MemAvailable:").or_else(|| field("MemTotal:"))
}

/// The files of one version of cgroups.
struct Files {
    limit: &'static str,
    usage: &'static str,
    /// The field of `memory.stat` with what the kernel takes back first.
    cache: &'static str,
}

const VERSION_1: Files = Files {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    cache: "total_inactive_file",
};
const VERSION_2: Files = Files {
    limit: "memory.max",
    usage: "memory.current",
    cache: "inactive_file",
};

/// The least that is left on the way from this process's cgroup to the root.
fn left_of_cgroups(own: &str, cgroups: &Path) -> Option<u64> {
    own.lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let (root, files) = match controllers {
                "" => (cgroups.to_owned(), VERSION_2),
                c if c.split(',').any(|c| c == "memory") => (cgroups.join("memory"), VERSION_1),
                _ => return None,
            };
            Path::new(path.trim_start_matches('/'))
                .ancestors()
                .filter_map(|dir| left_of(&root.join(dir), &files))
                .min()
        })
        .min()
}

fn left_of(cgroup: &Path, files: &Files) -> Option<u64> {
    let read = |file| fs::read_to_string(cgroup.join(file)).ok();
    // "max" is no number: no limit there.
    let limit: u64 = read(files.limit)?.trim().parse().ok()?;
    let usage: u64 = read(files.usage)
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0);
    let cache: u64 = read("memory.stat")
        .and_then(|text| {
            let mut fields = text.lines().filter_map(|line| line.split_once(' '));
            let (_, bytes) = fields.find(|(name, _)| *name == files.cache)?;
            bytes.trim().parse().ok()
        })
        .unwrap_or(0);
    Some(limit.saturating_sub(usage.saturating_sub(cache)))
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
    fn the_least_that_is_left_counts() {
        let dir = tempfile::tempdir().expect("a folder");
        let (proc, groups) = (dir.path().join("proc"), dir.path().join("cgroup"));
        write(&proc, "meminfo", "MemFree: 1 kB\nMemTotal:       4096 kB\n");
        assert_eq!(available(&proc, &groups), 4 << 20);
        write(
            &proc,
            "meminfo",
            "MemTotal: 4096 kB\nMemAvailable:    2048 kB\n",
        );
        assert_eq!(available(&proc, &groups), 2 << 20);
        write(&proc, "self/cgroup", "0::/a/b\n");
        write(&groups, "a/b/memory.max", "max\n");
        write(&groups, "a/b/memory.current", "4096\n");
        assert_eq!(available(&proc, &groups), 2 << 20);
        write(&groups, "a/memory.max", "1048576\n");
        assert_eq!(available(&proc, &groups), 1 << 20);
        // What is in use is not there; what the kernel would drop is.
        write(&groups, "a/memory.current", "524288\n");
        assert_eq!(available(&proc, &groups), 1 << 19);
        write(
            &groups,
            "a/memory.stat",
            "anon 1\ninactive_file 4096\nactive_file 8192\n",
        );
        assert_eq!(available(&proc, &groups), (1 << 19) + 4096);
        write(&groups, "a/memory.current", "1048577\n");
        write(&groups, "a/memory.stat", "inactive_file 0\n");
        assert_eq!(available(&proc, &groups), 0);
        write(&proc, "self/cgroup", "4:cpu,memory:/c\n1:name=x:/d\n");
        write(&groups, "memory/c/memory.limit_in_bytes", "8192\n");
        write(&groups, "memory/c/memory.usage_in_bytes", "5000\n");
        write(&groups, "memory/c/memory.stat", "total_inactive_file 904\n");
        assert_eq!(available(&proc, &groups), 4096);
    }

    #[test]
    fn a_machine_that_says_nothing_gets_a_gigabyte() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(available(dir.path(), dir.path()), 1 << 30);
    }
}
