//! One connection: what is read from it and written to it.

use std::sync::Arc;
use std::time::Duration;

use sip::wire::{Framed, Framer};
use sip::{Peer, WireError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, interval_at, timeout, timeout_at};

use super::Arrived;

/// Until when the first message has come, the TLS handshake included.
pub(super) const FIRST_MESSAGE_MAX: Duration = Duration::from_secs(20);
/// How long a message may take from its first byte to its last.
const MESSAGE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long nothing at all may come. Phones refresh their registration within
/// two minutes, trunks ping; what is silent for longer is dead or unused.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// How long the far end may take to read what is written.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// Messages that wait to be written to one connection: a trunk's calls come in bursts.
pub(super) const UNWRITTEN_MAX: usize = 4_096;
/// Of these, every connection's own.
pub(super) const UNWRITTEN_OWN: usize = 128;
const READ_BYTES: usize = 4_096;
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";
/// How often a connection that we made is pinged, so that networks on the way
/// remember it (RFC 5626 section 4.4.1: between 95 and 120 s).
const PING_EVERY: Duration = Duration::from_secs(100);
/// How long the answer may take from whoever has answered before.
const PONG_MAX: Duration = Duration::from_secs(10);

/// The table's end of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) serial: u64,
    pub(super) origin: Origin,
    /// None once the connection is to be closed.
    queue: Option<mpsc::Sender<Outgoing>>,
    /// Said to the task: close it now.
    hang_up: Option<oneshot::Sender<()>>,
}

/// How a connection came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The far end made it.
    Accepted,
    /// We did, to give an answer: anybody can ask for one.
    Answering,
    /// We did, for a request: where that goes is configured, or was shown with a password.
    Calling,
}

/// The task's end.
pub(super) struct Queue {
    pub(super) hung_up: HungUp,
    pub(super) talk: Talk,
}

/// Comes when the table wants the connection closed at once.
pub(super) struct HungUp(oneshot::Receiver<()>);

impl HungUp {
    /// A table that only forgets the connection lets what is queued be written.
    pub(super) async fn wait(self) {
        if self.0.await.is_err() {
            std::future::pending().await
        }
    }
}

/// What is to be written.
pub(super) struct Talk {
    outgoing: mpsc::Receiver<Outgoing>,
    /// For the answers to pings.
    pongs: mpsc::WeakSender<Outgoing>,
}

#[derive(Debug)]
enum Outgoing {
    Bytes {
        bytes: Arc<[u8]>,
        /// Among what all connections may owe, beyond the first of each.
        _place: Option<OwnedSemaphorePermit>,
    },
    Ping,
    Pong,
}

impl Connection {
    pub(super) fn new(serial: u64, origin: Origin) -> (Self, Queue) {
        let (queue, outgoing) = mpsc::channel(UNWRITTEN_MAX);
        let pongs = queue.downgrade();
        let (hang_up, hung_up) = oneshot::channel();
        let connection = Self {
            serial,
            origin,
            queue: Some(queue),
            hang_up: Some(hang_up),
        };
        let queue = Queue {
            hung_up: HungUp(hung_up),
            talk: Talk { outgoing, pongs },
        };
        (connection, queue)
    }

    /// Closes it at once. What is still queued isn't written.
    pub(super) fn hang_up(&mut self) {
        self.queue = None;
        // The task may have ended.
        let _ = self.hang_up.take().map(|task| task.send(()));
    }

    /// Queues a message; of its first [`UNWRITTEN_OWN`] each connection is sure, what is beyond them
    /// takes a place of `shared`. When there is none the connection is closed instead: its far end
    /// doesn't read, or too slowly. What is queued for a connection that has just ended is lost,
    /// which its end tells.
    pub(super) fn write(
        &mut self,
        bytes: Arc<[u8]>,
        shared: &Arc<Semaphore>,
    ) -> Result<(), Choked> {
        let Some(queue) = &self.queue else {
            return Ok(());
        };
        let place = if queue.max_capacity() - queue.capacity() < UNWRITTEN_OWN {
            Ok(None)
        } else {
            Arc::clone(shared).try_acquire_owned().map(Some)
        };
        let queued = place.map_err(|_| Choked).and_then(|place| {
            match queue.try_send(Outgoing::Bytes {
                bytes,
                _place: place,
            }) {
                Err(mpsc::error::TrySendError::Full(_)) => Err(Choked),
                _ => Ok(()),
            }
        });
        if queued.is_err() {
            self.queue = None;
        }
        queued
    }
}

/// The far end doesn't read.
#[derive(Debug)]
pub(super) struct Choked;

