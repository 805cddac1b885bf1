//! Bodies without a container, as they were declared.

use super::{
    Decode, g722,
    gsm::{self, Packing},
    pcm::{self, Coding, Order, Shape},
};
use crate::media::{
    audio::{Kind, mix::Layout, source::Source},
    format::{Headerless, HeaderlessCoding},
};

/// Opens the body that begins where the source stands and goes on to its end.
pub(super) fn open(source: Source, headerless: Headerless) -> Box<dyn Decode> {
    let (rate, layout) = (headerless.rate(), Layout::wave_default(headerless.channels()));
    let coding = match headerless.coding() {
        HeaderlessCoding::Ulaw => Coding::Ulaw,
        HeaderlessCoding::Alaw => Coding::Alaw,
        HeaderlessCoding::L16 => Coding::Signed16(Order::Little),
        HeaderlessCoding::L16BigEndian => Coding::Signed16(Order::Big),
        HeaderlessCoding::G722 => return g722::open(source),
        HeaderlessCoding::Gsm => return gsm::open(source, Kind::Headerless(headerless), Packing::Frames, rate),
    };
    pcm::open(source, Shape { coding, rate, layout })
}
