//! What clients write around a refusal: the call, the object, the Region. Every client has its own way.

use crate::model::BucketName;

/// What stands around a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wrapping {
    /// The API call, such as `PutObject`.
    pub(super) operation: Option<String>,
    /// Bucket and key; the key may be empty.
    pub(super) place: Option<(String, String)>,
    /// Where the bucket is.
    pub(super) region: Option<String>,
    /// True if the request went without a signature on purpose.
    pub(super) unsigned: bool,
}

/// The S3 and STS calls that clients name.
const CALLS: &[&str] = &[
    "AbortMultipartUpload",
    "AssumeRole",
    "AssumeRoleWithWebIdentity",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateBucket",
    "CreateMultipartUpload",
    "DeleteBucket",
    "DeleteObject",
    "DeleteObjects",
    "GetBucketLocation",
    "GetBucketPolicy",
    "GetObject",
    "GetObjectAcl",
    "GetObjectAttributes",
    "GetObjectTagging",
    "HeadBucket",
    "HeadObject",
    "ListBuckets",
    "ListMultipartUploads",
    "ListObjectVersions",
    "ListObjects",
    "ListObjectsV2",
    "ListParts",
    "PutBucketPolicy",
    "PutObject",
    "PutObjectAcl",
    "PutObjectTagging",
    "UploadPart",
    "UploadPartCopy",
];

/// Words that a client says of a call without naming it, in lower case.
#[rustfmt::skip]
const SAYINGS: &[(&str, &str)] = &[
    // OpenDAL
    (" at write,", "PutObject"), (" at read,", "GetObject"), (" at stat,", "HeadObject"), (" at list,", "ListObjectsV2"),
    (" at delete,", "DeleteObject"),
    // Java: the SDK's methods, and Hadoop's own words
    ("amazons3client.putobject(", "PutObject"), ("amazons3client.getobjectmetadata(", "HeadObject"),
    ("amazons3client.getobject(", "GetObject"), ("amazons3client.listobjectsv2(", "ListObjectsV2"),
    ("amazons3client.listobjects(", "ListObjects"), ("amazons3client.deleteobjects(", "DeleteObjects"),
    ("amazons3client.deleteobject(", "DeleteObject"), ("amazons3client.copyobject(", "CopyObject"),
    ("amazons3client.initiatemultipartupload(", "CreateMultipartUpload"), ("amazons3client.uploadpart(", "UploadPart"),
    ("amazons3client.headbucket(", "HeadBucket"),
    ("defaults3client.putobject(", "PutObject"), ("defaults3client.headobject(", "HeadObject"),
    ("defaults3client.getobject(", "GetObject"), ("defaults3client.listobjectsv2(", "ListObjectsV2"),
    ("defaults3client.deleteobject(", "DeleteObject"), ("defaults3client.copyobject(", "CopyObject"),
    ("getfilestatus on ", "HeadObject"), ("put 0-byte object on", "PutObject"), ("writing object on", "PutObject"),
    ("innermkdirs on ", "PutObject"), ("initiate multipart upload on", "CreateMultipartUpload"),
    // DuckDB, flytestdlib and the aws CLI
    ("http get error on", "GetObject"), ("http head error on", "HeadObject"), ("http put error on", "PutObject"),
    ("failed to write data", "PutObject"), ("upload failed:", "PutObject"), ("download failed:", "GetObject"),
    ("make_bucket failed:", "CreateBucket"),
];

impl Wrapping {
    /// What stands on one line.
    pub(super) fn of(line: &str) -> Self {
        let lower = line.to_ascii_lowercase();
        let request = http_request(line);
        let place = labelled_place(line)
            .or_else(|| url_place(line))
            .or_else(|| request.as_ref().map(|(_, place)| place.clone()))
            .or_else(|| uploaded_place(line))
            .or_else(|| web_place(line));
        let operation = named_call(line)
            .or_else(|| s5cmd_call(&lower))
            .or_else(|| SAYINGS.iter().find(|(words, _)| lower.contains(words)).map(|(_, call)| (*call).to_owned()))
            .or_else(|| request.map(|(call, _)| call));
        let unsigned = lower.contains("no-sign-request");
        Self { operation, place, region: region(line), unsigned }
    }