/// Reads and writes until either can't go on.
pub(super) async fn converse(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin,
    peer: Peer,
    pinging: Pinging,
    talk: Talk,
    arrived: &mpsc::Sender<Arrived>,
) {
    let (reader, writer) = tokio::io::split(stream);
    tokio::select! {
        () = read(reader, peer, pinging, &talk.pongs, arrived) => {}
        () = write(writer, pinging, talk.outgoing) => {}
    }
}

/// Who keeps a connection alive (RFC 5626 section 4.4): whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pinging {
    Us,
    FarEnd,
}

async fn write(
    mut writer: impl AsyncWrite + Unpin,
    pinging: Pinging,
    mut outgoing: mpsc::Receiver<Outgoing>,
) {
    let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    loop {
        let next = tokio::select! {
            next = outgoing.recv() => match next {
                Some(next) => next,
                None => break,
            },
            _ = pings.tick(), if pinging == Pinging::Us => Outgoing::Ping,
        };
        let bytes = match &next {
            Outgoing::Bytes { bytes, .. } => bytes,
            Outgoing::Ping => PING,
            Outgoing::Pong => PONG,
        };
        let written = timeout(WRITE_MAX, async {
            writer.write_all(bytes).await?;
            writer.flush().await
        });
        if !matches!(written.await, Ok(Ok(()))) {
            return;
        }
    }
    // Said goodbye to: a far end that doesn't listen any more needn't.
    let _ = timeout(WRITE_MAX, writer.shutdown()).await;
}

