//! URLs, of arguments and of redirects.

use std::fmt::Write;

use hyper::Uri;
use nio_programs::Failure;

/// Reads a URL. Blanks and letters beyond ASCII, which a URL cannot have, are encoded.
pub(crate) fn parse(text: &str) -> Result<Uri, Failure> {
    let fail = |reason| Failure(format!("{text}: {reason}; try http://example.com/"));
    let url: Uri = encode(text.as_bytes())
        .parse()
        .map_err(|_| fail("not a URL"))?;
    let port = address_of(&url).rsplit_once(':').map(|(_, port)| port);
    match (url.scheme_str(), url.host()) {
        (Some("http"), Some(_)) => match port.filter(|port| !port.ends_with(']')) {
            // `Uri` treats an invalid port as no port.
            Some(port) if !port.is_empty() && !matches!(port.parse(), Ok(1..=u16::MAX)) => {
                Err(fail("not a port from 1 to 65535"))
            }
            _ => Ok(url),
        },
        (Some("https"), _) => Err(fail("https is not supported, only http")),
        _ => Err(fail("not a URL that begins with http://")),
    }
}

/// The host and the port of a URL, without the name of a user.
pub(crate) fn address_of(url: &Uri) -> &str {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    authority.rsplit('@').next().unwrap_or(authority)
}

/// Resolves the location of a redirect against the URL of the request (RFC 3986, section 5).
pub(crate) fn follow(from: &Uri, location: &[u8]) -> Result<Uri, Failure> {
    let location = encode(location);
    let location = location.split('#').next().unwrap_or(&location);
    let first = location.find([':', '/', '?']);
    if first.is_some_and(|first| location[first..].starts_with(':')) {
        return parse(location);
    }
    if location.starts_with("//") {
        return parse(&format!("http:{location}"));
    }
    let (host, path) = (address_of(from), from.path());
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let absolute = match location.bytes().next() {
        Some(b'/') => location.into(),
        Some(b'?') => format!("{path}{location}"),
        Some(_) => format!("{directory}/{location}"),
        None => return Ok(from.clone()),
    };
    parse(&format!("http://{host}{}", without_dots(&absolute)))
}

/// A path and its query, without the segments "." and "..".
fn without_dots(path_and_query: &str) -> String {
    let end = path_and_query.find('?').unwrap_or(path_and_query.len());
    let (path, query) = path_and_query.split_at(end);
    let mut parts = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        parts.push(""); // a directory
    }
    format!("/{}{query}", parts.join("/"))
}

/// Bytes that a URL cannot have become `%` and two digits (RFC 3986, section 2.1).
fn encode(url: &[u8]) -> String {
    let mut encoded = String::new();
    for byte in url {
        match byte {
            b'!'..=b'~' if !b"\"<>\\^`{|}".contains(byte) => encoded.push(char::from(*byte)),
            _ => drop(write!(encoded, "%{byte:02X}")), // writing to a string cannot fail
        }
    }
    encoded
}
