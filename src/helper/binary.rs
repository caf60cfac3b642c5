//! The helper's binaries, as `build.rs` built them.

use miniz_oxide::inflate::decompress_to_vec;

/// A static Linux program.
#[derive(Debug, PartialEq, Eq)]
pub struct Helper {
    packed: &'static [u8],
    /// SHA-256 of the program, in hexadecimal.
    pub sha256: &'static str,
}

impl Helper {
    /// The program.
    pub fn bytes(&self) -> Vec<u8> {
        // What `build.rs` packed can be unpacked: a test does.
        decompress_to_vec(self.packed).unwrap_or_default()
    }
}

/// By Docker's name of the architecture.
static HELPERS: &[(&str, Helper)] = include!(concat!(env!("OUT_DIR"), "/helpers.rs"));

/// The helper for an architecture, as Docker (`amd64`) or the kernel (`x86_64`) names it. `None` when this build has
/// none for it.
pub fn helper(architecture: &str) -> Option<&'static Helper> {
    let architecture = match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    HELPERS.iter().find(|(name, _)| *name == architecture).map(|(_, helper)| helper)
}

/// The architectures there is a helper for.
pub fn architectures() -> impl Iterator<Item = &'static str> {
    HELPERS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_an_architecture_mean_the_same() {
        assert_eq!(helper("x86_64"), helper("amd64"));
        assert_eq!(helper("aarch64"), helper("arm64"));
        assert_eq!(helper("riscv64"), None);
    }

    #[test]
    fn every_helper_is_an_elf_program_with_its_hash() {
        for architecture in architectures() {
            let helper = helper(architecture).unwrap();
            let bytes = helper.bytes();
            assert!(bytes.starts_with(b"\x7fELF") && bytes.len() > 100_000, "{architecture}");
            assert!(helper.packed.len() < bytes.len() * 2 / 3, "{architecture}");
            assert_eq!(helper.sha256.len(), 64);
        }
    }
}
