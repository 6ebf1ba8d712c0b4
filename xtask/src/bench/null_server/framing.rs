//! How a body lies on the wire: plain, or cut into chunks (`aws-chunked`). Pure: bytes in, what they mean out.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>

use anyhow::{Result, bail, ensure};

/// No line of a chunked body is longer; a signature takes about a hundred bytes.
const MAX_LINE_BYTES: usize = 4096;

/// Reads one body out of a stream of bytes that may be cut anywhere.
#[derive(Debug)]
pub(super) enum Framing {
    /// As many bytes as the head said.
    Plain {
        /// Bytes still to come.
        left: u64,
    },
    /// Chunks, then trailers.
    Chunked(Chunked),
}

/// The state of a chunked body.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    expects: Expects,
    line: Vec<u8>,
    decoded_bytes: u64,
    trailers: Vec<(String, String)>,
}

/// What comes next in a chunked body.
#[derive(Debug, Default, PartialEq, Eq)]
enum Expects {
    #[default]
    ChunkSize,
    Data(u64),
    EndOfData,
    Trailer,
    Nothing,
}

impl Framing {
    /// Takes what belongs to this body from the front of `bytes`, hands its content to `content`, and says how many
    /// bytes it took. It takes all of them unless the body is over.
    pub(super) fn take(&mut self, bytes: &[u8], mut content: impl FnMut(&[u8])) -> Result<usize> {
        match self {
            Self::Plain { left } => {
                let taken = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                content(&bytes[..taken]);
                *left -= taken as u64;
                Ok(taken)
            }
            Self::Chunked(chunked) => chunked.take(bytes, content),
        }
    }

    /// How many of the next bytes are content for sure, so that nobody needs to look at them.
    pub(super) const fn certain_bytes(&self) -> u64 {
        match self {
            Self::Plain { left } | Self::Chunked(Chunked { expects: Expects::Data(left), .. }) => *left,
            Self::Chunked(_) => 0,
        }
    }

    /// Notes that `count` bytes of content went by unseen; never more than `certain_bytes`.
    pub(super) fn skip(&mut self, count: u64) {
        match self {
            Self::Plain { left } => *left -= count,
            Self::Chunked(chunked) => chunked.pass(count),
        }
    }

    /// True when the whole body went by.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Plain { left } => *left == 0,
            Self::Chunked(chunked) => chunked.expects == Expects::Nothing,
        }
    }

    /// What stood behind the chunks, names in lower case.
    pub(super) fn into_trailers(self) -> Vec<(String, String)> {
        match self {
            Self::Plain { .. } => Vec::new(),
            Self::Chunked(chunked) => chunked.trailers,
        }
    }

    /// Bytes of content that a chunked body had so far; none for a plain one, whose head says it.
    pub(super) const fn decoded_bytes(&self) -> Option<u64> {
        match self {
            Self::Plain { .. } => None,
            Self::Chunked(chunked) => Some(chunked.decoded_bytes),
        }
    }
}

