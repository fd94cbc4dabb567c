//! Finds variables of a program by name, in 64-bit ELF files.

/// A file, as far as it was needed.
struct Elf<'b>(&'b [u8]);

impl<'b> Elf<'b> {
    fn number(&self, at: usize, bytes: usize) -> Option<u64> {
        let field = self.0.get(at..at.checked_add(bytes)?)?;
        Some(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn size(&self, at: usize, bytes: usize) -> Option<usize> {
        usize::try_from(self.number(at, bytes)?).ok()
    }

    fn section(&self, offset: usize, size: usize) -> Option<&'b [u8]> {
        self.0.get(offset..offset.checked_add(size)?)
    }
}

/// Types of sections that list symbols.
const SYMBOL_TABLES: [u64; 2] = [11, 2];
const LOADABLE: u64 = 1;
const LITTLE_ENDIAN_64: &[u8] = b"\x7fELF\x02\x01";

/// The addresses of `names`, less the address at which the file begins in memory; `None` if one is
/// missing.
pub(super) fn find<const N: usize>(file: &[u8], names: [&str; N]) -> Option<[u64; N]> {
    let elf = Elf(file);
    if !file.starts_with(LITTLE_ENDIAN_64) {
        return None;
    }
    let begin = first_address(&elf)?;
    let mut found = [None; N];
    let (table, length, count) = (elf.size(40, 8)?, elf.size(58, 2)?, elf.size(60, 2)?);
    let header = |index: usize| table.checked_add(index.checked_mul(length)?);
    for index in 0..count {
        let at = header(index)?;
        if !SYMBOL_TABLES.contains(&elf.number(at + 4, 4)?) {
            continue;
        }
        let symbols = elf.section(elf.size(at + 24, 8)?, elf.size(at + 32, 8)?)?;
        let texts = header(elf.size(at + 40, 4)?)?;
        let texts = elf.section(elf.size(texts + 24, 8)?, elf.size(texts + 32, 8)?)?;
        for symbol in symbols.chunks_exact(24) {
            let symbol = Elf(symbol);
            let name = texts.get(symbol.size(0, 4)?..).unwrap_or_default();
            for (wanted, address) in names.iter().zip(&mut found) {
                let is_it = name
                    .strip_prefix(wanted.as_bytes())
                    .is_some_and(|rest| rest.first() == Some(&0));
                // A symbol without a value is defined elsewhere.
                if is_it && symbol.number(8, 8)? != 0 {
                    *address = symbol.number(8, 8)?.checked_sub(begin);
                }
            }
        }
    }
    let all: Vec<u64> = found.into_iter().collect::<Option<_>>()?;
    all.try_into().ok()
}

/// The lowest address that the file asks for.
fn first_address(elf: &Elf<'_>) -> Option<u64> {
    let (table, length, count) = (elf.size(32, 8)?, elf.size(54, 2)?, elf.size(56, 2)?);
    let segments = (0..count).filter_map(|index| {
        let at = table.checked_add(index.checked_mul(length)?)?;
        let is_loaded = elf.number(at, 4)? == LOADABLE;
        is_loaded.then(|| elf.number(at + 16, 8)).flatten()
    });
    segments.min().map(|address| address & !0xfff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_of_this_program_are_found_and_damaged_files_refused() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert!(find(&own, ["main"]).is_some());
        assert_eq!(find(&own, ["main", "there is no such symbol"]), None);
        assert_eq!(find(b"#!/bin/sh\n", ["main"]), None);
        for length in [0, 6, 40, 64, 100, 1000] {
            assert_eq!(find(&own[..length], ["main"]), None);
        }
    }
}
