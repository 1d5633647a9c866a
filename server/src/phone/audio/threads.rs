//! Audio over UDP: the media threads, and one thread that listens for all phones.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use media::engine::{Command, Event, Heard, LegId};
use media::sdp::Negotiated;
use tokio::sync::mpsc;

use super::{Ear, Line, TICK};
use crate::rtp::{HeardFrame, Media, MediaConfig, MediaError, ThreadHint};

/// Most frames that wait for the listener: five seconds of a hundred phones.
const FRAMES_MAX: usize = 25_000;
/// Most new legs that wait for it.
const CONTROLS_MAX: usize = 4_096;

/// Media threads for phones, apart from the server's own. Cheap to clone; they end with the last clone.
#[derive(Debug, Clone)]
pub struct PhoneAudio {
    media: Media,
    bind: IpAddr,
    controls: mpsc::Sender<Control>,
    frames: mpsc::Sender<HeardFrame>,
}

/// What the listener is told.
enum Control {
    Opened { leg: LegId, ear: Box<Ear> },
    Connected { leg: LegId },
}

impl PhoneAudio {
    /// Starts media threads, and a thread that listens. Legs are bound to the first of `config`'s addresses.
    ///
    /// # Errors
    /// See [`Media::start`].
    pub fn start(config: MediaConfig) -> Result<PhoneAudio, MediaError> {
        let bind = config
            .bind
            .first()
            .copied()
            .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let (media, events) = Media::start(config)?;
        let (controls, controls_rx) = mpsc::channel(CONTROLS_MAX);
        let (frames, frames_rx) = mpsc::channel(FRAMES_MAX);
        let system = |source| MediaError::System {
            what: "starting the listening thread",
            source,
        };
        // A runtime of its own: what is heard, and when, doesn't depend on how busy the phones' one is.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(system)?;
        std::thread::Builder::new()
            .name("phone-ears".to_owned())
            .spawn(move || runtime.block_on(listen(controls_rx, frames_rx, events)))
            .map_err(system)?;
        Ok(PhoneAudio {
            media,
            bind,
            controls,
            frames,
        })
    }

    /// The media threads themselves, for their figures.
    pub fn media(&self) -> &Media {
        &self.media
    }

    pub(super) fn bind(&self) -> IpAddr {
        self.bind
    }

    pub(super) fn open(&self, ear: Ear) -> Result<Line, MediaError> {
        let opened = self.media.open(ThreadHint::Any, self.bind)?;
        let leg = opened.leg;
        let known = self
            .controls
            .try_send(Control::Opened {
                leg,
                ear: Box::new(ear),
            })
            .map_err(|_| MediaError::Busy);
        if let Err(error) = known.and_then(|()| self.media.listen(leg, self.frames.clone())) {
            let _ = self.media.command(Command::Close { leg });
            return Err(error);
        }
        Ok(Line {
            leg,
            address: SocketAddr::new(self.bind, opened.port),
        })
    }

    pub(super) fn connect(&self, leg: LegId, negotiated: Negotiated) -> Result<(), MediaError> {
        self.controls
            .try_send(Control::Connected { leg })
            .map_err(|_| MediaError::Busy)?;
        self.media.command(Command::Connect {
            leg,
            negotiated,
            natted: None,
        })
    }

    pub(super) fn command(&self, command: Command) -> Result<(), MediaError> {
        self.media.command(command)
    }
}

/// Listens until the last handle is gone.
async fn listen(
    mut controls: mpsc::Receiver<Control>,
    mut frames: mpsc::Receiver<HeardFrame>,
    mut events: mpsc::Receiver<Event>,
) {
    let epoch = Instant::now();
    let mut ears: HashMap<LegId, Box<Ear>> = HashMap::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            control = controls.recv() => match control {
                Some(control) => take(&mut ears, control, &epoch),
                None => return,
            },
            Some(frame) = frames.recv() => hear(&mut ears, &frame, &epoch),
            Some(event) = events.recv() => {
                // What was posted before it is known before it.
                while let Ok(control) = controls.try_recv() {
                    take(&mut ears, control, &epoch);
                }
                while let Ok(frame) = frames.try_recv() {
                    hear(&mut ears, &frame, &epoch);
                }
                let leg = event.leg();
                let closed = matches!(event, Event::Closed { .. });
                if let Some(ear) = ears.get_mut(&leg) {
                    ear.media(epoch.elapsed(), event);
                }
                if closed {
                    ears.remove(&leg);
                }
            }
            _ = ticks.tick(), if !ears.is_empty() => {
                let now = epoch.elapsed();
                ears.values_mut().for_each(|ear| ear.tick(now));
            }
        }
    }
}

fn take(ears: &mut HashMap<LegId, Box<Ear>>, control: Control, epoch: &Instant) {
    match control {
        Control::Opened { leg, ear } => {
            ears.insert(leg, ear);
        }
        Control::Connected { leg } => {
            if let Some(ear) = ears.get_mut(&leg) {
                ear.connected(epoch.elapsed());
            }
        }
    }
}

fn hear(ears: &mut HashMap<LegId, Box<Ear>>, frame: &HeardFrame, epoch: &Instant) {
    if let Some(ear) = ears.get_mut(&frame.leg) {
        let heard = Heard {
            sequence: frame.sequence,
            timestamp: frame.timestamp,
            codec: frame.codec,
            payload: &frame.payload,
        };
        ear.packet(epoch.elapsed(), &heard);
    }
}
