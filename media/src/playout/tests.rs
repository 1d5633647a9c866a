use super::*;

/// A voice: a pitch of 125 Hz, slowly changing, with overtones; 8 kHz.
fn voice(samples: usize) -> Vec<i16> {
    let mut phase = 0.0f64;
    (0..samples)
        .map(|n| {
            let at = n as f64 / 8_000.0;
            phase += (125.0 + 10.0 * (at * 2.1).sin()) / 8_000.0;
            let turn = phase * std::f64::consts::TAU;
            let sum = turn.sin() + 0.6 * (2.0 * turn).sin() + 0.4 * (5.0 * turn).sin();
            (sum * 4_000.0 * (1.2 + (at * 6.0).sin()) / 2.2) as i16
        })
        .collect()
}

/// Segmental signal-to-noise ratio in dB over frames of 20 ms, each between −10 and 35 (the usual bounds).
fn segmental_snr(clean: &[i16], heard: &[i16]) -> f64 {
    let mut sum = 0.0;
    let mut count = 0;
    for (clean, heard) in clean.chunks_exact(160).zip(heard.chunks_exact(160)) {
        let signal: f64 = clean.iter().map(|s| f64::from(*s).powi(2)).sum();
        if signal < 160.0 * 100.0 * 100.0 {
            continue;
        }
        let noise: f64 = clean
            .iter()
            .zip(heard)
            .map(|(one, other)| (f64::from(*one) - f64::from(*other)).powi(2))
            .sum();
        sum += (10.0 * (signal / noise.max(1.0)).log10()).clamp(-10.0, 35.0);
        count += 1;
    }
    sum / f64::from(count)
}

/// What network does to packet `n`: its delay in ms, or none if it is lost.
type Fate = fn(u64) -> Option<u64>;

/// Plays `frames` packets that arrive so, with a sender's clock off by `drift_ppm`. What was heard, and how many frames
/// were audio, concealed, silence.
fn play(sent: &[i16], fate: Fate, drift_ppm: i64) -> (Vec<i16>, [usize; 3], Playout) {
    let mut arrivals: Vec<(u64, u64)> = (0..sent.len() as u64 / 160)
        .filter_map(|n| {
            let sent_us = (n * 20_000) as i64 + n as i64 * 20_000 * drift_ppm / 1_000_000;
            Some((sent_us as u64 + fate(n)? * 1_000, n))
        })
        .collect();
    arrivals.sort_unstable();
    let mut arrivals = arrivals.into_iter().peekable();
    let mut playout = Playout::default();
    let (mut heard, mut counts) = (Vec::new(), [0; 3]);
    // Slots fall between arrivals.
    for slot in 0..sent.len() as u64 / 160 {
        let slot_us = slot * 20_000 + 7_000;
        while let Some((at_us, n)) = arrivals.next_if(|(at_us, _)| *at_us <= slot_us) {
            let from = n as usize * 160;
            let audio = sent[from..from + 160].iter().copied();
            playout.packet(Duration::from_micros(at_us), 77_000 + n as u32 * 160, audio);
        }
        let (frame, played) = playout.frame();
        counts[played as usize] += 1;
        heard.extend(frame);
    }
    (heard, counts, playout)
}

/// The shift, in samples, at which what was heard from `from` on is most like what was sent; and the ratio there.
fn aligned(sent: &[i16], heard: &[i16], from: usize) -> (usize, f64) {
    (0..2_400)
        .map(|shift| (shift, segmental_snr(&sent[from - shift..], &heard[from..])))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap()
}

#[test]
fn a_good_network_changes_nothing_and_costs_a_frame() {
    let sent = voice(80_000);
    let (heard, counts, playout) = play(&sent, |_| Some(5), 0);
    let (shift, ratio) = aligned(&sent, &heard, 8_000);
    assert!(shift <= 320 && ratio == 35.0, "{shift} {ratio}");
    assert!(counts[1] <= 1 && playout.delay() <= 320, "{counts:?}");
}

