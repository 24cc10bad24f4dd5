//! Chances that are the same for the same seed.

/// Where numbers come from: xorshift64*. <https://en.wikipedia.org/wiki/Xorshift>
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// Those of a story.
    pub(crate) fn of(seed: u64, number: u64) -> Self {
        // Near seeds shall not begin alike, and zero would stay zero.
        let mixed = (seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mut chance = Chance(mixed | 1);
        for _ in 0..8 {
            chance.next();
        }
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below this one, which is not zero.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % end
    }

    /// Whether what happens so many times out of so many happens now.
    pub(crate) fn is(&mut self, times: usize, out_of: usize) -> bool {
        self.below(out_of) < times
    }

    /// Any of these.
    pub(crate) fn any<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// So many bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[7]).collect()
    }
}
