//! What a container prints, cut into lines as it comes.

use super::KubernetesError;
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use kube::client::Body;

/// The longest line that is kept whole; the rest of a longer one is left out.
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// The lines of a log that goes on.
#[derive(Debug)]
pub struct Lines {
    body: Option<Body>,
    rest: BytesMut,
    what: String,
}

impl Lines {
    pub(super) fn new(body: Body, what: String) -> Self {
        Self { body: Some(body), rest: BytesMut::new(), what }
    }

    /// The next line; none once the container has ended, or the server has enough.
    pub async fn next(&mut self) -> Result<Option<String>, KubernetesError> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line = self.rest.split_to(end + 1);
                return Ok(Some(text(&line[..end])));
            }
            let Some(body) = &mut self.body else {
                let last = std::mem::take(&mut self.rest);
                return Ok((!last.is_empty()).then(|| text(&last)));
            };
            match body.frame().await {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    // Of a line without end only its end is waited for.
                    let from = match self.rest.len() < MAX_LINE_BYTES {
                        true => 0,
                        false => data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()),
                    };
                    self.rest.extend_from_slice(&data[from..]);
                }
                Some(Err(error)) => {
                    return Err(KubernetesError::Broken { what: self.what.clone(), why: error.to_string() });
                }
                None => self.body = None,
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    let line = &bytes[..bytes.len().min(MAX_LINE_BYTES)];
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::Lines;
    use kube::client::Body;

    #[tokio::test]
    async fn lines_end_with_the_body() {
        let mut lines = Lines::new(Body::from(b"one\r\n\ntwo \xff\nthree".to_vec()), "log".to_owned());
        let mut heard = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            heard.push(line);
        }
        assert_eq!(heard, ["one", "", "two \u{fffd}", "three"]);
    }
}
