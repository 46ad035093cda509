//! How many descriptors the process may have, and how many of them are clients'.

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

fn most(descriptors: u64) -> usize {
    let others = Config::DESCRIPTORS.min(descriptors / 2);
    usize::try_from(descriptors - others).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_have_their_descriptors() {
        for (descriptors, expected) in [
            (0, 0),
            (1, 1),
            (256, 128),
            (1024, 512),
            (4096, 3584),
            (1 << 20, (1 << 20) - 512),
        ] {
            assert_eq!(most(descriptors), expected, "{descriptors}");
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
    }
}
