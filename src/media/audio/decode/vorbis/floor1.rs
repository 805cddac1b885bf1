//! Floor type 1: straight lines between posts, in decibels (Vorbis I §7).

use std::sync::LazyLock;

use super::{
    Refused,
    bits::Bits,
    codebook::{Codebook, bits_of},
    floor::book,
};

/// Posts, with those at both ends (§7.2.1; the reference decoder's limit).
const POSTS_MAX: usize = 65;
/// Values of a post by the multiplier (§7.2.2).
const RANGES: [i32; 4] = [256, 128, 86, 64];
/// Most books of a class.
const BOOKS: usize = 8;

/// Values of the curve, 140 dB over 256 steps (§10.1, `floor1_inverse_dB_table`).
static LEVELS: LazyLock<[f32; 256]> =
    LazyLock::new(|| std::array::from_fn(|step| 10f64.powf((step as f64 - 255.0) * 140.0 / 256.0 / 20.0) as f32));

/// The configuration of a curve (§7.2.1).
#[derive(Debug)]
pub(super) struct LineFloor {
    /// Classes of the partitions, one after the other.
    partitions: Vec<Class>,
    multiplier: i32,
    range: i32,
    posts: Vec<Post>,
    /// Numbers of the posts from left to right.
    order: Vec<usize>,
}

/// How the posts of a partition are coded.
#[derive(Clone, Debug)]
struct Class {
    posts: usize,
    /// Bits that choose a post's book, and the book that these bits are read of for all posts at once.
    choice_bits: u32,
    master: usize,
    books: [Option<usize>; BOOKS],
}

/// Where a post stands, and its nearest neighbours among the posts before it.
#[derive(Clone, Copy, Debug, Default)]
struct Post {
    x: i32,
    low: usize,
    high: usize,
}

/// Heights of a channel's posts; those that are not in use are passed over by the lines.
#[derive(Clone, Debug)]
pub(super) struct Posts {
    heights: [i32; POSTS_MAX],
    is_used: [bool; POSTS_MAX],
}

impl Posts {
    pub(super) fn new() -> Posts {
        Posts { heights: [0; POSTS_MAX], is_used: [false; POSTS_MAX] }
    }

    fn height(&self, post: usize) -> i32 {
        self.heights.get(post).copied().unwrap_or(0)
    }
}

impl LineFloor {
    pub(super) fn parse(bits: &mut Bits<'_>, books: &[Codebook]) -> Result<LineFloor, Refused> {
        let count = bits.take(5);
        let numbers: Vec<usize> = (0..count).map(|_| bits.take(4) as usize).collect();
        let class_count = numbers.iter().max().map_or(0, |number| number + 1);
        let classes: Vec<Class> = (0..class_count).map(|_| Class::parse(bits, books)).collect::<Result<_, _>>()?;
        let partitions: Vec<Class> = numbers.iter().filter_map(|number| classes.get(*number)).cloned().collect();
        let multiplier = bits.take(2) as i32 + 1;
        let range_bits = bits.take(4);
        let inner: usize = partitions.iter().map(|class| class.posts).sum();
        if POSTS_MAX < inner + 2 {
            return Err(Refused::OverLimit { limit: POSTS_MAX, of: "posts of a floor" });
        }
        let ends = [0, 1 << range_bits];
        let places: Vec<i32> = ends.into_iter().chain((0..inner).map(|_| bits.take(range_bits) as i32)).collect();
        let mut order: Vec<usize> = (0..places.len()).collect();
        let place = |post: &usize| places.get(*post).copied().unwrap_or(0);
        order.sort_by_key(place);
        if order.array_windows().any(|[left, right]| place(left) == place(right)) {
            return Err(Refused::Damaged("two posts of a floor stand at one place"));
        }
        let neighbours = |(post, x): (usize, &i32)| {
            let before = places.get(..post).unwrap_or_default().iter().enumerate();
            let low = before.clone().filter(|(_, other)| *other < x).max_by_key(|(_, other)| **other);
            let high = before.filter(|(_, other)| x < *other).min_by_key(|(_, other)| **other);
            Post { x: *x, low: low.map_or(0, |(at, _)| at), high: high.map_or(1, |(at, _)| at) }
        };
        let posts = places.iter().enumerate().map(neighbours).collect();
        let range = RANGES[multiplier as usize - 1];
        Ok(LineFloor { partitions, multiplier, range, posts, order })
    }

