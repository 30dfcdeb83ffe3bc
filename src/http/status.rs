//! Status of a response: RFC 9110, "Status Codes".

/// Response statuses of the tracker and the admin API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 200: success. Also used to refuse an announce or a scrape, because clients read the body only with this status.
    Ok,
    /// 400: the request is malformed.
    BadRequest,
    /// 401: the token is wrong or missing.
    Unauthorized,
    /// 403: the request is understood, and refused.
    Forbidden,
    /// 404: unknown path, or unknown name.
    NotFound,
    /// 405: the path does not support this method.
    MethodNotAllowed,
    /// 408: the request did not arrive in time.
    RequestTimeout,
    /// 409: the present state does not allow the change.
    Conflict,
    /// 411: the length of the body is missing.
    LengthRequired,
    /// 413: the body is too long.
    ContentTooLarge,
    /// 429: too many attempts.
    TooManyRequests,
    /// 431: the head is too long, or has too many headers.
    HeaderFieldsTooLarge,
    /// 500: the tracker failed.
    InternalServerError,
    /// 503: the server does as much of this as it can.
    ServiceUnavailable,
    /// 507: the whitelist or its disk is full, or the disk failed.
    InsufficientStorage,
}

impl Status {
    /// Return the status line of a response, with its line end.
    pub const fn line(self) -> &'static str {
        match self {
            Self::Ok => "HTTP/1.1 200 OK\r\n",
            Self::BadRequest => "HTTP/1.1 400 Bad Request\r\n",
            Self::Unauthorized => "HTTP/1.1 401 Unauthorized\r\n",
            Self::Forbidden => "HTTP/1.1 403 Forbidden\r\n",
            Self::NotFound => "HTTP/1.1 404 Not Found\r\n",
            Self::MethodNotAllowed => "HTTP/1.1 405 Method Not Allowed\r\n",
            Self::RequestTimeout => "HTTP/1.1 408 Request Timeout\r\n",
            Self::Conflict => "HTTP/1.1 409 Conflict\r\n",
            Self::LengthRequired => "HTTP/1.1 411 Length Required\r\n",
            Self::ContentTooLarge => "HTTP/1.1 413 Content Too Large\r\n",
            Self::TooManyRequests => "HTTP/1.1 429 Too Many Requests\r\n",
            Self::HeaderFieldsTooLarge => "HTTP/1.1 431 Request Header Fields Too Large\r\n",
            Self::InternalServerError => "HTTP/1.1 500 Internal Server Error\r\n",
            Self::ServiceUnavailable => "HTTP/1.1 503 Service Unavailable\r\n",
            Self::InsufficientStorage => "HTTP/1.1 507 Insufficient Storage\r\n",
        }
    }

    /// Return the phrase of the status line.
    pub fn phrase(self) -> &'static str {
        self.line().get("HTTP/1.1 200 ".len()..).unwrap_or_default().trim_ascii_end()
    }

    /// Return the number of the status line.
    pub fn code(self) -> u16 {
        let digits = self.line().get("HTTP/1.1 ".len().."HTTP/1.1 200".len());
        digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
    }
}
