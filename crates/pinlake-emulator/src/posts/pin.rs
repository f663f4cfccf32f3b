//! The pin's record, with the ways in which the source's pins are broken.

use super::draw::{Purpose, quantile};
use super::json::{push_number, push_text};
use super::shared::{Axis, Shared};
use super::words::CATEGORIES;
use super::{Draw, FIRST_KEY, Rows, SOURCE_ROWS};

/// Followers at each share of pins, before rounding to the text: 17 % below a thousand, 8 % from a million, 5 % from two.
const FOLLOWERS: [(f64, f64); 13] = [
    (0.0, 0.0),
    (0.05, 31.0),
    (0.11, 200.0),
    (0.17, 999.5),
    (0.25, 4_000.0),
    (0.375, 12_000.0),
    (0.5, 32_000.0),
    (0.625, 90_000.0),
    (0.75, 221_000.0),
    (0.92, 999_500.0),
    (0.95, 1_500_000.0),
    (0.99, 6_000_000.0),
    (1.0, 15_400_000.0),
];

/// Parts of 100,000 pins whose poster has no other.
const OWN_POSTER_PARTS: u64 = 38_000;

/// What kind of pin it is; the breaks depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Image,
    Video,
    /// Several pages. Image errors and six-fold breaks occur on these only.
    Story,
    /// A story whose page could not be read at all.
    Broken,
}

/// A row of `pinterest_data` without its key.
#[derive(Debug, Default)]
pub(crate) struct PinRow {
    pub(crate) unique_id: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) poster_name: String,
    pub(crate) follower_count: String,
    pub(crate) tag_list: String,
    pub(crate) is_image_or_video: &'static str,
    pub(crate) image_src: String,
    pub(crate) downloaded: u64,
    pub(crate) category: &'static str,
}

impl PinRow {
    pub(super) fn fill(&mut self, rows: &Rows, key: u64) {
        let mut draw = Draw::new(rows.seed, key, Purpose::Pin);
        let (category, name) = category_of(key, rows.keys);
        self.category = name;
        self.unique_id.clear();
        push_uuid(&mut self.unique_id, &mut draw);
        let shape = shape(&mut draw, key);
        self.is_image_or_video = match shape {
            Shape::Image => "image",
            Shape::Video => "video",
            Shape::Story | Shape::Broken => "multi-video(story page format)",
        };
        self.fill_image(shape, &mut draw);
        self.fill_poster(shape, rows, key, &mut draw);
        self.fill_texts(shape, rows, key, category);
    }

    fn fill_image(&mut self, shape: Shape, draw: &mut Draw) {
        let has_error = shape == Shape::Broken || (shape == Shape::Story && draw.chance(22_400));
        self.downloaded = u64::from(!has_error);
        self.image_src.clear();
        if has_error {
            self.image_src.push_str("Image src error.");
            return;
        }
        let ending = match draw.below(1_000) {
            0..843 => ".jpg",
            843..993 => ".png",
            993..998 => ".webp",
            _ => ".gif",
        };
        push_image_address(&mut self.image_src, ending, draw);
    }

    fn fill_poster(&mut self, shape: Shape, rows: &Rows, key: u64, draw: &mut Draw) {
        self.poster_name.clear();
        self.follower_count.clear();
        if shape == Shape::Broken {
            self.poster_name.push_str("User Info Error");
            self.follower_count.push_str("User Info Error");
            return;
        }
        let poster = Shared::pick(draw, key, rows.keys, OWN_POSTER_PARTS);
        rows.words.push_poster(&mut self.poster_name, &mut poster.draw(rows.seed, Purpose::Poster));
        let followers = quantile(&FOLLOWERS, poster.spread(Axis::Second));
        push_followers(&mut self.follower_count, followers.min(15_000_000.0));
    }

