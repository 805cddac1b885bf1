//! The decoder's configuration: AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1), or what an ADTS header says.

use super::{
    bands::FREQUENCIES,
    bits::{Bits, PADDING},
    program::Program,
};
use crate::media::format::Channel;

/// Audio object types (Table 1.17).
const OBJECT_LC: u32 = 2;
const OBJECT_SBR: u32 = 5;
const OBJECT_PS: u32 = 29;
const OBJECT_ESCAPE: u32 = 31;
/// Index that says that a sampling frequency follows in full.
const FREQUENCY_ESCAPE: u32 = 15;
/// Bytes of a configuration that are looked at: a program configuration with the longest comment fits.
const SIZE_MAX: usize = 512;

/// What a decoder must know before the first block.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::media::audio::decode) struct Config {
    /// Sampling frequency in Hz of what is decoded: with spectral band replication that of the core, half of what it is played at.
    pub(in crate::media::audio::decode) frequency: u32,
    /// What is heard of which channels, unless the stream is to say it.
    pub(super) program: Option<Program>,
    pub(super) channel: Channel,
}

impl Config {
    /// Reads an AudioSpecificConfig. Of spectral band replication and parametric stereo the core is decoded: it holds all that
    /// telephony hears.
    ///
    /// # Errors
    /// What it asks for and is not there.
    pub(in crate::media::audio::decode) fn parse(bytes: &[u8], channel: Channel) -> Result<Config, &'static str> {
        let mut padded: Vec<u8> = bytes.iter().take(SIZE_MAX).copied().collect();
        padded.resize(padded.len() + PADDING, 0);
        let mut bits = Bits::new(&padded);
        let mut object = parse_object(&mut bits);
        let frequency = parse_frequency(&mut bits);
        let configuration = bits.take(4);
        if object == OBJECT_SBR || object == OBJECT_PS {
            parse_frequency(&mut bits);
            object = parse_object(&mut bits);
        }
        if object != OBJECT_LC {
            return Err("an AAC profile other than LC and HE");
        }
        // GASpecificConfig: frame length, core coder and its delay, extension.
        if bits.flag() {
            return Err("AAC with blocks of 960 samples");
        }
        if bits.flag() {
            return Err("scalable AAC");
        }
        bits.flag();
        let program = match configuration {
            0 => Some(Program::parse(&mut bits, channel).map_err(|_| "the channels of this AAC")?),
            number => Some(Program::of_configuration(number, channel).ok_or("this AAC channel configuration")?),
        };
        let frequency = frequency.filter(|_| bits.check().is_ok()).ok_or("the sampling frequency of this AAC")?;
        Ok(Config { frequency, program, channel })
    }

    /// What an ADTS header says: a channel configuration of 0 leaves it to the stream.
    pub(in crate::media::audio::decode) fn of_header(frequency: u32, configuration: u32, channel: Channel) -> Config {
        Config { frequency, program: Program::of_configuration(configuration, channel), channel }
    }
}

fn parse_object(bits: &mut Bits<'_>) -> u32 {
    match bits.take(5) {
        OBJECT_ESCAPE => 32 + bits.take(6),
        object => object,
    }
}

fn parse_frequency(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.take(4) {
        FREQUENCY_ESCAPE => Some(bits.take(24)),
        index => FREQUENCIES.get(index as usize).copied(),
    }
}
