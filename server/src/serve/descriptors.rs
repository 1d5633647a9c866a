//! File descriptors: how many are asked of the system, and who may have them.
//! Calls come first. What is left is for connections.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{StartError, io_error};
use crate::config::ACTIONS_AT_ONCE_MAX;
use crate::streams;

/// A call is up to two media legs, of two sockets each.
const PER_CALL: u64 = 4;
/// Calls to emergency services, which no bound of calls holds up.
const EMERGENCY_CALLS: u64 = 64;
/// What else is open: the database, threads' wake-ups, name servers, voices,
/// administrators, whoever reads metrics, connections about to be accepted.
const BESIDES: u64 = 384;
/// With fewer connections no telephones could sign in by TCP or TLS.
const CONNECTIONS_LEAST: u64 = 64;

/// What the system's limit comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    /// To be asked of the system.
    descriptors: u64,
    /// Connections at a time.
    connections: usize,
}

/// What `calls_max` leaves of the hard limit.
fn share(calls_max: u32, hard: u64) -> Result<Share, StartError> {
    let besides = BESIDES + ACTIONS_AT_ONCE_MAX as u64;
    let calls = (u64::from(calls_max) + EMERGENCY_CALLS) * PER_CALL + besides;
    let left = hard.saturating_sub(calls);
    if left < CONNECTIONS_LEAST {
        return Err(StartError::Descriptors {
            calls_max,
            needed: calls + CONNECTIONS_LEAST,
            allowed: hard,
        });
    }
    let connections = left.min(streams::CONNECTIONS_MAX as u64);
    Ok(Share {
        descriptors: calls + connections,
        connections: usize::try_from(connections).unwrap_or(streams::CONNECTIONS_MAX),
    })
}

/// Raises the process's limit (many systems allow it 1,024 unless it asks for more), and gives how
/// many connections there may be.
pub(super) fn allow(calls_max: u32) -> Result<usize, StartError> {
    let system = |error: nix::Error| io_error("limit of file descriptors")(error.into());
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(system)?;
    let Share {
        descriptors,
        connections,
    } = share(calls_max, hard)?;
    if soft < descriptors {
        setrlimit(Resource::RLIMIT_NOFILE, descriptors, hard).map_err(system)?;
    }
    if connections < streams::CONNECTIONS_MAX {
        tracing::warn!(
            connections,
            of = streams::CONNECTIONS_MAX,
            "the system allows {hard} file descriptors: limits.calls_max = {calls_max} leaves fewer for connections \
             (TCP, TLS); more with LimitNOFILE= in a systemd unit"
        );
    }
    Ok(connections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_first_and_connections_have_what_is_left() {
        let ample = share(4_000, 1 << 20).unwrap();
        assert_eq!(ample.connections, streams::CONNECTIONS_MAX);
        // Whatever is open, each call still finds its sockets.
        assert!(ample.descriptors >= 4_000 * 4 + 64 * 4 + 8_192);
        let tight = share(4_000, 20_000).unwrap();
        assert!((1_000..4_000).contains(&tight.connections), "{tight:?}");
        assert_eq!(tight.descriptors, 20_000);
        let few = share(4_000, 16_384).unwrap_err();
        assert!(few.to_string().contains("LimitNOFILE"), "{few}");
    }
}
