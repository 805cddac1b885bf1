//! Ogg (RFC 3533): the logical streams of one codec, one after the other, page by page.

mod checksum;
mod packets;
mod page;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, time::Duration};

use self::{
    packets::Packets,
    page::{Found, Page},
};
use super::{Block, Decode};
use crate::{
    media::{
        audio::{
            AudioError, Kind,
            source::{STALL_MAX, Source},
        },
        format::Channel,
    },
    units::SampleRate,
};

/// Damaged packets or pages one after another before the rest is given up.
const DAMAGED_MAX: u32 = 500;

/// What the decoded audio is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purpose {
    /// The rate wanted in the end.
    pub(super) target: SampleRate,
    /// What of the channels is heard.
    pub(super) channel: Channel,
}

/// What a page says about the packets that end on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageEnd {
    /// Granule position behind the last of them, if there is one.
    pub(super) position: Option<u64>,
    /// Whether nothing follows in this logical stream.
    pub(super) is_last: bool,
}

/// One logical stream of a codec.
pub(super) trait Link: Sized {
    const KIND: Kind;

    /// Bytes of a packet that are kept. What is longer is a picture among the comments, of which nothing is wanted.
    const PACKET_MAX: usize = 256 * 1024;

    /// Reads a stream's first packet; `None` if it is one of another codec.
    fn open(head: &[u8], purpose: Purpose) -> Result<Option<Self>, AudioError>;

    /// How long the first packet says that the audio is, if it does.
    fn declared(&self) -> Option<Duration> {
        None
    }

    /// How many channels the first packet says that there are, where blocks do not show it.
    fn channels(&self) -> Option<usize> {
        None
    }

    /// Takes a packet if it is a header; `false` once all of those are there.
    fn take_header(&mut self, packet: &[u8]) -> Result<bool, AudioError>;

    /// Says what packets come next and what their page knows of them.
    fn begin_page(&mut self, packets: &VecDeque<Vec<u8>>, end: PageEnd) -> Result<(), AudioError>;

    /// Decodes a packet into `block`; `false` if it is damaged.
    fn decode(&mut self, packet: &[u8], block: &mut Block) -> bool;

    /// After the last packet: gives what of the samples was not ready before, if there is any.
    fn finish(&mut self, _block: &mut Block) {}
}

/// Opens the streams that begin where the source stands, and reads the first page.
pub(super) fn open<L: Link + 'static>(
    source: Source,
    target: SampleRate,
    channel: Channel,
) -> Result<Box<dyn Decode>, AudioError> {
    let mut ogg = Ogg::<L> {
        progress: source.position(),
        source,
        purpose: Purpose { target, channel },
        link: None,
        ended: None,
        serial: 0,
        packets: Packets::new(L::PACKET_MAX),
        declared: None,
        damaged: 0,
        decoded_any: false,
        is_complete: false,
        at_end: false,
    };
    ogg.advance()?;
    ogg.declared = ogg.link.as_ref().and_then(L::declared);
    Ok(Box::new(ogg))
}

struct Ogg<L> {
    source: Source,
    purpose: Purpose,
    /// The logical stream being decoded, and its number; another one may follow it.
    link: Option<L>,
    /// The one before, of which the last samples are still to come.
    ended: Option<L>,
    serial: u32,
    packets: Packets,
    /// How long the first stream says that it is.
    declared: Option<Duration>,
    damaged: u32,
    decoded_any: bool,
    /// Whether the last page of the logical stream was there.
    is_complete: bool,
    /// Where the source stood when there was audio last.
    progress: u64,
    at_end: bool,
}

impl<L: Link> Ogg<L> {
    /// Takes the page that the source stands at.
    fn take(&mut self, page: Page) -> Result<(), AudioError> {
        let bytes = self.source.peek(page.size)?;
        let is_ours = page.serial == self.serial && self.link.is_some();
        if page.begins {
            // A stream of something else, beside or behind, is none of ours.
            let mut packets = Packets::new(L::PACKET_MAX);
            packets.take(&page, bytes);
            let head = packets.queue.pop_front().unwrap_or_default();
            if let Some(link) = L::open(&head, self.purpose)? {
                self.ended = self.link.replace(link);
                self.serial = page.serial;
                self.is_complete = false;
                self.packets = packets;
            }
        } else if is_ours {
            self.packets.take(&page, bytes);
        }
        self.source.consume(page.size);
        let Some(link) = self.link.as_mut().filter(|_| page.serial == self.serial) else { return Ok(()) };
        self.is_complete |= page.ends;
        let queue = &mut self.packets.queue;
        while let Some(packet) = queue.front()
            && link.take_header(packet)?
        {
            queue.pop_front();
        }
        if queue.is_empty() {
            return Ok(());
        }
        // Beginnings without end and packets of other streams are no audio.
        self.progress = self.source.position();
        link.begin_page(queue, PageEnd { position: page.position, is_last: page.ends })
    }

    /// Reads the next page, or finds damage or the end.
    fn advance(&mut self) -> Result<(), AudioError> {
        let limit = self.limit();
        match page::find(&mut self.source, limit)? {
            Found::Page(page) => self.take(page)?,
            // A damaged page is lost.
            Found::Damage => self.count_damage()?,
            Found::End => self.at_end = true,
        }
        page::check_progress(&self.source, self.limit())
    }

    /// Offset up to which there must be audio again.
    fn limit(&self) -> u64 {
        self.progress.saturating_add(STALL_MAX)
    }

    fn count_damage(&mut self) -> Result<(), AudioError> {
        self.damaged += 1;
        if self.damaged > DAMAGED_MAX {
            return Err(AudioError::undecodable(L::KIND, "too much of it in a row is damaged"));
        }
        Ok(())
    }
}

impl<L: Link> Decode for Ogg<L> {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        block.samples.clear();
        block.reduced = None;
        if let Some(mut link) = self.ended.take() {
            link.finish(block);
            return Ok(true);
        }
        if let Some(link) = &mut self.link
            && let Some(packet) = self.packets.queue.pop_front()
        {
            if link.decode(&packet, block) {
                self.decoded_any = true;
                self.damaged = 0;
            } else {
                self.count_damage()?;
            }
            return Ok(true);
        }
        if !self.at_end {
            self.advance()?;
            return Ok(true);
        }
        // Headers and then an orderly end are an empty clip, which is audio; anything else without a packet is not.
        if !self.decoded_any && (self.truncated() || self.damaged > 0) {
            return Err(AudioError::undecodable(L::KIND, "no packet of it can be decoded"));
        }
        if let Some(link) = &mut self.link {
            link.finish(block);
        }
        Ok(!block.samples.is_empty())
    }

    fn declared(&self) -> Option<Duration> {
        self.declared
    }

    fn channels(&self) -> Option<usize> {
        self.link.as_ref().and_then(L::channels)
    }

    fn truncated(&self) -> bool {
        !self.is_complete
    }
}
