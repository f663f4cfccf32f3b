//! Sequence numbers: the decimal text of a 47-digit hexadecimal number that holds shard, offset and time of arrival.
//!
//! Hexadecimal digits, from the left: `2`, the shard's second of creation (9), low digit of the shard (1), offset (16), `00`, arrival
//! in seconds (9), shard (8), `2`. They grow with the offset within a shard, whatever the arrival is. A shard that no call of Kinesis made
//! was created at 0. A number that ends with `1` is no record's: it stands right before the record of its offset, whether that is there
//! yet or not.

#[cfg(test)]
mod tests;

use pinlake_core::{Offset, Timestamp};

/// 36 bits of seconds reach past the year 4000.
const SECONDS_MASK: u64 = (1 << 36) - 1;
/// The number in 32-bit limbs: 188 bits of 192.
const LIMBS: usize = 6;
/// The most decimal digits of a number of 192 bits.
const DIGITS_MAX: usize = 58;

/// What a sequence number holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceNumber {
    /// The shard's index.
    pub shard: u32,
    /// When the shard was created, seconds.
    pub created: i64,
    /// The record's offset.
    pub offset: Offset,
    /// When it arrived; whole seconds.
    pub arrival: Timestamp,
    /// What it stands for.
    pub mark: Mark,
}

/// What a sequence number stands for; its last digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The place before the record of its offset: how far a subscription has come.
    Before = 1,
    /// The record of its offset.
    Record,
}

impl SequenceNumber {
    /// Reads the decimal text of a number that this server may have given; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > DIGITS_MAX || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mut limbs = [0_u32; LIMBS];
        for digit in text.bytes() {
            let mut carry = u64::from(digit - b'0');
            for limb in &mut limbs {
                let value = u64::from(*limb) * 10 + carry;
                *limb = value as u32;
                carry = value >> 32;
            }
            if carry > 0 {
                return None;
            }
        }
        Self::of_limbs(limbs)
    }

    /// Appends the decimal text.
    pub fn push_to(self, out: &mut String) {
        let mut limbs = self.limbs();
        let mut groups = [0_u32; DIGITS_MAX.div_ceil(9)];
        let (mut count, mut left) = (0, LIMBS);
        while left > 0 {
            groups[count] = divide(&mut limbs[..left], 1_000_000_000);
            count += 1;
            while left > 0 && limbs[left - 1] == 0 {
                left -= 1;
            }
        }
        let mut digits = itoa::Buffer::new();
        out.push_str(digits.format(groups[count - 1]));
        for group in groups[..count - 1].iter().rev() {
            let text = digits.format(*group);
            out.push_str(&"000000000"[text.len()..]);
            out.push_str(text);
        }
    }

    /// The decimal text.
    pub fn to_text(self) -> String {
        let mut text = String::with_capacity(DIGITS_MAX);
        self.push_to(&mut text);
        text
    }

    fn limbs(self) -> [u32; LIMBS] {
        let seconds = (self.arrival.0.max(0) / 1000).cast_unsigned() & SECONDS_MASK;
        let created = self.created.max(0).cast_unsigned() & SECONDS_MASK;
        let offset = u128::from(self.offset.0.cast_unsigned());
        // From bit 0: the mark, shard (32 bits), arrival (36), `00` (8), offset (64, from bit 80); what is over 128 goes into the high half.
        let low = self.mark as u128 | u128::from(self.shard) << 4 | u128::from(seconds) << 36 | offset << 80;
        // From bit 128: the offset's top 16 bits, low digit of the shard (4), creation (36), `2`.
        let high = (offset >> 48) as u64 | u64::from(self.shard & 0xf) << 16 | created << 20 | 2 << 56;
        let limb = |at: usize| (low >> (32 * at)) as u32;
        [limb(0), limb(1), limb(2), limb(3), high as u32, (high >> 32) as u32]
    }

    fn of_limbs(limbs: [u32; LIMBS]) -> Option<Self> {
        let low = limbs[..4].iter().rev().fold(0, |low, limb| low << 32 | u128::from(*limb));
        let high = u64::from(limbs[5]) << 32 | u64::from(limbs[4]);
        let offset = (low >> 80) as u64 | (high & 0xffff) << 48;
        let number = Self {
            shard: (low >> 4) as u32,
            created: (high >> 20 & SECONDS_MASK).cast_signed(),
            offset: Offset(i64::try_from(offset).ok()?),
            arrival: Timestamp(((low >> 36) as u64 & SECONDS_MASK).cast_signed() * 1000),
            mark: if low & 0xf == Mark::Before as u128 { Mark::Before } else { Mark::Record },
        };
        // What was left out has one value alone, and no shard has a number over 31 bits.
        (number.limbs() == limbs && i32::try_from(number.shard).is_ok()).then_some(number)
    }
}

/// A shard's id: `shardId-000000000000`.
pub fn push_shard_id(out: &mut String, shard: u32) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(shard);
    out.push_str("shardId-");
    out.push_str(&"000000000000"[digits.len()..]);
    out.push_str(digits);
}

/// The same as a text of its own.
pub fn shard_id(shard: u32) -> String {
    let mut id = String::with_capacity(20);
    push_shard_id(&mut id, shard);
    id
}

/// Divides in place and answers the remainder.
#[inline]
fn divide(limbs: &mut [u32], by: u32) -> u32 {
    let mut rest = 0_u64;
    for limb in limbs.iter_mut().rev() {
        let value = rest << 32 | u64::from(*limb);
        *limb = (value / u64::from(by)) as u32;
        rest = value % u64::from(by);
    }
    rest as u32
}
