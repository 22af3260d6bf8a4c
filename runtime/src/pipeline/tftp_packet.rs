//! The packets of TFTP that a reader sends, and the parts of those that it gets.

pub const READ: u16 = 1;
pub const DATA: u16 = 3;
pub const ACK: u16 = 4;
pub const ERROR: u16 = 5;
pub const OPTIONS: u16 = 6;

/// What fits into an Ethernet frame with IPv6's header, the longer one.
pub const BLOCK: usize = 1448;
pub const WINDOW: u16 = 16;

pub fn request(name: &[u8], options: bool) -> Vec<u8> {
    let mut packet = [&READ.to_be_bytes()[..], name, b"\0octet\0"].concat();
    if options {
        for (name, value) in
            [("blksize", BLOCK), ("tsize", 0), ("timeout", 2), ("windowsize", usize::from(WINDOW))]
        {
            packet.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
        }
    }
    packet
}

pub fn acknowledgement(block: u16) -> Vec<u8> {
    [ACK.to_be_bytes(), block.to_be_bytes()].concat()
}

/// Operation and the rest.
pub fn split(packet: &[u8]) -> Option<(u16, &[u8])> {
    let (operation, body) = packet.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*operation), body))
}

/// An error packet, in our codes and in words.
pub fn refusal(body: &[u8]) -> (&'static str, String) {
    let (code, text) = body.split_first_chunk::<2>().unwrap_or((&[0, 0], b""));
    let (code, reason) = match u16::from_be_bytes(*code) {
        1 => ("ENOENT", "no such file"),
        2 => ("EACCES", "access denied"),
        3 => ("ENOSPC", "its disk is full"),
        6 => ("EEXIST", "the file exists"),
        _ => ("EPROTO", "an error"),
    };
    let text: String =
        String::from_utf8_lossy(text).chars().filter(|char| !char.is_control()).take(200).collect();
    let text = if text.is_empty() { String::new() } else { format!(": {text}") };
    (code, format!("the server answered: {reason}{text}"))
}
