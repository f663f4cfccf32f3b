//! The records of one request: keys and values lie in the request's body or in a scratch buffer, so that a record costs no
//! allocation of its own and each value is copied once, into its batch.

use bytes::Bytes;

/// A piece of text or bytes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
    in_scratch: bool,
}

impl Span {
    /// How many bytes it covers.
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether it covers nothing.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    key: Option<Span>,
    value: Option<Span>,
    partition: Option<u32>,
}

/// Records on their way to one topic.
#[derive(Debug, Default)]
pub struct Records {
    body: Bytes,
    scratch: Vec<u8>,
    entries: Vec<Entry>,
}

/// Records before some were left out.
pub(crate) struct All(Vec<Entry>);

/// The most bytes a body or the scratch buffer may have; positions are 32-bit numbers.
pub const BYTES_MAX: usize = 1 << 30;

impl Records {
    /// No records yet; spans may point into `body`, which has at most 1 GiB.
    pub fn over(body: Bytes) -> Self {
        debug_assert!(body.len() <= BYTES_MAX, "the doors limit bodies to far less");
        Self { body, scratch: Vec::new(), entries: Vec::new() }
    }

    /// Records that are at hand as bytes: keys and values, `None` value for a tombstone.
    pub fn of<'a>(records: impl IntoIterator<Item = (Option<&'a [u8]>, Option<&'a [u8]>)>) -> Self {
        let mut all = Self::default();
        for (key, value) in records {
            let key = key.map(|key| all.copy(key));
            let value = value.map(|value| all.copy(value));
            all.push(key, value, None);
        }
        all
    }

    /// Makes room for so many more records whose bytes are copied.
    pub(crate) fn reserve(&mut self, records: usize, bytes: usize) {
        self.entries.reserve(records);
        self.scratch.reserve(bytes);
    }

    /// A span for `part`: where it lies if it is a slice of the body, else for a copy.
    pub fn borrow(&mut self, part: &[u8]) -> Span {
        let start = (part.as_ptr() as usize).wrapping_sub(self.body.as_ptr() as usize);
        if start > self.body.len() || part.len() > self.body.len() - start {
            return self.copy(part);
        }
        Span { start: start as u32, len: part.len() as u32, in_scratch: false }
    }

    /// A span for a copy of `bytes`.
    pub fn copy(&mut self, bytes: &[u8]) -> Span {
        self.write(|scratch| scratch.extend_from_slice(bytes))
    }

    /// A span for what `write` appends to the scratch buffer.
    pub(crate) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = self.scratch.len();
        write(&mut self.scratch);
        debug_assert!(self.scratch.len() <= BYTES_MAX, "no text grows by taking it apart");
        Span { start: start as u32, len: (self.scratch.len() - start) as u32, in_scratch: true }
    }

    /// Adds a record; `partition` if it must go to a certain one.
    pub fn push(&mut self, key: Option<Span>, value: Option<Span>, partition: Option<u32>) {
        self.entries.push(Entry { key, value, partition });
    }

    /// Leaves out those whose indices are `out`, in order; answers all, for [`Records::put_back`].
    pub(crate) fn leave_out(&mut self, out: &[usize]) -> All {
        let mut out = out.iter().copied().peekable();
        let kept = (0..).zip(&self.entries).filter(|(index, _)| out.next_if_eq(index).is_none());
        let kept = kept.map(|(_, entry)| *entry).collect();
        All(std::mem::replace(&mut self.entries, kept))
    }

    /// Has all records again.
    pub(crate) fn put_back(&mut self, all: All) {
        self.entries = all.0;
    }

    /// Forgets all records.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Key and value of a record.
    pub fn get(&self, index: usize) -> (Option<&[u8]>, Option<&[u8]>) {
        let entry = &self.entries[index];
        (entry.key.map(|span| self.bytes(span)), entry.value.map(|span| self.bytes(span)))
    }

    /// The partition that a record must go to, if any.
    pub fn partition(&self, index: usize) -> Option<u32> {
        self.entries[index].partition
    }

    /// The largest partition that some record must go to.
    pub(crate) fn partition_max(&self) -> Option<u32> {
        self.entries.iter().filter_map(|entry| entry.partition).max()
    }

    /// Sends a record to a certain partition.
    pub(crate) fn set_partition(&mut self, index: usize, partition: u32) {
        self.entries[index].partition = Some(partition);
    }

    /// The bytes of a record's key and value.
    pub fn size(&self, index: usize) -> usize {
        let entry = &self.entries[index];
        entry.key.map_or(0, Span::len) + entry.value.map_or(0, Span::len)
    }

    /// The bytes of all keys and values.
    pub fn size_all(&self) -> usize {
        (0..self.len()).map(|index| self.size(index)).sum()
    }

    /// What a span covers.
    pub fn bytes(&self, span: Span) -> &[u8] {
        let whole: &[u8] = if span.in_scratch { &self.scratch } else { &self.body };
        &whole[span.start as usize..span.start as usize + span.len()]
    }
}
