//! How many descriptors the process may have, and how many of them clients may take.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Raises the process's limit of open descriptors as far as the system lets it, for
/// every connection, file and blob takes one; what it is now. Systems start processes
/// with little, for the sake of programs that cannot count beyond: to be called once,
/// before anything is opened.
///
/// # Errors
/// When the system refuses.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised)?;
    }
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// So many connections, or as many as there are descriptors for.
pub(crate) fn connections(wanted: usize) -> usize {
    let Some(descriptors) = getrlimit(Resource::Nofile).current else {
        return wanted;
    };
    let most = most(descriptors);
    if wanted > most {
        tracing::warn!(
            wanted,
            connections = most,
            descriptors,
            "the process may have too few descriptors for so many connections: raise its limit \
             (`ulimit -n`, or `LimitNOFILE` of its unit)"
        );
    }
    wanted.min(most)
}

/// So many files may be open for answers at once: half of what connections leave. The
/// other half stays for blobs, functions' own connections, and what the node itself opens.
pub(crate) fn files() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current;
    most_files(descriptors.unwrap_or(u64::MAX))
}

fn most(descriptors: u64) -> usize {
    let connections = descriptors - others(descriptors);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

fn most_files(descriptors: u64) -> usize {
    usize::try_from(others(descriptors) / 2).unwrap_or(usize::MAX)
}

/// What connections leave.
fn others(descriptors: u64) -> u64 {
    Config::DESCRIPTORS.min(descriptors / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_have_their_descriptors() {
        for (descriptors, connections, files) in [
            (0, 0, 0),
            (1, 1, 0),
            (256, 128, 64),
            (1024, 512, 256),
            (4096, 3584, 256),
            (1 << 20, (1 << 20) - 512, 256),
        ] {
            assert_eq!(most(descriptors), connections, "{descriptors}");
            assert_eq!(most_files(descriptors), files, "{descriptors}");
        }
    }

    #[test]
    fn the_limit_is_raised_to_the_systems_own() {
        let raised = raise_descriptor_limit().unwrap();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(limit.current.unwrap_or(u64::MAX), raised);
        // And again, with nothing to do.
        assert_eq!(raise_descriptor_limit().unwrap(), raised);
        assert_eq!(connections(usize::MAX), most(raised));
        assert_eq!(connections(1), 1);
        assert_eq!(files(), most_files(raised));
    }
}
