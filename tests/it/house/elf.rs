//! Reads as much of an ELF file as tells whether the kernel would need a loader for it.

/// The type of the program header that names a loader (`PT_INTERP` in elf(5)).
const INTERP: u32 = 3;

/// Whether a 64-bit little-endian program asks for a dynamic loader; `None` if it is not one.
pub(crate) fn needs_loader(file: &[u8]) -> Option<bool> {
    const ELF64_LITTLE: &[u8] = b"\x7fELF\x02\x01";
    file.strip_prefix(ELF64_LITTLE)?;
    let half = |at: usize| Some(usize::from(u16::from_le_bytes(bytes(file, at)?)));
    let table = usize::try_from(u64::from_le_bytes(bytes(file, 0x20)?)).ok()?;
    let (size, count) = (half(0x36)?, half(0x38)?);
    let types: Option<Vec<u32>> =
        (0..count).map(|index| Some(u32::from_le_bytes(bytes(file, table + index * size)?))).collect();
    Some(types?.contains(&INTERP))
}

fn bytes<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    file.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::needs_loader;

    #[test]
    fn a_program_says_whether_it_needs_a_loader() {
        // The shell of every distribution that cargo runs on is a dynamic program.
        let shell = std::fs::read("/bin/sh").expect("there is a shell");
        assert_eq!(needs_loader(&shell), Some(true));
        assert_eq!(needs_loader(b"#!/bin/sh\n"), None);
        assert_eq!(needs_loader(&shell[..0x38]), None);
    }
}
