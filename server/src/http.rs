//! Health and metrics over HTTP, for whoever watches this process.
//!
//! | path | says |
//! |---|---|
//! | `/health` | 200 as long as the pump answers: otherwise start the process anew |
//! | `/ready` | 200 as long as new calls are taken: otherwise send them elsewhere |
//! | `/metrics` | counts and gauges, in Prometheus' text form |
//!
//! On a thread of its own: nobody's curiosity delays a call. Nothing here is
//! about a person.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::node::{Control, Status};
use crate::rtp::{Figures, LATENESS_BOUNDS_US, Media};

/// How long the pump may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// Questions answered at a time; more are told to come again.
const AT_ONCE: usize = 8;

/// What is asked of whom.
#[derive(Clone)]
struct Sources {
    /// Weak: watching doesn't keep the process alive.
    control: mpsc::WeakSender<Control>,
    media: Media,
    /// Queues' names by id, from 1.
    queues: Arc<[String]>,
    room: Arc<Semaphore>,
}

/// Serves on this address until the process ends. Gives the address bound.
///
/// # Errors
/// When the address can't be had.
pub fn start(
    bind: SocketAddr,
    control: &mpsc::Sender<Control>,
    media: Media,
    queues: Vec<String>,
) -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(bind)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let sources = Sources {
        control: control.downgrade(),
        media,
        queues: queues.into(),
        room: Arc::new(Semaphore::new(AT_ONCE)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("http".into())
        .spawn(move || {
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                axum::serve(listener, router(sources)).await
            });
            if let Err(error) = served {
                tracing::error!(%error, "HTTP ended");
            }
        })?;
    Ok(address)
}

fn router(sources: Sources) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(sources)
}

/// None when the pump doesn't answer in time, or too many ask.
async fn status(sources: &Sources) -> Option<Status> {
    let _room = sources.room.try_acquire().ok()?;
    let control = sources.control.upgrade()?;
    let (reply, answer) = oneshot::channel();
    let asked = async {
        control.send(Control::Status(reply)).await.ok()?;
        answer.await.ok()
    };
    tokio::time::timeout(ANSWER_MAX, asked).await.ok()?
}

async fn health(State(sources): State<Sources>) -> (StatusCode, &'static str) {
    match status(&sources).await {
        Some(_) => (StatusCode::OK, "alive\n"),
        None => (
            StatusCode::SERVICE_UNAVAILABLE,
            "signalling doesn't answer\n",
        ),
    }
}

async fn ready(State(sources): State<Sources>) -> (StatusCode, &'static str) {
    match status(&sources).await {
        Some(status) if !status.draining => (StatusCode::OK, "takes calls\n"),
        Some(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "draining: takes no new calls\n",
        ),
        None => (
            StatusCode::SERVICE_UNAVAILABLE,
            "signalling doesn't answer\n",
        ),
    }
}