impl Chunked {
    fn take(&mut self, bytes: &[u8], mut content: impl FnMut(&[u8])) -> Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() && self.expects != Expects::Nothing {
            if let Expects::Data(left) = self.expects {
                let count = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                content(&rest[..count]);
                self.pass(count as u64);
                rest = &rest[count..];
                continue;
            }
            let end = rest.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(rest.len(), |end| end + 1);
            self.line.extend_from_slice(&rest[..count]);
            rest = &rest[count..];
            ensure!(self.line.len() <= MAX_LINE_BYTES, "a line of a chunked body does not end");
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                self.line(String::from_utf8_lossy(&line).trim_end())?;
            }
        }
        Ok(bytes.len() - rest.len())
    }

    fn pass(&mut self, count: u64) {
        self.decoded_bytes += count;
        if let Expects::Data(left) = &mut self.expects {
            *left -= count;
            if *left == 0 {
                self.expects = Expects::EndOfData;
            }
        }
    }

    /// A whole line outside of the data.
    fn line(&mut self, line: &str) -> Result<()> {
        self.expects = match self.expects {
            Expects::ChunkSize => {
                let size = line.split(';').next().unwrap_or_default().trim();
                match u64::from_str_radix(size, 16) {
                    Ok(0) => Expects::Trailer,
                    Ok(size) => Expects::Data(size),
                    Err(_) => bail!("`{size}` is not the size of a chunk"),
                }
            }
            Expects::EndOfData if line.is_empty() => Expects::ChunkSize,
            Expects::Trailer if line.is_empty() => Expects::Nothing,
            Expects::Trailer => {
                let Some((name, value)) = line.split_once(':') else { bail!("`{line}` is not a trailer") };
                self.trailers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
                Expects::Trailer
            }
            _ => bail!("`{line}` stands behind a chunk"),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Chunked, Framing};

    /// Content and trailers of a body, and how many bytes follow it.
    type Decoded = (String, Vec<(String, String)>, usize);

    /// What a chunked body holds when it arrives in pieces of `step` bytes.
    fn decode(wire: &[u8], step: usize) -> Result<Decoded, String> {
        let mut framing = Framing::Chunked(Chunked::default());
        let (mut content, mut taken) = (Vec::new(), 0);
        for piece in wire.chunks(step) {
            let count =
                framing.take(piece, |data| content.extend_from_slice(data)).map_err(|error| error.to_string())?;
            taken += count;
            if framing.is_over() {
                assert_eq!(framing.decoded_bytes(), Some(content.len() as u64));
                return Ok((String::from_utf8(content).unwrap(), framing.into_trailers(), wire.len() - taken));
            }
            assert_eq!(count, piece.len(), "all is taken until the body is over");
        }
        Err("unfinished".to_owned())
    }

    #[track_caller]
    fn check(wire: &str, content: &str, trailers: &[(&str, &str)], behind: usize) {
        let trailers: Vec<(String, String)> = trailers.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        for step in [1, 2, 3, 7, wire.len()] {
            let (got, got_trailers, got_behind) = decode(wire.as_bytes(), step).unwrap();
            assert_eq!((got.as_str(), got_trailers), (content, trailers.clone()), "in pieces of {step}");
            if step == wire.len() {
                assert_eq!(got_behind, behind);
            }
        }
    }

    #[test]
    fn bodies_in_chunks() {
        check("0\r\n\r\n", "", &[], 0);
        check("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", &[], 0);
        check("A;chunk-signature=abc\r\n0123456789\r\n0;chunk-signature=def\r\n\r\nGET /", "0123456789", &[], 5);
        check(
            "3\r\na\nb\r\n0\r\nx-amz-checksum-crc64nvme:rosUhgp5mIg=\r\nX-Amz-Trailer-Signature: f00\r\n\r\n",
            "a\nb",
            &[("x-amz-checksum-crc64nvme", "rosUhgp5mIg="), ("x-amz-trailer-signature", "f00")],
            0,
        );
    }

    #[test]
    fn bodies_that_are_no_chunks() {
        for (wire, why) in [
            ("xyz\r\n", "`xyz` is not the size of a chunk"),
            ("1\r\nab\r\n", "`b` stands behind a chunk"),
            ("0\r\nno colon\r\n", "`no colon` is not a trailer"),
            ("5\r\nhel", "unfinished"),
        ] {
            assert_eq!(decode(wire.as_bytes(), wire.len()), Err(why.to_owned()));
        }
        let endless = "0".repeat(5000);
        assert_eq!(decode(endless.as_bytes(), 100), Err("a line of a chunked body does not end".to_owned()));
    }

    #[test]
    fn content_may_go_by_unseen() {
        let mut framing = Framing::Chunked(Chunked::default());
        framing.take(b"10\r\n", |_| ()).unwrap();
        assert_eq!(framing.certain_bytes(), 16);
        framing.skip(16);
        assert_eq!(framing.certain_bytes(), 0);
        assert_eq!(framing.take(b"\r\n0\r\n\r\nnext", |_| ()).unwrap(), 7);
        assert!(framing.is_over());
        assert_eq!(framing.decoded_bytes(), Some(16));
    }
}