    /// What is missing here, from another line.
    pub(super) fn or(mut self, other: Self) -> Self {
        self.operation = self.operation.or(other.operation);
        self.place = self.place.or(other.place);
        self.region = self.region.or(other.region);
        self.unsigned |= other.unsigned;
        self
    }
}

/// The call by its own name: `calling the X operation`, `operation error S3: X`, `during X operation`, `XError`.
fn named_call(line: &str) -> Option<String> {
    let known = |word: &str| CALLS.iter().find(|call| **call == word).map(|call| (*call).to_owned());
    let after = |mark: &str| {
        let rest = &line[line.find(mark)? + mark.len()..];
        let word = rest.split(|letter: char| !letter.is_ascii_alphanumeric()).next()?;
        known(word)
    };
    let marks = ["calling the ", "operation error S3: ", "operation error STS: ", "during ", "Operation: "];
    if let Some(call) = marks.into_iter().find_map(after) {
        return Some(call);
    }
    let words = line.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.filter_map(|word| word.strip_suffix("Error")).find_map(known)
}

/// `ERROR "cp model.bin s3://b/k": ...`
fn s5cmd_call(lower: &str) -> Option<String> {
    let command = lower.split_once("error \"")?.1.split('"').next()?;
    let words: Vec<&str> = command.split_whitespace().collect();
    let call = match (words.first().copied()?, words.last().copied()?.starts_with("s3://")) {
        ("cp" | "mv" | "sync" | "pipe", true) => "PutObject",
        ("cp" | "mv" | "sync" | "cat", false) | ("cat", true) => "GetObject",
        ("ls" | "du", _) => "ListObjectsV2",
        ("rm", _) => "DeleteObjects",
        ("head", _) => "HeadObject",
        ("mb", _) => "CreateBucket",
        _ => return None,
    };
    Some(call.to_owned())
}

/// Arrow's `for key 'k' in bucket 'b'`, and `<BucketName>b</BucketName>` of S3's own answer.
fn labelled_place(line: &str) -> Option<(String, String)> {
    let after = |mark: &str, end: char| {
        let rest = &line[line.find(mark)? + mark.len()..];
        Some(rest[..rest.find(end)?].to_owned()).filter(|text| !text.is_empty())
    };
    let bucket = after("bucket '", '\'').or_else(|| after("<BucketName>", '<'))?;
    let key = after("key '", '\'').or_else(|| after("<Key>", '<')).unwrap_or_default();
    bucket.parse::<BucketName>().ok().map(|bucket| (bucket.to_string(), key))
}

/// The object in an `s3://` URL: the target of a transfer, where there are two.
pub(super) fn url_place(line: &str) -> Option<(String, String)> {
    let starts: Vec<usize> = ["s3://", "s3a://", "s3n://"]
        .iter()
        .flat_map(|scheme| line.match_indices(scheme))
        .map(|(at, scheme)| at + scheme.len())
        .collect();
    let target = line.find(" to s3://").map(|at| at + " to s3://".len());
    let start = target.or_else(|| starts.iter().min().copied())?;
    let rest = &line[start..];
    let ends = |letter: char| {
        letter.is_whitespace() || matches!(letter, '"' | '\'' | '`' | '<' | '>' | '[' | ']' | '(' | ')' | ',')
    };
    let end = rest.find(ends).unwrap_or(rest.len());
    let place = rest[..end].trim_end_matches([':', '.', ';']);
    let (bucket, key) = place.split_once('/').unwrap_or((place, ""));
    bucket.parse::<BucketName>().ok().map(|bucket| (bucket.to_string(), key.to_owned()))
}