    /// Reads a curve (§7.2.3) and makes heights of what is read; `None` where there is none or the packet ends.
    pub(super) fn read(&self, bits: &mut Bits<'_>, books: &[Codebook], posts: &mut Posts) -> Option<()> {
        if !bits.flag() {
            return None;
        }
        let end_bits = bits_of(self.range as usize - 1);
        let [first, second, inner @ ..] = &mut posts.heights;
        (*first, *second) = (bits.take(end_bits) as i32, bits.take(end_bits) as i32);
        let mut inner = inner.iter_mut();
        for class in &self.partitions {
            let mut choice = if class.choice_bits > 0 { books.get(class.master)?.entry(bits)? } else { 0 };
            for height in inner.by_ref().take(class.posts) {
                let book = class.books.get(choice & ((1 << class.choice_bits) - 1))?;
                choice >>= class.choice_bits;
                *height = match book {
                    Some(book) => books.get(*book)?.entry(bits)? as i32,
                    None => 0,
                };
            }
        }
        if bits.is_over() {
            return None;
        }
        self.unwrap(posts);
        Some(())
    }

    /// Makes heights of differences to the line between the neighbours (§7.2.4, step 1).
    fn unwrap(&self, posts: &mut Posts) {
        posts.is_used.fill(false);
        posts.is_used[..2].fill(true);
        // What is out of range there is only in damaged packets.
        posts.heights[..2].iter_mut().for_each(|height| *height = (*height).min(self.range - 1));
        for (number, post) in self.posts.iter().enumerate().skip(2) {
            let at = |post: usize| self.posts.get(post).map_or(0, |post| post.x);
            let predicted =
                point((at(post.low), posts.height(post.low)), (at(post.high), posts.height(post.high)), post.x);
            let value = posts.height(number);
            let (high_room, low_room) = (self.range - predicted, predicted);
            let height = if value == 0 {
                predicted
            } else if 2 * high_room.min(low_room) <= value {
                if low_room < high_room { value } else { self.range - 1 - value }
            } else if value % 2 == 1 {
                predicted - (value + 1) / 2
            } else {
                predicted + value / 2
            };
            if value != 0 {
                for used in [post.low, post.high, number] {
                    posts.is_used.iter_mut().skip(used).take(1).for_each(|is_used| *is_used = true);
                }
            }
            if let Some(slot) = posts.heights.get_mut(number) {
                *slot = height.clamp(0, self.range - 1);
            }
        }
    }

    /// See [`super::floor::Floor::add`]; step 2 of §7.2.4.
    pub(super) fn add(&self, posts: &Posts, gain: f32, lines: &[f32], spectrum: &mut [f32]) {
        let used = self.order.iter().filter(|post| posts.is_used.get(**post) == Some(&true));
        let mut corners = used.map(|post| {
            let x = self.posts.get(*post).map_or(0, |post| post.x);
            (x, posts.height(*post) * self.multiplier)
        });
        let mut left = corners.next().unwrap_or_default();
        let lines = lines.get(..spectrum.len()).unwrap_or(lines);
        // Behind the last post the curve goes on at its height.
        let beyond = std::iter::once(None);
        for right in corners.map(Some).chain(beyond) {
            let right = right.unwrap_or((spectrum.len() as i32 + left.0, left.1));
            add_line(left, right, gain, lines, spectrum);
            left = right;
            if spectrum.len() as i32 <= left.0 {
                break;
            }
        }
    }
}

impl Class {
    fn parse(bits: &mut Bits<'_>, books: &[Codebook]) -> Result<Class, Refused> {
        let posts = bits.take(3) as usize + 1;
        let choice_bits = bits.take(2);
        let master = if choice_bits > 0 { book(books, bits.take(8))? } else { 0 };
        let mut chosen = [None; BOOKS];
        for slot in chosen.iter_mut().take(1 << choice_bits) {
            let number = bits.take(8);
            *slot = if number > 0 { Some(book(books, number - 1)?) } else { None };
        }
        Ok(Class { posts, choice_bits, master, books: chosen })
    }
}

/// The height of a line at `x` (§9.2.6, `render_point`).
fn point((x0, y0): (i32, i32), (x1, y1): (i32, i32), x: i32) -> i32 {
    let rise = y1 - y0;
    let offset = rise.abs() * (x - x0) / (x1 - x0).max(1);
    if rise < 0 { y0 - offset } else { y0 + offset }
}

/// Adds what is below a line from one corner to before the next (§9.2.7, `render_line`).
fn add_line((x0, y0): (i32, i32), (x1, y1): (i32, i32), gain: f32, lines: &[f32], spectrum: &mut [f32]) {
    let width = (x1 - x0).max(1);
    let rise = y1 - y0;
    let base = rise / width;
    let rest = rise.abs() - base.abs() * width;
    let step = base + rise.signum();
    let (mut y, mut error) = (y0, 0);
    let levels = &*LEVELS;
    let pairs = spectrum.iter_mut().zip(lines).take(x1 as usize).skip(x0 as usize);
    for (to, line) in pairs {
        *to += line * (gain * levels[(y & 255) as usize]);
        error += rest;
        if width <= error {
            error -= width;
            y += step;
        } else {
            y += base;
        }
    }
}
