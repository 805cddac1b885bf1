//! `raw_data_block()` (ISO/IEC 14496-3 §4.4.2.1): the elements of one block of 1024 samples, to one channel.

use super::{
    Damaged,
    bands::{Bands, LINES, bands_of},
    bits::{Bits, PADDING},
    config::Config,
    filterbank::{Filterbank, Windowing},
    huffman::Tables,
    ics::{BOOK_ZERO, Gains, Ics, Info},
    program::{Element, Kind, Met, Program},
    spectrum::{self, Lines, Needs},
    stereo::{self, Mask, Relations},
    transform::Grid,
};
use crate::media::format::Channel;

/// Elements of a block at most: 16 instances of each of seven kinds, and as many fill elements again.
const ELEMENTS_MAX: usize = 256;
/// Window shapes that are remembered.
const CHANNELS_MAX: usize = 8;

/// Element identifiers (Table 4.85).
const ID_SINGLE: u32 = 0;
const ID_PAIR: u32 = 1;
const ID_COUPLING: u32 = 2;
const ID_LFE: u32 = 3;
const ID_DATA: u32 = 4;
const ID_PROGRAM: u32 = 5;
const ID_FILL: u32 = 6;

/// A decoder of raw data blocks: bits in, samples of one channel out, which is the mix or a side.
///
/// Nothing is allocated per block.
pub(in crate::media::audio::decode) struct BlockDecoder {
    bands: &'static Bands,
    tables: &'static Tables,
    gains: Gains,
    channel: Channel,
    /// `None` until the stream says it.
    program: Option<Program>,
    streams: Box<[Ics; 2]>,
    lines: Box<[Lines; 2]>,
    mask: Mask,
    relations: Relations,
    spectra: spectrum::Decoder,
    filterbank: Filterbank,
    /// Shape of each channel's last window.
    shapes: [u8; CHANNELS_MAX],
    /// The packet with zeros behind it.
    packet: Vec<u8>,
}

/// Whether a block is read to its end, where another begins, or as far as something is heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media::audio::decode) enum Until {
    End,
    Heard,
}

impl BlockDecoder {
    /// Channels of the stream, once it is known which there are.
    pub(super) fn channels(&self) -> Option<usize> {
        self.program.as_ref().map(|program| program.channels)
    }

    pub(super) fn new(config: &Config, grid: Grid) -> BlockDecoder {
        let bands = bands_of(config.frequency);
        BlockDecoder {
            bands,
            tables: Tables::get(),
            gains: Gains::new(),
            channel: config.channel,
            program: config.program.clone(),
            streams: Box::new([Ics::new(bands), Ics::new(bands)]),
            lines: Box::new([[0.0; LINES]; 2]),
            mask: Mask::new(),
            relations: Relations::new(),
            spectra: spectrum::Decoder::new(),
            filterbank: Filterbank::new(grid, CHANNELS_MAX),
            shapes: [0; CHANNELS_MAX],
            packet: Vec::new(),
        }
    }

    /// Decodes the block at the start of `bytes` and appends its samples; gives the bytes that it took.
    ///
    /// # Errors
    /// The block is damaged; then its samples are silence.
    pub(super) fn decode(&mut self, bytes: &[u8], until: Until, out: &mut Vec<f32>) -> Result<usize, Damaged> {
        let mut packet = std::mem::take(&mut self.packet);
        packet.clear();
        packet.extend_from_slice(bytes);
        packet.resize(bytes.len() + PADDING, 0);
        let mut bits = Bits::new(&packet);
        let outcome = self.elements(&mut bits, until);
        let taken = bits.position().div_ceil(8).min(bytes.len());
        self.packet = packet;
        match outcome {
            Ok(()) => self.filterbank.finish(out),
            Err(Damaged) => self.filterbank.lose(out),
        }
        outcome.map(|()| taken)
    }