#[test]
fn jitter_is_evened_out() {
    let sent = voice(240_000);
    // Shaken by up to 60 ms, out of order too.
    let (heard, counts, _) = play(&sent, |n| Some(5 + n * 7_919 % 61), 0);
    let (shift, ratio) = aligned(&sent[160_000..], &heard[160_000..], 8_000);
    assert!(ratio > 30.0, "{ratio} {counts:?}");
    // No more delay than it takes.
    assert!((400..=1_200).contains(&shift), "{shift}");
    assert!(counts[1] < 20, "{counts:?}");
}

#[test]
fn losses_are_concealed() {
    let sent = voice(240_000);
    let lossy: Fate = |n| (n * 7_919 % 100 >= 5).then_some(5);
    let (heard, counts, _) = play(&sent, lossy, 0);
    let lost = (0..1_500).filter(|n| lossy(*n).is_none()).count();
    assert!(counts[1].abs_diff(lost) <= 2, "{counts:?} {lost}");
    let (shift, ratio) = aligned(&sent, &heard, 8_000);
    // Against the same losses heard as silence.
    let mut silent = sent.clone();
    for n in (0..1_500).filter(|n| lossy(*n).is_none()) {
        silent[n as usize * 160..][..160].fill(0);
    }
    let lost_frames = |heard: &[i16], shift: usize| {
        let mut clean = Vec::new();
        let mut other = Vec::new();
        for n in (60..1_490).filter(|n| lossy(*n).is_none()) {
            let at = n as usize * 160;
            clean.extend_from_slice(&sent[at..at + 160]);
            other.extend_from_slice(&heard[at + shift..at + shift + 160]);
        }
        segmental_snr(&clean, &other)
    };
    let (concealed, unconcealed) = (lost_frames(&heard, shift), lost_frames(&silent, 0));
    assert!(ratio > 32.0, "{ratio}");
    assert!(concealed > unconcealed + 5.0, "{concealed} {unconcealed}");
}

#[test]
fn a_sender_s_clock_may_be_off() {
    let sent = voice(8_000 * 240);
    for drift_ppm in [-300, 300] {
        let (heard, counts, playout) = play(&sent, |n| Some(5 + n * 7_919 % 11), drift_ppm);
        // 72 ms in four minutes are taken up without anybody hearing a hole.
        assert!(playout.delay() <= 1_000, "{drift_ppm}: {}", playout.delay());
        assert!(counts[1] < 20 && counts[2] < 3, "{drift_ppm}: {counts:?}");
        let tail = heard.len() - 24_000;
        assert!(
            heard[tail..]
                .chunks(800)
                .all(|part| part.iter().any(|s| s.unsigned_abs() > 200))
        );
    }
}

#[test]
fn what_is_gone_for_long_fades_and_comes_back() {
    let sent = voice(80_000);
    let (heard, counts, _) = play(&sent, |n| (!(100..200).contains(&n)).then_some(5), 0);
    assert!(counts[2] > 80, "{counts:?}");
    let quiet = &heard[100 * 160 + 1_600..200 * 160];
    assert!(quiet.iter().all(|sample| *sample == 0));
    let back = &heard[205 * 160..300 * 160];
    assert!(back.iter().any(|sample| sample.unsigned_abs() > 2_000));
}

#[test]
fn comfort_noise_has_its_level() {
    let mut playout = Playout::default();
    playout.comfort_noise(50);
    let mut energy = 0.0;
    for _ in 0..100 {
        let (frame, played) = playout.frame();
        assert_eq!(played, Played::Noise);
        energy += frame.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
    }
    let dbov = 10.0 * (energy / 16_000.0 / 32_767f64.powi(2)).log10();
    assert!((-51.0..-49.0).contains(&dbov), "{dbov}");
}

proptest::proptest! {
    #[test]
    fn anything_may_come(packets in proptest::collection::vec((0u64..500, proptest::prelude::any::<u32>(), 0usize..1_200), 0..60)) {
        let mut playout = Playout::default();
        let mut now = Duration::ZERO;
        for (wait, timestamp, length) in packets {
            now += Duration::from_millis(wait);
            playout.packet(now, timestamp, std::iter::repeat_n(500, length));
            playout.frame();
        }
    }
}
