//! Reading lines, and pieces up to a delimiter.

mod support;

use std::{
    io::{ErrorKind, Write},
    net::Shutdown,
    rc::Rc,
    sync::Arc,
};

use nio_net::{AsStream, BufReader, TcpStream};
use support::{Counted, pair_with_std, pattern, poll, poll_once, run};

/// A reader of bytes that have all come, and of the end.
async fn reader_of(handle: &nio_loop::Handle, bytes: &[u8]) -> BufReader<TcpStream> {
    let (stream, mut peer) = pair_with_std(handle);
    peer.write_all(bytes).unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    BufReader::new(stream)
}

#[test]
fn lines_come_without_their_ends_and_the_last_one_needs_none() {
    run(async |handle| {
        let mut reader = reader_of(&handle, b"one\r\n\ntwo\r\r\nthree\r").await;
        for line in ["one", "", "two\r", "three\r"] {
            assert_eq!(reader.read_line(100).await.unwrap(), Some(line));
        }
        for _ in 0..2 {
            assert_eq!(reader.read_line(100).await.unwrap(), None);
        }
    });
}

#[test]
fn an_iterator_of_lines_ends_with_the_stream() {
    run(async |handle| {
        let mut lines = reader_of(&handle, b"one\ntwo\nthree").await.lines(100);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        assert_eq!(all, ["one", "two", "three"]);
    });
}

#[test]
fn a_piece_ends_with_its_delimiter_wherever_that_is_cut() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let mut reader = BufReader::new(stream);
        let mut read = Box::pin(reader.read_until(b"\r\n\r\n", 100));
        for byte in b"head\r\n\rbut\r\n\r" {
            peer.write_all(&[*byte]).unwrap();
            assert!(poll(read.as_mut()).is_pending());
        }
        peer.write_all(b"\nbody").unwrap();
        assert_eq!(read.await.unwrap().unwrap(), b"head\r\n\rbut\r\n\r\n");
        assert_eq!(reader.read_exact(4).await.unwrap(), b"body");
    });
}

#[test]
fn a_piece_as_long_as_the_limit_is_read_and_a_longer_one_is_an_error_that_names_it() {
    run(async |handle| {
        let mut reader = reader_of(&handle, b"1234\n56789\nrest").await;
        assert_eq!(reader.read_line(5).await.unwrap(), Some("1234"));
        for _ in 0..2 {
            let error = reader.read_line(5).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::FileTooLarge);
            let text = error.to_string();
            assert_eq!(text, "\"\\n\" has not come within the limit of 5 bytes");
        }
        // One byte too many is enough.
        let mut other = reader_of(&handle, b"56789\n").await;
        other.read_line(5).await.unwrap_err();
        // Nothing is lost.
        assert_eq!(reader.read_line(6).await.unwrap(), Some("56789"));
        assert_eq!(reader.read_line(4).await.unwrap(), Some("rest"));
    });
}

#[test]
fn a_line_that_is_not_text_is_an_error_and_stays() {
    run(async |handle| {
        let mut reader = reader_of(&handle, b"\xff\xfe\nnext\n").await;
        for _ in 0..2 {
            let error = reader.read_line(100).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
        }
        assert_eq!(
            reader.read_until(b"\n", 100).await.unwrap().unwrap(),
            b"\xff\xfe\n"
        );
        assert_eq!(reader.read_line(100).await.unwrap(), Some("next"));
    });
}

#[test]
fn l86_a_read_of_a_line_that_is_dropped_loses_no_byte() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let mut reader = BufReader::new(stream);
        for piece in ["one", " and", " two"] {
            peer.write_all(piece.as_bytes()).unwrap();
            // It reads the piece, waits for more, and is dropped.
            while !reader.buffer().ends_with(piece.as_bytes()) {
                assert!(poll_once(reader.read_line(100)).is_pending());
                handle.next_turn().await;
            }
        }
        peer.write_all(b"\nnext").unwrap();
        assert_eq!(reader.read_line(100).await.unwrap(), Some("one and two"));
    });
}

#[test]
fn l96_a_read_of_a_line_that_is_dropped_leaves_nothing() {
    run(async |handle| {
        let (stream, _peer) = pair_with_std(&handle);
        let mut reader = BufReader::new(stream);
        let counted = Arc::new(Counted::default());
        for _ in 0..3 {
            let mut line = Box::pin(reader.read_line(100));
            assert!(counted.poll(line.as_mut()).is_pending());
            assert!(counted.kept() > 0);
            drop(line);
            assert_eq!(counted.kept(), 0);
        }
    });
}

#[test]
fn l95_lines_that_are_in_the_buffer_leave_the_others_their_turns() {
    run(async |handle| {
        let mut reader = reader_of(&handle, &[b'\n'; 8000]).await;
        let lines = handle.spawn(async move {
            let mut lines = 0;
            while reader.read_line(1).await.unwrap().is_some() {
                lines += 1;
            }
            lines
        });
        let mut turns = 0;
        while !lines.is_finished() {
            handle.next_turn().await;
            turns += 1;
        }
        assert_eq!(lines.await.unwrap(), 8000);
        assert!(turns > 100, "{turns} turns");
    });
}

#[test]
fn bytes_are_read_out_of_the_buffer_first() {
    run(async |handle| {
        let mut reader = reader_of(&handle, b"line\n0123456789").await;
        assert_eq!(reader.read_line(100).await.unwrap(), Some("line"));
        let mut bytes = [0; 4];
        assert_eq!(reader.read(&mut bytes).await.unwrap(), 4);
        assert_eq!(&bytes, b"0123");
        reader.consume(1);
        assert_eq!(reader.buffer(), b"56789");
        let error = reader.read_exact(7).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains("2 bytes are missing"), "{error}");
        let (stream, left) = reader.into_inner();
        assert_eq!(left, b"56789");
        assert_eq!(stream.read(&mut bytes).await.unwrap(), 0);
    });
}

#[test]
fn long_pieces_arrive_as_they_were_sent() {
    run(async |handle| {
        let mut bytes = pattern(300_000);
        bytes.retain(|byte| *byte != b'\n');
        bytes.push(b'\n');
        let (stream, peer) = pair_with_std(&handle);
        let sent = bytes.clone();
        let sender = std::thread::spawn(move || (&peer).write_all(&sent).unwrap());
        let mut reader = BufReader::new(stream);
        let piece = reader.read_until(b"\n", bytes.len()).await.unwrap();
        assert!(piece.unwrap() == bytes);
        sender.join().unwrap();
    });
}

#[test]
fn a_half_a_reference_and_a_shared_stream_are_read_by_lines() {
    async fn line<R: AsStream>(stream: R, peer: &mut std::net::TcpStream) {
        peer.write_all(b"line\n").unwrap();
        let mut reader = BufReader::new(stream);
        assert_eq!(reader.read_line(100).await.unwrap(), Some("line"));
        assert!(poll_once(reader.read_more()).is_pending());
    }
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        line(&stream, &mut peer).await;
        let stream = Rc::new(stream);
        line(Rc::clone(&stream), &mut peer).await;
        let (reader, _writer) = Rc::into_inner(stream).unwrap().into_split();
        line(reader, &mut peer).await;
    });
}