    fn elements(&mut self, bits: &mut Bits<'_>, until: Until) -> Result<(), Damaged> {
        let mut met = Met::default();
        for _ in 0..ELEMENTS_MAX {
            match bits.take(3) {
                ID_SINGLE => self.element(bits, Kind::Single, until, &mut met)?,
                ID_PAIR => self.element(bits, Kind::Pair, until, &mut met)?,
                ID_LFE => self.element(bits, Kind::Lfe, until, &mut met)?,
                ID_COUPLING => self.skip_coupling(bits)?,
                ID_DATA => skip_data(bits),
                ID_PROGRAM => self.take_program(bits)?,
                ID_FILL => skip_fill(bits),
                _ => break,
            }
            bits.check()?;
            let program = self.program.as_ref().ok_or(Damaged);
            if until == Until::Heard && program.is_ok_and(|program| program.is_silent_without(met)) {
                break;
            }
        }
        bits.check()?;
        let silent = self.program.as_ref().is_none_or(|program| !program.is_silent_without(met));
        if silent { Err(Damaged) } else { Ok(()) }
    }

    fn element(&mut self, bits: &mut Bits<'_>, kind: Kind, until: Until, met: &mut Met) -> Result<(), Damaged> {
        let tag = bits.take(4) as u8;
        let program = self.program.as_ref().ok_or(Damaged)?;
        let found = program.find(kind, tag, *met);
        if let Some((at, _)) = found {
            *met = met.with(at);
        }
        // The last element that is heard need not be read to its end.
        let finish = until == Until::End || !program.is_silent_without(*met);
        // One that the program does not name is read and not heard.
        let element = found.map(|(_, element)| element);
        match kind {
            Kind::Pair => self.pair(bits, element, finish),
            Kind::Single | Kind::Lfe => self.single(bits, element, finish),
        }
    }

    /// Reads a channel's stream up to its spectrum.
    fn header(&mut self, bits: &mut Bits<'_>, at: usize, common: Option<Info>) -> Result<(), Damaged> {
        let stream = self.streams.get_mut(at).ok_or(Damaged)?;
        stream.parse(bits, common, self.bands, self.tables, &self.gains)
    }

    fn single(&mut self, bits: &mut Bits<'_>, element: Option<Element>, finish: bool) -> Result<(), Damaged> {
        self.header(bits, 0, None)?;
        let ([stream, _], [lines, _]) = (&*self.streams, &mut *self.lines);
        let heard = element.filter(|element| element.gains != [0.0; 2]);
        let limit = self.filterbank.limit(&stream.info);
        let reach = if heard.is_some() { stream.tns.reach(&stream.info, limit) } else { 0 };
        self.spectra.decode(bits, stream, Needs { reach, apart: None, finish }, lines)?;
        if let Some(element) = heard {
            self.sound(0, element.channel, element.gains[0]);
        }
        Ok(())
    }

    /// Shapes the lines of a stream and adds them to the block.
    fn sound(&mut self, at: usize, channel: usize, gain: f32) {
        let (Some(stream), Some(lines)) = (self.streams.get(at), self.lines.get_mut(at)) else { return };
        let limit = self.filterbank.limit(&stream.info);
        stream.tns.apply(&stream.info, limit, lines.as_mut_slice());
        let Some(shape) = self.shapes.get_mut(channel) else { return };
        let windowing = Windowing::new(&stream.info, *shape);
        *shape = stream.info.shape;
        self.filterbank.add(windowing, gain, lines);
    }

    fn pair(&mut self, bits: &mut Bits<'_>, element: Option<Element>, finish: bool) -> Result<(), Damaged> {
        self.mask.clear();
        let mut common = None;
        if bits.flag() {
            let info = Info::parse(bits, self.bands)?;
            self.mask.parse(bits, &info)?;
            common = Some(info);
        }
        self.header(bits, 0, common)?;
        let [first, _] = &*self.streams;
        let gains = element.map_or([0.0; 2], |element| element.gains);
        let heard = gains != [0.0; 2];
        let first_limit = if heard { self.filterbank.limit(&first.info) } else { 0 };
        let mut reach = first.tns.reach(&first.info, first_limit);
        let before_first = bits.clone();
        self.spectra.decode(bits, first, Needs { reach, apart: None, finish: true }, &mut self.lines[0])?;
        self.header(bits, 1, common)?;
        let [first, second] = &*self.streams;
        let second_limit = if heard { self.filterbank.limit(&second.info) } else { 0 };
        let mut second_reach = second.tns.reach(&second.info, second_limit);
        if common.is_some() {
            if gains[0] == gains[1] && first.tns == second.tns && self.same_shapes(element) {
                return self.merged_pair(bits, element, reach, finish);
            }
            if reach < second_reach {
                // The second channel's filter wants lines of the first one that were passed over.
                reach = second_reach;
                let needs = Needs { reach, apart: None, finish: true };
                self.spectra.decode(&mut before_first.clone(), first, needs, &mut self.lines[0])?;
            }
            second_reach = reach;
        }
        let needs = Needs { reach: second_reach, apart: None, finish };
        self.spectra.decode(bits, second, needs, &mut self.lines[1])?;
        let Some(element) = element.filter(|_| heard) else { return Ok(()) };
        if common.is_some() {
            let [left, right] = &mut *self.lines;
            self.relations.set(&self.mask, first, second, reach);
            stereo::separate(&self.relations, &first.info, reach, left, right);
        }
        for (at, gain) in gains.into_iter().enumerate().filter(|(_, gain)| *gain != 0.0) {
            self.sound(at, element.channel + at, gain);
        }
        Ok(())
    }

