//! A tiny HTTP server for tests.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the server answers one connection; the last answer is repeated.
#[derive(Debug, Clone, Copy)]
pub enum Response {
    /// The file, or the part that was requested.
    File,
    /// The file, or the part that was requested, cut off after this many bytes.
    Cut(usize),
    /// The whole file, even if only a part was requested.
    Whole,
    /// The whole file, even if only a part was requested, cut off after this many bytes.
    WholeCut(usize),
    /// A part other than the one that was requested.
    WrongRange,
    /// A status without a body.
    Status(&'static str),
    /// The header, then silence until the client closes the connection.
    Silence,
    /// The file over and over, without a Content-Length.
    Endless,
    /// The file once, without a Content-Length.
    Unannounced,
    /// The file, after this many milliseconds.
    Late(u64),
}

/// A server on a free port, and the requests that it received.
pub struct Server {
    pub url: String,
    /// The `Range` header of each request; empty for a request without one.
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves `body`, with one of `answers` per connection.
    pub fn new(body: &[u8], answers: &[Response]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/corpus.txt", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (body, answers, seen) = (body.to_owned(), answers.to_owned(), Arc::clone(&asked));
        // The thread ends with the test process.
        std::thread::spawn(move || {
            for (place, stream) in listener.incoming().enumerate() {
                let answer = answers[place.min(answers.len() - 1)];
                let _ = serve(&stream.unwrap(), &body, answer, &seen);
            }
        });
        Self { url, asked }
    }

    /// The `Range` header of each request so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(mut stream: &TcpStream, body: &[u8], answer: Response, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut range = String::new();
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if let Some(("range", value)) = line.to_lowercase().split_once(": ") {
            range = value.to_owned();
        }
        if line.is_empty() {
            break;
        }
    }
    asked.lock().unwrap().push(range.clone());
    let from: usize = range.strip_prefix("bytes=").and_then(|r| r.trim_end_matches('-').parse().ok()).unwrap_or(0);
    let from = if matches!(answer, Response::Whole | Response::WholeCut(_)) { 0 } else { from };
    let head = |status: &str, range: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{range}\r\n")
    };
    match answer {
        Response::Status(status) => return stream.write_all(head(status, "", 0).as_bytes()),
        Response::WrongRange => {
            let range = format!("Content-Range: bytes 0-{}/{}\r\n", body.len() - 1, body.len());
            stream.write_all(head("206 Partial Content", &range, body.len()).as_bytes())?;
            return stream.write_all(body);
        }
        Response::Endless | Response::Unannounced => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            let times = if matches!(answer, Response::Endless) { usize::MAX } else { 1 };
            return (0..times).try_for_each(|_| stream.write_all(body));
        }
        Response::Late(ms) => std::thread::sleep(Duration::from_millis(ms)),
        _ => {}
    }
    if from >= body.len() {
        return stream.write_all(head("416 Range Not Satisfiable", "", 0).as_bytes());
    }
    let rest = &body[from..];
    let partial = format!("Content-Range: bytes {from}-{}/{}\r\n", body.len() - 1, body.len());
    let (status, range) = if from > 0 { ("206 Partial Content", partial.as_str()) } else { ("200 OK", "") };
    stream.write_all(head(status, range, rest.len()).as_bytes())?;
    match answer {
        Response::Cut(n) | Response::WholeCut(n) => stream.write_all(&rest[..n.min(rest.len())]),
        // This waits until the client hangs up.
        Response::Silence => std::io::copy(&mut stream, &mut std::io::sink()).map(|_| ()),
        _ => stream.write_all(rest),
    }
}
