//! The pages before a session: the login page, and the step from a code to the document.

use core::time::Duration;

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
<link rel=\"icon\" href=\"data:,\"><title>nakodo</title><style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;\
margin:2rem auto;padding:0 1rem}code,input,button{font:inherit}code{font-family:monospace}input{width:14em}</style>";

/// The reason for the login page.
#[derive(Clone, Copy, Debug)]
pub(super) enum Why {
    /// The browser has no session.
    NoSession,
    /// The code is wrong, used or too old.
    WrongCode,
    /// Wrong codes came from this address.
    TooSoon(Duration),
}

/// Return the login page.
pub(super) fn page(why: Why) -> String {
    let reason = match why {
        Why::NoSession => String::new(),
        Why::WrongCode => {
            "<p role=\"alert\"><strong>The code is wrong, used, or older than ten minutes.</strong></p>".into()
        }
        Why::TooSoon(wait) => {
            let seconds = wait.as_secs() + 1;
            format!(
                "<p role=\"alert\"><strong>Wrong codes came from your address. Try again in {seconds} s.</strong></p>"
            )
        }
    };
    format!(
        "{HEAD}</head><body><main><h1>nakodo</h1>{reason}<p>This page needs a code. On the machine with the tracker, run</p>\
         <p><code>nakodo page</code></p><p>and open the link that it prints, or type its code here:</p>\
         <form action=\"/enter\"><p><label>Code <input name=\"code\" required autocomplete=\"off\" autocapitalize=\"none\" \
         spellcheck=\"false\"></label> <button>Open</button></p></form></main></body></html>\n"
    )
}

/// Return the page that leads on to the document.
pub(super) fn entered() -> String {
    format!(
        "{HEAD}<meta http-equiv=\"refresh\" content=\"0; url=/\"></head><body><main><p><a href=\"/\">Open the \
         page</a></p></main></body></html>\n"
    )
}