    /// Whether the last windows of a pair's channels had one shape.
    fn same_shapes(&self, element: Option<Element>) -> bool {
        let shape = |at: usize| element.and_then(|element| self.shapes.get(element.channel + at));
        shape(0) == shape(1)
    }

    /// The rest of a pair whose channels are heard alike and filtered alike: their sum is all that is made.
    fn merged_pair(
        &mut self,
        bits: &mut Bits<'_>,
        element: Option<Element>,
        reach: usize,
        finish: bool,
    ) -> Result<(), Damaged> {
        let [first, second] = &*self.streams;
        let [lines, others] = &mut *self.lines;
        self.relations.set(&self.mask, first, second, reach);
        let needs = Needs { reach, apart: Some(&self.relations), finish };
        self.spectra.decode(bits, second, needs, others)?;
        stereo::merge(&self.relations, &first.info, reach, lines, others);
        let Some(element) = element else { return Ok(()) };
        if let Some(shape) = self.shapes.get_mut(element.channel + 1) {
            *shape = second.info.shape;
        }
        self.sound(0, element.channel, 2.0 * element.gains[0]);
        Ok(())
    }

    /// A program configuration in the stream holds where no header gave one.
    fn take_program(&mut self, bits: &mut Bits<'_>) -> Result<(), Damaged> {
        let program = Program::parse(bits, self.channel)?;
        self.program.get_or_insert(program);
        Ok(())
    }

    /// A coupling channel is read and not heard (`coupling_channel_element()`, §4.4.2.4).
    fn skip_coupling(&mut self, bits: &mut Bits<'_>) -> Result<(), Damaged> {
        bits.take(4);
        let independent = bits.flag();
        let targets = bits.take(3) + 1;
        let mut lists = 0;
        for _ in 0..targets {
            let is_pair = bits.flag();
            bits.take(4);
            // Both sides have lists of their own only where both are coupled apart.
            lists += if is_pair && bits.take(2) == 3 { 2 } else { 1 };
        }
        bits.take(1 + 1 + 2);
        self.header(bits, 0, None)?;
        let ([stream, _], [lines, _]) = (&*self.streams, &mut *self.lines);
        self.spectra.decode(bits, stream, Needs { reach: 0, apart: None, finish: true }, lines)?;
        for _ in 1..lists {
            if independent || bits.flag() {
                self.tables.scale_factor_step(bits);
                continue;
            }
            for group in stream.info.groups() {
                let books = stream.books.iter().skip(group.slot).take(stream.info.bands_used);
                for _ in books.filter(|book| **book != BOOK_ZERO) {
                    self.tables.scale_factor_step(bits);
                }
            }
        }
        Ok(())
    }
}

/// `data_stream_element()` (§4.4.2.5).
fn skip_data(bits: &mut Bits<'_>) {
    bits.take(4);
    let aligned = bits.flag();
    let mut count = bits.take(8) as usize;
    if count == 255 {
        count += bits.take(8) as usize;
    }
    if aligned {
        bits.align();
    }
    bits.skip(8 * count);
}

/// `fill_element()` (§4.4.2.7): spectral band replication among others.
fn skip_fill(bits: &mut Bits<'_>) {
    let mut count = bits.take(4) as usize;
    if count == 15 {
        // The second count includes what is beyond fourteen.
        count = 14 + bits.take(8) as usize;
    }
    bits.skip(8 * count);
}
