//! The floor: what a playing call costs on this machine if a server does
//! nothing but send a packet and receive one every 20 ms, on a socket for each
//! call, from a clock of a millisecond, watched by epoll. How far above it
//! Careline is says more than a percentage that the machine's neighbours move.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use media::codec::FRAME_SAMPLES;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

use crate::audio::{bound, clock_ns, nanoseconds};
use crate::figures::Sample;
use crate::process;

const CALLS: usize = 500;
/// Milliseconds between two packets of a call.
const PHASES: usize = 20;
const PACKET: [u8; 12 + FRAME_SAMPLES] = [0x55; 12 + FRAME_SAMPLES];

/// What the bare loop showed.
pub(crate) struct Floor {
    /// Percent of a core for each call: of five windows of a second, all but the first.
    pub(crate) percent: Vec<f64>,
    /// From one packet sent to a call to the next.
    pub(crate) gaps_ms: Sample,
}

pub(crate) fn measure() -> io::Result<Floor> {
    let phone = bound(0)?;
    let to = phone.local_addr()?;
    let legs: Vec<UdpSocket> = (0..CALLS).map(|_| bound(0)).collect::<Result<_, _>>()?;
    let ports: Vec<SocketAddr> = legs
        .iter()
        .map(UdpSocket::local_addr)
        .collect::<Result<_, _>>()?;
    for leg in &legs {
        leg.connect(to)?;
    }
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            process::on_servers_core();
            let spent = serve(&legs);
            over.store(true, Ordering::Relaxed);
            spent
        });
        let mut buffer = [0; 256];
        each_millisecond(|slot| {
            for to in ports.iter().skip(slot % PHASES).step_by(PHASES) {
                // What the system doesn't take is missing on the other side too.
                let _ = phone.send_to(&PACKET, to);
            }
            while phone.recv(&mut buffer).is_ok() {}
            !over.load(Ordering::Relaxed)
        });
        server
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the floor's thread panicked")))
    })
}

fn serve(legs: &[UdpSocket]) -> io::Result<Floor> {
    const WINDOWS: usize = 5;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (index, leg) in legs.iter().enumerate() {
        let once = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll.add(leg, EpollEvent::new(once, index as u64))?;
    }
    let mut ready = [EpollEvent::empty(); 256];
    let mut buffer = [0; 256];
    let mut spent = Vec::new();
    let mut before = 0;
    let mut gaps_ms = Sample::default();
    let mut sent_at = vec![0; legs.len()];
    each_millisecond(|slot| {
        if slot % 1_000 == 0 {
            let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, nanoseconds);
            spent.push((now - before) as f64 / 1e9 * 100.0 / CALLS as f64);
            before = now;
        }
        for index in (slot % PHASES..legs.len()).step_by(PHASES) {
            let _ = legs[index].send(&PACKET);
            let now = clock_ns();
            let before = std::mem::replace(&mut sent_at[index], now);
            if slot >= 1_000 {
                gaps_ms.add((now - before) as f64 / 1e6);
            }
        }
        let count = epoll.wait(&mut ready, EpollTimeout::ZERO).unwrap_or(0);
        for event in &ready[..count] {
            while legs[event.data() as usize].recv(&mut buffer).is_ok() {}
        }
        slot < WINDOWS * 1_000
    });
    // Before the first window, and the first itself, which finds every cache cold.
    Ok(Floor {
        percent: spent.split_off(2),
        gaps_ms,
    })
}

/// Calls `slot` with 0, 1, … at a millisecond's clock until it says no.
fn each_millisecond(mut slot: impl FnMut(usize) -> bool) {
    let mut due = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, nanoseconds);
    for number in 0.. {
        if !slot(number) {
            return;
        }
        due += Duration::from_millis(1).as_nanos() as i64;
        let until = TimeSpec::new(due / 1_000_000_000, due % 1_000_000_000);
        let flags = ClockNanosleepFlags::TIMER_ABSTIME;
        let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, flags, &until);
    }
}