async fn metrics(State(sources): State<Sources>) -> Response {
    let Some(status) = status(&sources).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let snapshot = Snapshot {
        status,
        media: sources.media.figures(),
        queues: Arc::clone(&sources.queues),
    };
    let mut registry = Registry::with_prefix("careline");
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Everything at one moment.
#[derive(Debug)]
struct Snapshot {
    status: Status,
    media: Figures,
    queues: Arc<[String]>,
}

type Labels = Vec<(&'static str, String)>;

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Snapshot {
            status,
            media,
            queues,
        } = self;
        let Status {
            calls,
            emergency_calls,
            draining,
            switch,
            kept: (legs, transactions, _),
            pump,
            prompts,
            desk,
            ..
        } = status;
        let version = [("version", env!("CARGO_PKG_VERSION").to_owned())].to_vec();
        let mut out = Out(&mut encoder);
        out.family("build_info", "What runs", [(version, 1)])?;
        out.gauge("calls", "Calls in progress", *calls)?;
        out.gauge(
            "draining",
            "1 when no new calls are taken",
            u8::from(*draining),
        )?;
        out.gauge(
            "emergency_calls_live",
            "Calls to emergency services in progress",
            *emergency_calls,
        )?;
        out.counter(
            "emergency_calls",
            "Calls to emergency services",
            switch.emergency_calls,
        )?;
        out.counter(
            "emergency_connected",
            "Answers of emergency services",
            switch.emergency_connected,
        )?;
        out.counter(
            "emergency_unplaced",
            "Calls to emergency services that no trunk took at once",
            switch.emergency_unplaced,
        )?;
        out.counter("calls_admitted", "Calls admitted", switch.admitted)?;
        out.counter(
            "calls_refused",
            "Calls refused by admission",
            switch.refused,
        )?;
        out.counter("calls_ended", "Calls ended", switch.ended)?;
        out.counter(
            "calls_panicked",
            "Calls ended by a bug in them",
            switch.panics,
        )?;
        out.counter(
            "numbers_unknown",
            "Calls to numbers that aren't ours",
            switch.unknown_numbers,
        )?;
        out.counter(
            "targets_forbidden",
            "Agents' and flows' transfers, and agents' questions, to where the dial rules don't lead",
            switch.targets_forbidden,
        )?;
        out.counter(
            "redirects_followed",
            "Answers of trunks that sent a call on (3xx), followed",
            switch.redirects_followed,
        )?;
        out.counter(
            "redirects_refused",
            "Answers of trunks that sent a call on (3xx), not followed",
            switch.redirects_refused,
        )?;
        out.counter(
            "sign_ins_challenged",
            "Requests without a password",
            switch.challenged,
        )?;
        out.counter(
            "sign_ins_refused",
            "Requests with a wrong password or user",
            switch.sign_ins_refused,
        )?;
        out.gauge("sip_legs", "SIP call legs", *legs)?;
        out.gauge("sip_transactions", "SIP transactions", *transactions)?;
        out.counter("sip_datagrams", "SIP datagrams received", pump.datagrams)?;
        out.counter(
            "sip_stream_messages",
            "SIP messages received over connections",
            pump.messages,
        )?;
        out.counter(
            "sip_unreadable",
            "Of both, those that were no SIP",
            pump.unreadable,
        )?;
        out.counter(
            "sip_unsent",
            "SIP datagrams lost in a full socket",
            pump.unsent,
        )?;
        out.counter(
            "prompts_missed",
            "Prompts not had in time",
            switch.prompts_missed,
        )?;
        out.counter(
            "prompts_shortened",
            "Prompts played without a part not had in time",
            prompts.shortened,
        )?;
        out.counter(
            "desk_unanswered",
            "Commands the desk never answered",
            switch.desk_unanswered,
        )?;
        out.counter(
            "journal_dropped",
            "Journey events left out",
            switch.journey_dropped,
        )?;
        out.gauge("store_writes", "Writes under way", desk.commits_in_flight)?;
        out.counter(
            "store_refused",
            "Writes the store didn't take",
            pump.store_refused,
        )?;
        out.gauge("media_legs", "Media legs open", media.legs)?;
        out.gauge(
            "media_ports_free",
            "Pairs of RTP ports not in use",
            media.ports_free,
        )?;
        out.counter(
            "media_refused",
            "Media legs that could not be opened",
            pump.media_refused,
        )?;
        out.counter(
            "rtp_packets_received",
            "RTP and RTCP packets received",
            media.packets_in,
        )?;
        out.counter(
            "rtp_packets_sent",
            "RTP and RTCP packets sent",
            media.packets_out,
        )?;
        out.counter(
            "rtp_packets_unsent",
            "Packets the system didn't take",
            media.packets_unsent,
        )?;
        out.counter(
            "media_slots",
            "Milliseconds in which media threads worked",
            media.slots,
        )?;
        out.counter(
            "media_slots_late",
            "Of these, begun over a millisecond late",
            media.slots_late,
        )?;
        // Cumulative, by upper bound in seconds: what `histogram_quantile` takes.
        let bounds = LATENESS_BOUNDS_US.map(|us| (us as f64 / 1e6).to_string());
        let bounds = bounds.into_iter().chain(["+Inf".to_owned()]);
        let classes = bounds.zip(media.lateness).scan(0, |begun, (bound, count)| {
            *begun += count;
            Some(([("le", bound)].to_vec(), *begun))
        });
        out.counters(
            "media_slots_by_lateness",
            "Slots that began no later than so many seconds",
            classes,
        )?;
        let cpu = media.cpu_us as f64 / 1e6;
        out.counter(
            "media_cpu_seconds",
            "Processor time of the media threads",
            cpu,
        )?;
        let name = |id: u32| {
            let name = (id as usize).checked_sub(1).and_then(|at| queues.get(at));
            [("queue", name.cloned().unwrap_or_else(|| id.to_string()))].to_vec()
        };
        let waiting = status
            .queues
            .iter()
            .map(|queue| (name(queue.queue.0), queue.waiting));
        out.family(
            "queue_waiting",
            "Who waits, without those being offered",
            waiting,
        )?;
        let agents = status
            .queues
            .iter()
            .map(|queue| (name(queue.queue.0), queue.signed_in));
        out.family("queue_agents", "Agents signed in", agents)?;
        let free = status
            .queues
            .iter()
            .map(|queue| (name(queue.queue.0), queue.free));
        out.family("queue_agents_free", "Agents free", free)?;
        let trunk = |name: &String| [("trunk", name.clone())].to_vec();
        let loads = status.trunks.iter().map(|it| (trunk(&it.name), it.calls));
        out.family("trunk_calls", "Calls on the trunk", loads)?;
        let alive = status
            .trunks
            .iter()
            .map(|it| (trunk(&it.name), it.gateways_alive as u32));
        out.family("trunk_gateways_alive", "Gateways that work", alive)?;
        let registered = status.trunks.iter().filter_map(|it| {
            let registered = it.registered?;
            Some((trunk(&it.name), u32::from(registered)))
        });
        out.family(
            "trunk_registered",
            "Whether we are registered at the trunk's provider",
            registered,
        )
    }
}

/// Writes one metric after the other.
struct Out<'a, 'e>(&'a mut DescriptorEncoder<'e>);

impl Out<'_, '_> {
    fn metric(&mut self, name: &str, help: &str, metric: &impl EncodeMetric) -> std::fmt::Result {
        let kind = metric.metric_type();
        metric.encode(self.0.encode_descriptor(name, help, None, kind)?)
    }

    fn counter<T>(&mut self, name: &str, help: &str, value: T) -> std::fmt::Result
    where
        ConstCounter<T>: EncodeMetric,
    {
        self.metric(name, help, &ConstCounter::new(value))
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl TryInto<i64>) -> std::fmt::Result {
        let value = value.try_into().unwrap_or(i64::MAX);
        self.metric(name, help, &ConstGauge::new(value))
    }

    fn family(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, u32)>,
    ) -> std::fmt::Result {
        let family = Family::<Labels, Gauge>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(value.into());
        }
        self.metric(name, help, &family)
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, u64)>,
    ) -> std::fmt::Result {
        use prometheus_client::metrics::counter::Counter;
        let family = Family::<Labels, Counter>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).inc_by(value);
        }
        self.metric(name, help, &family)
    }
}
