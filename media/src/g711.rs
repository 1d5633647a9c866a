//! G.711 µ-law and A-law (ITU-T G.711), and the tables between them.

use crate::codec::Codec;

/// Linear to µ-law.
pub const fn ulaw_encode(sample: i16) -> u8 {
    const BIAS: i32 = 0x84;
    const CLIP: i32 = 32_635;
    let sign: u8 = if sample < 0 { 0x80 } else { 0 };
    let mut magnitude = (sample as i32).abs();
    if magnitude > CLIP {
        magnitude = CLIP;
    }
    magnitude += BIAS;
    // The segment is the position of the highest bit above bit 7; the bias makes sure there is one.
    let segment = 31 - magnitude.leading_zeros() as i32 - 7;
    let mantissa = (magnitude >> (segment + 3)) & 0x0f;
    !(sign | ((segment as u8) << 4) | mantissa as u8)
}

/// µ-law to linear.
pub const fn ulaw_decode(byte: u8) -> i16 {
    ULAW_LINEAR[byte as usize]
}

/// Linear to A-law.
pub const fn alaw_encode(sample: i16) -> u8 {
    // 13 bits, and one's complement for negative values, so that both signs share their decision levels.
    let (sign, magnitude) = if sample >= 0 {
        (0x80u8, (sample >> 3) as i32)
    } else {
        (0, (!sample >> 3) as i32)
    };
    let segment = if magnitude < 32 {
        0
    } else {
        31 - magnitude.leading_zeros() as i32 - 4
    };
    let mantissa = if segment < 2 {
        (magnitude >> 1) & 0x0f
    } else {
        (magnitude >> segment) & 0x0f
    };
    (sign | ((segment as u8) << 4) | mantissa as u8) ^ 0x55
}

/// A-law to linear.
pub const fn alaw_decode(byte: u8) -> i16 {
    ALAW_LINEAR[byte as usize]
}

/// µ-law codes to linear samples.
pub static ULAW_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let bits = !(code as u8);
        let segment = (bits >> 4) & 7;
        let magnitude = (((((bits & 0x0f) as i32) << 3) + 0x84) << segment) - 0x84;
        table[code] = if bits & 0x80 != 0 {
            -magnitude
        } else {
            magnitude
        } as i16;
        code += 1;
    }
    table
};

/// A-law codes to linear samples.
pub static ALAW_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let bits = (code as u8) ^ 0x55;
        let segment = (bits >> 4) & 7;
        let mantissa = ((bits & 0x0f) as i32) << 4;
        let magnitude = if segment == 0 {
            mantissa + 8
        } else {
            (mantissa + 0x108) << (segment - 1)
        };
        table[code] = if bits & 0x80 != 0 {
            magnitude
        } else {
            -magnitude
        } as i16;
        code += 1;
    }
    table
};

/// µ-law codes to A-law codes.
pub static ULAW_TO_ALAW: [u8; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = alaw_encode(ULAW_LINEAR[code]);
        code += 1;
    }
    table
};

/// A-law codes to µ-law codes.
pub static ALAW_TO_ULAW: [u8; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = ulaw_encode(ALAW_LINEAR[code]);
        code += 1;
    }
    table
};

impl Codec {
    /// Encodes one sample.
    pub const fn encode(self, sample: i16) -> u8 {
        match self {
            Codec::Pcmu => ulaw_encode(sample),
            Codec::Pcma => alaw_encode(sample),
        }
    }

    /// Decodes one byte.
    pub fn decode(self, byte: u8) -> i16 {
        match self {
            Codec::Pcmu => ULAW_LINEAR[byte as usize],
            Codec::Pcma => ALAW_LINEAR[byte as usize],
        }
    }

    /// The table that turns this codec's bytes into `to`'s; none when they are the same.
    pub fn transcoding(self, to: Codec) -> Option<&'static [u8; 256]> {
        match (self, to) {
            (Codec::Pcmu, Codec::Pcma) => Some(&ULAW_TO_ALAW),
            (Codec::Pcma, Codec::Pcmu) => Some(&ALAW_TO_ULAW),
            (Codec::Pcmu, Codec::Pcmu) | (Codec::Pcma, Codec::Pcma) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sample, its µ-law code and its A-law code.
    #[track_caller]
    fn check(sample: i16, ulaw: u8, alaw: u8) {
        assert_eq!(
            (ulaw_encode(sample), alaw_encode(sample)),
            (ulaw, alaw),
            "{sample}"
        );
    }

    #[test]
    fn known_codes() {
        check(0, 0xff, 0xd5);
        check(-1, 0x7f, 0x55);
        check(32_767, 0x80, 0xaa);
        check(-32_768, 0x00, 0x2a);
        check(1_000, 0xce, 0xfa);
        check(-1_000, 0x4e, 0x7a);
    }

    #[test]
    fn decoded_codes_encode_to_themselves() {
        for code in 0..=255u8 {
            assert_eq!(alaw_encode(alaw_decode(code)), code);
            // µ-law has two zeros.
            if code != 0x7f {
                assert_eq!(ulaw_encode(ulaw_decode(code)), code);
            }
        }
    }

    #[test]
    fn coding_is_close() {
        for sample in i16::MIN..=i16::MAX {
            for codec in [Codec::Pcmu, Codec::Pcma] {
                let error = i32::from(codec.decode(codec.encode(sample))) - i32::from(sample);
                let allowed = (i32::from(sample).abs() / 16).max(16)
                    + 140 * i32::from(sample.unsigned_abs() > 32_000);
                assert!(error.abs() <= allowed, "{codec} {sample} {error}");
            }
        }
    }

    #[test]
    fn silence_stays_silence() {
        assert_eq!(ULAW_TO_ALAW[0xff], 0xd5);
        assert!(i32::from(ulaw_decode(ALAW_TO_ULAW[0xd5])).abs() <= 8);
    }
}
