//! Undoes the `content-encoding` of a body as it comes, within a limit. Pure: bytes in, bytes out.
//!
//! A body of a few kilobytes may become gigabytes, by mistake or on purpose. Output is counted as
//! it is produced, so that no more than the limit is ever in memory. In addition a decoder keeps a
//! window of its latest output: 32 kB for gzip and deflate, at most 16 MB for br and 8 MB for zstd.
//! The body decides how large its window is.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use thiserror::Error;
use zstd::stream::raw::{self, InBuffer, Operation as _, OutBuffer};
use zstd::zstd_safe::DParameter;

/// Larger zstd windows are refused, as browsers do (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;
/// How much a br decoder writes at a time.
const BROTLI_BUFFER: usize = 4096;
/// How much a zstd decoder writes at a time.
const ZSTD_BUFFER: usize = 4096;

/// Why the rest of a body cannot be decoded.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum Undecodable {
    #[error("the body is longer than {0} bytes once decoded")]
    Long(usize),
    #[error("the body is not what its `content-encoding` says")]
    Broken,
    #[error("the body ends before its encoding does")]
    Cut,
}

/// Decodes one body.
pub(super) struct Decoder {
    coding: Coding,
    limit: usize,
    /// Decoding cannot continue after the first failure.
    failed: Option<Undecodable>,
}

enum Coding {
    /// Passed on unchanged.
    Identity(Sink),
    Gzip(MultiGzDecoder<Sink>),
    /// `deflate` is zlib (RFC 9110, section 8.4.1.2), but some servers leave out the zlib wrapper.
    /// The first two bytes show which it is.
    Unknown(Sink, Vec<u8>),
    Zlib(ZlibDecoder<Sink>),
    Deflate(DeflateDecoder<Sink>),
    Brotli(Box<DecompressorWriter<Sink>>),
    Zstd(Zstd),
}

impl Decoder {
    /// A decoder for the value of a `content-encoding` header, which is empty if there is none. The
    /// output is at most `limit` bytes. `None` for unknown encodings, and for several encodings on
    /// top of each other.
    pub(super) fn for_encoding(encoding: &str, limit: usize) -> Option<Self> {
        let sink = Sink { bytes: Vec::new(), room: limit };
        let coding = match encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Coding::Identity(sink),
            "gzip" | "x-gzip" => Coding::Gzip(MultiGzDecoder::new(sink)),
            "deflate" => Coding::Unknown(sink, Vec::new()),
            "br" => Coding::Brotli(Box::new(DecompressorWriter::new(sink, BROTLI_BUFFER))),
            "zstd" => {
                let mut raw = raw::Decoder::new().ok()?;
                raw.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).ok()?;
                Coding::Zstd(Zstd { raw, sink, is_open: false })
            }
            _ => return None,
        };
        Some(Self { coding, limit, failed: None })
    }

    /// Decodes the next piece of the body and appends the output to `out`.
    ///
    /// # Errors
    ///
    /// What is wrong with the body. The output so far is in `out`: if the body is too long, the
    /// first `limit` bytes.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Undecodable> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let written = self.coding.write(bytes);
        out.append(&mut self.coding.sink().bytes);
        written.map_err(|error| self.fail(&error))
    }

    /// Ends the body. Appends output that was held back to `out`.
    ///
    /// # Errors
    ///
    /// Also when the encoded data are not complete.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Undecodable> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let ended = self.coding.end();
        out.append(&mut self.coding.sink().bytes);
        ended.map_err(|error| self.fail(&error))
    }

    fn fail(&mut self, error: &io::Error) -> Undecodable {
        let failed = match error.kind() {
            io::ErrorKind::QuotaExceeded => Undecodable::Long(self.limit),
            io::ErrorKind::UnexpectedEof => Undecodable::Cut,
            _ => Undecodable::Broken,
        };
        self.failed = Some(failed);
        failed
    }
}

