//! The image of a revision is made of an archive with one file, and a copy out of it is one, too.

use std::io::{Error, Read, Result};

use tar::{Archive, Builder, Header};

pub fn pack(name: &str, bytes: &[u8], mode: u32) -> Result<Vec<u8>> {
    let mut header = Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    header.set_cksum();
    let mut archive = Builder::new(Vec::new());
    archive.append_data(&mut header, name, bytes)?;
    archive.into_inner()
}

/// The text of the only file.
///
/// # Errors
/// What is no archive, an empty one, or a file that is no text.
pub fn unpack(bytes: &[u8]) -> Result<String> {
    let mut archive = Archive::new(bytes);
    let mut text = String::new();
    match archive.entries()?.next() {
        Some(entry) => entry?.read_to_string(&mut text)?,
        None => return Err(Error::other("an empty archive")),
    };
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let text = "é\n".repeat(1000);
        assert_eq!(unpack(&pack("compose.json", text.as_bytes(), 0o600).unwrap()).unwrap(), text);
        assert!(unpack(&[]).is_err());
    }
}
