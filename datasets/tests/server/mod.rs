//! HTTP servers on this machine, for one test each.

use std::io::{Cursor, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use tiny_http::{Header, Request, Response, StatusCode};

type Answer = Response<Cursor<Vec<u8>>>;

/// A server that is shut down with the test process.
pub struct Server {
    pub url: String,
    ranges: Arc<Mutex<Vec<Option<String>>>>,
}

impl Server {
    /// Serves `content` at every path, in parts if asked to.
    pub fn with_ranges(content: &[u8]) -> Self {
        let content = content.to_vec();
        Self::start(move |range| {
            let header = |name: &str, value: &str| Header::from_bytes(name, value).unwrap();
            match range {
                None => Response::from_data(content.clone()),
                Some(from) if from >= content.len() => {
                    Response::from_data("past the end").with_status_code(416)
                }
                Some(from) => Response::from_data(&content[from..]).with_status_code(206).with_header(
                    header("Content-Range", &format!("bytes {from}-{}/{}", content.len() - 1, content.len())),
                ),
            }
        })
    }

    /// Serves `content` at every path, always all of it.
    pub fn without_ranges(content: &[u8]) -> Self {
        let content = content.to_vec();
        Self::start(move |_| Response::from_data(content.clone()))
    }

    /// Serves the files of a folder, each at its name.
    pub fn of_folder(folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self::start_at(move |path, _| {
            Response::from_data(std::fs::read(folder.join(path.trim_start_matches('/'))).unwrap())
        })
    }

    /// Answers every request with this status.
    pub fn refusing(status: u16) -> Self {
        Self::start(move |_| Response::from_data("no").with_status_code(StatusCode(status)))
    }

    /// Announces all of `content`, sends the first `sent` bytes and hangs up.
    pub fn cutting(content: &[u8], sent: usize) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len());
        let answer = [head.as_bytes(), &content[..sent]].concat();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let mut request = Vec::new();
                let mut byte = [0];
                // Unread input would turn the hang-up into a reset.
                while !request.ends_with(b"\r\n\r\n") && connection.read(&mut byte).unwrap() > 0 {
                    request.extend(byte);
                }
                connection.write_all(&answer).unwrap();
            }
        });
        let ranges = Arc::default();
        Self { url, ranges }
    }

    /// The `Range` header of every request so far.
    pub fn ranges(&self) -> Vec<Option<String>> {
        self.ranges.lock().unwrap().clone()
    }

    fn start(answer: impl Fn(Option<usize>) -> Answer + Send + 'static) -> Self {
        let server = Self::start_at(move |_, range| answer(range));
        Self { url: server.url + "/file", ..server }
    }

    fn start_at(answer: impl Fn(&str, Option<usize>) -> Answer + Send + 'static) -> Self {
        let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
        let url = format!("http://{}", server.server_addr());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&ranges);
        thread::spawn(move || {
            for request in server.incoming_requests() {
                assert_eq!(field(&request, "Accept-Encoding").unwrap(), "identity");
                let range = field(&request, "Range");
                let from = range.as_ref().map(|range| {
                    let from = range.strip_prefix("bytes=").unwrap();
                    from.strip_suffix('-').unwrap().parse().unwrap()
                });
                seen.lock().unwrap().push(range);
                let response = answer(request.url(), from);
                let _ = request.respond(response);
            }
        });
        Self { url, ranges }
    }
}

fn field(request: &Request, name: &'static str) -> Option<String> {
    let mut headers = request.headers().iter();
    let header = headers.find(|header| header.field.equiv(name))?;
    Some(header.value.to_string())
}
