use super::*;

/// Speech-like: two tones that come and go, within 7 kHz.
fn swelling(count: usize, rate: f64, hertz: [f64; 2]) -> Vec<i16> {
    (0..count)
        .map(|n| {
            let t = n as f64 / rate;
            let tone = |hertz: f64| (t * hertz * std::f64::consts::TAU).sin();
            let swell = 0.55 + 0.45 * tone(3.0);
            ((tone(hertz[0]) * 6_000.0 + tone(hertz[1]) * 3_000.0) * swell) as i16
        })
        .collect()
}

/// How much louder what was said is than the difference to what was heard `delay` samples later, in dB.
fn snr_db(said: &[i16], heard: &[i16], delay: usize) -> f64 {
    let settled = 800;
    let (mut signal, mut noise) = (0.0, 1.0);
    for (said, heard) in said.iter().zip(&heard[delay..]).skip(settled) {
        signal += f64::from(*said).powi(2);
        noise += (f64::from(*said) - f64::from(*heard)).powi(2);
    }
    10.0 * (signal / noise).log10()
}

fn wide(samples: &[i16]) -> (Vec<u8>, Vec<i16>) {
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
    let bytes: Vec<u8> = samples
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| encoder.wide(*pair))
        .collect();
    let heard = bytes.iter().flat_map(|byte| decoder.wide(*byte)).collect();
    (bytes, heard)
}

/// A hash of what was made, to be compared with that of the ITU's own software for the same input.
fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Noise at all levels up to the loudest, with silences: every branch is walked.
fn noise(count: usize) -> Vec<i16> {
    let mut state = 1u32;
    (0..count)
        .map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) as i16) >> (n / 1_000 % 17).min(15)
        })
        .collect()
}

#[test]
fn every_bit_is_as_the_itu_s_software_makes_it() {
    let samples = noise(64_000);
    let (bytes, heard) = wide(&samples);
    assert_eq!(hash(bytes), 15_616_682_800_480_841_142);
    assert_eq!(
        hash(heard.iter().flat_map(|sample| sample.to_le_bytes())),
        3_356_990_441_654_082_030
    );
}

/// `G722_VECTORS` is the folder `src/g722/test_data` of the Software Tool Library, which isn't ours to give away.
#[test]
#[ignore = "needs the ITU's files"]
fn the_itu_s_speech_is_coded_and_decoded_alike() {
    let folder = std::path::PathBuf::from(std::env::var_os("G722_VECTORS").expect("a folder"));
    let words = |name: &str| -> Vec<i16> {
        let bytes = std::fs::read(folder.join(name)).expect("the file");
        let words = bytes.as_chunks::<2>().0.iter();
        words.map(|word| i16::from_le_bytes(*word)).collect()
    };
    let (bytes, heard) = wide(&words("inpsp.bin"));
    assert_eq!(
        bytes,
        words("codspw.cod")
            .iter()
            .map(|word| *word as u8)
            .collect::<Vec<_>>()
    );
    assert_eq!(heard, words("outsp1.bin"));
}

#[test]
fn what_is_heard_is_what_was_said() {
    let samples = swelling(32_000, 16_000.0, [700.0, 5_200.0]);
    let (_, heard) = wide(&samples);
    assert!(
        snr_db(&samples, &heard, 22) > 20.0,
        "{}",
        snr_db(&samples, &heard, 22)
    );
}

#[test]
fn eight_khz_audio_goes_through_the_lower_sub_band() {
    let samples = swelling(16_000, 8_000.0, [440.0, 2_900.0]);
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
    let heard: Vec<i16> = samples
        .iter()
        .map(|sample| decoder.narrow(encoder.narrow(*sample)))
        .collect();
    assert!(
        snr_db(&samples, &heard, 0) > 30.0,
        "{}",
        snr_db(&samples, &heard, 0)
    );
}

/// Amplitude of a tone.
fn amplitude(samples: &[i16], rate: f64, hertz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let (sine, cosine) = (n as f64 / rate * hertz * std::f64::consts::TAU).sin_cos();
        re += f64::from(*sample) * cosine;
        im += f64::from(*sample) * sine;
    }
    (re * re + im * im).sqrt() * 2.0 / samples.len() as f64
}

fn tone(rate: f64, hertz: f64) -> Vec<i16> {
    let sample =
        |n: usize| ((n as f64 / rate * hertz * std::f64::consts::TAU).sin() * 8_000.0) as i16;
    (0..rate as usize).map(sample).collect()
}

/// One side is a telephone of 16 kHz, the other one of 8: the pitch stays, the loudness too, and nothing appears above.
#[test]
fn both_kinds_of_telephone_hear_each_other_as_loud_as_they_speak() {
    for hertz in [300.0, 1_000.0, 3_000.0, 3_400.0] {
        let mut decoder = Decoder::default();
        let (bytes, _) = wide(&tone(16_000.0, hertz));
        let heard: Vec<i16> = bytes.iter().map(|byte| decoder.narrow(*byte)).collect();
        let loud = amplitude(&heard[800..], 8_000.0, hertz);
        assert!((7_200.0..8_600.0).contains(&loud), "{hertz}: {loud}");

        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
        let heard: Vec<i16> = tone(8_000.0, hertz)
            .into_iter()
            .flat_map(|sample| decoder.wide(encoder.narrow(sample)))
            .collect();
        let loud = amplitude(&heard[1_600..], 16_000.0, hertz);
        assert!((7_200.0..8_600.0).contains(&loud), "{hertz}: {loud}");
        let image = amplitude(&heard[1_600..], 16_000.0, 8_000.0 - hertz);
        // The recommendation's filter goes down slowly.
        let bearable = match hertz {
            ..2_000.0 => 20.0,
            ..3_100.0 => 800.0,
            _ => 2_500.0,
        };
        assert!(image < bearable, "{hertz}: {image}");
    }
}

#[test]
fn silence_above_is_one_code() {
    let mut encoder = Encoder::default();
    let bytes: Vec<u8> = (0..500).map(|_| encoder.wide([0, 0])).collect();
    assert!(bytes.iter().all(|byte| byte & 0xc0 == NOTHING_ABOVE));
    let mut narrow = Encoder::default();
    assert!(bytes.iter().all(|byte| *byte == narrow.narrow(0)));
}

/// Who joins late, or misses a packet, soon hears the same as everybody.
#[test]
fn a_decoder_that_begins_late_is_right_soon() {
    let samples = swelling(32_000, 16_000.0, [500.0, 1_900.0]);
    let (bytes, heard) = wide(&samples);
    let mut late = Decoder::default();
    let joined = 4_000;
    let heard_late: Vec<i16> = bytes[joined..]
        .iter()
        .flat_map(|byte| late.wide(*byte))
        .collect();
    let after = 2_400;
    let (one, other) = (&heard[joined * 2 + after..], &heard_late[after..]);
    assert!(snr_db(one, other, 0) > 20.0, "{}", snr_db(one, other, 0));
}

#[test]
fn any_bytes_are_survived() {
    let mut decoder = Decoder::default();
    let mut state = 7u32;
    for _ in 0..200_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let byte = (state >> 24) as u8;
        let loud = decoder.wide(byte);
        assert!(loud.iter().all(|sample| sample.unsigned_abs() <= 32_768));
    }
    let mut encoder = Encoder::default();
    for n in 0..200_000 {
        encoder.wide(if n / 7 % 2 == 0 {
            [i16::MAX, i16::MIN]
        } else {
            [i16::MIN, i16::MAX]
        });
    }
}