    fn fill_texts(&mut self, shape: Shape, rows: &Rows, key: u64, category: usize) {
        let mut draw = Draw::new(rows.seed, key, Purpose::Text);
        self.title.clear();
        match draw.below(10_000) {
            _ if shape == Shape::Broken => self.title.push_str("No Title Data Available"),
            0..4 => {}
            4 => self.title.push_str("Untitled"),
            _ => rows.words.push_title(&mut self.title, category, &mut draw),
        }
        self.description.clear();
        match draw.below(10_000) {
            _ if matches!(shape, Shape::Story | Shape::Broken) => {
                self.description.push_str("No description available Story format");
            }
            0..162 => self.description.push_str("No description available"),
            162..166 => {}
            166 => self.description.push_str("Untitled"),
            _ => rows.words.push_description(&mut self.description, category, &mut draw),
        }
        self.tag_list.clear();
        match draw.below(10_000) {
            _ if shape == Shape::Broken => self.tag_list.push_str("N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"),
            0..58 => self.tag_list.push_str("N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"),
            _ => rows.words.push_tags(&mut self.tag_list, category, &mut draw),
        }
    }

    pub(super) fn push_json(&self, key: u64, out: &mut String) {
        out.push_str("{\"index\":");
        push_number(out, key);
        out.push_str(",\"unique_id\":\"");
        out.push_str(&self.unique_id);
        out.push_str("\",\"title\":");
        push_text(out, &self.title);
        out.push_str(",\"description\":");
        push_text(out, &self.description);
        out.push_str(",\"poster_name\":");
        push_text(out, &self.poster_name);
        out.push_str(",\"follower_count\":\"");
        out.push_str(&self.follower_count);
        out.push_str("\",\"tag_list\":");
        push_text(out, &self.tag_list);
        out.push_str(",\"is_image_or_video\":\"");
        out.push_str(self.is_image_or_video);
        out.push_str("\",\"image_src\":\"");
        out.push_str(&self.image_src);
        out.push_str("\",\"downloaded\":");
        push_number(out, self.downloaded);
        out.push_str(",\"save_location\":\"Local save in /data/");
        out.push_str(self.category);
        out.push_str("\",\"category\":\"");
        out.push_str(self.category);
        out.push_str("\"}");
    }
}

/// The category's number and name: the keys are divided into one block a category, in the source's order and proportions.
fn category_of(key: u64, keys: u64) -> (usize, &'static str) {
    let row = (u128::from(key) * u128::from(SOURCE_ROWS) / u128::from(keys)) as u64;
    let after = CATEGORIES.partition_point(|(_, start)| *start <= row);
    (after - 1, CATEGORIES[after - 1].0)
}

/// Of 2,780 pins 192 are stories (18 of them broken), 87 videos and the rest images.
fn shape(draw: &mut Draw, key: u64) -> Shape {
    match draw.below(2_780) {
        _ if key == FIRST_KEY => Shape::Broken,
        0..18 => Shape::Broken,
        18..192 => Shape::Story,
        192..279 => Shape::Video,
        _ => Shape::Image,
    }
}

/// Rounds to three digits or fewer before a unit, as the source does: `999`, `1k`, `999k`, `1M`.
fn push_followers(out: &mut String, followers: f64) {
    match followers {
        few if few < 999.5 => push_number(out, few.round() as u64),
        many if many < 999_500.0 => {
            push_number(out, (many / 1_000.0).round() as u64);
            out.push('k');
        }
        most => {
            push_number(out, (most / 1_000_000.0).round() as u64);
            out.push('M');
        }
    }
}

fn push_hex(out: &mut String, bits: u64, digits: u32) {
    for place in (0..digits).rev() {
        out.push(char::from(b"0123456789abcdef"[(bits >> (4 * place) & 15) as usize]));
    }
}

/// A version 4 UUID.
fn push_uuid(out: &mut String, draw: &mut Draw) {
    let (high, low) = (draw.bits(), draw.bits());
    push_hex(out, high >> 32, 8);
    out.push('-');
    push_hex(out, high >> 16, 4);
    out.push('-');
    push_hex(out, 0x4000 | (high & 0x0FFF), 4);
    out.push('-');
    push_hex(out, 0x8000 | (low >> 48 & 0x3FFF), 4);
    out.push('-');
    push_hex(out, low, 12);
}

/// The image's address: three folders of two digits, then all 32.
fn push_image_address(out: &mut String, ending: &str, draw: &mut Draw) {
    let (high, low) = (draw.bits(), draw.bits());
    out.push_str("https://i.pinimg.com/originals/");
    for shift in [56, 48, 40] {
        push_hex(out, high >> shift, 2);
        out.push('/');
    }
    push_hex(out, high, 16);
    push_hex(out, low, 16);
    out.push_str(ending);
}