async fn read(
    mut reader: impl AsyncRead + Unpin,
    peer: Peer,
    pinging: Pinging,
    pongs: &mpsc::WeakSender<Outgoing>,
    arrived: &mpsc::Sender<Arrived>,
) {
    let mut framer = Framer::default();
    let mut buffer = [0; READ_BYTES];
    let mut until = Instant::now() + FIRST_MESSAGE_MAX;
    let mut begun = false;
    let mut idle_max = IDLE_MAX;
    loop {
        let count = match timeout_at(until, reader.read(&mut buffer)).await {
            Ok(Ok(count)) if count > 0 => count,
            // Closed, broken, or too slow.
            _ => return,
        };
        framer.push(buffer.get(..count).unwrap_or_default());
        let mut whole = false;
        loop {
            let what = match framer.take() {
                Framed::Incomplete => break,
                Framed::Broken(why) => {
                    tracing::info!(peer = %peer.addr, why, "connection closed");
                    return;
                }
                Framed::Ping => {
                    whole = true;
                    // Unanswered, the far end makes another connection; it has sent too many.
                    let _ = pongs.upgrade().map(|queue| queue.try_send(Outgoing::Pong));
                    continue;
                }
                Framed::Message(bytes) => match sip::parse_datagram(bytes, peer) {
                    Ok(message) => Arrived::Message { peer, message },
                    Err(WireError::Answer(answer)) => Arrived::Unreadable(answer),
                    Err(WireError::Silence(_)) => Arrived::Noise,
                },
            };
            whole = true;
            // While the pump is busy nothing more is read: the far end waits.
            if arrived.send(what).await.is_err() {
                return;
            }
        }
        if pinging == Pinging::Us && framer.take_pong() {
            // It answers pings: no answer means that it is gone.
            idle_max = PING_EVERY + PONG_MAX;
        }
        // A message has its time from its first byte on, however many bytes it comes in.
        let now = Instant::now();
        match (whole, framer.begun()) {
            (_, false) => until = now + idle_max,
            (true, true) => until = now + MESSAGE_TIME_MAX,
            (false, true) if !begun => until = until.min(now + MESSAGE_TIME_MAX),
            (false, true) => {}
        }
        begun = framer.begun();
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use sip::Transport;
    use tokio::io::DuplexStream;
    use tokio::task::JoinHandle;

    use super::*;

    const OPTIONS: &[u8] = b"OPTIONS sip:a@192.0.2.1 SIP/2.0\r\n\
        Via: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK1\r\nFrom: <sip:b@192.0.2.9>;tag=1\r\n\
        To: <sip:a@192.0.2.1>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

    /// A connection, seen from its far end. Time is virtual: it passes while everybody waits.
    struct Far {
        line: DuplexStream,
        connection: Option<Connection>,
        arrived: mpsc::Receiver<Arrived>,
        ended: JoinHandle<Duration>,
    }

    fn connected() -> Far {
        connected_by(Pinging::FarEnd)
    }

    fn connected_by(pinging: Pinging) -> Far {
        let (line, ours) = tokio::io::duplex(1_024);
        let (connection, queue) = Connection::new(1, Origin::Accepted);
        let (sender, arrived) = mpsc::channel(8);
        let peer = Peer {
            addr: SocketAddr::from(([192, 0, 2, 9], 40_000)),
            transport: Transport::Tcp,
        };
        let ended = tokio::spawn(async move {
            let began = Instant::now();
            converse(ours, peer, pinging, queue.talk, &sender).await;
            began.elapsed()
        });
        Far {
            line,
            connection: Some(connection),
            arrived,
            ended,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn messages_come_in_however_their_bytes_come() {
        let mut far = connected();
        far.line
            .write_all(&[OPTIONS, OPTIONS].concat())
            .await
            .unwrap();
        for byte in OPTIONS {
            far.line.write_all(&[*byte]).await.unwrap();
        }
        for _ in 0..3 {
            let arrived = far.arrived.recv().await;
            assert!(
                matches!(arrived, Some(Arrived::Message { .. })),
                "{arrived:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_is_answered() {
        let mut far = connected();
        far.line.write_all(b"\r\n\r\n").await.unwrap();
        let mut pong = [0; 2];
        far.line.read_exact(&mut pong).await.unwrap();
        assert_eq!(&pong, b"\r\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_of_ours_is_kept_alive_while_its_far_end_answers() {
        let mut far = connected_by(Pinging::Us);
        far.line.write_all(OPTIONS).await.unwrap();
        let began = Instant::now();
        let mut ping = [0; 4];
        for n in 1..=20u32 {
            far.line.read_exact(&mut ping).await.unwrap();
            assert_eq!((&ping, began.elapsed()), (b"\r\n\r\n", PING_EVERY * n));
            far.line.write_all(b"\r\n").await.unwrap();
        }
        assert_eq!(far.ended.await.unwrap(), PING_EVERY * 21 + PONG_MAX);
        // One that never answers pings may not know them: it isn't held to them.
        let mut far = connected_by(Pinging::Us);
        far.line.write_all(OPTIONS).await.unwrap();
        assert_eq!(far.ended.await.unwrap(), IDLE_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_says_nothing_is_let_go() {
        let far = connected();
        assert_eq!(far.ended.await.unwrap(), FIRST_MESSAGE_MAX);
        let mut far = connected();
        far.line.write_all(OPTIONS).await.unwrap();
        assert_eq!(far.ended.await.unwrap(), IDLE_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_never_comes_to_an_end_is_let_go() {
        let mut far = connected();
        far.line.write_all(OPTIONS).await.unwrap();
        let began = Instant::now();
        // A byte a second, for ever.
        for byte in OPTIONS.iter().cycle() {
            if far.line.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let waited = began.elapsed();
        assert!(
            waited <= MESSAGE_TIME_MAX + Duration::from_secs(2),
            "{waited:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_sip_ends_it() {
        let mut far = connected();
        far.line.write_all(b"l: x\r\nl: y\r\n\r\n").await.unwrap();
        assert_eq!(far.ended.await.unwrap(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_read_is_let_go() {
        let shared = Arc::new(Semaphore::new(100));
        let message: Arc<[u8]> = Arc::from(vec![b'x'; 600]);
        let mut first = connected();
        let mut choked = first.connection.take().unwrap();
        let mut written = 0;
        while choked.write(Arc::clone(&message), &shared).is_ok() {
            written += 1;
            tokio::task::yield_now().await;
        }
        assert!(
            (228..235).contains(&written),
            "its own and all others may have: {written}"
        );
        // Another connection has its own all the same.
        let mut second = connected();
        let mut connection = second.connection.take().unwrap();
        for _ in 0..UNWRITTEN_OWN {
            assert!(connection.write(Arc::clone(&message), &shared).is_ok());
        }
        assert!(connection.write(Arc::clone(&message), &shared).is_err());
        // What was written could still be read, but nobody does.
        assert!(first.ended.await.unwrap() <= WRITE_MAX);
        assert_eq!(shared.available_permits(), 100, "given back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_written_to_whoever_reads() {
        let shared = Arc::new(Semaphore::new(4_096));
        let mut far = connected();
        let mut connection = far.connection.take().unwrap();
        let message: Arc<[u8]> = Arc::from(vec![b'x'; 600]);
        for _ in 0..2_000 {
            connection.write(Arc::clone(&message), &shared).unwrap();
        }
        let mut read = vec![0; 2_000 * 600];
        far.line.read_exact(&mut read).await.unwrap();
        assert_eq!(shared.available_permits(), 4_096);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_given_up_is_closed() {
        let mut far = connected();
        let mut connection = far.connection.take().unwrap();
        let shared = Arc::new(Semaphore::new(0));
        connection.write(Arc::from(&b"bye"[..]), &shared).unwrap();
        drop(connection);
        let mut read = Vec::new();
        far.line.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"bye");
    }
}
