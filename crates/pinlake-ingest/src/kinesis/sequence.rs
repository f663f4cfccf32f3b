//! Sequence numbers: the decimal text of a 47-digit hexadecimal number that holds shard, offset and time of arrival.
//!
//! Hexadecimal digits, from the left: `2`, shard creation in seconds (9), low digit of the shard (1), offset (16), `00`, arrival
//! in seconds (9), shard (8), `2`. They grow with the offset within a shard. The log keeps no creation time of a shard: it is 0.

#[cfg(test)]
mod tests;

use pinlake_core::{Error, Offset, Result, Timestamp};

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
    /// The record's offset.
    pub offset: Offset,
    /// When it arrived; whole seconds.
    pub arrival: Timestamp,
}

impl SequenceNumber {
    /// Appends the decimal text.
    pub fn push_to(self, out: &mut String) {
        let mut limbs = self.limbs();
        let mut groups = [0_u32; DIGITS_MAX.div_ceil(9)];
        let mut count = 0;
        while count == 0 || limbs.iter().any(|limb| *limb != 0) {
            groups[count] = divide(&mut limbs, 1_000_000_000);
            count += 1;
        }
        let mut digits = itoa::Buffer::new();
        out.push_str(digits.format(groups[count - 1]));
        for group in groups[..count - 1].iter().rev() {
            let text = digits.format(*group);
            out.push_str(&"000000000"[text.len()..]);
            out.push_str(text);
        }
    }

    /// Takes a number apart.
    ///
    /// # Errors
    /// `Invalid` if the text is not such a number.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("not a sequence number that this server gave out");
        if text.is_empty() || text.len() > DIGITS_MAX {
            return Err(wrong());
        }
        let mut limbs = [0_u32; LIMBS];
        for byte in text.bytes() {
            let digit = char::from(byte).to_digit(10).ok_or_else(wrong)?;
            multiply_add(&mut limbs, 10, digit).ok_or_else(wrong)?;
        }
        let (high, low) = halves(limbs);
        let shard = (low >> 4) as u32;
        let arrival = (low >> 36) as u64 & SECONDS_MASK;
        let offset = (high << 48) | (low >> 80) as u64;
        let parsed = Self {
            shard,
            offset: Offset(i64::try_from(offset).map_err(|_| wrong())?),
            arrival: Timestamp(i64::try_from(arrival * 1000).expect("36 bits of seconds fit")),
        };
        if parsed.limbs() == limbs { Ok(parsed) } else { Err(wrong()) }
    }

    fn limbs(self) -> [u32; LIMBS] {
        let seconds = (self.arrival.0.max(0) / 1000).cast_unsigned() & SECONDS_MASK;
        let offset = u128::from(self.offset.0.cast_unsigned());
        // From bit 0: `2`, shard (32 bits), arrival (36), `00` (8), offset (64, from bit 80); what is over 128 goes into the high half.
        let low = 2 | u128::from(self.shard) << 4 | u128::from(seconds) << 36 | offset << 80;
        // From bit 128: the offset's top 16 bits, low digit of the shard (4), creation (36), `2`.
        let high = (offset >> 48) as u64 | u64::from(self.shard & 0xf) << 16 | 2 << 56;
        let limb = |at: usize| (low >> (32 * at)) as u32;
        [limb(0), limb(1), limb(2), limb(3), high as u32, (high >> 32) as u32]
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

fn halves(limbs: [u32; LIMBS]) -> (u64, u128) {
    let low = limbs[..4].iter().rev().fold(0_u128, |all, limb| all << 32 | u128::from(*limb));
    (u64::from(limbs[5]) << 32 | u64::from(limbs[4]), low)
}

/// Divides in place and answers the remainder.
fn divide(limbs: &mut [u32; LIMBS], by: u32) -> u32 {
    let mut rest = 0_u64;
    for limb in limbs.iter_mut().rev() {
        let value = rest << 32 | u64::from(*limb);
        *limb = (value / u64::from(by)) as u32;
        rest = value % u64::from(by);
    }
    rest as u32
}

/// `limbs * by + add` in place; `None` if it does not fit.
fn multiply_add(limbs: &mut [u32; LIMBS], by: u32, add: u32) -> Option<()> {
    let mut carry = u64::from(add);
    for limb in limbs.iter_mut() {
        let value = u64::from(*limb) * u64::from(by) + carry;
        *limb = value as u32;
        carry = value >> 32;
    }
    (carry == 0).then_some(())
}
