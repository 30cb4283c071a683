//! An HTTP server that takes whatever is sent to it, always gives the same answer, and shows what it was sent.

use std::io::{BufRead as _, BufReader, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

/// A request as it came.
#[derive(Debug)]
pub struct Received {
    /// The first line and the headers.
    pub head: String,
    /// What came with it.
    pub body: Vec<u8>,
}

/// Begins to take requests; each is answered with this JSON.
///
/// # Panics
/// If no port is free.
#[must_use]
pub fn receiver(answer: String) -> (SocketAddr, Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let (tell, told) = channel();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            // Whoever asks may break off in the middle.
            let Ok(received) = take(stream, &answer) else { continue };
            if tell.send(received).is_err() {
                return;
            }
        }
    });
    (address, told)
}

fn take(stream: TcpStream, answer: &str) -> Result<Received> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    let lower = head.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    write!(
        reader.get_mut(),
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    )?;
    Ok(Received { head, body })
}
