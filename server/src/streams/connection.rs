//! One connection: what is read from it and written to it.

use std::sync::Arc;
use std::time::Duration;

use sip::wire::{Framed, Framer};
use sip::{Peer, WireError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

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
const READ_BYTES: usize = 4_096;
const PONG: &[u8] = b"\r\n";

/// The table's end of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) serial: u64,
    /// None once the connection is to be closed.
    queue: Option<mpsc::Sender<Outgoing>>,
}

/// The task's end.
pub(super) struct Queue {
    outgoing: mpsc::Receiver<Outgoing>,
    /// For the answers to pings.
    pongs: mpsc::WeakSender<Outgoing>,
}

#[derive(Debug)]
enum Outgoing {
    Bytes(Arc<[u8]>),
    Pong,
}

impl Connection {
    pub(super) fn new(serial: u64, unwritten_max: usize) -> (Self, Queue) {
        let (queue, outgoing) = mpsc::channel(unwritten_max);
        let pongs = queue.downgrade();
        let queue = Some(queue);
        (Self { serial, queue }, Queue { outgoing, pongs })
    }

    /// Queues a message. When too much waits already, the connection is closed instead: its far
    /// end doesn't read. What is queued for a connection that has just ended is lost, which its end
    /// tells.
    pub(super) fn write(&mut self, bytes: Arc<[u8]>) -> Result<(), Choked> {
        let queued = self
            .queue
            .as_ref()
            .map(|queue| queue.try_send(Outgoing::Bytes(bytes)));
        if let Some(Err(mpsc::error::TrySendError::Full(_))) = queued {
            self.queue = None;
            return Err(Choked);
        }
        Ok(())
    }
}

/// The far end doesn't read.
#[derive(Debug)]
pub(super) struct Choked;

/// Reads and writes until either can't go on.
pub(super) async fn converse(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin,
    peer: Peer,
    queue: Queue,
    arrived: &mpsc::Sender<Arrived>,
) {
    let (reader, writer) = tokio::io::split(stream);
    tokio::select! {
        () = read(reader, peer, &queue.pongs, arrived) => {}
        () = write(writer, queue.outgoing) => {}
    }
}

async fn write(mut writer: impl AsyncWrite + Unpin, mut outgoing: mpsc::Receiver<Outgoing>) {
    while let Some(next) = outgoing.recv().await {
        let bytes = match &next {
            Outgoing::Bytes(bytes) => bytes,
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
    pongs: &mpsc::WeakSender<Outgoing>,
    arrived: &mpsc::Sender<Arrived>,
) {
    let mut framer = Framer::default();
    let mut buffer = [0; READ_BYTES];
    let mut until = Instant::now() + FIRST_MESSAGE_MAX;
    let mut begun = false;
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
        // A message has its time from its first byte on, however many bytes it comes in.
        let now = Instant::now();
        match (whole, framer.begun()) {
            (_, false) => until = now + IDLE_MAX,
            (true, true) => until = now + MESSAGE_TIME_MAX,
            (false, true) if !begun => until = until.min(now + MESSAGE_TIME_MAX),
            (false, true) => {}
        }
        begun = framer.begun();
    }
}
