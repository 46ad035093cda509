//! Descriptors: each connection takes one here and one of the server's.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What this program has open beside its connections, at most.
const OWN: u64 = 64;
/// What a node keeps for other things than its clients' connections; of less than twice as many
/// it is half of all.
const OTHERS: u64 = 512;

/// Raises the limit as far as the system lets it, for this process and for those that it starts
/// from then on. Shells give 1024, and not every peer asks for more by itself.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    // Where that fails it stays as it was, and `missing` says what is too much for it.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}

/// What to say if a bench has more connections at once than a process may have descriptors for.
pub(crate) fn missing(bench: &str, connections: usize) -> Option<String> {
    too_few(bench, connections, getrlimit(Resource::Nofile).current)
}

/// The same under this limit, if there is one.
fn too_few(bench: &str, connections: usize, limit: Option<u64>) -> Option<String> {
    let needed = needed(connections);
    let limit = limit.filter(|limit| *limit < needed)?;
    Some(format!(
        "{bench}: {connections} connections at once take {needed} descriptors, and a process may \
         have {limit} here; raise the hard limit as root: ulimit -Hn {needed}"
    ))
}

/// What both ends have to have, of which each is a process under the same limit.
fn needed(connections: usize) -> u64 {
    let connections = connections as u64;
    connections + connections.clamp(OWN, OTHERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_have_descriptors_for_more_than_connections() {
        for (connections, descriptors) in [(1, 65), (32, 96), (256, 512), (1024, 1536)] {
            assert_eq!(needed(connections), descriptors, "{connections}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told() {
        assert_eq!(too_few("http", 1024, None), None);
        assert_eq!(too_few("http", 1024, Some(1536)), None);
        assert_eq!(
            too_few("http", 1024, Some(1535)).as_deref(),
            Some(
                "http: 1024 connections at once take 1536 descriptors, and a process may have \
                 1535 here; raise the hard limit as root: ulimit -Hn 1536"
            )
        );
    }

    #[test]
    fn the_limit_is_raised_to_the_hard_one() {
        raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
