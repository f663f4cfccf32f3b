//! The names of objects: `FOLDER/TOPIC/PLACE/TOPIC+PARTITION+START.ENDING`, where START is the first offset in the object. So a replay of
//! the same records makes the same names. Must not know what is in an object.

#[cfg(test)]
mod tests;

use pinlake_core::{Offset, TopicPartition};

/// The longest name of an object, bytes, as in S3.
pub const NAME_LEN_MAX: usize = 1024;
/// The longest part of a place between two `/`, bytes, as on a local disk.
pub const PART_LEN_MAX: usize = 255;
/// The longest ending of a name for which there is room.
const LONGEST_ENDING: &str = ".headers.snappy.parquet";
/// The most digits that an offset is padded to.
pub const OFFSET_DIGITS_MAX: u32 = 100;

/// How objects are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// What stands before all names; blank for nothing.
    pub folder: String,
    /// What stands between the folder, the topic, the place and the file.
    pub folder_delimiter: String,
    /// What stands between topic, partition and offset in the file's name.
    pub file_delimiter: String,
    /// How many digits an offset has at least.
    pub offset_digits: u32,
}

impl Default for Naming {
    fn default() -> Self {
        Self { folder: "topics".to_owned(), folder_delimiter: "/".to_owned(), file_delimiter: "+".to_owned(), offset_digits: 10 }
    }
}

impl Naming {
    /// The name of the object at `place` that starts with offset `start` of a partition. `ending` begins with its dot.
    pub fn name(&self, of: &TopicPartition, place: &str, start: Offset, ending: &str) -> String {
        let (between, delimiter) = (&self.folder_delimiter, &self.file_delimiter);
        let folder = if self.folder.trim().is_empty() { String::new() } else { format!("{}{between}", self.folder) };
        let (topic, partition, digits) = (&of.topic, of.partition, self.offset_digits.min(OFFSET_DIGITS_MAX) as usize);
        format!("{folder}{topic}{between}{place}{between}{topic}{delimiter}{partition}{delimiter}{:0digits$}{ending}", start.0)
    }

    /// Looks whether a store can keep objects at `place`, one that starts with `start` for example.
    ///
    /// # Errors
    /// Why none can.
    pub fn check(&self, of: &TopicPartition, place: &str, start: Offset) -> Result<(), String> {
        let name = self.name(of, place, start, LONGEST_ENDING);
        let Some(why) = refusal(&name, place) else { return Ok(()) };
        let shown: String = name.chars().take(200).collect();
        Err(format!("no object can have the name '{}': it {why}", shown.escape_debug()))
    }
}

/// Why no store could keep an object of that name.
pub(crate) fn refusal(name: &str, place: &str) -> Option<String> {
    if name.len() > NAME_LEN_MAX {
        return Some(format!("has {} bytes, {NAME_LEN_MAX} are the most", name.len()));
    }
    if name.chars().any(char::is_control) {
        return Some("holds a control character".to_owned());
    }
    for part in name.split('/') {
        if matches!(part, "" | "." | "..") {
            return Some(format!("holds the part '{part}' between two '/'"));
        }
    }
    let longest = place.split('/').map(str::len).max().unwrap_or_default();
    (longest > PART_LEN_MAX).then(|| format!("holds a part of {longest} bytes between two '/', {PART_LEN_MAX} are the most"))
}