/// boto3's `Failed to upload FILE to bucket/key: `.
fn uploaded_place(line: &str) -> Option<(String, String)> {
    let rest = line.split_once("ailed to upload ")?.1;
    let (_, target) = rest.split_once(" to ")?;
    let (bucket, key) = target.split(": ").next()?.split_once('/')?;
    bucket.parse::<BucketName>().ok().map(|bucket| (bucket.to_string(), key.to_owned()))
}

/// `PUT https://b.s3.eu-west-1.amazonaws.com/k`, as HTTP clients write it.
fn http_request(line: &str) -> Option<(String, (String, String))> {
    let (method, rest) = ["PUT", "GET", "HEAD", "DELETE", "POST"].iter().find_map(|method| {
        let mark = format!("{method} https://");
        line.find(&mark).map(|at| (*method, &line[at + mark.len()..]))
    })?;
    let (place, query) = web_parts(rest)?;
    let key = &place.1;
    let call = match (method, key.is_empty()) {
        ("GET", true) if query.contains("location") => "GetBucketLocation",
        ("GET", true) => "ListObjectsV2",
        ("HEAD", true) => "HeadBucket",
        ("PUT", true) => "CreateBucket",
        ("POST", true) => "DeleteObjects",
        ("GET", false) => "GetObject",
        ("HEAD", false) => "HeadObject",
        ("PUT", false) if query.contains("partNumber") => "UploadPart",
        ("PUT", false) => "PutObject",
        ("POST", false) if query.contains("uploads") => "CreateMultipartUpload",
        ("POST", false) => "CompleteMultipartUpload",
        _ => "DeleteObject",
    };
    Some((call.to_owned(), place))
}

/// The object in the URL of a web address of S3.
fn web_place(line: &str) -> Option<(String, String)> {
    let rest = line.match_indices("https://").map(|(at, scheme)| &line[at + scheme.len()..]);
    rest.filter_map(web_parts).map(|(place, _)| place).next()
}

/// Bucket and key of a web address behind its scheme, and its query, which may hold a signature.
fn web_parts(rest: &str) -> Option<((String, String), &str)> {
    let end = rest
        .find(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | ')' | ','))
        .unwrap_or(rest.len());
    let (url, query) = rest[..end].split_once('?').unwrap_or((&rest[..end], ""));
    let (host, path) = url.split_once('/').unwrap_or((url, ""));
    let (bucket, key) = match host.find(".s3.").or_else(|| host.find(".s3-")) {
        Some(at) => (&host[..at], path),
        None if host.starts_with("s3.") || host.starts_with("s3-") => path.split_once('/').unwrap_or((path, "")),
        None => return None,
    };
    let bucket: BucketName = bucket.parse().ok()?;
    Some(((bucket.to_string(), crate::policy::operation::percent_decoded(key)), query))
}

/// Where the bucket is: what the service expects, or what its endpoint's name says.
fn region(line: &str) -> Option<String> {
    let lower = line.to_ascii_lowercase();
    let marks = [
        "expecting ",
        "bucket is located in ",
        "bucket is in this region: ",
        "incorrect region, the bucket is not in",
        "x-amz-bucket-region: ",
        "<region>",
    ];
    let told = marks.into_iter().find_map(|mark| word_of_region(&lower[lower.find(mark)? + mark.len()..]));
    let constraint = || {
        let end = lower.find(" location constraint is incompatible")?;
        lower[..end].rsplit([' ', '>']).next().and_then(word_of_region)
    };
    let endpoint = || {
        let rest = &lower[lower.find("<endpoint>")?..];
        let at = rest.find("s3.").or_else(|| rest.find("s3-"))? + 3;
        word_of_region(&rest[at..])
    };
    told.or_else(constraint).or_else(endpoint)
}

