//! Blocks (RFC 9559 §10): one packet of a track, or several laced together.
//!
//! ```text
//! track:number time:i16 flags:u8 [packets − 1:u8 sizes] packets
//! flags, bits 1 and 2: lacing    0 none    1 sizes as in Ogg    2 equal sizes    3 numbers, each but the first a difference
//! ```

use super::ebml::Number;

/// The bits of the lacing.
const LACING_MASK: u8 = 6;
const LACING_OGG: u8 = 2;
const LACING_EQUAL: u8 = 4;

/// The track that a block belongs to, from its first bytes.
pub(super) fn track(head: &[u8]) -> Option<u64> {
    Some(Number::parse(head)?.0.value)
}

/// The packets of a block; `None` if its lacing contradicts its size.
pub(super) fn packets(block: &[u8]) -> Option<Vec<&[u8]>> {
    let (_, rest) = Number::parse(block)?;
    let ([_, _, flags], rest) = rest.split_first_chunk::<3>()?;
    let lacing = flags & LACING_MASK;
    if lacing == 0 {
        return Some(vec![rest]);
    }
    let (last, mut rest) = rest.split_first()?;
    // The size of the last packet is never said: it takes what is left.
    let sizes = match lacing {
        LACING_OGG => (0..*last).map(|_| ogg_size(&mut rest)).collect(),
        LACING_EQUAL => {
            let count = usize::from(*last) + 1;
            rest.len().is_multiple_of(count).then(|| vec![rest.len() / count; usize::from(*last)])
        }
        _ => ebml_sizes(*last, &mut rest),
    }?;
    let mut packets = Vec::with_capacity(sizes.len() + 1);
    for size in sizes {
        let (packet, behind) = rest.split_at_checked(size)?;
        packets.push(packet);
        rest = behind;
    }
    packets.push(rest);
    Some(packets)
}

/// Bytes of 255 as long as there is more, then the remainder.
fn ogg_size(rest: &mut &[u8]) -> Option<usize> {
    let mut size = 0;
    loop {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        size += usize::from(*byte);
        if *byte < u8::MAX {
            return Some(size);
        }
    }
}

fn ebml_sizes(count: u8, rest: &mut &[u8]) -> Option<Vec<usize>> {
    let mut size = 0i64;
    (0..count)
        .map(|nth| {
            let (number, behind) = Number::parse(rest)?;
            *rest = behind;
            size = if nth == 0 { number.value.cast_signed() } else { size.checked_add(number.signed())? };
            usize::try_from(size).ok()
        })
        .collect()
}
