//! Packets out of pages (RFC 3533 §5): each is as many segments of 255 bytes as it fills and one that is shorter.

use std::collections::VecDeque;

use super::page::Page;

const SEGMENT: u8 = 255;

/// The packets of one logical stream.
#[derive(Debug)]
pub(super) struct Packets {
    /// Bytes of a packet that are kept.
    size_max: usize,
    /// Whole ones, in order.
    pub(super) queue: VecDeque<Vec<u8>>,
    /// One that goes on on the next page.
    open: Option<Vec<u8>>,
    /// Number of the next page, once there was one.
    sequence: Option<u32>,
}

impl Packets {
    pub(super) fn new(size_max: usize) -> Packets {
        Packets { size_max, queue: VecDeque::new(), open: None, sequence: None }
    }

    /// Takes the packets of a page apart. One whose other part is on a page that is lost is lost, too.
    pub(super) fn take(&mut self, page: &Page, bytes: &[u8]) {
        let follows = self.sequence.is_none_or(|expected| expected == page.sequence);
        self.sequence = Some(page.sequence.wrapping_add(1));
        let open = self.open.take().filter(|_| follows && page.continues);
        let mut is_rest_of_lost = page.continues && open.is_none();
        let mut packet = open.unwrap_or_default();
        let mut is_open = page.continues;
        let (lacing, mut body) = page.parts(bytes);
        for length in lacing {
            let (segment, behind) = body.split_at_checked(usize::from(*length)).unwrap_or_default();
            body = behind;
            let room = self.size_max.saturating_sub(packet.len());
            packet.extend_from_slice(segment.get(..room).unwrap_or(segment));
            is_open = *length == SEGMENT;
            if !is_open {
                let whole = std::mem::take(&mut packet);
                if !std::mem::take(&mut is_rest_of_lost) {
                    self.queue.push_back(whole);
                }
            }
        }
        self.open = (is_open && !is_rest_of_lost).then_some(packet);
    }
}