/// A Region's name at the start of a text, quotes left aside.
fn word_of_region(text: &str) -> Option<String> {
    let text = text.trim_start_matches(['\'', '"', ' ']);
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').unwrap_or(text.len());
    let word = &text[..end];
    let looks_right = word.matches('-').count() >= 2 && word.ends_with(|letter: char| letter.is_ascii_digit());
    looks_right.then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::Wrapping;

    /// `operation bucket key region`, with `-` for what is not there.
    fn check(line: &str, expected: &str) {
        let found = Wrapping::of(line);
        let (bucket, key) = found.place.unwrap_or_default();
        let or = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let said =
            [found.operation.unwrap_or_default(), bucket, key, found.region.unwrap_or_default()].map(or).join(" ");
        assert_eq!(said, expected, "{line}");
    }

    #[test]
    fn every_client_names_call_and_object_its_own_way() {
        check(
            "An error occurred (AccessDenied) when calling the UploadPart operation: Access Denied",
            "UploadPart - - -",
        );
        check(
            "upload failed: ./m.bin to s3://lake/a/m.bin An error occurred (AccessDenied) when calling the PutObject operation",
            "PutObject lake a/m.bin -",
        );
        check("copy failed: s3://raw/x to s3://lake/x An error occurred", "- lake x -");
        check("download failed: s3://lake/a.csv to ./a.csv An error occurred (403)", "GetObject lake a.csv -");
        check(
            "operation error S3: HeadObject, https response error StatusCode: 403, api error Forbidden",
            "HeadObject - - -",
        );
        check(
            "When testing for existence of bucket 'lake': AWS Error ACCESS_DENIED during HeadBucket operation",
            "HeadBucket lake - -",
        );
        check(
            "When listing objects under key 'a/b' in bucket 'lake': AWS Error ACCESS_DENIED during ListObjectsV2 operation",
            "ListObjectsV2 lake a/b -",
        );
        check(
            "ERROR \"cp m.bin s3://lake/m.bin\": AccessDenied: Access Denied status code: 403",
            "PutObject lake m.bin -",
        );
        check("ERROR \"cp s3://lake/m.bin .\": AccessDenied: Access Denied", "GetObject lake m.bin -");
        check(
            "Failed to upload ./x to lake/a/x: An error occurred (AccessDenied) when calling the PutObject operation",
            "PutObject lake a/x -",
        );
        check(
            "Error performing PUT https://lake.s3.eu-west-1.amazonaws.com/a%20b in 40ms - 403 Forbidden",
            "PutObject lake a b -",
        );
        check(
            "Error performing GET https://s3.us-east-1.amazonaws.com/lake?list-type=2&prefix=x in 9ms",
            "ListObjectsV2 lake - -",
        );
        check("PermissionDenied (permanent) at write, context: { service: s3, path: a/b }", "PutObject - - -");
        check("AccessDeniedException: s3a://lake/a: getFileStatus on s3a://lake/a: Forbidden", "HeadObject lake a -");
        check("SdkError PutObjectError { code: AccessDenied }", "PutObject - - -");
        check(
            "HTTP Error: HTTP GET error on 'https://lake.s3.amazonaws.com/a/b.parquet?X-Amz-Signature=0a' (HTTP 403)",
            "GetObject lake a/b.parquet -",
        );
        check("see https://docs.aws.amazon.com/AmazonS3/latest/ and https://s3browser.com/x/y", "- - - -");
    }

    #[test]
    fn regions_come_from_many_words() {
        check("the region 'us-east-1' is wrong; expecting 'eu-west-1'", "- - - eu-west-1");
        check(
            "Looks like the configured region is 'us-east-1' while the bucket is located in 'eu-north-1'",
            "- - - eu-north-1",
        );
        check(
            "The ap-south-1 location constraint is incompatible for the region specific endpoint",
            "- - - ap-south-1",
        );
        check("<Endpoint>lake.s3.eu-west-1.amazonaws.com</Endpoint>", "- - - eu-west-1");
    }
}