impl Coding {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Coding::Unknown(sink, begin) = self {
            begin.extend_from_slice(bytes);
            let [first, second, ..] = begin[..] else { return Ok(()) };
            let (sink, begin) = (std::mem::take(sink), std::mem::take(begin));
            // RFC 1950, section 2.2: the method is 8, and the header is a multiple of 31.
            let header = u16::from_be_bytes([first, second]);
            *self = match first & 15 == 8 && header % 31 == 0 {
                true => Coding::Zlib(ZlibDecoder::new(sink)),
                false => Coding::Deflate(DeflateDecoder::new(sink)),
            };
            return self.write(&begin);
        }
        let writer: &mut dyn Write = match self {
            Coding::Identity(sink) | Coding::Unknown(sink, _) => sink,
            Coding::Gzip(gzip) => gzip,
            Coding::Zlib(zlib) => zlib,
            Coding::Deflate(deflate) => deflate,
            Coding::Brotli(brotli) => brotli,
            Coding::Zstd(zstd) => zstd,
        };
        writer.write_all(bytes)?;
        writer.flush()
    }

    /// An error if it is not at its end.
    fn end(&mut self) -> io::Result<()> {
        match self {
            Coding::Identity(_) => Ok(()),
            // An empty body decodes to an empty body: some servers send one.
            Coding::Unknown(_, begin) if begin.is_empty() => Ok(()),
            Coding::Unknown(..) => Err(io::ErrorKind::UnexpectedEof.into()),
            Coding::Gzip(gzip) => gzip.try_finish(),
            Coding::Zlib(zlib) => zlib.try_finish(),
            Coding::Deflate(deflate) => deflate.try_finish(),
            Coding::Brotli(brotli) => brotli.close().map_err(|error| match error.kind() {
                io::ErrorKind::QuotaExceeded => error,
                // The error for a stream that is valid so far but not complete.
                _ => io::ErrorKind::UnexpectedEof.into(),
            }),
            Coding::Zstd(zstd) if zstd.is_open => Err(io::ErrorKind::UnexpectedEof.into()),
            Coding::Zstd(_) => Ok(()),
        }
    }

    fn sink(&mut self) -> &mut Sink {
        match self {
            Coding::Identity(sink) | Coding::Unknown(sink, _) => sink,
            Coding::Gzip(gzip) => gzip.get_mut(),
            Coding::Zlib(zlib) => zlib.get_mut(),
            Coding::Deflate(deflate) => deflate.get_mut(),
            Coding::Brotli(brotli) => brotli.get_mut(),
            Coding::Zstd(zstd) => &mut zstd.sink,
        }
    }
}

/// The writer of the library does not detect a body that is cut off.
struct Zstd {
    raw: raw::Decoder<'static>,
    sink: Sink,
    /// In the middle of a frame.
    is_open: bool,
}

impl Write for Zstd {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut input = InBuffer::around(bytes);
        loop {
            let mut room = [0; ZSTD_BUFFER];
            let mut output = OutBuffer::around(&mut room[..]);
            let hint = self.raw.run(&mut input, &mut output)?;
            let written = output.as_slice();
            self.sink.write_all(written)?;
            self.is_open = hint > 0;
            // If there is room left, nothing was held back.
            if input.pos() == bytes.len() && written.len() < ZSTD_BUFFER {
                return Ok(bytes.len());
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes the output while there is room.
#[derive(Default)]
struct Sink {
    bytes: Vec<u8>,
    /// Room that is left, over the whole body.
    room: usize,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.room);
        if taken == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.bytes.extend_from_slice(&bytes[..taken]);
        self.room -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    /// `text` in each encoding.
    fn encoded(text: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        let level = Compression::default();
        let mut gzip = GzEncoder::new(Vec::new(), level);
        gzip.write_all(text).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), level);
        zlib.write_all(text).unwrap();
        let mut deflate = DeflateEncoder::new(Vec::new(), level);
        deflate.write_all(text).unwrap();
        vec![
            ("gzip", gzip.finish().unwrap()),
            ("deflate", zlib.finish().unwrap()),
            ("Deflate", deflate.finish().unwrap()),
            ("zstd", zstd::encode_all(text, 3).unwrap()),
            (" br", stored_brotli(text)),
            ("", text.to_vec()),
        ]
    }

    /// A br stream that stores its content (RFC 7932, section 9.2): a window of 2^16, blocks of at
    /// most 65536 bytes that are not compressed, and an empty last block.
    fn stored_brotli(text: &[u8]) -> Vec<u8> {
        let mut bits = Vec::new();
        let mut out = Vec::new();
        bits.push(false);
        for block in text.chunks(65_536) {
            // Not the last; four nibbles of length minus one; not compressed.
            bits.extend([false, false, false]);
            let length = block.len() - 1;
            bits.extend((0..16).map(|bit| length >> bit & 1 == 1));
            bits.push(true);
            flush_bits(&mut bits, &mut out);
            out.extend_from_slice(block);
        }
        bits.extend([true, true]);
        flush_bits(&mut bits, &mut out);
        out
    }

    fn flush_bits(bits: &mut Vec<bool>, out: &mut Vec<u8>) {
        for byte in bits.chunks(8) {
            out.push(byte.iter().enumerate().map(|(at, bit)| u8::from(*bit) << at).sum());
        }
        bits.clear();
    }

