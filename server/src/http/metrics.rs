//! Everything at one moment, in Prometheus' text form.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::feed::Standing;
use crate::figures::Today;
use crate::node::Status;
use crate::rtp::{Figures, JITTER_BOUNDS_US, LATENESS_BOUNDS_US, LOSS_BOUNDS_MILLI};

/// As Prometheus reads it.
pub(super) fn text(snapshot: Snapshot) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("careline");
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

/// Everything at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) status: Status,
    pub(super) media: Figures,
    /// Hospitals' queues today.
    pub(super) today: Vec<Today>,
    /// Those who are told the log.
    pub(super) told: Vec<Standing>,
    /// Queues' names by id, from 1.
    pub(super) queues: Arc<[String]>,
}

type Labels = Vec<(&'static str, String)>;

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Snapshot {
            status,
            media,
            today,
            told,
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
        out.counter(
            "emergency_called_back",
            "Calls from emergency services to telephones that had called them",
            switch.emergency_called_back,
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
        out.counter("actions", "HTTP actions that flows called", switch.actions)?;
        let failed = [
            ("said no", switch.actions_failed),
            ("too late", switch.actions_timed_out),
            ("too many at a time", switch.actions_crowded),
        ];
        let failed = failed.map(|(why, count)| ([("why", why.to_owned())].to_vec(), count));
        out.counters(
            "actions_failed",
            "Of these, those without an answer",
            failed,
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
        out.counter(
            "store_failed",
            "Writes that the store took and couldn't make durable",
            pump.store_failed,
        )?;
        out.seconds(
            "store_oldest_write_seconds",
            "How long the oldest write under way has waited for the store",
            status.oldest_write(),
        )?;
        out.counter(
            "journal_lost",
            "Events that became a gap in the log, since the store didn't take them",
            desk.events_lost,
        )?;
        out.counter(
            "tickets_failed",
            "Tickets that callers didn't get",
            desk.tickets_failed,
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
        out.counters(
            "media_slots_by_lateness",
            "Slots that began no later than so many seconds",
            cumulative(&LATENESS_BOUNDS_US, 1e6, &media.lateness),
        )?;
        let quality = &media.quality;
        out.counters(
            "media_legs_by_loss",
            "Legs closed of whose packets no larger share was lost on the way here",
            cumulative(&LOSS_BOUNDS_MILLI, 1e3, &quality.loss),
        )?;
        out.counters(
            "media_legs_by_remote_loss",
            "The same on the way there, as the far side reported",
            cumulative(&LOSS_BOUNDS_MILLI, 1e3, &quality.remote_loss),
        )?;
        out.counters(
            "media_legs_by_jitter",
            "Legs closed whose packets came with no more jitter than so many seconds",
            cumulative(&JITTER_BOUNDS_US, 1e6, &quality.jitter),
        )?;
        out.counter(
            "rtp_packets_forged",
            "Packets of encrypted legs with a wrong tag, once the leg is closed",
            quality.forged,
        )?;
        out.counter(
            "rtp_packets_ignored",
            "Packets that weren't taken, once the leg is closed",
            quality.ignored,
        )?;
        out.counter(
            "audio_one_way",
            "Times that audio was found to go one way",
            switch.one_way,
        )?;
        out.counter(
            "encryption_ended",
            "Encrypted calls that went on in the clear",
            switch.now_in_clear,
        )?;
        out.counter(
            "sdp_answers_unusable",
            "Answers to offers of ours that couldn't be used",
            switch.answers_unusable,
        )?;
        out.counter(
            "media_busy",
            "Commands that a media thread had no room for",
            pump.media_busy,
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
        // Zero where nobody waits: an alert is then a comparison, and no queue is missing.
        let oldest = status.queues.iter().map(|queue| {
            let since = queue.oldest.unwrap_or(status.at);
            (name(queue.queue.0), status.at.saturating_sub(since))
        });
        out.family_of_seconds(
            "queue_oldest_wait_seconds",
            "How long whoever waits longest has waited, those being offered among them",
            oldest,
        )?;
        let free = status
            .queues
            .iter()
            .map(|queue| (name(queue.queue.0), queue.free));
        out.family("queue_agents_free", "Agents free", free)?;
        out.today(today, queues)?;
        out.told(told)?;
        let trunk = |name: &String| [("trunk", name.clone())].to_vec();
        let loads = status.trunks.iter().map(|it| (trunk(&it.name), it.calls));
        out.family("trunk_calls", "Calls on the trunk, both ways", loads)?;
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

/// Cumulative, by upper bound: what `histogram_quantile` takes. `scale` of the bounds' unit is one of the metric's.
fn cumulative(
    bounds: &[u64],
    scale: f64,
    classes: &[u64],
) -> impl Iterator<Item = (Vec<(&'static str, String)>, u64)> {
    let bounds = bounds
        .iter()
        .map(move |bound| (*bound as f64 / scale).to_string());
    let bounds = bounds.chain(["+Inf".to_owned()]);
    bounds.zip(classes).scan(0, |so_far, (bound, count)| {
        *so_far += count;
        Some(([("le", bound)].to_vec(), *so_far))
    })
}

/// Writes one metric after the other.
struct Out<'a, 'e>(&'a mut DescriptorEncoder<'e>);

impl Out<'_, '_> {
    /// The service desk's figures of today, folded from the log.
    fn today(&mut self, today: &[Today], queues: &[String]) -> std::fmt::Result {
        let labels = |it: &Today| -> Labels {
            let name = (it.queue.0 as usize).checked_sub(1);
            let name = name.and_then(|at| queues.get(at)).cloned();
            let name = name.unwrap_or_else(|| it.queue.0.to_string());
            vec![("hospital", it.hospital.clone()), ("queue", name)]
        };
        let each = |figure: fn(&Today) -> Option<f64>| {
            today
                .iter()
                .filter_map(move |it| Some((labels(it), figure(it)?)))
        };
        self.reals(
            "desk_waiting",
            "Callers who wait, those being offered included",
            each(|it| Some(it.waiting as f64)),
        )?;
        self.reals(
            "desk_oldest_wait_seconds",
            "How long the one who waits longest has",
            each(|it| Some(it.oldest_wait_ms as f64 / 1e3)),
        )?;
        self.reals(
            "desk_today_offered",
            "Visits to the queue begun today",
            each(|it| Some(it.service.queued as f64)),
        )?;
        self.reals(
            "desk_today_answered",
            "Of these, answered",
            each(|it| Some(it.service.answered as f64)),
        )?;
        self.reals(
            "desk_today_abandoned",
            "Of these, abandoned, without those who hung up at once",
            each(|it| Some((it.service.abandoned - it.service.abandoned_short) as f64)),
        )?;
        self.reals(
            "desk_today_service_level",
            "Strict service level of today, 0 to 1; absent while nobody was served",
            each(|it| it.service.service_level().value()),
        )?;
        self.reals(
            "desk_today_complete",
            "0 when events of today are missing in the log",
            each(|it| Some(f64::from(u8::from(it.complete)))),
        )
    }

    /// Webhooks.
    fn told(&mut self, told: &[Standing]) -> std::fmt::Result {
        let labels = |it: &Standing| -> Labels {
            vec![
                ("hospital", it.hospital.clone()),
                ("webhook", it.name.clone()),
            ]
        };
        let each =
            |figure: fn(&Standing) -> u64| told.iter().map(move |it| (labels(it), figure(it)));
        self.counters(
            "webhook_taken",
            "Events that a webhook has taken",
            each(|it| it.taken),
        )?;
        self.counters(
            "webhook_failed",
            "Tries to tell a webhook an event that failed",
            each(|it| it.failed),
        )?;
        self.counters(
            "webhook_refused",
            "Events that a webhook refused for good, and which were left out",
            each(|it| it.refused),
        )?;
        self.reals(
            "webhook_behind",
            "Events of the log that a webhook hasn't come to yet",
            told.iter().map(|it| (labels(it), it.behind as f64)),
        )?;
        self.reals(
            "webhook_gone",
            "1 when a webhook said that it is gone (410) and is told nothing more",
            told.iter()
                .map(|it| (labels(it), f64::from(u8::from(it.gone)))),
        )
    }

    fn reals(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, f64)>,
    ) -> std::fmt::Result {
        let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(value);
        }
        self.metric(name, help, &family)
    }

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

    fn seconds(&mut self, name: &str, help: &str, value: Duration) -> std::fmt::Result {
        self.metric(name, help, &ConstGauge::new(value.as_secs_f64()))
    }

    fn family_of_seconds(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, Duration)>,
    ) -> std::fmt::Result {
        let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(value.as_secs_f64());
        }
        self.metric(name, help, &family)
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
