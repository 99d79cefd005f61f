//! Random moments that come again with their seed: SplitMix64.

pub struct Random(u64);

impl Random {
    /// Seeded by `WEIR_SEED`, else by the clock. The seed is printed.
    pub fn new(test: &str) -> Random {
        let given = std::env::var("WEIR_SEED").ok().map(|seed| seed.parse().expect("WEIR_SEED is a number"));
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = given.unwrap_or(clock);
        eprintln!("{test}: WEIR_SEED={seed}");
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
