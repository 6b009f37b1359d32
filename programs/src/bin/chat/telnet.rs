//! Removes the commands of telnet (RFC 854), which its clients send in between the text.
//!
//! In telnet two bytes 255 stand for one byte 255. UTF-8 never has that byte, so here both stay.

#[derive(Default)]
pub(crate) enum Telnet {
    #[default]
    Text,
    /// After a byte 255, "interpret as command".
    Command,
    /// After WILL, WONT, DO or DONT.
    Option,
    /// In a subnegotiation; the second variant is after a byte 255 there.
    Subnegotiation,
    SubnegotiationCommand,
}

const SE: u8 = 240;
const SB: u8 = 250;
const WILL: u8 = 251;
const DONT: u8 = 254;
const IAC: u8 = 255;

impl Telnet {
    /// Removes commands from the bytes that were read last, which begin at `from`. A command may go on in the
    /// bytes that are read next.
    pub(crate) fn strip(&mut self, bytes: &mut Vec<u8>, from: usize) {
        let read = bytes.split_off(from);
        for byte in read {
            *self = match (&self, byte) {
                (Telnet::Text, IAC) => Telnet::Command,
                (Telnet::Text, _) => {
                    bytes.push(byte);
                    Telnet::Text
                }
                (Telnet::Command, IAC) => {
                    bytes.push(IAC);
                    Telnet::Command
                }
                (Telnet::Command, SB) => Telnet::Subnegotiation,
                (Telnet::Command, WILL..=DONT) => Telnet::Option,
                (Telnet::Command, SE..) => Telnet::Text,
                (Telnet::Command, _) => {
                    bytes.extend([IAC, byte]); // not a command
                    Telnet::Text
                }
                (Telnet::Option, _) | (Telnet::SubnegotiationCommand, SE) => Telnet::Text,
                (Telnet::Subnegotiation, IAC) => Telnet::SubnegotiationCommand,
                (Telnet::Subnegotiation | Telnet::SubnegotiationCommand, _) => {
                    Telnet::Subnegotiation
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_removed_however_they_are_cut() {
        let said =
            b"\xff\xfd\x18he\xff\xf1llo\xff\xfa\x18\x00vt\xff\xff100\xff\xf0\r\n\xff\xffx\xffy";
        for cut in 0..said.len() {
            let (mut telnet, mut bytes) = (Telnet::default(), Vec::new());
            for piece in [&said[..cut], &said[cut..]] {
                let from = bytes.len();
                bytes.extend_from_slice(piece);
                telnet.strip(&mut bytes, from);
            }
            assert_eq!(bytes, b"hello\r\n\xff\xffx\xffy", "{cut}");
        }
    }
}
