//! What watchers are told, over real connections.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::rtp::MediaConfig;

/// A pump that gives this answer, as long as it doesn't hold its breath.
struct Pump {
    address: SocketAddr,
    media: Media,
    silent: Arc<AtomicBool>,
    _control: mpsc::Sender<Control>,
}

impl Pump {
    fn start(status: Status) -> Self {
        let (control, mut asked) = mpsc::channel(64);
        let media = MediaConfig {
            ports: 30_000..=30_019,
            ..MediaConfig::default()
        };
        let (media, _) = Media::start(media).unwrap();
        let at = SocketAddr::from(([127, 0, 0, 1], 0));
        let queues = vec!["clinical".to_owned()];
        let address = start(
            at,
            &control,
            media.clone(),
            Live::of_nobody(),
            Feed::of_nobody(),
            queues,
        )
        .unwrap();
        let silent = Arc::new(AtomicBool::new(false));
        let breath = Arc::clone(&silent);
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Some(Control::Status(reply)) = asked.recv().await {
                if breath.load(Ordering::Relaxed) {
                    held.push(reply);
                } else {
                    let _ = reply.send(status.clone());
                }
            }
        });
        Self {
            address,
            media,
            silent,
            _control: control,
        }
    }

    async fn ask(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let question = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(question.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.media.stop();
    }
}

#[tokio::test]
async fn a_store_that_fails_is_told_and_the_node_stays() {
    let mut status = Status::quiet(Duration::from_secs(60));
    status.desk.events_lost = 7;
    status.desk.tickets_failed = 3;
    status.pump.store_failed = 5;
    let pump = Pump::start(status.clone());
    let said = pump.ask("/ready").await;
    assert!(
        said.starts_with("HTTP/1.1 200") && said.ends_with("\ntakes calls\n"),
        "{said}"
    );
    let text = pump.ask("/metrics").await;
    for line in [
        "careline_store_failed_total 5",
        "careline_journal_lost_total 7",
        "careline_tickets_failed_total 3",
        "careline_store_oldest_write_seconds 0.0",
    ] {
        assert!(text.contains(line), "{line} isn't in {text}");
    }
    // The last write failed; or one hangs.
    let failing = Status {
        store_failing: true,
        ..status.clone()
    };
    status.desk.oldest_commit = Some(Duration::from_secs(57));
    for status in [failing, status] {
        let pump = Pump::start(status);
        let said = pump.ask("/ready").await;
        assert!(
            said.starts_with("HTTP/1.1 200") && said.contains("store down"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn the_oldest_wait_of_each_queue_is_told() {
    let mut status = Status::quiet(Duration::from_secs(60));
    let view = |queue, oldest: Option<u64>| acd::QueueView {
        queue: acd::QueueId(queue),
        waiting: 0,
        signed_in: 0,
        free: 0,
        oldest: oldest.map(Duration::from_secs),
    };
    status.queues = vec![view(1, Some(18)), view(2, None)];
    let text = Pump::start(status).ask("/metrics").await;
    for line in [
        "careline_queue_oldest_wait_seconds{queue=\"clinical\"} 42.0",
        "careline_queue_oldest_wait_seconds{queue=\"2\"} 0.0",
    ] {
        assert!(text.contains(line), "{line} isn't in {text}");
    }
}

#[tokio::test]
async fn however_many_watch_a_pump_that_answers_is_alive() {
    let pump = Pump::start(Status::quiet(Duration::ZERO));
    let all = (0..50).map(|_| async { pump.ask("/health").await });
    for said in all_of(all).await {
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    }
    // Readers of metrics, and whoever says nothing, don't stand in their way.
    let mut quiet = Vec::new();
    for _ in 0..listener::CONNECTIONS_MAX - 20 {
        quiet.push(TcpStream::connect(pump.address).await.unwrap());
    }
    pump.silent.store(true, Ordering::Relaxed);
    let readers = (0..READERS_MAX + 2).map(|_| async { pump.ask("/metrics").await });
    let said = all_of(readers).await;
    let of = |code: &str| said.iter().filter(|said| said.contains(code)).count();
    assert_eq!((of("HTTP/1.1 429"), of("HTTP/1.1 503")), (2, READERS_MAX));
    assert!(pump.ask("/health").await.starts_with("HTTP/1.1 503"));
    pump.silent.store(false, Ordering::Relaxed);
    assert!(pump.ask("/health").await.starts_with("HTTP/1.1 200"));
    // Said nothing for too long.
    let began = std::time::Instant::now();
    assert_eq!(quiet[0].read(&mut [0; 8]).await.unwrap_or(0), 0);
    assert!(began.elapsed() <= listener::CONNECTION_MAX);
}

/// All at once.
async fn all_of<T>(futures: impl Iterator<Item = T>) -> Vec<String>
where
    T: Future<Output = String>,
{
    let mut waiting: Vec<_> = futures.map(Box::pin).collect();
    let mut said = Vec::new();
    std::future::poll_fn(|cx| {
        waiting.retain_mut(|one| match one.as_mut().poll(cx) {
            std::task::Poll::Ready(answer) => {
                said.push(answer);
                false
            }
            std::task::Poll::Pending => true,
        });
        if waiting.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    said
}
