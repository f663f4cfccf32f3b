//! Titles, descriptions, tags and poster names, with the oddities that cleaning must leave alone. Must keep the source's lengths.

use super::Draw;
use super::json::push_number;
use super::words::Words;

/// Characters of the longest title, description and poster name that the source holds.
pub(super) const TITLE_LEN_MAX: usize = 199;
pub(super) const DESCRIPTION_LEN_MAX: usize = 201;
pub(super) const POSTER_LEN_MAX: usize = 268;

impl Words {
    /// A title of some words, now and then with a second clause or a very long one.
    pub(super) fn push_title(&self, out: &mut String, category: usize, draw: &mut Draw) {
        if draw.chance(700) {
            out.push_str(draw.pick(&self.scripts));
        } else {
            self.push_clause(out, category, draw);
        }
        match draw.below(100) {
            0..7 => {
                out.push_str(" | ");
                self.push_clause(out, category, draw);
            }
            7..16 => {
                out.push_str(if draw.chance(50_000) { ": " } else { " - " });
                out.push_str(draw.pick(&self.sentences));
            }
            16 => {
                while out.len() < TITLE_LEN_MAX {
                    out.push_str(", ");
                    self.push_clause(out, category, draw);
                }
            }
            _ => {}
        }
        if draw.chance(8_500) {
            out.push(' ');
            out.push_str(draw.pick(&self.accents));
        }
        self.push_oddities(out, draw);
        cut(out, TITLE_LEN_MAX);
    }

    fn push_clause(&self, out: &mut String, category: usize, draw: &mut Draw) {
        let many = draw.chance(30_000);
        if many {
            push_number(out, 5 + draw.below(46));
            out.push(' ');
        }
        if draw.chance(75_000) {
            out.push_str(draw.pick(&self.adjectives));
            out.push(' ');
        }
        out.push_str(draw.pick(&self.subjects[category]));
        if many {
            out.push_str(" Ideas");
        }
        if draw.chance(60_000) {
            out.push(' ');
            out.push_str(draw.pick(&self.tails));
        }
    }

    /// A description of whole sentences, or one that was cut off: then it ends in an ellipsis and a no-break blank.
    pub(super) fn push_description(&self, out: &mut String, category: usize, draw: &mut Draw) {
        let is_cut = draw.chance(39_000);
        let length = if is_cut { 190 } else { 12 + draw.below(150) as usize };
        if draw.chance(700) {
            out.push_str(draw.pick(&self.scripts));
            out.push_str(". ");
        }
        if draw.chance(45_000) {
            self.push_clause(out, category, draw);
            out.push_str(". ");
        }
        if draw.chance(6_000) {
            out.push_str(draw.pick(&self.accents));
            out.push_str(". ");
        }
        self.push_oddities(out, draw);
        while out.len() < length {
            out.push_str(draw.pick(&self.sentences));
            out.push_str(if draw.chance(15_000) { "! " } else { ". " });
        }
        if is_cut {
            cut_at_blank(out, 150 + draw.below(28) as usize);
            out.push_str("…\u{a0}");
        } else {
            cut_at_blank(out, DESCRIPTION_LEN_MAX);
        }
    }

    /// Emoji, quotes, runs of blanks, no-break blanks, line breaks and backslashes, each in a few of a thousand texts.
    fn push_oddities(&self, out: &mut String, draw: &mut Draw) {
        match draw.below(10_000) {
            0..110 => {
                out.push(' ');
                out.push_str(draw.pick(&self.emoji));
            }
            110..230 => {
                out.push_str(" \"");
                out.push_str(draw.pick(&self.adjectives));
                out.push('"');
            }
            230..380 => {
                out.push_str("             ");
                out.push_str(draw.pick(&self.adjectives));
            }
            380..395 => {
                out.push('\u{a0}');
                out.push_str(draw.pick(&self.adjectives));
            }
            395..401 => {
                out.push('\n');
                out.push_str(draw.pick(&self.adjectives));
            }
            401..407 => out.push_str(" \\o/"),
            407..410 => out.push_str("\t(ad)"),
            _ => return,
        }
        out.push(' ');
        let kept = out.trim_end_matches(' ').len();
        // A few texts end in a blank, as the source's do.
        out.truncate(if draw.chance(10_000) { kept + 1 } else { kept });
    }

    /// A comma list of tags, mostly nine, some with blanks after the commas.
    pub(super) fn push_tags(&self, out: &mut String, category: usize, draw: &mut Draw) {
        let count = match draw.below(100) {
            0..6 => 2 + draw.below(4),
            6..15 => 6 + draw.below(3),
            15..97 => 9,
            _ => 10 + draw.below(8),
        };
        let has_blanks = draw.chance(4_000);
        for tag in 0..count {
            if tag > 0 {
                out.push(',');
                if has_blanks && draw.chance(50_000) {
                    out.push(' ');
                }
            }
            if draw.chance(35_000) {
                out.push_str(draw.pick(&self.adjectives));
                out.push(' ');
            }
            out.push_str(draw.pick(&self.subjects[category]));
        }
        if draw.chance(800) {
            out.push(',');
            out.push_str(draw.pick(&self.accents));
        }
    }

    /// A poster's name: a brand, a person, or a brand with what it is about.
    pub(super) fn push_poster(&self, out: &mut String, draw: &mut Draw) {
        let (first, second) = (draw.pick(&self.poster_first), draw.pick(&self.poster_second));
        let parts: &[&str] = match draw.below(1_000) {
            0..330 => &[first, " ", second],
            330..430 => &["The ", first, " ", second],
            430..500 => &[first, second],
            500..560 => &[first, " & ", draw.pick(&self.poster_first), " ", second],
            560..820 => &[draw.pick(&self.first_names), " ", draw.pick(&self.last_names)],
            820..830 => &[draw.pick(&self.first_names), " ", draw.pick(&self.last_names), ", ", first, " ", second],
            830..980 => &[first, " ", second, " | ", draw.pick(&self.poster_tails)],
            980..996 => &[first, " ", second, " ", draw.pick(&self.accents)],
            996..998 => &[draw.pick(&self.scripts)],
            _ => &[first, "  ", second, " \"", draw.pick(&self.adjectives), "\""],
        };
        parts.iter().for_each(|part| out.push_str(part));
        if draw.chance(100) {
            while out.len() < POSTER_LEN_MAX {
                out.push_str(", ");
                out.push_str(draw.pick(&self.poster_tails));
            }
        }
        if draw.chance(1_900) {
            out.push(' ');
        }
        cut(out, POSTER_LEN_MAX);
    }
}

/// Cuts `text` to `chars` characters.
fn cut(text: &mut String, chars: usize) {
    if text.len() > chars
        && let Some((end, _)) = text.char_indices().nth(chars)
    {
        text.truncate(end);
    }
}

/// Cuts `text` to `chars` characters or fewer, between two words, and takes blanks off its end.
fn cut_at_blank(text: &mut String, chars: usize) {
    let before = text.len();
    cut(text, chars);
    if text.len() < before
        && let Some(end) = text.rfind(' ')
    {
        text.truncate(end);
    }
    let kept = text.trim_end_matches(' ').len();
    text.truncate(kept);
}
