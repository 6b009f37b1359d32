//! The index and the generation of a key in one word.
//!
//! Laws:
//! 1. No word is 0 or `usize::MAX`, so these can have a meaning of their own.
//! 2. The index can be read from every word.
//! 3. A word of 64 bits holds all of the generation. One of 32 bits holds the generation modulo
//!    [`GENERATIONS`] beside an index below [`LOW`], and none beside the others.

use core::num::NonZeroU32;

/// In a word of 32 bits, an index below this has a generation beside it. A process has seldom more
/// descriptors: this is the limit that Linux sets for them by default.
const LOW: u32 = 1 << 20;
/// How many generations a word of 32 bits tells apart: 11 bits, from 1 on.
const GENERATIONS: u32 = (1 << 11) - 1;
/// The bit of a word of 32 bits that holds an index from `LOW` on, and nothing else.
const HIGH: u32 = 1 << 31;

/// The word of an index and a generation.
#[inline]
pub(crate) fn pack(index: u32, generation: NonZeroU32) -> usize {
    if usize::BITS < 64 {
        pack_narrow(index, generation.get()) as usize
    } else {
        ((u64::from(generation.get()) << 32) | u64::from(index)) as usize
    }
}

/// The index in a word.
#[inline]
pub(crate) fn index(word: usize) -> u32 {
    if usize::BITS < 64 {
        index_narrow(word as u32)
    } else {
        word as u32
    }
}

fn pack_narrow(index: u32, generation: u32) -> u32 {
    if index < LOW {
        (((generation - 1) % GENERATIONS + 1) * LOW) | index
    } else {
        HIGH | index
    }
}

fn index_narrow(word: u32) -> u32 {
    let bits = if word & HIGH == 0 { LOW } else { HIGH };
    word & (bits - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More slots than a 32-bit process has memory for.
    const LAST: u32 = (1 << 31) - 2;

    const GENERATIONS_TO_TRY: [u32; 7] = [1, 2, 2047, 2048, 4096, u32::MAX - 1, u32::MAX];

    #[test]
    fn every_word_has_its_index_and_none_is_reserved() {
        for at in [0, 1, LOW - 1, LOW, LOW + 1, LAST] {
            for generation in GENERATIONS_TO_TRY {
                let word = pack_narrow(at, generation);
                assert_eq!(index_narrow(word), at, "of {generation}");
                assert!(word != 0 && word != u32::MAX, "{at} of {generation}");
                let word = pack(at, NonZeroU32::new(generation).unwrap());
                assert_eq!(index(word), at, "of {generation}");
                assert!(word != 0 && word != usize::MAX, "{at} of {generation}");
            }
        }
    }

    #[test]
    fn a_narrow_word_tells_2047_generations_in_a_row_apart() {
        for generation in [1, 2000, u32::MAX - GENERATIONS] {
            let word = pack_narrow(7, generation);
            let mut later = 1..GENERATIONS;
            assert!(later.all(|later| pack_narrow(7, generation + later) != word));
            assert_eq!(pack_narrow(7, generation + GENERATIONS), word);
        }
    }
}