    fn decode(
        encoding: &str,
        bytes: &[u8],
        piece: usize,
        limit: usize,
    ) -> (Vec<u8>, Result<(), Undecodable>) {
        let mut decoder = Decoder::for_encoding(encoding, limit).unwrap();
        let mut out = Vec::new();
        for piece in bytes.chunks(piece) {
            if let Err(error) = decoder.push(piece, &mut out) {
                assert_eq!(decoder.push(b"more", &mut out), Err(error));
                return (out, Err(error));
            }
        }
        let ended = decoder.finish(&mut out);
        (out, ended)
    }

    #[test]
    fn bodies_come_out_as_they_were_however_they_are_cut() {
        let text = "{\"product\": 42, \"price\": 1.5}\n".repeat(10_000);
        for text in ["", "a", &text] {
            for (encoding, bytes) in encoded(text.as_bytes()) {
                for piece in [1, 7, 1024, usize::MAX] {
                    let (out, ended) = decode(encoding, &bytes, piece, 1_000_000);
                    assert_eq!(ended, Ok(()), "{encoding} {piece}");
                    assert!(out == text.as_bytes(), "{encoding} {piece}");
                }
            }
        }
    }

    /// Output of Node.js 20 for text and for three million zeros.
    const BROTLI_TEXT: &str = "1b2f75f89d07762c673a82640ca4aff15a2486666f2ad4e824084b5fb9c8742095ec\
                               f29a6ea08521cae015db186666034813";
    const BROTLI_ZEROS: &str = "9bbfc62df82700e2b14020cfb705";

    fn bytes_of(hex: &str) -> Vec<u8> {
        let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    #[test]
    fn compressed_br_is_read() {
        let (out, ended) = decode("br", &bytes_of(BROTLI_TEXT), 3, 1_000_000);
        assert_eq!(ended, Ok(()));
        assert!(out == "{\"product\": 42, \"price\": 1.5}\n".repeat(1000).as_bytes());
        let (out, ended) = decode("br", &bytes_of(BROTLI_ZEROS), 3, 1000);
        assert_eq!((out, ended), (vec![0; 1000], Err(Undecodable::Long(1000))));
        assert_eq!(
            decode("br", &bytes_of(BROTLI_ZEROS)[..10], 1, 1 << 30).1,
            Err(Undecodable::Cut)
        );
    }

    #[test]
    fn bombs_are_cut_at_the_limit() {
        let zeros = vec![0; 50_000_000];
        for (encoding, bytes) in encoded(&zeros) {
            if encoding == " br" || encoding.is_empty() {
                continue;
            }
            assert!(bytes.len() < 60_000, "{encoding} {}", bytes.len());
            let (out, ended) = decode(encoding, &bytes, usize::MAX, 100_000);
            assert_eq!(ended, Err(Undecodable::Long(100_000)), "{encoding}");
            assert!(out == zeros[..100_000], "{encoding}");
        }
        for (encoding, bytes) in encoded(&zeros[..200_000]) {
            let (out, ended) = decode(encoding, &bytes, 5000, 100_000);
            assert_eq!(
                (out.len(), ended),
                (100_000, Err(Undecodable::Long(100_000))),
                "{encoding}"
            );
            let (out, ended) = decode(encoding, &bytes, 5000, 200_000);
            assert_eq!((out.len(), ended), (200_000, Ok(())), "{encoding}");
        }
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_told() {
        let text = "not twice the same: ".repeat(50);
        for (encoding, bytes) in encoded(text.as_bytes()) {
            if encoding.is_empty() {
                continue;
            }
            let (_, ended) = decode(encoding, &bytes[..bytes.len() - 3], 10, 1_000_000);
            // In gzip these three bytes are part of its checksum.
            let expected = if encoding == "gzip" { Undecodable::Broken } else { Undecodable::Cut };
            assert_eq!(ended, Err(expected), "{encoding}");
            let (out, ended) = decode(encoding, b"<html>hello</html>", 5, 1_000_000);
            assert!(ended.is_err(), "{encoding} {ended:?}");
            assert!(out.len() < 1000, "{encoding}");
        }
        for encoding in ["compress", "gzip, br", "none"] {
            assert!(Decoder::for_encoding(encoding, 10).is_none(), "{encoding}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), piece in 1..20usize,
            flip in any::<prop::sample::Index>(), with in any::<u8>(),
        ) {
            for (encoding, mut good) in encoded(&bytes) {
                let (out, _) = decode(encoding, &bytes, piece, 10_000);
                prop_assert!(out.len() <= 10_000);
                if !good.is_empty() {
                    let at = flip.index(good.len());
                    good[at] ^= with;
                    let (out, _) = decode(encoding, &good, piece, 10_000);
                    prop_assert!(out.len() <= 10_000);
                }
            }
        }
    }
}
